/**
 * Requests on a TCP connection, several at once where the device can. The transaction number tells every answer's request,
 * in whatever order they come. The number of a request that was not answered is not used again before its answer is dead: at a
 * thousand requests a second all numbers come round in a minute. Nor does a new connection begin them anew, so that nothing
 * which a gateway still had of the old one is believed.
 *
 * Behind a gateway the number proves nothing: what comes on its serial line while it waits for one answer may be the late answer
 * to an earlier request, and goes out under the number of the later. So what stayed out, for us or as the gateway says, is
 * owed as on a serial line (quarantine.ts), its slave has to answer a canary, and nothing is believed of what was asked after
 * it meanwhile: an answer that overtakes an older request to its slave is held until that one was answered.
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
import { holdBack, type Owed, type Quarantine } from './quarantine.ts'
import { isUnreached, type SlaveRecord } from './slave-record.ts'

export interface TcpParts {
  readonly line: Line
  readonly clock: Clock
  readonly timers: Timers
  readonly depth: number
  readonly quarantine: Quarantine
  readonly slave: (unit: number) => SlaveRecord
  /** false only in the test that shows what the defence is worth. */
  readonly lateAnswerDefence: boolean
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
  /** The answer, held until those to older requests of the same slave have come. */
  held: Result<Answered> | undefined
  readonly settle: (result: Result<Answered>) => void
}

/** A request that was given up. */
interface Unanswered {
  readonly call: Call
  readonly sentAt: Mono
  readonly feared: Owed | undefined
  /** The request whose silence made this one's answer, which had come, doubtful. */
  readonly doubtedFor: number | undefined
}

export function createTcpExchange(parts: TcpParts): Exchange {
  const { line, clock, timers, depth, quarantine, slave, lateAnswerDefence, count, lost } = parts
  const pending = new Map<number, Pending>()
  let buffer: Uint8Array = new Uint8Array(0)
  let transaction = 0
  /** Numbers whose answers did not come, oldest first, and when they were asked. */
  const owed = new Map<number, Unanswered>()
  /** Milliseconds in which this process could have heard an answer: while it is held up, answers wait unread. */
  let listened = 0
  let looking = false

  function look(): void {
    looking = pending.size > 0
    if (!looking) return
    const begun = clock.mono()
    timers.after(LOOK_MS, () => {
      listened += Math.min(LOOK_MS, Math.max(1, clock.mono() - begun))
      for (const [number, { call, sentAt, timeoutMs, until, held }] of pending) {
        if (held !== undefined || until > listened) continue
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

  function owe(number: number, { call, sentAt, timeoutMs }: Pending, doubtedFor?: number): void {
    const feared = lateAnswerDefence ? quarantine.add(call.unit, call.request, sentAt, timeoutMs) : undefined
    owed.set(number, { call, sentAt, feared, doubtedFor })
  }

  /** Ends a call whose answer may still come, and with it those whose answers could be that one. */
  function giveUp(number: number, fault: Fault): void {
    const given = pending.get(number)
    if (given === undefined) return
    const { unit } = given.call
    owe(number, given)
    end(number, fail(fault))
    if (!lateAnswerDefence) return
    slave(unit).tainted = true
    for (const [other, doubtful] of pending) {
      if (doubtful.call.unit !== unit || doubtful.call.urgent || doubtful.call.alone) continue
      owe(other, doubtful, doubtful.held && number)
      end(other, fail({ code: 'modbus.tainted', unit }))
    }
    release(unit)
  }

  /** Ends the calls of a slave that are answered, in the order in which they were asked. */
  function release(unit: number): void {
    for (const [number, { call, held }] of pending) {
      if (call.unit !== unit) continue
      if (held !== undefined) end(number, held)
      else if (lateAnswerDefence) return
    }
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

  /**
   * Nobody's value. A peer that answers late and in turn told its answers apart, this and those after it. What comes while an older
   * one is owed may be that one and clears nothing, nor does a gateway's word that it waits no longer.
   */
  function cameLate(number: number, pdu: Uint8Array, at: Mono): void {
    count('late')
    const late = owed.get(number)
    if (late === undefined) return
    const { unit } = late.call
    slave(unit).learn(at - late.sentAt)
    const answer = decodeAnswer(late.call.request, pdu)
    const told = answer.ok || (answer.fault.code === 'modbus.exception' && !isUnreached(answer.fault))
    if (!told || quarantine.owed(at).find(one => one.unit === unit) !== late.feared) return
    for (const [other, { feared, doubtedFor }] of owed) {
      if (other !== number && doubtedFor !== number) continue
      if (feared !== undefined) quarantine.remove(feared)
      owed.delete(other)
    }
  }

  function answer({ transaction: number, unit, pdu }: TcpFrame, frame: Uint8Array, at: Mono): void {
    const mine = pending.get(number)
    if (mine === undefined) {
      cameLate(number, pdu, at)
      return
    }
    if (unit !== mine.call.unit) {
      giveUp(number, { code: 'modbus.unit', expected: mine.call.unit, received: unit })
      return
    }
    const { call, sentAt } = mine
    const record = slave(unit)
    const read = decodeAnswer(call.request, pdu)
    const fault = read.ok ? undefined : { ...read.fault, unit }
    if (fault !== undefined && isUnreached(fault)) {
      record.missed(at, at - sentAt, sentAt)
      return giveUp(number, fault)
    }
    record.learn(at - sentAt)
    record.answered()
    if (fault !== undefined && fault.code !== 'modbus.exception') return giveUp(number, fault)
    if (read.ok && call.urgent && quarantine.holds(unit, call.request, at))
      return giveUp(number, { code: 'modbus.ambiguous', unit, function: call.request.fn })
    if (read.ok && (call.canary || !record.hasCanary)) record.tainted = false
    mine.held = read.ok ? ok({ answer: read.value, frame, asked: sentAt }) : fail(fault!)
    if (call.urgent) end(number, mine.held)
    else release(unit)
  }

  return {
    depth,
    run: call => {
      const record = slave(call.unit)
      if (call.canary) record.hasCanary = true
      const refused = lateAnswerDefence ? holdBack(call, record, quarantine, clock.mono()) : undefined
      if (refused !== undefined) return Promise.resolve(fail(refused))
      return new Promise(settle => {
        const number = nextNumber()
        const pdu = encodeRequest(call.request)
        const characters = FRAMINGS.rtu.characters(pdu.length) + answerCharacters(FRAMINGS.rtu, call.request)
        const timeoutMs = record.timeoutMs(GATEWAY_CHARACTER_MS * characters)
        const until = listened + timeoutMs + LOOK_MS
        pending.set(number, { call, sentAt: clock.mono(), timeoutMs, until, held: undefined, settle })
        if (!looking) look()
        void line.write(encodeTcp(number, call.unit, pdu)).then(written => {
          if (!written.ok) giveUp(number, written.fault)
        })
      })
    },
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
