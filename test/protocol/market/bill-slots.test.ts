/** Which stretches of time a bill has, judged by numbers that were worked out by hand. */
import { billOf, type Tariff } from '../../../protocol/market/bill.ts'
import { quartersOf, slotsOf, type TradeWindow } from '../../../protocol/market/bill-slots.ts'
import { microsPerKwh, milliwattHours, wattHours } from '../../../protocol/quantity.ts'
import { type Bucket, QUARTER_MS } from '../../../protocol/reading/rollup.ts'
import { must } from '../../../protocol/result.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('bill slots')

/** 0.30 drawn, 0.08 fed in. */
const tariff: Tariff = { drawn: microsPerKwh(300_000n), fedIn: microsPerKwh(80_000n) }
const BEGIN = 1_800_000_000_000
const at = (quarters: number): Instant => instant(BEGIN + quarters * QUARTER_MS)

type Said = number | 'unread' | 'broken' | 'late'

/** mWh of each quarter; `late` is a number whose last reading stands five minutes before the end. */
const buckets = (...all: readonly (Said | { readonly late: number })[]): Bucket[] =>
  all.map((said, i): Bucket => {
    const bounds = { start: at(i - 1), end: at(i), touched: [], meterId: '1' }
    if (said === 'unread') return { ...bounds, readings: 0, absent: ['no-reading'], complete: false }
    if (typeof said === 'string') return { ...bounds, readings: 9, absent: ['counter-fell'], complete: false }
    const late = typeof said === 'object'
    return {
      ...{ ...bounds, readings: 90, complete: !late },
      energy: milliwattHours(BigInt(late ? said.late : said)),
      reach: { from: at(i - 1), to: instant(at(i) - (late ? 300_000 : 4_000)) },
    }
  })
const none = (imported: readonly unknown[]): Bucket[] =>
  imported.map((_, i) => ({ ...buckets(0)[0]!, start: at(i - 1), end: at(i), readings: 0, touched: [] }))

const trade = (
  side: TradeWindow['side'],
  [start, end]: readonly [number, number],
  delivered: number | undefined,
  more: Partial<TradeWindow> & { readonly fee?: number } = {},
): TradeWindow => ({
  ...{ contract: `${side} ${start}`, side, start: at(start), end: at(end), price: microsPerKwh(200_000n) },
  overGrid: true,
  ...(delivered === undefined
    ? {}
    : { settled: { delivered: wattHours(BigInt(delivered)), fee: microsPerKwh(BigInt(more.fee ?? 0)) } }),
  ...more,
})

function billed(imported: Bucket[], exported: Bucket[], trades: readonly TradeWindow[] = [], from = 0) {
  const { slots, missing } = slotsOf(quartersOf(imported, exported), trades, tariff, at(from))
  const { lines, ...bill } = must(billOf(slots))
  const spans = slots.map(({ start, metered, trades }) => [
    (start - BEGIN) / QUARTER_MS,
    metered && [Number(metered.imported), Number(metered.exported)],
    trades.length,
  ])
  const gaps = missing.map(({ start, end, why }) => [(start - BEGIN) / QUARTER_MS, (end - BEGIN) / QUARTER_MS, why])
  return { ...bill, lines, spans, gaps }
}

test('quarters by the supplier alone: each watt-hour once, fractions with what follows', () => {
  const imported = buckets(7, 1_000_600, 999_600)
  const bill = billed(imported, buckets(0, 0, 500_000))
  assert.equal(bill.spans, [
    [0, [1000, 0], 0],
    [1, [1000, 500], 0],
  ])
  // 2 kWh at 0.30 less 0.5 kWh at 0.08.
  assert.equal([bill.money, bill.saved, bill.gaps], [-560_000n, 0n, []])
})

test('a meter without a register of export has exported nothing; one that has not been read has', () => {
  const imported = buckets(0, 1_000_000)
  assert.is(billed(imported, none(imported)).money, -300_000n)
  const unread = billed(imported, buckets(0, 'unread'))
  assert.equal([unread.gaps, unread.spans], [[[0, 1, 'no-reading']], []])
})

test('contracts of a quarter: what they delivered at their price, the fee the seller bears, the rest the supplier', () => {
  const imported = buckets(0, 1_500_000, 0)
  const exported = buckets(0, 0, 1_000_000)
  const bill = billed(imported, exported, [trade('bought', [0, 1], 1000), trade('sold', [1, 2], 600, { fee: 10_000 })])
  // 1 kWh at 0.20 and half a kWh at 0.30; 0.6 kWh at 0.20 less 0.01, 0.4 kWh at 0.08.
  assert.is(bill.money, -200_000n - 150_000n + 120_000n - 6_000n + 32_000n)
  // Without trading: 1.5 kWh at 0.30, and 1 kWh at 0.08.
  assert.is(bill.withoutTrading, -450_000n + 80_000n)
  assert.is(bill.saved, 166_000n)
})

test('a counter goes on through a pause of the readings: one slot, and its energy is right', () => {
  const bill = billed(buckets(0, { late: 400_000 }, 'unread', 1_600_000, 100_000), none(buckets(0, 0, 0, 0, 0)))
  assert.equal(bill.spans, [
    [0, [2000, 0], 0],
    [3, [100, 0], 0],
  ])
  assert.equal(bill.gaps, [])
})

