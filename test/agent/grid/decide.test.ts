/** What a site wants and offers over the grid, against numbers worked out by hand. */
import type { GridConfig } from '../../../agent/config/site-config.ts'
import {
  askedPrice,
  type Contracted,
  deadlines,
  FIRST_MARGIN,
  leftToBuy,
  leftToSell,
  look,
  nextMargin,
  openSlot,
  type Window,
  wantFault,
} from '../../../agent/grid/decide.ts'
import { microsPerKwh, milliwatts, wattHours } from '../../../protocol/quantity.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import type { BodyOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const price = (coins: number) => microsPerKwh(BigInt(Math.round(coins * 1_000_000)))
const QUARTER = 900_000
const at = (quarter: number): Instant => instant(1_800_000_000_000 - (1_800_000_000_000 % QUARTER) + quarter * QUARTER)
const slot: Window = { start: at(4), end: at(5) }
const sell = { reserve: price(0.08), opening: price(0.12) }
const buy = { limit: price(0.3), opening: price(0.1), least: wattHours(50n) }
const none = wattHours(0n)
const seen = (watts: number) => look(undefined, milliwatts(watts * 1000), 0, QUARTER)
const deal = (role: 'seller' | 'buyer', energy: number, window = slot): Contracted => ({
  role,
  energy: wattHours(BigInt(energy)),
  ...window,
})

const test = suite('grid decide')

test('a surplus of 2 kW is 500 Wh of a quarter, less what is contracted and what lines have promised', () => {
  assert.is(leftToSell({ sell }, seen(-2000), [], none, slot), 500n as never)
  assert.is(leftToSell({ sell }, seen(-2000), [deal('seller', 120)], none, slot), 380n as never)
  assert.is(leftToSell({ sell }, seen(-2000), [deal('seller', 120)], wattHours(200n), slot), 180n as never)
  assert.is(leftToSell({ sell }, seen(-2000), [deal('seller', 500)], none, slot), 0n as never)
})

test('own use comes first: who draws from the grid sells nothing, and who feeds in buys nothing', () => {
  assert.is(leftToSell({ sell }, seen(300), [], none, slot), 0n as never)
  assert.is(leftToBuy({ buy }, seen(-300), [], none, slot), 0n as never)
  assert.is(leftToBuy({ buy }, seen(1000), [], none, slot), 250n as never)
})

test('a meter that was never read sells nothing and buys nothing', () => {
  assert.is(leftToSell({ sell }, undefined, [], none, slot), 0n as never)
  assert.is(leftToBuy({ buy }, undefined, [], none, slot), 0n as never)
})

test('what a generator can give, and what a load that a deal switches on wants, needs no meter', () => {
  const capacity = milliwatts(20_000_000)
  assert.is(leftToSell({ sell: { ...sell, capacity } }, seen(0), [], none, slot), 5000n as never)
  assert.is(leftToBuy({ buy: { ...buy, energy: wattHours(2750n) } }, undefined, [], none, slot), 2750n as never)
})

test('a meter sells or buys in a window, never both, and its windows are equal or apart', () => {
  const half = { start: at(4), end: instant(at(4) + QUARTER / 2) }
  assert.is(leftToSell({ sell }, seen(-2000), [deal('buyer', 1)], none, slot), 0n as never)
  assert.is(leftToSell({ sell }, seen(-2000), [deal('seller', 1, half)], none, slot), 0n as never)
  const before = { start: at(3), end: at(4) }
  assert.is(leftToSell({ sell }, seen(-2000), [deal('buyer', 1, before)], none, slot), 500n as never)
})

test('less than is worth a deal is not asked for', () => {
  assert.is(leftToBuy({ buy }, seen(1000), [deal('buyer', 201)], none, slot), 0n as never)
  assert.is(leftToBuy({ buy }, seen(1000), [deal('buyer', 200)], none, slot), 50n as never)
})

