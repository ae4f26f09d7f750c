/**
 * How a car finds a charging station without saying who it is or where it goes (after Knirsch, Unterweger, Engel: "Privacy-
 * preserving blockchain-based electric vehicle charging with dynamic tariff decisions", 2018).
 *
 *     request      the car, under a key of this charge alone: a region, how much, until when
 *     bid          each station there that can, under its own name: its place and its price
 *     commitment   the car: a hash of the station that it chose by price and by its own way there
 *     reveal       the car, to the station, when it is plugged in: what the hash was made of
 *
 * All but the reveal are for everybody to read, on a ledger or by letters to all stations. A car that takes no bid commits itself as
 * well, to no station. No station is held for it: it bids for whoever comes first. Each message is a COSE_Sign1 over a canonical CBOR
 * map, external_aad `tieline/charging/1/` and the ledger's chain id.
 */

import { equalBytes, toHex, utf8 } from '../bytes.ts'
import { assemble, type CoseFault, parseSign1, toBeSigned, verifySign1 } from '../crypto/cose.ts'
import { addressOf, sha256 } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import { algOfKey } from '../identity/key.ts'
import { signerHeader } from '../identity/signer-header.ts'
import { type Price, type WattHours, wattHours } from '../quantity.ts'
import { bytes, type Codec, decodeAs, encodeAs, integer, type RecordFault, record, word } from '../record.ts'
import { done, fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { address, contractEnergy, contractPrice, lineId, unixMs } from '../trade/contract.ts'

const MAX_BYTES = 400
/** Cars ask for whole multiples of this: the exact need would be known again. */
const CHARGE_LOT_WH = 5_000n
const EARTH_M = 20_037_509
/** Where nothing was chosen. */
export const NO_STATION: Uint8Array = new Uint8Array(20)

/** Metres east and north of the region's own origin. */
export interface Place {
  readonly east: number
  readonly north: number
}
const metres = integer(-EARTH_M, EARTH_M)

const id = bytes(16)
/** Any signer's raw key. */
const key = bytes(32, 33)

const request = record({
  kind: [1, word('request', 'bid', 'commitment')],
  id: [2, id],
  by: [3, key],
  region: [4, lineId],
  energy: [5, contractEnergy],
  until: [6, unixMs],
})
const bid = record({
  kind: [1, word('request', 'bid', 'commitment')],
  id: [2, id],
  by: [3, key],
  price: [4, contractPrice],
  place: [5, record({ east: [1, metres], north: [2, metres] })],
})
const commitment = record({
  kind: [1, word('request', 'bid', 'commitment')],
  id: [2, id],
  by: [3, key],
  hash: [4, bytes(32)],
})
const committed = record({ id: [1, id], station: [2, address], salt: [3, bytes(32)] })

export interface ChargeRequest {
  readonly id: Uint8Array
  /** A key of this charge alone. */
  readonly by: Uint8Array
  readonly region: string
  readonly energy: WattHours
  readonly until: Instant
}
export interface StationBid {
  /** The request's. */
  readonly id: Uint8Array
  /** The station's own key. */
  readonly by: Uint8Array
  readonly price: Price
  readonly place: Place
}
export interface Choice {
  readonly id: Uint8Array
  /** The request's. */
  readonly by: Uint8Array
  readonly hash: Uint8Array
}
/** What the hash was made of. */
export interface Reveal {
  readonly id: Uint8Array
  /** The station's address; 20 zeros for none. */
  readonly station: Uint8Array
  /** Drawn for this hash: without it the few stations of a region could be tried. */
  readonly salt: Uint8Array
}

export type ChargingMessage =
  | ({ readonly kind: 'request' } & ChargeRequest)
  | ({ readonly kind: 'bid' } & StationBid)
  | ({ readonly kind: 'commitment' } & Choice)

export type ChargingFault =
  | RecordFault
  | CoseFault
  | { readonly code: 'charging.other-key'; readonly alg: string; readonly bytes: number }
  | { readonly code: 'charging.energy'; readonly energy: bigint; readonly lot: bigint }
  | { readonly code: 'charging.other-request'; readonly expected: string; readonly received: string }
  | { readonly code: 'charging.not-chosen'; readonly station: string }

const CODECS = { request, bid, commitment } as const
const contextOf = (chainId: string): Uint8Array => utf8(`tieline/charging/1/${chainId}`)

/** A message that waits for the signature of `by`. */
export function chargingToSign(message: ChargingMessage, chainId: string) {
  const payload = encodeAs(CODECS[message.kind] as Codec<unknown>, message)
  const header = signerHeader(message.by)
  return {
    toSign: toBeSigned(header, payload, contextOf(chainId)),
    withSignature: (signature: Uint8Array): Uint8Array => assemble(header, payload, signature),
  }
}

/** A message as it came, signed by the key that it names. */
export function readCharging(
  sign1: Uint8Array,
  kind: ChargingMessage['kind'],
  chainId: string,
  verifier: Verifier,
): Result<ChargingMessage, ChargingFault> {
  const envelope = parseSign1(sign1, MAX_BYTES)
  if (!envelope.ok) return envelope
  const read = decodeAs(CODECS[kind] as Codec<ChargingMessage>, envelope.value.payload, kind, MAX_BYTES)
  if (!read.ok) return read
  const message = read.value
  if (message.kind !== kind) return fail({ code: 'record.shape', field: 'kind', reason: message.kind })
  const { alg } = envelope.value
  if (alg !== algOfKey(message.by)) return fail({ code: 'charging.other-key', alg, bytes: message.by.length })
  const signed = verifySign1(envelope.value, message.by, contextOf(chainId), verifier)
  if (!signed.ok) return signed
  if (message.kind === 'request' && message.energy % CHARGE_LOT_WH !== 0n)
    return fail({ code: 'charging.energy', energy: message.energy, lot: CHARGE_LOT_WH })
  return ok(message)
}

/** A need as it is asked for. */
export const chargeLots = (need: WattHours): WattHours =>
  wattHours(((need + CHARGE_LOT_WH - 1n) / CHARGE_LOT_WH) * CHARGE_LOT_WH)

/** The cheapest bid, the way there included; `perKm` is what a kilometre costs the car, in micro-units. Undefined without bids. */
export function chooseStation(
  bids: readonly StationBid[],
  own: Place,
  { energy, perKm }: { readonly energy: WattHours; readonly perKm: bigint },
): StationBid | undefined {
  let best: StationBid | undefined
  let least: bigint | undefined
  for (const bid of bids) {
    const cost = (bid.price * energy) / 1000n + (perKm * BigInt(distance(bid.place, own))) / 1000n
    if (least === undefined || cost < least) [best, least] = [bid, cost]
  }
  return best
}

/** Metres, as the crow flies. */
const distance = (a: Place, b: Place): number => Math.round(Math.hypot(a.east - b.east, a.north - b.north))

export const choiceHash = (reveal: Reveal): Uint8Array => sha256(encodeAs(committed, reveal))

/** Whether the car that is plugged in here is the one that chose this station. */
export function checkReveal(choice: Choice, reveal: Reveal, stationKey: Uint8Array): Result<void, ChargingFault> {
  if (!equalBytes(choice.id, reveal.id)) {
    return fail({ code: 'charging.other-request', expected: toHex(choice.id), received: toHex(reveal.id) })
  }
  const own = equalBytes(reveal.station, addressOf(stationKey))
  return own && equalBytes(choiceHash(reveal), choice.hash)
    ? done
    : fail({ code: 'charging.not-chosen', station: toHex(reveal.station) })
}
