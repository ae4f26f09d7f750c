/**
 * A buyer's request for quotes: sellers bid, the best score wins. In the way `bidding` bids are sealed until all are in;
 * in the way `matching` they come openly, and everything else is the same.
 *
 * A sealed bid is SHA-256 over the canonical CBOR of the bid with its bidder's address and its 16-byte salt. The address
 * keeps a bidder from handing in a copy of another's commitment and opening it after him. Whoever says two things in one
 * auction has said nothing: both are void.
 */
import { concat, equalBytes, fromHex, toHex } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { type Money, microsPerKwh, type Price, type WattHours, wattHours } from '../quantity.ts'
import { bytes, encodeAs, record } from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { address, contractEnergy, contractPrice, lineId, meterId, type Source, source } from '../trade/contract.ts'
import type { BodyOf } from '../trade/message.ts'

/** As in the message of that kind; `id` is the auction's. */
export type Bid = Omit<BodyOf<'bid'>, 'kind'>

const committed = record({
  id: [1, bytes(16)],
  energy: [2, contractEnergy],
  price: [3, contractPrice],
  fee: [4, contractPrice],
  source: [5, source],
  line: [6, lineId],
  meter: [7, meterId],
  salt: [8, bytes(16)],
  bidder: [9, address],
})

/** What a bidder hands in before the bids are opened: 32 bytes that bind it and say nothing. */
export const commitmentOf = (bid: Bid, bidder: Uint8Array): Uint8Array =>
  sha256(encodeAs(committed, { ...bid, bidder }))

/** As many as one message of kind `reveal` names. */
export const MAX_BIDS = 64

export interface Auction {
  readonly id: Uint8Array
  readonly way: 'matching' | 'bidding'
  /** Last moment for a sealed bid, or for an open one in the way `matching`. */
  readonly sealBy: Instant
  /** Last moment for a sealed bid to be opened. */
  readonly revealBy: Instant
  /** By bidder, in hex. */
  readonly entries: ReadonlyMap<string, Entry>
}

interface Entry {
  readonly commitment?: Uint8Array
  readonly bid?: Bid
  /** Two differing words of one bidder. */
  readonly void?: boolean
}

export type AuctionFault =
  | { readonly code: 'auction.other'; readonly expected: string; readonly received: string }
  | { readonly code: 'auction.way'; readonly way: Auction['way'] }
  | { readonly code: 'auction.closed'; readonly by: number; readonly at: number }
  | { readonly code: 'auction.full'; readonly most: number }
  | { readonly code: 'auction.equivocation'; readonly bidder: string }
  | { readonly code: 'auction.too-early'; readonly from: number; readonly at: number }
  | { readonly code: 'auction.late'; readonly by: number; readonly at: number }
  | { readonly code: 'auction.not-sealed'; readonly bidder: string }
  | { readonly code: 'auction.commitment'; readonly expected: string; readonly received: string }
  | { readonly code: 'auction.fee'; readonly fee: bigint; readonly price: bigint }

/** What became of a message: the auction as it is from now on, and why the message was refused, if it was. */
export interface Heard {
  readonly auction: Auction
  readonly refused?: AuctionFault
}

export const openAuction = (id: Uint8Array, way: Auction['way'], sealBy: Instant, revealBy: Instant): Auction => ({
  id,
  way,
  sealBy,
  revealBy,
  entries: new Map(),
})

const withEntry = (auction: Auction, bidder: string, entry: Entry): Auction => ({
  ...auction,
  entries: new Map(auction.entries).set(bidder, entry),
})

/** A sealed bid arrives. The same one twice is one. */
export function hearSealed(
  auction: Auction,
  bidder: Uint8Array,
  { id, commitment }: Omit<BodyOf<'sealed-bid'>, 'kind'>,
  at: Instant,
): Heard {
  const who = toHex(bidder)
  const no = (refused: AuctionFault): Heard => ({ auction, refused })
  if (!equalBytes(id, auction.id))
    return no({ code: 'auction.other', expected: toHex(auction.id), received: toHex(id) })
  if (auction.way !== 'bidding') return no({ code: 'auction.way', way: auction.way })
  if (at > auction.sealBy) return no({ code: 'auction.closed', by: auction.sealBy, at })
  const before = auction.entries.get(who)
  if (before === undefined) {
    if (auction.entries.size >= MAX_BIDS) return no({ code: 'auction.full', most: MAX_BIDS })
    return { auction: withEntry(auction, who, { commitment }) }
  }
  if (before.void !== true && equalBytes(before.commitment!, commitment)) return { auction }
  return voided(auction, who)
}

