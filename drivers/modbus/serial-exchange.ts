/**
 * One request at a time on a serial line, or on a TCP stream that stands for one, and why its answer can be believed:
 *
 * 1. A frame counts only with the unit, function and length that were asked for, and a good check value.
 * 2. It must have begun after the request ended, by the pace of the wire: the buffer is emptied before sending, what is heard
 *    while the request is still on the wire can only be an old answer or our own echo, and a frame that is complete sooner
 *    than it could have been sent began too early. On a pseudo-terminal a request ends as it is written.
 * 3. No request is sent whose answer could be mistaken for one still owed (quarantine.ts): safe against answers up to 25
 *    timeouts and, of registers, six seconds late, in any order. Later than that only rule 4 and the lengths stand.
 * 4. After a timeout nothing of that slave is read until it has answered a canary, its identity register. A slave that
 *    keeps the order answers it after everything older, so that its answers may be late by any time at all.
 * 5. Where a read was answered twice, as through a radio link or a gateway that repeats itself, the second answer to every read
 *    is owed from then on.
 * 6. While another master asks on the same line nothing is believed: its answers look like ours.
 */
import { concat, equalBytes } from '../../protocol/bytes.ts'
import { decodeAnswer, encodeRequest } from '../../protocol/modbus/pdu.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { later, type Mono, mono } from '../../protocol/time.ts'
import { afterListening } from '../listening.ts'
import type { Cancel, Clock, Line, Timers } from '../ports.ts'
import type { Answered, Call, Exchange } from './exchange.ts'
import { answerCharacters, type Framing, GATEWAY_CHARACTER_MS } from './framing.ts'
import { isRepeated, listenFirst } from './own-echo.ts'
import { holdBack, type Owed, type Quarantine } from './quarantine.ts'
import { isUnreached, type SlaveRecord } from './slave-record.ts'

/** The quiet owed after a timeout is the longest answer seen, within these; a slave that never answered gets the least. */
const QUIET_LEAST_MS = 20
const QUIET_MOST_MS = 250
/** A line that babbles on is sent on all the same: its noise cannot pass the checks, and a relay may wait. */
const QUIET_TRIES = 3
/** A line that repeats answers is taken to do so for this long after the last that it repeated. */
const DOUBLES_MS = 60_000
/** A second master polls at least this often, or else it is not worth a fault. */
const STRANGER_MS = 10_000
/**
 * Longer than any adapter or busy machine keeps the next slice of an answer that has begun. A slave that dribbles is heard for
 * twice that and the time of its answer on the wire: relay commands wait behind it.
 */
const UNDER_WAY_MS = 50
/** Functions whose answers hold values. */
const READS: readonly number[] = [1, 2, 3, 4, 23, 43]
/** Two of the longest frames, which are those of ASCII: more than that cannot be the answer to one request. */
const BUFFER_MOST = 1_026
/**
 * The device's receive buffer is emptied this long before the silence ends, so that the call into the kernel costs the wire
 * nothing: it takes a tenth of this where nobody else wants the processor.
 */
const FLUSH_AHEAD_MS = 0.5
/** Either side may send a little faster than its nominal baud rate: clocks are allowed 2 % and more of error. */
const FASTEST_SHARE = 0.95

const EARLY_HINT =
  'answers come faster than this baud rate allows: set the rate of the line, or the highest where a virtual device has none'
const GARBLED_HINT = 'baud rate or parity may be wrong, or two devices answer at once'

export interface SerialParts {
  readonly line: Line
  readonly framing: Framing
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
  /** When it was sent, on the line's own clock: an answer can lie unread for as long as this process is busy. */
  readonly asked: Mono
  /**
   * When the request's last character leaves the wire. The machine's own word for it is not asked for: it comes too early from
   * a USB adapter, and too late from a busy kernel.
   */
  readonly endsAt: Mono
  /** When it can have left at the earliest: whatever began before does not answer it. */
  readonly heardFrom: Mono
  /** Whether this adapter's copy of our own transmission is still to come. */
  echoDue: boolean
  /** Bytes heard after the request that fit no frame that is waited for. */
  readonly junk: number[]
  /** How many bytes there were of frames that began before the request's end. */
  early: number
  /** What the line had counted of damaged bytes before this request. */
  readonly damagedBefore: number
}

