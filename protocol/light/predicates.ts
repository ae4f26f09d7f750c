/**
 * The rules by which a header is believed, one named predicate each (CometBFT spec, light client verification). A
 * predicate looks at a claim and answers the fault it finds, with the values compared, or nothing. `RULES` is their order.
 */
import { equalBytes, toHex, utf8 } from '../bytes.ts'
import { nanosOf, timeText } from '../chain/chain-time.ts'
import { type CommitShapeFault, commitFault, commitSignBytes, FLAG_ABSENT, FLAG_COMMIT } from '../chain/commit.ts'
import { hashHeader } from '../chain/header.ts'
import type { Commit, Header, LightBlock, Validator } from '../chain/light-block.ts'
import {
  hashValidators,
  sameValidators,
  totalPower,
  type ValidatorsFault,
  validatorsFault,
} from '../chain/validators.ts'
import type { Verifier } from '../crypto/verify.ts'
import type { Instant } from '../time.ts'

/** The share of trusted power that must have signed a header further ahead, from 1/3 to 1. */
export interface TrustLevel {
  readonly numerator: number
  readonly denominator: number
}

export interface LightOptions {
  readonly chainId: string
  /** How long validators answer for what they signed: shorter than the time in which their stake can leave. */
  readonly trustingPeriodMs: number
  readonly maxClockDriftMs: number
  readonly trustLevel: TrustLevel
}

export type LightFault =
  | CommitShapeFault
  | ValidatorsFault
  | {
      readonly code: 'light.expired'
      readonly time: string
      readonly ageMs: bigint
      readonly limitMs: number
      readonly hint: string
    }
  | { readonly code: 'light.block-version'; readonly expected: bigint; readonly received: bigint }
  | { readonly code: 'light.chain-id'; readonly expected: string; readonly received: string }
  | { readonly code: 'light.height'; readonly expected: string; readonly received: bigint }
  | { readonly code: 'light.hash-size'; readonly field: string; readonly bytes: number }
  | { readonly code: 'light.commit-height'; readonly header: bigint; readonly commit: bigint }
  | { readonly code: 'light.header-hash'; readonly expected: string; readonly computed: string }
  | { readonly code: 'light.time-order'; readonly trusted: string; readonly received: string }
  | {
      readonly code: 'light.from-future'
      readonly received: string
      readonly aheadMs: bigint
      readonly limitMs: number
    }
  | { readonly code: 'light.validators-hash'; readonly expected: string; readonly computed: string }
  | { readonly code: 'light.next-validators'; readonly expected: string; readonly received: string }
  | { readonly code: 'light.signature-count'; readonly expected: number; readonly received: number }
  | { readonly code: 'light.signer'; readonly index: number; readonly expected: string; readonly received: string }
  | { readonly code: 'light.double-vote'; readonly index: number; readonly address: string }
  | { readonly code: 'light.signature'; readonly index: number; readonly address: string }
  | { readonly code: 'light.trusted-power'; readonly tally: bigint; readonly needed: bigint }
  | { readonly code: 'light.power'; readonly tally: bigint; readonly needed: bigint }
  | { readonly code: 'light.link'; readonly expected: string; readonly computed: string }

/** What is judged: `untrusted`, from the ground of a header and validator set that are believed already. */
export interface Claim {
  readonly trusted: LightBlock
  readonly untrusted: LightBlock
  /** A block whose set was judged and hashed when it was believed: an equal set needs neither again. */
  readonly known: LightBlock | undefined
  readonly options: LightOptions
  readonly now: Instant
  readonly votes: Votes
}

export type Predicate = (claim: Claim) => LightFault | undefined

/** The part of a claim that a header without its commit makes. */
export type HeaderClaim = { readonly untrusted: { readonly header: Header }; readonly options: LightOptions }

type HeaderPredicate = (claim: HeaderClaim) => LightFault | undefined

/** The signatures of one commit, each checked once however many rules ask. */
export interface Votes {
  /** Whether signature `index` is that key's over the block committed to. */
  valid(index: number, publicKey: Uint8Array): boolean
  /** Addresses of the votes that were found valid, in the commit's order. */
  signers(): readonly Uint8Array[]
}

