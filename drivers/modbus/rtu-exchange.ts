/**
 * One request at a time on an RTU line, and why its answer can be believed:
 *
 * 1. A frame counts only with the unit, function and length that were asked for, and a good CRC.
 * 2. It must have begun after the request ended: the buffer is emptied before sending, and what is heard while the request
 *    is still on the wire can only be an old answer.
 * 3. No request is sent whose answer could be mistaken for one still owed (quarantine.ts): safe against answers up to 25
 *    timeouts and, of registers, six seconds late, in any order. Later than that only rule 4 and the lengths stand.
 * 4. After a timeout nothing of that slave is read until it has answered a canary, its identity register. A slave that
 *    keeps the order answers it after everything older, so that its answers may be late by any time at all.
 * 5. While another master asks on the same line nothing is believed: its answers look like ours.
 */

import { concat, equalBytes } from '../../protocol/bytes.ts'
import { decodeRtuAnswer, decodeRtuRequest, encodeRtu } from '../../protocol/modbus/frame.ts'
import { answerLength, decodeAnswer, encodeRequest } from '../../protocol/modbus/pdu.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import { fail, ok } from '../../protocol/result.ts'
import { later, type Mono, mono } from '../../protocol/time.ts'
import { afterListening } from '../listening.ts'
import type { Cancel, Clock, Line, Timers } from '../ports.ts'
import type { Answered, Call, Exchange } from './exchange.ts'
import type { Owed, Quarantine } from './quarantine.ts'
import type { SlaveRecord } from './slave-record.ts'

/** Silence around a frame: 3.5 characters, and the fixed 1.75 ms that the specification allows above 19,200 baud. */
const SILENCE_CHARACTERS = 3.5
const FAST_SILENCE_MS = 1.75
/** A character takes 0.52 ms at 19,200 baud and 0.29 ms at 38,400; a line without characters (TCP) counts as fast. */
const FAST_CHARACTER_MS = 0.5
/** The quiet owed after a timeout is the longest answer seen, within these; a slave that never answered gets the least. */
const QUIET_LEAST_MS = 20
const QUIET_MOST_MS = 250
/** A line that babbles on is sent on all the same: its noise cannot pass the checks, and a relay may wait. */
const QUIET_TRIES = 3
/** A second master polls at least this often, or else it is not worth a fault. */
const STRANGER_MS = 10_000
/** Functions 1 to 4: a request of 8 bytes, never an echo of a write. */
const READ_FUNCTION_MOST = 4
/** Two of the longest frames: more than that cannot be the answer to one request. */
const BUFFER_MOST = 512

export interface RtuParts {
  readonly line: Line
  readonly clock: Clock
  readonly timers: Timers
  readonly quarantine: Quarantine
  readonly slave: (unit: number) => SlaveRecord
  /** false only in the test that shows what the defence is worth. */
  readonly lateAnswerDefence: boolean
  readonly count: (what: 'late' | 'junk' | 'unasked' | 'stranger') => void
}

interface Pending {
  readonly call: Call
  /** The request as it is sent. */
  readonly frame: Uint8Array
  readonly settle: (result: Result<Answered>) => void
  /** When the request had left the wire; undefined while it is being sent. */
  requestEnd: Mono | undefined
}

export const silenceOf = (characterMs: number): number =>
  characterMs < FAST_CHARACTER_MS ? FAST_SILENCE_MS : SILENCE_CHARACTERS * characterMs

