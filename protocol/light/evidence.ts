/**
 * An attack on a light client as evidence that a full node takes (CometBFT, light/detector.go and evidence/verify.go), and
 * the judgement by which a full node takes it.
 */
import { compareBytes, equalBytes, toHex } from '../bytes.ts'
import { nanosOf } from '../chain/chain-time.ts'
import {
  commitFault,
  FLAG_ABSENT,
  FLAG_COMMIT,
  precommitSignBytes,
  sameBlockId,
  voteSignBytes,
} from '../chain/commit.ts'
import { type DuplicateVote, type Evidence, inVoteOrder, type LightClientAttack, type Vote } from '../chain/evidence.ts'
import { hashHeader } from '../chain/header.ts'
import type { CommitSig, LightBlock, Validator } from '../chain/light-block.ts'
import { hashValidators, totalPower, validatorsFault } from '../chain/validators.ts'
import type { Verifier } from '../crypto/verify.ts'
import { type Attack, isLunatic } from './detect.ts'

/**
 * Evidence against whoever serves and signs `ours`, for a node that has `theirs`. Turn the attack round for the other
 * side, but only where `theirs`, too, was verified from `common` in one step: the node repeats that step.
 */
export function evidenceOf({ common, ours, theirs }: Attack, chainId: string, verifier: Verifier): LightClientAttack {
  const conflicting = withoutFalseVotes(ours.block, chainId, verifier)
  const lunatic = isLunatic(ours.header, theirs.header)
  const at = lunatic ? common.block : theirs.block
  return {
    kind: 'light-client-attack',
    conflicting,
    commonHeight: at.header.height,
    byzantine: byzantineOf(conflicting, theirs.block, at.validators),
    totalPower: totalPower(at.validators),
    time: at.header.time,
  }
}

/** For each validator that signed both blocks in one round its two votes: the shortest proof, and valid by itself. */
export function duplicateVotesOf(
  { ours, theirs }: Attack,
  chainId: string,
  verifier: Verifier,
): readonly DuplicateVote[] {
  const [one, other] = [ours.block.commit, theirs.block.commit]
  if (one.height !== other.height || one.round !== other.round) return []
  const [a, b] = [ours, theirs].map(({ block }) => withoutFalseVotes(block, chainId, verifier)) as [
    LightBlock,
    LightBlock,
  ]
  return a.validators.flatMap((validator, index) => {
    const [one, two] = [voteAt(a, index), voteAt(b, index)]
    if (one === undefined || two === undefined || !equalBytes(one.validatorAddress, two.validatorAddress)) return []
    const [voteA, voteB] = inVoteOrder(one, two)
    return {
      kind: 'duplicate-vote' as const,
      voteA,
      voteB,
      totalPower: totalPower(theirs.block.validators),
      validatorPower: validator.votingPower,
      time: theirs.header.time,
    }
  })
}

const ABSENT: CommitSig = {
  flag: FLAG_ABSENT,
  validatorAddress: new Uint8Array(0),
  timestamp: undefined,
  signature: new Uint8Array(0),
}

/**
 * The block with every vote left out that its validator did not sign. A light client stops counting at two thirds, a full
 * node checks all of the evidence: with one false vote among them an attacker would have it refused.
 */
const withoutFalseVotes = (block: LightBlock, chainId: string, verifier: Verifier): LightBlock => ({
  ...block,
  commit: {
    ...block.commit,
    signatures: block.commit.signatures.map((vote, i) =>
      vote.flag === FLAG_COMMIT && !isSigned(block, i, chainId, verifier) ? ABSENT : vote,
    ),
  },
})

function isSigned({ commit, validators }: LightBlock, index: number, chainId: string, verifier: Verifier): boolean {
  const vote = commit.signatures[index]!
  const key = validators[index]?.publicKey
  return key !== undefined && verifier.verify('EdDSA', key, voteSignBytes(chainId, commit, vote), vote.signature)
}

function voteAt({ commit }: LightBlock, validatorIndex: number): Vote | undefined {
  const { flag, timestamp, validatorAddress, signature } = commit.signatures[validatorIndex]!
  if (flag !== FLAG_COMMIT || timestamp === undefined) return undefined
  const { height, round, blockId } = commit
  return { height, round, blockId, timestamp, validatorAddress, validatorIndex, signature }
}

/** Whom the evidence blames: of a lunatic header everyone who signed it, of two blocks of one round whoever signed both. */
function byzantineOf(conflicting: LightBlock, trusted: LightBlock, common: readonly Validator[]): readonly Validator[] {
  const { signatures, round } = conflicting.commit
  const signed = new Set(signatures.filter(vote => vote.flag === FLAG_COMMIT).map(vote => toHex(vote.validatorAddress)))
  if (isLunatic(conflicting.header, trusted.header))
    return inOrder(common.filter(one => signed.has(toHex(one.address))))
  if (round !== trusted.commit.round) return []
  return inOrder(
    conflicting.validators.filter(
      (_, i) => signatures[i]?.flag === FLAG_COMMIT && trusted.commit.signatures[i]?.flag === FLAG_COMMIT,
    ),
  )
}

