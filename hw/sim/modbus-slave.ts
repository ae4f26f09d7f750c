/**
 * Modbus slaves behind one device end: any number of units, in RTU, ASCII or TCP framing, each with a fault injector. They
 * behave as real ones do: a frame with a bad check or for another unit is passed over in silence, a wrong address earns an
 * exception. RTU over TCP is RTU on an end that has no characters.
 */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Cancel, Clock, Timers } from '../../drivers/ports.ts'
import { concat } from '../../protocol/bytes.ts'
import {
  decodeAscii,
  decodeRtuRequest,
  decodeTcp,
  encodeAscii,
  encodeRtu,
  encodeTcp,
} from '../../protocol/modbus/frame.ts'
import { encodeRequest, type ModbusRequest } from '../../protocol/modbus/pdu.ts'
import { decodeRequest, encodeAnswer, encodeException } from '../../protocol/modbus/slave.ts'
import { ILLEGAL_FUNCTION, ILLEGAL_VALUE, type ModbusBank, perform, type Registers } from './modbus-bank.ts'
import { type Noise, noise, type Random } from './noise.ts'
import { sendPaced } from './pace.ts'

export type { ModbusBank } from './modbus-bank.ts'

/** What is wrong with a unit; set at any time. The noise is that of its answers on their way. */
export interface UnitFaults extends Noise {
  /** Says nothing and does nothing. */
  dead: boolean
  /** Its registers stand still from the first read on. */
  frozen: boolean
  /** This many of the next answers come late by `lateMs`, and of the others this share. */
  lateNext: number
  lateShare: number
  lateMs: number
  /** A late answer holds up the following ones (a slow device or gateway) instead of being overtaken by them. */
  lateQueued: boolean
  /** Share of answers that carry the next unit's number. */
  wrongUnitShare: number
  flippedBits: number
  lostBytes: number
  extraBytes: number
  parityErrors: number
  garbled: boolean
}

/** What is wrong with the line itself; set at any time. */
export interface LineFaults {
  /** An adapter that hears its own transmitter: each request comes back as it is sent. */
  echo: boolean
  /** Another master reads the first unit this often, in the same shape as we did last and two registers further on; 0 is never. */
  secondMasterMs: number
}

/** What was seen on the line, counted as it happens. */
export interface SlaveStats {
  /** Sound requests, whoever they were for; answers sent; answers and requests that a fault befell. */
  requests: number
  answers: number
  injected: number
  /**
   * Silences between the last byte on the wire and the first of the next request, those shorter than the 3.5 characters (1.75
   * ms above 19,200 baud) of Serial Line V1.02, 2.5.1.1, and the shortest. Of RTU on an end that keeps no pace of its own.
   */
  silences: number
  breaches: number
  shortestMs: number
}

export const createSlaveStats = (): SlaveStats => ({
  requests: 0,
  answers: 0,
  injected: 0,
  silences: 0,
  breaches: 0,
  shortestMs: Number.POSITIVE_INFINITY,
})

export interface ModbusUnit {
  readonly bank: ModbusBank
  readonly faults: UnitFaults
  /** Those of the bank, or where it is frozen those of that moment. */
  registers(): Registers
}

