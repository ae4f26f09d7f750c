/**
 * SML, the Smart Message Language of German meters (BSI TR-03109-1, annex "Feinspezifikation der drahtgebundenen
 * LMN-Schnittstelle", part b): transport version 1 and the GetListResponse that a meter sends unasked.
 *
 *     1b 1b 1b 1b 01 01 01 01   start
 *     message ...               1b 1b 1b 1b inside is sent twice
 *     00 ..                     padding to a multiple of four
 *     1b 1b 1b 1b 1a pp cc cc   end, padding bytes, CRC-16 over everything before it, low byte first
 *
 * A frame counts only when its own CRC, the CRC of every message in it and its whole structure hold. The line runs at 9,600
 * baud 8N1, a telegram every one to four seconds.
 *
 * Values are named as the meter names them. 1-0:15.7.0 is a magnitude: the bit of the status word that should say which way
 * the energy flows means both in the field (0x20 is set while an ED300L delivers in volkszaehler/libsml, issue 101, and while
 * another draws in Apollon77/smartmeter-obis, issue 219), so no signed power is made of it.
 */
import type { Pull } from '../result.ts'
import { crcKermit, crcX25 } from './crc16.ts'
import { type MeterValue, obisName, UNIT_NAMES } from './obis.ts'
import { SmlCursor } from './sml-cursor.ts'

export interface SmlReading {
  /** The meter's identification (DIN 43863-5), from the list or else from its identity register; absent in some models. */
  readonly serverId: Uint8Array | undefined
  /** The meter's own count of seconds, where it gives one. */
  readonly seconds: number | undefined
  readonly values: readonly MeterValue[]
}

export type SmlFault =
  | { readonly code: 'sml.noise'; readonly bytes: number }
  | { readonly code: 'sml.cut'; readonly bytes: number }
  | { readonly code: 'sml.too-long'; readonly limit: number }
  | { readonly code: 'sml.escape'; readonly at: number }
  | { readonly code: 'sml.padding'; readonly padding: number; readonly length: number }
  | { readonly code: 'sml.crc'; readonly expected: number; readonly received: number }
  | { readonly code: 'sml.message-crc'; readonly expected: number; readonly received: number }
  | { readonly code: 'sml.structure'; readonly at: number; readonly what: string }

/** Ten times the longest telegram seen in the field (800 bytes, at 9,600 baud nearly a second). */
export const SML_FRAME_MAX = 8192

const MARK_LENGTH = 8
const ESCAPE = 0x1b
const GET_LIST_RESPONSE = 0x0701
const IDENTITY_REGISTERS = ['1-0:96.1.0', '1-0:0.0.9', '0-0:96.1.255']
const MAKER_REGISTERS = ['1-0:96.50.1*1', '129-129:199.130.3']

/** Decodes the SML frame at the start of `bytes`. */
export function decodeSml(bytes: Uint8Array): Pull<SmlReading, SmlFault> {
  const start = findStart(bytes, 0)
  if (start > 0) return { kind: 'junk', skip: start, fault: { code: 'sml.noise', bytes: start } }
  if (bytes.length < MARK_LENGTH) return { kind: 'need', bytes: MARK_LENGTH - bytes.length }

  const junk = (fault: SmlFault): Pull<SmlReading, SmlFault> => ({ kind: 'junk', skip: findStart(bytes, 1), fault })
  let escaped = false
  let at = MARK_LENGTH
  for (;;) {
    at = findEscape(bytes, at)
    if (at + MARK_LENGTH > SML_FRAME_MAX) return junk({ code: 'sml.too-long', limit: SML_FRAME_MAX })
    if (at + MARK_LENGTH > bytes.length) return { kind: 'need', bytes: at + MARK_LENGTH - bytes.length }
    if (isRun(bytes, at + 4, ESCAPE)) {
      escaped = true
      at += MARK_LENGTH
    } else if (isRun(bytes, at + 4, 0x01)) return junk({ code: 'sml.cut', bytes: at })
    else if (bytes[at + 4] === 0x1a) break
    else return junk({ code: 'sml.escape', at })
  }

  const used = at + MARK_LENGTH
  const received = bytes[used - 2]! | (bytes[used - 1]! << 8)
  const expected = crcX25(bytes, 0, used - 2)
  if (received !== expected && received !== crcKermit(bytes, 0, used - 2))
    return junk({ code: 'sml.crc', expected, received })
  const padding = bytes[at + 5]!
  if (used % 4 !== 0 || padding > 3 || at - padding < MARK_LENGTH || !isZero(bytes, at - padding, at))
    return junk({ code: 'sml.padding', padding, length: used })

  const messages = bytes.subarray(MARK_LENGTH, at - padding)
  const reading = readMessages(escaped ? undouble(messages) : messages)
  return 'code' in reading ? junk(reading) : { kind: 'frame', value: reading, used }
}

