/** The bill of full agents on two ledgers: judged by the ledgers' own records and by the power that was put on the meters. */
import type { SiteBill } from '../../../agent/bill/site-bill.ts'
import type { District, DistrictSite } from '../../../hw/scenario/district.ts'
import { dealsOf, reservationsOf } from '../../../hw/scenario/ledger-view.ts'
import { type DistrictRun, openDistrict } from '../../../hw/scenario/run-district.ts'
import { constantProfile } from '../../../hw/sim/profile.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { milliwatts } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('district bill')

const W = (watts: number) => constantProfile(milliwatts(watts * 1000))
const QUARTER = 900_000
const WINDOWS = {
  lead: '60s',
  receipt_window: '60s',
  dispute_window: '60s',
  tariff: { import: '0.30', feed_in: '0.08' },
}

const site = (
  name: string,
  node: string,
  load: number,
  generation: number,
  grid: Record<string, unknown>,
): DistrictSite => ({
  ...{ name, role: 'household', node, source: 'solar' },
  profile: { load: W(load), generation: W(generation) },
  grid: { ...WINDOWS, ...grid },
})
const district: District = {
  slotMs: QUARTER,
  distributor: 'wires',
  feeders: [
    { id: 'town', capacityWh: 20_000, tariff: '0.01' },
    { id: 'elm', feeder: 'town', capacityWh: 4_000, tariff: '0.02' },
    { id: 'oak', feeder: 'town', capacityWh: 4_000, tariff: '0.03' },
  ],
  sites: [
    { name: 'wires', role: 'distributor', node: 'town', profile: { load: W(50), generation: W(0) } },
    site('roof', 'elm', 300, 2_300, { sell: { reserve: '0.10', opening: '0.10' } }),
    // 300 Wh in a quarter, of which it asks for 250: the rest is the supplier's.
    site('ash', 'oak', 1_200, 0, { buy: { limit: '0.28', opening: '0.10', least: '5Wh', energy: '250Wh' } }),
  ],
}
const PACE = { pace: { gridEveryMs: 10_000, followMs: 5_000 }, blockMs: 5_000 }

async function billOf(run: DistrictRun, name: string): Promise<SiteBill> {
  const now = run.running.clock.now()
  const bill = await awaited(run.ports.time, run.agent(name).parts.bills!.bill('day', now))
  if (!bill.ok) throw new Error(JSON.stringify(bill.fault))
  return bill.value
}

test('the bill is what both ledgers paid and what the meters counted beside it, before and after a restart', async () => {
  const run = await openDistrict(district, { seed: 11, ...PACE })
  const { clock } = run.running
  // Into the first whole quarter, and through two of them.
  const first = Math.ceil(clock.now() / QUARTER) * QUARTER
  await run.advance(first + 2 * QUARTER + 20_000 - clock.now())
  const early = await billOf(run, 'ash')
  assert.is(early.until, first + 2 * QUARTER)
  assert.is(early.missing.at(-1)?.why, 'not-settled', 'receipts have a minute')
  await run.advance(5 * 60_000)

  const settled = dealsOf(run).filter(({ deal }) => deal.start >= first && deal.end <= first + 2 * QUARTER)
  assert.ok(settled.length >= 2 && settled.every(({ deal }) => deal.state === 'settled'))
  const fees = new Map(reservationsOf(run).map(([hash, { outcome }]): [string, bigint] => [hash, outcome?.paid ?? 0n]))
  const sums = settled.reduce(
    (sum, { hash, deal: { outcome } }) => ({
      delivered: sum.delivered + outcome!.delivered,
      paid: sum.paid + outcome!.paid,
      fee: sum.fee + fees.get(hash)!,
    }),
    { delivered: 0n, paid: 0n, fee: 0n },
  )
  assert.ok(sums.delivered >= 490n && sums.fee > 0n)

  const ash = await billOf(run, 'ash')
  // The site began in the middle of a quarter, at whose beginning nobody read its meter.
  assert.equal(
    ash.missing.map(({ end, why }) => [end, why]),
    [[first, 'no-reading']],
  )
  assert.is(ash.energy.bought, sums.delivered)
  assert.ok(near(ash.energy.bought + ash.energy.drawn, 600n), `${ash.energy.drawn} drawn`)
  assert.ok(
    near(ash.money, -sums.paid - ash.energy.drawn * 300n, 2n),
    'two slots, each rounded up by less than a micro',
  )
  assert.ok(near(ash.saved, ash.energy.bought * 300n - sums.paid, 2n))
  assert.is(ash.fees, 0n)
  assert.is(ash.now.gets, 80_000n)
  assert.is(ash.now.pays, settled[0]!.deal.price, 'a contract is running')

  const roof = await billOf(run, 'roof')
  assert.is(roof.energy.sold, sums.delivered)
  assert.ok(near(roof.energy.sold + roof.energy['fed-in'], 1000n), `${roof.energy['fed-in']} fed in`)
  assert.is(roof.fees, -sums.fee)
  assert.ok(near(roof.money, sums.paid - sums.fee + roof.energy['fed-in'] * 80n, 2n))
  assert.ok(roof.saved > 0n)

  for (const name of ['ash', 'roof']) {
    const before = await billOf(run, name)
    run.ports.sites.get(name)!.crash('now', () => run.running.forget(name))
    assert.ok((await awaited(run.ports.time, run.running.start(name))).ok)
    const after = await billOf(run, name)
    assert.equal({ ...after, now: before.now }, before, name)
  }
  await run.stop()
}, 180_000)

/** A meter's fractions, and the reading that closes a slot, are within two watt-hours. */
const near = (a: bigint, b: bigint, most = 2n): boolean => (a > b ? a - b : b - a) <= most

test.run()