export interface ModbusSlaveOptions {
  readonly framing: 'rtu' | 'ascii' | 'tcp'
  /** Milliseconds a character where the end keeps no pace of its own (a pseudo-terminal), else 0. */
  readonly characterMs: number
  /** Answers are handed over in slices of so many milliseconds, as by a serial adapter. */
  readonly sliceMs?: number
  /** From the request's last byte to the answer's first. */
  readonly turnaroundMs: number
  readonly line?: LineFaults
  readonly stats?: SlaveStats
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

/** Those of decodeRequest: with one of these, it is the values that mean nothing. */
const KNOWN_FUNCTIONS = [1, 2, 3, 4, 5, 6, 15, 16, 23, 43]
const BROADCAST = 0
/** A slave gives up a request whose rest does not come. Longer than any hitch between two reads of one write. */
const REQUEST_GAP_MS = 100
/** Between two characters of an ASCII frame up to a second may pass (Serial Line V1.02, 2.5.2.1). */
const ASCII_GAP_MS = 1_000
/** Two of the longest ASCII frames. */
const BUFFER_MOST = 1_026
/** 19,200 baud in 8N1, the fastest to which 3.5 characters apply; a longer character is slower. */
const FAST_CHARACTER_MS = 10_000 / 19_200
const FAST_SILENCE_MS = 1.75
/** A line on which another master finds no gap is tried again so much later. */
const STRANGER_RETRY_MS = 5

const NONE: Registers = () => undefined

export function createUnit(bank: ModbusBank): ModbusUnit {
  let still: Registers | undefined
  const faults: UnitFaults = {
    dead: false,
    frozen: false,
    lateNext: 0,
    lateShare: 0,
    lateMs: 0,
    lateQueued: false,
    wrongUnitShare: 0,
    flippedBits: 0,
    lostBytes: 0,
    extraBytes: 0,
    parityErrors: 0,
    garbled: false,
  }
  const now = () => bank.registers?.() ?? NONE
  return {
    bank,
    faults,
    registers: () => {
      if (!faults.frozen) {
        still = undefined
        return now()
      }
      still ??= now()
      return still
    },
  }
}

/** A sound frame that was heard. */
interface Heard {
  readonly unit: number
  readonly transaction: number
  readonly fn: number
  /** undefined where the frame holds no request that means anything. */
  readonly request: ModbusRequest | undefined
}

/** Serves `units` on `end` until the returned function is called. */
export function serveModbus(
  end: DeviceEnd,
  units: ReadonlyMap<number, ModbusUnit>,
  options: ModbusSlaveOptions,
): Cancel {
  const { framing, characterMs, sliceMs, turnaroundMs, clock, timers, random } = options
  const { line = { echo: false, secondMasterMs: 0 }, stats = createSlaveStats() } = options
  const silenceMs = characterMs < FAST_CHARACTER_MS ? FAST_SILENCE_MS : 3.5 * characterMs
  let live = true
  let buffer: Uint8Array = new Uint8Array(0)
  /** When the first byte in the buffer began, as the wire would have brought it. */
  let begunAt = 0
  let cancelGap: Cancel = () => {}
  /** Until when the device works at earlier requests, and until when its answers to them take the wire. */
  let busyUntil = 0
  let answersUntil = 0
  /** When the last byte so far, in either direction, has left the wire. */
  let wireUntil = Number.NEGATIVE_INFINITY
  let lastRead: Extract<ModbusRequest, { fn: 3 | 4 }> = { fn: 4, address: 0, count: 2 }

  end.onBytes(chunk => {
    if (!live) return
    cancelGap()
    if (line.echo) {
      stats.injected++
      sendPaced({ write }, chunk.slice(), { afterMs: 0, characterMs, ...slices }, timers)
    }
    if (buffer.length === 0) {
      begunAt = clock.mono()
      measureSilence()
    }
    buffer = concat(buffer, chunk).subarray(-BUFFER_MOST)
    wireUntil = Math.max(wireUntil, begunAt + buffer.length * characterMs)
    for (let used: number = -1; used !== 0 && buffer.length > 0; buffer = buffer.subarray(used)) {
      used = take()
      begunAt += used * characterMs
    }
    if (buffer.length === 0) return
    cancelGap = timers.after(framing === 'ascii' ? ASCII_GAP_MS : REQUEST_GAP_MS, () => {
      buffer = new Uint8Array(0)
    })
  })
  const slices = sliceMs === undefined ? {} : { sliceMs }
  const write = (slice: Uint8Array): void => {
    if (!live) return
    // Where this program is late, the wire is. Not after the call: whoever reads may have begun to wait before it comes back.
    wireUntil = Math.max(wireUntil, clock.mono())
    end.write(slice)
  }

  function measureSilence(): void {
    if (framing !== 'rtu' || characterMs === 0) return
    const silence = begunAt - wireUntil
    if (silence === Number.POSITIVE_INFINITY) return
    stats.silences++
    if (silence < silenceMs) stats.breaches++
    stats.shortestMs = Math.min(stats.shortestMs, silence)
  }

  /** Takes what is complete at the head of the buffer: bytes used up, 0 where more are needed. */
  function take(): number {
    if (framing === 'rtu') return takeRtu()
    const pull = framing === 'tcp' ? decodeTcp(buffer) : decodeAscii(buffer)
    if (pull.kind === 'need') return 0
    if (pull.kind === 'junk') return pull.skip
    const { unit, pdu, transaction } = { transaction: 0, ...pull.value }
    const request = decodeRequest(pdu)
    heard({ unit, transaction, fn: pdu[0]!, request: request.ok ? request.value : undefined }, pull.used)
    return pull.used
  }

  function takeRtu(): number {
    const pull = decodeRtuRequest(buffer)
    if (pull.kind === 'need') return 0
    const used = pull.kind === 'frame' ? pull.used : pull.skip
    // Junk of more than one byte is a sound frame with a request that means nothing.
    if (used > 1) {
      const request = pull.kind === 'frame' ? pull.value.request : undefined
      heard({ unit: buffer[0]!, transaction: 0, fn: buffer[1]!, request }, used)
    }
    return used
  }

  function heard(frame: Heard, length: number): void {
    stats.requests++
    const { request } = frame
    if (request?.fn === 3 || request?.fn === 4) lastRead = request as typeof lastRead
    const now = clock.mono()
    busyUntil = Math.max(busyUntil, now, begunAt + length * characterMs) + turnaroundMs
    timers.after(busyUntil - now, () => {
      if (live) act(frame)
    })
  }

  function act(frame: Heard): void {
    if (framing !== 'tcp' && frame.unit === BROADCAST) {
      for (const unit of units.values()) if (!unit.faults.dead) answerOf(unit, frame)
      return
    }
    const unit = units.get(frame.unit)
    if (unit === undefined) return
    const { faults } = unit
    if (faults.dead) {
      stats.injected++
      return
    }
    const pdu = answerOf(unit, frame)
    const stranger = faults.wrongUnitShare > 0 && random() < faults.wrongUnitShare
    const sound = framed(stranger ? (frame.unit + 1) & 0xff : frame.unit, pdu, frame.transaction)
    const bytes = noise(sound, faults, random)
    const late = isLate(faults)
    if (stranger || late || faults.frozen || bytes !== sound) stats.injected++
    if (late) {
      if (faults.lateQueued) busyUntil = Math.max(busyUntil, clock.mono() + faults.lateMs)
      timers.after(faults.lateMs, () => answer(bytes))
    } else answer(bytes)
  }

  function framed(unit: number, pdu: Uint8Array, transaction: number): Uint8Array {
    if (framing === 'tcp') return encodeTcp(transaction, unit, pdu)
    return framing === 'rtu' ? encodeRtu(unit, pdu) : encodeAscii(unit, pdu)
  }

  function isLate(faults: UnitFaults): boolean {
    if (faults.lateNext > 0) {
      faults.lateNext--
      return true
    }
    return faults.lateShare > 0 && random() < faults.lateShare
  }

  function answer(bytes: Uint8Array): void {
    if (!live) return
    stats.answers++
    send(bytes)
  }

  function send(bytes: Uint8Array): void {
    const now = clock.mono()
    const afterMs = Math.max(0, answersUntil - now)
    answersUntil = now + afterMs + bytes.length * characterMs
    wireUntil = Math.max(wireUntil, answersUntil)
    sendPaced({ write }, bytes, { afterMs, characterMs, ...slices }, timers)
  }

  /** What we hear of another master: its question, and the unit's answer to it. */
  function strangerAsks(): void {
    const [first] = units
    const now = clock.mono()
    if (first === undefined || now < Math.max(wireUntil, busyUntil) + silenceMs) {
      cancelStranger = timers.after(STRANGER_RETRY_MS, strangerAsks)
      return
    }
    const [number, unit] = first
    const request = { ...lastRead, address: Math.min(lastRead.address + 2, 0x1_0000 - lastRead.count) }
    stats.injected++
    send(framed(number, encodeRequest(request), 0))
    busyUntil = answersUntil + turnaroundMs
    timers.after(busyUntil - now, () => {
      if (live && !unit.faults.dead) send(framed(number, answerOf(unit, { fn: request.fn, request }), 0))
    })
    waitForStranger()
  }

  let cancelStranger: Cancel = () => {}
  function waitForStranger(): void {
    if (line.secondMasterMs > 0) cancelStranger = timers.after(line.secondMasterMs, strangerAsks)
  }
  waitForStranger()

  return () => {
    live = false
    cancelGap()
    cancelStranger()
  }
}

/** The answer's PDU, a good one or an exception; writes take effect. */
function answerOf({ bank, registers }: ModbusUnit, { fn, request }: Pick<Heard, 'fn' | 'request'>): Uint8Array {
  if (request === undefined)
    return encodeException(fn & 0x7f, KNOWN_FUNCTIONS.includes(fn) ? ILLEGAL_VALUE : ILLEGAL_FUNCTION)
  const answer = perform(bank, registers, request)
  return typeof answer === 'number' ? encodeException(fn, answer) : encodeAnswer(request, answer)
}
