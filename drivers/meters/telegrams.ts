/** The decoders of telegrams, by the name that configuration and command line use. */
import { toHex } from '../../protocol/bytes.ts'
import type { Pull } from '../../protocol/result.ts'
import { decodeDlms } from '../../protocol/telegram/dlms/dlms.ts'
import { beginsRaw } from '../../protocol/telegram/dlms/gather.ts'
import { decodeDsmr, withTotals } from '../../protocol/telegram/dsmr.ts'
import { decodeIec62056 } from '../../protocol/telegram/iec62056.ts'
import { decodeMbus, mbusIdentityText } from '../../protocol/telegram/mbus.ts'
import { findValue, type MeterValue } from '../../protocol/telegram/obis.ts'
import { decodeEncryptedP1 } from '../../protocol/telegram/p1-encrypted.ts'
import { decodeSml } from '../../protocol/telegram/sml.ts'
import type { Telegram, TelegramKeys } from '../../protocol/telegram/telegram.ts'

/** SML: the server id in lower-case hex. Every SML frame carries its checksum. */
export function decodeSmlTelegram(bytes: Uint8Array): Pull<Telegram> {
  const pull = decodeSml(bytes)
  if (pull.kind !== 'frame') return pull
  const { serverId, values } = pull.value
  return { ...pull, value: { meterId: serverId && toHex(serverId), values, checked: true } }
}

/**
 * DSMR/ESMR P1, plain: the equipment identifier of the electricity meter. Before v4 there is no checksum. Totals over the tariffs
 * and both directions are added, because the meter gives only their parts.
 */
export function decodeDsmrTelegram(bytes: Uint8Array): Pull<Telegram> {
  const pull = decodeDsmr(bytes)
  if (pull.kind !== 'frame') return pull
  const { equipmentId, values, checked } = pull.value
  return { ...pull, value: { meterId: equipmentId, values: withTotals(values), checked } }
}

/**
 * P1, plain without a key and encrypted with one: then a telegram in plain text is noise, for it could be anybody's. Who
 * sends is what the telegram inside says of itself, or else the system title in lower-case hex.
 */
function decodeDsmrBy(keys: TelegramKeys): TelegramDecoder {
  if (keys.encryption === undefined)
    return bytes => {
      const sealed = bytes[0] === 0xdb ? decodeEncryptedP1(bytes, keys) : undefined
      return sealed?.kind === 'need' || (sealed?.kind === 'junk' && sealed.fault.code === 'p1.no-key')
        ? sealed
        : decodeDsmrTelegram(bytes)
    }
  return bytes => {
    const pull = decodeEncryptedP1(bytes, keys)
    if (pull.kind !== 'frame') return pull
    const { equipmentId, systemTitle, values, checked, counter } = pull.value
    return {
      ...pull,
      value: { meterId: equipmentId ?? toHex(systemTitle), values: withTotals(values), checked, counter },
    }
  }
}

/** IEC 62056-21: the serial number among its data lines. Its check characters are too weak to count as a checksum. */
export function decodeIecTelegram(bytes: Uint8Array): Pull<Telegram> {
  const pull = decodeIec62056(bytes)
  if (pull.kind !== 'frame') return pull
  const { equipmentId, values } = pull.value
  return { ...pull, value: { meterId: equipmentId, values, checked: false } }
}

/**
 * DLMS pushes. Which framing it is shows at the line's first byte: bare APDUs only where one begins right there, else HDLC
 * or M-Bus. A line that once had a link never again believes bare APDUs, which nothing covers: they also stand inside of
 * frames whose check failed.
 */
function decodeDlmsBy(keys: TelegramKeys): TelegramDecoder {
  let framing: 'unknown' | 'linked' | 'raw' = 'unknown'
  return bytes => {
    const linked = withSums(decodeDlms(bytes, keys))
    if (framing === 'linked' || linked.kind !== 'junk') {
      if (linked.kind === 'frame') framing = 'linked'
      return linked
    }
    if (framing === 'unknown' && !beginsRaw(bytes[0])) framing = 'linked'
    if (framing === 'linked') return linked
    const raw = decodeDlmsRaw(bytes, keys)
    if (raw.kind === 'frame') framing = 'raw'
    if (raw.kind !== 'junk') return raw
    if (framing === 'unknown') framing = 'linked'
    return { ...raw, skip: Math.min(raw.skip, linked.skip) }
  }
}

const decodeDlmsRaw = (bytes: Uint8Array, keys: TelegramKeys): Pull<Telegram> =>
  withSums(decodeDlms(bytes, keys, 'raw'))

const withSums = (pull: Pull<Telegram>): Pull<Telegram> =>
  pull.kind !== 'frame'
    ? pull
    : { ...pull, value: { ...pull.value, values: withTotals(onChannel0(pull.value.values)) } }

/** Kamstrup counts its only measuring channel as 1: its registers are also given where every other meter has them. */
function onChannel0(values: readonly MeterValue[]): readonly MeterValue[] {
  const also = values
    .filter(({ obis }) => obis.startsWith('1-1:'))
    .map(value => ({ ...value, obis: value.obis.replace('1-1:', '1-0:'), derived: true as const }))
  return [...values, ...also.filter(({ obis }) => findValue(values, obis) === undefined)]
}

/** Wired M-Bus: the secondary address. Its sum of 8 bits is too weak to count as a checksum. */
export function decodeMbusTelegram(bytes: Uint8Array): Pull<Telegram> {
  const pull = decodeMbus(bytes)
  if (pull.kind !== 'frame') return pull
  const { identity, values } = pull.value
  return { ...pull, value: { meterId: mbusIdentityText(identity), values, checked: false } }
}

/** A decoder of telegrams; keys matter only where telegrams are encrypted. */
export type TelegramDecoder = (bytes: Uint8Array) => Pull<Telegram>

/** Every kind of telegram by name: the only list. */
export const TELEGRAMS: ReadonlyMap<string, (keys: TelegramKeys) => TelegramDecoder> = new Map([
  ['sml', () => decodeSmlTelegram],
  ['dsmr', decodeDsmrBy],
  ['dlms', decodeDlmsBy],
  ['dlms-raw', keys => bytes => decodeDlmsRaw(bytes, keys)],
  ['iec62056', () => decodeIecTelegram],
  ['mbus', () => decodeMbusTelegram],
])
