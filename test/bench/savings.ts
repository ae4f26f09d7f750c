/** What trading saves eight public homes over a year, beside the most that netting within the hour can save. */
import { openOptimiser } from '../../drivers/optimiser/highs.ts'
import { microsPerKwh, milliwattHours } from '../../protocol/quantity.ts'
import { orderPermille } from '../../protocol/trade/strategy.ts'
import { compete } from '../protocol/trade/zero-intelligence.ts'
import { type Home, readHomes } from './profiles.ts'
import { type Row, runBench } from './report.ts'
import { forecastOutlook, foresightCost, groupUse, ownUse, trueOutlook } from './savings-battery.ts'
import {
  byOrders,
  bySharing,
  costOf,
  deliverable,
  expectFrom,
  expectTruth,
  FEE,
  FEED_IN,
  IMPORT,
  leastSaved,
  netsOf,
  type Outcome,
  perfectNetting,
  SHORTFALL,
  type Storage,
  savedBy,
  withoutTrading,
} from './savings-year.ts'

/** What five homes’ batteries hold, run by somebody for all eight. */
const STORAGE: Storage = {
  capacityWh: 32_000,
  powerW: 16_000,
  gets: microsPerKwh(80_000n),
  pays: microsPerKwh(280_000n),
  keptPermille: 900,
}
const withoutPanels = (home: Home): Home => ({ ...home, generation: home.generation.map(() => milliwattHours(0n)) })

/** What ours earn for each coin of as many traders of zero intelligence in the same book, on the side where it is less. */
function strategyShare(): number {
  const { earned } = compete({ rule: 'pay-as-clear', option: 'midpoint', ties: 'first-come' }, 1)
  return Math.min(...(['bid', 'offer'] as const).map(side => earned(true, side) / earned(false, side)))
}

const MONTH_HOURS = 31 * 24
const SMOKE_HOURS = 8 * 24

await runBench(
  'bench:savings',
  'What trading saves eight homes over a year (import 0.30, feed-in 0.05, fee 0.05 a kWh), and its share of what perfect foresight would.',
  async ({ quick, smoke }) => {
    const homes = readHomes(smoke ? SMOKE_HOURS : quick ? MONTH_HOURS : undefined)
    const nets = netsOf(homes)
    const alone = withoutTrading(nets)
    const cost = costOf(alone)
    const ceiling = savedBy(perfectNetting(nets)) / 1e6
    const rows: Row[] = [
      { id: 'none', what: 'cost of all homes without trading, no batteries', value: cost, unit: 'EUR' },
      {
        id: 'ceiling',
        what: 'saved by perfect netting within the hour',
        value: (100 * ceiling) / cost,
        unit: '%',
        asked: '8.7',
        note: 'panels on all eight',
      },
    ]
    const row = (id: string, what: string, saved: number, of: number, most: number, least?: bigint, more?: string) => {
      const note = [
        more,
        least === undefined ? undefined : `the home that gained least: ${(Number(least) / 1e6).toFixed(2)} EUR`,
      ]
      rows.push({
        id,
        what,
        value: (100 * saved) / of,
        unit: '%',
        floor: {
          what: 'perfect foresight',
          value: (100 * most) / of,
          unit: '% with perfect foresight',
          share: saved / most,
        },
        note: note.filter(one => one !== undefined).join('; '),
        ...(least === undefined ? {} : { counts: { leastSavedMicros: Number(least) } }),
      })
    }
    const plain = (id: string, what: string, ours: Outcome, more?: string) =>
      row(id, what, cost - costOf(ours), cost, ceiling, leastSaved(ours, alone), more)

    plain('ours', 'community group, shared by what meters signed', bySharing(nets), '95 % of the ceiling is asked')
    plain('orders.truth', 'orders of what then happened', byOrders(nets, expectTruth(nets), 'as-available', 'book'))
    // A shortfall costs nothing here, so that the most is ordered.
    const gain = microsPerKwh((IMPORT - FEED_IN - FEE) / 2n)
    const hour = expectFrom(homes, 1, orderPermille(gain, microsPerKwh(0n)))
    plain(
      'orders.hour',
      'orders an hour ahead, 95 % quantile, as available',
      byOrders(nets, hour, 'as-available', 'book'),
    )
    plain('orders.mesh', 'the same, everybody with everybody', byOrders(nets, hour, 'as-available', 'mesh'))
    row(
      'orders.passed-on',
      'the same, if what one contract leaves went to the others',
      savedBy(deliverable(nets, hour)) / 1e6,
      cost,
      ceiling,
    )
    plain(
      'orders.day',
      'orders a day ahead, 95 % quantile, as available',
      byOrders(nets, expectFrom(homes, 24, orderPermille(gain, microsPerKwh(0n))), 'as-available', 'book'),
    )
    plain(
      'orders.firm',
      'orders an hour ahead, critical ratio, charged beyond a tenth',
      byOrders(nets, expectFrom(homes, 1, orderPermille(gain, SHORTFALL)), { tolerancePermille: 100 }, 'book'),
      'a shortfall costs 0.25 a kWh',
    )
    const stored = bySharing(nets, STORAGE)
    plain(
      'storage',
      'community group and a storage agreement, 32 kWh',
      stored,
      `ceiling without storage; the operator gains ${(Number(stored.operator) / 1e6).toFixed(2)} EUR`,
    )

    // Every other home without panels.
    const half = netsOf(homes.map((home, i) => (i % 2 === 0 ? home : withoutPanels(home))))
    const halfAlone = withoutTrading(half)
    const shared = bySharing(half)
    row(
      'half.ours',
      'community group, panels on four of the eight',
      costOf(halfAlone) - costOf(shared),
      costOf(halfAlone),
      savedBy(perfectNetting(half)) / 1e6,
      leastSaved(shared, halfAlone),
    )

    const own = ownUse(homes, nets)
    const ownCost = withoutTrading(own)
    const withOwn = costOf(ownCost)
    const best = withOwn - foresightCost(homes, nets, await openOptimiser()) / 1e6
    rows.push({ id: 'battery.none', what: 'cost without trading, own batteries', value: withOwn, unit: 'EUR' })
    const battery = (id: string, what: string, ours: Outcome) =>
      row(id, what, withOwn - costOf(ours), withOwn, best, leastSaved(ours, ownCost))
    battery('battery.own', 'own batteries for own use, group shares the rest', bySharing(own))
    battery(
      'battery.ours',
      'batteries for the group too, by forecast',
      bySharing(groupUse(homes, nets, forecastOutlook(homes))),
    )
    battery('battery.truth', 'the same, by what then happened', bySharing(groupUse(homes, nets, trueOutlook(nets))))
    const ours = rows.find(({ id }) => id === 'ours')!
    const facts = {
      share_of_ceiling: ours.floor!.share,
      least_saved_eur: Number(leastSaved(bySharing(nets), alone)) / 1e6,
      strategy_over_zero_intelligence: strategyShare(),
    }
    return { rows, facts }
  },
)
