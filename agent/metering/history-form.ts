/**
 * What stands in the index of the journal's readings. Names and serials are in hexadecimal, so that neither can reach into
 * another's keys; values are canonical CBOR.
 *
 *     cursor                       {1: form, 2: journal, 3: frame, 4: hash}          read so far
 *     c.<name>.<meter>             {1: last sequence, 2: pending span}               a meter's chain
 *     q.<name>.<quarter>.<meter>   {1: span, 2: first frame, 3: last frame}          a quarter of an hour
 *     s.<contract>                 [{1: name, 2: meter, 3: sequence, 4: time, ...}]  a deal's begin and end readings
 *     x                            form                                              records of others are in it, too
 *     x.<key>                      theirs                                            the newest under that key
 *
 * A quarter is written as its number since 1970, in eight hexadecimal digits.
 */
import type { KeyRange } from '../../drivers/ports.ts'
import type { Place } from '../../drivers/store/journal-recovery.ts'
import { fromHex, fromUtf8, toHex, utf8 } from '../../protocol/bytes.ts'
import { parseSign1 } from '../../protocol/crypto/cose.ts'
import type { Period } from '../../protocol/reading/calendar.ts'
import { parseContext } from '../../protocol/reading/context.ts'
import { JOURNAL_ID_BYTES } from '../../protocol/reading/head.ts'
import { parseReading, type Reading } from '../../protocol/reading/reading.ts'
import { type Bucket, joinSpans, QUARTER_MS, spanCodec } from '../../protocol/reading/rollup.ts'
import {
  bytes,
  type Codec,
  decodeAs,
  encodeAs,
  integer,
  list,
  type RecordOf,
  record,
  text,
  word,
} from '../../protocol/record.ts'
import type { Obis } from '../../protocol/telegram/obis.ts'
import type { Instant } from '../../protocol/time.ts'

const COUNT = integer(0, Number.MAX_SAFE_INTEGER)
/** A span of 256 counters has 30 kB. */
const MAX_BYTES = 1 << 16

const CURSOR = { journal: [2, bytes(JOURNAL_ID_BYTES)], frame: [3, COUNT], hash: [4, bytes(32)] } as const
/** Another form is another index: its reader finds none. */
const cursorCodec = record({ form: [1, integer(1, 1)], ...CURSOR })
/** The last frame whose readings are in the index. */
export type Cursor = RecordOf<typeof CURSOR>

const CHAIN = { last: [1, COUNT] } as const
const PENDING = { pending: [2, spanCodec] } as const
const chainCodec = record(CHAIN, PENDING)
export type ChainRecord = RecordOf<typeof CHAIN, typeof PENDING>

/** Frames of the journal between which they stand, both included. */
const FRAMES = { from: [8, COUNT], to: [9, COUNT] } as const
const QUARTER = { span: [1, spanCodec], ...FRAMES } as const
const quarterCodec = record(QUARTER)
export type QuarterRecord = RecordOf<typeof QUARTER>

const SESSION = {
  /** In the configuration. */
  name: [1, text(/^[\s\S]{0,255}$/)],
  meterId: [2, text(/^[\s\S]{0,255}$/)],
  sequence: [3, COUNT],
  time: [4, integer<Instant>(0, Number.MAX_SAFE_INTEGER)],
  reason: [5, word('begin', 'end')],
  ...FRAMES,
} as const
/** A deal has one of each; a contract that is started again and again has more. */
const MAX_SESSION = 256
const sessionCodec = list(record(SESSION), 0, MAX_SESSION)
export type SessionReading = RecordOf<typeof SESSION>

const reader =
  <T>(codec: Codec<T>) =>
  (bytes: Uint8Array): T | undefined => {
    const read = decodeAs(codec, bytes, 'index', MAX_BYTES)
    return read.ok ? read.value : undefined
  }

