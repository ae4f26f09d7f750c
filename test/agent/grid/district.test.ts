/** Full agents on a feeder, both ledgers and two brokers in virtual time: from a request to the money, judged by the ledgers. */

import { accountsBalance } from '../../../hw/scenario/accounts.ts'
import type { District, DistrictSite } from '../../../hw/scenario/district.ts'
import { dealsOf, halfCommitted, reservationsOf } from '../../../hw/scenario/ledger-view.ts'
import { type DistrictRun, openDistrict } from '../../../hw/scenario/run-district.ts'
import { constantProfile } from '../../../hw/sim/profile.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { milliwatts } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'

const W = (watts: number) => constantProfile(milliwatts(watts * 1000))
const SLOT = 120_000
const WINDOWS = { lead: '60s', receipt_window: '20s', dispute_window: '20s' }

const home = (name: string, way: string, watts: number): DistrictSite => ({
  name,
  role: 'household',
  node: 'oak',
  profile: { load: W(watts), generation: W(0) },
  grid: { ...WINDOWS, way, buy: { limit: '0.30', opening: '0.10', least: '5Wh' } },
})

const district = (change: Partial<District> = {}): District => ({
  slotMs: SLOT,
  distributor: 'wires',
  feeders: [
    { id: 'town', capacityWh: 20_000, tariff: '0.01' },
    { id: 'elm', feeder: 'town', capacityWh: 4_000, tariff: '0.02' },
    { id: 'oak', feeder: 'town', capacityWh: 4_000, tariff: '0.03' },
  ],
  sites: [
    { name: 'wires', role: 'distributor', node: 'town', profile: { load: W(50), generation: W(0) } },
    {
      name: 'roof',
      role: 'household',
      node: 'elm',
      source: 'solar',
      profile: { load: W(300), generation: W(6_300) },
      grid: { ...WINDOWS, sell: { reserve: '0.10', opening: '0.10' } },
    },
    home('ash', 'matching', 1_200),
    home('ivy', 'bidding', 2_400),
  ],
  ...change,
})

const PACE = { pace: { gridEveryMs: 2_000, followMs: 2_000 }, blockMs: 1_000 }

/** Until every deal and reservation of the run is closed; nothing new is begun meanwhile. */
async function finish(run: DistrictRun): Promise<boolean> {
  for (const agent of run.running.agents.values()) agent.trading.windDown()
  const deals = await run.until(() => dealsOf(run).every(({ deal }) => deal.state !== 'locked'), 6 * SLOT)
  return deals && (await run.until(() => reservationsOf(run).every(([, { state }]) => state !== 'held'), 4 * SLOT))
}

const test = suite('grid district')

test('matching and bidding: from a request to the money on both ledgers, the fee to the distributor', async () => {
  const run = await openDistrict(district(), { seed: 3, ...PACE })
  await run.advance(3 * SLOT)
  assert.ok(await finish(run), 'everything is closed')
  const deals = dealsOf(run)
  assert.ok(deals.length >= 4, `${deals.length} deals`)
  for (const { deal, seller, buyer } of deals) {
    assert.is(deal.state, 'settled', `${seller} to ${buyer}`)
    // Steady homes and a roof that has enough: 40 Wh and 80 Wh of each slot, but for the watt-hour of a boundary.
    const wanted = buyer === 'ash' ? 40n : 80n
    const { delivered, paid } = deal.outcome!
    assert.ok(delivered <= wanted + 1n && delivered + 3n >= wanted, `${delivered} Wh of ${wanted}`)
    // 0.10 for the energy and 0.02 + 0.03 for the way.
    assert.is(deal.price, 150_000n as never)
    assert.is(paid, ((delivered * 150_000n) / 1000n) as never)
  }
  assert.equal(new Set(deals.map(({ buyer }) => buyer)), new Set(['ash', 'ivy']))
  // The distributor looks again before it counts them.
  await run.advance(15_000)
  const { claimed, paid } = run.agent('wires').parts.distributor!.revenue()
  assert.is(claimed, deals.length)
  const delivered = deals.map(({ deal }) => (deal.outcome!.delivered * 50_000n) / 1000n)
  assert.is(paid, delivered.reduce((sum, fee) => sum + fee, 0n) as never)
  const { settled, earned } = run.agent('roof').grid!.stats()
  assert.is(settled, deals.length)
  assert.is(
    earned,
    deals.reduce((sum, { deal }) => sum + deal.outcome!.paid, 0n),
  )
  await run.stop()
}, 120_000)

test('each broker dies in turn, and deals close all the same', async () => {
  const run = await openDistrict(district(), { seed: 4, brokers: 2, ...PACE })
  await run.advance(SLOT)
  for (const broker of run.ports.simBrokers) {
    const before = dealsOf(run).length
    broker.setUp(false)
    await run.advance(2 * SLOT)
    assert.ok(dealsOf(run).length > before, 'a deal is made with one broker down')
    broker.setUp(true)
    await run.advance(10_000)
  }
  assert.ok(await finish(run), 'everything is closed')
  assert.ok(dealsOf(run).every(({ deal }) => deal.state === 'settled'))
  await run.stop()
}, 120_000)

