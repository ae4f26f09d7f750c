/**
 * IEC 62056-21:2002, the readout of meters through an optical port, a current loop or RS-485, modes A to D, 7 data bits and
 * even parity on the wire.
 *
 *     /XXXZ identification CR LF                      maker, baud character, model (clause 6.3.2)
 *     STX data lines ! CR LF ETX BCC                  modes A, B and C: BCC is the exclusive-or from after STX to ETX
 *     CR LF data lines ! CR LF                        mode D, pushed: no check at all
 *
 * Where a line delivers 8 bits the parity stands in bit 7: a telegram that begins with AF ("/" with its parity bit) has to
 * carry it in every byte, and one that begins with 2F in none.
 *
 * Nothing here counts as checked: BCC and parity are 7 + 1 check bits, one corrupted readout in 128 passes the BCC, and any
 * two characters with the same bits flipped pass both. A value is certain only when a second readout agrees.
 */
import type { Pull } from '../result.ts'
import { type Readout, readDataLines } from './iec62056-data.ts'

export interface Identification {
  /** Three letters; the third is small where the meter answers within 20 ms instead of 200. */
  readonly maker: string
  readonly baudCharacter: string
  readonly model: string
}

export interface Iec62056Reading extends Readout {
  readonly identification: Identification
}

/** `even-in-bit-7`: the line delivers 8 bits of a wire that has 7 and even parity. `none`: the line's driver has dealt with it. */
export type Parity = 'even-in-bit-7' | 'none'

export type Iec62056Fault =
  | { readonly code: 'iec62056.noise'; readonly bytes: number }
  | { readonly code: 'iec62056.identification'; readonly bytes: number }
  | { readonly code: 'iec62056.character'; readonly at: number; readonly received: number }
  | { readonly code: 'iec62056.cut'; readonly bytes: number }
  | { readonly code: 'iec62056.too-long'; readonly limit: number }
  | { readonly code: 'iec62056.bcc'; readonly expected: number; readonly received: number }
  | { readonly code: 'iec62056.lines'; readonly what: string }

/** Readouts with 15 stored values of 40 registers have some 15,000 characters. */
export const IEC62056_FRAME_MAX = 16_384

const STX = 0x02
const ETX = 0x03
const EOT = 0x04
const ACK = 0x06
const LF = 0x0a
const CR = 0x0d
const BANG = 0x21
const OPEN = 0x28
const CLOSE = 0x29
const SLASH = 0x2f
const SLASH_WITH_PARITY = 0xaf
/** What a character that breaks its parity, or has 8 bits where 7 are sent, becomes: none that is ever accepted. */
const BAD = 0xff
/** "/", three letters, a baud character, 16 of the model, as many again for what follows backslashes, CR LF. */
const IDENTIFICATION_MAX = 40
const IDENTIFICATION = /^([A-Za-z]{3})([ -~])([ -~]{0,32})$/
/** ACK, protocol, baud, mode, CR LF. */
const OPTION_SELECT = 6

type Part<T> = Pull<T, Iec62056Fault>

/** Decodes the readout at the start of `bytes`: an identification and its data message. */
export function decodeIec62056(bytes: Uint8Array, parity?: Parity): Pull<Iec62056Reading, Iec62056Fault> {
  const head = decodeIdentification(bytes, parity)
  if (head.kind !== 'frame') return head
  const body = decodeBody(bytes, head.used, bytes[0] === SLASH_WITH_PARITY ? 'even-in-bit-7' : 'none')
  if (body.kind === 'need') return body
  if (body.kind === 'junk') return { ...body, skip: nextStart(bytes, 1, parity) }
  return { kind: 'frame', value: { identification: head.value, ...body.value }, used: body.used }
}

