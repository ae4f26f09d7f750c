/**
 * What two agents say to each other, agent to agent, signed and sealed (protocol/crypto/seal.ts).
 *
 * A deal takes, in order: request, offers in turn, accept (the contract and one half), countersign (the other half),
 * committed (the buyer's transaction is handed in), ready (the buyer's end is closed onto the dead line), started, stop,
 * stopped, receipt-copy; at most 12 with four rounds of bargaining, heartbeats and readings aside. Over the grid: want, and
 * in a bidding sealed-bid and reveal, then bid, award, accept, countersign, reserved, committed; 7 or 9 between the two that
 * make the deal, whatever its window, and fee-wanted and fee-offer between the seller and the distributor: once, and where
 * congestion has a price once more for the contract. The negotiation's id is the contract's nonce, so that a contract names the negotiation that it came from.
 */

import { toHex } from '../bytes.ts'
import type { Cbor } from '../cbor.ts'
import type { Energy, Money, Voltage, WattHours } from '../quantity.ts'
import {
  big,
  bytes,
  type Codec,
  decodeAs,
  encodeAs,
  flag,
  integer,
  list,
  type RecordFault,
  record,
  text,
  word,
} from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { address, contractEnergy, contractPrice, lineId, meterId, receiptMode, source, unixMs } from './contract.ts'

/** Leaves room for signature, nonce and tag below the 4,096 bytes of a sealed message. */
const MAX_MESSAGE_BYTES = 3900

const id = bytes(16)
const hash = bytes(32)
/** A signed reading is 200 to 330 bytes, a context record not much more. */
const envelope = bytes(1, 800)
const half = bytes(80, 700)
const counter = integer(0, Number.MAX_SAFE_INTEGER)
/** A fault's code, as in `meter.stale`, for the other side's log. */
const code = text(/^[a-z0-9.-]{1,64}$/)

/** A community group's, as the ledger has it. */
const groupName = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$/)

/** One meter's signed reading and the context record that it refers to. */
export interface SignedReading {
  readonly envelope: Uint8Array
  readonly context: Uint8Array
}
/** A receipt: what one side's meter stood at when the deal began and ended, signed. */
export interface Receipt {
  readonly begin: SignedReading
  readonly end: SignedReading
}
const signedReading = record({ envelope: [1, envelope], context: [2, envelope] })

/** 1 MWh: more than a lorry's battery. */
const MAX_PARK_WH = 1_000_000n

const stopReason = word('window', 'energy', 'operator', 'fault', 'restart')
export type StopReason = 'window' | 'energy' | 'operator' | 'fault' | 'restart'

