/**
 * The contract of one deal, over a direct line or over the grid: what both sides sign and the ledger settles by.
 *
 * Canonical CBOR map with integer keys, about 180 bytes. Both account keys sign the same bytes as the payload of a
 * COSE_Sign1 with external_aad `tieline/contract/1`; the contract's name everywhere is SHA-256 of those bytes.
 */

import { equalBytes, toHex, utf8 } from '../bytes.ts'
import { assemble, type CoseFault, parseSign1, toBeSigned, verifySign1 } from '../crypto/cose.ts'
import { addressOf, sha256 } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import { algOfKey } from '../identity/key.ts'
import { signerHeader } from '../identity/signer-header.ts'
import type { Price, WattHours } from '../quantity.ts'
import { big, bytes, type Codec, decodeAs, encodeAs, integer, type RecordFault, record, text, word } from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'

/** external_aad of a contract's signatures. */
const CONTEXT = utf8('tieline/contract/1')
const VERSION = 1
/** A day of slots is the longest thing one contract covers: a price agreed longer ahead is a standing agreement. */
const MAX_WINDOW_MS = 86_400_000
/** Below a block or two nobody can hand a receipt in. */
const MIN_SETTLE_WINDOW_MS = 1000
/** A board that was off for a week still gets its receipt in; nobody's money is held longer than two of these. */
const MAX_SETTLE_WINDOW_MS = 7 * 86_400_000
/** 10 MWh: more than any line between two homes carries in a day. With MAX_PRICE the escrow stays below 2^63. */
const MAX_ENERGY_WH = 10_000_000n
/** A thousand coins for a kWh, in micro-units. */
const MAX_PRICE = 1_000_000_000n
/** Unix ms up to the year 9999, as far as ISO 8601 has four digits. */
const MAX_INSTANT = 253_402_300_799_999
const MAX_BYTES = 512

/** CometBFT's own limit is 50 bytes. */
const chainId = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$/)
/** A line's name as configured at both ends. */
export const lineId = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/)
/** A meter's serial text: printable ASCII. */
export const meterId = text(/^[\x20-\x7e]{1,64}$/)
export const address = bytes(20)
export const unixMs = integer<Instant>(0, MAX_INSTANT)
export const contractEnergy = big<WattHours>(1n, MAX_ENERGY_WH)
export const contractPrice = big<Price>(0n, MAX_PRICE)

/** What stands behind a meter, as the registry has it. Written as the place in this list: append, never reorder. */
export const SOURCES = ['solar', 'wind', 'battery', 'conventional'] as const
export type Source = (typeof SOURCES)[number]
export const source = word(...SOURCES)

/** There is no word for open receipts, so that one contract has one byte string. */
export const receiptMode = text(/^sealed$/) as Codec<'sealed'>

export interface Contract {
  readonly chainId: string
  readonly line: string
  readonly seller: Uint8Array
  readonly buyer: Uint8Array
  readonly sellerMeter: string
  readonly buyerMeter: string
  /** Energy may flow from `start` to `end`, and no longer. */
  readonly start: Instant
  readonly end: Instant
  readonly energy: WattHours
  readonly price: Price
  /** What the line may lose between its two meters before that is a dispute. */
  readonly lossPermille: number
  /** Both receipts are due this long after `end`. */
  readonly receiptWindowMs: number
  /** A single receipt settles, or none refunds, this long after the receipt window. */
  readonly disputeWindowMs: number
  /** 16 bytes that make two contracts of the same terms two contracts. */
  readonly nonce: Uint8Array
  /**
   * Absent: both meters' signed envelopes go onto the ledger. Sealed: one quantity that both signed does, and the envelopes
   * only in a dispute.
   */
  readonly receipts?: 'sealed'
  /**
   * Present: a contract over the grid, from the node `line`, where the seller's meter hangs, to this node, where the buyer's
   * does. Both meters are grid meters then, and no contact joins the parties.
   */
  readonly to?: string
}

const codec = record(
  {
    version: [1, integer(VERSION, VERSION)],
    chainId: [2, chainId],
    line: [3, lineId],
    seller: [4, address],
    buyer: [5, address],
    sellerMeter: [6, meterId],
    buyerMeter: [7, meterId],
    start: [8, unixMs],
    end: [9, unixMs],
    energy: [10, contractEnergy],
    price: [11, contractPrice],
    lossPermille: [12, integer(0, 999)],
    receiptWindowMs: [13, integer(MIN_SETTLE_WINDOW_MS, MAX_SETTLE_WINDOW_MS)],
    disputeWindowMs: [14, integer(MIN_SETTLE_WINDOW_MS, MAX_SETTLE_WINDOW_MS)],
    nonce: [15, bytes(16)],
  },
  { receipts: [16, receiptMode], to: [17, lineId] },
)

