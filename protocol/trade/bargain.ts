/**
 * Alternating offers on one request: who moves next, at what price, and when to stop (Faratin, Sierra and Jennings'
 * time-dependent tactics, on integers).
 *
 * The buyer opens with its request. Each answer concedes from the side's opening price towards its limit, by rounds or by
 * time, whichever is further; the last round offers the limit and is marked final. A side accepts what is at least as good
 * as what it would offer next, and accepts a final offer that is within its limit. So: no side ever goes beyond its limit,
 * two sides whose limits overlap agree unless a deadline passes first, and the smaller number of rounds, twice, ends it.
 */
import { type Price, type WattHours, wattHours } from '../quantity.ts'
import type { Mono } from '../time.ts'
import type { Party } from './contract.ts'

export interface Aim {
  readonly side: Party
  /** The price this side hopes for, and the one it never goes beyond: a buyer's limit is the higher of the two. */
  readonly opening: Price
  readonly limit: Price
  /** Energy wanted or on hand, and what is too little to bother. */
  readonly most: WattHours
  readonly least: WattHours
  /** Own offers at most; the last one is the limit. */
  readonly rounds: number
  readonly from: Mono
  readonly deadline: Mono
  /** 1 concedes evenly; 2 and 3 hold out and give way late. */
  readonly firmness: 1 | 2 | 3
}

export interface Proposal {
  readonly energy: WattHours
  readonly price: Price
  /** No better one follows. */
  readonly final: boolean
}

export interface Bargain {
  readonly aim: Aim
  /** Own offers made. */
  readonly made: number
  readonly last?: Proposal
}

export type Move =
  | { readonly kind: 'offer'; readonly proposal: Proposal }
  | { readonly kind: 'accept'; readonly proposal: Proposal }
  | { readonly kind: 'decline'; readonly reason: DeclineReason }

export type DeclineReason =
  | 'bargain.too-late'
  | 'bargain.too-little'
  | 'bargain.too-much'
  | 'bargain.beyond-limit'
  | 'bargain.no-room'

/** Progress is counted in ten-thousandths, so that its cube still fits a safe integer. */
const WHOLE = 10_000

/** The buyer's first proposal; it goes out as the request. */
export function openBargain(aim: Aim, now: Mono): { readonly bargain: Bargain; readonly move: Move } {
  return propose({ aim, made: 0 }, aim.most, now)
}

/** The answer to the other side's proposal. For a seller the first one comes with the request. */
export function answer(
  bargain: Bargain,
  theirs: Proposal,
  now: Mono,
): { readonly bargain: Bargain; readonly move: Move } {
  const { aim } = bargain
  const decline = (reason: DeclineReason) => ({ bargain, move: { kind: 'decline', reason } as const })
  if (now >= aim.deadline) return decline('bargain.too-late')
  if (theirs.energy < aim.least) return decline('bargain.too-little')
  // A buyer's request may exceed what a seller has, and is answered with less; an offer may never exceed the request.
  if (aim.side === 'buyer' && theirs.energy > aim.most) return decline('bargain.too-much')
  const enough = theirs.energy <= aim.most
  const within = isGood(aim.side, theirs.price, aim.limit)
  if (theirs.final || bargain.last?.final) {
    if (!within) return decline('bargain.beyond-limit')
    if (enough) return { bargain, move: { kind: 'accept', proposal: theirs } }
    // Their last price is good but asks for more than there is: what there is, at that price, take it or leave it.
    const rest = { energy: aim.most, price: theirs.price, final: true }
    return { bargain: { ...bargain, last: rest }, move: { kind: 'offer', proposal: rest } }
  }
  const next = propose(bargain, theirs.energy < aim.most ? theirs.energy : aim.most, now)
  if (enough && within && next.move.kind === 'offer' && isGood(aim.side, theirs.price, next.move.proposal.price)) {
    return { bargain, move: { kind: 'accept', proposal: theirs } }
  }
  return next
}

function propose(bargain: Bargain, energy: WattHours, now: Mono): { readonly bargain: Bargain; readonly move: Move } {
  const { aim } = bargain
  if (now >= aim.deadline) return { bargain, move: { kind: 'decline', reason: 'bargain.too-late' } }
  // A side whose hope lies beyond its own limit has nothing to bargain with.
  if (!isGood(aim.side, aim.opening, aim.limit) || aim.least > aim.most || aim.rounds < 1) {
    return { bargain, move: { kind: 'decline', reason: 'bargain.no-room' } }
  }
  const progress = Math.max(
    aim.rounds === 1 ? WHOLE : Math.floor((bargain.made * WHOLE) / (aim.rounds - 1)),
    Math.floor(((now - aim.from) * WHOLE) / Math.max(1, aim.deadline - aim.from)),
  )
  const capped = BigInt(Math.min(WHOLE, Math.max(0, progress)))
  const conceded = capped ** BigInt(aim.firmness)
  const whole = BigInt(WHOLE) ** BigInt(aim.firmness)
  // Division toward zero keeps a rounded price on the opening's side of the exact one.
  const price = (aim.opening + ((aim.limit - aim.opening) * conceded) / whole) as Price
  const final = bargain.made + 1 >= aim.rounds
  const proposal = { energy: wattHours(energy), price: final ? aim.limit : price, final }
  return { bargain: { aim, made: bargain.made + 1, last: proposal }, move: { kind: 'offer', proposal } }
}

/** Whether `price` is at least as good as `than` for this side. */
const isGood = (side: Party, price: Price, than: Price): boolean => (side === 'buyer' ? price <= than : price >= than)
