/** What follows from two signed chains: evidence against each side, for the node of the other and for a person. */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import type { DuplicateVote, LightClientAttack } from '../../protocol/chain/evidence.ts'
import { evidenceJson } from '../../protocol/chain/evidence-json.ts'
import { lightBlockJson } from '../../protocol/chain/rpc-json.ts'
import type { Attack } from '../../protocol/light/detect.ts'
import { duplicateVotesOf, evidenceOf } from '../../protocol/light/evidence.ts'
import { type VerifiedBlock, verify } from '../../protocol/light/verify.ts'
import type { Fault } from '../../protocol/result.ts'
import { type Bench, climb, examineSource } from './drive.ts'
import type { Source } from './source.ts'

export interface Accusation {
  readonly attack: Attack
  /** For a node of the witness's chain. */
  readonly againstPrimary: LightClientAttack
  /** For a node of the primary's chain. */
  readonly againstWitness: LightClientAttack
  /** Where validators signed both blocks in one round. */
  readonly doubleVotes: readonly DuplicateVote[]
}

interface Found {
  readonly attack: Attack
  readonly witnessTrace: readonly VerifiedBlock[]
}

/**
 * `attack` was found by following the witness along the primary's trace. Evidence needs a primary's block that is one step
 * from the common one: where the trace was thinned, the primary is asked again for the way between them. For the other side
 * the primary is followed along the witness's trace in turn. One that falls silent is accused by the blocks it has shown.
 */
export async function accuse(
  bench: Bench,
  primary: Source,
  witness: Source,
  seen: Attack,
  seenTrace: readonly VerifiedBlock[],
): Promise<Accusation> {
  const { options, verifier } = bench
  const { attack, witnessTrace } = await inOneStepOf(bench, primary, witness, { attack: seen, witnessTrace: seenTrace })
  const evidence = (one: Attack) => evidenceOf(one, options.chainId, verifier)
  const turned = { ...attack, ours: attack.theirs, theirs: attack.ours }
  const inOneStep = witnessTrace.length === 2
  const other = inOneStep ? undefined : await examineSource(bench, primary, witnessTrace)
  return {
    attack,
    againstPrimary: evidence(attack),
    againstWitness: evidence(other?.kind === 'attack' ? other.attack : turned),
    doubleVotes: duplicateVotesOf(attack, options.chainId, verifier),
  }
}

/** The same attack, found along every step between its common block and the primary's. */
async function inOneStepOf(bench: Bench, primary: Source, witness: Source, found: Found): Promise<Found> {
  const { common, ours } = found.attack
  if (verify(common, ours.block, bench.options, bench.clock.now(), bench.verifier).kind === 'trusted') return found
  const { verified, end } = await climb(bench, primary, common, ours.header.height)
  if (end.kind !== 'done' || !equalBytes(verified.at(-1)!.hash, ours.hash)) return found
  const again = await examineSource(bench, witness, verified)
  return again.kind === 'attack' ? again : found
}

/** What is kept on disk: whoever reads it needs nothing else, and can hand each piece to a node's /broadcast_evidence. */
export const accusationJson = (
  { attack, againstPrimary, againstWitness, doubleVotes }: Accusation,
  primary: string,
  witness: string,
) => ({
  kind: attack.kind,
  primary,
  witness,
  byzantine_validators: byzantineOf({ againstPrimary, againstWitness }),
  common_block: lightBlockJson(attack.common.block),
  primary_block: lightBlockJson(attack.ours.block),
  witness_block: lightBlockJson(attack.theirs.block),
  against_primary: evidenceJson(againstPrimary),
  against_witness: evidenceJson(againstWitness),
  double_votes: doubleVotes.map(evidenceJson),
})

/**
 * Addresses, hex, of those who signed both chains: at least a third of the power did, for each chain was signed by two
 * thirds. One chain's signers alone may be the honest ones.
 */
export function byzantineOf({
  againstPrimary,
  againstWitness,
}: Pick<Accusation, 'againstPrimary' | 'againstWitness'>): readonly string[] {
  const there = new Set(againstWitness.byzantine.map(one => toHex(one.address)))
  return againstPrimary.byzantine.map(one => toHex(one.address)).filter(address => there.has(address))
}

/**
 * Hands each side's misdeed to the other, whose chain has what it takes to judge it; best effort.
 *
 * Evidence that blames nobody, as of amnesia, is kept and not handed in: a CometBFT node (v0.38.25, v0.40.0) takes it, puts
 * it into its next block, and then finds that block invalid, for ever: an empty list read back from the block's bytes is
 * not the nil list that it expects. No validator could be punished for it anyway.
 */
export async function report(
  { againstPrimary, againstWitness }: Accusation,
  primary: Source,
  witness: Source,
  log: (level: 'info' | 'warn', text: string, fault?: Fault) => void,
): Promise<void> {
  const handIn = async (to: Source, against: Source, evidence: LightClientAttack) => {
    if (evidence.byzantine.length === 0) return
    const taken = await to.reportEvidence(evidence)
    if (taken.ok) log('info', `${to.name} took the evidence against ${against.name}`)
    else log('warn', `${to.name} did not take the evidence against ${against.name}`, taken.fault)
  }
  await Promise.all([handIn(witness, primary, againstPrimary), handIn(primary, witness, againstWitness)])
}
