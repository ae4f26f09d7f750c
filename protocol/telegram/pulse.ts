/**
 * Pulses of an S0 output (IEC 62053-31): a contact that closes for one unit of energy, at least 30 ms closed and at least
 * 30 ms open. What is kept is the number of pulses; energy is worked out from it, so that no rounding ever adds up.
 *
 * An edge arrives with the time of a monotonic clock in milliseconds. A level that does not last is no level: contacts
 * bounce, and lines pick up spikes. A legal meter makes none, so each one is counted in `spikes` for whoever watches the
 * line; an edge to the level that was there already means that the edges between were missed, and is counted in `missed`:
 * from then on the counter may be short.
 */
import type { MeterValue, Obis } from './obis.ts'

export interface PulseRule {
  /** Register of the meter's output, as in `1-0:1.8.0`. */
  readonly obis: Obis
  /** The constant printed on the meter: pulses a kWh. */
  readonly perKwh: number
  /** The shortest level that counts: somewhat below 30 ms, for edges are not timed exactly. */
  readonly leastMs: number
  /** No power is told when the last pulse is longer ago: the meter may as well be switched off. */
  readonly silentMs: number
}

export interface PulseState {
  /** Pulses since the start value. */
  readonly pulses: bigint
  readonly spikes: number
  readonly missed: number
  /** The level as it is, and since when; undefined before the first edge. */
  readonly level: { readonly closed: boolean; readonly since: number } | undefined
  /** The last level that lasted. */
  readonly steady: boolean
  /** When the last two pulses began. */
  readonly last: number | undefined
  readonly before: number | undefined
}

/** An edge: whether the contact is closed from now on. */
export interface PulseEdge {
  readonly closed: boolean
  readonly at: number
}

export const S0_LEAST_MS = 25

/** Before the first edge: the contact is taken for open, so that a pulse under way at the start counts once it has lasted. */
export const NO_PULSES: PulseState = {
  pulses: 0n,
  spikes: 0,
  missed: 0,
  level: undefined,
  steady: false,
  last: undefined,
  before: undefined,
}

/** The state after an edge. A pulse counts as soon as it is known to have lasted: at its end, or by `settlePulses`. */
export function countEdge(rule: PulseRule, state: PulseState, { closed, at }: PulseEdge): PulseState {
  const settled = settlePulses(rule, state, at)
  if (settled.level === undefined) return { ...settled, level: { closed, since: at } }
  if (settled.level.closed === closed) return { ...settled, missed: settled.missed + 1 }
  // A level that is left before it became the steady one was a spike.
  const spike = settled.level.closed === settled.steady ? 0 : 1
  return { ...settled, spikes: settled.spikes + spike, level: { closed, since: at } }
}

/** The state at a time, without an edge: a level that has lasted by now is the steady one, and a new pulse counts. */
export function settlePulses(rule: PulseRule, state: PulseState, at: number): PulseState {
  const { level, steady } = state
  if (level === undefined || level.closed === steady || at - level.since < rule.leastMs) return state
  if (!level.closed) return { ...state, steady: false }
  return { ...state, steady: true, pulses: state.pulses + 1n, last: level.since, before: state.last }
}

const SCALER = -3

/** Energy since a start value, in thousandths of a Wh cut off toward zero: start + pulses x 1,000 / constant. */
export function pulseEnergy(rule: PulseRule, state: PulseState, startMilliWh: bigint): MeterValue {
  const value = startMilliWh + (state.pulses * 1_000_000n) / BigInt(rule.perKwh)
  return { obis: rule.obis, value, scaler: SCALER, unit: 'Wh' }
}

/**
 * The mean power between the last two pulses, in W; undefined before the second pulse, when the last is longer ago than
 * `silentMs`, and when the next one is overdue by as much again as the two were apart: then it was less, nobody knows how much.
 */
export function pulsePower(rule: PulseRule, state: PulseState, obis: Obis, now: number): MeterValue | undefined {
  const { last, before } = state
  if (last === undefined || before === undefined || last <= before) return undefined
  const apart = last - before
  if (now < last || now - last > Math.min(rule.silentMs, 2 * apart)) return undefined
  // One pulse is 3.6 x 10^9 / constant mJ; over milliseconds that is watts.
  const value = BigInt(Math.round(3_600_000_000 / (rule.perKwh * apart)))
  return { obis, value, scaler: 0, unit: 'W' }
}