/** Decodes the identification line at the start of `bytes`; a request ("/?...!") that echoes is dropped like noise. */
export function decodeIdentification(bytes: Uint8Array, parity?: Parity): Part<Identification> {
  const start = nextStart(bytes, 0, parity)
  if (start > 0) return { kind: 'junk', skip: start, fault: { code: 'iec62056.noise', bytes: start } }
  if (bytes.length === 0) return { kind: 'need', bytes: 7 }
  const carried = bytes[0] === SLASH_WITH_PARITY ? 'even-in-bit-7' : 'none'
  const refuse = (): Part<Identification> => {
    const skip = nextStart(bytes, 1, parity)
    return { kind: 'junk', skip, fault: { code: 'iec62056.identification', bytes: skip } }
  }
  let text = ''
  for (let at = 1; at < bytes.length; at++) {
    const char = sevenBits(bytes[at]!, carried)
    if (char === LF && text.endsWith('\r')) {
      const match = IDENTIFICATION.exec(text.slice(0, -1))
      if (match === null) return refuse()
      const [, maker = '', baudCharacter = '', model = ''] = match
      return { kind: 'frame', value: { maker, baudCharacter, model }, used: at + 1 }
    }
    const fits = char === CR || (char >= 0x20 && char < 0x7f && char !== SLASH && char !== BANG)
    if (!fits || text.endsWith('\r') || text.length === IDENTIFICATION_MAX) return refuse()
    text += String.fromCharCode(char)
  }
  // Three letters and a baud character at least, then CR LF.
  return { kind: 'need', bytes: text.endsWith('\r') ? 1 : Math.max(2, 6 - text.length) }
}

/**
 * Decodes a data message of modes A to C that begins with STX at the start of `bytes`; `junk` skips to the next STX. What
 * comes before an STX, such as the echo of what was sent, is junk.
 */
export function decodeDataMessage(bytes: Uint8Array, parity: Parity): Part<Readout> {
  const stx = parity === 'none' ? STX : withEvenParity(STX)
  const next = (from: number): number => {
    const at = bytes.indexOf(stx, from)
    return at < 0 ? bytes.length : at
  }
  if (bytes.length === 0) return { kind: 'need', bytes: 1 }
  if (bytes[0] !== stx) return { kind: 'junk', skip: next(0), fault: { code: 'iec62056.noise', bytes: next(0) } }
  const body = decodeBlock(bytes, 0, parity)
  return body.kind === 'junk' ? { ...body, skip: next(1) } : body
}

/** What follows an identification. `skip` of junk is the caller's to say. */
function decodeBody(bytes: Uint8Array, from: number, parity: Parity): Part<Readout> {
  const peek = (at: number): number | undefined => (at < bytes.length ? sevenBits(bytes[at]!, parity) : undefined)
  const first = peek(from)
  if (first === undefined) return { kind: 'need', bytes: 4 }
  // A capture of both directions has the reader's choice of mode and baud in between.
  if (first === ACK) {
    const after = from + OPTION_SELECT
    if (bytes.length <= after) return { kind: 'need', bytes: after + 1 - bytes.length }
    if (peek(after - 2) !== CR || peek(after - 1) !== LF || peek(after) !== STX) return unexpected(after, peek(after)!)
    return decodeBlock(bytes, after, parity)
  }
  if (first === STX) return decodeBlock(bytes, from, parity)
  if (first !== CR) return unexpected(from, first)
  const second = peek(from + 1)
  if (second === undefined) return { kind: 'need', bytes: 3 }
  return second === LF ? decodePushed(bytes, from + 2, parity) : unexpected(from + 1, second)
}

const unexpected = (at: number, received: number): Part<never> => ({
  kind: 'junk',
  skip: 1,
  fault: { code: 'iec62056.character', at, received },
})