export function votesOf(chainId: string, commit: Commit, verifier: Verifier): Votes {
  const confirmed = new Map<number, Uint8Array>()
  const signBytes = commitSignBytes(chainId, commit)
  return {
    valid(index, publicKey) {
      const by = confirmed.get(index)
      if (by !== undefined && equalBytes(by, publicKey)) return true
      const vote = commit.signatures[index]!
      const good = verifier.verify('EdDSA', publicKey, signBytes(vote), vote.signature)
      if (good) confirmed.set(index, publicKey)
      return good
    },
    signers: () => commit.signatures.filter((_, index) => confirmed.has(index)).map(vote => vote.validatorAddress),
  }
}

/**
 * The validators of the block after `block`, where they are known from it alone: when its set does not change. A block
 * whose set changes is no ground for a skip; the next header is verified first (it carries the new set).
 */
export const nextValidatorsOf = ({ header, validators }: LightBlock): readonly Validator[] | undefined =>
  equalBytes(header.validatorsHash, header.nextValidatorsHash) ? validators : undefined

const isAdjacent = ({ trusted, untrusted }: Claim): boolean => untrusted.header.height === trusted.header.height + 1n

const MS = 1_000_000n

/** 1. The ground is not too old to stand on: its validators may since have left without penalty. */
export const trustedIsFresh: Predicate = ({ trusted, options, now }) => expiry(trusted.header, options, now)

export function expiry(header: Header, options: LightOptions, now: Instant): LightFault | undefined {
  const age = BigInt(now) * MS - nanosOf(header.time)
  if (age < BigInt(options.trustingPeriodMs) * MS) return undefined
  return {
    code: 'light.expired',
    time: timeText(header.time),
    ageMs: age / MS,
    limitMs: options.trustingPeriodMs,
    hint: 'what was believed last is older than ledger.trusting_period: set ledger.trust.height and ledger.trust.hash in the configuration to a recent block (height and block_id.hash, as /commit of a node shows them), compare it with a second source that you trust, and start again',
  }
}

/** The block protocol whose bytes we know (CometBFT v0.34 to v0.40). */
const BLOCK_VERSION = 11n

/** 2. The untrusted header and commit are well formed, ours and of each other. */
export const blockVersionIsKnown: HeaderPredicate = ({ untrusted: { header } }) =>
  header.version.block === BLOCK_VERSION
    ? undefined
    : { code: 'light.block-version', expected: BLOCK_VERSION, received: header.version.block }

/** CometBFT's longest chain id in bytes; a longer one is not ours whatever it says. */
const MAX_CHAIN_ID = 50

export const chainIsOurs: HeaderPredicate = ({ untrusted: { header }, options }) =>
  header.chainId === options.chainId && utf8(header.chainId).length <= MAX_CHAIN_ID
    ? undefined
    : { code: 'light.chain-id', expected: options.chainId, received: header.chainId.slice(0, MAX_CHAIN_ID) }

export const heightIsPositive: HeaderPredicate = ({ untrusted: { header } }) =>
  header.height > 0n ? undefined : { code: 'light.height', expected: 'above 0', received: header.height }

/** The validators' hash is never empty: a header without one has no hash in CometBFT. The application's may have any length. */
const SIZES: readonly (readonly [keyof Header, readonly number[]])[] = [
  ['lastCommitHash', [0, 32]],
  ['dataHash', [0, 32]],
  ['validatorsHash', [32]],
  ['nextValidatorsHash', [32]],
  ['consensusHash', [32]],
  ['lastResultsHash', [0, 32]],
  ['evidenceHash', [0, 32]],
  ['proposerAddress', [20]],
]

