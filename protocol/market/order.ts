/**
 * An order for one slot of a call auction: what a pseudonym would buy or sell at a node, and up to which price.
 *
 * Canonical CBOR map in a COSE_Sign1 by the pseudonym's own key, external_aad `tieline/order/1/` and the ledger's chain id,
 * so that no order counts on two markets. About 250 bytes without a certificate. The order's id is the first 16 bytes of
 * SHA-256 of the signed payload: nobody can have the id of somebody else's order.
 */

import { toHex, utf8 } from '../bytes.ts'
import { assemble, type CoseFault, parseSign1, toBeSigned, verifySign1 } from '../crypto/cose.ts'
import { sha256 } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import { algOfKey } from '../identity/key.ts'
import { signerHeader } from '../identity/signer-header.ts'
import type { Price, WattHours } from '../quantity.ts'
import { big, bytes, type Codec, decodeAs, encodeAs, flag, integer, type RecordFault, record, word } from '../record.ts'
import { done, fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { contractPrice, lineId, type Source, source, unixMs } from '../trade/contract.ts'

const VERSION = 1
/** What one contract takes (trade/contract.ts): a matched order becomes contracts. */
export const MAX_ORDER_WH = 10_000_000n
export const MAX_ORDER_PRICE = 1_000_000_000n
const MAX_SEQUENCE = 0xffff_ffff
/** A certificate of a one-time key by an RSA key of 4,096 bits, with its names. */
const MAX_CERTIFICATE_BYTES = 700
/** Fixed fields and two keys take 350 bytes. */
const MAX_BYTES = 1500

/** As far as CBOR's own integers go: what is out of an order's bounds is refused by name below. */
const anyWhole = <T extends bigint>() => big<T>(-(1n << 64n), (1n << 64n) - 1n)

/** What a kWh of each source is worth to a buyer beyond its limit, and whether it takes no source but those named. */
export interface Preferences {
  readonly premium: Readonly<Partial<Record<Source, Price>>>
  readonly strict: boolean
}
const preferences: Codec<Preferences> = record({
  premium: [
    1,
    record(
      {},
      {
        solar: [1, contractPrice],
        wind: [2, contractPrice],
        battery: [3, contractPrice],
        conventional: [4, contractPrice],
      },
    ),
  ],
  strict: [2, flag],
})

const codec = record(
  {
    version: [1, integer(VERSION, VERSION)],
    side: [2, word('bid', 'offer')],
    pseudonym: [3, bytes(32, 33)],
    slot: [4, unixMs],
    quantity: [5, anyWhole<WattHours>()],
    limit: [6, anyWhole<Price>()],
    node: [7, lineId],
    validFrom: [8, unixMs],
    expiry: [9, unixMs],
    sequence: [10, integer(0, MAX_SEQUENCE)],
  },
  {
    source: [11, source],
    preferences: [12, preferences],
    certificate: [13, bytes(1, MAX_CERTIFICATE_BYTES)],
    meeting: [14, bytes(32)],
  },
)

export type Side = 'bid' | 'offer'

export interface OrderTerms {
  readonly side: Side
  /** The public key that signs this order, of this slot alone. */
  readonly pseudonym: Uint8Array
  /** When the slot starts. */
  readonly slot: Instant
  readonly quantity: WattHours
  /** The most that a bid pays, the least that an offer takes, fees aside. */
  readonly limit: Price
  /** Where the energy leaves or enters the network. */
  readonly node: string
  readonly validFrom: Instant
  /** The order is nobody's word from then on. */
  readonly expiry: Instant
  /** Goes before the draw among orders of one price. */
  readonly sequence: number
  /** Of an offer, and of it alone: what stands behind the meter. */
  readonly source?: Source
  /** Of a bid alone. */
  readonly preferences?: Preferences
  /** That the pseudonym is one of the slot's (protocol/privacy). */
  readonly certificate?: Uint8Array
  /** X25519: where its maker is written to, whoever it is (protocol/privacy/meeting.ts). */
  readonly meeting?: Uint8Array
}

export interface Order extends OrderTerms {
  /** 16 bytes. */
  readonly id: Uint8Array
}

export type OrderFault =
  | RecordFault
  | CoseFault
  | { readonly code: 'order.quantity'; readonly quantity: bigint; readonly least: bigint; readonly most: bigint }
  | { readonly code: 'order.price'; readonly limit: bigint; readonly least: bigint; readonly most: bigint }
  | { readonly code: 'order.window'; readonly validFrom: number; readonly expiry: number }
  | { readonly code: 'order.source'; readonly side: Side; readonly reason: string }
  | { readonly code: 'order.other-key'; readonly alg: string; readonly bytes: number }

const contextOf = (chainId: string): Uint8Array => utf8(`tieline/order/${VERSION}/${chainId}`)

export const encodeOrder = (terms: OrderTerms): Uint8Array => encodeAs(codec, { version: VERSION, ...terms })

/** What the pseudonym's key signs. */
export const orderToSign = (payload: Uint8Array, pseudonym: Uint8Array, chainId: string): Uint8Array =>
  toBeSigned(signerHeader(pseudonym), payload, contextOf(chainId))

export const assembleSignedOrder = (payload: Uint8Array, pseudonym: Uint8Array, signature: Uint8Array): Uint8Array =>
  assemble(signerHeader(pseudonym), payload, signature)

/** An order that keeps every rule which needs no book and no clock, from its payload alone. */
export function decodeOrder(payload: Uint8Array): Result<Order, OrderFault> {
  const read = decodeAs(codec, payload, 'order', MAX_BYTES)
  if (!read.ok) return read
  const { version: _, ...terms } = read.value
  const { side, quantity, limit, validFrom, expiry } = terms
  if (quantity < 1n || quantity > MAX_ORDER_WH) {
    return fail({ code: 'order.quantity', quantity, least: 1n, most: MAX_ORDER_WH })
  }
  if (limit < 0n || limit > MAX_ORDER_PRICE) {
    return fail({ code: 'order.price', limit, least: 0n, most: MAX_ORDER_PRICE })
  }
  if (expiry <= validFrom) return fail({ code: 'order.window', validFrom, expiry })
  const reason = sourceFault(terms)
  return reason === undefined ? ok({ id: orderId(payload), ...terms }) : fail({ code: 'order.source', side, reason })
}

const orderId = (payload: Uint8Array): Uint8Array => sha256(payload).subarray(0, 16)

function sourceFault({ side, source, preferences }: OrderTerms): string | undefined {
  if (side === 'offer') {
    if (source === undefined) return 'an offer names its source'
    return preferences === undefined ? undefined : 'an offer has no preferences'
  }
  if (source !== undefined) return 'a bid has no source'
  return preferences?.strict === true && Object.keys(preferences.premium).length === 0
    ? 'no source at all would do'
    : undefined
}

/** An order as it came, signed by the pseudonym that it names, for the market of this ledger. */
export function verifyOrder(sign1: Uint8Array, chainId: string, verifier: Verifier): Result<Order, OrderFault> {
  const envelope = parseSign1(sign1, MAX_BYTES)
  if (!envelope.ok) return envelope
  const order = decodeOrder(envelope.value.payload)
  if (!order.ok) return order
  const { pseudonym } = order.value
  const { alg } = envelope.value
  if (alg !== algOfKey(pseudonym)) return fail({ code: 'order.other-key', alg, bytes: pseudonym.length })
  const signed = verifySign1(envelope.value, pseudonym, contextOf(chainId), verifier)
  return signed.ok ? order : signed
}

/** The book that an order is for. */
export interface BookTerms {
  readonly slot: Instant
  readonly nodes: { has(node: string): boolean }
}

export type AdmissionFault =
  | { readonly code: 'order.slot'; readonly slot: number; readonly wanted: number }
  | { readonly code: 'order.node'; readonly node: string }
  | { readonly code: 'order.not-yet-valid'; readonly validFrom: number; readonly now: number }
  | { readonly code: 'order.expired'; readonly expiry: number; readonly now: number }

/** Whether an order is for this book, now. */
export function admit(order: Order, { slot, nodes }: BookTerms, now: Instant): Result<undefined, AdmissionFault> {
  const { validFrom, expiry, node } = order
  if (order.slot !== slot) return fail({ code: 'order.slot', slot: order.slot, wanted: slot })
  if (!nodes.has(node)) return fail({ code: 'order.node', node })
  if (now < validFrom) return fail({ code: 'order.not-yet-valid', validFrom, now })
  if (now >= expiry) return fail({ code: 'order.expired', expiry, now })
  return done
}

/** By what two orders are one pseudonym's twice on one side of a slot. */
export const makerOf = ({ pseudonym, side }: OrderTerms): string => `${side} ${toHex(pseudonym)}`
