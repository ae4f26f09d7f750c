/**
 * The bill of full agents that deal over a direct line: judged by the ledger's own records and by the energy that the wires
 * carried, on the line and through the meters of the grid.
 */
import type { SiteBill } from '../../../agent/bill/site-bill.ts'
import type { District, DistrictSite } from '../../../hw/scenario/district.ts'
import { dealsOf } from '../../../hw/scenario/ledger-view.ts'
import { type DistrictRun, openDistrict } from '../../../hw/scenario/run-district.ts'
import { constantProfile } from '../../../hw/sim/profile.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { milliwatts } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('cable bill')

const W = (watts: number) => constantProfile(milliwatts(watts * 1000))
const QUARTER = 900_000
const [IMPORT, FEED_IN] = [300n, 80n]
const home = (name: string, load: number, generation: number, more: Partial<DistrictSite>): DistrictSite => ({
  ...{ name, role: 'household', node: name, profile: { load: W(load), generation: W(generation) } },
  // Nobody sells over the grid: what a kWh costs and brings there is what counts.
  grid: { buy: { limit: '0.01', opening: '0.01' }, tariff: { import: '0.30', feed_in: '0.08' } },
  ...more,
})
const district: District = {
  slotMs: QUARTER,
  feeders: [],
  lines: [
    {
      ...{ id: 'C1', seller: 'maple', buyer: 'cedar', limitMa: 20_000, lossPermille: 4 },
      ...{ sellerMeterId: '51000001', buyerMeterId: '51000002' },
    },
  ],
  sites: [
    home('maple', 400, 5_000, { source: 'solar' }),
    home('cedar', 300, 0, { circuit: { name: 'heat pump', demandW: 2_500 } }),
  ],
}
/** A deal of a minute, and four minutes of nothing. */
const PACE = { pace: { gridEveryMs: 5_000, followMs: 4_000, holdMs: 1_500, pauseMs: 240_000 }, blockMs: 1_000 }

async function billOf(run: DistrictRun, name: string): Promise<SiteBill> {
  const now = run.running.clock.now()
  const bill = await awaited(run.ports.time, run.agent(name).parts.bills!.bill('day', now))
  if (!bill.ok) throw new Error(JSON.stringify(bill.fault))
  return bill.value
}

/** Whole watt-hours are counted from fractions: within one, and what a reading takes at a boundary. */
const near = (a: bigint, b: bigint, most = 2n): boolean => (a > b ? a - b : b - a) <= most

test('deals over a line are in the bill as the ledger settled them, beside the grid meter and not in it, after a restart too', async () => {
  const run = await openDistrict(district, { seed: 5, ...PACE })
  const { clock, wires } = run.running
  // Into the first whole quarter, and through it.
  const first = Math.ceil(clock.now() / QUARTER) * QUARTER
  const until = first + QUARTER
  await run.advance(until - clock.now())
  for (const agent of run.running.agents.values()) agent.trading.windDown()
  await run.until(() => dealsOf(run).every(({ deal }) => deal.state !== 'locked'), 300_000)
  await run.advance(60_000)

  const settled = dealsOf(run)
    .map(({ deal }) => deal)
    .filter(({ state, end }) => state === 'settled' && end <= until)
  assert.ok(settled.length >= 3, `${settled.length} settled`)
  const sum = (pick: (deal: (typeof settled)[number]) => bigint) => settled.reduce((all, deal) => all + pick(deal), 0n)
  const [delivered, paid] = [sum(({ outcome }) => outcome!.delivered), sum(({ outcome }) => outcome!.paid)]
  const gross = sum(({ outcome }) => outcome!.delivered * IMPORT)
  // The line's own meters: nothing else flowed there, and the buyer is paid for no more than arrived.
  const arrived = wires.lineMeter('C1', 'buyer').imported / 1000n
  assert.ok(delivered > 0n && delivered <= arrived && arrived - delivered <= BigInt(dealsOf(run).length) * 3n)
  assert.is(run.running.violations.length, 0)
  const count = (name: string, way: 'imported' | 'exported') => {
    const at = run.counted.get(name)!
    return (at.get(until)![way] - at.get(first)![way]) / 1000n
  }

  const cedar = await billOf(run, 'cedar')
  assert.is(cedar.until, until)
  assert.equal(
    cedar.missing.map(({ end, why }) => [end, why]),
    [[first, 'no-reading']],
  )
  assert.is(cedar.energy.bought, delivered)
  // 300 W for a quarter of an hour, and the heat pump where no deal feeds it.
  assert.ok(near(cedar.energy.drawn, count('cedar', 'imported')), `${cedar.energy.drawn}`)
  assert.ok(cedar.energy.drawn >= 74n)
  assert.equal([cedar.energy.sold, cedar.energy['fed-in'], cedar.fees], [0n, 0n, 0n])
  const deals = BigInt(settled.length)
  assert.ok(near(cedar.money, -paid - cedar.energy.drawn * IMPORT, deals))
  assert.ok(near(cedar.saved, gross - paid, deals) && cedar.saved > 0n)
  assert.equal(cedar.now, { pays: IMPORT * 1000n, gets: FEED_IN * 1000n })

  const maple = await billOf(run, 'maple')
  assert.is(maple.energy.sold, delivered)
  // What goes over the line does not go through the grid's meter: 4.6 kW of surplus, less that.
  assert.ok(near(maple.energy['fed-in'], count('maple', 'exported')), `${maple.energy['fed-in']}`)
  assert.ok(maple.energy['fed-in'] < 1_150n - 35n)
  assert.equal([maple.energy.bought, maple.energy.drawn, maple.fees], [0n, 0n, 0n])
  assert.ok(near(maple.money, paid + maple.energy['fed-in'] * FEED_IN, deals))
  assert.ok(near(maple.saved, paid - delivered * FEED_IN, deals) && maple.saved > 0n)

  for (const [name, before] of [
    ['cedar', cedar],
    ['maple', maple],
  ] as const) {
    run.ports.sites.get(name)!.crash('now', () => run.running.forget(name))
    assert.ok((await awaited(run.ports.time, run.running.start(name))).ok)
    assert.equal(await billOf(run, name), before, name)
  }
  await run.stop()
}, 180_000)

test.run()
