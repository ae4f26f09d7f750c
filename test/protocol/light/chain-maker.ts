/** Makes small chains with real signatures for the tests of the light client. */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { equalBytes, hex } from '../../../protocol/bytes.ts'
import { NO_EVIDENCE_HASH } from '../../../protocol/chain/block.ts'
import { chainTime } from '../../../protocol/chain/chain-time.ts'
import { FLAG_ABSENT, FLAG_COMMIT, hashCommit, voteSignBytes } from '../../../protocol/chain/commit.ts'
import { hashHeader, NO_BLOCK } from '../../../protocol/chain/header.ts'
import type { BlockIdFlag, CommitSig, Header, LightBlock, Validator } from '../../../protocol/chain/light-block.ts'
import { changeValidators, hashValidators, validatorOf } from '../../../protocol/chain/validators.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { Verifier } from '../../../protocol/crypto/verify.ts'
import type { LightOptions } from '../../../protocol/light/predicates.ts'
import { type VerifiedBlock, verifyAnchor } from '../../../protocol/light/verify.ts'
import { must } from '../../../protocol/result.ts'
import { type Instant, instant, later } from '../../../protocol/time.ts'

export const CHAIN = 'street'
/** Time of height 0; a block each second. */
export const ORIGIN = instant(1_790_000_000_000)
export const OPTIONS: LightOptions = {
  chainId: CHAIN,
  trustingPeriodMs: 3_600_000,
  maxClockDriftMs: 1_000,
  trustLevel: { numerator: 1, denominator: 3 },
}

export interface Member {
  readonly validator: Validator
  sign(message: Uint8Array): Uint8Array
}

const PKCS8 = hex('302e020100300506032b657004220420')

/** The key pair number `seed`, with a power. */
function member(seed: number, power = 10n): Member {
  const der = Buffer.concat([PKCS8, sha256(Uint8Array.of(seed >> 8, seed & 255))])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return {
    validator: validatorOf(new Uint8Array(spki.subarray(12)), power),
    sign: message => new Uint8Array(sign(null, message, key)),
  }
}

export const members = (count: number, from = 0, power = 10n): readonly Member[] =>
  Array.from({ length: count }, (_, i) => member(from + i, power))

export const setOf = (group: readonly Member[]): readonly Validator[] =>
  must(
    changeValidators(
      [],
      group.map(one => one.validator),
    ),
  )

export interface Sealing {
  readonly round?: number
  /** Flag of the vote at each place of the set; commit where not given. */
  readonly flags?: readonly (BlockIdFlag | undefined)[]
}

/** Header and set signed by their members, each vote a little later than the last. */
export function seal(header: Header, group: readonly Member[], { round = 0, flags = [] }: Sealing = {}): LightBlock {
  const validators = setOf(group)
  const hash = hashHeader(header)
  const blockId = { hash, partSetHeader: { total: 1, hash: sha256(hash) } }
  const votes = validators.map((validator, i): CommitSig => {
    const flag = flags[i] ?? FLAG_COMMIT
    if (flag === FLAG_ABSENT)
      return { flag, validatorAddress: new Uint8Array(0), timestamp: undefined, signature: new Uint8Array(0) }
    const timestamp = { seconds: header.time.seconds + 1n, nanos: i }
    return { flag, validatorAddress: validator.address, timestamp, signature: new Uint8Array(0) }
  })
  const unsigned = { height: header.height, round, blockId, signatures: votes }
  const signatures = votes.map((vote, i) => {
    if (vote.flag === FLAG_ABSENT) return vote
    const owner = group.find(one => equalBytes(one.validator.address, validators[i]!.address))!
    return { ...vote, signature: owner.sign(voteSignBytes(header.chainId, unsigned, vote)) }
  })
  return { header, commit: { ...unsigned, signatures }, validators }
}

export interface ChainPlan {
  readonly heights: number
  /** The members at a height. */
  readonly group: (height: number) => readonly Member[]
  /** AppHash in the header of a height. */
  readonly appHash?: (height: number) => Uint8Array
  /** A chain that this one leaves: it is shared below `from`. */
  readonly fork?: { readonly of: readonly LightBlock[]; readonly from: number; readonly seal?: Sealing }
}

/** Blocks 1..heights at index height - 1. */
export function makeChain(plan: ChainPlan): readonly LightBlock[] {
  const chain: LightBlock[] = []
  for (let height = 1; height <= plan.heights; height++) {
    if (plan.fork !== undefined && height < plan.fork.from) chain.push(plan.fork.of[height - 1]!)
    else chain.push(nextBlock(chain.at(-1), plan, height))
  }
  return chain
}

export const timeAt = (height: number): Instant => later(ORIGIN, height * 1000)

export function nextBlock(last: LightBlock | undefined, plan: ChainPlan, height: number): LightBlock {
  const validators = setOf(plan.group(height))
  const header: Header = {
    version: { block: 11n, app: 1n },
    chainId: CHAIN,
    height: BigInt(height),
    time: chainTime(timeAt(height)),
    lastBlockId: last?.commit.blockId ?? NO_BLOCK,
    lastCommitHash: last === undefined ? NO_EVIDENCE_HASH : hashCommit(last.commit),
    dataHash: NO_EVIDENCE_HASH,
    validatorsHash: hashValidators(validators),
    nextValidatorsHash: hashValidators(setOf(plan.group(height + 1))),
    consensusHash: sha256(new Uint8Array(0)),
    appHash: plan.appHash?.(height) ?? sha256(Uint8Array.of(height)),
    lastResultsHash: NO_EVIDENCE_HASH,
    evidenceHash: NO_EVIDENCE_HASH,
    proposerAddress: validators[0]!.address,
  }
  return seal(header, plan.group(height), plan.fork?.seal)
}

/** Trust in a block of our own making. */
export const anchored = (block: LightBlock, now: Instant, verifier: Verifier, options = OPTIONS): VerifiedBlock =>
  must(verifyAnchor({ height: block.header.height, hash: hashHeader(block.header) }, block, options, now, verifier))