/** A bid arrives in the open: the opening of a sealed one, or in the way `matching` the bid itself. */
export function hearBid(auction: Auction, bidder: Uint8Array, bid: Bid, at: Instant): Heard {
  const who = toHex(bidder)
  const before = auction.entries.get(who)
  if (before?.void === true) return { auction, refused: { code: 'auction.equivocation', bidder: who } }
  const checked =
    auction.way === 'bidding' ? checkReveal(auction, bidder, bid, at) : checkOpen(auction, before, bid, at)
  if (!checked.ok) return { auction, refused: checked.fault }
  // A commitment has one opening that anybody can find, so only open bids can differ.
  if (before?.bid !== undefined) {
    const same = equalBytes(commitmentOf(before.bid, bidder), commitmentOf(bid, bidder))
    return same ? { auction } : voided(auction, who)
  }
  return { auction: withEntry(auction, who, { ...before, bid }) }
}

const voided = (auction: Auction, bidder: string): Heard => ({
  auction: withEntry(auction, bidder, { void: true }),
  refused: { code: 'auction.equivocation', bidder },
})

/** Whether this bid opens what its bidder sealed, in time. */
export function checkReveal(auction: Auction, bidder: Uint8Array, bid: Bid, at: Instant): Result<void, AuctionFault> {
  const who = toHex(bidder)
  const terms = checkTerms(auction, bid)
  if (!terms.ok) return terms
  const commitment = auction.entries.get(who)?.commitment
  if (commitment === undefined) return fail({ code: 'auction.not-sealed', bidder: who })
  // Before the close another bidder could still learn from it.
  if (at <= auction.sealBy) return fail({ code: 'auction.too-early', from: auction.sealBy, at })
  if (at > auction.revealBy) return fail({ code: 'auction.late', by: auction.revealBy, at })
  const opened = commitmentOf(bid, bidder)
  return equalBytes(opened, commitment)
    ? ok(undefined)
    : fail({ code: 'auction.commitment', expected: toHex(commitment), received: toHex(opened) })
}

function checkOpen(auction: Auction, before: Entry | undefined, bid: Bid, at: Instant): Result<void, AuctionFault> {
  const terms = checkTerms(auction, bid)
  if (!terms.ok) return terms
  if (at > auction.sealBy) return fail({ code: 'auction.closed', by: auction.sealBy, at })
  if (before === undefined && auction.entries.size >= MAX_BIDS) return fail({ code: 'auction.full', most: MAX_BIDS })
  return ok(undefined)
}

function checkTerms(auction: Auction, bid: Bid): Result<void, AuctionFault> {
  if (!equalBytes(bid.id, auction.id)) {
    return fail({ code: 'auction.other', expected: toHex(auction.id), received: toHex(bid.id) })
  }
  return bid.fee > bid.price ? fail({ code: 'auction.fee', fee: bid.fee, price: bid.price }) : ok(undefined)
}

/** How often a peer did what it had signed. */
export interface Promises {
  readonly kept: number
  readonly broken: number
}

/** What a buyer wants, and what a seller is worth to it beyond its price. */
export interface Preferences {
  readonly energy: WattHours
  /** No contract below this. */
  readonly least: WattHours
  /** The most that is paid for a kWh, all in, whatever else speaks for the bid. */
  readonly limit: Price
  /** What a kWh of a source is worth beyond the price; a source that is not named is worth nothing more. */
  readonly premium: Readonly<Partial<Record<Source, Price>>>
  /** No source but those that `premium` names. */
  readonly strict: boolean
  /** Addresses in hex: never these, and where `partners` is present only those. */
  readonly refuse: ReadonlySet<string>
  readonly partners?: ReadonlySet<string>
  /** What it costs, beyond its price, when a kWh that was promised does not come. */
  readonly stake: Price
  promisesOf(bidder: string): Promises | undefined
  /** What the grid asks at least from the bid's node to here, where the buyer knows the network. */
  lowestFee?(line: string): Result<Price>
  /** What it costs to go to a bid's node, once and however much is bought there: a car's way to the station. */
  tripTo?(line: string): Money
  /** One contract, or as many as it takes. */
  readonly sellers: 'one' | 'several'
}

/**
 * A stranger is taken to break one promise in ten: so much that a new name is no way to lose a bad one, and so little that
 * newcomers are heard.
 */
const STRANGER: Promises = { kept: 9, broken: 1 }

