/** What the rest of the day will cost, worked out by hand from a forecast and from the prices of earlier deals. */
import { billedEntry } from '../../../agent/bill/billed-deal.ts'
import { type BillPeriod, createSiteBills, type SiteBill } from '../../../agent/bill/site-bill.ts'
import type { DealInfo } from '../../../agent/trading/trading.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import type { OffsetAt } from '../../../protocol/reading/calendar.ts'
import { fail, must, ok } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash, encodeContract, type Party } from '../../../protocol/trade/contract.ts'
import type { Deal } from '../../../protocol/trade/deal-state.ts'
import { assert, suite } from '../../harness.ts'
import { begun, GRID_TERMS } from '../../protocol/trade/grid-deal.ts'

const test = suite('rest of the day')
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const QUARTER_MS = 900_000
/** A Wednesday. */
const DAY = 20_838 * DAY_MS
const at = (hours: number, days = 0): number => DAY + days * DAY_MS + hours * HOUR_MS
/** Eight minutes into the quarter of 10:00. */
const NOW = at(10) + 480_000
/** Supplier: 0.30 a kWh, and 0.08 for one that is fed in. */
const tariff = { import: microsPerKwh(300_000n), feedIn: microsPerKwh(80_000n) }

interface Past {
  readonly role: Party
  readonly start: number
  readonly price: bigint
  /** Of the seller's price, per kWh. */
  readonly fee?: bigint
  readonly change?: Partial<Deal>
}

let made = 0
/** 100 Wh in a quarter, settled. */
function dealOf({ role, start, price, fee, change = {} }: Past): Deal {
  const contract = {
    ...{ ...GRID_TERMS, energy: wattHours(100n), price: microsPerKwh(price), nonce: new Uint8Array(16).fill(++made) },
    ...{ start: instant(start), end: instant(start + QUARTER_MS) },
  }
  const bytes = encodeContract(contract)
  const paid = micros(price / 10n)
  return {
    ...begun(role, false),
    ...{ contract, bytes, hash: contractHash(bytes), state: 'settled', fee: false },
    settlement: { kind: 'settled', paid, delivered: wattHours(100n), disputed: false, height: 30n },
    ...(fee === undefined ? {} : { feePaid: { price: microsPerKwh(fee), paid: micros(fee / 10n) } }),
    ...change,
  }
}

interface Site {
  readonly past?: readonly Past[]
  readonly running?: readonly Past[]
  /** Wh of a quarter, import positive; undefined: nobody knows. */
  readonly net?: (start: number) => bigint | undefined
  readonly offsetAt?: OffsetAt
  readonly noForecast?: true
}

async function billOf(site: Site = {}, period: BillPeriod = 'day', moment = NOW): Promise<SiteBill> {
  const entries = (site.past ?? []).map(one => billedEntry(dealOf(one)))
  const bills = createSiteBills({
    ...{ tariff, meter: 'grid', clock: { now: () => instant(NOW) }, offsetAt: site.offsetAt ?? (() => 0) },
    deals: () =>
      (site.running ?? []).map(one => ({ peer: 'ash', runner: { deal: () => dealOf(one) } }) as unknown as DealInfo),
    history: {
      energy: async () => ok({ buckets: [], untimed: 0 }),
      entries: async (from, to) => ok(entries.filter(([key]) => key >= from && key < to).map(([, value]) => value)),
    },
    ...(site.noForecast === true ? {} : { forecast: { net: ({ start }) => (site.net ?? (() => 100n))(start) } }),
  })
  return must(await bills.bill(period, instant(moment)))
}
/** What a kWh costs the less, on 100 Wh. */
const money = async (site: Site): Promise<bigint | undefined> => (await billOf(site)).ahead?.money

/** 56 quarters from 10:00 on, of 100 Wh: each 30,000 micros. */
const PLAIN = -56n * 30_000n

