/**
 * A charging session in the journal, under the kind `charging-session/<port>`: of each port the newest, so that a restart finds
 * what was open.
 *
 *     a9                      map, keys present only where they say something
 *       01 78 port            the charging point
 *       02 78 meter           its meter, as the configuration names it
 *       03 58 20 contract     what the session is under
 *       04 00 direction       import (the car takes), export (it gives)
 *       05 78 tariff          as it was told to the customer
 *       06 a4 user            {1: level, 2: flags, 3: type, 4: id}, in the words of OCMF
 *       07 59 begin           envelope of the reading at its begin
 *       08 59 context         envelope of what that was made in
 *       09 00 end             ended, aborted, lost; absent while it is open
 *       0a 78 evseId          of the charging point
 */
import { parseSign1 } from '../../protocol/crypto/cose.ts'
import { ID_LEVELS } from '../../protocol/ocmf/payload.ts'
import { parseReading } from '../../protocol/reading/reading.ts'
import { bytes, decodeAs, encodeAs, list, type RecordOf, record, text, word } from '../../protocol/record.ts'
import { ok, type Result } from '../../protocol/result.ts'

export const SESSION_KIND = 'charging-session/'

/** As of a reading's session. */
const name = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/)
/** Without control characters, which have no place on a bill. */
const plain = (most: number) => text(new RegExp(`^[^\\p{Cc}\\p{Cs}]{0,${most}}$`, 'u'))
/** A reading has at most 900 bytes of payload, a context about 300. */
const envelope = bytes(1, 2_000)

const fields = {
  required: {
    port: [1, name],
    meter: [2, name],
    contract: [3, bytes(32)],
    direction: [4, word('import', 'export')],
    tariff: [5, plain(250)],
    begin: [7, envelope],
    context: [8, envelope],
  },
  optional: {
    user: [
      6,
      record({
        level: [1, word(...ID_LEVELS)],
        flags: [2, list(plain(32), 0, 4)],
        type: [3, plain(32)],
        id: [4, plain(64)],
      }),
    ],
    end: [9, word('ended', 'aborted', 'lost')],
    evseId: [10, plain(37)],
  },
} as const

export type KeptSession = RecordOf<typeof fields.required, typeof fields.optional>

const codec = record(fields.required, fields.optional)

/** Two envelopes and words. */
const MOST_BYTES = 6_000

/** Checked as it will be read: what comes from a card reader or a car must not make a journal that no start can read. */
export function encodeSession(session: KeptSession): Result<Uint8Array> {
  const encoded = encodeAs(codec, session)
  const readable = readSession(encoded)
  return readable.ok ? ok(encoded) : readable
}

export const readSession = (encoded: Uint8Array): Result<KeptSession> =>
  decodeAs(codec, encoded, SESSION_KIND, MOST_BYTES)

/** The reading in an envelope of our own journal. */
export function readingIn(envelopeBytes: Uint8Array) {
  const envelope = parseSign1(envelopeBytes)
  return envelope.ok ? parseReading(envelope.value.payload) : envelope
}
