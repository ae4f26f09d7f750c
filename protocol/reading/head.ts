/**
 * A head: the gateway's signed word on how far its journal has come. Without one in other hands, records cut off a journal's
 * end would be missed by nobody; so heads go to the neighbours and onto the ledger.
 *
 *     a6                        map of 6
 *       01 51 ueid              the gateway
 *       02 50 journal           which of its journals: 16 bytes drawn when that began
 *       03 19 sequence          of the journal's last frame
 *       04 58 20 hash           of that frame, which holds the hash of the one before, and so on
 *       05 19 records           records up to there
 *       06 1b time              UTC, Unix milliseconds
 *
 * As COSE_Sign1 with external_aad `tieline/head/1`.
 */
import { equalBytes, utf8 } from '../bytes.ts'
import { bytes, decodeAs, encodeAs, integer, type RecordFault, type RecordOf, record } from '../record.ts'
import type { Result } from '../result.ts'
import type { Instant } from '../time.ts'

/** external_aad of a head's signature. */
export const HEAD_PURPOSE = utf8('tieline/head/1')

/** What tells one journal of a gateway from another: a board that begins anew has not forgotten, it has another journal. */
export const JOURNAL_ID_BYTES = 16
const COUNT = integer(0, Number.MAX_SAFE_INTEGER)
/** Fixed fields take 110 bytes. */
const MAX_BYTES = 200

const FIELDS = {
  device: [1, bytes(7, 33)],
  journal: [2, bytes(JOURNAL_ID_BYTES)],
  sequence: [3, COUNT],
  hash: [4, bytes(32)],
  records: [5, COUNT],
  time: [6, integer<Instant>(0, 253_402_300_799_999)],
} as const

const codec = record(FIELDS)

export type JournalHead = RecordOf<typeof FIELDS>

export const encodeHead = (head: JournalHead): Uint8Array => encodeAs(codec, head)

export const parseHead = (payload: Uint8Array): Result<JournalHead, RecordFault> =>
  decodeAs(codec, payload, 'head', MAX_BYTES)

/** How `later` stands to `before`, both signed by the same gateway. Two heads of one frame that differ are a forged journal. */
export function compareHeads(
  before: JournalHead,
  later: JournalHead,
): 'goes-on' | 'same' | 'back' | 'forked' | 'other' {
  if (!equalBytes(before.device, later.device) || !equalBytes(before.journal, later.journal)) return 'other'
  if (later.sequence > before.sequence) return 'goes-on'
  if (later.sequence < before.sequence) return 'back'
  return equalBytes(before.hash, later.hash) ? 'same' : 'forked'
}
