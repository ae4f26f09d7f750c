/**
 * From one car to another at one station, over two bidirectional ports: set points that belong together, what each side is booked
 * for, and when both stop. A pure function of what is known; whatever is not known means stop.
 *
 * The taker's set point follows what the giver's meter shows, less the loss, so that the station's own supply gives nothing: the
 * giver leads when power rises, and a giver that falls behind takes the taker down with it. Nothing is started again: what has
 * stopped is over, and a new transfer is a new contract.
 *
 * Of energy there are two numbers that are measured, and three that follow:
 *
 *     given = carried + loss             out of the giver's port
 *     taken = carried + fromStation      into the taker's port
 */
import { type Energy, milliwattHours } from '../quantity.ts'
import type { Fault } from '../result.ts'
import type { Instant, Mono } from '../time.ts'

export type Side = 'giver' | 'taker'

export interface TransferTerms {
  readonly start: Instant
  readonly end: Instant
  /** Into the taker. */
  readonly energy: Energy
  /** Out of the giver, in mW. */
  readonly powerMw: number
  /** Of what is given; more is no longer what was agreed. */
  readonly lossPermille: number
}

/** One meter's reading in the sense of its side: out of the giver, into the taker. */
export interface PortReading {
  readonly powerMw: number
  readonly energy: Energy
  readonly takenMono: Mono
}

export interface PortFacts {
  readonly reading: PortReading | undefined
  /** The newest look at the charging point that succeeded, when it began. */
  readonly heartbeat: Mono | undefined
  /** As of that look (IEC 61851-1). */
  readonly state: 'A' | 'B' | 'C' | 'D' | 'E' | 'F' | undefined
}

export interface TransferFacts {
  readonly now: Instant
  readonly mono: Mono
  /** Undefined where there is none, or it is not proven. */
  readonly terms: TransferTerms | undefined
  /** Its end on the monotonic clock, which a wall clock that is set back does not move. */
  readonly leaseUntil: Mono | undefined
  readonly giver: PortFacts
  readonly taker: PortFacts
}

export interface TransferLimits {
  /** A look older than this is no heartbeat. */
  readonly heartbeatMs: number
  readonly readingMs: number
  /** Readings of the two meters are of different moments, and converters settle: this much does not have to add up. */
  readonly slackMwh: bigint
  /** A car that flows the other way by more than this is not under control. */
  readonly slackMw: number
  /** What one gives and the other takes may differ for this long: a car follows its set point within 5 s (IEC 61851-1). */
  readonly apartMs: number
  /** Less than this no car's converter holds. */
  readonly leastMw: number
}

/** 1.5 s and 1 s are the permit's; 6 A at 230 V is the least of a charging car. */
export const TRANSFER_LIMITS: TransferLimits = {
  heartbeatMs: 1_000,
  readingMs: 1_500,
  slackMwh: 20_000n,
  slackMw: 100_000,
  apartMs: 6_000,
  leastMw: 1_380_000,
}

export interface TransferReason extends Fault {
  readonly code:
    | 'transfer.no-contract'
    | 'transfer.not-started'
    | 'transfer.contract-over'
    | 'transfer.delivered'
    | 'transfer.power'
    | 'transfer.heartbeat'
    | 'transfer.state'
    | 'transfer.reading'
    | 'transfer.register-fell'
    | 'transfer.reversed'
    | 'transfer.apart'
    | 'transfer.loss'
    | 'transfer.took-more'
}

/** In mWh, each Wh in one place. */
export interface Booked {
  readonly given: Energy
  readonly taken: Energy
  readonly carried: Energy
  readonly loss: Energy
  readonly fromStation: Energy
}

export interface TransferState {
  readonly phase: 'waiting' | 'running' | 'over'
  /** Registers at the begin, and the highest since. */
  readonly giver: { readonly from: Energy; readonly to: Energy } | undefined
  readonly taker: { readonly from: Energy; readonly to: Energy } | undefined
  /** Since when the two powers do not belong together. */
  readonly apartSince: Mono | undefined
}

export interface TransferOrder {
  /** Out of the giver and into the taker, in mW. */
  readonly giverMw: number
  readonly takerMw: number
}

export const NEW_TRANSFER: TransferState = {
  phase: 'waiting',
  giver: undefined,
  taker: undefined,
  apartSince: undefined,
}
const STOP: TransferOrder = { giverMw: 0, takerMw: 0 }

export function decideTransfer(
  state: TransferState,
  facts: TransferFacts,
  limits: TransferLimits,
): { readonly state: TransferState; readonly order: TransferOrder; readonly because: readonly TransferReason[] } {
  const next = count(state, facts, limits)
  const because = [...contractReasons(next, facts, limits), ...portReasons(next, facts, limits)]
  if (state.phase !== 'waiting') because.push(...bookingReasons(next, facts, limits))
  if (state.phase === 'over') return { state: next, order: STOP, because }
  if (because.length > 0) {
    // What has not begun waits; what runs is over, for both.
    const phase = state.phase === 'running' ? 'over' : 'waiting'
    return { state: phase === 'waiting' ? NEW_TRANSFER : { ...next, phase }, order: STOP, because }
  }
  const { powerMw, lossPermille } = facts.terms!
  const shown = Math.min(facts.giver.reading!.powerMw, powerMw)
  const followed = Math.floor((shown * (1000 - lossPermille)) / 1000)
  const takerMw = followed < limits.leastMw ? 0 : followed
  return { state: { ...next, phase: 'running' }, order: { giverMw: powerMw, takerMw }, because }
}

