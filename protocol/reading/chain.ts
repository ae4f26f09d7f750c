/**
 * Whether a run of readings of one meter, or of events of one gateway, is whole: nothing missing, nothing put in, nothing
 * turned back. It may begin anywhere in the chain. Every broken rule is named, because a dispute wants them all and not
 * the first.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { towardZeroAt } from '../telegram/obis.ts'
import type { VerifiedEvent, VerifiedReading } from './verify.ts'

export type ChainBreak = { readonly sequence: number } & (
  | { readonly code: 'chain.sequence-gap'; readonly expected: number }
  | { readonly code: 'chain.sequence-back'; readonly expected: number }
  | { readonly code: 'chain.previous-hash'; readonly expected: string; readonly received: string | undefined }
  | { readonly code: 'chain.counter-fell'; readonly obis: string; readonly from: bigint; readonly to: bigint }
  | { readonly code: 'chain.unit-changed'; readonly obis: string; readonly from: string; readonly to: string }
  | { readonly code: 'chain.operating-time-fell'; readonly from: number; readonly to: number }
  | { readonly code: 'chain.time-fell'; readonly from: number; readonly to: number }
  | { readonly code: 'chain.boot-fell'; readonly from: number; readonly to: number }
  | { readonly code: 'chain.restart-unmarked'; readonly from: number; readonly to: number }
  | { readonly code: 'chain.other-meter'; readonly expected: string; readonly received: string }
  | { readonly code: 'chain.other-device'; readonly expected: string; readonly received: string }
)

/**
 * A register that may stand still and never falls: value group D is 8, time integral 1 (IEC 62056-61), unless group C is
 * 16, 36, 56 or 76, where import and export are netted.
 */
export const isCounter = (obis: string): boolean => /^\d+-\d+:(?!(?:16|36|56|76)\.)\d+\.8\./.test(obis)

/** The finest scaler that a reading may carry: comparing there loses no digit. */
const FINEST_SCALER = -9

/** The last value of a counter, kept at the finest scaler: a gap record between two readings must not hide a fall. */
interface Counter {
  readonly value: bigint
  readonly unit: string
}

export interface ChainCheck<T = VerifiedReading> {
  /** The rules that this one breaks, as the next of the chain. */
  add(next: T): readonly ChainBreak[]
}

/** Takes the readings of one meter one by one, in the order of their journal, and keeps only the last. */
export function createChainCheck(): ChainCheck<VerifiedReading> {
  const counters = new Map<string, Counter>()
  const pairs = checkPairs<VerifiedReading>((first, before, current) => [
    ...identityBreaks(first, current),
    ...linkBreaks(before.reading.sequence, before.hash, current.reading),
    ...timeBreaks(before, current),
  ])
  return { add: current => [...pairs.add(current), ...counterBreaks(counters, current)] }
}

/** The same for the events of one gateway. Their wall time may go back: a clock step is an event itself. */
export const createEventChainCheck = (): ChainCheck<VerifiedEvent> =>
  checkPairs((first, { event: before, hash }, { event }) => [
    ...deviceBreaks(event.sequence, first.event.device, event.device),
    ...linkBreaks(before.sequence, hash, event),
    ...(event.boot < before.boot
      ? [{ code: 'chain.boot-fell', sequence: event.sequence, from: before.boot, to: event.boot } as const]
      : []),
  ])

/** Judges each against the first and the one before it. */
function checkPairs<T>(judge: (first: T, before: T, current: T) => readonly ChainBreak[]): ChainCheck<T> {
  let first: T | undefined
  let before: T | undefined
  return {
    add: current => {
      const breaks = first === undefined || before === undefined ? [] : judge(first, before, current)
      first ??= current
      before = current
      return breaks
    },
  }
}

/** Every rule broken by readings in the order of their journal; empty when the run is whole. */
export function verifyChain(readings: Iterable<VerifiedReading>): ChainBreak[] {
  const check = createChainCheck()
  return [...readings].flatMap(reading => check.add(reading))
}

/** Every rule broken by events of one gateway in the order of its journal; empty when the run is whole. */
export function verifyEventChain(events: Iterable<VerifiedEvent>): ChainBreak[] {
  const check = createEventChainCheck()
  return [...events].flatMap(event => check.add(event))
}

/** A chain belongs to one meter behind one gateway; the key may change, as the context says. */
function identityBreaks(first: VerifiedReading, { reading, context }: VerifiedReading): ChainBreak[] {
  const { sequence } = reading
  const breaks: ChainBreak[] = []
  if (context.meterId !== first.context.meterId) {
    breaks.push({
      code: 'chain.other-meter',
      sequence,
      expected: first.context.meterId,
      received: context.meterId,
    })
  }
  breaks.push(...deviceBreaks(sequence, first.context.device, context.device))
  return breaks
}

const deviceBreaks = (sequence: number, expected: Uint8Array, received: Uint8Array): ChainBreak[] =>
  equalBytes(expected, received)
    ? []
    : [{ code: 'chain.other-device', sequence, expected: toHex(expected), received: toHex(received) }]

/** What readings and events share: numbers without a gap, each with the hash of the one before. */
interface Link {
  readonly sequence: number
  readonly previous?: Uint8Array
}

function linkBreaks(before: number, hash: Uint8Array, { sequence, previous }: Link): ChainBreak[] {
  const breaks: ChainBreak[] = []
  const expected = before + 1
  if (sequence > expected) breaks.push({ code: 'chain.sequence-gap', sequence, expected })
  if (sequence < expected) breaks.push({ code: 'chain.sequence-back', sequence, expected })
  if (previous === undefined || !equalBytes(previous, hash)) {
    breaks.push({
      code: 'chain.previous-hash',
      sequence,
      expected: toHex(hash),
      received: previous === undefined ? undefined : toHex(previous),
    })
  }
  return breaks
}

function timeBreaks(before: VerifiedReading, { reading, context }: VerifiedReading): ChainBreak[] {
  const { sequence } = reading
  const breaks: ChainBreak[] = []
  const fell = <C extends 'chain.operating-time-fell' | 'chain.time-fell' | 'chain.boot-fell'>(
    code: C,
    from: number,
    to: number,
  ) => {
    if (to < from) breaks.push({ code, sequence, from, to })
  }
  fell('chain.operating-time-fell', before.reading.operatingSeconds, reading.operatingSeconds)
  fell('chain.boot-fell', before.context.boot, context.boot)
  // Wall time may go back where the clock was set, and across a restart of a board without one; both are marked.
  const marked = reading.status.includes('clock-set') || reading.status.includes('restarted')
  if (!marked) fell('chain.time-fell', before.reading.time, reading.time)
  if (context.boot > before.context.boot && !reading.status.includes('restarted')) {
    breaks.push({ code: 'chain.restart-unmarked', sequence, from: before.context.boot, to: context.boot })
  }
  return breaks
}

function counterBreaks(counters: Map<string, Counter>, { reading }: VerifiedReading): ChainBreak[] {
  const { sequence } = reading
  const breaks: ChainBreak[] = []
  for (const register of reading.registers) {
    const { obis, unit } = register
    if (!isCounter(obis)) continue
    const value = towardZeroAt(register, FINEST_SCALER)
    const last = counters.get(obis)
    if (last !== undefined && last.unit !== unit) {
      breaks.push({ code: 'chain.unit-changed', sequence, obis, from: last.unit, to: unit })
    } else if (last !== undefined && value < last.value) {
      breaks.push({ code: 'chain.counter-fell', sequence, obis, from: last.value, to: value })
    }
    counters.set(obis, { value, unit })
  }
  return breaks
}
