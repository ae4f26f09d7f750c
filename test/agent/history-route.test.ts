import type { EnergyAsked } from '../../agent/metering/history.ts'
import { historyRoute } from '../../agent/web/history-route.ts'
import type { HttpReply } from '../../drivers/http/server.ts'
import { milliwattHours } from '../../protocol/quantity.ts'
import type { Bucket } from '../../protocol/reading/rollup.ts'
import { fail, ok } from '../../protocol/result.ts'
import { OBIS } from '../../protocol/telegram/obis.ts'
import { instant } from '../../protocol/time.ts'
import { assert, suite } from '../harness.ts'

const test = suite('history route')

const GOOD = 'meter=grid&register=export&period=day&from=1795000000000&to=1795604800000'
const ask = async (route: ReturnType<typeof historyRoute>, query: string) => {
  const answer: HttpReply = await route({
    method: 'GET',
    path: '/api/history',
    query: new URLSearchParams(query),
    body: new Uint8Array(),
  })
  assert.is(answer.kind, 'json')
  return answer.kind === 'json' ? { status: answer.status, value: answer.value as Record<string, unknown> } : undefined!
}
const meters = new Set(['grid', 'solar'])
const [start, end] = [instant(1_795_000_000_000), instant(1_795_000_900_000)]
const buckets: Bucket[] = [
  {
    start,
    end,
    meterId: '1',
    readings: 60,
    energy: milliwattHours(9_007_199_254_740_993n),
    reach: { from: start, to: end },
    complete: true,
    touched: [],
  },
  { start, end, readings: 0, absent: ['no-reading'], complete: false, touched: ['gap'] },
]

test('asks for what the query says, and gives energies as text and reasons where there is none', async () => {
  const asked: EnergyAsked[] = []
  const energy = async (what: EnergyAsked) => {
    asked.push(what)
    return ok({ buckets, untimed: 2 })
  }
  const { status, value } = await ask(historyRoute({ energy }, meters), GOOD)
  assert.equal(asked, [
    { meter: 'grid', obis: OBIS.energyExport, from: start, to: instant(1_795_604_800_000), period: 'day' },
  ])
  assert.is(status, 200)
  const { energy: _, ...first } = buckets[0]!
  assert.equal(JSON.parse(JSON.stringify(value)), {
    meter: 'grid',
    register: 'export',
    period: 'day',
    untimed: 2,
    buckets: [{ ...first, energyMwh: '9007199254740993' }, buckets[1]],
  })
})

test('names the parameter that is wrong', async () => {
  const route = historyRoute({ energy: async () => assert.unreachable() as never }, meters)
  const changed = [
    ['meter', 'cellar'],
    ['register', ''],
    ['period', 'week'],
    ['from', '2026-06-01'],
    ['to', '-1'],
  ] as const
  for (const [parameter, wrong] of changed) {
    const query = new URLSearchParams(GOOD)
    query.set(parameter, wrong)
    const { status, value } = await ask(route, query.toString())
    assert.equal([status, value['code'], value['parameter']], [400, 'history.query', parameter])
  }
})

test('without an index, or with one that cannot answer, it says why', async () => {
  const none = await ask(historyRoute(undefined, meters), GOOD)
  assert.equal([none.status, none.value['code']], [503, 'history.none'])
  for (const [code, status] of [
    ['history.range', 400],
    ['index.io', 503],
  ] as const) {
    const refused = await ask(historyRoute({ energy: async () => fail({ code }) }, meters), GOOD)
    assert.equal([refused.status, refused.value['code']], [status, code])
  }
})

test.run()
