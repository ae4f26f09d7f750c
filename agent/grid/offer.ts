/**
 * A seller's side of requests for quotes: asks for the fee, bids, opens what was sealed, and makes the contract when it is
 * awarded. What is on hand is offered to everybody who asks and given to whoever awards first; later awards of what is gone
 * are declined. A peer may have so many requests open here and bring so many a minute; what is more is refused by name, and
 * leaves nothing behind.
 */
import type { Clock, Entropy, Log } from '../../drivers/ports.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { type Bucket, type BucketSize, fullBucket, takeTokens } from '../../protocol/crypto/bucket.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { type Bid, commitmentOf } from '../../protocol/market/reverse-auction.ts'
import { microsPerKwh, type Price, type WattHours, wattHours } from '../../protocol/quantity.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import type { Contract } from '../../protocol/trade/contract.ts'
import type { Body, BodyOf } from '../../protocol/trade/message.ts'
import type { GridConfig } from '../config/site-config.ts'
import { askedPrice, FIRST_MARGIN, nextMargin, type Window, wantFault } from './decide.ts'
import type { FeeDesk } from './fees.ts'
import { contractOf, type GridTerms } from './terms.ts'

/** A buyer has one request for each slot, and asks for the slots that come next. */
const MOST_OPEN = 4
/** A burst after a restart, then one every five seconds: shorter slots than that nobody trades in. */
const REQUESTS: BucketSize = { burst: 10, perSecond: 0.2 }

export interface OfferOptions {
  readonly grid: GridConfig
  readonly chainId: string
  readonly ownKey: Uint8Array
  /** Those who are answered, by name. */
  readonly peers: ReadonlyMap<string, Uint8Array>
  readonly fees: FeeDesk
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  send(peer: string, body: Body): void
  ownMeter(): string | undefined
  /** What is left to sell in a window, whatever is offered already. */
  left(window: Window): WattHours
  /** What of that quotes are to have: the rest is expected to bring more elsewhere. */
  offerable(window: Window): WattHours
  /** Nothing new is begun: the reason. */
  closed(): string | undefined
  /** Awarded: the contract is to be signed and sent. `fee` is the distributor's price per kWh. */
  agreed(peer: string, contract: Contract, fee: Price, requested: Mono): Result<void>
}

export interface Offering {
  hear(peer: string, body: BodyOf<'want' | 'reveal' | 'award' | 'decline'>): void
  sweep(): void
  /** What is asked now, the fee aside. */
  asked(): Price
  stats(): { readonly open: number; readonly refused: Readonly<Record<string, number>>; readonly margin: number }
}

interface Offer {
  readonly peer: string
  readonly want: BodyOf<'want'>
  readonly requested: Mono
  /** Present once the fee is known. */
  bid?: Bid
}

