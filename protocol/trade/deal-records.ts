/**
 * What a deal rests on, for whoever must be shown it and has nothing of it: the contract and both signatures, both sides'
 * receipts, what the ledger keeps of the deal with its proof, and how to come to that proof's header from a block that the
 * reader trusts. Nothing in it is believed: each signature, hash, proof and sum is made again.
 *
 *     trusted block -> header of the last block in `path` -> AppHash -> record `deal/<contract hash>` -> hashes of both receipts
 *
 * Over the grid the same way leads, on the distribution ledger, to the record `reservation/<contract hash>`: what was held of
 * which lines, for which fee.
 *
 * Each block is judged at its own time: what was agreed years ago was provable then. Whoever trusts a block that is long past
 * must know that its validators could have signed another chain since (trustAge in verify-deal.ts says so).
 */
import { equalBytes, toHex } from '../bytes.ts'
import type { LightBlock } from '../chain/light-block.ts'
import { envelopeHash, parseSign1 } from '../crypto/cose.ts'
import { addressOf } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import { type DealRecord, dealKey, decodeDealRecord } from '../ledger/deal-record.ts'
import { decodeReservation, type Reservation, reservationKey } from '../ledger/network-tables.ts'
import type { Anchor } from '../light/verify.ts'
import type { WattHours } from '../quantity.ts'
import { type Broken, collectBroken } from '../reading/audit.ts'
import { parseContext } from '../reading/context.ts'
import { READING_PURPOSE } from '../reading/reading.ts'
import { type VerifiedReading, verifyReading } from '../reading/verify.ts'
import { type Fault, fail, type Result } from '../result.ts'
import { type Contract, contractHash, decodeContract, type Party, verifyHalf } from './contract.ts'
import { type JudgedLedger, judgeLedger, type Placed } from './deal-records-path.ts'
import type { Receipt, SignedReading } from './message.ts'
import { deliveredWh } from './receipt.ts'
import { recordFault, reservationFault } from './settlement.ts'

export interface SideRecords {
  /** Of its account. */
  readonly key: Uint8Array
  /** Its COSE_Sign1 over the contract. */
  readonly half?: Uint8Array
  readonly receipt?: Receipt
}

/** What one ledger keeps under one key. */
export interface LedgerRecords {
  /** From where trust may begin to the block whose header the proof is held against; at least that one. */
  readonly path: readonly LightBlock[]
  /** As it stands in the state. */
  readonly record: Uint8Array
  /** ICS-23. */
  readonly proof: Uint8Array
}

/** What may be absent. */
export const PIECES = [
  ...(['seller.signature', 'buyer.signature', 'seller.receipt', 'buyer.receipt', 'ledger'] as const),
  /** Over the grid. */
  'reservation',
] as const
export type Piece = (typeof PIECES)[number]
/**
 * Why, in the words of the agent that wrote it down:
 * - not-signed     that side had not signed
 * - not-metered    this site's meter has given no begin and end reading for it
 * - not-handed     the other side has not handed its receipt over, nor did it when it was asked for what the ledger took
 * - not-kept       the same; before the agent was started anew it may have, and it did not get into the journal
 * - not-counted    the one that was handed over is not the one that the ledger took
 * - not-proven     no node has proven it since the agent was started, nor when it was asked for
 * - not-followed   the agent follows no distribution ledger
 * - not-reserved   that ledger was proven to hold no reservation for it
 */
export const REASONS = [
  ...(['not-signed', 'not-metered', 'not-handed', 'not-kept', 'not-counted', 'not-proven'] as const),
  ...(['not-followed', 'not-reserved'] as const),
] as const
export interface Missing {
  readonly piece: Piece
  readonly why: (typeof REASONS)[number]
}

export interface DealRecords {
  readonly contract: Uint8Array
  readonly seller: SideRecords
  readonly buyer: SideRecords
  /** The deal, on the energy ledger. */
  readonly ledger?: LedgerRecords
  /** Of a deal over the grid: the capacity that was held for it, and its fee, on the distribution ledger. */
  readonly reservation?: LedgerRecords
  /** In the order of PIECES. */
  readonly missing: readonly Missing[]
}