export const hashesHaveTheirSize: HeaderPredicate = ({ untrusted: { header } }) => {
  for (const [field, sizes] of SIZES) {
    const bytes = (header[field] as Uint8Array).length
    if (!sizes.includes(bytes)) return { code: 'light.hash-size', field, bytes }
  }
  for (const [field, { length }] of [
    ['lastBlockId.hash', header.lastBlockId.hash],
    ['lastBlockId.partSetHeader.hash', header.lastBlockId.partSetHeader.hash],
  ] as const)
    if (length !== 0 && length !== 32) return { code: 'light.hash-size', field, bytes: length }
  return undefined
}

export const commitIsWellFormed: Predicate = ({ untrusted: { commit } }) => commitFault(commit)

export const commitIsOfItsHeight: Predicate = ({ untrusted: { header, commit } }) =>
  commit.height === header.height
    ? undefined
    : { code: 'light.commit-height', header: header.height, commit: commit.height }

export const commitIsOfItsHeader: Predicate = ({ untrusted: { header, commit } }) => {
  const computed = hashHeader(header)
  return equalBytes(commit.blockId.hash, computed)
    ? undefined
    : { code: 'light.header-hash', expected: toHex(commit.blockId.hash), computed: toHex(computed) }
}

/** 3. It comes after the ground, and not from the future. */
export const heightRises: Predicate = ({ trusted, untrusted: { header } }) =>
  header.height > trusted.header.height
    ? undefined
    : { code: 'light.height', expected: `above ${trusted.header.height}`, received: header.height }

export const timeRises: Predicate = ({ trusted, untrusted: { header } }) =>
  nanosOf(header.time) > nanosOf(trusted.header.time)
    ? undefined
    : { code: 'light.time-order', trusted: timeText(trusted.header.time), received: timeText(header.time) }

export const isNotFromTheFuture: Predicate = ({ untrusted: { header }, options, now }) => {
  const ahead = nanosOf(header.time) - BigInt(now) * MS
  if (ahead < BigInt(options.maxClockDriftMs) * MS) return undefined
  const received = timeText(header.time)
  return { code: 'light.from-future', received, aheadMs: ahead / MS, limitMs: options.maxClockDriftMs }
}

const isKnown = (known: LightBlock | undefined, validators: readonly Validator[]): known is LightBlock =>
  known !== undefined && sameValidators(validators, known.validators)

/** 4. The validators are a set, and the one that the header names; each has its place in the commit. */
export const validatorsAreASet: Predicate = ({ known, untrusted: { validators } }) =>
  isKnown(known, validators) ? undefined : validatorsFault(validators)

export const validatorsAreTheHeaders: Predicate = ({ known, untrusted: { header, validators } }) => {
  const computed = isKnown(known, validators) ? known.header.validatorsHash : hashValidators(validators)
  return equalBytes(header.validatorsHash, computed)
    ? undefined
    : { code: 'light.validators-hash', expected: toHex(header.validatorsHash), computed: toHex(computed) }
}

export const everyValidatorHasItsPlace: Predicate = ({ untrusted: { commit, validators } }) =>
  commit.signatures.length === validators.length
    ? undefined
    : { code: 'light.signature-count', expected: validators.length, received: commit.signatures.length }

/** CometBFT looks up by index alone; a vote under a stranger's address is then counted for whoever stands there. */
export const everyVoteStandsInItsPlace: Predicate = ({ untrusted: { commit, validators } }) => {
  for (const [index, vote] of commit.signatures.entries()) {
    const expected = validators[index]?.address
    if (vote.flag !== FLAG_ABSENT && expected !== undefined && !equalBytes(vote.validatorAddress, expected))
      return { code: 'light.signer', index, expected: toHex(expected), received: toHex(vote.validatorAddress) }
  }
  return undefined
}

/** 5a. The next header's validators are those that the ground announced. */
export const validatorsWereAnnounced: Predicate = claim => {
  const { trusted, untrusted } = claim
  if (!isAdjacent(claim) || equalBytes(untrusted.header.validatorsHash, trusted.header.nextValidatorsHash))
    return undefined
  return {
    code: 'light.next-validators',
    expected: toHex(trusted.header.nextValidatorsHash),
    received: toHex(untrusted.header.validatorsHash),
  }
}

