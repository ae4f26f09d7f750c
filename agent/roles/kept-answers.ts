/** What a site keeps of the calls that it answers: enough to go on after a restart. */
import { energy } from '../../protocol/ledger/fields.ts'
import { MAX_PROMISED } from '../../protocol/ledger/service-tables.ts'
import { bytes, type Codec, decodeAs, encodeAs, integer, list, record, text, word } from '../../protocol/record.ts'
import type { Result } from '../../protocol/result.ts'
import type { SignedReading } from '../../protocol/trade/message.ts'

/** Readings of 32 events, each with a plan of a day. */
const MAX_RECORD_BYTES = 512 * 1024
/** As many windows a day as a meter can be promised to in a week. */
export const MAX_PAST = 1024

const signed: Codec<SignedReading> = record({ envelope: [1, bytes(1, 800)], context: [2, bytes(1, 800)] })
const loadName = text(/^.{1,64}$/)
const kept = record(
  {
    call: [1, bytes(1, 400)],
    /** Slot in which it was heard of: the announcement, as far as this site knows. */
    heard: [2, integer(0, 2 ** 40)],
    phase: [3, word('heard', 'offered', 'admitted', 'begun', 'ended', 'reported', 'over')],
  },
  {
    baseline: [4, energy],
    most: [5, energy],
    plan: [6, list(list(loadName, 0, 32), 1, 96)],
    begin: [7, signed],
    end: [8, signed],
  },
)
export type Kept = typeof kept extends Codec<infer T> ? T : never
const slotNumber = integer(0, 2 ** 40)
/** All that is open, and the windows in which this meter was called: their days are not like others. */
const answers = record({
  open: [1, list(kept, 0, MAX_PROMISED)],
  past: [2, list(record({ from: [1, slotNumber], to: [2, slotNumber] }), 0, MAX_PAST)],
})

type Answers = typeof answers extends Codec<infer T> ? T : never

export const encodeAnswers = (kept: Answers): Uint8Array => encodeAs(answers, kept)

export const readAnswers = (bytes: Uint8Array): Result<Answers> => decodeAs(answers, bytes, 'calls', MAX_RECORD_BYTES)
