/**
 * Metering's records in the journal: whose envelope it is, then the envelope.
 *
 *     nn name ... mm meter ... envelope ...        nn, mm: lengths of the configured name and of the serial text
 *
 * The kind tells readings from gaps, so that a restart finds the end of each meter's chain without decoding all of it.
 */
import type { JournalRecord } from '../../drivers/store/journal-block.ts'
import type { Keep } from '../../drivers/store/journal-state.ts'
import { concat, fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { MAX_REGISTERS, registers } from '../../protocol/reading/reading.ts'
import { decodeAs, encodeAs } from '../../protocol/record.ts'
import type { MeterValue } from '../../protocol/telegram/obis.ts'
import { type Instant, instant } from '../../protocol/time.ts'

export const METERING_KINDS = ['context', 'reading', 'gap'] as const
export type MeteringKind = (typeof METERING_KINDS)[number]

/** 32 registers of 21 bytes each. */
const MAX_LOST_BYTES = 800

/** The last moment that was signed as a known time, as decimal text: kept when readings are signed whose time is not. */
export const KNOWN_TIME = 'known-time'

/** What a meter no longer gives, with its last values: as metering's other records, with registers for an envelope. */
export const LOST = 'lost-registers'

export interface MeteringRecord {
  /** The meter's name in the configuration. */
  readonly name: string
  /** Its serial: a chain belongs to the meter, whatever name it runs under. */
  readonly meterId: string
  readonly envelope: Uint8Array
}

export function encodeMeteringRecord({ name, meterId, envelope }: MeteringRecord): Uint8Array {
  const [nameBytes, meterBytes] = [utf8(name), utf8(meterId)]
  if (nameBytes.length > 255 || meterBytes.length > 255) throw new RangeError('a name of more than 255 bytes')
  return concat(Uint8Array.of(nameBytes.length), nameBytes, Uint8Array.of(meterBytes.length), meterBytes, envelope)
}

export function readMeteringRecord(bytes: Uint8Array): MeteringRecord | undefined {
  const meterAt = 1 + (bytes[0] ?? 0)
  const envelopeAt = meterAt + 1 + (bytes[meterAt] ?? 0)
  if (bytes.length <= envelopeAt) return undefined
  const name = fromUtf8(bytes.subarray(1, meterAt))
  const meterId = fromUtf8(bytes.subarray(meterAt + 1, envelopeAt))
  return name === undefined || meterId === undefined
    ? undefined
    : { name, meterId, envelope: bytes.subarray(envelopeAt) }
}

export const encodeKnownTime = (at: Instant): Uint8Array => utf8(String(at))

export function readKnownTime(bytes: Uint8Array): Instant | undefined {
  const text = fromUtf8(bytes)
  return text !== undefined && /^\d{1,15}$/.test(text) ? instant(Number(text)) : undefined
}

/** As many as a reading carries, and no more. */
export const encodeLost = (values: readonly MeterValue[]): Uint8Array =>
  encodeAs(registers, values.slice(0, MAX_REGISTERS))

export function readLost(bytes: Uint8Array): readonly MeterValue[] | undefined {
  const read = decodeAs(registers, bytes, LOST, MAX_LOST_BYTES)
  return read.ok ? read.value : undefined
}

/** Of each meter a restart needs the newest record of each kind. */
export function keepMetering({ kind, bytes }: JournalRecord): Keep | undefined {
  if (kind === KNOWN_TIME) return { as: kind }
  if (kind !== LOST && !METERING_KINDS.some(each => each === kind)) return undefined
  // What cannot be read is kept as well: a restart must hear of it and say so.
  return { as: `${kind}/${readMeteringRecord(bytes)?.meterId ?? ''}` }
}