export interface JudgedSide {
  readonly address: Uint8Array
  readonly signed: boolean
  readonly receipt?: { readonly begin: VerifiedReading; readonly end: VerifiedReading; readonly energy: WattHours }
}

export interface JudgedRecords {
  readonly hash: Uint8Array
  readonly contract?: Contract
  readonly seller?: JudgedSide
  readonly buyer?: JudgedSide
  /** Only where the whole way from the trusted block holds. */
  readonly ledger?: JudgedLedger<DealRecord>
  readonly reservation?: JudgedLedger<Reservation>
  readonly broken: { readonly listed: readonly Broken[]; readonly unlisted: number }
}

const PARTIES = ['seller', 'buyer'] as const

/** A block of each chain that the reader knows to be its, by height and header hash. */
export interface Trusted {
  readonly energy: Anchor
  readonly distribution: Anchor
}

export function judgeDealRecords(records: DealRecords, trusted: Trusted, verifier: Verifier): JudgedRecords {
  const broken = collectBroken()
  const hash = contractHash(records.contract)
  const read = decodeContract(records.contract)
  const absent = faultOfMissing(records, read.ok && read.value.to !== undefined)
  if (absent !== undefined) broken.add('missing', absent)
  if (!read.ok) {
    broken.add('contract', read.fault)
    return { hash, broken }
  }
  const contract = read.value
  const [seller, buyer] = PARTIES.map(party => {
    const { key, half, receipt } = records[party]
    if (half !== undefined) {
      const signed = verifyHalf(records.contract, party, half, key, verifier)
      if (!signed.ok) broken.add(`${party}.signature`, signed.fault)
    } else if (!equalBytes(addressOf(key), contract[party])) {
      const expected = toHex(contract[party])
      broken.add(`${party}.key`, { code: 'contract.key', party, expected, received: toHex(addressOf(key)) })
    }
    const judged = receipt === undefined ? undefined : judgeReceipt({ contract, hash }, party, receipt, verifier)
    if (judged?.ok === false) broken.add(judged.where, judged.fault)
    return {
      address: contract[party],
      signed: half !== undefined,
      ...(judged?.ok === true ? { receipt: judged.value } : {}),
    }
  }) as [JudgedSide, JudgedSide]
  const sides = { seller, buyer }
  /** What is not broken, or undefined. */
  const shown = <T>(found: Placed<JudgedLedger<T>>): JudgedLedger<T> | undefined => {
    if (found.ok) return found.value
    broken.add(found.where, found.fault)
    return undefined
  }
  const ledger =
    records.ledger &&
    shown(
      judgeLedger(
        records.ledger,
        'ledger',
        { chainId: contract.chainId, trust: trusted.energy, verifier },
        dealKey(hash),
        decodeDealRecord,
      ),
    )
  if (ledger !== undefined) {
    const fault = recordFault(contract, ledger.record)
    if (fault !== undefined) broken.add('ledger.record', fault)
    for (const party of PARTIES) {
      const differs = faultAgainst(ledger.record, party, sides[party].receipt)
      if (differs !== undefined) broken.add(`${party}.receipt`, differs)
    }
  }
  // Which chain that is, the trusted block says.
  const chainId = records.reservation?.path[0]?.header.chainId ?? ''
  const reservation =
    records.reservation &&
    shown(
      judgeLedger(
        records.reservation,
        'reservation',
        { chainId, trust: trusted.distribution, verifier },
        reservationKey(hash),
        decodeReservation,
      ),
    )
  if (reservation !== undefined) {
    const fault = reservationFault(contract, reservation.record, ledger?.record)
    if (fault !== undefined) broken.add('reservation.record', fault)
  }
  return { hash, contract, ...sides, broken, ...(ledger && { ledger }), ...(reservation && { reservation }) }
}

