/** Evidence of misbehaviour: judged when it comes, kept until it stands in a block, taken once. */
import { toHex } from '../../protocol/bytes.ts'
import { decodeEvidence, type Evidence, encodeEvidence, hashEvidence } from '../../protocol/chain/evidence.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { type EvidenceFault, evidenceFault } from '../../protocol/light/evidence.ts'
import { fail, must, ok, type Result } from '../../protocol/result.ts'

interface EvidencePool {
  readonly pending: readonly Evidence[]
  /** Its hash, also where it is known already; or why it is none. */
  report(evidence: Evidence): Result<Uint8Array, EvidencePoolFault>
  /** Encoded, for the next block. */
  reap(): readonly Uint8Array[]
  /** After a block that carries these. */
  remove(encoded: readonly Uint8Array[]): void
}

export type EvidencePoolFault = EvidenceFault | { readonly code: 'producer.evidence-full'; readonly limit: number }

/** What a block of ours may carry; one attack on a chain of 100 validators is 60 kB. */
const MAX_EVIDENCE_BYTES = 1024 * 1024
/** More comes only from a chain that is worth nothing any more. */
const MAX_PENDING = 100

/** The height by which evidence is found, and grows too old. */
const heightOf = (evidence: Evidence): bigint =>
  evidence.kind === 'duplicate-vote' ? evidence.voteA.height : evidence.commonHeight

/**
 * `blockAt` answers the blocks that are kept: evidence of a height that is not is too old. So whatever this pool took and
 * a block carries is in a block that is kept, and `taken` may forget what is older.
 */
export function createEvidencePool(
  chainId: string,
  blockAt: (height: bigint) => LightBlock | undefined,
  verifier: Verifier,
): EvidencePool {
  const waiting = new Map<string, Evidence>()
  const taken = new Map<string, bigint>()
  return {
    get pending() {
      return [...waiting.values()]
    },
    report(evidence) {
      const hash = hashEvidence(evidence)
      const name = toHex(hash)
      if (waiting.has(name) || taken.has(name)) return ok(hash)
      const fault = evidenceFault(evidence, chainId, blockAt, verifier)
      if (fault !== undefined) return fail(fault)
      if (waiting.size >= MAX_PENDING) return fail({ code: 'producer.evidence-full', limit: MAX_PENDING })
      waiting.set(name, evidence)
      return ok(hash)
    },
    reap() {
      const encoded: Uint8Array[] = []
      let bytes = 0
      for (const [name, evidence] of waiting) {
        if (blockAt(heightOf(evidence)) === undefined) {
          waiting.delete(name)
          continue
        }
        const one = encodeEvidence(evidence)
        bytes += one.length
        if (bytes > MAX_EVIDENCE_BYTES) break
        encoded.push(one)
      }
      return encoded
    },
    remove(encoded) {
      for (const one of encoded) {
        const evidence = must(decodeEvidence(one))
        const name = toHex(hashEvidence(evidence))
        waiting.delete(name)
        taken.set(name, heightOf(evidence))
      }
      for (const [name, height] of taken) if (blockAt(height) === undefined) taken.delete(name)
    },
  }
}

/** Addresses of those whom a block's evidence blames, as the application hears of them. */
export const misbehavedIn = (encoded: readonly Uint8Array[]): readonly Uint8Array[] =>
  encoded.flatMap(one => {
    const evidence = must(decodeEvidence(one))
    return evidence.kind === 'duplicate-vote'
      ? [evidence.voteA.validatorAddress]
      : evidence.byzantine.map(({ address }) => address)
  })
