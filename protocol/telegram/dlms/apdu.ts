/**
 * The APDUs that meters push (IEC 62056-5-3), opened and taken apart.
 *
 *     db 08 <system title> <length> <security control> <frame counter, 4> ...   general-glo-ciphering, dc: general-ded
 *     0f <invoke id, 4> 00 | 0c <date-time> | 09 0c <date-time> <data>          data-notification
 *     c2 00 | 01 <date-time> <class, 2> <name, 6> <attribute> <data>            event-notification
 *     c4 01 <invoke id> 00 <data>                                               get-response, normal
 *
 * The date-time with a tag before it is how some makers read the standard.
 */
import { openSuite0 } from '../../crypto/aes-gcm-12.ts'
import { type Fault, fail, ok, type Result } from '../../result.ts'
import type { TelegramKeys } from '../telegram.ts'
import { AxdrReader, type DlmsData, TAG } from './axdr.ts'

/** A value that the telegram itself names: class, logical name, attribute. */
export interface DescribedValue {
  readonly classId: number
  readonly name: Uint8Array
  readonly attribute: number
  readonly value: DlmsData
}

export interface Notification {
  /** Twelve bytes (IEC 62056-6-2, clause 4.1.6.1). */
  readonly time: Uint8Array | undefined
  readonly body: DlmsData | { readonly kind: 'described'; readonly items: readonly DescribedValue[] }
}

export interface OpenedApdu {
  readonly plain: Uint8Array
  /** Of ciphered APDUs. */
  readonly systemTitle?: Uint8Array
  readonly counter?: number
  /** Whether a tag was checked. */
  readonly authentic: boolean
  /** Whether the text was made by a key that nothing has proven yet. */
  readonly unproven: boolean
}

const TITLE_BYTES = 8
const AUTHENTICATED = 0x10
const ENCRYPTED = 0x20
const DATE_TIME_BYTES = 12
const isCiphered = (tag: number | undefined): boolean => tag === 0xdb || tag === 0xdc

interface Sealed {
  readonly systemTitle: Uint8Array
  readonly securityControl: number
  readonly counter: number
  readonly bytes: Uint8Array
}

/** What is sealed in a ciphered APDU; undefined where its structure is broken. */
function readSealed(reader: AxdrReader): Sealed | undefined {
  const titleLength = reader.length()
  const systemTitle = titleLength === TITLE_BYTES ? reader.take(TITLE_BYTES) : undefined
  const length = systemTitle && reader.length()
  const head = length !== undefined && length >= 5 ? reader.take(5) : undefined
  const bytes = head && reader.take(length! - 5)
  if (systemTitle === undefined || head === undefined || bytes === undefined) return undefined
  const counter = new DataView(head.buffer, head.byteOffset).getUint32(1)
  return { systemTitle, securityControl: head[0]!, counter, bytes }
}

/** Where the APDU ends that begins `bytes`, or how many bytes it takes at the least; undefined where it is none. */
export function measureApdu(bytes: Uint8Array): { readonly end: number } | { readonly wanted: number } | undefined {
  const reader = new AxdrReader(bytes, 1)
  let whole: boolean
  if (isCiphered(bytes[0])) whole = readSealed(reader) !== undefined
  else if (bytes[0] === 0xe0) {
    reader.take(5)
    const length = reader.length()
    whole = length !== undefined && reader.take(length) !== undefined
  } else {
    // Inside of a list 0f is a tag, and what follows may look like a notification of a single value. Pushes are lists.
    const kind = readNotification(reader, bytes)?.body.kind
    if (kind !== undefined && kind !== 'list' && kind !== 'described') return undefined
    whole = kind !== undefined
  }
  if (whole) return { end: reader.at }
  return reader.stopped === 'short' ? { wanted: reader.wanted } : undefined
}

/**
 * Opens a ciphered APDU; without a key, any other is given back as it is. With one, a telegram in plain text could be
 * anybody's, so could one in plain text with a tag that nobody checks, and so could one without a tag where the
 * authentication key is given, too.
 */
export function openApdu(apdu: Uint8Array, keys: TelegramKeys): Result<OpenedApdu> {
  if (!isCiphered(apdu[0])) {
    if (keys.encryption !== undefined)
      return fail({ code: 'dlms.plain', tag: apdu[0], hint: 'it is not encrypted: leave out the keys' })
    return ok({ plain: apdu, authentic: false, unproven: false })
  }
  const reader = new AxdrReader(apdu, 1)
  const sealed = readSealed(reader)
  if (sealed === undefined || reader.at !== apdu.length)
    return fail({ code: 'dlms.structure', what: 'ciphering', at: reader.at })
  const { systemTitle, securityControl, counter } = sealed
  if (keys.encryption === undefined) {
    const maker = makerOf(systemTitle)
    return fail({
      code: 'dlms.no-key',
      maker,
      hint: `the telegrams of this ${maker ?? 'unknown'} meter are encrypted: ask the grid operator for its key`,
    })
  }
  const tagged = (securityControl & AUTHENTICATED) !== 0
  if (!tagged && keys.authentication !== undefined)
    return fail({ code: 'dlms.no-tag', securityControl, hint: 'it has no tag: leave out the authentication key' })
  if ((securityControl & ENCRYPTED) === 0 && keys.authentication === undefined)
    return fail({
      code: 'dlms.plain',
      tag: apdu[0],
      hint: 'it is not encrypted, and its tag proves it: give the authentication key',
    })
  const opened = openSuite0({ ...sealed, key: keys.encryption, authKey: keys.authentication })
  if (!opened.ok) return fail(opened.fault.code === 'cipher.tag' ? wrongKey(counter) : opened.fault)
  const authentic = tagged && keys.authentication !== undefined
  return ok({ plain: opened.value, systemTitle, counter, authentic, unproven: !authentic })
}

