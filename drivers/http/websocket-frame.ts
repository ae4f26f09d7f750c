/**
 * Frames of a web socket (RFC 6455, section 5) as a server reads and writes them.
 *
 *      0               1                2..                            then
 *     FIN RSV3 OPCODE4 MASK LENGTH7    [16 or 64 bits more of length]  [4 bytes of mask] payload
 *
 * A client masks what it sends, a server does not.
 */

export const TEXT = 1
export const CLOSE = 8
export const PING = 9
export const PONG = 10
const CONTINUATION = 0
const BINARY = 2

/** Close codes of RFC 6455, 7.4.1. */
export const CLOSED_NORMALLY = 1000
export const PROTOCOL_ERROR = 1002
const UNSUPPORTED = 1003
export const NOT_UTF8 = 1007
export const TOO_BIG = 1009

/** What fits the second byte alone; control frames may hold no more (5.5). */
const SHORT = 125

export interface Frame {
  /** Of TEXT, BINARY and CONTINUATION: the last of its message. */
  readonly final: boolean
  readonly opcode: number
  readonly payload: Uint8Array
}

export type FramePull =
  /** `bytes` in all, from the frame's beginning, before another look is of use. */
  | { readonly kind: 'need'; readonly bytes: number }
  | { readonly kind: 'frame'; readonly frame: Frame; readonly used: number }
  | { readonly kind: 'refused'; readonly code: number; readonly why: string }

const refused = (code: number, why: string): FramePull => ({ kind: 'refused', code, why })

/** The client's frame that `bytes` begin with; a payload of more than `limit` bytes is refused before it has come. */
export function pullFrame(bytes: Uint8Array, limit: number): FramePull {
  if (bytes.length < 2) return { kind: 'need', bytes: 2 }
  const [first, second] = [bytes[0]!, bytes[1]!]
  const opcode = first & 0x0f
  const final = (first & 0x80) !== 0
  const control = opcode >= CLOSE
  if ((first & 0x70) !== 0) return refused(PROTOCOL_ERROR, 'a reserved bit, and no extension was agreed')
  if (opcode > PONG || (opcode > BINARY && opcode < CLOSE)) return refused(PROTOCOL_ERROR, `opcode ${opcode}`)
  if (opcode === BINARY) return refused(UNSUPPORTED, 'binary frames are not understood here')
  if ((second & 0x80) === 0) return refused(PROTOCOL_ERROR, 'a client must mask its frames')
  const short = second & 0x7f
  if (control && (!final || short > SHORT)) return refused(PROTOCOL_ERROR, 'a control frame in pieces or too long')
  const extra = short === 126 ? 2 : short === 127 ? 8 : 0
  const header = 2 + extra + 4
  if (bytes.length < header) return { kind: 'need', bytes: header }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = extra === 0 ? BigInt(short) : extra === 2 ? BigInt(view.getUint16(2)) : view.getBigUint64(2)
  if (extra > 0 && length <= (extra === 2 ? SHORT : 0xffff)) {
    return refused(PROTOCOL_ERROR, 'a length that is not the shortest')
  }
  if (length > BigInt(limit)) return refused(TOO_BIG, `${length} bytes where ${limit} are the most`)
  const used = header + Number(length)
  if (bytes.length < used) return { kind: 'need', bytes: used }
  const payload = bytes.slice(header, used)
  for (let i = 0; i < payload.length; i++) payload[i]! ^= bytes[header - 4 + (i & 3)]!
  return { kind: 'frame', frame: { final, opcode, payload }, used }
}

export const isContinuation = (frame: Frame): boolean => frame.opcode === CONTINUATION

/** A server's frame: whole and not masked. */
export function encodeFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const { length } = payload
  const extra = length <= SHORT ? 0 : length <= 0xffff ? 2 : 8
  const bytes = new Uint8Array(2 + extra + length)
  const view = new DataView(bytes.buffer)
  bytes[0] = 0x80 | opcode
  bytes[1] = extra === 0 ? length : extra === 2 ? 126 : 127
  if (extra === 2) view.setUint16(2, length)
  if (extra === 8) view.setBigUint64(2, BigInt(length))
  bytes.set(payload, 2 + extra)
  return bytes
}

/** The close frame that says why; a reason may have 123 bytes, and ours are ASCII. */
export const closeFrame = (code: number, why: string): Uint8Array =>
  encodeFrame(CLOSE, Uint8Array.of(code >> 8, code & 0xff, ...[...why.slice(0, 120)].map(c => c.charCodeAt(0) & 0x7f)))
