/**
 * Other ledgers, followed by this one as a light client does: the same rules, with block time for a clock.
 *
 *     anchor    the operator's word for one header's hash: where belief begins, and begins again
 *     follow    a light block: the one that the anchor names, then any later one that verifies from the newest
 *
 * A second header of a followed height that verifies as well freezes the chain: its validators signed two histories, so
 * nothing of it is believed, what it proved before included, until the operator names a new anchor.
 *
 * Whatever is proven here about another ledger is of a kind that stays true for as long as it matters (a deal that is
 * closed, a reservation that cannot end before its contract's window), so the age of a followed header is no matter.
 */
import { equalBytes, toHex, utf8 } from '../../bytes.ts'
import { instantOf } from '../../chain/chain-time.ts'
import { hashHeader } from '../../chain/header.ts'
import { decodeCommitmentProof, SMT_SPEC, verifyMembership, verifyNonMembership } from '../../chain/ics23.ts'
import type { LightBlock } from '../../chain/light-block.ts'
import { decodeLightBlock } from '../../chain/light-block-proto.ts'
import { expiry, firstFault, type LightFault, type LightOptions, RULES, votesOf } from '../../light/predicates.ts'
import { verifyAnchor } from '../../light/verify.ts'
import { faultLine, must, ok, type Result } from '../../result.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import { name } from '../fields.ts'
import type { Applying } from '../kind.ts'
import { FOLLOWED, type Followed, MAX_FOLLOWED, PEERS, type Peer } from '../network-tables.ts'
import type { Draft, State } from '../state.ts'
import type { BodyOf } from '../tx.ts'

const NO_DATA = new Uint8Array(0)
/** A third of the trusted power: within the fault assumption, one of them is honest. */
const TRUST_LEVEL = { numerator: 1, denominator: 3 }

const headerId = (chainId: string, height: bigint): string => `${chainId}/${height}`

const optionsOf = (chainId: string, { trustingPeriodMs, maxClockDriftMs }: Peer): LightOptions => ({
  ...{ chainId, trustingPeriodMs, maxClockDriftMs },
  trustLevel: TRUST_LEVEL,
})

const blockOf = ({ block }: Followed): LightBlock => must(decodeLightBlock(block))

export function applyFollow(
  draft: Draft,
  _sender: Uint8Array,
  { block: bytes }: BodyOf<'follow'>,
  applying: Applying,
): Result<Uint8Array, LedgerFault> {
  const decoded = decodeLightBlock(bytes)
  if (!decoded.ok) return refuse('ledger.light-block', { reason: decoded.fault.code })
  const block = decoded.value
  const { chainId, height } = block.header
  const peer = draft.get(PEERS, chainId)
  if (peer === undefined) return refuse('ledger.peer-unknown', { chainId })
  if (peer.frozen !== undefined) return refuse('ledger.peer-frozen', { chainId, height: peer.frozen.height })

  const hash = hashHeader(block.header)
  const known = draft.get(FOLLOWED, headerId(chainId, height))
  const newest = peer.heights.at(-1)
  if ((newest !== undefined && height <= newest && known === undefined) || (known && equalBytes(known.hash, hash))) {
    return refuse('ledger.light-height', { height, newest })
  }
  const fault = judgeBlock(draft, chainId, peer, block, applying)
  if (fault?.code === 'light.trusted-power') {
    return refuse('ledger.light-power', { height, tally: fault.tally, needed: fault.needed })
  }
  if (fault !== undefined) return refuse('ledger.light-block', { reason: fault.code })

  if (known !== undefined) {
    draft.put(PEERS, chainId, { ...peer, frozen: { height, followed: known.hash, other: hash } })
    return ok(NO_DATA)
  }
  const { appHash } = block.header
  // A chain of another application; nothing could be proven under it.
  if (appHash.length !== 32) return refuse('ledger.light-block', { reason: 'light.hash-size' })
  draft.put(FOLLOWED, headerId(chainId, height), { hash, appHash, time: instantOf(block.header.time), block: bytes })
  const heights = [...peer.heights, height]
  if (heights.length > MAX_FOLLOWED) draft.remove(FOLLOWED, headerId(chainId, heights.shift()!))
  draft.put(PEERS, chainId, { ...peer, heights })
  return ok(NO_DATA)
}

/** Why a block is not believed: from the newest followed header below it, or by the anchor where none is followed yet. */
function judgeBlock(
  state: State,
  chainId: string,
  peer: Peer,
  untrusted: LightBlock,
  { time: now, verifier }: Applying,
): LightFault | { readonly code: 'light.anchor' | 'light.no-ground' } | undefined {
  const options = optionsOf(chainId, peer)
  if (peer.heights.length === 0) {
    if (peer.anchor === undefined) return { code: 'light.no-ground' }
    const verified = verifyAnchor(peer.anchor, untrusted, options, now, verifier)
    if (verified.ok) return undefined
    return verified.fault.code === 'light.anchor' ? { code: 'light.anchor' } : verified.fault
  }
  const below = peer.heights.findLast(height => height < untrusted.header.height)
  if (below === undefined) return { code: 'light.no-ground' }
  const trusted = blockOf(state.get(FOLLOWED, headerId(chainId, below))!)
  const votes = votesOf(chainId, untrusted.commit, verifier)
  return firstFault(RULES, { trusted, known: trusted, untrusted, options, now, votes })
}