export type ContractFault =
  | RecordFault
  | { readonly code: 'contract.window'; readonly start: number; readonly end: number; readonly longestMs: number }
  | { readonly code: 'contract.one-party'; readonly address: string }
  | { readonly code: 'contract.one-meter'; readonly meter: string }

export type SignedContractFault =
  | ContractFault
  | CoseFault
  | { readonly code: 'contract.key'; readonly party: Party; readonly expected: string; readonly received: string }
  | { readonly code: 'contract.other-bytes'; readonly party: Party }

export type Party = 'seller' | 'buyer'

export const encodeContract = (contract: Contract): Uint8Array => encodeAs(codec, { version: VERSION, ...contract })

/** A contract that keeps every rule which needs no ledger and no clock. */
export function decodeContract(input: Uint8Array): Result<Contract, ContractFault> {
  const read = decodeAs(codec, input, 'contract', MAX_BYTES)
  if (!read.ok) return read
  const { version: _, ...contract } = read.value
  const { start, end } = contract
  if (end <= start || end - start > MAX_WINDOW_MS) {
    return fail({ code: 'contract.window', start, end, longestMs: MAX_WINDOW_MS })
  }
  if (equalBytes(contract.seller, contract.buyer)) {
    return fail({ code: 'contract.one-party', address: toHex(contract.seller) })
  }
  if (contract.sellerMeter === contract.buyerMeter) {
    return fail({ code: 'contract.one-meter', meter: contract.sellerMeter })
  }
  return ok(contract)
}

/** The contract's name: SHA-256 of its bytes. */
export const contractHash = (contractBytes: Uint8Array): Uint8Array => sha256(contractBytes)

/** What one party's account key signs. */
export const contractToSign = (contractBytes: Uint8Array, publicKey: Uint8Array): Uint8Array =>
  toBeSigned(signerHeader(publicKey), contractBytes, CONTEXT)

/** One party's half: the COSE_Sign1 around the contract's bytes. */
export const assembleSignedContract = (
  contractBytes: Uint8Array,
  publicKey: Uint8Array,
  signature: Uint8Array,
): Uint8Array => assemble(signerHeader(publicKey), contractBytes, signature)

/** Whether `sign1` is this party's signature over exactly these contract bytes, by the key that its address is made of. */
export function verifyHalf(
  contractBytes: Uint8Array,
  party: Party,
  sign1: Uint8Array,
  publicKey: Uint8Array,
  verifier: Verifier,
): Result<Contract, SignedContractFault> {
  const contract = decodeContract(contractBytes)
  if (!contract.ok) return contract
  const own = addressOf(publicKey)
  if (!equalBytes(own, contract.value[party])) {
    return fail({ code: 'contract.key', party, expected: toHex(contract.value[party]), received: toHex(own) })
  }
  const signed = verifySignature(contractBytes, party, sign1, publicKey, verifier)
  return signed.ok ? contract : signed
}

function verifySignature(
  contractBytes: Uint8Array,
  party: Party,
  sign1: Uint8Array,
  publicKey: Uint8Array,
  verifier: Verifier,
): Result<Uint8Array, SignedContractFault> {
  const envelope = parseSign1(sign1, 2 * MAX_BYTES)
  if (!envelope.ok) return envelope
  if (!equalBytes(envelope.value.payload, contractBytes)) return fail({ code: 'contract.other-bytes', party })
  // The key alone says which algorithm it is for.
  if (envelope.value.alg !== algOfKey(publicKey)) return fail({ code: 'cose.alg', alg: envelope.value.alg })
  return verifySign1(envelope.value, publicKey, CONTEXT, verifier)
}

/**
 * Whether both parties signed exactly these bytes with these keys. That a key is the party's is the caller's to know: an
 * account on the ledger may have changed its key and keeps its address.
 */
export function verifySignatures(
  contractBytes: Uint8Array,
  sellerSign1: Uint8Array,
  buyerSign1: Uint8Array,
  sellerKey: Uint8Array,
  buyerKey: Uint8Array,
  verifier: Verifier,
): Result<Uint8Array, SignedContractFault> {
  const seller = verifySignature(contractBytes, 'seller', sellerSign1, sellerKey, verifier)
  return seller.ok ? verifySignature(contractBytes, 'buyer', buyerSign1, buyerKey, verifier) : seller
}
