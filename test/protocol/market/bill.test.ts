import { forecastPrice } from '../../../protocol/forecast/price.ts'
import { type BilledSlot, type BilledTrade, billOf, type Tariff } from '../../../protocol/market/bill.ts'
import { billForecast } from '../../../protocol/market/bill-forecast.ts'
import { microsPerKwh, milliwattHours, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { settleSlot } from '../../../protocol/trade/deviation.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const t = suite('bill')

const HOUR = 3_600_000
const tariff: Tariff = { drawn: microsPerKwh(300_000n), fedIn: microsPerKwh(50_000n) }
const trade = (
  side: BilledTrade['side'],
  delivered: number,
  price: number,
  more: Partial<BilledTrade> = {},
): BilledTrade => ({
  contract: `${side}-${delivered}-${price}`,
  side,
  delivered: wattHours(BigInt(delivered)),
  price: microsPerKwh(BigInt(price)),
  fee: microsPerKwh(0n),
  shortfall: 0n,
  ...more,
})
const slot = (
  hour: number,
  imported: number,
  exported: number,
  trades: readonly BilledTrade[],
  more: Partial<BilledSlot> = {},
): BilledSlot => ({
  start: instant(hour * HOUR),
  tariff,
  metered: { imported: wattHours(BigInt(imported)), exported: wattHours(BigInt(exported)) },
  trades,
  ...more,
})

t('a bill worked out by hand: 2 kWh drawn of which 1.5 were bought, 1 kWh sent of which 0.4 were sold', () => {
  const bill = must(
    billOf([
      slot(0, 2000, 0, [trade('bought', 1500, 200_000)]),
      slot(1, 0, 1000, [trade('sold', 400, 200_000, { fee: microsPerKwh(50_000n) })]),
    ]),
  )
  assert.equal(
    bill.lines.map(({ kind, energy, money }) => [kind, energy, money]),
    [
      ['bought', 1500n, -300_000n],
      ['drawn', 500n, -150_000n],
      ['sold', 400n, 80_000n],
      ['fee', undefined, -20_000n],
      ['fed-in', 600n, 30_000n],
    ],
  )
  assert.is(bill.money, -360_000n)
  assert.is(bill.withoutTrading, -550_000n)
  assert.is(bill.saved, 190_000n)
  assert.is(bill.worse, undefined)
})

t('whoever is worse off is told why', () => {
  const dear = must(billOf([slot(0, 1000, 0, [trade('bought', 1000, 310_000, { shortfall: 4_000n })])]))
  assert.is(dear.saved, -14_000n)
  assert.equal(dear.worse, [
    { reason: 'bought-above-tariff', money: 10_000n },
    { reason: 'shortfall', money: 4_000n },
  ])
  const fee = microsPerKwh(50_000n)
  const cheap = must(billOf([slot(0, 0, 1000, [trade('sold', 1000, 90_000, { fee })])]))
  assert.equal(cheap.worse, [{ reason: 'sold-below-tariff', money: 10_000n }])
})

t('regret is what the market’s price would have brought beyond, and none where all was traded at it', () => {
  const market = {
    pays: microsPerKwh(200_000n),
    gets: microsPerKwh(150_000n),
    offered: wattHours(800n),
    wanted: wattHours(5000n),
  }
  assert.is(must(billOf([slot(0, 1000, 0, [], { market })])).regret, 80_000n)
  assert.is(must(billOf([slot(0, 1000, 0, [trade('bought', 800, 200_000)], { market })])).regret, 0n)
  assert.is(must(billOf([slot(0, 0, 1000, [], { market })])).regret, 100_000n)
  // A better contract than the market's makes up for no other slot.
  const both = [slot(0, 1000, 0, [trade('bought', 1000, 100_000)], { market }), slot(1, 1000, 0, [], { market })]
  assert.is(must(billOf(both)).regret, 80_000n)
  assert.is(must(billOf([slot(0, 1000, 0, [])])).regret, undefined)
})

t('a slot without a reading bills its contracts alone, and is named', () => {
  const { metered: _, ...unread } = slot(3, 0, 0, [trade('bought', 500, 200_000)])
  const bill = must(billOf([unread]))
  assert.equal(bill.unmetered, [3 * HOUR])
  assert.is(bill.lines.length, 1)
  assert.is(bill.saved, 50_000n)
})

t('records that cannot be are refused with the values', () => {
  const code = (...slots: BilledSlot[]) => {
    const bill = billOf(slots)
    return bill.ok || bill.fault.code
  }
  assert.is(code(slot(0, 100, 0, [trade('bought', 101, 1)])), 'bill.overbooked')
  assert.is(code(slot(0, 100, 0, [trade('sold', 1, 1)])), 'bill.overbooked')
  assert.is(code(slot(0, 100, 0, []), slot(0, 100, 0, [])), 'bill.slot-twice')
  assert.is(code(slot(0, 100, 0, [trade('bought', 1, 1), trade('bought', 1, 1)])), 'bill.contract-twice')
  assert.is(code(slot(0, -1, 0, [])), 'bill.negative')
  assert.is(code(slot(0, 1, 0, [trade('bought', 1, 1, { shortfall: -1n })])), 'bill.negative')
})

const random = fc.record({
  surplus: fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 2, maxLength: 4 }),
  need: fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 2, maxLength: 4 }),
  contracts: fc.array(
    fc.record({
      seller: fc.nat(3),
      buyer: fc.nat(3),
      energy: fc.integer({ min: 1, max: 4000 }),
      // Between feed-in and the tariff, so that nobody loses by price.
      price: fc.integer({ min: 50_000, max: 300_000 }),
    }),
    { maxLength: 8 },
  ),
  tolerance: fc.constantFrom(0, 10_000),
})