export const wrongKey = (counter: number | undefined): Fault => ({
  code: 'dlms.key',
  counter,
  hint: 'the telegram is whole, and the key does not open it: compare both keys with what the grid operator sent',
})

/** The maker's three letters in a system title (IEC 62056-5-3, clause 4.3.4), where they are letters. */
export function makerOf(systemTitle: Uint8Array): string | undefined {
  const letters = String.fromCharCode(...systemTitle.subarray(0, 3))
  return /^[A-Za-z]{3}$/.test(letters) ? letters : undefined
}

/** The notification in a plain APDU, which must end where it ends. */
export function parseNotification(apdu: Uint8Array): Result<Notification> {
  const reader = new AxdrReader(apdu, 1)
  const notification = readNotification(reader, apdu)
  if (notification === undefined) return fail({ code: 'dlms.structure', what: reader.stopped, at: reader.at })
  if (reader.at !== apdu.length) return fail({ code: 'dlms.structure', what: 'left over', at: reader.at })
  return ok(notification)
}

function readNotification(reader: AxdrReader, apdu: Uint8Array): Notification | undefined {
  if (apdu[0] === 0x0f) return readDataNotification(reader, apdu)
  if (apdu[0] === 0xc2) return readEventNotification(reader)
  if (apdu[0] !== 0xc4 || reader.byte() !== 0x01) return undefined
  reader.byte()
  if (reader.byte() !== 0x00) return undefined
  const body = reader.value()
  return body && { time: undefined, body }
}

function readDataNotification(reader: AxdrReader, apdu: Uint8Array): Notification | undefined {
  reader.take(4)
  const length = reader.byte()
  const tagged = length === TAG.octets ? reader.byte() : length
  const time = tagged === DATE_TIME_BYTES ? reader.take(DATE_TIME_BYTES) : undefined
  if (tagged !== 0 && time === undefined) return undefined
  const bare = readBareDescriptors(apdu, reader.at)
  if (bare !== undefined && 'items' in bare) {
    reader.at = bare.end
    return { time, body: { kind: 'described', items: bare.items } }
  }
  const body = reader.value()
  if (body === undefined && bare !== undefined) {
    reader.stopped = 'short'
    reader.wanted = bare.wanted
  }
  return body && { time, body }
}

function readEventNotification(reader: AxdrReader): Notification | undefined {
  const present = reader.byte()
  if (present !== 0x00 && (present !== 0x01 || reader.length() !== DATE_TIME_BYTES)) return undefined
  const time = present === 0x01 ? reader.take(DATE_TIME_BYTES) : undefined
  const item = readDescribed(reader)
  return item && { time, body: { kind: 'described', items: [item] } }
}

/** class, name and attribute without tags, then the value with its tag. */
function readDescribed(reader: AxdrReader): DescribedValue | undefined {
  const descriptor = reader.take(9)
  const value = descriptor && reader.value()
  if (descriptor === undefined || value === undefined) return undefined
  return {
    classId: (descriptor[0]! << 8) | descriptor[1]!,
    name: descriptor.subarray(2, 8),
    attribute: descriptor[8]!,
    value,
  }
}

/**
 * Sagemcom XT211 (Czechia): a structure of a number and an array of structures of a descriptor WITHOUT tags and a value,
 * which is no A-XDR. Read only where all of it has this form; `wanted` where it has as far as it goes.
 */
function readBareDescriptors(
  apdu: Uint8Array,
  at: number,
): { readonly items: readonly DescribedValue[]; readonly end: number } | { readonly wanted: number } | undefined {
  const reader = new AxdrReader(apdu, at)
  const items = bareDescriptors(reader)
  if (items !== undefined) return { items, end: reader.at }
  return reader.stopped === 'short' ? { wanted: reader.wanted } : undefined
}

function bareDescriptors(reader: AxdrReader): readonly DescribedValue[] | undefined {
  const head = reader.take(5)
  //                         structure of 2               enum                 array
  if (head?.[0] !== TAG.structure || head[1] !== 2 || head[2] !== TAG.enum || head[4] !== TAG.array) return undefined
  const count = reader.length()
  if (count === undefined) return undefined
  const items: DescribedValue[] = []
  while (items.length < count) {
    const pair = reader.take(2)
    const item = pair?.[0] === TAG.structure && pair[1] === 2 ? readDescribed(reader) : undefined
    // Classes beyond 255 are no meter's, and the logical name of a value of now ends in 255.
    if (item === undefined || item.classId > 0xff || item.classId === 0 || item.name[5] !== 0xff) return undefined
    items.push(item)
  }
  return items.length > 0 ? items : undefined
}
