/**
 * The price band of a market: floor and ceiling of a kilowatt-hour's price for some time, signed by the regulator.
 *
 * Canonical CBOR in a COSE_Sign1 with external_aad `tieline/band/1/` and the ledger's chain id. An offer above the ceiling and
 * a bid below the floor are refused; every other limit counts as if it lay within the band, and so does every price. Orders
 * whose limits the ceiling or the floor made equal have no order among them that means anything: where one of these is the
 * last matched price, they share in proportion whatever the rule says of ties.
 */

import { equalBytes, toHex, utf8 } from '../bytes.ts'
import { assemble, type CoseFault, kidOf, parseSign1, toBeSigned, verifySign1 } from '../crypto/cose.ts'
import type { Verifier } from '../crypto/verify.ts'
import { algOfKey } from '../identity/key.ts'
import { signerHeader } from '../identity/signer-header.ts'
import { microsPerKwh, type Price } from '../quantity.ts'
import { decodeAs, encodeAs, integer, type RecordFault, record } from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { contractPrice, unixMs } from '../trade/contract.ts'
import { type ClearFault, type Clearing, clear, type Rule } from './clear.ts'
import type { BookOrder } from './ranking.ts'

const VERSION = 1
/** Fixed fields take 50 bytes, the envelope 90. */
const MAX_BYTES = 256

export interface PriceBand {
  /** Good from `from`, before `until`. */
  readonly from: Instant
  readonly until: Instant
  readonly floor: Price
  readonly ceiling: Price
}

const codec = record({
  version: [1, integer(VERSION, VERSION)],
  from: [2, unixMs],
  until: [3, unixMs],
  floor: [4, contractPrice],
  ceiling: [5, contractPrice],
})

export type BandFault =
  | RecordFault
  | CoseFault
  | { readonly code: 'band.order'; readonly floor: bigint; readonly ceiling: bigint }
  | { readonly code: 'band.key'; readonly expected: string; readonly received: string }
  | { readonly code: 'band.not-yet-valid'; readonly from: number; readonly slot: number }
  | { readonly code: 'band.expired'; readonly until: number; readonly slot: number }

const contextOf = (chainId: string): Uint8Array => utf8(`tieline/band/${VERSION}/${chainId}`)

export const encodeBand = (band: PriceBand): Uint8Array => encodeAs(codec, { version: VERSION, ...band })

/** What the regulator's key signs. */
export const bandToSign = (payload: Uint8Array, regulator: Uint8Array, chainId: string): Uint8Array =>
  toBeSigned(signerHeader(regulator), payload, contextOf(chainId))

export const assembleSignedBand = (payload: Uint8Array, regulator: Uint8Array, signature: Uint8Array): Uint8Array =>
  assemble(signerHeader(regulator), payload, signature)

/** The band of the slot that starts at `slot`, signed by this regulator for this ledger's market. */
export function verifyBand(
  sign1: Uint8Array,
  regulator: Uint8Array,
  chainId: string,
  slot: Instant,
  verifier: Verifier,
): Result<PriceBand, BandFault> {
  const envelope = parseSign1(sign1, MAX_BYTES)
  if (!envelope.ok) return envelope
  const { alg, kid } = envelope.value
  const expected = kidOf(algOfKey(regulator) ?? 'EdDSA', regulator)
  if (alg !== algOfKey(regulator) || !equalBytes(kid, expected)) {
    return fail({ code: 'band.key', expected: toHex(expected), received: toHex(kid) })
  }
  const payload = verifySign1(envelope.value, regulator, contextOf(chainId), verifier)
  if (!payload.ok) return payload
  const read = decodeAs(codec, payload.value, 'band', MAX_BYTES)
  if (!read.ok) return read
  const { version: _, ...band } = read.value
  const { from, until, floor, ceiling } = band
  if (floor > ceiling) return fail({ code: 'band.order', floor, ceiling })
  if (slot < from) return fail({ code: 'band.not-yet-valid', from, slot })
  return slot >= until ? fail({ code: 'band.expired', until, slot }) : ok(band)
}

/** Why an order has no place in a banded book. */
export type BandRefusal =
  | { readonly code: 'band.offer-above-ceiling'; readonly limit: bigint; readonly ceiling: bigint }
  | { readonly code: 'band.bid-below-floor'; readonly limit: bigint; readonly floor: bigint }

type Limits = Pick<PriceBand, 'floor' | 'ceiling'>

/** The order with its limit as the band lets it count, or why it does not count at all. */
export function holdInBand<T extends Pick<BookOrder, 'side' | 'limit'>>(
  order: T,
  { floor, ceiling }: Limits,
): Result<T, BandRefusal> {
  const { side, limit } = order
  if (side === 'offer' && limit > ceiling) return fail({ code: 'band.offer-above-ceiling', limit, ceiling })
  if (side === 'bid' && limit < floor) return fail({ code: 'band.bid-below-floor', limit, floor })
  return ok(limit < floor ? { ...order, limit: floor } : limit > ceiling ? { ...order, limit: ceiling } : order)
}

export interface BandedClearing<T> {
  readonly clearing: Clearing
  /** The book that was cleared, to which the clearing's places refer: those that counted, with the limits that counted. */
  readonly orders: readonly T[]
  readonly refused: readonly { readonly order: T; readonly fault: BandRefusal }[]
}

/** A book cleared within a band. Every price in it lies within the band, as all limits do. */
export function clearWithin<T extends BookOrder>(
  orders: readonly T[],
  rule: Rule,
  beacon: Uint8Array,
  band: Limits,
): Result<BandedClearing<T>, ClearFault> {
  const held: T[] = []
  const refused: { order: T; fault: BandRefusal }[] = []
  for (const order of orders) {
    const within = holdInBand(order, band)
    if (within.ok) held.push(within.value)
    else refused.push({ order, fault: within.fault })
  }
  const first = clear(held, rule, beacon)
  if (!first.ok) return first
  const sharing = { ...rule, ties: 'pro-rata' } as const
  const clearing =
    rule.ties === 'first-come' && endsAtBand(held, first.value, band) ? clear(held, sharing, beacon) : first
  return clearing.ok ? ok({ clearing: clearing.value, orders: held, refused }) : clearing
}

/** Whether the last matched bid is at the ceiling or the last matched offer at the floor. */
function endsAtBand(orders: readonly BookOrder[], { trades }: Clearing, { floor, ceiling }: Limits): boolean {
  const last = trades.quantity.length - 1
  if (last < 0) return false
  const at = (places: Uint32Array): Price => orders[places[last]!]?.limit ?? microsPerKwh(-1n)
  return at(trades.bid) === ceiling || at(trades.offer) === floor
}