export function createOffering(options: OfferOptions): Offering {
  const { grid, clock, log } = options
  const own = addressOf(options.ownKey)
  const offers = new Map<string, Offer>()
  const buckets = new Map<string, Bucket>()
  /** What a peer was last refused for: said once, until it is served again. */
  const told = new Map<string, string>()
  const refused: Record<string, number> = {}
  /** When the price last came down after a peer. */
  const lost = new Map<string, Mono>()
  let margin = FIRST_MARGIN
  const keyOf = (peer: string, id: Uint8Array) => `${peer} ${toHex(id)}`

  function refuse(peer: string, id: Uint8Array, reason: string, why?: Fault): void {
    refused[reason] = (refused[reason] ?? 0) + 1
    options.send(peer, { kind: 'decline', id, reason })
    if (told.get(peer) !== reason) log('info', 'grid', `${peer}'s request is declined`, { ...why, code: reason })
    told.set(peer, reason)
  }

  /** Why no more may be opened for a peer. */
  function flood(peer: string): string | undefined {
    const tokens = takeTokens(buckets.get(peer) ?? fullBucket(REQUESTS, clock.mono()), REQUESTS, 1, clock.mono())
    if (tokens === undefined) return 'grid.too-often'
    buckets.set(peer, tokens)
    const open = [...offers.values()].filter(offer => offer.peer === peer).length
    return open >= MOST_OPEN ? 'grid.too-many' : undefined
  }

  function hearWant(peer: string, want: BodyOf<'want'>): void {
    const { id, start, end, energy, least, to } = want
    if (offers.has(keyOf(peer, id))) return
    const { sell } = grid
    const meter = options.ownMeter()
    const reason =
      flood(peer) ??
      options.closed() ??
      (sell === undefined || grid.refuse.includes(peer) ? 'grid.not-offered' : undefined) ??
      (meter === undefined ? 'grid.no-meter' : undefined) ??
      wantFault(want, clock.now())
    if (sell === undefined || meter === undefined || reason !== undefined)
      return refuse(peer, id, reason ?? 'grid.not-offered')
    const left = options.offerable({ start, end })
    if (left < least || left === 0n) return refuse(peer, id, 'grid.nothing-on-hand')
    const offer: Offer = { peer, want, requested: clock.mono() }
    offers.set(keyOf(peer, id), offer)
    const offered = wattHours(left < energy ? left : energy)
    options.fees.ask({ id, line: grid.node, to, start, end, energy: offered }, fee => {
      if (offers.get(keyOf(peer, id)) !== offer) return
      if (!fee.ok) {
        offers.delete(keyOf(peer, id))
        return refuse(peer, id, fee.fault.code, fee.fault)
      }
      told.delete(peer)
      const price = microsPerKwh(askedPrice(sell, margin) + fee.value)
      offer.bid = {
        ...{ id, energy: offered, price, fee: fee.value, source: grid.source, line: grid.node, meter },
        salt: options.entropy.bytes(16),
      }
      if (want.way === 'matching') options.send(peer, { kind: 'bid', ...offer.bid })
      else options.send(peer, { kind: 'sealed-bid', id, commitment: commitmentOf(offer.bid, own) })
    })
  }

  function hearReveal({ peer, want, bid }: Offer, { commitments }: BodyOf<'reveal'>): void {
    // What is not among them came too late; opened, it would tell our price for nothing.
    if (bid === undefined || want.way !== 'bidding') return
    if (commitments.some(one => equalBytes(one, commitmentOf(bid, own)))) options.send(peer, { kind: 'bid', ...bid })
  }

  function hearAward(offer: Offer, award: BodyOf<'award'>): void {
    const { peer, want, bid, requested } = offer
    const { id, start, end } = want
    const fault = bid === undefined ? 'grid.no-bid' : awardFault(want, bid, award)
    if (bid === undefined || fault !== undefined) return refuse(peer, id, fault ?? 'grid.no-bid')
    offers.delete(keyOf(peer, id))
    if (clock.now() > want.awardBy) return refuse(peer, id, 'grid.award-late')
    const left = options.left({ start, end })
    if (left < award.energy)
      return refuse(peer, id, 'grid.sold-out', { code: 'grid.sold-out', left, wanted: award.energy })
    const key = options.peers.get(peer)!
    const terms: GridTerms = {
      ...{ id, role: 'seller', start, end, energy: award.energy, price: bid.price },
      own: { key: options.ownKey, node: bid.line, meter: bid.meter },
      peer: { key, node: award.node, meter: award.meter },
    }
    const agreed = options.agreed(peer, contractOf(options.chainId, grid, terms), bid.fee, requested)
    if (agreed.ok) margin = nextMargin(margin, true)
    else refuse(peer, id, agreed.fault.code, agreed.fault)
  }

  function lose({ peer, want, bid }: Offer): void {
    offers.delete(keyOf(peer, want.id))
    const [now, before] = [clock.mono(), lost.get(peer)]
    // A buyer asks once a slot: who asks again and again, and buys nothing, does not talk the price down.
    if (bid === undefined || (before !== undefined && now - before < grid.slotMs / 2)) return
    lost.set(peer, now)
    margin = nextMargin(margin, false)
  }

  return {
    hear(peer, body) {
      if (!options.peers.has(peer)) return
      if (body.kind === 'want') return hearWant(peer, body)
      const offer = offers.get(keyOf(peer, body.id))
      if (offer === undefined) {
        if (body.kind === 'award') refuse(peer, body.id, 'grid.no-such-offer')
        return
      }
      if (body.kind === 'reveal') return hearReveal(offer, body)
      if (body.kind === 'award') return hearAward(offer, body)
      lose(offer)
    },
    sweep() {
      for (const offer of offers.values()) if (clock.now() > offer.want.awardBy) lose(offer)
    },
    asked: () => (grid.sell === undefined ? microsPerKwh(0n) : askedPrice(grid.sell, margin)),
    stats: () => ({ open: offers.size, refused: { ...refused }, margin }),
  }
}

/** Why an award is not what was asked for and bid; undefined where it is. */
function awardFault(want: BodyOf<'want'>, bid: Bid, award: BodyOf<'award'>): string | undefined {
  if (award.as !== 'buyer' || award.agreement !== undefined || award.receipts !== undefined) return 'grid.award-kind'
  if (award.start !== want.start || award.end !== want.end || award.node !== want.to) return 'grid.award-window'
  if (award.price !== bid.price) return 'grid.award-price'
  return award.energy > bid.energy || award.energy < want.least ? 'grid.award-energy' : undefined
}
