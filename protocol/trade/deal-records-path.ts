/** How a record of a ledger is reached from a block that its reader trusts: block by block, then by its proof. */
import { equalBytes, toHex, utf8 } from '../bytes.ts'
import { instantOf } from '../chain/chain-time.ts'
import { FLAG_ABSENT } from '../chain/commit.ts'
import { hashHeader } from '../chain/header.ts'
import { SMT_SPEC, verifyMembership } from '../chain/ics23.ts'
import type { LightBlock } from '../chain/light-block.ts'
import type { Verifier } from '../crypto/verify.ts'
import { votesOf } from '../light/predicates.ts'
import { type Anchor, type VerifiedBlock, verify, verifyAnchor } from '../light/verify.ts'
import type { Broken } from '../reading/audit.ts'
import type { Fault, Result } from '../result.ts'
import type { LedgerRecords } from './deal-records.ts'

/** A validator's stake leaves after 21 days, and 14 leave time to call it to account. A third of the power skips, as in CometBFT. */
export const PATH_RULES = {
  trustingPeriodMs: 14 * 86_400_000,
  maxClockDriftMs: 10_000,
  trustLevel: { numerator: 1, denominator: 3 },
} as const

/** A rule that is broken has its place. */
export type Placed<T> = { readonly ok: true; readonly value: T } | (Broken & { readonly ok: false })

export interface JudgedLedger<T> {
  readonly block: VerifiedBlock
  /** The trusted block. */
  readonly trusted: LightBlock
  readonly record: T
}

export interface Ground {
  readonly chainId: string
  readonly trust: Anchor
  readonly verifier: Verifier
}

/** `piece` names it in faults. */
export function judgeLedger<T>(
  { path, record, proof }: LedgerRecords,
  piece: string,
  ground: Ground,
  key: string,
  decode: (value: Uint8Array) => Result<T>,
): Placed<JudgedLedger<T>> {
  const way = judgePath(path, piece, ground)
  if (!way.ok) return way
  const { block, trusted } = way.value
  const held = verifyMembership(SMT_SPEC, block.header.appHash, proof, utf8(key), record)
  if (!held.ok) return { ok: false, where: `${piece}.proof`, fault: held.fault }
  const read = decode(record)
  return read.ok
    ? { ok: true, value: { block, trusted, record: read.value } }
    : { ok: false, where: `${piece}.record`, fault: read.fault }
}

/** From block to block: every vote that stands in one is checked, though two thirds of the power would do. */
function judgePath(
  path: readonly LightBlock[],
  piece: string,
  { chainId, trust, verifier }: Ground,
): Placed<Omit<JudgedLedger<unknown>, 'record'>> {
  const options = { chainId, ...PATH_RULES }
  let at: VerifiedBlock | undefined
  let trusted: LightBlock | undefined
  for (const [i, block] of path.entries()) {
    const broken = (fault: Fault) => ({ ok: false, where: `${piece}.path[${i}]`, fault }) as const
    const now = instantOf(block.header.time)
    const hash = hashHeader(block.header)
    const { height } = block.header
    if (at === undefined) {
      const begun = verifyAnchor({ height, hash }, block, options, now, verifier)
      if (!begun.ok) return broken(begun.fault)
      at = begun.value
    } else {
      const verdict = verify(at, block, options, now, verifier)
      if (verdict.kind === 'invalid') return broken(verdict.fault)
      if (verdict.kind === 'not-enough') {
        const { tally, needed } = verdict
        return broken({ code: 'light.trusted-power', tally, needed })
      }
      at = verdict.block
    }
    const unsigned = falseVote(block, chainId, verifier)
    if (unsigned !== undefined) return broken(unsigned)
    if (height !== trust.height) continue
    if (!equalBytes(hash, trust.hash)) {
      const hint = 'another chain than the one that you trust, or another block than you meant'
      return broken({ code: 'light.anchor', height, expected: toHex(trust.hash), received: toHex(hash), hint })
    }
    trusted = block
  }
  if (at !== undefined && trusted !== undefined) return { ok: true, value: { block: at, trusted } }
  const heights = path.map(({ header }) => `${header.height}`)
  const hint = 'find out, from somebody whom you trust, the hash of one of these blocks, and name that'
  return {
    ok: false,
    where: `${piece}.path`,
    fault: { code: 'records.trust-elsewhere', trusted: trust.height, heights, hint },
  }
}

/** Counting stops at two thirds; here nothing may stand that its validator did not sign. */
function falseVote({ commit, validators }: LightBlock, chainId: string, verifier: Verifier): Fault | undefined {
  const votes = votesOf(chainId, commit, verifier)
  for (const [index, { flag }] of commit.signatures.entries()) {
    const validator = validators[index]
    if (flag === FLAG_ABSENT || (validator !== undefined && votes.valid(index, validator.publicKey))) continue
    return { code: 'light.signature', index, address: toHex(validator?.address ?? new Uint8Array(0)) }
  }
  return undefined
}
