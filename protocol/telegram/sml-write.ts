/** Writes what sml.ts reads: the frame that a meter simulator sends. */
import { concat, utf8 } from '../bytes.ts'
import { crcKermit, crcX25 } from './crc16.ts'
import { DLMS_UNIT, type MeterValue, obisBytes } from './obis.ts'

export interface SmlTelegram {
  readonly serverId: Uint8Array
  /** The maker's three letters, as in the identity register 1-0:96.50.1*1. */
  readonly maker: string
  readonly seconds: number
  /** Counts up by one a telegram; part of the message ids. */
  readonly sequence: number
  readonly values: readonly MeterValue[]
}

const ABSENT = Uint8Array.of(0x01)
const START = Uint8Array.of(0x1b, 0x1b, 0x1b, 0x1b, 0x01, 0x01, 0x01, 0x01)
const ESCAPE = START.subarray(0, 4)

/** A frame with OpenResponse, GetListResponse and CloseResponse. `checksum` chooses what Holley meters send instead. */
export function encodeSml(telegram: SmlTelegram, checksum: 'x25' | 'kermit' = 'x25'): Uint8Array {
  const { serverId, maker, seconds, sequence, values } = telegram
  const crc = checksum === 'x25' ? crcX25 : crcKermit
  const entries = [
    entry('1-0:96.50.1*1', ABSENT, ABSENT, octets(utf8(maker))),
    entry('1-0:96.1.0', ABSENT, ABSENT, octets(serverId)),
    ...values.map(value =>
      entry(value.obis, integer(BigInt(DLMS_UNIT[value.unit])), signed8(value.scaler), integer(value.value)),
    ),
  ]
  const message = (index: number, tag: number, body: Uint8Array): Uint8Array => {
    const id = Uint8Array.of(sequence >>> 16, sequence >>> 8, sequence, index)
    const head = concat(
      list(6, octets(id), integer(0n), integer(0n)),
      list(2, concat(Uint8Array.of(0x63, tag >>> 8, tag), body)),
    )
    const sum = crc(head)
    return concat(head, Uint8Array.of(0x63, sum, sum >>> 8, 0x00))
  }
  const time = list(2, integer(1n), integer(BigInt(seconds)))
  const fileId = octets(Uint8Array.of(sequence >>> 16, sequence >>> 8, sequence))
  const messages = concat(
    message(0, 0x0101, list(6, ABSENT, ABSENT, fileId, octets(serverId), ABSENT, ABSENT)),
    message(
      1,
      0x0701,
      list(7, ABSENT, octets(serverId), ABSENT, time, list(entries.length, ...entries), ABSENT, ABSENT),
    ),
    message(2, 0x0201, list(1, ABSENT)),
  )
  return transport(messages, crc)
}

function transport(messages: Uint8Array, crc: typeof crcX25): Uint8Array {
  const padding = (4 - (messages.length % 4)) % 4
  const head = concat(START, doubled(messages), new Uint8Array(padding), ESCAPE, Uint8Array.of(0x1a, padding))
  const sum = crc(head)
  return concat(head, Uint8Array.of(sum, sum >>> 8))
}

/** Sends each escape sequence inside the messages twice. */
function doubled(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = []
  let from = 0
  let run = 0
  for (let i = 0; i < bytes.length; i++) {
    run = bytes[i] === 0x1b ? run + 1 : 0
    if (run < 4) continue
    parts.push(bytes.subarray(from, i + 1), ESCAPE)
    from = i + 1
    run = 0
  }
  return concat(...parts, bytes.subarray(from))
}

const entry = (obis: string, unit: Uint8Array, scaler: Uint8Array, value: Uint8Array): Uint8Array => {
  const name = obisBytes(obis)
  if (name === undefined) throw new Error(`not an OBIS name: ${obis}`)
  return list(7, octets(name), ABSENT, ABSENT, unit, scaler, value, ABSENT)
}

/** Type-length field: one byte to 15, two beyond; the length of an element counts its own TL bytes. */
function header(type: number, length: number): Uint8Array {
  if (length > 0xff) throw new Error(`an SML element of ${length}`)
  return length <= 0x0f
    ? Uint8Array.of((type << 4) | length)
    : Uint8Array.of(0x80 | (type << 4) | (length >>> 4), length & 0x0f)
}

const list = (count: number, ...elements: readonly Uint8Array[]): Uint8Array => concat(header(7, count), ...elements)

const octets = (bytes: Uint8Array): Uint8Array => concat(header(0, bytes.length + (bytes.length < 15 ? 1 : 2)), bytes)

const signed8 = (value: number): Uint8Array => Uint8Array.of(0x52, value)

/** Unsigned where it is not negative; 1, 2, 4 or 8 bytes, the fewest that keep the sign. */
function integer(value: bigint): Uint8Array {
  const negative = value < 0n
  const width = [1, 2, 4, 8].find(n => (negative ? value >= -(1n << BigInt(8 * n - 1)) : value < 1n << BigInt(8 * n)))
  if (width === undefined) throw new Error(`${value} does not fit eight bytes`)
  const out = new Uint8Array(1 + width)
  out[0] = (negative ? 0x50 : 0x60) | (width + 1)
  for (let i = width, rest = BigInt.asUintN(8 * width, value); i > 0; i--, rest >>= 8n) out[i] = Number(rest & 0xffn)
  return out
}