t(
  'the lines of all sites are what the settlement booked: each Wh once, each micro-unit once, nobody worse off unsaid',
  () => {
    assertProperty(
      fc.property(random, ({ surplus, need, contracts, tolerance }) => {
        const slotContracts = contracts.map(({ seller, buyer, energy, price }, i) => ({
          id: `c${i}`,
          sellerMeter: `s${seller % surplus.length}`,
          buyerMeter: `b${buyer % need.length}`,
          energy: wattHours(BigInt(energy)),
          price: microsPerKwh(BigInt(price)),
          tolerance: wattHours(BigInt(tolerance)),
        }))
        const exported = new Map(surplus.map((energy, i) => [`s${i}`, wattHours(BigInt(energy))]))
        const imported = new Map(need.map((energy, i) => [`b${i}`, wattHours(BigInt(energy))]))
        const prices = { feedIn: tariff.fedIn, drawn: tariff.drawn, shortfall: microsPerKwh(20_000n) }
        const settled = must(settleSlot({ contracts: slotContracts, exported, imported, prices }))
        for (const { meterId, money } of settled.meters) {
          const trades = settled.contracts.flatMap(({ id, delivered, seller, buyer }): BilledTrade[] => {
            const { sellerMeter, buyerMeter, price } = slotContracts.find(one => one.id === id)!
            const fee = microsPerKwh(0n)
            return [
              ...(sellerMeter === meterId
                ? [{ contract: id, side: 'sold' as const, delivered, price, fee, shortfall: seller.charge }]
                : []),
              ...(buyerMeter === meterId
                ? [{ contract: id, side: 'bought' as const, delivered, price, fee, shortfall: buyer.charge }]
                : []),
            ]
          })
          const metered = {
            imported: imported.get(meterId) ?? wattHours(0n),
            exported: exported.get(meterId) ?? wattHours(0n),
          }
          const bill = must(billOf([{ start: instant(0), tariff, metered, trades }]))
          assert.is(bill.money, money, 'as the settlement says')
          const wh = (...kinds: string[]) =>
            bill.lines.reduce((sum, { kind, energy }) => sum + (kinds.includes(kind) ? (energy ?? 0n) : 0n), 0n)
          assert.is(wh('bought', 'drawn'), metered.imported)
          assert.is(wh('sold', 'fed-in'), metered.exported)
          assert.is(bill.worse !== undefined, bill.saved < 0n)
          const charged = trades.some(({ shortfall }) => shortfall > 0n)
          if (!charged) assert.ok(bill.saved >= -BigInt(trades.length), `only fractions are lost: ${bill.saved}`)
          if (charged && bill.saved < 0n) assert.is(bill.worse![0]!.reason, 'shortfall')
        }
      }),
    )
  },
)

t(
  'the coming bill takes the better of market and supplier at each quantile, and is absent where the forecast is',
  () => {
    const start = instant(0)
    const energies = [-2_000_000n, 0n, 1_500_001n].map(milliwattHours)
    const expected = { pays: microsPerKwh(200_000n), gets: microsPerKwh(40_000n) }
    assert.equal(
      billForecast(
        [
          { start, energies },
          { start, absent: 'no-like-slot' },
        ],
        tariff,
        () => expected,
      ),
      [
        { start, pays: 200_000n, gets: 50_000n, money: [100_000n, 0n, -300_200n] },
        { start, absent: 'no-like-slot' },
      ],
    )
    assert.equal(
      billForecast([{ start, energies: [milliwattHours(1_000_000n)] }], tariff, () => undefined),
      [{ start, pays: 300_000n, gets: 50_000n, money: [-300_000n] }],
    )
  },
)

t('prices are forecast from those seen at the same hour, and are absent where none was', () => {
  const seen = Array.from({ length: 7 }, (_, day) => ({
    start: instant(day * 24 * HOUR + 12 * HOUR),
    price: microsPerKwh(150_000n),
  }))
  const given = { slotMs: HOUR, now: 7 * 24 * HOUR, offsetAt: () => 0, classAt: () => 0 }
  const at = (hour: number) => instant((7 * 24 + hour) * HOUR)
  assert.equal(forecastPrice(seen, at(12), given, [500]), [150_000n])
  assert.is(forecastPrice(seen, at(3), given, [500]), undefined)
})

t.run()
