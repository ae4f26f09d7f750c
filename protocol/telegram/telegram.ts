/** What every telegram boils down to, whatever its meter speaks. */
import type { MeterValue } from './obis.ts'

export interface Telegram {
  /** The meter's own serial number or logical device name; undefined where the telegram does not say. */
  readonly meterId: string | undefined
  readonly values: readonly MeterValue[]
  /** Whether a checksum covered it; without one, a value is believed only when other telegrams bear it out. */
  readonly checked: boolean
  /** Frame counter of an encrypted telegram: one that is not above the last was said before. */
  readonly counter?: number
}

/** Keys of encrypted telegrams, 16 bytes each (DLMS security suite 0). */
export interface TelegramKeys {
  /** The global unicast encryption key, "GUEK" or "block cipher key". */
  readonly encryption?: Uint8Array
  /** The authentication key, "GAK"; without it a tag is not checked, and only the telegram's own checksums count. */
  readonly authentication?: Uint8Array
}
