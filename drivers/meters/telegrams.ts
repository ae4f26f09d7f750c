/** The decoders of telegrams, by the name that configuration and command line use. */
import { toHex } from '../../protocol/bytes.ts'
import type { Pull } from '../../protocol/result.ts'
import { decodeDsmr, withTotals } from '../../protocol/telegram/dsmr.ts'
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
 * DSMR/ESMR P1: the equipment identifier of the electricity meter. Before v4 there is no checksum. Totals over the tariffs
 * and both directions are added, because the meter gives only their parts.
 */
export function decodeDsmrTelegram(bytes: Uint8Array): Pull<Telegram> {
  const pull = decodeDsmr(bytes)
  if (pull.kind !== 'frame') return pull
  const { equipmentId, values, checked } = pull.value
  return { ...pull, value: { meterId: equipmentId, values: withTotals(values), checked } }
}

/** A decoder of telegrams; keys matter only where telegrams are encrypted. */
export type TelegramDecoder = (bytes: Uint8Array) => Pull<Telegram>

/** Every kind of telegram by name: the only list. */
export const TELEGRAMS: ReadonlyMap<string, (keys: TelegramKeys) => TelegramDecoder> = new Map([
  ['sml', () => decodeSmlTelegram],
  ['dsmr', () => decodeDsmrTelegram],
])
