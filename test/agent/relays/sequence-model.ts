/**
 * One end of a line as a finite machine around `decide`: a world of conditions that inputs set one at a time, and what the
 * relays were told so far. Nothing here judges; sequence-judge.ts does.
 */
import { type ControlInput, decide } from '../../../agent/relays/decide.ts'
import {
  type ControlState,
  type EndConfig,
  openState,
  type Wish,
  weldCleared,
  wished,
} from '../../../agent/relays/state.ts'
import { milliamps, millihertz, millivolts } from '../../../protocol/quantity.ts'
import type { LightState, Limits, Seen } from '../../../protocol/safety/facts.ts'
import type { LineReading } from '../../../protocol/safety/line-reading.ts'
import { instant, mono } from '../../../protocol/time.ts'
import { LIMITS } from '../../protocol/safety/facts.ts'

/** Conditions that an input sets and only another input changes; ages in ms stand for "as old as this at every look". */
export interface Conditions {
  readonly manual: boolean
  readonly watchdogAge: number
  readonly deal: 'none' | 'early' | 'runs'
  /** The wall clock stands this much behind the time that really passed. */
  readonly setBack: number
  readonly proofAge: number | undefined
  readonly light: LightState | undefined
  readonly ownAge: number
  readonly peerAge: number
  readonly peerLine: Seen
  readonly peerWelded: boolean
  readonly readingAge: number
  readonly reading: 'dead' | 'live' | 'outside' | 'over' | 'leak' | 'incomplete'
  readonly line: Look
  /** The seller's isolator. */
  readonly upstream: Look
  /** The buyer's own supply. */
  readonly own: Look
  /** The other line onto the buyer's circuit: its contact, and whether it is live. */
  readonly sibling: Look
  readonly siblingLive: boolean
  /** Closings are put on record. */
  readonly recorded: boolean
}

/** Where an auxiliary input says that the contact is, whatever it was told. */
type Look = 'follows' | 'old' | 'closed' | 'open'

export interface Spot {
  readonly closed: boolean
  readonly since: number
}

export interface World {
  readonly t: number
  /** When the running deal is over, in the time that really passes. */
  readonly dealEnd: number
  readonly now: Conditions
  readonly state: ControlState
  /** As the commands so far left them. */
  readonly spots: ReadonlyMap<string, Spot>
}

export type Input =
  | { readonly what: 'set'; readonly to: Partial<Conditions> }
  | { readonly what: 'wish'; readonly line: string; readonly wish: Wish; readonly forced?: true }
  | { readonly what: 'clear'; readonly contact: string }
  | { readonly what: 'pass'; readonly ms: number }

const WALL = 1_700_000_000_000
/** What a blinded machine is given in place of the truth. */
export interface Blind {
  readonly limits?: Partial<Limits>
  readonly sees?: (conditions: Conditions) => Conditions
  readonly input?: (input: ControlInput) => ControlInput
}

const DEAL_MS = 15_000
const EARLIER = 3_600_000

export const well: Conditions = {
  manual: false,
  watchdogAge: 1000,
  deal: 'runs',
  setBack: 0,
  proofAge: 60_000,
  light: 'healthy',
  ownAge: 1000,
  peerAge: 1000,
  peerLine: 'open',
  peerWelded: false,
  readingAge: 0,
  reading: 'dead',
  line: 'follows',
  upstream: 'follows',
  own: 'follows',
  sibling: 'follows',
  siblingLive: false,
  recorded: true,
}

const endsOf = (side: 'seller' | 'buyer', limits: Limits = LIMITS): readonly EndConfig[] =>
  side === 'seller'
    ? [{ line: 'L1', side, limits, upstream: true, circuit: undefined }]
    : ['L1', 'L2'].map(line => ({ line, side, limits, upstream: false, circuit: { name: 'C', own: true } }))

/** Everything well, every contact open for a minute. */
export function idleWorld(side: 'seller' | 'buyer'): World {
  const t = 100_000
  const state = openState(endsOf(side), mono(t - 60_000), [])
  const spots = new Map([...state.contacts.keys()].map(contact => [contact, { closed: false, since: t - 60_000 }]))
  return { t, dealEnd: t + DEAL_MS, now: well, state, spots }
}

export const lookAt = (contact: string, now: Conditions): Look =>
  contact === 'L1.line'
    ? now.line
    : contact === 'L1.upstream'
      ? now.upstream
      : contact === 'C.own'
        ? now.own
        : now.sibling

const MV = { dead: 49_999, live: 230_000, outside: 253_001, over: 230_000, leak: 0, incomplete: 0 } as const
const MA = { dead: 0, live: 100, outside: 0, over: 16_001, leak: 101, incomplete: 0 } as const