/** What a peer's record costs per kWh: the stake times the share of its promises that it breaks, rounded up. */
export function penaltyOf(promises: Promises | undefined, stake: Price): Price {
  const broken = BigInt(STRANGER.broken + (promises?.broken ?? 0))
  const all = broken + BigInt(STRANGER.kept + (promises?.kept ?? 0))
  return microsPerKwh((stake * broken + all - 1n) / all)
}

export type LoserReason =
  | 'auction.equivocation'
  | 'auction.not-revealed'
  | 'auction.partner'
  | 'auction.source'
  | 'auction.limit'
  | 'auction.too-little'
  | 'auction.path'
  | 'auction.fee-below-path'
  | 'auction.not-worth-it'
  | 'auction.outbid'

export interface Award {
  readonly winners: readonly {
    /** In hex. */
    readonly bidder: string
    readonly bid: Bid
    /** What is taken of it. */
    readonly energy: WattHours
    /** Price - premium + penalty, per kWh: it ranks, nobody pays it. */
    readonly score: bigint
  }[]
  readonly losers: readonly { readonly bidder: string; readonly reason: LoserReason }[]
}

interface Candidate {
  readonly bidder: string
  readonly bid: Bid
  readonly score: bigint
  /** What taking as much as is wanted is worth beyond the next best, which `limit` stands for. */
  readonly gain: bigint
  /** H(id || bidder). */
  readonly lot: string
}

/**
 * Who wins. One seller: the bid whose energy at its score is worth most beside paying the limit. Several: by rising score
 * until there is enough. Ties go by H(id || bidder), which nobody can hurry. The same bids in any order give the same award.
 */
export function award(auction: Auction, preferences: Preferences): Award {
  const losers: { bidder: string; reason: LoserReason }[] = []
  const candidates: Candidate[] = []
  for (const [bidder, entry] of [...auction.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const reason = refusalOf(bidder, entry, preferences)
    if (reason !== undefined) {
      losers.push({ bidder, reason })
      continue
    }
    const bid = entry.bid!
    const score = scoreOf(bidder, bid, preferences)
    const lot = toHex(sha256(concat(auction.id, fromHex(bidder)!)))
    candidates.push({ bidder, bid, score, gain: gainOf(bidder, bid, preferences), lot })
  }
  const byLot = (a: Candidate, b: Candidate) => (a.lot < b.lot ? -1 : 1)
  candidates.sort(
    preferences.sellers === 'one'
      ? (a, b) => order(b.gain, a.gain) || order(a.score, b.score) || byLot(a, b)
      : (a, b) => order(a.score, b.score) || byLot(a, b),
  )
  const winners: Award['winners'][number][] = []
  let rest: bigint = preferences.energy
  for (const { bidder, bid, score } of candidates) {
    const energy = wattHours(bid.energy < rest ? bid.energy : rest)
    const open = preferences.sellers === 'several' || winners.length === 0
    if (!open || energy < preferences.least || energy === 0n) {
      losers.push({ bidder, reason: 'auction.outbid' })
      continue
    }
    winners.push({ bidder, bid, energy, score })
    rest -= energy
  }
  return { winners, losers }
}

const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)

const scoreOf = (bidder: string, bid: Bid, { premium, promisesOf, stake }: Preferences): bigint =>
  bid.price - (premium[bid.source] ?? 0n) + penaltyOf(promisesOf(bidder), stake)

/** (limit - score) * energy - trip, in thousandths of a micro-unit. */
function gainOf(bidder: string, bid: Bid, preferences: Preferences): bigint {
  const taken = bid.energy < preferences.energy ? bid.energy : preferences.energy
  const trip = preferences.tripTo?.(bid.line) ?? 0n
  return (preferences.limit - scoreOf(bidder, bid, preferences)) * taken - trip * 1000n
}

function refusalOf(bidder: string, entry: Entry, preferences: Preferences): LoserReason | undefined {
  if (entry.void === true) return 'auction.equivocation'
  const { bid } = entry
  if (bid === undefined) return 'auction.not-revealed'
  const { premium, strict, refuse, partners, limit, least, lowestFee } = preferences
  if (refuse.has(bidder) || partners?.has(bidder) === false) return 'auction.partner'
  if (strict && premium[bid.source] === undefined) return 'auction.source'
  if (bid.price > limit) return 'auction.limit'
  if (bid.energy < least) return 'auction.too-little'
  const fee = lowestFee?.(bid.line)
  if (fee?.ok === false) return 'auction.path'
  // A fee below the path's finds no reservation: the bid could not be carried out.
  if (fee !== undefined && bid.fee < fee.value) return 'auction.fee-below-path'
  return gainOf(bidder, bid, preferences) < 0n ? 'auction.not-worth-it' : undefined
}
