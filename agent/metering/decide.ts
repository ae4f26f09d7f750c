/** What a meter's answer is worth and what is signed of it: pure judgements, carried out by run.ts. */
import type { MeterReading } from '../../drivers/ports.ts'
import { millivolts, milliwatts, type Power, type Voltage } from '../../protocol/quantity.ts'
import { isCounter } from '../../protocol/reading/chain.ts'
import type { ErrorFlag, Reading, Reason, Session, StatusFlag } from '../../protocol/reading/reading.ts'
import { done, fail, type Result } from '../../protocol/result.ts'
import {
  findValue,
  type MeterValue,
  OBIS,
  type Obis,
  towardZeroAt,
  type UnitName,
} from '../../protocol/telegram/obis.ts'
import { CLOCK_STEP_MS, type Instant, type Mono, type TimeQuality } from '../../protocol/time.ts'

export type MeteringFault =
  | { readonly code: 'metering.unknown-meter'; readonly meter: string }
  | { readonly code: 'metering.other-meter'; readonly meter: string; readonly hint: string }
  | { readonly code: 'metering.same-meter-twice'; readonly meter: string; readonly also: string }
  | { readonly code: 'metering.journal-form'; readonly kind: string }
  | { readonly code: 'metering.counter-fell'; readonly obis: Obis; readonly from: bigint; readonly to: bigint }
  | { readonly code: 'metering.unit-changed'; readonly obis: Obis; readonly from: UnitName; readonly to: UnitName }
  | { readonly code: 'metering.not-fresh'; readonly taken: number; readonly after: number }
  | { readonly code: 'metering.no-counter'; readonly page: string }
  | { readonly code: 'metering.no-answer'; readonly meter: string; readonly waitedMs: number }
  | { readonly code: 'metering.unreadable'; readonly meter: string; readonly forMs: number; readonly cause: string }
  | { readonly code: 'metering.stopped' }

/** What is known of one meter from every reading that was believed, before and after restarts. */
export interface Known {
  /** Configured, or of the first meter ever seen under this name. */
  readonly meterId: string | undefined
  readonly counters: ReadonlyMap<Obis, MeterValue>
  /** Last values of counters that were lost before a restart: none of them may come back lower. */
  readonly gone: ReadonlyMap<Obis, MeterValue>
  readonly takenMono: Mono | undefined
}

export const nothingKnown = (meterId: string | undefined): Known => ({
  meterId,
  counters: new Map(),
  gone: new Map(),
  takenMono: undefined,
})

/** Where no page gives more, nano-units: comparing there loses no digit. */
const FINEST_SCALER = -9

/** Whether an answer may be believed after all that is known. The same meter, not before the last, no counter lower. */
export function judge(known: Known, name: string, reading: MeterReading): Result<void, MeteringFault> {
  if (known.meterId !== undefined && reading.meterId !== known.meterId) {
    const hint = 'another meter answers under this name; configure its id if it was exchanged'
    // Serial numbers stay out of logs: the fault says that they differ, the signed context says which was pinned.
    return fail({ code: 'metering.other-meter', meter: name, hint })
  }
  if (known.takenMono !== undefined && reading.takenMono < known.takenMono) {
    return fail({ code: 'metering.not-fresh', taken: reading.takenMono, after: known.takenMono })
  }
  for (const { obis, unit, ...value } of reading.values) {
    const before = known.counters.get(obis) ?? known.gone.get(obis)
    if (before === undefined) continue
    if (before.unit !== unit) return fail({ code: 'metering.unit-changed', obis, from: before.unit, to: unit })
    const [from, to] = [towardZeroAt(before, FINEST_SCALER), towardZeroAt({ obis, unit, ...value }, FINEST_SCALER)]
    if (to < from) return fail({ code: 'metering.counter-fell', obis, from, to })
  }
  return done
}

/** What is known after a believed answer. A counter that it does not hold keeps its last value. */
export function learn(known: Known, reading: Pick<MeterReading, 'meterId' | 'values' | 'takenMono'>): Known {
  const counters = new Map(known.counters)
  for (const value of reading.values) if (isCounter(value.obis)) counters.set(value.obis, value)
  return { ...known, meterId: known.meterId ?? reading.meterId, counters, takenMono: reading.takenMono }
}

/** The same from what was signed before a restart, and what was lost; its monotonic time means nothing any more. */
export function remember(
  known: Known,
  meterId: string,
  registers: readonly MeterValue[],
  lost: readonly MeterValue[],
): Known {
  const counters = new Map(known.counters)
  for (const value of registers) if (isCounter(value.obis)) counters.set(value.obis, value)
  const gone = new Map(lost.map(value => [value.obis, value]))
  return { meterId: known.meterId ?? meterId, counters, gone, takenMono: undefined }
}

