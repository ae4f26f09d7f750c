/**
 * Answers of wired M-Bus meters (EN 13757-2 and -3): a long frame with the variable data structure, least significant byte
 * first.
 *
 *     68 L L 68 08 A 72   id(4, BCD)  maker(2)  version  medium  access  status  configuration(2)   records   CS 16
 *
 * Refused by name: the fixed data structure, the other byte order, encryption, errors that the meter reports. Nothing counts
 * as checked: a sum of 8 bits lets one corrupted frame in 256 through. A value is certain only when a second answer agrees.
 */
import { toHex } from '../bytes.ts'
import type { Pull } from '../result.ts'
import { decodeMbusFrame, type MbusFrame, type MbusLinkFault } from './mbus-frame.ts'
import { mbusValues } from './mbus-obis.ts'
import { type MbusRecord, readMbusRecords } from './mbus-record.ts'
import type { MeterValue } from './obis.ts'

/** The secondary address: with it a meter is told from every other. */
export interface MbusIdentity {
  /** Eight decimal digits. */
  readonly id: string
  /** Three letters. */
  readonly maker: string
  readonly version: number
  readonly medium: number
}

export interface MbusReading {
  readonly identity: MbusIdentity
  /** Primary address of who answered. */
  readonly address: number
  readonly access: number
  /** Bit 2 power low, bit 3 permanent error, bit 4 temporary error, bits 5 to 7 the maker's own. */
  readonly status: number
  readonly records: readonly MbusRecord[]
  readonly values: readonly MeterValue[]
  /** Further records stand in the meter's next telegram. */
  readonly more: boolean
}

export type MbusFault =
  | MbusLinkFault
  | { readonly code: 'mbus.request'; readonly control: number }
  | { readonly code: 'mbus.control'; readonly control: number }
  | { readonly code: 'mbus.ci'; readonly ci: number }
  | { readonly code: 'mbus.fixed-structure'; readonly ci: number }
  | { readonly code: 'mbus.byte-order'; readonly ci: number }
  | { readonly code: 'mbus.application-error'; readonly error: number | undefined }
  | { readonly code: 'mbus.encrypted'; readonly configuration: number }
  | { readonly code: 'mbus.status'; readonly status: number }
  | { readonly code: 'mbus.header'; readonly bytes: number }
  | { readonly code: 'mbus.records'; readonly bytes: number }

const HEADER = 12
const CI_VARIABLE = 0x72
const CI_VARIABLE_MSB = 0x76
const CI_FIXED = 0x73
const CI_FIXED_MSB = 0x77
const CI_APPLICATION_ERROR = 0x70
/** Bit 6 of the control field is set by masters only. */
const FROM_MASTER = 0x40
/** RSP_UD, but for "access demand" and "data flow control". */
const RSP_UD = 0x08
const RSP_UD_MASK = 0xcf
/** Status bits 0 and 1: busy, any application error. 3, an abnormal condition, leaves the data as it is (clause 6.1, table 3). */
const BUSY = 1
const ANY_ERROR = 2

/** Decodes the answer at the start of `bytes`. Requests and single characters in a capture are junk by their own name. */
export function decodeMbus(bytes: Uint8Array): Pull<MbusReading, MbusFault> {
  const pull = decodeMbusFrame(bytes)
  if (pull.kind !== 'frame') return pull
  const { value: frame, used } = pull
  if (frame.kind === 'done') return { kind: 'junk', skip: used, fault: { code: 'mbus.noise', bytes: used } }
  const read = readMbusAnswer(frame)
  return 'code' in read ? { kind: 'junk', skip: used, fault: read } : { kind: 'frame', value: read, used }
}

/** What a frame says if it is an answer with data. */
export function readMbusAnswer(frame: Exclude<MbusFrame, { kind: 'done' }>): MbusReading | MbusFault {
  const { control, address } = frame
  if (frame.kind === 'short' || (control & FROM_MASTER) !== 0) return { code: 'mbus.request', control }
  if ((control & RSP_UD_MASK) !== RSP_UD) return { code: 'mbus.control', control }
  const { ci, data } = frame
  if (ci === CI_APPLICATION_ERROR) return { code: 'mbus.application-error', error: data[0] }
  if (ci === CI_FIXED || ci === CI_FIXED_MSB) return { code: 'mbus.fixed-structure', ci }
  if (ci === CI_VARIABLE_MSB) return { code: 'mbus.byte-order', ci }
  if (ci !== CI_VARIABLE) return { code: 'mbus.ci', ci }
  if (data.length < HEADER) return { code: 'mbus.header', bytes: data.length }
  const identity = readMbusIdentity(data)
  if (identity === undefined) return { code: 'mbus.header', bytes: data.length }
  const [access = 0, status = 0, low = 0, high = 0] = data.subarray(8)
  const configuration = low | (high << 8)
  if (configuration !== 0) return { code: 'mbus.encrypted', configuration }
  if ((status & 3) === BUSY || (status & 3) === ANY_ERROR) return { code: 'mbus.status', status }
  const read = readMbusRecords(data.subarray(HEADER))
  if (read === undefined) return { code: 'mbus.records', bytes: data.length - HEADER }
  const { records, more } = read
  return { identity, address, access, status, records, values: mbusValues(identity.medium, records), more }
}

/** The identity in the first eight bytes of a header; undefined where its number is none. */
function readMbusIdentity(header: Uint8Array): MbusIdentity | undefined {
  const id = toHex(header.slice(0, 4).reverse())
  const [low = 0, high = 0, version = 0, medium = 0] = header.subarray(4)
  const letters = low | (high << 8)
  // Three times five bits, A is 1 (EN 62056-21's flag letters).
  const maker = [10, 5, 0].map(shift => String.fromCharCode(64 + ((letters >> shift) & 31))).join('')
  return /^\d{8}$/.test(id) && /^[A-Z]{3}$/.test(maker) ? { id, maker, version, medium } : undefined
}

/** An identity as text: number, maker, version and medium, the last two in hex, as in `12345678-TLN-01-02`. */
export const mbusIdentityText = ({ id, maker, version, medium }: MbusIdentity): string =>
  `${id}-${maker}-${toHex(Uint8Array.of(version, medium))}`.replace(/(..)$/, '-$1')
