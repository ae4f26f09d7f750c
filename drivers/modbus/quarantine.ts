/**
 * Answers that did not come in time, but may still come. An RTU answer says only its unit, function and length, so a late
 * one is taken for the answer to the next request of the same three: on today's stacks that gave more wrong values than
 * right ones. Here no request is sent whose answer could be mistaken for one that is still owed; an owed answer leaves by
 * being heard, or when it is so old that it can no longer come.
 */
import { answerSignature, type ModbusRequest } from '../../protocol/modbus/pdu.ts'
import type { Fault } from '../../protocol/result.ts'
import { later, type Mono } from '../../protocol/time.ts'
import type { Call } from './exchange.ts'
import type { SlaveRecord } from './slave-record.ts'

/** An owed answer is feared this many timeouts long; the latest that the field has reported came after 20. */
const FEARED_TIMEOUTS = 25
/**
 * A register's answer, or an identification's, is feared this long at the least: 25 time-outs of a quick bus are only three seconds, and an answer
 * four seconds late was believed. A coil's has no such floor: it says where a contact is, is asked for again at once, and
 * a relay that cannot be read back opens.
 */
const FEARED_LEAST_MS = 6_000
const REGISTER_READS: readonly number[] = [3, 4, 23, 43]

export interface Owed {
  readonly unit: number
  readonly request: ModbusRequest
  readonly signature: string
  readonly sentAt: Mono
  readonly fearedUntil: Mono
}

export interface Quarantine {
  /** The answer to `request`, whose sending ended at `sentAt`, is owed. */
  add(unit: number, request: ModbusRequest, sentAt: Mono, timeoutMs: number): Owed
  /** Whether an answer to `request` could be mistaken for an owed one. */
  holds(unit: number, request: ModbusRequest, now: Mono): boolean
  /** Whether `unit` owes any answer of this function, so that an exception could be for that one. */
  holdsFunction(unit: number, fn: number, now: Mono): boolean
  owed(now: Mono): readonly Owed[]
  remove(owed: Owed): void
  /** Forgets the oldest owed answer that looks like the answer to `request`. */
  removeAlike(unit: number, request: ModbusRequest): void
}

export function createQuarantine(): Quarantine {
  let all: readonly Owed[] = []
  const alive = (now: Mono): readonly Owed[] => {
    if (all.some(owed => owed.fearedUntil <= now)) all = all.filter(owed => owed.fearedUntil > now)
    return all
  }
  const remove = (owed: Owed): void => {
    all = all.filter(one => one !== owed)
  }
  return {
    add: (unit, request, sentAt, timeoutMs) => {
      const leastMs = REGISTER_READS.includes(request.fn) ? FEARED_LEAST_MS : 0
      const fearedUntil = later(sentAt, Math.max(FEARED_TIMEOUTS * timeoutMs, leastMs))
      const owed = { unit, request, signature: answerSignature(request), sentAt, fearedUntil }
      all = [...all, owed]
      return owed
    },
    holds: (unit, request, now) => {
      if (all.length === 0) return false
      const signature = answerSignature(request)
      return alive(now).some(owed => owed.unit === unit && owed.signature === signature)
    },
    holdsFunction: (unit, fn, now) => alive(now).some(owed => owed.unit === unit && owed.request.fn === fn),
    owed: alive,
    remove,
    removeAlike: (unit, request) => {
      const signature = answerSignature(request)
      const oldest = all.find(owed => owed.unit === unit && owed.signature === signature)
      if (oldest !== undefined) remove(oldest)
    },
  }
}

/** Why a call must not be sent yet: its slave has to answer a canary first, or its answer could be mistaken for an owed one. */
export function holdBack(call: Call, record: SlaveRecord, quarantine: Quarantine, now: Mono): Fault | undefined {
  const { unit, request, urgent, canary, alone } = call
  if (urgent) return undefined
  if (record.tainted && record.hasCanary && !canary) return { code: 'modbus.tainted', unit }
  return !alone && quarantine.holds(unit, request, now)
    ? { code: 'modbus.quarantined', unit, function: request.fn }
    : undefined
}
