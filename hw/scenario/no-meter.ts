/**
 * Homes without smart meters beside homes with them. A roof and a home with smart meters are full agents and trade on the
 * ledger; what that leaves of the roof is sold to four homes whose meters do not sign, each by what stands for its meter: the
 * pulses of a meter's S0 output, a share of what the feeder's head counted beyond all meters, or a standard profile.
 */
import { creditEstimate, splitResidual, type TrustClass, trueUp } from '../../protocol/market/estimated-meter.ts'
import { type LoadProfile, profileEnergy, readLoadProfile } from '../../protocol/market/load-profile.ts'
import { costCeil, microsPerKwh, type WattHours, wattHours } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import { S0_LEAST_MS } from '../../protocol/telegram/pulse.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import { type SlotContract, settleSlot } from '../../protocol/trade/deviation.ts'
import { constantProfile, homeLoad, type Profile, solarGeneration } from '../sim/profile.ts'
import { type District, type DistrictSite, SLOT_MS } from './district.ts'
import { judgeDistrict } from './judge-district.ts'
import { dealsOf } from './ledger-view.ts'
import { attachPulseReader } from './pulse-reader.ts'
import { openDistrict } from './run-district.ts'
import type { Scenario, ScenarioResult, ScenarioSettings } from './scenario.ts'

const DAY_MS = 86_400_000
const DARK = constantProfile(0)
const ROOF = 'roof'
/** Between each of these homes and the roof, for every slot. */
const PRICE = microsPerKwh(150_000n)
/** The supplier's tariff: what it asks, and pays for surplus. */
const PRICES = { feedIn: microsPerKwh(50_000n), drawn: microsPerKwh(300_000n), shortfall: microsPerKwh(100_000n) }
/** A home's dial was read two weeks apart, which says what it uses in a year. */
const DIAL_DAYS = 14
/** Of which the standard profile is the mean. */
const HOMES_OF_PROFILE = 200

const home = (name: string, node: string, seed: number, averageW: number): DistrictSite => ({
  name,
  role: 'household',
  node,
  profile: { load: homeLoad(seed, averageW), generation: DARK },
})

/** The roof hangs elsewhere, so that energy always comes in through the head of `oak`, and nothing is counted at that of `fir`. */
const district = (seed: number): District => ({
  slotMs: SLOT_MS,
  feeders: [],
  sites: [
    {
      ...home(ROOF, 'elm', seed, 300),
      source: 'solar',
      profile: { load: constantProfile(300_000), generation: solarGeneration(seed, 9_000) },
      grid: { sell: { reserve: '0.09', opening: '0.20' } },
    },
    {
      ...home('ash', 'oak', seed + 1, 1_200),
      grid: { way: 'matching', buy: { limit: '0.30', opening: '0.10', least: '20Wh' } },
    },
    home('pip', 'oak', seed + 2, 900),
    home('rex', 'oak', seed + 3, 800),
    home('ria', 'oak', seed + 4, 500),
    home('pat', 'fir', seed + 5, 700),
  ],
})

const CLASS_OF: ReadonlyMap<string, TrustClass> = new Map([
  ['pip', 'pulse'],
  ['rex', 'residual'],
  ['ria', 'residual'],
  ['pat', 'profile'],
])
const HEAD = 'oak'

/** The mean day of this bench's own homes, for 1,000 kWh a year: not the table that BDEW publishes. */
function makeProfile(from: Instant): LoadProfile {
  const homes = Array.from({ length: HOMES_OF_PROFILE }, (_, i) => homeLoad(90_000 + i, 1_000))
  const midnight = from - (from % DAY_MS)
  const quarters = Array.from({ length: 96 }, (_, quarter) =>
    homes.reduce((sum, load) => sum + load(instant(midnight + quarter * SLOT_MS)), 0),
  )
  // A thousand kWh a year are 114.2 W on average.
  const scale = (96 * 1_000_000) / (8_760 * quarters.reduce((sum, one) => sum + one, 0))
  const [seasons, days] = [
    ['winter', 'summer', 'transition'],
    ['workday', 'saturday', 'sunday'],
  ]
  const header = ['quarter', ...seasons!.flatMap(season => days!.map(day => `${season}-${day}`))]
  const two = (n: number) => String(n).padStart(2, '0')
  const rows = quarters.map((one, i) => {
    const watts = (one * scale).toFixed(1)
    return [`${two(Math.floor(i / 4))}:${two((i % 4) * 15)}`, ...header.slice(1).map(() => watts)].join(',')
  })
  return must(readLoadProfile([header.join(','), ...rows, ''].join('\n'), false))
}

