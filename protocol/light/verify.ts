/**
 * Whether a header is believed. The judgement changes nothing; what it lets through carries a brand, so whoever asks for a
 * `VerifiedBlock` cannot be handed one that was not judged: only this file makes those, and of a `VerifiedHeader` besides it
 * only accumulated.ts, by a proof of its own.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { nanosOf, timeText } from '../chain/chain-time.ts'
import { hashHeader } from '../chain/header.ts'
import type { Header, LightBlock } from '../chain/light-block.ts'
import type { Verifier } from '../crypto/verify.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import {
  ANCHOR_RULES,
  firstFault,
  LINK_RULES,
  type LightFault,
  type LightOptions,
  RULES,
  type TrustLevel,
  votesOf,
} from './predicates.ts'

declare const verified: unique symbol

/** A header that is believed: its commit was verified, or a believed header names it. */
export interface VerifiedHeader {
  readonly header: Header
  readonly hash: Uint8Array
  readonly [verified]: true
}

/** A header that is believed with its validators and their signatures. */
export interface VerifiedBlock extends VerifiedHeader {
  readonly block: LightBlock
  /** Validators whose signature was checked, in their order: more than two thirds of the power, seldom all. */
  readonly signedBy: readonly Uint8Array[]
}

export type Verdict =
  | { readonly kind: 'trusted'; readonly block: VerifiedBlock }
  /** Nothing is wrong with it, but too little of the power we trust has signed: a closer header comes first. */
  | { readonly kind: 'not-enough'; readonly tally: bigint; readonly needed: bigint }
  | { readonly kind: 'invalid'; readonly fault: LightFault }

/** Judge a later block from the ground of a believed one. */
export function verify(
  trusted: VerifiedBlock,
  untrusted: LightBlock,
  options: LightOptions,
  now: Instant,
  verifier: Verifier,
): Verdict {
  const votes = votesOf(options.chainId, untrusted.commit, verifier)
  const fault = firstFault(RULES, { trusted: trusted.block, known: trusted.block, untrusted, options, now, votes })
  if (fault === undefined) return { kind: 'trusted', block: believed(untrusted, votes.signers()) }
  return fault.code === 'light.trusted-power'
    ? { kind: 'not-enough', tally: fault.tally, needed: fault.needed }
    : { kind: 'invalid', fault }
}

/** Where trust begins or is taken up again: a height and header hash from configuration or from our own disk. */
export interface Anchor {
  readonly height: bigint
  readonly hash: Uint8Array
}

export type AnchorFault =
  | LightFault
  | {
      readonly code: 'light.anchor'
      readonly height: bigint
      readonly expected: string
      readonly received: string
      readonly hint: string
    }

/** Believe a block because its hash is known; its validators and signatures are checked all the same. */
export function verifyAnchor(
  anchor: Anchor,
  block: LightBlock,
  options: LightOptions,
  now: Instant,
  verifier: Verifier,
): Result<VerifiedBlock, AnchorFault> {
  const votes = votesOf(options.chainId, block.commit, verifier)
  const claim = { trusted: block, known: undefined, untrusted: block, options, now, votes }
  const hash = hashHeader(block.header)
  if (block.header.height !== anchor.height || !equalBytes(hash, anchor.hash))
    return fail({
      code: 'light.anchor',
      height: anchor.height,
      expected: toHex(anchor.hash),
      received: toHex(hash),
      hint: 'the source serves another block than the one to start from: check ledger.trust.height, ledger.trust.hash and ledger.chain',
    })
  const fault = firstFault(ANCHOR_RULES, claim)
  return fault === undefined ? ok(believed(block, votes.signers())) : fail(fault)
}

/** Believe the header before a believed one because that names its hash. */
export function verifyBackwards(
  trusted: VerifiedHeader,
  untrusted: Header,
  options: LightOptions,
): Result<VerifiedHeader, LightFault> {
  const fault = firstFault(LINK_RULES, { untrusted: { header: untrusted }, options })
  if (fault !== undefined) return fail(fault)
  if (nanosOf(untrusted.time) >= nanosOf(trusted.header.time))
    return fail({
      code: 'light.time-order',
      trusted: timeText(trusted.header.time),
      received: timeText(untrusted.time),
    })
  const hash = hashHeader(untrusted)
  if (!equalBytes(hash, trusted.header.lastBlockId.hash))
    return fail({ code: 'light.link', expected: toHex(trusted.header.lastBlockId.hash), computed: toHex(hash) })
  return ok({ header: untrusted, hash } as VerifiedHeader)
}

/** Why a trust level is none: below a third of the power, a coalition within the fault assumption could sign alone. */
export function trustLevelFault({ numerator, denominator }: TrustLevel) {
  const isLevel =
    Number.isSafeInteger(numerator) &&
    Number.isSafeInteger(denominator) &&
    denominator > 0 &&
    numerator <= denominator &&
    numerator * 3 >= denominator
  return isLevel ? undefined : { code: 'light.trust-level' as const, numerator, denominator }
}

const believed = (block: LightBlock, signedBy: readonly Uint8Array[]): VerifiedBlock =>
  ({ header: block.header, hash: block.commit.blockId.hash, block, signedBy }) as VerifiedBlock
