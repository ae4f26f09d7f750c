/** Whether a journal is still the one that a head in other hands speaks of: the one way to see that its end was cut off. */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import type { JournalHead } from '../../protocol/reading/head.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { JournalReader } from './journal-reader.ts'
import type { JournalFault } from './journal-state.ts'

/** What a neighbour or the ledger knows: the whole head, or what an anchor has of it. */
export type KnownHead = Pick<JournalHead, 'journal' | 'sequence' | 'hash'> & Partial<Pick<JournalHead, 'device'>>

export type AgainstHead =
  /** It holds that frame, and goes on from it by so many. */
  | { readonly kind: 'ok'; readonly ahead: number }
  /** It ends so many frames before it: they were there, and are gone. */
  | { readonly kind: 'truncated'; readonly missing: number }
  /** It has another frame in that place: something before its end was written anew. */
  | { readonly kind: 'forked'; readonly frame: number; readonly expected: string; readonly found: string }
  /** The frame was dropped since, because its time of keeping was over: nothing can be said. */
  | { readonly kind: 'dropped'; readonly frame: number }
  /** Another journal, of the same gateway or of another. */
  | { readonly kind: 'other-journal'; readonly expected: string; readonly found: string }

export async function checkAgainstHead(
  reader: Pick<JournalReader, 'id' | 'owner' | 'head' | 'frameHash'>,
  known: KnownHead,
): Promise<Result<AgainstHead, JournalFault>> {
  const { sequence: frame } = known
  const other = !equalBytes(reader.id, known.journal) || (known.device && !equalBytes(reader.owner, known.device))
  if (other) return ok({ kind: 'other-journal', expected: toHex(known.journal), found: toHex(reader.id) })
  const ahead = Number(reader.head.sequence) - frame
  if (ahead < 0) return ok({ kind: 'truncated', missing: -ahead })
  const hash = await reader.frameHash(BigInt(frame))
  if (!hash.ok) return hash
  if (hash.value === undefined) return ok({ kind: 'dropped', frame })
  return equalBytes(hash.value, known.hash)
    ? ok({ kind: 'ok', ahead })
    : ok({ kind: 'forked', frame, expected: toHex(known.hash), found: toHex(hash.value) })
}