export const encodeCursor = (cursor: Cursor): Uint8Array => encodeAs(cursorCodec, { form: 1, ...cursor })
export const cursorOf: (bytes: Uint8Array) => Cursor | undefined = reader(cursorCodec)
export const encodeChain = (chain: ChainRecord): Uint8Array => encodeAs(chainCodec, chain)
export const readChain = reader(chainCodec)
export const encodeQuarter = (quarter: QuarterRecord): Uint8Array => encodeAs(quarterCodec, quarter)
export const readQuarter = reader(quarterCodec)
export const encodeSession = (readings: readonly SessionReading[]): Uint8Array => encodeAs(sessionCodec, readings)
export const readSession = reader(sessionCodec)

export const joinQuarters = (a: QuarterRecord | undefined, b: QuarterRecord): QuarterRecord =>
  a === undefined ? b : { span: joinSpans(a.span, b.span), from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) }

/** Of more than an entry holds, the first and the last. */
export function joinSessions(a: readonly SessionReading[] = [], b: readonly SessionReading[] = []): SessionReading[] {
  const all = [...a, ...b]
  return all.length <= MAX_SESSION ? all : [...all.slice(0, MAX_SESSION / 2), ...all.slice(-MAX_SESSION / 2)]
}

// --- Keys

const hex = (name: string): string => toHex(utf8(name))

export const CURSOR_KEY = 'cursor'
export const CHAINS: KeyRange = { from: 'c.', to: 'c/' }

/** Without a meter, what the keys of all under that name begin with. */
export const chainKey = (name: string, meterId?: string): string =>
  `c.${hex(name)}.${meterId === undefined ? '' : hex(meterId)}`

/** Without a meter, what is before every meter of that quarter; without a quarter, before every quarter. */
export const quarterKey = (name: string, quarter?: Instant, meterId?: string): string => {
  // A reading on the dot of 1970 is of the quarter before it.
  const number = quarter === undefined ? '' : (quarter / QUARTER_MS + 1).toString(16).padStart(8, '0')
  return `q.${hex(name)}.${number}${meterId === undefined ? '' : `.${hex(meterId)}`}`
}

export function quarterNamed(key: string): { readonly quarter: Instant; readonly meterId: string } {
  const [, , number = '', meter = ''] = key.split('.')
  const quarter = ((Number.parseInt(number, 16) - 1) * QUARTER_MS) as Instant
  return { quarter, meterId: fromUtf8(fromHex(meter) ?? new Uint8Array()) ?? '' }
}

/** There once every record that is behind the cursor was looked through for what others want back. */
export const OTHERS_KEY = 'x'
/** Which entries others make of records: with another number the journal is looked through for them once more. */
export const OTHERS_FORM = Uint8Array.of(2)
export const otherKey = (key: string): string => `x.${key}`

export const sessionKey = (contract: Uint8Array): string => `s.${toHex(contract)}`

/** What is kept of a record that stands at a place; a journal's reader sees to it that the newest of a key counts. */
export type EntriesOf = (
  kind: string,
  bytes: Uint8Array,
  place: Place,
) => readonly (readonly [key: string, value: Uint8Array])[]

// --- What is asked of it

/** Frames of the journal between which readings stand, both included. */
export interface Frames {
  readonly from: bigint
  readonly to: bigint
}

export interface Energy {
  readonly buckets: readonly Bucket[]
  /** Readings of the meter that belong to no bucket yet, because nobody knew the time. */
  readonly untimed: number
}

export interface EnergyAsked {
  /** As in the configuration. */
  readonly meter: string
  readonly obis: Obis
  readonly from: Instant
  readonly to: Instant
  readonly period: Period
}

// --- What stands in the journal

export function readingOf(envelope: Uint8Array): Reading | undefined {
  const signed = parseSign1(envelope)
  const reading = signed.ok ? parseReading(signed.value.payload) : signed
  return reading.ok ? reading.value : undefined
}

export function meterOf(envelope: Uint8Array): string | undefined {
  const signed = parseSign1(envelope)
  const context = signed.ok ? parseContext(signed.value.payload) : signed
  return context.ok ? context.value.meterId : undefined
}