test('it begins with the running quarter and ends with the day, at the supplier’s tariff where nothing else is known', async () => {
  assert.equal((await billOf()).ahead, { from: instant(at(10)), money: micros(PLAIN) })
  // One quarter of the day sends 200 Wh, one neither.
  const net = (start: number) => (start === at(13) ? -200n : start === at(14) ? 0n : 100n)
  assert.is(await money({ net }), -54n * 30_000n + 16_000n)
  // An hour east its day ends at 23:00: four quarters fewer. On the day that the clock goes back it has an hour more.
  assert.is(await money({ offsetAt: () => HOUR_MS }), PLAIN + 4n * 30_000n)
  const back: OffsetAt = moment => (moment < at(12) ? 2 * HOUR_MS : HOUR_MS)
  assert.is(await money({ offsetAt: back }), PLAIN + 4n * 30_000n)
})

test('a quarter of which earlier days bought or sold is expected at that price, fee and all, if it is better', async () => {
  const buyer = { role: 'buyer', start: at(12, -1) } as const
  assert.is(await money({ past: [{ ...buyer, price: 200_000n }] }), PLAIN + 10_000n)
  assert.is(await money({ past: [{ ...buyer, price: 400_000n }] }), PLAIN)
  // Already over today, and so in no quarter to come.
  assert.is(await money({ past: [{ ...buyer, start: at(9, -1), price: 200_000n }] }), PLAIN)
  // What it sold for is of no use where it takes; where it sends, the fee is taken off.
  const seller = { role: 'seller', start: at(13, -1), price: 150_000n, fee: 20_000n } as const
  assert.is(await money({ past: [seller] }), PLAIN)
  const net = (start: number) => (start === at(13) ? -200n : 100n)
  assert.is(await money({ net, past: [seller] }), -55n * 30_000n + 26_000n)
  assert.is(await money({ net, past: [{ ...seller, fee: 80_000n }] }), -55n * 30_000n + 16_000n)
})

test('a price is one that was paid: not of a deal that is open, came to nothing, or whose fee nobody knows; nor older than four weeks', async () => {
  const buyer = { role: 'buyer', start: at(12, -1), price: 200_000n } as const
  for (const change of [{ state: 'aborted' }, { state: 'refunded' }, { state: 'started' }] as const)
    assert.is(await money({ past: [{ ...buyer, change }] }), PLAIN, change.state)
  const seller = { role: 'seller', start: at(13, -1), price: 150_000n } as const
  const net = (start: number) => (start === at(13) ? -200n : 100n)
  assert.is(await money({ net, past: [{ ...seller, change: { fee: true } }] }), -55n * 30_000n + 16_000n)
  assert.is(await money({ past: [{ ...buyer, start: at(12, -27) }] }), PLAIN + 10_000n)
  assert.is(await money({ past: [{ ...buyer, start: at(12, -29) }] }), PLAIN)
})

test('a contract that is made for a quarter to come has its price, unless it has a fault', async () => {
  const running = { role: 'buyer', start: at(11), price: 250_000n, change: { state: 'escrowed' } } as const
  assert.is(await money({ running: [running] }), PLAIN + 5_000n)
  assert.is(await money({ running: [{ ...running, change: { cause: { code: 'deal.declined' } } }] }), PLAIN)
  assert.is(
    await money({ running: [running], past: [{ role: 'buyer', start: at(11, -1), price: 200_000n }] }),
    PLAIN + 10_000n,
  )
})

test('where one quarter is not forecast, or the day is another, or it is a month, nothing is said', async () => {
  assert.is((await billOf({ noForecast: true })).ahead, undefined)
  assert.is((await billOf({ net: start => (start === at(23.75) ? undefined : 100n) })).ahead, undefined)
  assert.is((await billOf({ net: () => undefined })).ahead, undefined)
  // Quarters that are over, or of the next day, do not matter.
  assert.is(await money({ net: start => (start < at(10) || start >= at(24) ? undefined : 100n) }), PLAIN)
  assert.is((await billOf({}, 'month')).ahead, undefined)
  assert.is((await billOf({}, 'day', at(10, -1))).ahead, undefined)
})

test('an index that cannot be read is a fault of the bill, and no price', async () => {
  const bills = createSiteBills({
    ...{ tariff, meter: 'grid', clock: { now: () => instant(NOW) }, offsetAt: () => 0, deals: () => [] },
    history: {
      energy: async () => ok({ buckets: [], untimed: 0 }),
      entries: async () => ok([Uint8Array.of(1)]),
    },
    forecast: { net: () => 100n },
  })
  assert.equal(await bills.bill('day', instant(NOW)), fail({ code: 'history.damaged', key: 'deal' }))
})

test.run()