/** Where the next start mark begins from `from` on, or where one may have begun that is not complete yet. */
function findStart(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(ESCAPE, from); at >= 0; at = bytes.indexOf(ESCAPE, at + 1)) {
    let same = 1
    while (same < MARK_LENGTH && at + same < bytes.length && bytes[at + same] === (same < 4 ? ESCAPE : 0x01)) same++
    if (same === MARK_LENGTH || at + same === bytes.length) return at
  }
  return bytes.length
}

/** Where the next escape sequence begins from `from` on, or where one may have begun that is not complete yet. */
function findEscape(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(ESCAPE, from); at >= 0; at = bytes.indexOf(ESCAPE, at + 1)) {
    let same = 1
    while (same < 4 && bytes[at + same] === ESCAPE) same++
    if (same === 4 || at + same >= bytes.length) return at
    at += same
  }
  return Math.max(from, bytes.length)
}

const isRun = (bytes: Uint8Array, at: number, byte: number): boolean =>
  bytes[at] === byte && bytes[at + 1] === byte && bytes[at + 2] === byte && bytes[at + 3] === byte

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false
  return true
}

/** Drops the second half of every doubled escape sequence. */
function undouble(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length; ) {
    const next = findEscape(bytes, at)
    const stop = Math.min(next + 4, bytes.length)
    out.set(bytes.subarray(at, stop), length)
    length += stop - at
    at = next + MARK_LENGTH
  }
  return out.subarray(0, length)
}

interface Draft {
  serverId: Uint8Array | undefined
  identity: Uint8Array | undefined
  maker: Uint8Array | undefined
  seconds: number | undefined
  lists: number
  values: DraftValue[]
}

/** A value with what its certainty may depend on: whether it was sent signed, and in how many bytes. */
interface DraftValue extends MeterValue {
  readonly signed: boolean
  readonly width: number
}

function readMessages(bytes: Uint8Array): SmlReading | SmlFault {
  const cursor = new SmlCursor(bytes)
  const draft: Draft = {
    serverId: undefined,
    identity: undefined,
    maker: undefined,
    seconds: undefined,
    lists: 0,
    values: [],
  }
  let checksum: typeof crcX25 | undefined
  while (cursor.at < bytes.length) {
    const start = cursor.at
    cursor.list(6, 'message')
    cursor.skipOctets('transaction id')
    cursor.unsigned('group')
    cursor.unsigned('what to do on an error')
    cursor.list(2, 'message body')
    const tag = cursor.unsigned('message tag')
    if (tag === GET_LIST_RESPONSE) readList(cursor, draft)
    else cursor.skip()
    const end = cursor.at
    const sent = cursor.unsigned('message CRC')
    cursor.endOfMessage()
    if (cursor.malformed !== undefined) return { code: 'sml.structure', ...cursor.malformed }
    const received = ((sent & 0xff) << 8) | (sent >>> 8)
    const expected = crcX25(bytes, start, end)
    const kind = received === expected ? crcX25 : received === crcKermit(bytes, start, end) ? crcKermit : undefined
    if (kind === undefined || (checksum ?? kind) !== kind) return { code: 'sml.message-crc', expected, received }
    checksum = kind
  }
  return finish(draft)
}