/** Number on the wire (never reused) and fields of each kind. */
const KINDS = {
  /** A buyer wants energy on a line, opens at a price, and would take no less than `least`. */
  request: [
    1,
    record({
      id: [1, id],
      line: [2, lineId],
      start: [3, unixMs],
      end: [4, unixMs],
      energy: [5, contractEnergy],
      least: [6, contractEnergy],
      price: [7, contractPrice],
      final: [8, flag],
    }),
  ],
  /** Either side's next price, in turn. `final` says that no better one follows. */
  offer: [
    2,
    record({
      id: [1, id],
      energy: [2, contractEnergy],
      price: [3, contractPrice],
      final: [4, flag],
    }),
  ],
  accept: [3, record({ id: [1, id], contract: [2, bytes(1, 512)], half: [3, half] })],
  countersign: [4, record({ hash: [1, hash], half: [2, half] })],
  decline: [5, record({ id: [1, id], reason: [2, code] })],
  committed: [6, record({ hash: [1, hash], tx: [2, hash] })],
  /** With the begin reading of the end that says it, from which its later readings count. */
  ready: [7, record({ hash: [1, hash], begin: [2, signedReading] })],
  started: [8, record({ hash: [1, hash], begin: [2, signedReading] })],
  /** The sender's own line contact and the line's voltage as its meter sees it; `echo` is explained in heartbeat.ts. */
  heartbeat: [
    9,
    record(
      {
        hash: [1, hash],
        line: [2, lineId],
        contact: [3, word('open', 'closed', 'unknown')],
        sequence: [4, counter],
        welded: [7, flag],
      },
      { echo: [5, counter], voltage: [6, integer<Voltage>(0, 1_000_000)] },
    ),
  ],
  reading: [10, record({ hash: [1, hash], reading: [2, signedReading] })],
  stop: [11, record({ hash: [1, hash], reason: [2, stopReason] }, { code: [3, code] })],
  stopped: [12, record({ hash: [1, hash] })],
  'receipt-copy': [13, record({ hash: [1, hash], begin: [2, signedReading], end: [3, signedReading] })],
  /** The sender has not the recipient's receipt of a deal that the ledger has closed: a receipt-copy is the answer. */
  'receipt-wanted': [37, record({ hash: [1, hash] })],
  /** The message of this epoch and sequence was journaled. */
  ack: [14, record({ epoch: [1, counter], sequence: [2, counter] })],
  /** How far the sender's journal has come, signed by its account key (reading/head.ts): for the recipient to keep. */
  head: [15, record({ head: [1, envelope] })],

  // Over the grid (models B and C)
  /**
   * A buyer wants energy at node `to` in a window. `matching`: whoever can, bids at once and openly. `bidding`: sealed bids by
   * `sealBy`, opened on `reveal`. The award comes by `awardBy`. What the buyer would pay at most stays with the buyer.
   */
  want: [
    16,
    record(
      {
        id: [1, id],
        start: [2, unixMs],
        end: [3, unixMs],
        energy: [4, contractEnergy],
        least: [5, contractEnergy],
        way: [6, word('matching', 'bidding')],
        to: [7, lineId],
        sealBy: [8, unixMs],
        awardBy: [9, unixMs],
      },
      { receipts: [10, receiptMode] },
    ),
  ],
  /** SHA-256 of the bid's fields with its salt (protocol/market/reverse-auction.ts). */
  'sealed-bid': [17, record({ id: [1, id], commitment: [2, hash] })],
  /** No more bids: these were in time, and each of their makers opens its own. */
  reveal: [18, record({ id: [1, id], commitments: [2, list(hash, 1, 64)] })],
  /** `price` is all that the buyer pays for a kWh; `fee` is the distributor's part of it, which the seller pays on. */
  bid: [
    19,
    record({
      id: [1, id],
      energy: [2, contractEnergy],
      price: [3, contractPrice],
      fee: [4, contractPrice],
      source: [5, source],
      line: [6, lineId],
      meter: [7, meterId],
      salt: [8, bytes(16)],
    }),
  ],
  /**
   * Taken: the other side makes the contract with these terms and signs it first. `agreement` names the standing agreement by
   * which the price is fixed; no bid comes before it then, and the sender may be on either side.
   */
  award: [
    20,
    record(
      {
        id: [1, id],
        as: [2, word('buyer', 'seller')],
        start: [3, unixMs],
        end: [4, unixMs],
        energy: [5, contractEnergy],
        price: [6, contractPrice],
        node: [7, lineId],
        meter: [8, meterId],
      },
      { agreement: [9, hash], receipts: [10, receiptMode] },
    ),
  ],
  /** What does it cost to bring this energy from one node to another, and is there room? */
  'fee-wanted': [
    21,
    record(
      {
        id: [1, id],
        line: [2, lineId],
        to: [3, lineId],
        start: [4, unixMs],
        end: [5, unixMs],
        energy: [6, contractEnergy],
      },
      /** That came of it, and is to be reserved at the price said: the distributor's signature is wanted. */
      { contract: [7, bytes(1, 512)] },
    ),
  ],
  /** The distributor's price per kWh over the whole path, good until then. */
  'fee-offer': [
    22,
    record(
      { id: [1, id], price: [2, contractPrice], until: [3, unixMs] },
      {
        /** So much of the price is for congestion, or nothing yet: where this is said the ledger takes a signed offer only. */
        congestion: [4, contractPrice],
        /** For the contract in the question: fee-offer.ts. */
        offer: [5, bytes(1, 512)],
      },
    ),
  ],
  /** The seller's reservation is handed in to the distribution ledger. */
  reserved: [23, record({ hash: [1, hash], tx: [2, hash] })],
  /** An order for a call auction, as protocol/market/order.ts encodes and signs it. */
  order: [24, record({ order: [1, bytes(1, 1500)] })],

  // Demand response and community groups
  /** A call to take less, signed by its announcer (protocol/market/demand-response.ts): anybody may pass it on. */
  event: [25, record({ call: [1, bytes(1, 400)] })],
  /** What a meter counted: of an event, or of a group's slot, by its readings at some moments. */
  usage: [26, record({ about: [1, hash], meter: [2, meterId], readings: [3, list(signedReading, 1, 4)] })],
  /** What the sender may take from the grid in a slot, net, Wh: one figure for each of some forecasts that all know by number. */
  forecast: [
    27,
    record({ group: [1, groupName], slot: [2, counter], nets: [3, list(big(-(2n ** 53n), 2n ** 53n), 1, 20)] }),
  ],
  /** A gateway's signed statement of a slot (protocol/market/community.ts). */
  shares: [28, record({ statement: [1, bytes(1, 3600)] })],

  // One-time keys (protocol/privacy)
  /** A certificate for a slot and side: what is to be signed is blinded, the meter that asks is not. */
  'certificate-wanted': [
    29,
    record({
      id: [1, id],
      slot: [2, unixMs],
      side: [3, word('bid', 'offer')],
      meter: [4, meterId],
      blinded: [5, bytes(256, 512)],
    }),
  ],
  /** The signature over the blinded message, made with the published key. */
  certificate: [30, record({ id: [1, id], signature: [2, bytes(256, 512)] })],
  /** A mint is to sign the coin of this withdrawal (protocol/privacy/coins.ts): its answer stands on the ledger. */
  'coin-wanted': [
    36,
    record({ epoch: [1, unixMs], denomination: [2, big<Money>(1n, 2n ** 62n)], withdrawal: [3, hash] }),
  ],
  /** Somebody's, passed on: to one after the other while it walks, then to all (agent/grid/relay.ts). */
  passed: [35, record({ what: [1, word('order', 'meeting')], bytes: [2, bytes(1, 1500)], walking: [3, flag] })],

  // A car park's double auction (protocol/market/car-park.ts)
  /** A car takes part in the slot's auction: what it must have and could take, or could give. `id` is of this slot alone. */
  'park-enter': [
    31,
    record({
      id: [1, id],
      start: [2, unixMs],
      end: [3, unixMs],
      side: [4, word('charge', 'discharge')],
      least: [5, big<WattHours>(0n, MAX_PARK_WH)],
      most: [6, big<WattHours>(1n, MAX_PARK_WH)],
    }),
  ],
  /** The auctioneer asks: at this energy, in mWh, what is one kWh more worth to you, or what does it cost you? */
  'park-call': [
    32,
    record({ id: [1, id], round: [2, integer(1, 10_000)], energy: [3, big<Energy>(0n, MAX_PARK_WH * 1000n)] }),
  ],
  'park-answer': [33, record({ id: [1, id], round: [2, integer(1, 10_000)], price: [3, contractPrice] })],
  /**
   * What the auction found, a partner at a time: the buyer awards the seller this much at this price, under the negotiation
   * `deal`, with `session` as the agreement.
   */
  'park-match': [
    34,
    record({
      id: [1, id],
      session: [2, hash],
      deal: [3, id],
      partner: [4, address],
      energy: [5, contractEnergy],
      price: [6, contractPrice],
    }),
  ],
} as const satisfies Record<string, readonly [number, Codec<unknown>]>

