/**
 * An event: what happened to the record itself rather than to a meter, signed, so that whoever reads a journal later knows
 * what is missing from it and why. Events of one gateway are numbered and chained like the readings of a meter.
 *
 *     a7                        map of 7 or 8
 *       01 51 ueid              the gateway
 *       02 58 20 key            raw public key that signs; 32 bytes Ed25519, 33 compressed P-256
 *       03 01 boot              boots since the journal began
 *       04 19 sequence          counts the gateway's events, the first is 1
 *       05 1b time              UTC, Unix milliseconds
 *       06 02 quality           of that time
 *       07 82 what              [place in EVENT_KINDS, its details as a map]
 *       08 58 20 previous       hash of the previous event's envelope; only the first has none
 *
 * As COSE_Sign1 with external_aad `tieline/event/1`.
 */
import { utf8 } from '../bytes.ts'
import {
  bytes,
  type Codec,
  decodeAs,
  encodeAs,
  integer,
  type RecordFault,
  type RecordOf,
  record,
  word,
} from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant, TimeQuality } from '../time.ts'

/** external_aad of an event's signature. */
export const EVENT_PURPOSE = utf8('tieline/event/1')

const COUNT = integer(0, Number.MAX_SAFE_INTEGER)
/** Unix ms up to the year 9999; a clock that was never set may stand before 1970's second day. */
const WALL = integer<Instant>(0, 253_402_300_799_999)
const HASH = bytes(32)

/** What an event says, by kind. The order is the number on disk: append, never reorder. */
const DETAILS = {
  /** A commit that a power cut left half written was cut off; nothing in it was ever acknowledged. */
  'torn-tail': record({ segment: [1, COUNT], offset: [2, COUNT], bytes: [3, COUNT] }),
  /** A segment was finished: its last frame, and how many records the journal held then. */
  sealed: record({ segment: [1, COUNT], sequence: [2, COUNT], hash: [3, HASH], records: [4, COUNT] }),
  /** Everything up to this segment was dropped because its time of keeping was over; the last frame dropped. */
  dropped: record({ segment: [1, COUNT], sequence: [2, COUNT], hash: [3, HASH] }),
  /** The wall clock was set, once or, where it flaps, again and again: where it would have stood, and where it stood then. */
  'clock-step': record({ from: [1, WALL], to: [2, WALL] }),
  /** The wall clock came under control of a time source, or left it. */
  'clock-quality': record({ from: [1, quality()], to: [2, quality()] }),
  /** Nothing could be written between these two moments; what was read then was never acknowledged. */
  'not-recorded': record({ from: [1, WALL], to: [2, WALL] }),
  /** From here on another key signs: hash of the rotation statement. */
  'key-rotated': record({ statement: [1, HASH] }),
} as const

function quality(): Codec<TimeQuality> {
  return word<TimeQuality>('unknown', 'informative', 'synchronised', 'relative')
}

export const EVENT_KINDS = Object.keys(DETAILS) as readonly EventKind[]
export type EventKind = keyof typeof DETAILS
type DetailsOf<K extends EventKind> = (typeof DETAILS)[K] extends Codec<infer T> ? T : never
export type What = { [K in EventKind]: { readonly kind: K } & DetailsOf<K> }[EventKind]

const kinds = word(...EVENT_KINDS)

const what: Codec<What> = {
  write: ({ kind, ...details }) => [kinds.write(kind), (DETAILS[kind] as Codec<unknown>).write(details)],
  read: (item, field) => {
    const shape = (reason: string) => fail({ code: 'record.shape', field, reason } as const)
    if (!Array.isArray(item) || item.length !== 2) return shape('not [kind, details]')
    const kind = kinds.read(item[0]!, `${field}.kind`)
    if (!kind.ok) return kind
    const details = DETAILS[kind.value].read(item[1]!, `${field}.${kind.value}`)
    return details.ok ? ok({ kind: kind.value, ...details.value } as What) : details
  },
}

const REQUIRED = {
  device: [1, bytes(7, 33)],
  key: [2, bytes(32, 33)],
  boot: [3, integer(1, 2 ** 32 - 1)],
  sequence: [4, integer(1, Number.MAX_SAFE_INTEGER)],
  time: [5, WALL],
  quality: [6, quality()],
  what: [7, what],
} as const
const OPTIONAL = { previous: [8, HASH] } as const

const codec = record(REQUIRED, OPTIONAL)
/** Fixed fields take 150 bytes, the longest details 70. */
const MAX_BYTES = 400

export type Event = RecordOf<typeof REQUIRED, typeof OPTIONAL>

export const encodeEvent = (event: Event): Uint8Array => encodeAs(codec, event)

export function parseEvent(payload: Uint8Array): Result<Event, RecordFault> {
  const read = decodeAs(codec, payload, 'event', MAX_BYTES)
  if (!read.ok) return read
  const { sequence, previous } = read.value
  if ((sequence === 1) !== (previous === undefined))
    return fail({ code: 'record.shape', field: 'event.previous', reason: 'only the first event has none' })
  return read
}
