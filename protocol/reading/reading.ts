/**
 * A reading: what one meter said at one moment, chained to what it said before.
 *
 *     a9                        map, keys present only where they say something
 *       01 48 context           first 8 bytes of the context's envelope hash
 *       02 19 sequence          counts the meter's readings, the first is 1
 *       03 1a seconds           operating seconds: never falls, stands still while the board is off
 *       04 1b time              UTC, Unix milliseconds
 *       05 02 quality           of that time: unknown, informative, synchronised, relative
 *       06 82 registers         in OBIS order, each
 *         84 46 obis  1a value  22 scaler  18 unit      1-0:2.8.0*255, integer, power of ten, DLMS unit code
 *       07 01 status            only where a flag is set
 *       08 00 reason            periodic, begin, end, exception, power-fail, gap
 *       09 58 20 previous       hash of the previous envelope; only the first reading has none
 *       0a a3 session           {1: contract hash, 2: line, 3: direction}
 *       0b 4x nonce             whatever the one who asked for this reading chose
 *       0c 01 errors            only where a flag is set
 *
 * As COSE_Sign1 with external_aad `tieline/reading/1`: at most 200 bytes for two energy registers, 240 for five registers.
 */
import { compareBytes, utf8 } from '../bytes.ts'
import type { Cbor } from '../cbor.ts'
import { type Energy, milliwattHours } from '../quantity.ts'
import {
  big,
  bytes,
  type Codec,
  decodeAs,
  encodeAs,
  flags,
  integer,
  type RecordFault,
  record,
  text,
  word,
} from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import {
  DLMS_UNIT,
  findValue,
  type MeterValue,
  type Obis,
  obisBytes,
  obisName,
  towardZeroAt,
  type UnitName,
} from '../telegram/obis.ts'
import type { Instant, TimeQuality } from '../time.ts'
import { CONTEXT_REFERENCE_BYTES } from './context.ts'

/** external_aad of a reading's signature. */
export const READING_PURPOSE = utf8('tieline/reading/1')

export type Reason = 'periodic' | 'begin' | 'end' | 'exception' | 'power-fail' | 'gap'

/**
 * What a reader must know before comparing this reading with the one before it: the board restarted, the meter could not
 * be read for a while, the wall clock was set, the wall clock was not synchronised yet since the board started. Bit numbers
 * are the places in this list.
 */
const STATUS_FLAGS = ['restarted', 'gap-before', 'clock-set', 'before-sync'] as const
export type StatusFlag = (typeof STATUS_FLAGS)[number]

/**
 * What is wrong with this reading itself, as OCMF's EF has it: an energy register is not to be settled on (the meter gave
 * one that was refused, or lost one that it had), the time is not.
 */
const ERROR_FLAGS = ['energy', 'time'] as const
export type ErrorFlag = (typeof ERROR_FLAGS)[number]

/** The deal that a begin or end reading belongs to. */
export interface Session {
  readonly contract: Uint8Array
  /** The line or port that the meter measures. */
  readonly line: string
  /** Which register counts: energy into the site or out of it. */
  readonly direction: 'import' | 'export'
}

export interface Reading {
  /** First 8 bytes of the context's envelope hash. */
  readonly context: Uint8Array
  /** From 1, of this meter. */
  readonly sequence: number
  readonly operatingSeconds: number
  readonly time: Instant
  readonly quality: TimeQuality
  /** In OBIS order, each name once; empty in a gap record. */
  readonly registers: readonly MeterValue[]
  readonly status: readonly StatusFlag[]
  readonly reason: Reason
  /** Envelope hash of the reading before; absent in the first only. */
  readonly previous?: Uint8Array
  readonly session?: Session
  readonly nonce?: Uint8Array
  readonly errors: readonly ErrorFlag[]
}

export type ReadingFault =
  | RecordFault
  | { readonly code: 'reading.first'; readonly sequence: number; readonly hasPrevious: boolean }
  | { readonly code: 'reading.registers'; readonly reason: Reason; readonly count: number }

/** Unix ms up to the year 9999, as far as ISO 8601 has four digits. */
const MAX_INSTANT = 253_402_300_799_999
/** Every register that any page names, three phases included, fits; each takes at most 21 bytes. */
export const MAX_REGISTERS = 32
const MAX_BYTES = 900
const MAX_NONCE = 32

const unitOfCode = new Map<unknown, UnitName>(Object.entries(DLMS_UNIT).map(([name, code]) => [code, name as UnitName]))

const value64 = big(-(2n ** 63n), 2n ** 63n - 1n)
const scaler = integer(-9, 9)
const obis = bytes(6)

const mustObis = (name: Obis): Uint8Array => {
  const found = obisBytes(name)
  if (found === undefined) throw new TypeError(`not an OBIS name: ${name}`)
  return found
}