const readingOf = (what: Conditions['reading'], taken: number): LineReading => ({
  taken: mono(taken),
  voltages: what === 'incomplete' ? [] : [millivolts(MV[what])],
  currents: [milliamps(MA[what])],
  frequency: MV[what] < 50_000 ? undefined : millihertz(50_000),
  missing: what === 'incomplete' ? ['1-0:32.7.0'] : [],
})

export const readingNow = ({ t, now }: World): LineReading => readingOf(now.reading, t - now.readingAge)

function inputOf(world: World, now: Conditions): ControlInput {
  const { t, dealEnd, spots } = world
  const wall = WALL + t - now.setBack
  const start = now.deal === 'early' ? wall + 1 : WALL - EARLIER
  const deal = { id: 'd', start: instant(start), end: instant(WALL + dealEnd) }
  const facts = {
    deal: now.deal === 'none' ? undefined : deal,
    proof: now.proofAge === undefined ? undefined : { height: 7n, headerTime: instant(WALL + t - now.proofAge) },
    light: now.light,
    ownHeartbeat: mono(t - now.ownAge),
    peer: { heard: mono(t - now.peerAge), line: now.peerLine, welded: now.peerWelded },
    reading: readingOf(now.reading, t - now.readingAge),
  }
  // The other line lacks nothing.
  const sibling = {
    deal: { ...deal, start: instant(WALL - EARLIER) },
    proof: { height: 7n, headerTime: instant(wall) },
    light: 'healthy' as const,
    ownHeartbeat: mono(t),
    peer: { heard: mono(t), line: 'open' as const, welded: false },
    reading: readingOf(now.siblingLive ? 'live' : 'dead', t),
  }
  return {
    now: instant(wall),
    mono: mono(t),
    manual: now.manual,
    watchdogFed: mono(t - now.watchdogAge),
    lines: new Map([
      ['L1', facts],
      ['L2', sibling],
    ]),
    seen: new Map(
      [...spots].map(([contact, { closed }]) => {
        const look = lookAt(contact, now)
        const told = closed ? 'closed' : 'open'
        const seen: Seen = look === 'closed' || look === 'open' ? look : told
        return [contact, { seen, at: mono(look === 'old' ? t - 1001 : t) }]
      }),
    ),
    intended: new Set(now.recorded ? spots.keys() : []),
  }
}

/** The world after one input and the step that follows it. */
export function advance(side: 'seller' | 'buyer', before: World, input: Input, blind: Blind = {}): World {
  let world = before
  let { state } = before
  if (input.what === 'set') world = { ...world, now: { ...world.now, ...input.to } }
  else if (input.what === 'pass') world = { ...world, t: world.t + input.ms }
  else if (input.what === 'wish') state = wished(state, input.line, input.wish, mono(world.t), input.forced === true)
  else state = weldCleared(state, input.contact)
  const limits = { ...LIMITS, ...blind.limits }
  const told = inputOf(world, blind.sees?.(world.now) ?? world.now)
  const step = decide(endsOf(side, limits), state, blind.input?.(told) ?? told)
  const spots = new Map(world.spots)
  for (const action of step.actions) {
    if (action.kind === 'command') spots.set(action.contact, { closed: action.to === 'closed', since: world.t })
  }
  return { ...world, state: step.state, spots }
}

/** Longer than every limit but the deal's: two ages beyond it are told apart by nothing. */
const LONG = 10_200

/** Names a world: two of the same name have the same future, because they differ only by a shift in time, by ages that no rule tells apart, or by reasons given. */
export function nameOf({ t, dealEnd, now, state, spots }: World): string {
  const age = (at: number | undefined) => (at === undefined ? 'x' : Math.min(t - at, LONG))
  const parts: unknown[] = [Math.max(dealEnd - t, -1), ...Object.values(now)]
  for (const [line, end] of state.ends) {
    const { since } = state.contacts.get(`${line}.line`)!
    const deadSince = end.deadAt !== undefined && end.deadAt >= since + LIMITS.settleMs
    parts.push(end.wish, end.forced, age(end.wishedAt), deadSince, age(end.liveFrom), age(end.outsideSince))
    parts.push(age(end.strayLiveSince), end.lease === undefined ? 'x' : Math.max(end.lease.until - t, -1))
  }
  for (const [contact, { closed, since }] of spots) {
    parts.push(closed, age(since), state.welds.has(contact), state.contacts.get(contact)!.commanded)
  }
  for (const [, { line, since }] of state.claims) parts.push(line, age(since))
  return parts.join()
}