export type Kind = keyof typeof KINDS
type Fields<K extends Kind> = (typeof KINDS)[K][1] extends Codec<infer T> ? T : never
/** The body of one kind, or of each of several. */
export type BodyOf<K extends Kind> = K extends Kind ? { readonly kind: K } & Fields<K> : never
export type Body = BodyOf<Kind>

/** A body with its envelope. */
export interface Message {
  readonly from: Uint8Array
  /** The recipient is signed too: a recipient cannot pass a message on as if it had been written to somebody else. */
  readonly to: Uint8Array
  /** The sender's boot count, and the number of the message within it and towards this recipient, from 1. */
  readonly epoch: number
  readonly sequence: number
  readonly sent: Instant
  /** An ack is wanted. */
  readonly reliable: boolean
  readonly body: Body
}

const body: Codec<Body> = {
  write: value => {
    const [number, fields] = KINDS[value.kind]
    return [number, (fields as Codec<unknown>).write(value)]
  },
  read: (item: Cbor, field): Result<Body, RecordFault> => {
    if (!Array.isArray(item) || item.length !== 2) return fail({ code: 'record.shape', field, reason: 'not a pair' })
    const kind = kindOf.get(item[0])
    if (kind === undefined) return fail({ code: 'record.shape', field, reason: `no message kind ${String(item[0])}` })
    const fields = KINDS[kind][1].read(item[1], kind)
    return fields.ok ? ok({ kind, ...fields.value } as Body) : fields
  },
}
const kindOf = new Map<unknown, Kind>(Object.entries(KINDS).map(([kind, [number]]) => [number, kind as Kind]))

const message: Codec<Message> = record({
  from: [1, address],
  to: [2, address],
  epoch: [3, counter],
  sequence: [4, integer(1, Number.MAX_SAFE_INTEGER)],
  sent: [5, unixMs],
  reliable: [6, flag],
  body: [7, body],
})

/** The payload that is signed. */
export const encodeMessage = (value: Message): Uint8Array => encodeAs(message, value)

export const decodeMessage = (payload: Uint8Array): Result<Message, RecordFault> =>
  decodeAs(message, payload, 'message', MAX_MESSAGE_BYTES)

/** Where an agent listens. */
export const topicOf = (recipient: Uint8Array): string => `tieline/1/${toHex(recipient)}`
