/**
 * Modbus slaves behind one device end: any number of units, RTU or TCP framing, each with a fault injector. They behave as
 * real ones do: a frame with a bad CRC or for another unit is passed over in silence, a wrong address earns an exception.
 */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Cancel, Clock, Timers } from '../../drivers/ports.ts'
import { concat } from '../../protocol/bytes.ts'
import { decodeRtuRequest, decodeTcp, encodeRtu, encodeTcp } from '../../protocol/modbus/frame.ts'
import type { ModbusAnswer, ModbusRequest } from '../../protocol/modbus/pdu.ts'
import { decodeRequest, encodeAnswer, encodeException } from '../../protocol/modbus/slave.ts'
import { noise, type Random } from './noise.ts'
import { sendPaced } from './pace.ts'

export type RegisterTable = 'holding' | 'input'

/** The registers as they stand at one moment; undefined where the device has none. */
export type Registers = (table: RegisterTable, address: number) => number | undefined

/** What a device holds. A write answers whether there is such an address. */
export interface ModbusBank {
  /** Called once for each answer, so that no value in it is torn between two moments. */
  registers?(): Registers
  writeRegister?(address: number, value: number): boolean
  coil?(address: number): boolean | undefined
  writeCoil?(address: number, on: boolean): boolean
  /** The exception that a span of registers earns by its shape, as where a maker limits length or refuses odd addresses. */
  refuse?(table: RegisterTable, address: number, count: number): number | undefined
}

/** What is wrong with a unit; set at any time. */
export interface UnitFaults {
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
  /** Of the answers of this unit on their way. */
  flippedBits: number
  lostBytes: number
}

export interface ModbusUnit {
  readonly bank: ModbusBank
  readonly faults: UnitFaults
  /** Those of the bank, or where it is frozen those of that moment. */
  registers(): Registers
}

export interface ModbusSlaveOptions {
  readonly framing: 'rtu' | 'tcp'
  /** Milliseconds a character where the end keeps no pace of its own (a pseudo-terminal), else 0. */
  readonly characterMs: number
  /** From the request's last byte to the answer's first. */
  readonly turnaroundMs: number
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

const ILLEGAL_FUNCTION = 1
const ILLEGAL_ADDRESS = 2
const ILLEGAL_VALUE = 3
/** Those of decodeRequest: with one of these, it is the values that mean nothing. */
const KNOWN_FUNCTIONS = [1, 2, 3, 4, 5, 6, 15, 16, 23, 43]
const BROADCAST = 0
/** A slave gives up a request whose rest does not come. Longer than any hitch between two reads of one write. */
const REQUEST_GAP_MS = 100
const BUFFER_MOST = 512

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
  /** Bytes of the whole frame. */
  readonly length: number
}

