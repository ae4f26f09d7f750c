/** Cars at a station, a short while of it: what the wires say of the battery that keeps a reserve, and of the auction. */
import { factsOf, type ParkTerms, runCarPark, STATION } from '../../../hw/scenario/car-park.ts'
import { judgeDistrict } from '../../../hw/scenario/judge-district.ts'
import { dealsOf } from '../../../hw/scenario/ledger-view.ts'
import { openDistrict } from '../../../hw/scenario/run-district.ts'
import { constantProfile } from '../../../hw/sim/profile.ts'
import { assert, suite } from '../../harness.ts'

/** Room for one deal of 42 Wh above the reserve, and not for half of another. */
const TERMS: ParkTerms = { cars: ['ada', 'cyd', 'eli'], slots: 1, reserveWh: 5_930 }

const test = suite('car park scenario')

test('one car sells to another down to its reserve, and the others find their price', async () => {
  const parked = await runCarPark(TERMS, { seed: 3 })
  const { facts, broken } = factsOf(parked, TERMS)
  assert.equal(broken, [])
  const result = await judgeDistrict(parked.run, 'car-park', facts, broken)
  assert.equal(result.problems, [])
  const { least_wh } = facts.reserves['van']!
  // The deal was made, so the wires show it gone; nothing more was sold.
  assert.ok(facts.car_to_car_wh >= 35 && facts.car_to_car_wh <= 42, String(facts.car_to_car_wh))
  assert.ok(least_wh >= 5_930 && least_wh < 5_965, String(least_wh))
  assert.ok(facts.auction_gap <= 0.001, String(facts.auction_gap))
  const sold = dealsOf(parked.run).filter(({ seller }) => seller === 'eli')
  assert.ok(
    sold.length > 0 && sold.reduce((sum, { deal }) => sum + deal.energy, 0n) <= 760n,
    'eli has 800 Wh, less losses',
  )
  assert.ok(facts.assets.every(one => one.trust === 'software' && one.accuracy === 'B' && one.class !== undefined))
  const garage = facts.assets.find(({ owner }) => owner === STATION)!
  assert.equal([garage.class, garage.limits, garage.source], ['charger', { connection_w: 6_000 }, 'conventional'])
}, 240_000)

test('without a reserve the same car sells on, and its battery falls below where it would have stopped', async () => {
  const { run, giverLeastWh } = await runCarPark({ ...TERMS, cars: [], reserveWh: 0 }, { seed: 3 })
  await run.stop()
  assert.ok(giverLeastWh < 5_930, String(giverLeastWh))
}, 240_000)

test('over the grid, too, no more is sold than the battery spares', async () => {
  const W = (watts: number) => constantProfile(watts * 1000)
  const grid = { lead: '50s', receipt_window: '20s', dispute_window: '20s' }
  const run = await openDistrict(
    {
      slotMs: 60_000,
      feeders: [],
      sites: [
        {
          name: 'van',
          role: 'car',
          node: 'yard',
          source: 'battery',
          profile: { load: W(0), generation: W(0) },
          grid: { ...grid, sell: { reserve: '0.10', opening: '0.10', capacity: '20kW' } },
          // 95 % of the 100 Wh above the reserve come out, and 10 Wh stay in for contacts that open late.
          sections: { battery: { capacity: '10kWh', stored: '6kWh', reserve: '5.9kWh' } },
        },
        {
          name: 'shed',
          role: 'household',
          node: 'yard',
          profile: { load: W(6_000), generation: W(0) },
          grid: { ...grid, buy: { limit: '0.30', opening: '0.30', energy: '300Wh', least: '20Wh' } },
        },
      ],
    },
    { seed: 5, pace: { gridEveryMs: 2_000, followMs: 2_000 }, blockMs: 1_000 },
  )
  await run.advance(120_000)
  assert.equal(
    dealsOf(run).map(({ deal }) => deal.energy),
    [85n],
  )
  await run.stop()
}, 240_000)

test.run()
