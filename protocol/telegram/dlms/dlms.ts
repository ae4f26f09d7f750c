/**
 * DLMS/COSEM telegrams that meters push unasked (IEC 62056-5-3 data-notification): out of HDLC or wired M-Bus frames or
 * bare, in segments and blocks or whole, plain or sealed with AES-GCM.
 *
 * A frame counts only when all of its links' checks hold, its APDU ends where its data end, and no register is in it twice
 * with two values.
 */
import { toHex } from '../../bytes.ts'
import type { Fault, Pull, Result } from '../../result.ts'
import type { Telegram, TelegramKeys } from '../telegram.ts'
import { makerOf, measureApdu, openApdu, parseNotification, wrongKey } from './apdu.ts'
import { type GatheredApdu, gatherApdu, gatherRaw } from './gather.ts'
import { type ListReading, readList } from './lists.ts'

export interface DlmsReading extends Telegram {
  /** The meter's clock: `2023-04-01T21:32:35`, with `Z` or an offset where the meter gives one. */
  readonly time: string | undefined
}

/**
 * Decodes the telegram at the start of `bytes`: HDLC and M-Bus by their first byte, or bare APDUs. `checked` where a CRC-16
 * (HDLC) covers it or its GCM tag was verified; M-Bus' sum of eight bits lets one damaged frame in 256 through.
 *
 * A frame that is sound and cannot be read (no key, wrong key, no notification) is junk as a whole.
 */
export function decodeDlms(
  bytes: Uint8Array,
  keys: TelegramKeys,
  framing: 'linked' | 'raw' = 'linked',
): Pull<DlmsReading> {
  const pull = framing === 'raw' ? gatherRaw(bytes, measureApdu) : gatherApdu(bytes)
  if (pull.kind !== 'frame') return pull
  const read = readTelegram(pull.value, keys)
  if (!read.ok) return { kind: 'junk', skip: pull.used, fault: read.fault }
  // Nothing covers a bare APDU, and the shortest ones stand in any noise: one that says nothing is none.
  if (framing === 'raw' && read.value.meterId === undefined && read.value.values.length === 0)
    return { kind: 'junk', skip: pull.used, fault: { code: 'dlms.structure', what: 'nothing said', at: 0 } }
  return { kind: 'frame', value: read.value, used: pull.used }
}

function readTelegram({ apdu, link, sender }: GatheredApdu, keys: TelegramKeys): Result<DlmsReading> {
  const opened = openApdu(apdu, keys)
  if (!opened.ok) return opened
  const { plain, systemTitle, counter, authentic, unproven } = opened.value
  const refused = (fault: Fault): Result<DlmsReading> => ({ ok: false, fault: unproven ? wrongKey(counter) : fault })
  const notification = parseNotification(plain)
  if (!notification.ok) return refused(notification.fault)
  const maker = systemTitle && makerOf(systemTitle)
  const list: Result<ListReading> = readList(notification.value, { maker, address: sender })
  if (!list.ok) return list
  // No two meters share a system title (IEC 62056-5-3, clause 4.3.4).
  const { meterId = systemTitle && toHex(systemTitle), values } = list.value
  const clock = notification.value.time ?? list.value.time
  const time = clock && clockText(clock)
  const checked = link === 'hdlc' || authentic
  return { ok: true, value: { meterId, values, checked, time, ...(counter === undefined ? {} : { counter }) } }
}

/**
 * A date-time of twelve bytes: year, month, day, weekday, hour, minute, second, hundredths, deviation, status. Undefined
 * where a part of it is not specified (ff) or impossible. Deviation counts minutes from local time to UTC.
 */
function clockText(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const year = view.getUint16(0)
  const [month, day, hour, minute, second] = [bytes[2]!, bytes[3]!, bytes[5]!, bytes[6]!, bytes[7]!]
  if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const two = (n: number): string => String(n).padStart(2, '0')
  const local = `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}`
  const deviation = view.getInt16(9)
  if (deviation < -720 || deviation > 840) return local
  const east = Math.abs(deviation)
  return local + (east === 0 ? 'Z' : `${deviation < 0 ? '+' : '-'}${two(Math.floor(east / 60))}:${two(east % 60)}`)
}