/** Belief begins anew only where there is none: never believed, frozen, or too long not followed. */
export function applyAnchor(
  draft: Draft,
  sender: Uint8Array,
  { chainId, anchor }: BodyOf<'anchor'>,
  { rules, time }: Applying,
): Result<Uint8Array, LedgerFault> {
  if (!equalBytes(sender, rules.operator)) {
    return refuse('ledger.operator-only', { operator: toHex(rules.operator), sender: toHex(sender) })
  }
  const peer = draft.get(PEERS, chainId)
  if (peer === undefined) return refuse('ledger.peer-unknown', { chainId })
  const { frozen, heights, ...terms } = peer
  const newest = heights.at(-1)
  if (frozen === undefined && newest !== undefined) {
    const { header } = blockOf(draft.get(FOLLOWED, headerId(chainId, newest))!)
    if (expiry(header, optionsOf(chainId, peer), time) === undefined) {
      return refuse('ledger.peer-alive', { chainId, newest })
    }
  }
  for (const height of heights) draft.remove(FOLLOWED, headerId(chainId, height))
  draft.put(PEERS, chainId, { ...terms, anchor, heights: [] })
  return ok(NO_DATA)
}

/** Another ledger as genesis names it. */
export type GenesisPeer = Omit<Peer, 'heights' | 'frozen'> & { readonly chainId: string }

export type PeerFault = { readonly code: 'genesis.peer'; readonly chainId: string; readonly reason: string }

/** Why a ledger cannot begin with these others; `reserveOn` has to be one of them. */
export function peersFault(
  own: string,
  peers: readonly GenesisPeer[],
  reserveOn: string | undefined,
): PeerFault | undefined {
  const seen = new Set([own])
  for (const { chainId, ...terms } of peers) {
    const bad = (reason: string): PeerFault => ({ code: 'genesis.peer', chainId, reason })
    if (!name.read(chainId, 'chainId').ok) return bad('no chain id')
    if (seen.has(chainId)) return bad('comes twice')
    seen.add(chainId)
    const read = PEERS.codec.read(PEERS.codec.write({ ...terms, heights: [] }), 'peer')
    if (!read.ok) return bad(faultLine(read.fault))
  }
  return reserveOn === undefined || peers.some(({ chainId }) => chainId === reserveOn)
    ? undefined
    : {
        code: 'genesis.peer',
        chainId: reserveOn,
        reason: 'capacity is to be reserved on a ledger that is not followed',
      }
}

/** Writes the others into the first state. */
export function writePeers(draft: Draft, peers: readonly GenesisPeer[]): void {
  for (const { chainId, ...terms } of peers) draft.put(PEERS, chainId, { ...terms, heights: [] })
}

interface Claimed {
  readonly height: bigint
  readonly proof: Uint8Array
}

/** The value of a key in another ledger's state, under a header that is followed. */
export function provenValue(
  state: State,
  chainId: string,
  { height, proof }: Claimed,
  key: string,
): Result<Uint8Array, LedgerFault> {
  const root = rootAt(state, chainId, height)
  if (!root.ok) return root
  const decoded = decodeCommitmentProof(proof)
  if (!decoded.ok) return refuse('ledger.proof', { reason: decoded.fault.code })
  if (decoded.value.kind !== 'exist') return refuse('ledger.proof', { reason: 'a proof of absence' })
  const { value } = decoded.value.exist
  const verified = verifyMembership(SMT_SPEC, root.value.appHash, proof, utf8(key), value)
  return verified.ok ? ok(value) : refuse('ledger.proof', { reason: verified.fault.code })
}

/** The time of a followed header under which a key has no value in the other ledger's state. */
export function provenAbsence(
  state: State,
  chainId: string,
  { height, proof }: Claimed,
  key: string,
): Result<Followed['time'], LedgerFault> {
  const root = rootAt(state, chainId, height)
  if (!root.ok) return root
  const verified = verifyNonMembership(SMT_SPEC, root.value.appHash, proof, utf8(key))
  return verified.ok ? ok(root.value.time) : refuse('ledger.proof', { reason: verified.fault.code })
}

function rootAt(state: State, chainId: string, height: bigint): Result<Followed, LedgerFault> {
  const peer = state.get(PEERS, chainId)
  if (peer === undefined) return refuse('ledger.peer-unknown', { chainId })
  if (peer.frozen !== undefined) return refuse('ledger.peer-frozen', { chainId, height: peer.frozen.height })
  const followed = state.get(FOLLOWED, headerId(chainId, height))
  return followed === undefined ? refuse('ledger.header-unknown', { chainId, height }) : ok(followed)
}
