/**
 * The two links under a DLMS push, both of single frames that carry their length.
 *
 * HDLC frame type 3 (IEC 62056-46, clause 6.4), which is not transparent: a flag may stand inside.
 *
 *     7e                flag; between two frames one may do for both
 *     a8 a4             1010 s lll llllllll: s = more segments follow, l = bytes between the flags
 *     cf | 02 23        destination, source: 1, 2 or 4 bytes, the last one odd
 *     03                control: 000p0011 unnumbered information, rrrpsss0 information with numbers; p is poll/final
 *     99 96             HCS, CRC-16/X-25 from the format on, low byte first; only where information follows
 *     e6 e7 00 ...      information; in the first segment after the LLC header (IEC 62056-46, clause 5.3)
 *     eb 33             FCS, the same over all before it
 *     7e                flag
 *
 * Wired M-Bus (EN 13757-2 long frame, IEC 62056-7-3):
 *
 *     68 5d 5d 68       start, length twice
 *     53 ff             C, A
 *     10                CI: 000 f ssss: f = last segment, s = its number modulo 16
 *     01 67             source and destination SAP
 *     db 08 ...         information
 *     83 16             sum of all from C on, modulo 256; stop
 */
import { toHex } from '../../bytes.ts'
import type { Pull } from '../../result.ts'
import { crcX25 } from '../crc16.ts'
import { decodeMbusFrame, type MbusLinkFault } from '../mbus-frame.ts'

export interface LinkFrame {
  readonly link: 'hdlc' | 'mbus'
  /** Of the link's addresses and control, in hex: equal in all segments of a telegram. */
  readonly sender: string
  readonly information: Uint8Array
  /** Whether it says that an APDU begins here: HDLC by the LLC header, M-Bus by the number 0 (which 16 has, too). */
  readonly first: boolean
  readonly last: boolean
  /** Number of an M-Bus segment, modulo 16; send number of an HDLC information frame, modulo 8; others have none. */
  readonly number: number | undefined
}

export type LinkFault =
  | { readonly code: 'dlms.noise'; readonly bytes: number }
  | { readonly code: 'dlms.cut'; readonly bytes: number }
  | { readonly code: 'dlms.header'; readonly link: string; readonly what: string }
  | { readonly code: 'dlms.crc'; readonly expected: number; readonly received: number }
  | MbusLinkFault

const FLAG = 0x7e
const START = 0x68
const POLL_FINAL = 0x10
const LLC = [0xe6, 0xe7, 0x00]
/** Format, both addresses of one byte, control, FCS. */
const HDLC_LEAST = 7
/** Flag, format, both addresses of four bytes, control, HCS. */
const HDLC_HEADER_MOST = 14
/** C, A, CI and both SAPs. */
const MBUS_LEAST = 5
/** CI of a segment: the upper three bits are zero. */
const SEGMENT_CI_MOST = 0x1f

/** The type-3 format, its length's upper bits and the segment bit. */
const isFormat = (byte: number): boolean => byte >> 4 === 0xa

/**
 * Reads the frame that begins at `at`; `used` and `skip` count from there. A frame that has to begin a telegram and does
 * not is refused by its head: noise that looks like a head is not waited for.
 */
export function readLink(bytes: Uint8Array, at: number, begins: boolean): Pull<LinkFrame, LinkFault> {
  const first = bytes[at]
  if (first === undefined) return { kind: 'need', bytes: HDLC_LEAST }
  if (first === START) return readMbus(bytes, at, begins)
  // Flags between frames: the last of them is the next one's first.
  const format = bytes[at + 1]
  if (first === FLAG && (format === undefined || isFormat(format))) return readHdlc(bytes, at + 1, at, begins)
  if (isFormat(first)) return readHdlc(bytes, at, at, begins)
  const skip = nextStart(bytes, at + 1) - at
  return { kind: 'junk', skip, fault: { code: 'dlms.noise', bytes: skip } }
}

/** Where from `from` on a frame may begin. */
function nextStart(bytes: Uint8Array, from: number): number {
  let at = from
  while (at < bytes.length) {
    const byte = bytes[at]!
    const next = bytes[at + 1]
    if (byte === START || isFormat(byte)) break
    if (byte === FLAG && (next === undefined || isFormat(next))) break
    at++
  }
  return at
}

