/**
 * A deal as bytes for the journal, and back after a restart. What was only seen (facts, heartbeats) is not in it: a
 * restored deal gets the input `restored` first, and opens its contacts.
 */

import { equalBytes } from '../bytes.ts'
import { addressOf } from '../crypto/hash.ts'
import type { Energy, Money, Price, WattHours } from '../quantity.ts'
import {
  big,
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
import { type Fault, fail, faultLine, ok, type Result } from '../result.ts'
import { type ContractFault, contractHash, decodeContract, type Party } from './contract.ts'
import { type Deal, type FeePaid, type Metered, NO_FACTS, PHASES, type Settlement, STATES } from './deal-state.ts'
import type { SignedReading } from './message.ts'

/** Contract, halves, cause and four readings with their contexts at their longest; it takes less than 4 kB of them. */
const MAX_BYTES = 10_240

/** As long as a genesis lets a claim take from one ledger to the other. */
const MAX_RELAY_MARGIN_MS = 30 * 86_400_000

const half = bytes(80, 700)
const envelope = bytes(1, 800)
const energy = big<WattHours>(0n, 2n ** 63n - 1n)

const metered: Codec<Metered> = record({
  envelope: [1, envelope],
  context: [2, envelope],
  register: [3, big<Energy>(0n, 2n ** 63n - 1n)],
})

const signedReading: Codec<SignedReading> = record({ envelope: [1, envelope], context: [2, envelope] })

const money = big<Money>(0n, 2n ** 63n - 1n)

const settlement: Codec<Settlement> = record(
  {
    kind: [1, word('settled', 'refunded')],
    paid: [2, money],
    disputed: [3, flag],
    height: [4, big(0n, 2n ** 63n - 1n)],
  },
  { delivered: [5, energy] },
)

const feePaid: Codec<FeePaid> = record({ price: [1, big<Price>(0n, 2n ** 63n - 1n)], paid: [2, money] })

/** A fault keeps its code; what it compared becomes one text. */
const cause: Codec<Fault> = {
  write: fault => {
    const detail = typeof fault['detail'] === 'string' ? fault['detail'] : faultLine(fault)
    return faultText.write({ code: fault.code.slice(0, 100), detail: detail.slice(0, 300) })
  },
  read: (item, field) => faultText.read(item, field),
}
const faultText = record({ code: [1, text(/^.{0,100}$/su)], detail: [2, text(/^.{0,300}$/su)] })

const deal = record(
  {
    role: [1, word<Party>('seller', 'buyer')],
    bytes: [2, bytes(1, 512)],
    sellerKey: [3, bytes(32)],
    buyerKey: [4, bytes(32)],
    state: [5, word(...STATES)],
    phase: [6, word(...PHASES)],
    escrow: [7, flag],
    peerReady: [8, flag],
    engaged: [9, flag],
    isolated: [10, flag],
  },
  {
    ownHalf: [11, half],
    peerHalf: [12, half],
    lockHeight: [13, big(0n, 2n ** 63n - 1n)],
    begin: [14, metered],
    end: [15, metered],
    cause: [16, cause],
    settlement: [17, settlement],
    ownWh: [18, energy],
    peerWh: [19, energy],
    reserve: [20, record({ relayMarginMs: [1, integer(0, MAX_RELAY_MARGIN_MS)] })],
    fee: [21, flag],
    reservedHeight: [22, big(0n, 2n ** 63n - 1n)],
    feePaid: [23, feePaid],
    peerEnded: [24, flag],
    peerReceipt: [25, record({ begin: [1, signedReading], end: [2, signedReading] })],
  },
)

/** `fee` is written only where it is so: a deal without one has the bytes that it had before there were any. */
export function encodeDeal({ fee, ...value }: Deal): Uint8Array {
  return encodeAs(deal, fee ? { ...value, fee } : value)
}

export type DealJournalFault = RecordFault | ContractFault | { readonly code: 'deal.journal-keys' }

/** A deal that `encodeDeal` wrote. It must still be told that it was restored. */
export function decodeDeal(input: Uint8Array): Result<Deal, DealJournalFault> {
  const read = decodeAs(deal, input, 'deal', MAX_BYTES)
  if (!read.ok) return read
  const contract = decodeContract(read.value.bytes)
  if (!contract.ok) return contract
  const { sellerKey, buyerKey, bytes: contractBytes } = read.value
  const { seller, buyer } = contract.value
  if (!equalBytes(addressOf(sellerKey), seller) || !equalBytes(addressOf(buyerKey), buyer)) {
    return fail({ code: 'deal.journal-keys' })
  }
  const { fee = false, ...rest } = read.value
  return ok({ ...rest, fee, contract: contract.value, hash: contractHash(contractBytes), facts: NO_FACTS })
}