const shape = (field: string, reason: string) => fail({ code: 'record.shape', field, reason } as const)

/** One register with its OBIS bytes as they stand there. */
function readRegister(item: Cbor, field: string): Result<{ name: Uint8Array; value: MeterValue }, RecordFault> {
  if (!Array.isArray(item) || item.length !== 4) return shape(field, 'not [obis, value, scaler, unit]')
  const name = obis.read(item[0], `${field}.obis`)
  if (!name.ok) return name
  const value = value64.read(item[1], `${field}.value`)
  if (!value.ok) return value
  const power = scaler.read(item[2], `${field}.scaler`)
  if (!power.ok) return power
  const unit = unitOfCode.get(item[3])
  if (unit === undefined) return shape(`${field}.unit`, `DLMS unit ${String(item[3])} is not one of ours`)
  return ok({ name: name.value, value: { obis: obisName(name.value), value: value.value, scaler: power.value, unit } })
}

/** Registers in OBIS order, so that the same values are always the same bytes and none is there twice. */
export const registers: Codec<readonly MeterValue[]> = {
  write: values => {
    const named = values.map(value => ({ name: mustObis(value.obis), value }))
    named.sort((a, b) => compareBytes(a.name, b.name))
    return named.map(({ name, value: { value, scaler, unit } }, i) => {
      if (i > 0 && compareBytes(named[i - 1]!.name, name) === 0) throw new TypeError('a register is there twice')
      return [name, value, scaler, DLMS_UNIT[unit]]
    })
  },
  read: (item, field) => {
    if (!Array.isArray(item) || item.length > MAX_REGISTERS) return shape(field, `not a list of up to ${MAX_REGISTERS}`)
    const values: MeterValue[] = []
    let last: Uint8Array | undefined
    for (const [i, part] of item.entries()) {
      const register = readRegister(part, `${field}[${i}]`)
      if (!register.ok) return register
      const { name, value } = register.value
      if (last !== undefined && compareBytes(last, name) >= 0) return shape(`${field}[${i}]`, 'not in OBIS order')
      last = name
      values.push(value)
    }
    return ok(values)
  },
}

const codec = record(
  {
    context: [1, bytes(CONTEXT_REFERENCE_BYTES)],
    sequence: [2, integer(1, Number.MAX_SAFE_INTEGER)],
    operatingSeconds: [3, integer(0, Number.MAX_SAFE_INTEGER)],
    time: [4, integer<Instant>(0, MAX_INSTANT)],
    quality: [5, word<TimeQuality>('unknown', 'informative', 'synchronised', 'relative')],
    registers: [6, registers],
    reason: [8, word<Reason>('periodic', 'begin', 'end', 'exception', 'power-fail', 'gap')],
  },
  {
    status: [7, flags(...STATUS_FLAGS)],
    previous: [9, bytes(32)],
    session: [
      10,
      record({
        contract: [1, bytes(32)],
        line: [2, text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/)],
        direction: [3, word('import', 'export')],
      }),
    ],
    nonce: [11, bytes(1, MAX_NONCE)],
    errors: [12, flags(...ERROR_FLAGS)],
  },
)

/** The payload of a reading's envelope. A name that is no OBIS name, or is there twice, is our bug and throws. */
export function encodeReading(reading: Reading): Uint8Array {
  const { status, errors, ...rest } = reading
  return encodeAs(codec, {
    ...rest,
    ...(status.length > 0 ? { status } : {}),
    ...(errors.length > 0 ? { errors } : {}),
  })
}

export function parseReading(payload: Uint8Array): Result<Reading, ReadingFault> {
  const read = decodeAs(codec, payload, 'reading', MAX_BYTES)
  if (!read.ok) return read
  const { sequence, previous, reason, registers } = read.value
  if ((sequence === 1) !== (previous === undefined)) {
    return fail({ code: 'reading.first', sequence, hasPrevious: previous !== undefined })
  }
  // A gap record says that there was nothing to read; anything else without a value says nothing.
  if ((reason === 'gap') !== (registers.length === 0)) {
    return fail({ code: 'reading.registers', reason, count: registers.length })
  }
  return ok({ ...read.value, status: read.value.status ?? [], errors: read.value.errors ?? [] })
}

/**
 * An energy register in milliwatt-hours, digits beyond that cut off toward zero; absent where the reading does not hold
 * it, or holds something that is not energy under its name.
 */
export function registerEnergy(reading: Pick<Reading, 'registers'>, obis: Obis): Energy | undefined {
  const found = findValue(reading.registers, obis)
  return found?.unit === 'Wh' ? milliwattHours(towardZeroAt(found, -3)) : undefined
}
