/**
 * Questions and answers over a bus, cut into pieces that every broker takes.
 *
 *     0        1                 17     21     23      25
 *     version  client            id     part   parts   bytes of the body
 *     01       16 random bytes   u32    u16    u16     at most 64 KiB       (integers big-endian)
 *
 * A bus loses, repeats and reorders, and anybody may write to a topic: pieces that do not fit together are dropped, and what
 * is held of unfinished bodies is bounded.
 */
import { concat, equalBytes } from '../../protocol/bytes.ts'

export const CLIENT_BYTES = 16
const VERSION = 1
const HEAD_BYTES = 25
/** Half of the smallest limit of a broker in wide use (128 kB). */
const PART_BYTES = 64 * 1024
/** 4 MiB, the limit of an answer over HTTP, too. */
const MAX_PARTS = 64
export const MAX_BODY_BYTES = MAX_PARTS * PART_BYTES

export interface Frame {
  readonly client: Uint8Array
  readonly id: number
  readonly part: number
  readonly parts: number
  readonly bytes: Uint8Array
}

/** The frames of one body. Throws on one that is too long: whoever makes it bounds it first. */
export function framesOf(client: Uint8Array, id: number, body: Uint8Array): readonly Uint8Array[] {
  const parts = Math.max(1, Math.ceil(body.length / PART_BYTES))
  if (parts > MAX_PARTS) throw new RangeError(`a body of ${body.length} bytes`)
  return Array.from({ length: parts }, (_, part) => {
    const head = new Uint8Array(HEAD_BYTES)
    const view = new DataView(head.buffer)
    view.setUint8(0, VERSION)
    head.set(client, 1)
    view.setUint32(17, id)
    view.setUint16(21, part)
    view.setUint16(23, parts)
    return concat(head, body.subarray(part * PART_BYTES, (part + 1) * PART_BYTES))
  })
}

/** Undefined for bytes that are no frame of this version. */
export function readFrame(payload: Uint8Array): Frame | undefined {
  if (payload.length < HEAD_BYTES || payload.length > HEAD_BYTES + PART_BYTES || payload[0] !== VERSION)
    return undefined
  const view = new DataView(payload.buffer, payload.byteOffset)
  const [part, parts] = [view.getUint16(21), view.getUint16(23)]
  if (parts < 1 || parts > MAX_PARTS || part >= parts) return undefined
  const bytes = payload.slice(HEAD_BYTES)
  // Every part but the last is full, so the number of parts says how much a body can be.
  if (part < parts - 1 && bytes.length !== PART_BYTES) return undefined
  return { client: payload.slice(1, 17), id: view.getUint32(17), part, parts, bytes }
}

/** Puts one body together. */
export interface Assembly {
  /** The body once its last missing part is there; undefined before, and for a part that is known or does not fit. */
  take(frame: Frame): Uint8Array | undefined
  readonly bytes: number
}

export function createAssembly(): Assembly {
  const parts = new Map<number, Uint8Array>()
  let of: number | undefined
  let held = 0
  return {
    get bytes() {
      return held
    },
    take(frame) {
      of ??= frame.parts
      if (frame.parts !== of || parts.has(frame.part)) return undefined
      parts.set(frame.part, frame.bytes)
      held += frame.bytes.length
      return parts.size < of ? undefined : concat(...Array.from({ length: of }, (_, i) => parts.get(i)!))
    },
  }
}

export const isFor = (frame: Frame, client: Uint8Array): boolean => equalBytes(frame.client, client)

/** Where the questions to a relay go, and where its answers to one client. */
export const askTopic = (relay: string): string => `tieline/ledger/${relay}/ask`
export const answerTopic = (relay: string, client: string): string => `tieline/ledger/${relay}/answer/${client}`