/** Serves `units` on `end` until the returned function is called. */
export function serveModbus(
  end: DeviceEnd,
  units: ReadonlyMap<number, ModbusUnit>,
  options: ModbusSlaveOptions,
): Cancel {
  const { framing, characterMs, turnaroundMs, clock, timers, random } = options
  let live = true
  let buffer: Uint8Array = new Uint8Array(0)
  let cancelGap: Cancel = () => {}
  /** Until when the device works at earlier requests, and until when the wire carries earlier answers. */
  let busyUntil = 0
  let wireUntil = 0

  end.onBytes(chunk => {
    if (!live) return
    cancelGap()
    buffer = concat(buffer, chunk).subarray(-BUFFER_MOST)
    for (let used = -1; used !== 0 && buffer.length > 0; buffer = buffer.subarray(used))
      used = framing === 'rtu' ? takeRtu() : takeTcp()
    if (buffer.length === 0) return
    cancelGap = timers.after(REQUEST_GAP_MS, () => {
      buffer = new Uint8Array(0)
    })
  })

  /** Bytes used up at the head of the buffer; 0 where more are needed. */
  function takeRtu(): number {
    const pull = decodeRtuRequest(buffer)
    if (pull.kind === 'need') return 0
    const used = pull.kind === 'frame' ? pull.used : pull.skip
    // Junk of more than one byte is a sound frame with a request that means nothing.
    if (used > 1) {
      const request = pull.kind === 'frame' ? pull.value.request : undefined
      heard({ unit: buffer[0]!, transaction: 0, fn: buffer[1]!, request, length: used })
    }
    return used
  }

  function takeTcp(): number {
    const pull = decodeTcp(buffer)
    if (pull.kind === 'need') return 0
    if (pull.kind === 'junk') return pull.skip
    const { unit, transaction, pdu } = pull.value
    const request = decodeRequest(pdu)
    heard({ unit, transaction, fn: pdu[0]!, request: request.ok ? request.value : undefined, length: pull.used })
    return pull.used
  }

  function heard(frame: Heard): void {
    const now = clock.mono()
    busyUntil = Math.max(busyUntil, now + frame.length * characterMs) + turnaroundMs
    timers.after(busyUntil - now, () => {
      if (live) act(frame)
    })
  }

  function act(frame: Heard): void {
    if (framing === 'rtu' && frame.unit === BROADCAST) {
      for (const unit of units.values()) if (!unit.faults.dead) answerOf(unit, frame)
      return
    }
    const unit = units.get(frame.unit)
    if (unit === undefined || unit.faults.dead) return
    const { faults } = unit
    const pdu = answerOf(unit, frame)
    const stranger = faults.wrongUnitShare > 0 && random() < faults.wrongUnitShare
    const from = stranger ? (frame.unit + 1) & 0xff : frame.unit
    const bytes = noise(
      framing === 'rtu' ? encodeRtu(from, pdu) : encodeTcp(frame.transaction, from, pdu),
      faults,
      random,
    )
    if (isLate(faults)) {
      if (faults.lateQueued) busyUntil = Math.max(busyUntil, clock.mono() + faults.lateMs)
      timers.after(faults.lateMs, () => send(bytes))
    } else send(bytes)
  }

  function isLate(faults: UnitFaults): boolean {
    if (faults.lateNext > 0) {
      faults.lateNext--
      return true
    }
    return faults.lateShare > 0 && random() < faults.lateShare
  }

  function send(bytes: Uint8Array): void {
    if (!live) return
    const now = clock.mono()
    const afterMs = Math.max(0, wireUntil - now)
    wireUntil = now + afterMs + bytes.length * characterMs
    sendPaced({ write: slice => live && end.write(slice) }, bytes, { afterMs, characterMs }, timers)
  }

  return () => {
    live = false
    cancelGap()
  }
}

/** The answer's PDU, a good one or an exception; writes take effect. */
function answerOf(unit: ModbusUnit, { fn, request }: Heard): Uint8Array {
  if (request === undefined)
    return encodeException(fn & 0x7f, KNOWN_FUNCTIONS.includes(fn) ? ILLEGAL_VALUE : ILLEGAL_FUNCTION)
  const answer = perform(unit, request)
  return typeof answer === 'number' ? encodeException(fn, answer) : encodeAnswer(request, answer)
}

/** What a request does: its answer, or the exception that it earns. */
function perform(unit: ModbusUnit, request: ModbusRequest): ModbusAnswer | number {
  const { bank } = unit
  switch (request.fn) {
    case 1: {
      const bits = span(request).map(address => bank.coil?.(address))
      return bits.every(bit => bit !== undefined) ? { kind: 'bits', bits } : ILLEGAL_ADDRESS
    }
    case 3:
    case 4:
      return readRegisters(unit, request.fn === 3 ? 'holding' : 'input', request)
    case 5:
      return written(bank.writeCoil?.(request.address, request.on))
    case 6:
      return written(bank.writeRegister?.(request.address, request.value))
    case 15:
      return written(request.bits.every((on, i) => bank.writeCoil?.(request.address + i, on)))
    case 16:
      return written(request.values.every((value, i) => bank.writeRegister?.(request.address + i, value)))
    default:
      return ILLEGAL_FUNCTION
  }
}

interface Span {
  readonly address: number
  readonly count: number
}

const span = ({ address, count }: Span): readonly number[] => Array.from({ length: count }, (_, i) => address + i)

const written = (did: boolean | undefined): ModbusAnswer | number => (did ? { kind: 'written' } : ILLEGAL_ADDRESS)

function readRegisters(unit: ModbusUnit, table: RegisterTable, wanted: Span): ModbusAnswer | number {
  const refused = unit.bank.refuse?.(table, wanted.address, wanted.count)
  if (refused !== undefined) return refused
  const registers = unit.registers()
  const bytes = new Uint8Array(2 * wanted.count)
  for (const [i, address] of span(wanted).entries()) {
    const value = registers(table, address)
    if (value === undefined) return ILLEGAL_ADDRESS
    bytes[2 * i] = value >> 8
    bytes[2 * i + 1] = value & 0xff
  }
  return { kind: 'registers', bytes }
}