const inOrder = (validators: readonly Validator[]): readonly Validator[] =>
  [...validators].sort((a, b) =>
    a.votingPower === b.votingPower ? compareBytes(a.address, b.address) : a.votingPower > b.votingPower ? -1 : 1,
  )

export interface EvidenceFault {
  readonly code: 'light.evidence'
  readonly reason: string
  readonly [detail: string]: string
}

/**
 * Why a full node does not take evidence, or undefined where it does. `blockAt` is the node's own chain; how old evidence
 * may be is the caller's to judge.
 */
export function evidenceFault(
  evidence: Evidence,
  chainId: string,
  blockAt: (height: bigint) => LightBlock | undefined,
  verifier: Verifier,
): EvidenceFault | undefined {
  const reason =
    evidence.kind === 'duplicate-vote'
      ? duplicateVoteReason(evidence, chainId, blockAt(evidence.voteA.height), verifier)
      : attackReason(evidence, chainId, blockAt, verifier)
  return reason === undefined ? undefined : { code: 'light.evidence', reason }
}

function duplicateVoteReason(
  { voteA, voteB, totalPower: total, validatorPower, time }: DuplicateVote,
  chainId: string,
  block: LightBlock | undefined,
  verifier: Verifier,
): string | undefined {
  if (block === undefined) return 'its height is not there'
  if (nanosOf(time) !== nanosOf(block.header.time)) return "its time is not its block's"
  const validator = block.validators.find(one => equalBytes(one.address, voteA.validatorAddress))
  if (validator === undefined) return 'nobody of that address was a validator'
  if (!equalBytes(voteA.validatorAddress, voteB.validatorAddress)) return 'the votes are of two validators'
  if (voteA.height !== voteB.height || voteA.round !== voteB.round) return 'the votes are of two rounds'
  if (sameBlockId(voteA.blockId, voteB.blockId)) return 'the votes are for one block'
  if (inVoteOrder(voteA, voteB)[0] !== voteA) return 'the votes are in the wrong order'
  if (validatorPower !== validator.votingPower || total !== totalPower(block.validators)) return 'the powers are others'
  const isGood = ({ height, round, blockId, timestamp, signature }: Vote) =>
    verifier.verify(
      'EdDSA',
      validator.publicKey,
      precommitSignBytes(chainId, height, round, blockId, timestamp),
      signature,
    )
  return isGood(voteA) && isGood(voteB) ? undefined : 'a vote is not signed'
}

function attackReason(
  evidence: LightClientAttack,
  chainId: string,
  blockAt: (height: bigint) => LightBlock | undefined,
  verifier: Verifier,
): string | undefined {
  const { conflicting, commonHeight } = evidence
  const { header, commit, validators } = conflicting
  const common = blockAt(commonHeight)
  const trusted = blockAt(header.height)
  if (common === undefined || trusted === undefined) return 'its height is not there'
  if (nanosOf(evidence.time) !== nanosOf(common.header.time)) return "its time is not its block's"
  if (header.chainId !== chainId) return 'it is of another chain'
  const shape = commitFault(commit)
  if (shape !== undefined) return shape.reason
  if (commit.height !== header.height || !equalBytes(commit.blockId.hash, hashHeader(header)))
    return 'the commit is of another header'
  if (validatorsFault(validators) !== undefined || !equalBytes(header.validatorsHash, hashValidators(validators)))
    return "the validators are not the header's"
  if (commit.signatures.length !== validators.length) return 'the commit is of another set'
  // Votes are counted and blamed by address, and their signatures checked by place.
  for (const [i, vote] of commit.signatures.entries())
    if (vote.flag !== FLAG_ABSENT && !equalBytes(vote.validatorAddress, validators[i]!.address))
      return `vote ${i} is in another's name`
  if (equalBytes(hashHeader(header), hashHeader(trusted.header))) return 'the block is ours'
  if (commonHeight === header.height && isLunatic(header, trusted.header))
    return 'a lunatic header needs an earlier common height'
  const powerOf = (set: readonly Validator[]) => {
    const power = new Map(set.map(one => [toHex(one.address), one.votingPower]))
    return commit.signatures.reduce(
      (sum, vote) => sum + (vote.flag === FLAG_COMMIT ? (power.get(toHex(vote.validatorAddress)) ?? 0n) : 0n),
      0n,
    )
  }
  if (commonHeight !== header.height && powerOf(common.validators) <= totalPower(common.validators) / 3n)
    return 'too little of the common power has signed'
  if (powerOf(validators) <= (totalPower(validators) * 2n) / 3n) return 'too little of its own power has signed'
  if (evidence.totalPower !== totalPower(common.validators)) return 'the powers are others'
  // Last, because a stranger may send a set of any size with true signatures of its own.
  for (const [i, vote] of commit.signatures.entries())
    if (vote.flag === FLAG_COMMIT && !isSigned(conflicting, i, chainId, verifier)) return `vote ${i} is not signed`
  const expected = byzantineOf(conflicting, trusted, common.validators)
  const isSame = (one: Validator, other: Validator | undefined) =>
    other !== undefined && equalBytes(one.publicKey, other.publicKey) && one.votingPower === other.votingPower
  const named = evidence.byzantine
  return expected.length === named.length && expected.every((one, i) => isSame(one, named[i]))
    ? undefined
    : 'it blames others than those who did it'
}
