/**
 * Heads of a journal as others kept them, for `tieline verify FOLDER --head FILE`: signed ones in every form of envelopes, or
 * an anchor as the ledger holds it, in JSON: `{"journal":HEX,"frame":N,"hash":HEX}`.
 */
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { checkAgainstHead, type KnownHead } from '../../../drivers/store/journal-against.ts'
import type { JournalReader } from '../../../drivers/store/journal-reader.ts'
import { readBytes } from '../../../drivers/text-file.ts'
import { fromHex, fromUtf8 } from '../../../protocol/bytes.ts'
import { createReadingAudit } from '../../../protocol/reading/audit.ts'
import { JOURNAL_ID_BYTES } from '../../../protocol/reading/head.ts'
import { type Fault, fail, ok, type Result } from '../../../protocol/result.ts'
import { readEvidence } from './evidence-file.ts'

const HASH_BYTES = 32

export async function readHeads(file: string, keys: readonly Uint8Array[]): Promise<Result<readonly KnownHead[]>> {
  const raw = await readBytes(file)
  if (!raw.ok) return raw
  const anchor = readAnchor(fromUtf8(raw.value) ?? '')
  if (anchor !== undefined) return ok([anchor])
  const evidence = readEvidence(raw.value)
  if (!evidence.ok) return evidence
  if (evidence.value.kind !== 'envelopes') return fail({ code: 'verify.no-head', file, hint: HINT })
  const audit = createReadingAudit({ verifier: createVerifier(), keys })
  for (const { envelope, where } of evidence.value.envelopes) audit.add(envelope, where)
  const { heads, broken } = audit.end()
  const [wrong] = [...evidence.value.broken.listed, ...broken.listed]
  // A head that nobody vouches for proves nothing, and a wrong one must not pass for a missing one.
  if (wrong !== undefined) return fail({ ...wrong.fault, file, where: wrong.where, hint: wrong.fault.hint ?? HINT })
  return heads.length > 0 ? ok(heads) : fail({ code: 'verify.no-head', file, hint: HINT })
}

const HINT = "a head is signed by the gateway's account key: name that with --key as well"

function readAnchor(text: string): KnownHead | undefined {
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof said !== 'object' || said === null) return undefined
  const { journal, frame, hash } = said as Readonly<Record<string, unknown>>
  const [id, digest] = [journal, hash].map(field => (typeof field === 'string' ? fromHex(field) : undefined))
  const sequence = typeof frame === 'string' && /^\d{1,15}$/.test(frame) ? Number(frame) : frame
  if (id?.length !== JOURNAL_ID_BYTES || digest?.length !== HASH_BYTES) return undefined
  return typeof sequence === 'number' && Number.isSafeInteger(sequence) && sequence >= 0
    ? { journal: id, sequence, hash: digest }
    : undefined
}

/** What a journal lacks of a head: nothing, or the rule that it breaks. `said` is for people. */
export async function holdAgainst(
  reader: JournalReader,
  known: KnownHead,
): Promise<Result<{ readonly said: string; readonly fault?: Fault }>> {
  const checked = await checkAgainstHead(reader, known)
  if (!checked.ok) return checked
  const found = checked.value
  const frame = known.sequence
  switch (found.kind) {
    case 'ok':
      return ok({ said: `it holds frame ${frame} as others know it, and goes on from it by ${found.ahead}` })
    case 'dropped':
      return ok({
        said: `frame ${frame}, which others know, was dropped when its time was over: nothing is proven by it`,
      })
    case 'truncated':
      return ok({
        said: '',
        fault: {
          code: 'journal.truncated',
          frame,
          missing: found.missing,
          hint: 'these frames were there, and are gone',
        },
      })
    case 'forked':
      return ok({
        said: '',
        fault: {
          code: 'journal.forked',
          frame,
          expected: found.expected,
          found: found.found,
          hint: 'the journal was written anew before its end',
        },
      })
    case 'other-journal':
      return ok({
        said: '',
        fault: {
          code: 'journal.other',
          expected: found.expected,
          found: found.found,
          hint: 'that head is of another journal',
        },
      })
  }
}
