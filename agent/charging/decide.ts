/**
 * What each charger of a site should be told now: a pure step. The rules of a charger say whether it may charge, its mode
 * how much it wishes, `share` divides what is free, and the site guard has the last word.
 */
import type { Fault } from '../../protocol/result.ts'
import { type ChargerLimits, elapsed, LEAST_MA } from '../../protocol/safety/charger-hold.ts'
import {
  type ChargerReason,
  type ChargingFacts,
  mayCharge,
  maySwitchPhases,
} from '../../protocol/safety/charger-rules.ts'
import {
  type Base,
  baseOf,
  type FuseReading,
  fusesAbove,
  type GuardReason,
  guard,
  PHASES,
  roomOf,
} from '../../protocol/safety/site-guard.ts'
import type { Instant, Mono } from '../../protocol/time.ts'
import { type Claim, shareToStart } from './share.ts'
import type { Agreed, ChargerSpec, ChargerState, ChargingState, SiteSpec } from './state.ts'
import { drawnMw, followSurplus, reservedMw } from './surplus.ts'

/** Whose turn it is, where not all can have 6 A: long enough to be worth a contactor's closing, four turns an hour. */
const TURN_MS = 900_000
/** A car that has drawn clearly less than it may for so long is full, or small. */
const LESS_MS = 60_000
const LESS_MA = 2000
/** A limit goes up by less than this only where the car is at its limit: every change is a frame. */
const WORTH_MA = 500
/**
 * A limit that was lowered stays for so long: until the car is seen to have followed (6 s), and readings show that (1.5 s and a
 * look), what it no longer draws seems to be free, and limits would go up and down for ever.
 */
const SETTLE_MS = 10_000

export interface ChargingInput {
  readonly now: Instant
  readonly mono: Mono
  readonly manual: boolean
  readonly watchdogFed: Mono | undefined
  /** The latest readings of each metered fuse, the oldest first. */
  readonly readings: ReadonlyMap<string, readonly FuseReading[]>
  /** What leaves the site at its connection; negative where it comes in; undefined where the meter says nothing. */
  readonly exportMw: number | undefined
  readonly agreed: Agreed
  /** Of chargers whose cars are counted. */
  readonly sessions: ReadonlyMap<string, NonNullable<ChargingFacts['session']>>
}

export interface ChargerOrder {
  readonly ma: number
  /** What it has to be switched to first; it is stopped, and its contactor open. */
  readonly switchTo: 1 | 3 | undefined
  /** Why it is told less than it wishes, or nothing. */
  readonly because: readonly (ChargerReason | GuardReason)[]
}

export interface ChargingStep {
  readonly state: ChargingState
  readonly orders: ReadonlyMap<string, ChargerOrder>
  /** What is wrong with each fuse; undefined where nothing is. */
  readonly fuses: ReadonlyMap<string, Fault | undefined>
}

export function decide(
  site: SiteSpec,
  before: ChargingState,
  input: ChargingInput,
  limits: ChargerLimits,
): ChargingStep {
  const { mono } = input
  const chargers = new Map(before.chargers)
  const stateOf = ({ traits }: ChargerSpec): ChargerState => chargers.get(traits.name)!
  const change = (spec: ChargerSpec, to: Partial<ChargerState>) =>
    chargers.set(spec.traits.name, { ...stateOf(spec), ...to })
  for (const spec of site.chargers) change(spec, { hold: elapsed(stateOf(spec).hold, spec.traits, limits, mono) })

  const reasons = new Map<string, (ChargerReason | GuardReason)[]>()
  const wishes = new Map<ChargerSpec, number>()
  for (const spec of site.chargers) {
    const permit = mayCharge(factsOf(spec, stateOf(spec), input), limits)
    reasons.set(spec.traits.name, permit.may ? [] : [...permit.because])
    wishes.set(spec, permit.may ? spec.traits.mostMa : 0)
    change(spec, needsOf(stateOf(spec), spec, mono))
  }
  let leftMw = surplusOf(site, chargers, input)
  for (const spec of byPriority(site.chargers.filter(({ mode }) => mode === 'surplus'))) {
    const { surplus, wishMa } = followSurplus(spec, stateOf(spec), leftMw, limits, mono)
    change(spec, { surplus })
    wishes.set(spec, Math.min(wishes.get(spec)!, wishMa))
    if (leftMw !== undefined) leftMw -= reservedMw(stateOf(spec), wishes.get(spec)!, limits, mono)
  }

  const switches = new Map<ChargerSpec, 1 | 3>()
  for (const spec of site.chargers) {
    const { hold, surplus } = stateOf(spec)
    if (spec.mode !== 'surplus' || !spec.switchesPhases || surplus.phases === hold.phases) continue
    wishes.set(spec, 0)
    if (maySwitchPhases(hold).may) switches.set(spec, surplus.phases)
  }

  const order = inTurn(site.chargers, mono)
  const bases = new Map<string, Base>()
  for (const fuse of site.fuses.values()) {
    const below = site.chargers.filter(({ traits }) => fusesAbove(site.fuses, traits.fuse).includes(fuse))
    const guarded = below.map(spec => ({ traits: spec.traits, hold: stateOf(spec).hold }))
    bases.set(fuse.name, baseOf(fuse, input.readings.get(fuse.name) ?? [], guarded, limits, mono))
  }
  const guarded = order.map(spec => ({ traits: spec.traits, hold: stateOf(spec).hold, wishMa: wishes.get(spec)! }))
  const claims = order.map((spec): Claim => {
    const { hold, needsMa } = stateOf(spec)
    const reached = hold.reach === 'heard' ? Math.min(wishes.get(spec)!, needsMa) : 0
    return { traits: spec.traits, hold, wantsMa: reached, priority: spec.priority }
  })
  const shares = shareToStart(site.fuses, roomOf(site.fuses, bases, guarded), claims)
  const shared = guarded.map(charger => {
    const { name } = charger.traits
    return { ...charger, wishMa: steady(chargers.get(name)!, shares.get(name)!, mono) }
  })
  const orders = guard(site.fuses, bases, shared)

  const told = new Map<string, ChargerOrder>()
  for (const spec of site.chargers) {
    const { ma, permit } = orders.get(spec.traits.name)!
    const switchTo = switches.get(spec)
    change(spec, timesOf(stateOf(spec), ma, mono, switchTo !== undefined))
    const because = [...reasons.get(spec.traits.name)!, ...(permit.may ? [] : permit.because)]
    told.set(spec.traits.name, { ma, switchTo, because })
  }
  const fuses = new Map([...site.fuses.keys()].map(name => [name, fuseFault(name, site, bases, input)]))
  return { state: { chargers }, orders: told, fuses }
}

