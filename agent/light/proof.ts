/** What the ledger's state says under a key, proven against a header. */
import type { Clock, QueryAnswer } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { instantOf } from '../../protocol/chain/chain-time.ts'
import { SMT_SPEC, verifyMembership, verifyNonMembership } from '../../protocol/chain/ics23.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import type { VerifiedBlock } from '../../protocol/light/verify.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { Instant, Mono } from '../../protocol/time.ts'
import type { Looked, Source } from './source.ts'

export interface Proven {
  readonly key: Uint8Array
  /** Undefined where the key is proven to be absent. */
  readonly value: Uint8Array | undefined
  /** The state is that after this block. */
  readonly stateHeight: bigint
  /** The header that carries the state's AppHash: `stateHeight` + 1, verified and confirmed by a witness. */
  readonly headerHeight: bigint
  readonly headerTime: Instant
  readonly appHash: Uint8Array
  /** That header with its commit and validators. */
  readonly block: LightBlock
  /** Addresses, hex, of the validators whose signatures of the header were checked. */
  readonly signedBy: readonly string[]
  /** How many validators there are. */
  readonly validators: number
  /** The protobuf ics23.CommitmentProof that was checked. */
  readonly proof: Uint8Array
  readonly provenMono: Mono
}

/** Asks a source what stands under a key before `under`. */
export async function lookUpKey(
  from: Source,
  under: VerifiedBlock,
  key: Uint8Array,
  clock: Clock,
): Promise<Looked<Proven>> {
  const answer = await from.query(key, under.header.height - 1n)
  if (!answer.ok) return { ...answer, lied: false }
  const proven = checkAnswer(key, under, answer.value, clock.mono())
  const { value, proof } = answer.value
  return proven.ok ? proven : { ...proven, lied: true, shown: { key, value, proof } }
}

/** Checks an answer about the state before `under` against the AppHash that `under` carries. */
function checkAnswer(key: Uint8Array, under: VerifiedBlock, answer: QueryAnswer, now: Mono): Result<Proven> {
  const { header, block, signedBy } = under
  const held =
    answer.value === undefined
      ? verifyNonMembership(SMT_SPEC, header.appHash, answer.proof, key)
      : verifyMembership(SMT_SPEC, header.appHash, answer.proof, key, answer.value)
  if (!held.ok) return held
  return ok({
    key,
    value: answer.value,
    stateHeight: header.height - 1n,
    headerHeight: header.height,
    headerTime: instantOf(header.time),
    appHash: header.appHash,
    block,
    signedBy: signedBy.map(toHex),
    validators: block.validators.length,
    proof: answer.proof,
    provenMono: now,
  })
}
