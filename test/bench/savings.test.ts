import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { openOptimiser } from '../../drivers/optimiser/highs.ts'
import { noSharedData } from '../data.ts'
import { assert, suite } from '../harness.ts'
import { readHomes } from './profiles.ts'
import type { Row } from './report.ts'
import { forecastOutlook, foresightCost, groupUse, ownUse } from './savings-battery.ts'
import {
  byOrders,
  bySharing,
  costOf,
  deliverable,
  expectFrom,
  expectTruth,
  leastSaved,
  netsOf,
  perfectNetting,
  savedBy,
  withoutTrading,
} from './savings-year.ts'

const t = suite('savings of the public homes')

/** Ten days of summer. */
const HOURS = 10 * 24
const read = (hours: number | undefined = HOURS) => {
  const homes = readHomes(hours)
  const nets = netsOf(homes)
  return { homes, nets, none: withoutTrading(nets), ceiling: savedBy(perfectNetting(nets)) / 1e6 }
}

t.skipIf(
  noSharedData,
  'over the year a group that shares what its meters signed saves what perfect netting would, and everybody gains',
  () => {
    const { nets, none, ceiling } = read(Number.POSITIVE_INFINITY)
    // 6.14 % with panels on all eight homes, worked out apart from this code.
    assert.ok(Math.abs(ceiling / costOf(none) - 0.0614) < 0.0001)
    const ours = bySharing(nets)
    const saved = costOf(none) - costOf(ours)
    assert.ok(saved >= 0.95 * ceiling, `${saved} of ${ceiling}`)
    // A micro-unit a home and hour is what rounding can move.
    assert.ok(saved <= ceiling + (8 * nets[0]!.length) / 1e6)
    assert.ok(leastSaved(ours, none) > 0n)
  },
  60_000,
)

t.skipIf(
  noSharedData,
  'orders of the truth reach the ceiling, orders of a forecast less, and nobody is worse off by them',
  () => {
    const { homes, nets, none, ceiling } = read()
    const saved = (ours: { readonly money: readonly bigint[]; readonly traded: number }) => costOf(none) - costOf(ours)
    const truth = byOrders(nets, expectTruth(nets), 'as-available', 'book')
    assert.ok(Math.abs(saved(truth) - ceiling) < 0.01, `${saved(truth)} of ${ceiling}`)
    const hour = expectFrom(homes, 1, 900)
    for (const pairing of ['book', 'mesh'] as const) {
      const ours = byOrders(nets, hour, 'as-available', pairing)
      assert.ok(saved(ours) > 0.3 * ceiling && saved(ours) <= savedBy(deliverable(nets, hour)) / 1e6 + 0.01)
      assert.ok(leastSaved(ours, none) > 0n)
    }
  },
  60_000,
)

t.skipIf(
  noSharedData,
  'batteries that serve the group save more than for own use alone, and less than perfect foresight',
  async () => {
    const { homes, nets } = read()
    const own = ownUse(homes, nets)
    const alone = costOf(withoutTrading(own))
    const shared = costOf(bySharing(own))
    const group = costOf(bySharing(groupUse(homes, nets, forecastOutlook(homes))))
    const best = foresightCost(homes, nets, await openOptimiser()) / 1e6
    assert.ok(best < group && group < shared && shared < alone, `${best} < ${group} < ${shared} < ${alone}`)
    // One home and one hour, by hand: 1 kWh of load at 0.30 and an empty battery.
    const optimum = foresightCost([{ ...homes[0]!, batteryWh: 0 }], [[1000]], await openOptimiser())
    assert.is(Math.round(optimum), 300_000)
  },
  120_000,
)

t.skipIf(
  noSharedData,
  'the bench runs, and answers with every figure',
  () => {
    const program = fileURLToPath(new URL('./savings.ts', import.meta.url))
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', program, '--smoke', '--json'], {
      encoding: 'utf8',
    })
    assert.is(status, 0, stderr)
    const { rows } = JSON.parse(stdout) as { rows: readonly Row[] }
    assert.equal(
      rows.map(({ id }) => id),
      [
        ...['none', 'ceiling', 'ours', 'orders.truth', 'orders.hour', 'orders.mesh', 'orders.passed-on', 'orders.day'],
        ...['orders.firm', 'storage', 'half.ours', 'battery.none', 'battery.own', 'battery.ours', 'battery.truth'],
      ],
    )
    for (const { id, value } of rows) assert.ok(Number.isFinite(value), id)
  },
  120_000,
)

t.run()