/** What the two meters say so far; nothing before the begin. */
export function bookTransfer({ giver, taker }: TransferState): Booked {
  const given = giver === undefined ? 0n : giver.to - giver.from
  const taken = taker === undefined ? 0n : taker.to - taker.from
  const carried = given < taken ? given : taken
  return {
    given: milliwattHours(given),
    taken: milliwattHours(taken),
    carried: milliwattHours(carried),
    loss: milliwattHours(given - carried),
    fromStation: milliwattHours(taken - carried),
  }
}

/** After the end, too: converters take a moment to come to rest, and what flows then has flowed. */
function count(state: TransferState, facts: TransferFacts, limits: TransferLimits): TransferState {
  const { giver, taker, mono } = facts
  const follow = (known: TransferState['giver'], energy: Energy | undefined) => {
    if (energy === undefined) return known
    if (known === undefined) return { from: energy, to: energy }
    return energy > known.to ? { ...known, to: energy } : known
  }
  return {
    ...state,
    giver: follow(state.giver, giver.reading?.energy),
    taker: follow(state.taker, taker.reading?.energy),
    apartSince: apartMw(facts) > limits.slackMw ? (state.apartSince ?? mono) : undefined,
  }
}

/** How far the powers are apart, beyond what is lost between them. */
function apartMw({ terms, giver, taker }: TransferFacts): number {
  if (giver.reading === undefined || taker.reading === undefined) return 0
  const arriving = Math.floor((giver.reading.powerMw * (1000 - (terms?.lossPermille ?? 0))) / 1000)
  return Math.abs(arriving - taker.reading.powerMw)
}

function contractReasons(state: TransferState, facts: TransferFacts, limits: TransferLimits): TransferReason[] {
  const { terms, now, mono, leaseUntil } = facts
  if (terms === undefined) return [{ code: 'transfer.no-contract' }]
  const because: TransferReason[] = []
  if (!(now >= terms.start)) because.push({ code: 'transfer.not-started', now, start: terms.start })
  if (!(now < terms.end) || leaseUntil === undefined || !(mono < leaseUntil))
    because.push({ code: 'transfer.contract-over', now, end: terms.end })
  const { taken } = bookTransfer(state)
  if (taken >= terms.energy) because.push({ code: 'transfer.delivered', taken, energy: terms.energy })
  if (!(terms.powerMw >= limits.leastMw && terms.lossPermille >= 0 && terms.lossPermille < 1000))
    because.push({ code: 'transfer.power', powerMw: terms.powerMw, leastMw: limits.leastMw })
  return because
}

function portReasons(state: TransferState, facts: TransferFacts, limits: TransferLimits): TransferReason[] {
  const because: TransferReason[] = []
  for (const side of ['giver', 'taker'] as const) {
    const { heartbeat, state: pilot, reading } = facts[side]
    const heardMs = ageOf(facts.mono, heartbeat)
    if (!isWithin(heardMs, limits.heartbeatMs))
      because.push({ code: 'transfer.heartbeat', side, agoMs: heardMs, limitMs: limits.heartbeatMs })
    // B waits for power; a car that went back to it while power flows has stopped by itself.
    const isReady = pilot === 'C' || pilot === 'D' || (pilot === 'B' && state.phase === 'waiting')
    if (!isReady && !isSettling(state, facts, limits, side))
      because.push({ code: 'transfer.state', side, state: pilot })
    const agoMs = ageOf(facts.mono, reading?.takenMono)
    if (reading === undefined || !isWithin(agoMs, limits.readingMs)) {
      because.push({ code: 'transfer.reading', side, agoMs, limitMs: limits.readingMs })
      continue
    }
    const to = state[side]?.to
    if (to !== undefined && reading.energy < to)
      because.push({ code: 'transfer.register-fell', side, from: to, to: reading.energy })
    if (reading.powerMw < -limits.slackMw) because.push({ code: 'transfer.reversed', side, powerMw: reading.powerMw })
  }
  const powerMw = facts.giver.reading?.powerMw
  if (powerMw !== undefined && facts.terms !== undefined && powerMw > facts.terms.powerMw + limits.slackMw)
    because.push({ code: 'transfer.power', side: 'giver', powerMw, limitMw: facts.terms.powerMw })
  return because
}

/** A taker stands at B until the giver's power has come up to what its converter holds. */
function isSettling(
  state: TransferState,
  { giver, taker }: TransferFacts,
  limits: TransferLimits,
  side: Side,
): boolean {
  const isLow = (powerMw: number | undefined) => powerMw !== undefined && powerMw < limits.leastMw
  const port = side === 'giver' ? giver : taker
  return (
    state.phase === 'running' && port.state === 'B' && isLow(port.reading?.powerMw) && bookTransfer(state).taken === 0n
  )
}

function bookingReasons(state: TransferState, facts: TransferFacts, limits: TransferLimits): TransferReason[] {
  const { terms, mono } = facts
  const { given, loss, fromStation } = bookTransfer(state)
  const because: TransferReason[] = []
  const apartMs = ageOf(mono, state.apartSince)
  if (apartMs !== undefined && apartMs > limits.apartMs)
    because.push({ code: 'transfer.apart', apartMs, limitMs: limits.apartMs, apartMw: apartMw(facts) })
  const agreed = (given * BigInt(terms?.lossPermille ?? 0)) / 1000n + limits.slackMwh
  if (loss > agreed) because.push({ code: 'transfer.loss', loss, agreed })
  if (fromStation > limits.slackMwh) because.push({ code: 'transfer.took-more', fromStation, slack: limits.slackMwh })
  return because
}

/** Undefined where it is unknown or lies ahead: a stamp from the future proves nothing. */
function ageOf(mono: Mono, at: Mono | undefined): number | undefined {
  const ms = at === undefined ? -1 : mono - at
  return ms < 0 ? undefined : ms
}

const isWithin = (ms: number | undefined, limit: number): boolean => ms !== undefined && ms <= limit