test('however contracts come, what is sold in a window is never more than the surplus', () => {
  assertProperty(
    fc.property(
      fc.integer({ min: 0, max: 5000 }),
      fc.array(fc.integer({ min: 1, max: 2000 }), { maxLength: 12 }),
      (watts, wants) => {
        const contracts: Contracted[] = []
        for (const want of wants) {
          const left = leftToSell({ sell }, seen(-watts), contracts, none, slot)
          const taken = left < BigInt(want) ? left : BigInt(want)
          if (taken > 0n) contracts.push(deal('seller', Number(taken)))
        }
        const sold = contracts.reduce((sum, { energy }) => sum + energy, 0n)
        assert.ok(sold <= BigInt(Math.floor(watts / 4)), `${sold} Wh of ${watts} W`)
      },
    ),
  )
})

test('the outlook of a steady meter is its power; of one that changes, between old and new', () => {
  let outlook = seen(1000)
  for (let second = 0; second < 100; second++) outlook = look(outlook, milliwatts(1_000_000), 1000, QUARTER)
  assert.is(outlook.meanMw, 1_000_000)
  const later = look(outlook, milliwatts(3_000_000), 50_000, QUARTER)
  assert.ok(later.meanMw > 1_000_000 && later.meanMw < 3_000_000, String(later.meanMw))
})

const GATE: Pick<GridConfig, 'slotMs' | 'leadMs'> = { slotMs: QUARTER, leadMs: 60_000 }

test('a slot is asked for from its gate until a third of the lead is over', () => {
  assert.is(openSlot(GATE, instant(at(4) - 60_001)), undefined)
  assert.equal(openSlot(GATE, instant(at(4) - 60_000)), slot)
  assert.equal(openSlot(GATE, instant(at(4) - 40_000)), slot)
  assert.is(openSlot(GATE, instant(at(4) - 39_999)), undefined)
})

test('bids, openings and awards come in this order, and all before the window', () => {
  const now = instant(at(4) - 60_000)
  const { sealBy, revealBy, awardBy } = deadlines(slot, now)
  assert.equal([sealBy - now, revealBy - now, awardBy - now], [10_000, 15_000, 20_000])
})

const want: BodyOf<'want'> = {
  kind: 'want',
  id: new Uint8Array(16),
  ...slot,
  energy: wattHours(100n),
  least: wattHours(50n),
  way: 'matching',
  to: 'oak',
  sealBy: instant(at(4) - 50_000),
  awardBy: instant(at(4) - 40_000),
}
const now = instant(at(4) - 60_000)

const NONSENSE: readonly (readonly [what: string, change: Partial<BodyOf<'want'>>, reason: string])[] = [
  ['a window that has begun', { start: instant(now - 1) }, 'grid.too-late'],
  ['a window of another day', { start: at(100), end: at(101) }, 'grid.too-far'],
  ['a window that ends before it starts', { end: instant(slot.start - 1) }, 'grid.window'],
  ['a window of two days', { end: at(200) }, 'grid.window'],
  ['more at the least than at the most', { least: wattHours(101n) }, 'grid.least'],
  ['bids that are already due', { sealBy: now }, 'grid.deadlines'],
  ['an award before the bids', { awardBy: instant(want.sealBy - 1) }, 'grid.deadlines'],
  ['an award after the start', { awardBy: slot.start }, 'grid.deadlines'],
  ['receipts that the ledger does not take over the grid', { receipts: 'sealed' }, 'grid.sealed-receipts'],
]
for (const [what, change, reason] of NONSENSE) {
  test(`a request with ${what} is refused: ${reason}`, () => {
    assert.is(wantFault(want, now), undefined)
    assert.is(wantFault({ ...want, ...change }, now), reason)
  })
}

test('a seller starts at its opening price, comes down while it is not taken, and never below its reserve', () => {
  let margin = FIRST_MARGIN
  assert.is(askedPrice(sell, margin), sell.opening)
  for (let lost = 0; lost < 50; lost++) margin = nextMargin(margin, false)
  assert.is(askedPrice(sell, margin), sell.reserve)
  for (let won = 0; won < 50; won++) margin = nextMargin(margin, true)
  assert.is(askedPrice(sell, margin), sell.opening)
})

test.run()