const byPriority = (specs: readonly ChargerSpec[]) => [...specs].sort((a, b) => b.priority - a.priority)

/** By priority, and among equals by whose turn it is. */
function inTurn(specs: readonly ChargerSpec[], mono: Mono): readonly ChargerSpec[] {
  const first = Math.floor(mono / TURN_MS) % Math.max(1, specs.length)
  return byPriority([...specs.slice(first), ...specs.slice(0, first)])
}

function factsOf({ traits, mode }: ChargerSpec, { hold, offSince }: ChargerState, input: ChargingInput): ChargingFacts {
  const session = input.sessions.get(traits.name)
  const { now, mono, manual, watchdogFed, agreed } = input
  const standsStill = agreed.standStill.has(traits.name)
  const allRunning = [...agreed.buying.values()].filter(({ facts }) => now >= facts.start && now < facts.end)
  const running = allRunning.find(({ paid, leaseUntil }) => paid && mono < leaseUntil) ?? allRunning[0]
  const deal = { facts: running?.facts, leaseUntil: running?.leaseUntil, paid: running?.paid === true }
  return {
    ...{ now, mono, manual, watchdogFed, standsStill, hold, offSince },
    ...(mode === 'deal' ? { deal } : {}),
    ...(session === undefined ? {} : { session }),
  }
}

/** What is sold over the grid is not there to be charged with. */
function surplusOf(
  site: SiteSpec,
  chargers: ReadonlyMap<string, ChargerState>,
  { exportMw, agreed }: ChargingInput,
): number | undefined {
  if (exportMw === undefined) return undefined
  if (agreed.selling.size > 0) return 0
  const own = site.chargers.filter(({ mode }) => mode === 'surplus')
  return own.reduce((mw, { traits }) => mw + drawnMw(chargers.get(traits.name)!), exportMw)
}

/** What is kept for a car that draws less than it may; all, as soon as it draws what it has. */
function needsOf(charger: ChargerState, { traits }: ChargerSpec, mono: Mono): Partial<ChargerState> {
  const { hold, needsMa, lessSince } = charger
  const currents = hold.look?.currentsMa
  const drawn = Math.max(0, ...(currents ?? []))
  const held = hold.commandedMa ?? 0
  if (currents === undefined || currents.length === 0 || held === 0 || drawn > held - LESS_MA / 2)
    return { needsMa: traits.mostMa, lessSince: undefined }
  if (drawn > held - LESS_MA) return { lessSince: undefined }
  const since = lessSince ?? mono
  return mono - since < LESS_MS
    ? { lessSince: since }
    : { lessSince: since, needsMa: Math.max(LEAST_MA, Math.min(needsMa, drawn + LESS_MA)) }
}

/** A rise that is not worth a frame, or comes too soon, is left out. */
function steady({ hold, loweredAt }: ChargerState, ma: number, mono: Mono): number {
  const held = hold.commandedMa ?? 0
  const isSettling = loweredAt !== undefined && mono - loweredAt < SETTLE_MS
  return ma > held && held > 0 && (isSettling || ma - held < WORTH_MA) ? held : ma
}

/** When it began to charge, or was stopped; a pause for its phases is no stop. */
function timesOf(charger: ChargerState, ma: number, mono: Mono, switching: boolean): Partial<ChargerState> {
  const { aimMa, hold } = charger
  // Another car has its own start.
  if (hold.look?.state === 'A') return { aimMa: 0, offSince: undefined, onSince: undefined }
  const loweredAt = ma < (hold.commandedMa ?? 0) ? mono : charger.loweredAt
  if (ma > 0) return { aimMa: ma, offSince: undefined, onSince: charger.onSince ?? mono, loweredAt }
  if (aimMa === 0) return switching ? { offSince: undefined } : {}
  return { aimMa: 0, offSince: mono, onSince: undefined }
}

function fuseFault(
  fuse: string,
  { fuses }: SiteSpec,
  bases: ReadonlyMap<string, Base>,
  { readings, mono }: ChargingInput,
): Fault | undefined {
  const newest = readings.get(fuse)?.at(-1)
  if (bases.get(fuse) === undefined)
    return { code: 'guard.meter', fuse, ageMs: newest === undefined ? undefined : mono - newest.taken }
  const { ratingMa, metered } = fuses.get(fuse)!
  const over = metered ? PHASES.find(phase => newest!.currentsMa[phase] > ratingMa[phase]) : undefined
  return over === undefined
    ? undefined
    : { code: 'guard.over', fuse, phase: over + 1, ma: newest!.currentsMa[over], ratingMa: ratingMa[over] }
}