/** STX, data lines, "!", CR LF, ETX, BCC. */
function decodeBlock(bytes: Uint8Array, stx: number, parity: Parity): Part<Readout> {
  let bcc = 0
  let text = ''
  let open = false
  for (let at = stx + 1; at < bytes.length; at++) {
    if (at - stx > IEC62056_FRAME_MAX) return tooLong
    const char = sevenBits(bytes[at]!, parity)
    bcc ^= char
    if (char !== ETX) {
      if (char === EOT || char === STX || isCut(open, char)) return cut(at)
      if (!isText(char)) return unexpected(at, char)
      open = char === OPEN || (open && char !== CLOSE)
      text += String.fromCharCode(char)
      continue
    }
    if (at + 1 === bytes.length) return { kind: 'need', bytes: 1 }
    const received = sevenBits(bytes[at + 1]!, parity)
    if (received !== bcc) return { kind: 'junk', skip: 1, fault: { code: 'iec62056.bcc', expected: bcc, received } }
    return finish(text, at + 2)
  }
  return { kind: 'need', bytes: 2 }
}

/** Data lines, "!", CR LF: the first "!" ends it, for no data line has one (clause 6.5). */
function decodePushed(bytes: Uint8Array, from: number, parity: Parity): Part<Readout> {
  let text = ''
  let open = false
  for (let at = from; at < bytes.length; at++) {
    if (at - from > IEC62056_FRAME_MAX) return tooLong
    const char = sevenBits(bytes[at]!, parity)
    if (isCut(open, char)) return cut(at)
    if (!isText(char)) return unexpected(at, char)
    open = char === OPEN || (open && char !== CLOSE)
    text += String.fromCharCode(char)
    if (char !== BANG) continue
    const end = at + 3
    if (bytes.length < end) return { kind: 'need', bytes: end - bytes.length }
    // What follows the "!" of a P1 telegram is its CRC: that is not for this decoder, which would not check it.
    for (const [offset, wanted] of [CR, LF].entries()) {
      const seen = sevenBits(bytes[at + 1 + offset]!, parity)
      if (seen !== wanted) return unexpected(at + 1 + offset, seen)
    }
    return finish(`${text}\r\n`, end)
  }
  return { kind: 'need', bytes: 3 }
}

const tooLong: Part<never> = { kind: 'junk', skip: 1, fault: { code: 'iec62056.too-long', limit: IEC62056_FRAME_MAX } }
const cut = (bytes: number): Part<never> => ({ kind: 'junk', skip: 1, fault: { code: 'iec62056.cut', bytes } })
/** Values may have a "/" in them, as m3/h; outside of brackets it begins the next telegram, and no line ends inside of them. */
const isCut = (open: boolean, char: number): boolean => char === (open ? CR : SLASH)
const isText = (char: number): boolean => (char >= 0x20 && char < 0x7f) || char === CR || char === LF

/** Some meters write the "!" behind the last data set, some on a line of its own. */
function finish(text: string, used: number): Part<Readout> {
  const refuse = (what: string): Part<never> => ({ kind: 'junk', skip: 1, fault: { code: 'iec62056.lines', what } })
  if (!text.endsWith('!\r\n') || text.indexOf('!') !== text.length - 3) return refuse('end')
  const lines = text.slice(0, -3).split('\r\n')
  if (lines.some(line => line.includes('\r') || line.includes('\n'))) return refuse('end of line')
  const value = readDataLines(lines.filter(line => line !== ''))
  return value === undefined ? refuse('brackets') : { kind: 'frame', value, used }
}

/** Where the next "/" is from `from` on, with its parity bit or without as the line has it, or the end. */
function nextStart(bytes: Uint8Array, from: number, parity: Parity | undefined): number {
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]
    if ((byte === SLASH && parity !== 'even-in-bit-7') || (byte === SLASH_WITH_PARITY && parity !== 'none')) return at
  }
  return bytes.length
}

function sevenBits(byte: number, parity: Parity): number {
  if (parity === 'none') return byte < 0x80 ? byte : BAD
  return withEvenParity(byte & 0x7f) === byte ? byte & 0x7f : BAD
}

/** Seven bits with the parity bit that makes the number of ones even, in bit 7. */
export function withEvenParity(char: number): number {
  let ones = char ^ (char >> 4)
  ones ^= ones >> 2
  ones ^= ones >> 1
  return char | ((ones & 1) << 7)
}