/**
 * 5b. Further ahead, enough of the power that the ground's next block had has signed: looked up by address, for the sets
 * differ. Not enough says nothing against the header: a closer one has to be verified first.
 */
export const trustedPowerHasSigned: Predicate = claim => {
  const { trusted, untrusted, options, votes } = claim
  if (isAdjacent(claim)) return undefined
  const next = nextValidatorsOf(trusted)
  const { numerator, denominator } = options.trustLevel
  const needed = (totalPower(next ?? trusted.validators) * BigInt(numerator)) / BigInt(denominator)
  if (next === undefined) return { code: 'light.trusted-power', tally: 0n, needed }
  const members = new Map(next.map(member => [toHex(member.address), member]))
  const voted = new Set<string>()
  let tally = 0n
  for (const [index, vote] of untrusted.commit.signatures.entries()) {
    if (vote.flag !== FLAG_COMMIT) continue
    const address = toHex(vote.validatorAddress)
    const member = members.get(address)
    if (member === undefined) continue
    if (voted.has(address)) return { code: 'light.double-vote', index, address }
    voted.add(address)
    if (!votes.valid(index, member.publicKey)) return { code: 'light.signature', index, address }
    tally += member.votingPower
    if (tally > needed) return undefined
  }
  return { code: 'light.trusted-power', tally, needed }
}

/** 6. More than two thirds of the header's own power have signed it. Stops at the first vote that is enough. */
export const ownPowerHasSigned: Predicate = ({ untrusted: { commit, validators }, votes }) => {
  const needed = (totalPower(validators) * 2n) / 3n
  let tally = 0n
  for (const [index, vote] of commit.signatures.entries()) {
    const validator = validators[index]
    if (vote.flag !== FLAG_COMMIT || validator === undefined) continue
    if (!votes.valid(index, validator.publicKey))
      return { code: 'light.signature', index, address: toHex(validator.address) }
    tally += validator.votingPower
    if (tally > needed) return undefined
  }
  return { code: 'light.power', tally, needed }
}

/** What a block must be by itself, cheapest first. */
const FORM_RULES: readonly Predicate[] = [
  blockVersionIsKnown,
  chainIsOurs,
  heightIsPositive,
  hashesHaveTheirSize,
  commitIsWellFormed,
  commitIsOfItsHeight,
  commitIsOfItsHeader,
]

const SET_RULES: readonly Predicate[] = [
  validatorsAreASet,
  validatorsAreTheHeaders,
  everyValidatorHasItsPlace,
  everyVoteStandsInItsPlace,
]

/**
 * The order is part of the defence. First what needs no look at the untrusted bytes; then their form, so that every later rule
 * may rely on sizes; then comparisons of a few words; then hashing the set, which is capped in number; then signatures of
 * keys we trust already, at most as many as we trust; and last the signatures of the new set, because whoever made
 * it up also chose how many there are.
 */
export const RULES: readonly Predicate[] = [
  trustedIsFresh,
  ...FORM_RULES,
  heightRises,
  timeRises,
  isNotFromTheFuture,
  ...SET_RULES,
  validatorsWereAnnounced,
  trustedPowerHasSigned,
  ownPowerHasSigned,
]

/** For a block whose hash is known from elsewhere: what it says and who signed it still has to fit together. */
export const ANCHOR_RULES: readonly Predicate[] = [
  ...FORM_RULES,
  trustedIsFresh,
  isNotFromTheFuture,
  ...SET_RULES,
  ownPowerHasSigned,
]

/** For a header that a later one names as its predecessor. */
export const LINK_RULES: readonly HeaderPredicate[] = [
  blockVersionIsKnown,
  chainIsOurs,
  heightIsPositive,
  hashesHaveTheirSize,
]

/** The first fault that the rules find in a claim, in their order. */
export function firstFault<C>(
  rules: readonly ((claim: C) => LightFault | undefined)[],
  claim: C,
): LightFault | undefined {
  for (const rule of rules) {
    const fault = rule(claim)
    if (fault !== undefined) return fault
  }
  return undefined
}
