/**
 * What two agents say to each other, agent to agent, signed and sealed (protocol/crypto/seal.ts).
 *
 * A deal takes, in order: request, offers in turn, accept (the contract and one half), countersign (the other half),
 * committed (the buyer's transaction is handed in), ready (the buyer's end is closed onto the dead line), started, stop,
 * stopped, receipt-copy; at most 12 with four rounds of bargaining, heartbeats and readings aside. The negotiation's id is
 * the contract's nonce, so that a contract names the negotiation that it came from.
 */

import { toHex } from '../bytes.ts'
import type { Cbor } from '../cbor.ts'
import type { Voltage } from '../quantity.ts'
import {
  bytes,
  type Codec,
  decodeAs,
  encodeAs,
  flag,
  integer,
  type RecordFault,
  record,
  text,
  word,
} from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { address, contractEnergy, contractPrice, lineId, unixMs } from './contract.ts'

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

/** One meter's signed reading and the context record that it refers to. */
export interface SignedReading {
  readonly envelope: Uint8Array
  readonly context: Uint8Array
}
const signedReading = record({ envelope: [1, envelope], context: [2, envelope] })

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
  /** The message of this epoch and sequence was journaled. */
  ack: [14, record({ epoch: [1, counter], sequence: [2, counter] })],
  /** How far the sender's journal has come, signed by its account key (reading/head.ts): for the recipient to keep. */
  head: [15, record({ head: [1, envelope] })],
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