/** `at` is the format's place, `from` that of the flag before it, where there is one. */
function readHdlc(bytes: Uint8Array, at: number, from: number, begins: boolean): Pull<LinkFrame, LinkFault> {
  const need = (end: number): Pull<LinkFrame, LinkFault> => ({ kind: 'need', bytes: end - bytes.length })
  const junk = (fault: LinkFault): Pull<LinkFrame, LinkFault> => ({
    kind: 'junk',
    skip: nextStart(bytes, at + 1) - from,
    fault,
  })
  const header = (what: string) => junk({ code: 'dlms.header', link: 'hdlc', what })
  const cut = (again: number): Pull<LinkFrame, LinkFault> => ({
    kind: 'junk',
    skip: again - from,
    fault: { code: 'dlms.cut', bytes: again - from },
  })

  if (at + HDLC_LEAST > bytes.length) return need(at + HDLC_LEAST)
  const length = ((bytes[at]! & 0x07) << 8) | bytes[at + 1]!
  const source = addressEnd(bytes, at + 2)
  const control = source === undefined ? undefined : addressEnd(bytes, source)
  if (source === undefined || control === undefined) {
    // A sound header ends within these bytes.
    return at + HDLC_HEADER_MOST <= bytes.length ? header('address') : need(bytes.length + 1)
  }
  const end = at + length
  const information = control + 3
  if (end < control + 3) return header('length')
  // Without information the FCS stands where the HCS would; both cover the same bytes.
  if (information > bytes.length) return need(information)
  const headerCrc = wrongCrc(bytes, at, control + 1)
  if (headerCrc !== undefined) return junk(headerCrc)
  const llc = LLC.every((byte, i) => bytes[information + i] === byte)
  if (begins && !llc) {
    const mayBe = LLC.every((byte, i) => (bytes[information + i] ?? byte) === byte) && end >= information + 5
    return mayBe ? need(information + LLC.length) : header('no beginning')
  }
  if (end + 1 > bytes.length) {
    const again = sameHdlc(bytes, at, control)
    return again === undefined ? need(end + 1) : cut(again)
  }
  if (bytes[end] !== FLAG) return header('closing flag')
  if (end !== information) {
    if (end < information + 2) return header('length')
    const crc = wrongCrc(bytes, at, end - 2)
    if (crc !== undefined) return junk(crc)
  }

  const all = bytes.subarray(information, Math.max(information, end - 2))
  const kind = bytes[control]!
  const numbered = (kind & 1) === 0
  const value: LinkFrame = {
    link: 'hdlc',
    sender: `${toHex(bytes.subarray(at + 2, control))}/${numbered ? 'i' : kind & ~POLL_FINAL}`,
    information: llc ? all.subarray(LLC.length) : all,
    first: llc,
    last: (bytes[at]! & 0x08) === 0,
    number: numbered ? (kind >> 1) & 0x07 : undefined,
  }
  // A flag with a format behind it is the next frame's, too.
  const shared = end + 1 < bytes.length && isFormat(bytes[end + 1]!)
  return { kind: 'frame', value, used: end + (shared ? 0 : 1) - from }
}

/** Where inside of a frame that is not all there another begins from the same address: the rest was lost. */
function sameHdlc(bytes: Uint8Array, at: number, control: number): number | undefined {
  for (let flag = bytes.indexOf(FLAG, control); flag >= 0; flag = bytes.indexOf(FLAG, flag + 1)) {
    const end = flag + 1 + control - at
    if (end + 3 > bytes.length) return undefined
    if (!isFormat(bytes[flag + 1]!) || !sameRun(bytes, at + 2, flag + 3, control - at - 2)) continue
    if (wrongCrc(bytes, flag + 1, end + 1) === undefined) return flag
  }
  return undefined
}

function sameRun(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false
  return true
}

/** Behind the HDLC address that begins at `at`; undefined where it has another length than 1, 2 or 4, or is not all there. */
function addressEnd(bytes: Uint8Array, at: number): number | undefined {
  for (let length = 1; length <= 4; length++) {
    const byte = bytes[at + length - 1]
    if (byte === undefined) return undefined
    if ((byte & 1) === 1) return length === 3 ? undefined : at + length
  }
  return undefined
}

/** The fault where the two bytes at `end` are not the CRC of bytes[from..end). */
function wrongCrc(bytes: Uint8Array, from: number, end: number): LinkFault | undefined {
  const expected = crcX25(bytes, from, end)
  const received = bytes[end]! | (bytes[end + 1]! << 8)
  return expected === received ? undefined : { code: 'dlms.crc', expected, received }
}

function readMbus(bytes: Uint8Array, at: number, begins: boolean): Pull<LinkFrame, LinkFault> {
  const junk = (fault: LinkFault): Pull<LinkFrame, LinkFault> => ({
    kind: 'junk',
    skip: nextStart(bytes, at + 1) - at,
    fault,
  })
  const header = (what: string) => junk({ code: 'dlms.header', link: 'mbus', what })

  const frame = bytes.subarray(at)
  const [, length = MBUS_LEAST, , , , , ci = 0] = frame
  const pull = decodeMbusFrame(frame)
  if (pull.kind === 'junk') return junk(pull.fault)
  if (length < MBUS_LEAST) return header('length')
  if (ci > SEGMENT_CI_MOST) return header('CI')
  if (begins && (ci & 0x0f) !== 0) return header('no beginning')
  if (pull.kind === 'need') {
    const again = sameMbus(bytes, at)
    if (again === undefined) return pull
    return { kind: 'junk', skip: again - at, fault: { code: 'dlms.cut', bytes: again - at } }
  }
  const value: LinkFrame = {
    link: 'mbus',
    sender: `${toHex(frame.subarray(4, 6))}/${toHex(frame.subarray(7, 9))}`,
    information: frame.subarray(9, pull.used - 2),
    first: (ci & 0x0f) === 0,
    last: (ci & 0x10) !== 0,
    number: ci & 0x0f,
  }
  return { kind: 'frame', value, used: pull.used }
}

/** As `sameHdlc`: start, length twice, start, and the same C, A and SAPs. */
function sameMbus(bytes: Uint8Array, at: number): number | undefined {
  for (let again = bytes.indexOf(START, at + 4); again >= 0; again = bytes.indexOf(START, again + 1)) {
    if (again + 9 > bytes.length) return undefined
    if (bytes[again + 1] !== bytes[again + 2] || bytes[again + 3] !== START) continue
    if (sameRun(bytes, at + 4, again + 4, 2) && sameRun(bytes, at + 7, again + 7, 2)) return again
  }
  return undefined
}