/** GetListResponse: client, server, list name, time, entries, signature, gateway time. */
function readList(cursor: SmlCursor, draft: Draft): void {
  cursor.list(7, 'list')
  // Two lists in one frame would mix two meters, or two moments, in one reading.
  if (++draft.lists > 1) cursor.fail(cursor.at, 'second list')
  cursor.skipOctets('client')
  draft.serverId = cursor.octets()
  cursor.skipOctets('list name')
  draft.seconds = readSeconds(cursor)
  const entries = cursor.list(undefined, 'entries')
  for (let i = 0; i < entries; i++) readEntry(cursor, draft)
  cursor.skipOctets('list signature')
  readSeconds(cursor)
}

/** SML_Time: choice 1 counts seconds since an arbitrary start. Holley meters send the number without the choice. */
function readSeconds(cursor: SmlCursor): number | undefined {
  if (!cursor.isList()) return cursor.number()
  cursor.list(2, 'time')
  const choice = cursor.unsigned('time choice')
  if (choice === 1) return cursor.unsigned('seconds')
  cursor.skip()
  return undefined
}

/** Entry: name, status, time, unit, scaler, value, signature. */
function readEntry(cursor: SmlCursor, draft: Draft): void {
  cursor.list(7, 'entry')
  const at = cursor.at
  const name = cursor.octets()
  if (name?.length !== 6) {
    cursor.fail(at, 'name')
    return
  }
  cursor.number() // status
  readSeconds(cursor)
  const unit = cursor.number()
  const plain = cursor.isAbsent()
  // What stands there and is no number leaves the power of ten open.
  const scaler = cursor.number() ?? (plain ? 0 : Number.NaN)
  const unitName = unit === undefined ? undefined : UNIT_NAMES.get(unit)
  if (unitName !== undefined && scaler >= -9 && scaler <= 9) {
    const number = cursor.integer()
    if (number !== undefined) {
      const { value, signed, width } = number
      draft.values.push({ obis: obisName(name), value, scaler, unit: unitName, signed, width })
    }
  } else {
    const obis = obisName(name)
    const text = cursor.octets()
    if (MAKER_REGISTERS.includes(obis)) draft.maker = text
    else if (IDENTITY_REGISTERS.includes(obis)) draft.identity ??= text
  }
  cursor.skipOctets('value signature')
}

function finish(draft: Draft): SmlReading | SmlFault {
  const serverId = draft.serverId ?? draft.identity
  const dzg = isDzg(draft.maker) || isDzg(serverId?.subarray(2, 5))
  const values: MeterValue[] = []
  const seen = new Map<string, DraftValue>()
  for (const entry of draft.values) {
    const { obis, value, scaler, unit } = entry
    const before = seen.get(obis)
    if (before !== undefined) {
      // The same register twice with two values: at least one is wrong, and nothing says which.
      if (before.value !== value || before.scaler !== scaler || before.unit !== unit)
        return { code: 'sml.structure', at: 0, what: `${obis} twice` }
      continue
    }
    seen.set(obis, entry)
    if (!(dzg && isAmbiguous(entry))) values.push({ obis, value, scaler, unit })
  }
  return { serverId: serverId?.slice(), seconds: draft.seconds, values }
}

/** "DZG" in ASCII. */
const isDzg = (maker: Uint8Array | undefined): boolean =>
  maker?.length === 3 && maker[0] === 0x44 && maker[1] === 0x5a && maker[2] === 0x47

/**
 * Some DZG models drop the leading zero byte of a positive number that they send as signed, others send true negatives
 * in the same form: 53 8b 28 was 356.24 W on one and 53 d6 ca was -105.50 W on another (volkszaehler/libsml, issues 59
 * and 162; devZer0/libsml-testing, pull requests 15 and 16). Nothing in the frame decides, so such a value is absent.
 * In three bytes the positive reading would be 83 kW and more, beyond what these direct-connected meters carry.
 */
const isAmbiguous = (entry: DraftValue): boolean => entry.signed && entry.width <= 2 && entry.value < 0n
