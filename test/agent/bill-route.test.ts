import type { SiteBill, SiteBills } from '../../agent/bill/site-bill.ts'
import { billRoute } from '../../agent/web/bill-route.ts'
import { micros, microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { fail, ok } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { assert, suite } from '../harness.ts'

const test = suite('bill route')
const NOW = instant(1_795_000_000_000)

const ask = async (bills: SiteBills | undefined, query: string) => {
  const answer = await billRoute(
    bills,
    () => NOW,
  )({
    ...{ method: 'GET', path: '/api/bill', body: new Uint8Array() },
    query: new URLSearchParams(query),
  })
  return answer.kind === 'json' ? { status: answer.status, value: answer.value as Record<string, unknown> } : undefined!
}

const bill: SiteBill = {
  ...{ period: 'day', start: instant(1), end: instant(9), until: instant(5), complete: false },
  missing: [{ start: instant(3), end: instant(5), why: 'not-settled' }],
  ...{ money: -9_007_199_254_740_993n, withoutTrading: -9_007_199_254_741_000n, saved: 7n, fees: micros(-2n) },
  energy: { bought: wattHours(1n), sold: wattHours(0n), drawn: wattHours(2n), 'fed-in': wattHours(3n) },
  now: { pays: microsPerKwh(240_000n), gets: microsPerKwh(50_000n) },
}

test('asks for the day or month of the moment given, or of this one, and gives money and energy as text', async () => {
  const asked: unknown[] = []
  const bills: SiteBills = {
    bill: async (...what) => {
      asked.push(what)
      return ok(bill)
    },
  }
  const { status, value } = await ask(bills, 'period=day')
  assert.is(status, 200)
  assert.equal(value, {
    ...{ period: 'day', start: 1, end: 9, until: 5, complete: false },
    missing: [{ start: 3, end: 5, why: 'not-settled' }],
    ...{ money: '-9007199254740993', withoutTrading: '-9007199254741000', saved: '7', fees: '-2' },
    energy: { bought: '1', sold: '0', drawn: '2', 'fed-in': '3' },
    now: { pays: '240000', gets: '50000' },
  })
  await ask(bills, 'period=month&at=1790000000000')
  assert.equal(asked, [
    ['day', NOW],
    ['month', 1_790_000_000_000],
  ])
})

test('names the parameter that is wrong', async () => {
  const bills: SiteBills = { bill: async () => assert.unreachable() as never }
  for (const [query, parameter] of [
    ['', 'period'],
    ['period=week', 'period'],
    ['period=day&at=2026-06-01', 'at'],
    ['period=day&at=-1', 'at'],
    ['period=day&at=0', 'at'],
    ['period=day&at=999999999999999', 'at'],
    ['period=day&from=1', 'from'],
    ['period=day&period=month', 'period'],
  ]) {
    const { status, value } = await ask(bills, query!)
    assert.equal([status, value['code'], value['parameter']], [400, 'bill.query', parameter], query)
  }
})

test('a day to come is refused; without a tariff, or a history that answers, it says why', async () => {
  const saying = (code: string): SiteBills => ({ bill: async () => fail({ code }) })
  assert.is((await ask(saying('bill.future'), 'period=day')).status, 400)
  assert.is((await ask(saying('history.damaged'), 'period=day')).status, 503)
  const none = await ask(undefined, 'period=day')
  assert.equal([none.status, none.value['code']], [503, 'bill.none'])
})

test.run()