export function createRtuExchange(parts: RtuParts): Exchange {
  const { line, clock, timers, quarantine, slave, lateAnswerDefence, count } = parts
  const silenceMs = silenceOf(line.characterMs)
  let pending: Pending | undefined
  let buffer: Uint8Array = new Uint8Array(0)
  /** Bytes at the head of the buffer that were heard before the request ended. */
  let stale = 0
  /** While a request is being sent: what was heard when. */
  let heard: { readonly at: Mono; readonly length: number }[] = []
  let lastHeard = clock.mono()
  let chunksHeard = 0
  /** After a timeout: the quiet that the line owes before the next request. */
  let quietMs = 0
  /** Until when another master is taken to be on the line. */
  let strangerUntil = mono(Number.NEGATIVE_INFINITY)

  /** Milliseconds on the wire of a good answer, as far as the request tells. */
  function wireMs({ request }: Call): number {
    const size = answerLength(request, new Uint8Array(0))
    return (3 + ('length' in size ? size.length : 253)) * line.characterMs
  }

  async function silence(urgent: boolean): Promise<void> {
    const want = urgent ? silenceMs : Math.max(silenceMs, quietMs)
    for (let tries = 0; tries < QUIET_TRIES; tries++) {
      const chunksBefore = chunksHeard
      // The clock counts whole milliseconds: what it calls `since` may be one less.
      const since = clock.mono() - lastHeard
      if (since >= want + 1) break
      await timers.sleep(Math.min(want, want - since + 1))
      if (chunksHeard === chunksBefore) break
    }
    if (!urgent) quietMs = 0
  }

  const consume = (used: number): void => {
    buffer = buffer.subarray(used)
    stale = Math.max(0, stale - used)
  }

  /** Takes what is complete at the head of the buffer; false when more bytes are needed. */
  function step(at: Mono): boolean {
    let waiting = false
    if (pending?.requestEnd !== undefined && stale === 0) {
      const pull = decodeRtuAnswer(pending.call.unit, pending.call.request, buffer)
      if (pull.kind === 'frame') {
        const frame = buffer.slice(0, pull.used)
        consume(pull.used)
        accept(pending, pull.value, frame, at)
        return true
      }
      waiting = pull.kind === 'need'
    }
    for (const owed of quarantine.owed(at)) {
      const pull = decodeRtuAnswer(owed.unit, owed.request, buffer)
      if (pull.kind === 'frame') {
        consume(pull.used)
        cameLate(owed, pull.value, at)
        return true
      }
      waiting ||= pull.kind === 'need'
    }
    const asked = buffer.length > 1 && buffer[1]! <= READ_FUNCTION_MOST ? decodeRtuRequest(buffer) : undefined
    if (asked?.kind === 'frame') {
      // Some adapters hear their own transmitter: that is no stranger.
      const isEcho = pending !== undefined && equalBytes(buffer.subarray(0, asked.used), pending.frame)
      consume(asked.used)
      if (!isEcho) strangerAsked(at)
      return true
    }
    if (waiting || asked?.kind === 'need') return false
    count('junk')
    consume(1)
    return true
  }

  function digest(at: Mono): void {
    while (buffer.length > 0 && step(at));
  }

  function accept(answered: Pending, pdu: Uint8Array, frame: Uint8Array, at: Mono): void {
    const { call, requestEnd } = answered
    const record = slave(call.unit)
    const ambiguous = quarantine.holds(call.unit, call.request, at)
    const answer = decodeAnswer(call.request, pdu)
    if (!ambiguous) record.learn(Math.max(0, at - requestEnd! - frame.length * line.characterMs))
    record.answered()
    if (!answer.ok) {
      // The exception may belong to an older request of this function; then our own answer is still to come.
      if (quarantine.holdsFunction(call.unit, call.request.fn, at)) owe(answered)
      answered.settle(fail({ ...answer.fault, unit: call.unit }))
    } else if (ambiguous && !call.alone) {
      // Only a relay command gets here. One of the two echoes was heard, the other is still to come.
      quarantine.removeAlike(call.unit, call.request)
      owe(answered)
      answered.settle(fail({ code: 'modbus.ambiguous', unit: call.unit, function: call.request.fn }))
    } else {
      if (call.canary || !record.hasCanary) record.tainted = false
      answered.settle(ok({ answer: answer.value, frame, at }))
    }
  }

  /** An owed answer was heard at last: it is nobody's value, but it says how long this slave can take. */
  function cameLate(owed: Owed, pdu: Uint8Array, at: Mono): void {
    const alike = quarantine.owed(at).filter(one => one.unit === owed.unit && one.request.fn === owed.request.fn)
    // An exception names no length: with several owed nobody knows whose it is, and all stay feared.
    if ((pdu[0]! & 0x80) !== 0 && alike.length > 1) return
    quarantine.remove(owed)
    slave(owed.unit).learn(at - owed.sentAt)
    count('late')
  }

  function strangerAsked(at: Mono): void {
    count('stranger')
    strangerUntil = later(at, STRANGER_MS)
    if (pending !== undefined) giveUp(pending, { code: 'modbus.second-master', line: line.name })
  }

  /** Ends a call whose answer may still come. */
  function giveUp(given: Pending, fault: Fault): void {
    owe(given)
    slave(given.call.unit).tainted = lateAnswerDefence
    given.settle(fail(fault))
  }

  function owe({ call, requestEnd }: Pending): void {
    if (!lateAnswerDefence) return
    quarantine.add(call.unit, call.request, requestEnd ?? clock.mono(), slave(call.unit).timeoutMs(wireMs(call)))
  }

  function refusal(call: Call): Fault | undefined {
    if (!lateAnswerDefence || call.urgent) return undefined
    const record = slave(call.unit)
    if (strangerUntil > clock.mono()) return { code: 'modbus.second-master', line: line.name }
    if (record.tainted && record.hasCanary && !call.canary) return { code: 'modbus.tainted', unit: call.unit }
    return !call.alone && quarantine.holds(call.unit, call.request, clock.mono())
      ? { code: 'modbus.quarantined', unit: call.unit, function: call.request.fn }
      : undefined
  }

  function timedOut(expired: Pending, afterMs: number): void {
    const { unit } = expired.call
    const record = slave(unit)
    if (lateAnswerDefence) quietMs = Math.min(Math.max(record.longestMs(), QUIET_LEAST_MS), QUIET_MOST_MS)
    record.missed(clock.mono(), afterMs)
    giveUp(expired, { code: 'modbus.timeout', unit, afterMs: Math.round(afterMs) })
  }

  async function send(call: Call): Promise<Result<Answered>> {
    const frame = encodeRtu(call.unit, encodeRequest(call.request))
    await silence(call.urgent)
    const flushed = await line.flush()
    if (!flushed.ok) return flushed
    buffer = new Uint8Array(0)
    heard = []
    stale = 0
    const startedAt = clock.mono()
    let cancel: Cancel | undefined
    const answered = new Promise<Result<Answered>>(resolve => {
      const mine: Pending = {
        call,
        frame,
        requestEnd: undefined,
        settle: result => {
          cancel?.()
          if (pending === mine) pending = undefined
          resolve(result)
        },
      }
      pending = mine
      void line.write(frame).then(written => {
        if (pending !== mine) return
        if (!written.ok) return giveUp(mine, written.fault)
        // The wire's own pace bounds it where the machine tells of the end too late.
        const end = Math.min(clock.mono(), startedAt + frame.length * line.characterMs) as Mono
        mine.requestEnd = end
        stale = heard.filter(chunk => chunk.at < end).reduce((sum, chunk) => sum + chunk.length, 0)
        heard = []
        const timeoutMs = slave(call.unit).timeoutMs(wireMs(call))
        const waitMs = Math.max(0, end - clock.mono()) + timeoutMs
        cancel = afterListening(waitMs, clock, timers, () => timedOut(mine, timeoutMs))
        digest(clock.mono())
      })
    })
    return answered
  }

  return {
    depth: 1,
    run: async call => {
      if (call.canary) slave(call.unit).hasCanary = true
      const refused = refusal(call)
      return refused === undefined ? send(call) : fail(refused)
    },
    bytes: (chunk, at) => {
      lastHeard = at
      chunksHeard++
      if (pending === undefined && quarantine.owed(at).length === 0) count('unasked')
      buffer = concat(buffer, chunk).subarray(-BUFFER_MOST)
      if (pending !== undefined && pending.requestEnd === undefined) heard.push({ at, length: chunk.length })
      else digest(at)
    },
    down: fault => {
      if (pending !== undefined) giveUp(pending, fault)
    },
  }
}
