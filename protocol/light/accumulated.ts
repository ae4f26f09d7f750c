/**
 * An old header by one proof: the state keeps the hashes of all headers as a hash tree, so whoever believes a header believes,
 * by its AppHash, every header below it. No walk back, and no limit of age.
 *
 *     believed header H+1 -> AppHash -> record `headers` (size H, root) -> hash of header h -> header h
 */
import { toHex, utf8 } from '../bytes.ts'
import { accumulatedCodec, HEADERS_KEY } from '../chain/accumulator.ts'
import { nanosOf, timeText } from '../chain/chain-time.ts'
import { hashHeader } from '../chain/header.ts'
import { type ProofFault, SMT_SPEC, verifyMembership } from '../chain/ics23.ts'
import type { Header } from '../chain/light-block.ts'
import { leafHash, type MerkleProof, verifyMerkleProof } from '../chain/merkle.ts'
import { decodeAs, type RecordFault } from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import { firstFault, LINK_RULES, type LightFault, type LightOptions } from './predicates.ts'
import type { VerifiedHeader } from './verify.ts'

/** What comes with an old header. */
export interface Accumulated {
  /** That the header's hash is in the accumulator. Its place and their number are known without it. */
  readonly proof: Pick<MerkleProof, 'aunts'>
  /** The accumulator's record, as it stands in the state. */
  readonly record: Uint8Array
  /** ICS-23, against the AppHash of the believed header. */
  readonly recordProof: Uint8Array
}

export type AccumulatedFault =
  | LightFault
  | ProofFault
  | RecordFault
  /** The believed header covers fewer headers than that. */
  | { readonly code: 'light.not-covered'; readonly height: bigint; readonly size: bigint }
  | { readonly code: 'light.not-accumulated'; readonly height: bigint; readonly hash: string; readonly root: string }

/** A record is a size and a root: 48 bytes at most. */
const MAX_RECORD_BYTES = 64

/** Believe an old header because the state under a believed later one holds its hash. */
export function verifyOldHeader(
  later: VerifiedHeader,
  old: Header,
  { proof, record, recordProof }: Accumulated,
  options: LightOptions,
): Result<VerifiedHeader, AccumulatedFault> {
  const fault = firstFault(LINK_RULES, { untrusted: { header: old }, options })
  if (fault !== undefined) return fail(fault)
  const inState = verifyMembership(SMT_SPEC, later.header.appHash, recordProof, utf8(HEADERS_KEY), record)
  if (!inState.ok) return inState
  const accumulator = decodeAs(accumulatedCodec, record, HEADERS_KEY, MAX_RECORD_BYTES)
  if (!accumulator.ok) return accumulator
  const { size, root } = accumulator.value
  if (old.height > size) return fail({ code: 'light.not-covered', height: old.height, size })
  const hash = hashHeader(old)
  const place = { total: Number(size), index: Number(old.height) - 1, leafHash: leafHash(hash), aunts: proof.aunts }
  if (!verifyMerkleProof(root, hash, place)) {
    return fail({ code: 'light.not-accumulated', height: old.height, hash: toHex(hash), root: toHex(root) })
  }
  if (nanosOf(old.time) >= nanosOf(later.header.time)) {
    return fail({ code: 'light.time-order', trusted: timeText(later.header.time), received: timeText(old.time) })
  }
  return ok({ header: old, hash } as VerifiedHeader)
}