test('without a number the stretch is missing until the meter was read at a boundary again, and costs nothing', () => {
  const bill = billed(buckets(0, 500_000, 'broken', 700_000, 100_000), none(buckets(0, 0, 0, 0, 0)))
  assert.equal(bill.gaps, [[1, 3, 'no-reading']])
  assert.is(bill.money, -150_000n - 30_000n)
  // Nor is a beginning that nobody read, or an end.
  const cut = billed(buckets('broken', 500_000, 200_000, { late: 1 }), none(buckets(0, 0, 0, 0)))
  assert.equal(cut.gaps, [
    [0, 1, 'no-reading'],
    [2, 3, 'no-reading'],
  ])
  assert.is(cut.money, -60_000n)
})

test('a contract that is not settled makes its slot missing, and what others of it settled is still there', () => {
  const trades = [trade('bought', [0, 1], 400), { ...trade('bought', [0, 0.5], undefined), contract: 'open' }]
  const bill = billed(buckets(0, 1_000_000, 1_000_000), none(buckets(0, 0, 0)), trades)
  assert.equal(bill.gaps, [[0, 1, 'not-settled']])
  assert.is(bill.money, -80_000n - 300_000n)
})

test('a window of an hour is one slot; one that goes across the end of the bill leaves its part out', () => {
  const hour = [trade('bought', [0, 4], 3000)]
  const bill = billed(buckets(0, 1e6, 1e6, 1e6, 1e6), none(buckets(0, 0, 0, 0, 0)), hour)
  assert.equal(bill.spans, [[0, [4000, 0], 1]])
  assert.is(bill.money, -600_000n - 300_000n)
  const across = billed(buckets(0, 1e6, 1e6, 1e6), none(buckets(0, 0, 0, 0)), [trade('bought', [1, 5], 3000)])
  assert.equal(across.gaps, [[1, 3, 'contract-across']])
  const before = billed(buckets(0, 1e6, 1e6), none(buckets(0, 0, 0)), [trade('bought', [-1, 1], 500)])
  assert.equal(before.gaps, [[0, 1, 'contract-across']])
  assert.is(before.money, -300_000n)
})

test('a direct line passes the grid meter by: it is added, and goes across what it likes', () => {
  const line = { overGrid: false }
  const bought = billed(buckets(0, 200_000, 0), none(buckets(0, 0, 0)), [trade('bought', [0.5, 1.5], 1000, line)])
  assert.equal(bought.spans, [
    [0, [200, 0], 0],
    [1, [1000, 0], 1],
  ])
  // 0.2 kWh at 0.30 and 1 kWh at 0.20; else all at 0.30.
  assert.equal([bought.money, bought.saved], [-260_000n, 100_000n])
  const sold = billed(buckets(0, 0), buckets(0, 500_000), [trade('sold', [0, 1], 1000, line)])
  assert.equal([sold.money, sold.saved], [240_000n, 120_000n])
})

test('what a seller draws beside its line counts as drawn for it: trading never seems to save more than it did', () => {
  const bill = billed(buckets(0, 300_000), buckets(0, 0), [trade('sold', [0, 1], 1000, { overGrid: false })])
  // 1 kWh at 0.20 less 0.3 kWh at 0.30; without the line 0.7 kWh would have been fed in.
  assert.equal([bill.money, bill.withoutTrading, bill.saved], [110_000n, 56_000n, 54_000n])
})

test('two bills that follow each other have together what one over both has', () => {
  const imported = buckets(0, 500_400, 990_300, 500_900, 100_000)
  const nothing = none(imported)
  const trades = [trade('bought', [1, 2], 1000)]
  const whole = billed(imported, nothing, trades)
  assert.equal(whole.spans, [
    [0, [500, 0], 0],
    [1, [1000, 0], 1],
    [2, [491, 0], 0],
    [3, [100, 0], 0],
  ])
  const first = billed(imported.slice(0, 3), nothing.slice(0, 3), trades)
  const second = billed(imported, nothing, trades, 2)
  assert.equal([...first.spans, ...second.spans], whole.spans)
  assert.is(first.money + second.money, whole.money)
})

test('a bill that begins in a pause of the readings, or within a contract, says so from its begin on', () => {
  const paused = buckets(0, 500_000, 'unread', 1_600_000, 100_000)
  const nothing = none(paused)
  assert.equal(billed(paused, nothing, [], 2).gaps, [[2, 3, 'no-reading']])
  assert.equal(billed(paused, nothing, [], 2).spans, [[3, [100, 0], 0]])
  const read = buckets(0, 500_000, 600_000, 700_000, 100_000)
  const across = billed(read, nothing, [trade('bought', [1, 3], 1000)], 2)
  assert.equal(across.gaps, [[2, 3, 'contract-across']])
  assert.equal(across.spans, [[3, [100, 0], 0]])
})

test('what a contract has beyond its slot is taken from the next one, and so much that it cannot be is a contradiction', () => {
  const bill = billed(buckets(0, 990_000, 1_000_000), none(buckets(0, 0, 0)), [trade('bought', [0, 1], 1000)])
  assert.equal(bill.spans, [
    [0, [1000, 0], 1],
    [1, [990, 0], 0],
  ])
  const wrong = billed(buckets(0, 400_000, 1_000_000), none(buckets(0, 0, 0)), [trade('bought', [0, 1], 1000)])
  assert.equal(wrong.gaps, [[0, 1, 'contradiction']])
  assert.is(wrong.money, -200_000n - 300_000n)
})

test('a meter that was exchanged in a quarter leaves no number for it', () => {
  const imported = buckets(0, 500_000, 500_000)
  const twice = [...imported.slice(0, 2), { ...imported[1]!, meterId: '2' }, imported[2]!]
  const bill = billed(twice, none(imported))
  assert.equal(bill.gaps, [[0, 2, 'no-reading']])
})

test.run()
