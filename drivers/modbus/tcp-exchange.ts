/**
 * Requests on a TCP connection, several at once where the device can. The transaction number tells every answer's request,
 * in whatever order they come. The number of a request that was not answered is not used again before its answer is dead: at a
 * thousand requests a second all numbers come round in a minute. Nor does a new connection begin them anew, so that nothing
 * which a gateway still had of the old one is believed.
 */
import { concat } from '../../protocol/bytes.ts'
import { decodeTcp, encodeTcp, type TcpFrame } from '../../protocol/modbus/frame.ts'
import { decodeAnswer, encodeRequest } from '../../protocol/modbus/pdu.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import { fail, ok } from '../../protocol/result.ts'
import { later, type Mono } from '../../protocol/time.ts'
import type { Clock, Line, Timers } from '../ports.ts'
import type { Answered, Call, Exchange } from './exchange.ts'
import { answerCharacters, FRAMINGS, GATEWAY_CHARACTER_MS } from './framing.ts'
import type { SlaveRecord } from './slave-record.ts'

export interface TcpParts {
  readonly line: Line
  readonly clock: Clock
  readonly timers: Timers
  readonly depth: number
  readonly slave: (unit: number) => SlaveRecord
  readonly count: (what: 'late' | 'junk') => void
  /** The stream lost its place and must start again. */
  readonly lost: (fault: Fault) => void
}

/** An answer that is not there after so long never comes: the peer's own connection to the device has ended by then. */
const FEARED_MS = 120_000
const NUMBERS = 0x1_0000

/** Time-outs are looked for this often: no answer is worth a timer of its own. */
const LOOK_MS = 5

interface Pending {
  readonly call: Call
  readonly sentAt: Mono
  readonly timeoutMs: number
  /** When the time runs out, on the count of `listened`. */
  readonly until: number
  readonly settle: (result: Result<Answered>) => void
}

export function createTcpExchange({ line, clock, timers, depth, slave, count, lost }: TcpParts): Exchange {
  const pending = new Map<number, Pending>()
  let buffer: Uint8Array = new Uint8Array(0)
  let transaction = 0
  /** Numbers whose answers did not come, oldest first, and when they were asked. */
  const owed = new Map<number, { readonly unit: number; readonly sentAt: Mono }>()
  /** Milliseconds in which this process could have heard an answer: while it is held up, answers wait unread. */
  let listened = 0
  let looking = false

  function look(): void {
    looking = pending.size > 0
    if (!looking) return
    const begun = clock.mono()
    timers.after(LOOK_MS, () => {
      listened += Math.min(LOOK_MS, Math.max(1, clock.mono() - begun))
      for (const [number, { call, sentAt, timeoutMs, until }] of pending) {
        if (until > listened) continue
        slave(call.unit).missed(clock.mono(), timeoutMs, sentAt)
        giveUp(number, { code: 'modbus.timeout', unit: call.unit, afterMs: Math.round(timeoutMs) })
      }
      look()
    })
  }

  function end(number: number, result: Result<Answered>): void {
    const ended = pending.get(number)
    pending.delete(number)
    ended?.settle(result)
  }

  /** Ends a call whose answer may still come. */
  function giveUp(number: number, fault: Fault): void {
    const given = pending.get(number)
    if (given === undefined) return
    owed.set(number, { unit: given.call.unit, sentAt: given.sentAt })
    end(number, fail(fault))
  }

  function nextNumber(): number {
    const now = clock.mono()
    for (const [number, { sentAt }] of owed) {
      // However fast the line is asked in vain, a number stays free: the oldest is feared least.
      if (later(sentAt, FEARED_MS) > now && owed.size < NUMBERS / 2) break
      owed.delete(number)
    }
    do transaction = (transaction + 1) % NUMBERS
    while (pending.has(transaction) || owed.has(transaction))
    return transaction
  }

  function answer({ transaction: number, unit, pdu }: TcpFrame, frame: Uint8Array, at: Mono): void {
    const mine = pending.get(number)
    if (mine === undefined) {
      const late = owed.get(number)
      if (late !== undefined) slave(late.unit).learn(at - late.sentAt)
      owed.delete(number)
      count('late')
      return
    }
    if (unit !== mine.call.unit) {
      giveUp(number, { code: 'modbus.unit', expected: mine.call.unit, received: unit })
      return
    }
    const record = slave(unit)
    record.learn(at - mine.sentAt)
    record.answered()
    const read = decodeAnswer(mine.call.request, pdu)
    end(number, read.ok ? ok({ answer: read.value, frame, at }) : fail({ ...read.fault, unit }))
  }

  return {
    depth,
    run: call =>
      new Promise(settle => {
        const number = nextNumber()
        const pdu = encodeRequest(call.request)
        const characters = FRAMINGS.rtu.characters(pdu.length) + answerCharacters(FRAMINGS.rtu, call.request)
        const timeoutMs = slave(call.unit).timeoutMs(GATEWAY_CHARACTER_MS * characters)
        pending.set(number, { call, sentAt: clock.mono(), timeoutMs, until: listened + timeoutMs + LOOK_MS, settle })
        if (!looking) look()
        void line.write(encodeTcp(number, call.unit, pdu)).then(written => {
          if (!written.ok) giveUp(number, written.fault)
        })
      }),
    bytes: (chunk, at) => {
      buffer = buffer.length === 0 ? chunk : concat(buffer, chunk)
      for (;;) {
        const pull = decodeTcp(buffer)
        if (pull.kind === 'need') return
        if (pull.kind === 'junk') {
          count('junk')
          buffer = new Uint8Array(0)
          lost(pull.fault)
          return
        }
        const frame = buffer.slice(0, pull.used)
        buffer = buffer.subarray(pull.used)
        answer(pull.value, frame, at)
      }
    },
    down: fault => {
      buffer = new Uint8Array(0)
      for (const number of [...pending.keys()]) giveUp(number, fault)
    },
  }
}
