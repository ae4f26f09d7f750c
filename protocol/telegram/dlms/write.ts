/** Writes what dlms.ts reads, for meter simulators: a named list in a data-notification, plain or sealed, in HDLC or M-Bus. */
import { concat, utf8 } from '../../bytes.ts'
import { gcm } from '../../crypto/ciphers.ts'
import { crcX25 } from '../crc16.ts'
import { DLMS_UNIT, type MeterValue, obisBytes } from '../obis.ts'
import { TAG } from './axdr.ts'

export interface DlmsPush {
  /** Printable; stands in 0-0:96.1.0. */
  readonly meterId: string
  /** Counts up by one a telegram: the invoke id. */
  readonly sequence: number
  readonly values: readonly MeterValue[]
}

export interface PushSeal {
  readonly key: Uint8Array
  readonly authKey: Uint8Array
  /** Eight bytes. */
  readonly systemTitle: Uint8Array
  /** Must never come twice under one key. */
  readonly counter: number
}

const TAG_BYTES = 12
/** Encrypted and authenticated, suite 0. */
const SECURITY_CONTROL = 0x30
/** What a segment carries of an APDU: Iskra's meters send this much in HDLC; M-Bus' length byte leaves no more than 250. */
const HDLC_SEGMENT = 150
const MBUS_SEGMENT = 240

/** A data-notification without date-time; each value with its name, scaler and unit in a structure of its own. */
export function encodePush({ meterId, sequence, values }: DlmsPush): Uint8Array {
  const items = [
    structure(name('0-0:96.1.0'), tagged(TAG.text, utf8(meterId))),
    ...values.map(({ obis, value, scaler, unit }) =>
      structure(
        name(obis),
        integer(value),
        structure(Uint8Array.of(TAG.int8, scaler), Uint8Array.of(TAG.enum, DLMS_UNIT[unit])),
      ),
    ),
  ]
  const head = Uint8Array.of(0x0f, ...bigEndian(sequence), 0x00)
  return concat(head, Uint8Array.of(TAG.array), length(items.length), ...items)
}

/** General-glo-ciphering of an APDU. */
export function sealPush(apdu: Uint8Array, { key, authKey, systemTitle, counter }: PushSeal): Uint8Array {
  const count = Uint8Array.from(bigEndian(counter))
  const control = Uint8Array.of(SECURITY_CONTROL)
  const sealed = gcm(key, concat(systemTitle, count), concat(control, authKey)).encrypt(apdu)
  // The library's tag has 16 bytes, the suite's is cut to its first 12.
  const content = concat(control, count, sealed.subarray(0, apdu.length + TAG_BYTES))
  return concat(Uint8Array.of(0xdb, systemTitle.length), systemTitle, length(content.length), content)
}

/** HDLC frames of an APDU: client 0x67 and server 1, as many segments as it takes. */
export function inHdlc(apdu: Uint8Array): Uint8Array {
  const parts = split(concat(Uint8Array.of(0xe6, 0xe7, 0x00), apdu), HDLC_SEGMENT)
  return concat(
    ...parts.map((part, i) => {
      const last = i === parts.length - 1
      const size = part.length + 9
      //                             format and length                                    to    from  UI, final in the last
      const head = withCrc(Uint8Array.of((last ? 0xa0 : 0xa8) | (size >>> 8), size, 0xcf, 0x03, last ? 0x13 : 0x03))
      return concat(Uint8Array.of(0x7e), withCrc(concat(head, part)), Uint8Array.of(0x7e))
    }),
  )
}

/** Wired M-Bus frames of an APDU, to address 255, from SAP 1 to 0x67. */
export function inMbus(apdu: Uint8Array): Uint8Array {
  const parts = split(apdu, MBUS_SEGMENT)
  return concat(
    ...parts.map((part, i) => {
      const ci = (i === parts.length - 1 ? 0x10 : 0x00) | (i & 0x0f)
      const body = concat(Uint8Array.of(0x53, 0xff, ci, 0x01, 0x67), part)
      const sum = body.reduce((total, byte) => total + byte, 0)
      return concat(Uint8Array.of(0x68, body.length, body.length, 0x68), body, Uint8Array.of(sum, 0x16))
    }),
  )
}

function split(bytes: Uint8Array, size: number): readonly Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

function withCrc(bytes: Uint8Array): Uint8Array {
  const crc = crcX25(bytes)
  return concat(bytes, Uint8Array.of(crc, crc >>> 8))
}

const bigEndian = (n: number): readonly number[] => [n >>> 24, (n >>> 16) & 0xff, (n >>> 8) & 0xff, n & 0xff]

const length = (n: number): Uint8Array =>
  n < 0x80 ? Uint8Array.of(n) : n < 0x100 ? Uint8Array.of(0x81, n) : Uint8Array.of(0x82, n >>> 8, n)

const tagged = (tag: number, bytes: Uint8Array): Uint8Array => concat(Uint8Array.of(tag), length(bytes.length), bytes)

const structure = (...items: readonly Uint8Array[]): Uint8Array =>
  concat(Uint8Array.of(TAG.structure, items.length), ...items)

function name(obis: string): Uint8Array {
  const bytes = obisBytes(obis)
  if (bytes === undefined) throw new Error(`not an OBIS name: ${obis}`)
  return tagged(TAG.octets, bytes)
}

/** Double-long-unsigned, double-long below zero, long64 beyond both. */
function integer(value: bigint): Uint8Array {
  const [tag, bits] =
    value >= 0n && value < 1n << 32n
      ? [TAG.uint32, 32]
      : value < 0n && value >= -(1n << 31n)
        ? [TAG.int32, 32]
        : [TAG.int64, 64]
  if (BigInt.asIntN(bits, value) !== value && BigInt.asUintN(bits, value) !== value)
    throw new Error(`${value} does not fit eight bytes`)
  const digits = BigInt.asUintN(bits, value)
    .toString(16)
    .padStart(bits / 4, '0')
  return Uint8Array.of(tag, ...digits.match(/../g)!.map(byte => Number.parseInt(byte, 16)))
}
