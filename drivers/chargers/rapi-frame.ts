/**
 * Frames of RAPI, the serial protocol of OpenEVSE:
 *
 *     $GE :0A^XX\r              command, sequence number, check
 *     $OK 16 0021 :0A^XX\r      answer with the same sequence number
 *     $AT 02 02 16 0100^XX\r    said unasked
 *
 * The check is the exclusive or of every character before `^`, in two hexadecimal digits. Frames without one, which the
 * protocol allows for trying by hand, are junk here.
 *
 * Source: the comment on the protocol in OpenEVSE's firmware, as other projects quote it.
 */
import { utf8 } from '../../protocol/bytes.ts'
import type { Pull } from '../../protocol/result.ts'

export interface RapiFrame {
  /** `OK`, `NK`, or what kind of message or command it is, then its parameters. */
  readonly words: readonly string[]
  /** 1 to 255, where there is one. */
  readonly sequence: number | undefined
}

/** The longest that is sent is a third of this; what is longer is no frame. */
const FRAME_MOST = 128
const START = 0x24
const END = 0x0d
const FRAME = /^\$([!-~][ -~]*?)(?: ?:([0-9A-Fa-f]{2}))?\^([0-9A-Fa-f]{2})$/

function checkOf(text: string): number {
  let check = 0
  for (let at = 0; at < text.length; at++) check ^= text.charCodeAt(at)
  return check
}

const twoDigits = (value: number): string => value.toString(16).toUpperCase().padStart(2, '0')

export function encodeRapi(words: readonly string[], sequence?: number): Uint8Array {
  const text = `$${words.join(' ')}${sequence === undefined ? '' : ` :${twoDigits(sequence)}`}`
  return utf8(`${text}^${twoDigits(checkOf(text))}\r`)
}

/** The first frame in `bytes`, whoever sent it. */
export function decodeRapi(bytes: Uint8Array): Pull<RapiFrame> {
  const start = bytes.indexOf(START)
  if (start !== 0) {
    const skip = start < 0 ? bytes.length : start
    return skip === 0 ? { kind: 'need', bytes: 1 } : { kind: 'junk', skip, fault: { code: 'rapi.junk', bytes: skip } }
  }
  const end = bytes.indexOf(END)
  const next = bytes.indexOf(START, 1)
  // A start inside a frame: the one before it was cut off.
  if (next > 0 && (end < 0 || next < end))
    return { kind: 'junk', skip: next, fault: { code: 'rapi.cut-off', bytes: next } }
  if (end < 0 || end >= FRAME_MOST) {
    if (bytes.length < FRAME_MOST) return { kind: 'need', bytes: 1 }
    return { kind: 'junk', skip: bytes.length, fault: { code: 'rapi.long', bytes: bytes.length } }
  }
  const text = String.fromCharCode(...bytes.subarray(0, end))
  const parts = FRAME.exec(text)
  if (parts === null) return { kind: 'junk', skip: end + 1, fault: { code: 'rapi.form', bytes: end + 1 } }
  const [, body = '', sequence, check = ''] = parts
  const expected = checkOf(text.slice(0, text.length - 3))
  const received = Number.parseInt(check, 16)
  if (expected !== received) return { kind: 'junk', skip: end + 1, fault: { code: 'rapi.check', expected, received } }
  return {
    kind: 'frame',
    value: {
      words: body.split(' ').filter(word => word !== ''),
      sequence: sequence === undefined ? undefined : Number.parseInt(sequence, 16),
    },
    used: end + 1,
  }
}
