/**
 * What is past, proven from a header that is believed now: an old header, by the accumulator in the state or else by walking
 * back link by link, and a transaction with its result.
 */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { type TxResult, verifyResult, verifyTx } from '../../protocol/chain/block.ts'
import { instantOf } from '../../protocol/chain/chain-time.ts'
import type { Header } from '../../protocol/chain/light-block.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { verifyOldHeader } from '../../protocol/light/accumulated.ts'
import type { LightOptions } from '../../protocol/light/predicates.ts'
import { type VerifiedHeader, verifyBackwards } from '../../protocol/light/verify.ts'
import { type Fault, ok, type Result } from '../../protocol/result.ts'
import type { Instant } from '../../protocol/time.ts'
import type { Looked, Source } from './source.ts'

/** A transaction that stands in the ledger, and what it did. */
export interface ProvenTx {
  readonly tx: Uint8Array
  readonly height: bigint
  /** Time of its block. */
  readonly time: Instant
  /** Code 0 is success; a transaction that failed stands in the ledger, too. */
  readonly result: TxResult
}

const lied = (fault: Fault) => ({ ok: false, fault, lied: true }) as const
const silent = (fault: Fault) => ({ ok: false, fault, lied: false }) as const

/** Headers that are walked back where a node's application keeps no accumulator: an hour of blocks, a minute of asking. */
const WALK_MAX = 3_600n

/** The header of `height`, not above that of `under`. */
export async function lookBack(
  from: Source,
  under: VerifiedHeader,
  height: bigint,
  options: LightOptions,
): Promise<Looked<VerifiedHeader>> {
  if (height === under.header.height) return ok(under)
  const answer = await from.oldHeader(height, under.header.height - 1n)
  if (!answer.ok) return silent(answer.fault)
  const { header, accumulated } = answer.value
  if (accumulated !== undefined) {
    const old = verifyOldHeader(under, header, accumulated, options)
    return old.ok ? old : lied(old.fault)
  }
  const steps = under.header.height - height
  if (steps > WALK_MAX) return silent({ code: 'light.too-far-back', height, steps, limit: WALK_MAX })
  let at = under
  while (at.header.height > height) {
    const below = at.header.height - 1n
    const next: Result<{ readonly header: Header }> =
      below === height ? ok({ header }) : await from.oldHeader(below, under.header.height - 1n)
    if (!next.ok) return silent(next.fault)
    const linked = verifyBackwards(at, next.value.header, options)
    if (!linked.ok) return lied(linked.fault)
    at = linked.value
  }
  return ok(at)
}

/** A transaction in a block below `under`: its place against DataHash, its result against the next header's LastResultsHash. */
export async function lookUpTx(
  from: Source,
  under: VerifiedHeader,
  hash: Uint8Array,
  options: LightOptions,
): Promise<Looked<ProvenTx>> {
  const answer = await from.tx(hash)
  if (!answer.ok) return silent(answer.fault)
  const { height, tx, proof, result, resultProof } = answer.value
  const computed = sha256(tx)
  if (!equalBytes(computed, hash)) {
    return lied({ code: 'light.other-tx', expected: toHex(hash), computed: toHex(computed) })
  }
  // Its result is in the next header, which has to be believed already.
  if (height < 1n || height >= under.header.height) return silent({ code: 'light.not-yet', height })
  const next = await lookBack(from, under, height + 1n, options)
  if (!next.ok) return next
  const own = await lookBack(from, next.value, height, options)
  if (!own.ok) return own
  const { header } = own.value
  if (!verifyTx(header.dataHash, tx, proof)) return lied({ code: 'light.tx-proof', height, hash: toHex(hash) })
  // Another transaction's result is proven just as well. What a proof says of its place is no part of the root, but proofs
  // that say the same take the same turns down from it, and so end at the same place.
  const samePlace = proof.index === resultProof.index && proof.total === resultProof.total
  if (!samePlace || !verifyResult(next.value.header.lastResultsHash, result, resultProof)) {
    return lied({ code: 'light.result-proof', height, hash: toHex(hash) })
  }
  return ok({ tx, height, time: instantOf(header.time), result })
}