export function createSerialExchange(parts: SerialParts): Exchange {
  const { line, framing, clock, timers, quarantine, slave, lateAnswerDefence, count } = parts
  const { characterMs } = line
  const silenceMs = framing.silenceMs(characterMs)
  let pending: Pending | undefined
  let buffer: Uint8Array = new Uint8Array(0)
  /** Bytes at the head of the buffer that were heard before the request ended. */
  let stale = 0
  let lastHeard = clock.fine()
  /** After a timeout: the quiet that the line owes before the next request. */
  let quietMs = 0
  /** Until when another master is taken to be on the line. */
  let strangerUntil = mono(Number.NEGATIVE_INFINITY)
  /** The read that was answered last, and until when a second answer to each is feared. */
  let answered: Call | undefined
  let doublesUntil = mono(Number.NEGATIVE_INFINITY)
  /** Whether this adapter hears its own transmitter, as the reads have shown; undefined until one has. */
  let hearsItself: boolean | undefined

  /** Milliseconds on the wire of the answer; behind a stream, of the request as well. */
  const wireMs = ({ request }: Call): number => {
    const answer = answerCharacters(framing, request)
    if (characterMs > 0) return answer * characterMs
    return (answer + framing.characters(encodeRequest(request).length)) * GATEWAY_CHARACTER_MS
  }

  /** What so many characters take on the wire at the least. */
  const fastestMs = (characters: number): number => (line.unpaced?.() ? 0 : FASTEST_SHARE * characters * characterMs)

  async function until(at: number): Promise<void> {
    const left = at - clock.fine()
    if (left > 0) await timers.exactly(left)
  }

  /** Waits for the silence that goes before a request, and forgets what the device still holds of earlier. */
  async function silence(urgent: boolean): Promise<Result<void>> {
    const want = urgent ? silenceMs : Math.max(silenceMs, quietMs)
    for (let tries = 0; tries < QUIET_TRIES; tries++) {
      await until(lastHeard + want - FLUSH_AHEAD_MS)
      const flushed = await line.flush()
      if (!flushed.ok) return flushed
      await until(lastHeard + want)
      if (clock.fine() >= lastHeard + want) break
    }
    if (!urgent) quietMs = 0
    return done
  }

  const consume = (used: number): void => {
    buffer = buffer.subarray(used)
    stale = Math.max(0, stale - used)
  }

  /** Takes what is complete at the head of the buffer; false when more bytes are needed. */
  function step(at: Mono, now: Mono): boolean {
    if (pending?.echoDue) {
      const heard = buffer.subarray(0, pending.frame.length)
      if (equalBytes(heard, pending.frame.subarray(0, heard.length))) {
        if (heard.length < pending.frame.length) return false
        consume(heard.length)
        pending.echoDue = false
        return true
      }
      pending.echoDue = false
      hearsItself = undefined
    }
    let waiting = false
    if (pending !== undefined && stale === 0) {
      const pull = framing.decodeAnswer(pending.call.unit, pending.call.request, buffer)
      if (pull.kind === 'frame') {
        const frame = buffer.slice(0, pull.used)
        consume(pull.used)
        if (lateAnswerDefence && now - fastestMs(pull.used) < pending.heardFrom) pending.early += pull.used
        else accept(pending, pull.value, frame, at)
        return true
      }
      waiting = pull.kind === 'need'
    }
    for (const owed of quarantine.owed(at)) {
      const pull = framing.decodeAnswer(owed.unit, owed.request, buffer)
      if (pull.kind === 'frame') {
        consume(pull.used)
        cameLate(owed, pull.value, at)
        return true
      }
      waiting ||= pull.kind === 'need'
    }
    if (answered !== undefined) {
      const pull = framing.decodeAnswer(answered.unit, answered.request, buffer)
      if (pull.kind === 'frame') {
        consume(pull.used)
        doublesUntil = later(at, DOUBLES_MS)
        count('late')
        return true
      }
      waiting ||= pull.kind === 'need'
    }
    if (pending !== undefined && stale > 0 && !isRepeated(pending.call.request)) {
      const pull = framing.decodeAnswer(pending.call.unit, pending.call.request, buffer)
      if (pull.kind === 'frame') {
        consume(pull.used)
        pending.early += pull.used
        return true
      }
    }
    const asked = framing.decodeRead(buffer)
    if (asked.kind === 'frame') {
      // Some adapters hear their own transmitter: that is no stranger.
      const isEcho = pending !== undefined && equalBytes(buffer.subarray(0, asked.used), pending.frame)
      consume(asked.used)
      if (isEcho) hearsItself = true
      else strangerAsked(at)
      return true
    }
    if (waiting || (asked.kind === 'need' && !hidesAnswer())) return false
    count('junk')
    if (pending !== undefined && stale === 0 && pending.junk.length < BUFFER_MOST) pending.junk.push(buffer[0]!)
    consume(1)
    return true
  }

  /**
   * Whether the answer stands further back in the buffer. A transceiver that turns round may leave a byte before it that makes
   * a short answer look like the beginning of a request.
   */
  function hidesAnswer(): boolean {
    if (pending === undefined || stale > 0) return false
    const { unit, request } = pending.call
    for (let from = 1; from < buffer.length; from++)
      if (framing.decodeAnswer(unit, request, buffer.subarray(from)).kind === 'frame') return true
    return false
  }

  function digest(at: Mono, now: Mono): void {
    while (buffer.length > 0 && step(at, now));
  }

  function accept(mine: Pending, pdu: Uint8Array, frame: Uint8Array, at: Mono): void {
    const { call, endsAt } = mine
    const record = slave(call.unit)
    const ambiguous = quarantine.holds(call.unit, call.request, at)
    const answer = decodeAnswer(call.request, pdu)
    if (!answer.ok && isUnreached(answer.fault)) {
      record.missed(at, at - endsAt, endsAt)
      return giveUp(mine, { ...answer.fault, unit: call.unit })
    }
    if (call.request.fn <= 4 && mine.junk.length + mine.early === 0) hearsItself ??= false
    if (!ambiguous) record.learn(Math.max(0, at - endsAt - frame.length * characterMs))
    record.answered()
    if (!answer.ok) {
      // The exception may belong to an older request of this function; then our own answer is still to come.
      if (quarantine.holdsFunction(call.unit, call.request.fn, at)) owe(mine)
      mine.settle(fail({ ...answer.fault, unit: call.unit }))
    } else if (hearsItself === undefined && isRepeated(call.request)) {
      // This may be our own transmission, and then the answer is still to come.
      owe(mine)
      mine.settle(fail({ code: 'modbus.ambiguous', unit: call.unit, function: call.request.fn }))
    } else if (ambiguous && !call.alone) {
      // Only a relay command gets here. One of the two answers was heard, the other is still to come.
      quarantine.removeAlike(call.unit, call.request)
      owe(mine)
      mine.settle(fail({ code: 'modbus.ambiguous', unit: call.unit, function: call.request.fn }))
    } else {
      answered = READS.includes(call.request.fn) ? call : undefined
      if (answered !== undefined && at < doublesUntil) owe(mine)
      if (call.canary || !record.hasCanary) record.tainted = false
      mine.settle(ok({ answer: answer.value, frame, asked: mine.asked }))
    }
  }

  /** An owed answer was heard at last: it is nobody's value, but it says how long this slave can take. */
  function cameLate(owed: Owed, pdu: Uint8Array, at: Mono): void {
    const alike = quarantine.owed(at).filter(one => one.unit === owed.unit && one.request.fn === owed.request.fn)
    // An exception names no length: with several owed nobody knows whose it is, and all stay feared.
    if ((pdu[0]! & 0x80) !== 0 && alike.length > 1) return
    // While the slave is asked for something else it may be a wrong answer to that; the owed one is then still to come.
    const isAsked = pending !== undefined && pending.call.unit === owed.unit && !pending.call.canary
    if (!isAsked) quarantine.remove(owed)
    if (owed.request === answered?.request) {
      // The double of a good answer: it says nothing about how long this slave takes.
      doublesUntil = later(at, DOUBLES_MS)
      return count('late')
    }
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

  function owe({ call, endsAt }: Pending): void {
    if (lateAnswerDefence) quarantine.add(call.unit, call.request, endsAt, slave(call.unit).timeoutMs(wireMs(call)))
  }

  function refusal(call: Call): Fault | undefined {
    if (!lateAnswerDefence || call.urgent) return undefined
    if (strangerUntil > clock.mono()) return { code: 'modbus.second-master', line: line.name }
    return holdBack(call, slave(call.unit), quarantine, clock.mono())
  }

  /** Whether the answer has begun to come and still goes on: it is not given up in the middle. */
  function isUnderWay({ call: { unit, request } }: Pending): boolean {
    if (stale > 0 || buffer.length === 0 || clock.fine() - lastHeard >= UNDER_WAY_MS) return false
    return framing.decodeAnswer(unit, request, buffer).kind === 'need'
  }

  function timedOut(expired: Pending, afterMs: number): void {
    const { unit } = expired.call
    const record = slave(unit)
    if (lastHeard < expired.heardFrom && !expired.echoDue) hearsItself = false
    if (lateAnswerDefence) quietMs = Math.min(Math.max(record.longestMs(), QUIET_LEAST_MS), QUIET_MOST_MS)
    record.missed(clock.mono(), afterMs, expired.endsAt)
    giveUp(expired, whyNothing(expired, Math.round(afterMs)))
  }

  /** Silence, or what was heard instead of an answer. */
  function whyNothing({ call: { unit, request }, junk, early, damagedBefore }: Pending, afterMs: number): Fault {
    const damaged = Math.max(0, (line.damaged?.() ?? 0) - damagedBefore)
    const bytes = junk.length + buffer.length - stale + damaged
    if (early > 0) return { code: 'modbus.early', unit, afterMs, bytes: early, hint: EARLY_HINT }
    const received = framing.answeringUnit(request, concat(Uint8Array.from(junk), buffer.subarray(stale)))
    if (received !== undefined && received !== unit) return { code: 'modbus.other-unit', unit, afterMs, received }
    if (bytes > 0) return { code: 'modbus.garbled', unit, afterMs, bytes, hint: GARBLED_HINT }
    return { code: 'modbus.timeout', unit, afterMs }
  }

  async function send(call: Call): Promise<Result<Answered>> {
    const frame = framing.encode(call.unit, encodeRequest(call.request))
    const silent = await silence(call.urgent)
    if (!silent.ok) return silent
    buffer = new Uint8Array(0)
    stale = 0
    return new Promise(resolve => {
      let cancel: Cancel = () => {}
      const now = clock.fine()
      const mine: Pending = {
        call,
        frame,
        asked: clock.mono(),
        endsAt: later(now, frame.length * characterMs),
        heardFrom: later(now, fastestMs(frame.length)),
        echoDue: hearsItself === true,
        junk: [],
        early: 0,
        damagedBefore: line.damaged?.() ?? 0,
        settle: result => {
          cancel()
          if (pending === mine) pending = undefined
          resolve(result)
        },
      }
      pending = mine
      void line.write(frame).then(written => {
        if (pending !== mine) return
        if (!written.ok) return giveUp(mine, written.fault)
        const timeoutMs = slave(call.unit).timeoutMs(wireMs(call))
        let moreMs = wireMs(call) + 2 * UNDER_WAY_MS
        const wait = (ms: number) => {
          cancel = afterListening(ms, clock, timers, () => {
            if (moreMs <= 0 || !isUnderWay(mine)) return timedOut(mine, timeoutMs)
            moreMs -= UNDER_WAY_MS
            wait(UNDER_WAY_MS)
          })
        }
        wait(Math.max(0, mine.endsAt - clock.fine()) + timeoutMs)
      })
    })
  }

  function hear(chunk: Uint8Array, at: Mono): void {
    const now = clock.fine()
    if (now - lastHeard > framing.gapMs) buffer = buffer.subarray(buffer.length)
    lastHeard = now
    if (pending === undefined && quarantine.owed(at).length === 0) count('unasked')
    buffer = concat(buffer, chunk).subarray(-BUFFER_MOST)
    stale = pending !== undefined && now < pending.heardFrom ? buffer.length : Math.min(stale, buffer.length)
    digest(at, now)
  }

  return {
    depth: 1,
    run: async call => {
      if (call.canary) slave(call.unit).hasCanary = true
      const refused = refusal(call)
      if (refused !== undefined) return fail(refused)
      if (hearsItself === undefined && isRepeated(call.request)) await send(listenFirst(call.unit, call.request))
      return send(call)
    },
    bytes: hear,
    down: fault => {
      // Another adapter may come back.
      hearsItself = undefined
      buffer = new Uint8Array(0)
      if (pending !== undefined) giveUp(pending, fault)
    },
  }
}
