/**
 * From frames of a link to one whole APDU: segments of the link are joined in order and from one sender, and so are the
 * blocks of a general block transfer (IEC 62056-5-3, clause 4.2.3.13):
 *
 *     e0 40 0001 0000 77 ...    bit 7 of the second byte: last block; number from 1; acknowledged; length
 */
import { concat } from '../../bytes.ts'
import type { Fault, Pull } from '../../result.ts'
import { AxdrReader } from './axdr.ts'
import { type LinkFault, type LinkFrame, readLink } from './link.ts'

export interface GatheredApdu {
  readonly apdu: Uint8Array
  readonly link: LinkFrame['link'] | 'raw'
  /** Of the link's addresses; empty where there is no link. */
  readonly sender: string
}

export type GatherFault =
  | LinkFault
  | { readonly code: 'dlms.segment'; readonly number: number; readonly what: string }
  | { readonly code: 'dlms.too-long'; readonly limit: number }

/** All frames of a telegram before its last: fourteen times the longest capture, a Norwegian list of 581 bytes. */
export const DLMS_TELEGRAM_MAX = 8192
/** Frames of a telegram; a push in M-Bus frames of 255 bytes takes 32 for all of `DLMS_TELEGRAM_MAX`. */
const FRAMES_MOST = 64
const BLOCK_TAG = 0xe0
const LAST_BLOCK = 0x80
const FLAG = 0x7e

/**
 * Gathers the APDU whose first frame begins `bytes`. A frame that is broken or that no telegram can begin with is junk; a
 * frame that does not continue what it should makes junk of everything before it.
 */
export function gatherApdu(bytes: Uint8Array): Pull<GatheredApdu, GatherFault> {
  const blocks: Uint8Array[] = []
  let segments: Uint8Array[] = []
  let before: LinkFrame | undefined
  let at = 0
  for (let number = 0; ; number++) {
    if (before?.link === 'hdlc') while (bytes[at] === FLAG && bytes[at + 1] === FLAG) at++
    const start = at
    const junk = (fault: GatherFault, skip = start): Pull<GatheredApdu, GatherFault> => ({ kind: 'junk', skip, fault })
    if (number >= FRAMES_MOST || at > DLMS_TELEGRAM_MAX)
      return junk({ code: 'dlms.too-long', limit: DLMS_TELEGRAM_MAX })
    const pull = readLink(bytes, at, number === 0)
    if (pull.kind === 'need') return pull
    if (pull.kind === 'junk') return number === 0 ? pull : junk({ code: 'dlms.segment', number, what: pull.fault.code })
    const frame = pull.value
    at += pull.used

    const alien = foreign(frame, before, segments.length > 0)
    // Nothing can continue without its beginning, so only the alien itself may begin a telegram.
    if (alien !== undefined) return junk({ code: 'dlms.segment', number, what: alien })
    before = frame
    segments.push(frame.information)
    if (!frame.last) continue

    const apdu = segments.length === 1 ? segments[0]! : concat(...segments)
    segments = []
    if (apdu[0] !== BLOCK_TAG) {
      if (blocks.length > 0) return junk({ code: 'dlms.segment', number, what: 'no block' })
      return { kind: 'frame', value: { apdu, link: frame.link, sender: frame.sender }, used: at }
    }
    const block = readBlock(apdu)
    if (block === undefined || block.end !== apdu.length || block.number !== blocks.length + 1)
      return junk({ code: 'dlms.segment', number, what: `block ${block?.number}` }, number === 0 ? at : start)
    blocks.push(block.data)
    if (block.last)
      return { kind: 'frame', value: { apdu: concat(...blocks), link: frame.link, sender: frame.sender }, used: at }
  }
}

/** Why a frame is not the one that has to come after `before`; `inside`: in the middle of an APDU. */
function foreign(frame: LinkFrame, before: LinkFrame | undefined, inside: boolean): string | undefined {
  if (before === undefined) return undefined
  if (frame.link !== before.link || frame.sender !== before.sender) return 'sender'
  const step = (frame.number ?? 0) - (before.number ?? 0)
  if (frame.link === 'mbus') return (inside ? (step & 0x0f) === 1 : frame.number === 0) ? undefined : 'number'
  // Meters that push information frames without a connection may number none of them.
  if ((step & 0x07) > 1) return 'number'
  // An LLC header inside of an APDU is another telegram's: the rest of this one was lost.
  return inside && frame.first ? 'beginning' : undefined
}

/** `end` is where the block ends in `bytes`; undefined where it is none or not all there. */
function readBlock(
  bytes: Uint8Array,
): { readonly number: number; readonly last: boolean; readonly data: Uint8Array; readonly end: number } | undefined {
  const reader = new AxdrReader(bytes, 1)
  const head = reader.take(5)
  const length = reader.length()
  const data = length === undefined ? undefined : reader.take(length)
  if (head === undefined || data === undefined) return undefined
  return { number: (head[1]! << 8) | head[2]!, last: (head[0]! & LAST_BLOCK) !== 0, data, end: reader.at }
}

/** Tags that a push without a link may begin with: notifications, responses, general ciphering, block transfer. */
const RAW_TAGS = new Set([0x0f, 0xc2, 0xc4, 0xdb, 0xdc, BLOCK_TAG])
export const beginsRaw = (byte: number | undefined): boolean => byte !== undefined && RAW_TAGS.has(byte)

/**
 * The same without a link, over a serial line that carries bare APDUs. `measure` says where the APDU ends that begins
 * `bytes`: nothing else marks its end, and nothing covers it.
 */
export function gatherRaw(
  bytes: Uint8Array,
  measure: (apdu: Uint8Array) => { readonly end: number } | { readonly wanted: number } | undefined,
): Pull<GatheredApdu, Fault> {
  let at = 0
  const junk = (code: string): Pull<GatheredApdu, Fault> => {
    // Past the blocks that are whole: inside of the first stands what looks like a telegram of its own.
    let skip = Math.max(1, at)
    while (skip < bytes.length && !beginsRaw(bytes[skip])) skip++
    return { kind: 'junk', skip, fault: { code, bytes: skip } }
  }
  if (bytes.length === 0) return { kind: 'need', bytes: 1 }
  if (!beginsRaw(bytes[0])) return junk('dlms.noise')
  const blocks: Uint8Array[] = []
  for (;;) {
    const rest = bytes.subarray(at)
    // Seen before its length, which may be noise, is waited for.
    if (rest[0] === BLOCK_TAG && rest.length >= 4 && ((rest[2]! << 8) | rest[3]!) !== blocks.length + 1)
      return junk('dlms.segment')
    const size = rest.length === 0 ? { wanted: 1 } : measure(rest)
    if (size === undefined) return junk('dlms.structure')
    if ('wanted' in size) {
      if (at + size.wanted > DLMS_TELEGRAM_MAX) return junk('dlms.too-long')
      return { kind: 'need', bytes: size.wanted - rest.length }
    }
    const block = rest[0] === BLOCK_TAG ? readBlock(rest) : undefined
    if (block === undefined && blocks.length > 0) return junk('dlms.segment')
    at += size.end
    if (block === undefined)
      return { kind: 'frame', value: { apdu: rest.subarray(0, size.end), link: 'raw', sender: '' }, used: at }
    if (blocks.length >= FRAMES_MOST) return junk('dlms.too-long')
    blocks.push(block.data)
    if (block.last) return { kind: 'frame', value: { apdu: concat(...blocks), link: 'raw', sender: '' }, used: at }
  }
}