/** What is missing is said, and what is said to be missing is. */
function faultOfMissing(
  { seller, buyer, ledger, reservation, missing }: DealRecords,
  overGrid: boolean,
): Fault | undefined {
  const there: Readonly<Record<Piece, unknown>> = {
    'seller.signature': seller.half,
    'buyer.signature': buyer.half,
    'seller.receipt': seller.receipt,
    'buyer.receipt': buyer.receipt,
    ledger,
    reservation,
  }
  if (reservation !== undefined && !overGrid) return { code: 'records.no-reservation' }
  const due = PIECES.filter(piece => overGrid || piece !== 'reservation')
  const expected = due.filter(piece => there[piece] === undefined).join()
  const said = missing.map(({ piece }) => piece).join()
  return said === expected ? undefined : { code: 'records.missing', expected, said }
}

/** Whether both readings are signed by that side's meter for this contract, and what was counted between them. */
export function judgeReceipt(
  { contract, hash }: { readonly contract: Contract; readonly hash: Uint8Array },
  party: Party,
  receipt: Receipt,
  verifier: Verifier,
): Placed<NonNullable<JudgedSide['receipt']>> {
  const readings: VerifiedReading[] = []
  for (const which of ['begin', 'end'] as const) {
    const judged = judgeReading(contract, hash, party, receipt[which], verifier)
    if (!judged.ok) return { ok: false, where: `${party}.${which}`, fault: judged.fault }
    readings.push(judged.value)
  }
  const [begin, end] = readings as [VerifiedReading, VerifiedReading]
  const energy = deliveredWh(begin.reading, end.reading, party)
  return energy.ok
    ? { ok: true, value: { begin, end, energy: energy.value } }
    : { ok: false, where: `${party}.receipt`, fault: energy.fault }
}

/** By the key that its context names: that it is this meter's, the ledger says, which took only what the meter's own key signed. */
function judgeReading(
  contract: Contract,
  hash: Uint8Array,
  party: Party,
  { envelope, context }: SignedReading,
  verifier: Verifier,
): Result<VerifiedReading> {
  const opened = parseSign1(context)
  if (!opened.ok) return opened
  const named = parseContext(opened.value.payload)
  if (!named.ok) return named
  const verified = verifyReading(envelope, context, named.value.key, verifier)
  if (!verified.ok) return verified
  const { reading } = verified.value
  const meter = party === 'seller' ? contract.sellerMeter : contract.buyerMeter
  if (named.value.meterId !== meter)
    return fail({ code: 'records.other-meter', expected: meter, received: named.value.meterId })
  const { session } = reading
  if (session === undefined || !equalBytes(session.contract, hash))
    return fail({ code: 'records.other-session', deal: toHex(hash) })
  const line = party === 'seller' ? contract.line : (contract.to ?? contract.line)
  const direction = party === 'seller' ? 'export' : 'import'
  return session.line === line && session.direction === direction
    ? verified
    : fail({ code: 'records.other-line', line, direction, received: `${session.direction} ${session.line}` })
}

/** Whether a receipt is the one that the ledger took from that side, where it took one. */
function faultAgainst(record: DealRecord, party: Party, receipt: JudgedSide['receipt']): Fault | undefined {
  const taken = party === 'seller' ? record.sellerReceipt : record.buyerReceipt
  if (taken === undefined || receipt === undefined) return undefined
  for (const which of ['begin', 'end'] as const) {
    if (equalBytes(taken[which], receipt[which].hash)) continue
    const [expected, received] = [toHex(taken[which]), toHex(receipt[which].hash)]
    return { code: 'records.other-receipt', which, expected, received }
  }
  const { energy } = receipt
  return taken.energy === energy
    ? undefined
    : { code: 'records.other-energy', expected: taken.energy, received: energy }
}

/** Whether this is the receipt that the ledger took from that side, or may still take. */
export function isReceiptOf(record: DealRecord, party: Party, receipt: Receipt): boolean {
  const taken = party === 'seller' ? record.sellerReceipt : record.buyerReceipt
  const isTaken = (which: 'begin' | 'end') => {
    const opened = parseSign1(receipt[which].envelope)
    return opened.ok && equalBytes(envelopeHash(opened.value, READING_PURPOSE), taken![which])
  }
  return taken === undefined || (isTaken('begin') && isTaken('end'))
}