/** What a home uses in a year by its dial. */
function annualOf(load: Profile, before: Instant): WattHours {
  let mwMinutes = 0
  for (let minute = 0; minute < DIAL_DAYS * 1_440; minute++) mwMinutes += load(instant(before - minute * 60_000))
  return wattHours(BigInt(Math.round((mwMinutes * 365) / DIAL_DAYS / 60_000)))
}

/** What one home without a smart meter came to, in Wh. */
interface Book {
  readonly trust: TrustClass
  wires: bigint
  estimated: bigint
  credited: bigint
  supplier: bigint
  settled: bigint
}

interface Reduced {
  readonly slots?: number
  /** The shortest contact that the pulse reader takes for a pulse. */
  readonly leastMs?: number
}

export async function runNoMeter(
  { seed, realSigner, onProgress, logOf }: ScenarioSettings,
  { slots = 4, leastMs = S0_LEAST_MS }: Reduced = {},
): Promise<ScenarioResult> {
  const unmetered = [...CLASS_OF.keys()]
  const run = await openDistrict(district(seed), {
    seed,
    realSigner,
    // Nobody's agent reads their meters; their loads are on the wires like all others.
    absent: unmetered,
    ...(logOf === undefined ? {} : { logOf }),
  })
  const { clock } = run.running
  await run.advance(SLOT_MS - (clock.now() % SLOT_MS))
  const began = clock.now()
  const profile = makeProfile(began)
  const loadOf = new Map(run.district.sites.map(({ name, profile: of }) => [name, of!.load]))
  const annual = new Map(unmetered.map(name => [name, annualOf(loadOf.get(name)!, began)]))
  const expectedOf = (name: string, at: Instant) => {
    const calendar = { offsetAt: () => 0, isHoliday: () => false }
    return wattHours(profileEnergy(profile, annual.get(name)!, at, calendar) / 1000n)
  }
  const reader = attachPulseReader('pip', run, leastMs)

  const books = new Map(
    [...CLASS_OF].map(([name, trust]): [string, Book] => [
      name,
      { trust, wires: 0n, estimated: 0n, credited: 0n, supplier: 0n, settled: 0n },
    ]),
  )
  const flow = (name: string, start: number) => {
    const moments = run.counted.get(name)!
    const [from, to] = [moments.get(start)!, moments.get(start + SLOT_MS)!]
    const whole = (begin: bigint, end: bigint) => end / 1000n - begin / 1000n
    return { imported: whole(from.imported, to.imported), exported: whole(from.exported, to.exported) }
  }
  const counts = new Map([[began as number, reader.count()]])
  for (let slot = 0; slot < slots; slot++) {
    await run.advance(SLOT_MS)
    counts.set(clock.now(), reader.count())
    onProgress(`slot ${slot + 1} of ${slots}: ${dealsOf(run).length} deals on the ledger`)
  }
  reader.stop()
  await run.windDown()

  const deals = dealsOf(run)
  let residue = 0n
  let supplierPaid = 0n
  for (let start: number = began; start < began + slots * SLOT_MS; start += SLOT_MS) {
    const expected = new Map(unmetered.map(name => [name, expectedOf(name, instant(start))]))
    const pulses = wattHours(counts.get(start + SLOT_MS)! - counts.get(start)!)
    const behind = run.district.sites.filter(({ node }) => node === HEAD)
    const net = (name: string) => flow(name, start).imported - flow(name, start).exported
    const left = behind.filter(({ name }) => CLASS_OF.get(name) === 'residual').map(({ name }) => name)
    const counted = behind.filter(({ name }) => !left.includes(name))
    const parts = splitResidual(
      wattHours(behind.reduce((sum, { name }) => sum + net(name), 0n)),
      counted.map(({ name }) => (CLASS_OF.get(name) === 'pulse' ? pulses : wattHours(net(name)))),
      left.map(name => expected.get(name)!),
    )
    const estimateOf = (name: string, trust: TrustClass): WattHours => {
      if (trust === 'pulse') return pulses
      // More pulses than the head counted leave nothing to be parted.
      if (trust === 'residual') return parts.ok ? parts.value[left.indexOf(name)]! : wattHours(0n)
      return expected.get(name)!
    }
    const contracts: SlotContract[] = []
    const imported = new Map<string, WattHours>()
    for (const [name, book] of books) {
      const estimate = estimateOf(name, book.trust)
      const { credited, supplier } = must(creditEstimate(book.trust, 'buyer', estimate))
      const energy = must(creditEstimate(book.trust, 'buyer', expected.get(name)!)).credited
      book.wires += flow(name, start).imported
      book.estimated += estimate
      book.credited += credited
      book.supplier += supplier
      supplierPaid += costCeil(supplier, PRICES.drawn)
      imported.set(name, credited)
      // Nobody can foresee a slot to the watt-hour: half of it may be missing without a charge.
      const terms = { energy, price: PRICE, tolerance: wattHours(energy / 2n) }
      contracts.push({ id: `${name} ${start}`, sellerMeter: ROOF, buyerMeter: name, ...terms })
    }
    const sold = deals
      .filter(({ seller, deal }) => seller === ROOF && deal.start === start && deal.outcome !== undefined)
      .reduce((sum, { deal }) => sum + deal.outcome!.delivered, 0n)
    // What the ledger has settled is nobody's a second time.
    const rest = flow(ROOF, start).exported - sold
    const exported = new Map([[ROOF, wattHours(rest > 0n ? rest : 0n)]])
    const settled = must(settleSlot({ contracts, exported, imported, prices: PRICES }))
    residue += settled.meters.reduce((sum, { money }) => sum + money, settled.balancing + settled.rounding)
    for (const [name, book] of books) book.settled += settled.meters.find(({ meterId }) => meterId === name)!.bought
  }

  const byClass = (trust: TrustClass, what: (book: Book) => bigint) =>
    Number([...books.values()].filter(book => book.trust === trust).reduce((sum, book) => sum + what(book), 0n))
  const classes = ['pulse', 'residual', 'profile'] as const
  const each = (what: (book: Book) => bigint) => Object.fromEntries(classes.map(trust => [trust, byClass(trust, what)]))
  const metered = deals.reduce((sum, { deal }) => sum + Number(deal.outcome?.delivered ?? 0n), 0)
  const truth = [...books].map(([name, { trust, wires, estimated, credited, supplier, settled }]) => {
    const dial = must(trueUp({ credited: wattHours(credited), supplier: wattHours(supplier) }, wattHours(wires)))
    return {
      ...{ home: name, trust, wires_wh: Number(wires), estimated_wh: Number(estimated) },
      ...{ credited_wh: Number(credited), supplier_wh: Number(supplier), settled_wh: Number(settled) },
      after_dial_wh: { credited: Number(dial.credited), more: Number(dial.more), undone: Number(dial.undone) },
    }
  })
  const { pulses, spikes } = reader.state()
  const facts = {
    settled_by_class: { metered, ...each(({ settled }) => settled) },
    haircut_wh: each(({ supplier }) => supplier),
    estimates_residue_micro: Number(residue),
    supplier_paid_micro: Number(supplierPaid),
    pulses: Number(pulses),
    spikes_not_counted: spikes,
    standard_profile: `the mean of ${HOMES_OF_PROFILE} homes of this bench's generator`,
    homes: truth,
  }
  const broken = [
    ...Object.entries(facts.settled_by_class).flatMap(([trust, wh]) =>
      wh > 0 ? [] : [`nothing was settled by the class ${trust}`],
    ),
    ...(residue === 0n ? [] : [`${residue} micro-units of the estimated settlement are unaccounted for`]),
    ...truth.flatMap(({ home, trust, wires_wh, estimated_wh, credited_wh, supplier_wh, settled_wh, after_dial_wh }) => [
      ...(credited_wh + supplier_wh === estimated_wh ? [] : [`${home}: ${estimated_wh} Wh are not booked once`]),
      ...(settled_wh <= credited_wh ? [] : [`${home} settled ${settled_wh} Wh, and ${credited_wh} were credited`]),
      ...(trust !== 'pulse' || credited_wh <= wires_wh
        ? []
        : [`${home}'s pulses are credited ${credited_wh} Wh, and ${wires_wh} flowed`]),
      ...(after_dial_wh.credited <= wires_wh ? [] : [`${home} keeps more than its dial says`]),
    ]),
  ]
  return judgeDistrict(run, 'no-meter', facts, broken)
}

export const noMeter: Scenario = {
  name: 'no-meter',
  what: 'homes without smart meters: pulses, a feeder head, a standard profile, each at its haircut',
  run: settings => runNoMeter(settings),
}
