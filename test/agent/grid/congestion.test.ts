/** A price for congestion, from the distributor's configuration to the money on its account: judged by the distribution ledger. */
import type { District, DistrictSite } from '../../../hw/scenario/district.ts'
import { dealsOf, reservationsOf } from '../../../hw/scenario/ledger-view.ts'
import { openDistrict } from '../../../hw/scenario/run-district.ts'
import { constantProfile } from '../../../hw/sim/profile.ts'
import { equalBytes, toHex } from '../../../protocol/bytes.ts'
import { milliwatts } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('grid congestion')
const W = (watts: number) => constantProfile(milliwatts(watts * 1000))
/** Divides a quarter of an hour, so that a reservation is of one of them. */
const SLOT = 180_000
const PACE = { pace: { gridEveryMs: 2_000, followMs: 2_000 }, blockMs: 1_000 }
const WINDOWS = { lead: '60s', receipt_window: '20s', dispute_window: '20s' }

const home = (name: string, watts: number): DistrictSite => ({
  ...{ name, role: 'household', node: 'oak', profile: { load: W(watts), generation: W(0) } },
  grid: { ...WINDOWS, buy: { limit: '0.90', opening: '0.10', least: '5Wh' } },
})
const district = (congestion: string | undefined): District => ({
  slotMs: SLOT,
  distributor: 'wires',
  feeders: [
    { id: 'town', capacityWh: 20_000, tariff: '0.01' },
    {
      id: 'elm',
      feeder: 'town',
      capacityWh: 4_000,
      tariff: '0.02',
      ...(congestion === undefined ? {} : { congestion }),
    },
    { id: 'oak', feeder: 'town', capacityWh: 4_000, tariff: '0.03' },
  ],
  sites: [
    { name: 'wires', role: 'distributor', node: 'town', profile: { load: W(50), generation: W(0) } },
    {
      ...{ name: 'roof', role: 'household', node: 'elm', source: 'solar' },
      profile: { load: W(300), generation: W(6_300) },
      grid: { ...WINDOWS, sell: { reserve: '0.10', opening: '0.10' } },
    },
    home('ash', 1_200),
    home('ivy', 2_400),
  ],
})
/** Up elm and down oak: 0.02 + 0.03. */
const TARIFFS = 50_000n
/** 0.40 for a kWh where all 4,000 Wh of a quarter are reserved. */
const FULL = 400_000n
const CAPACITY = 4_000n

async function trade(congestion: string | undefined, seed: number) {
  const run = await openDistrict(district(congestion), { seed, ...PACE })
  await run.advance(6 * SLOT)
  const reservations = reservationsOf(run).map(([, one]) => one)
  const deals = new Map(dealsOf(run).map(({ hash, deal }) => [hash, deal]))
  const settled = reservationsOf(run).filter(([, { state }]) => state === 'claimed')
  for (const [hash, { price, outcome }] of settled) {
    assert.is(outcome!.paid, ((deals.get(hash)!.outcome!.delivered * price) / 1000n) as never)
    // The buyer's price holds the fee: 0.10 for the energy, and the way.
    assert.is(deals.get(hash)!.price, (100_000n + price) as never)
  }
  const kept = run
    .agent('roof')
    .grid!.deals()
    .flatMap(({ runner }) => runner.deal().feePaid ?? [])
  await run.stop()
  return { reservations, settled, kept }
}

test('the fee is the tariffs and the share of the slot that was reserved already; without a congestion price, the tariffs', async () => {
  const { reservations, settled, kept } = await trade('0.40', 3)
  assert.ok(settled.length >= 4, `${settled.length} settled`)
  const above = reservations.filter(({ price }) => price > TARIFFS)
  assert.ok(above.length >= 2, `${above.length} above the tariffs`)
  // Whoever comes later in a slot of the lines pays for what others reserved there, no more and no less: of each price there is
  // a sum of earlier reservations of that quarter that makes it.
  for (const { price, start } of reservations) {
    const quarter = Math.floor(start / 900_000)
    const others = reservations.filter(one => Math.floor(one.start / 900_000) === quarter).map(({ energy }) => energy)
    const sums = new Set([0n])
    for (const energy of others) for (const sum of [...sums]) sums.add(sum + energy)
    const prices = [...sums].map(sum => TARIFFS + (FULL * sum) / CAPACITY)
    assert.ok(prices.includes(price), `${price}`)
  }
  // What the seller keeps for its bill is what the ledger took.
  const paid = settled.map(([, { price, outcome }]) => `${price} ${outcome!.paid}`)
  assert.ok(kept.length >= 4)
  for (const one of kept) assert.ok(paid.includes(`${one.price} ${one.paid}`))

  const plain = await trade(undefined, 3)
  assert.ok(plain.settled.length >= 4)
  assert.ok(plain.reservations.every(({ price }) => price === TARIFFS))
}, 180_000)

test('once the distributor is dead a contract ends by name, none is made any more, and no money is held anywhere', async () => {
  const run = await openDistrict(district('0.40'), { seed: 3, ...PACE })
  const sold = () =>
    run
      .agent('roof')
      .grid!.deals()
      .map(({ runner }) => runner.deal())
  assert.ok(await run.until(() => reservationsOf(run).length >= 2, 6 * SLOT))
  // The way was asked for and the contract is made, but not signed by both: the fee is asked for next.
  const half = () => sold().filter(({ state }) => state === 'proposed')
  for (let look = 0; half().length === 0 && look < 30_000; look++) await run.advance(20)
  const waiting = half()
  assert.ok(waiting.length > 0)
  run.ports.sites.get('wires')!.crash('now', () => run.running.forget('wires'))
  const until = run.running.clock.now()
  await run.advance(3 * SLOT)
  const ends = waiting.map(one => sold().find(({ hash }) => equalBytes(hash, one.hash))!)
  assert.equal(
    ends.map(({ cause, state }) => `${state} ${cause?.code}`),
    ends.map(() => 'aborted grid.fee-unsigned'),
  )
  const reserved = new Set(reservationsOf(run).map(([hash]) => hash))
  const committed = new Set(dealsOf(run).map(({ hash }) => hash))
  for (const { hash } of ends) assert.equal([reserved.has(toHex(hash)), committed.has(toHex(hash))], [false, false])
  // Slots came and were asked for; without a price nobody bid.
  assert.ok(sold().every(({ contract }) => contract.start < until + 2 * SLOT))
  const refused = run.agent('roof').grid!.stats().offering
  assert.ok(JSON.stringify(refused).includes('distributor.offer-required'), JSON.stringify(refused))
  await run.windDown()
  assert.ok(reservationsOf(run).every(([, { state }]) => state !== 'held'))
  await run.stop()
}, 180_000)

test.run()