/** The registers that are signed: active energy in and out, in every tariff that the meter gives. */
export const signedRegisters = (values: readonly MeterValue[]): MeterValue[] =>
  values.filter(({ obis, unit }) => unit === 'Wh' && /^\d+-\d+:[12]\.8\./.test(obis))

/** Milli-units of a value; absent where it is absent, of another unit, or beyond any wire. */
function milli(values: readonly MeterValue[], obis: Obis, unit: UnitName): number | undefined {
  const found = findValue(values, obis)
  if (found?.unit !== unit) return undefined
  const whole = Number(towardZeroAt(found, -3))
  return Number.isSafeInteger(whole) ? whole : undefined
}

/** Counters of active energy that the meter had and does not give here, with their last values. */
export function lostCounters({ counters }: Known, values: readonly MeterValue[]): MeterValue[] {
  const given = new Set(values.map(({ obis }) => obis))
  return signedRegisters([...counters.values()]).filter(({ obis }) => !given.has(obis))
}

/**
 * What of a reading is not to be settled on: its energy where the meter gave something that was refused since the last signed
 * reading, or lacks a register that it had; its time where nobody knows what that is worth.
 */
export function errorsOf(
  known: Known,
  values: readonly MeterValue[],
  refused: boolean,
  time: TimeQuality,
): ErrorFlag[] {
  const lost = lostCounters(known, values).length > 0
  return [...(refused || lost ? (['energy'] as const) : []), ...(time === 'unknown' ? (['time'] as const) : [])]
}

/** Power, import positive: the meter's own sum, else import minus export where it gives both. */
export function powerOf(values: readonly MeterValue[]): Power | undefined {
  const sum = milli(values, OBIS.power, 'W')
  if (sum !== undefined) return milliwatts(sum)
  const [into, out] = [milli(values, OBIS.powerImport, 'W'), milli(values, OBIS.powerExport, 'W')]
  return into === undefined || out === undefined ? undefined : milliwatts(into - out)
}

/** The highest phase voltage: a line is dead only when every phase is. */
export function voltageOf(values: readonly MeterValue[]): Voltage | undefined {
  const phases = [OBIS.voltageL1, OBIS.voltageL2, OBIS.voltageL3]
    .map(obis => milli(values, obis, 'V'))
    .filter(mv => mv !== undefined)
  return phases.length === 0 ? undefined : millivolts(Math.max(...phases))
}

/** The end of a meter's chain: what the next reading continues. */
export interface ChainEnd {
  readonly sequence: number
  readonly hash: Uint8Array | undefined
  readonly operatingSeconds: number
  readonly time: Instant | undefined
  readonly gap: boolean
  /** Wall minus monotonic time then; undefined when that was another boot. */
  readonly offset: number | undefined
}

export const NEW_CHAIN: ChainEnd = {
  sequence: 0,
  hash: undefined,
  operatingSeconds: 0,
  time: undefined,
  gap: false,
  offset: undefined,
}

export interface NextReading {
  /** Of the context's envelope hash. */
  readonly context: Uint8Array
  readonly registers: readonly MeterValue[]
  readonly reason: Reason
  readonly taken: Instant
  readonly takenMono: Mono
  readonly quality: TimeQuality
  readonly beforeSync: boolean
  readonly errors: readonly ErrorFlag[]
  /** Seconds since this metering began. */
  readonly upSeconds: number
  /** Operating seconds of the chain when it began. */
  readonly baseSeconds: number
  readonly session?: Session
}

/** The reading that continues a chain, and the chain's end once it is durable (`hash` is then known). */
export function nextReading(end: ChainEnd, next: NextReading): { reading: Reading; end: Omit<ChainEnd, 'hash'> } {
  const sequence = end.sequence + 1
  const offset = next.taken - next.takenMono
  const restarted = end.offset === undefined
  const stepped =
    !restarted && (Math.abs(offset - end.offset) > CLOCK_STEP_MS || (end.time !== undefined && next.taken < end.time))
  const flags: readonly [StatusFlag, boolean][] = [
    ['restarted', restarted && end.sequence > 0],
    ['gap-before', end.gap && next.reason !== 'gap'],
    ['clock-set', stepped],
    ['before-sync', next.beforeSync],
  ]
  const operatingSeconds = Math.max(end.operatingSeconds, next.baseSeconds + next.upSeconds)
  const reading: Reading = {
    context: next.context,
    sequence,
    operatingSeconds,
    time: next.taken,
    quality: next.quality,
    registers: next.registers,
    status: flags.filter(([, set]) => set).map(([flag]) => flag),
    reason: next.reason,
    errors: next.errors,
    ...(end.hash === undefined ? {} : { previous: end.hash }),
    ...(next.session === undefined ? {} : { session: next.session }),
  }
  return { reading, end: { sequence, operatingSeconds, time: next.taken, gap: next.reason === 'gap', offset } }
}