test('call auction: everybody clears the same book, and the pairs trade at its price', async () => {
  const way = (site: DistrictSite): DistrictSite =>
    site.grid === undefined ? site : { ...site, grid: { ...site.grid, way: 'auction' } }
  const plain = district()
  const run = await openDistrict({ ...plain, sites: plain.sites.map(way) }, { seed: 6, ...PACE })
  await run.advance(3 * SLOT)
  const books = ['roof', 'ash', 'ivy'].map(site => run.agent(site).grid!.cleared())
  const known = books[0]!.find(({ price }) => price !== undefined)!
  // Bids of 40 and 80 Wh at 0.30; 200 Wh offered at 0.10 and 0.05 for the way, of which some stay unfilled: no price above that clears.
  assert.is(known.orders, 3)
  assert.is(known.price, 150_000n as never)
  for (const book of books)
    assert.equal(
      book.find(({ start }) => start === known.start),
      known,
    )
  assert.ok(await finish(run), 'everything is closed')
  const deals = dealsOf(run)
  assert.ok(deals.length >= 2, `${deals.length} deals`)
  assert.ok(deals.every(({ deal }) => deal.state === 'settled' && deal.price === known.price))
  await run.stop()
}, 120_000)

test('each party dies in the middle of a deal and comes back: every payment and every fee has an end, none is half', async () => {
  const run = await openDistrict(district(), { seed: 8, ...PACE })
  // A reservation, a payment, a reading and a receipt are under way at these moments after the gate.
  for (const [site, afterGate] of [
    ['roof', 500],
    ['ash', 3_000],
    ['ivy', 65_000],
    ['wires', 1_000],
    ['roof', 121_000],
  ] as const) {
    const gate = SLOT - 60_000
    const toGate = (gate - (run.running.clock.now() % SLOT) + SLOT) % SLOT
    await run.advance(toGate + afterGate)
    run.ports.sites.get(site)!.crash('now', () => run.running.forget(site))
    await run.advance(3_000)
    assert.ok((await awaited(run.ports.time, run.running.start(site))).ok)
  }
  await run.advance(SLOT)
  assert.ok(await finish(run), 'everything is closed')
  assert.ok(dealsOf(run).length >= 6, `${dealsOf(run).length} deals`)
  assert.equal(halfCommitted(run), [])
  for (const { deal } of dealsOf(run)) {
    const { paid, refunded } = deal.outcome!
    assert.is(paid + refunded, deal.escrow as bigint)
  }
  await run.stop()
}, 180_000)

test('lines that nobody has announced: nothing is sold, the refusal has its name, and nothing is locked', async () => {
  const run = await openDistrict(district(), { seed: 5, ...PACE, absent: ['wires'] })
  await run.advance(2 * SLOT)
  assert.equal(dealsOf(run), [])
  assert.equal(reservationsOf(run), [])
  const { refused, open } = run.agent('roof').grid!.stats().offering
  assert.ok((refused['ledger.line-unknown'] ?? 0) > 0, JSON.stringify(refused))
  assert.is(open, 0)
  await run.stop()
}, 120_000)

test('the distributor dies for good: deals go on, and its fees reach its account', async () => {
  const run = await openDistrict(district(), { seed: 5, ...PACE })
  await run.advance(SLOT)
  run.ports.sites.get('wires')!.crash('now', () => run.running.forget('wires'))
  const died = run.running.clock.now()
  await run.advance(3 * SLOT)
  assert.ok(await finish(run), 'everything is closed')
  const after = dealsOf(run).filter(({ deal }) => deal.start > died + SLOT)
  assert.ok(after.length >= 2, `${after.length} deals agreed without it`)
  assert.ok(after.every(({ deal }) => deal.state === 'settled'))
  // The same price as with its word: 0.10 for the energy, 0.02 + 0.03 for the way.
  assert.ok(after.every(({ deal }) => deal.price === 150_000n))
  const reservations = new Map(reservationsOf(run))
  for (const { hash, deal } of after) {
    const { state, outcome } = reservations.get(hash)!
    assert.is(state, 'claimed')
    assert.is(outcome!.paid, ((deal.outcome!.delivered * 50_000n) / 1000n) as never)
    assert.ok(outcome!.at - deal.outcome!.at < 120_000, 'long before it would expire')
  }
  assert.ok(accountsBalance(run))
  assert.ok(run.agent('roof').parts.claims!.stats().handedIn >= after.length)
  await run.stop()
}, 120_000)

test('while the distributor is there, a seller leaves the claims to it', async () => {
  const run = await openDistrict(district(), { seed: 7, ...PACE })
  await run.advance(2 * SLOT)
  assert.ok(await finish(run), 'everything is closed')
  await run.advance(120_000)
  const { handedIn, claimed, waiting } = run.agent('roof').parts.claims!.stats()
  assert.is(handedIn, 0)
  assert.is(waiting, 0)
  assert.ok(claimed > 0)
  await run.stop()
}, 120_000)

test.run()
