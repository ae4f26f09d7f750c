/**
 * What a deal rests on, for whoever must be shown it and has nothing of it: the contract and both signatures, both sides'
 * receipts, what the ledger keeps of the deal with its proof, and how to come to that proof's header from a block that the
 * reader trusts. Nothing in it is believed: each signature, hash, proof and sum is made again.
 *
 *     trusted block -> header of the last block in `path` -> AppHash -> record `deal/<contract hash>` -> hashes of both receipts
 *
 * Each block is judged at its own time: what was agreed years ago was provable then. Whoever trusts a block that is long past
 * must know that its validators could have signed another chain since (trustAge in verify-deal.ts says so).
 */
import { equalBytes, toHex, utf8 } from '../bytes.ts'
import { instantOf } from '../chain/chain-time.ts'
import { FLAG_ABSENT } from '../chain/commit.ts'
import { hashHeader } from '../chain/header.ts'
import { SMT_SPEC, verifyMembership } from '../chain/ics23.ts'
import type { LightBlock } from '../chain/light-block.ts'
import { envelopeHash, parseSign1 } from '../crypto/cose.ts'
import { addressOf } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import { type DealRecord, dealKey, decodeDealRecord } from '../ledger/deal-record.ts'
import { votesOf } from '../light/predicates.ts'
import { type Anchor, type VerifiedBlock, verify, verifyAnchor } from '../light/verify.ts'
import type { WattHours } from '../quantity.ts'
import { type Broken, collectBroken } from '../reading/audit.ts'
import { parseContext } from '../reading/context.ts'
import { READING_PURPOSE } from '../reading/reading.ts'
import { type VerifiedReading, verifyReading } from '../reading/verify.ts'
import { type Fault, fail, type Result } from '../result.ts'
import { type Contract, contractHash, decodeContract, type Party, verifyHalf } from './contract.ts'
import type { Receipt, SignedReading } from './message.ts'
import { deliveredWh } from './receipt.ts'
import { recordFault } from './settlement.ts'

export interface SideRecords {
  /** Of its account. */
  readonly key: Uint8Array
  /** Its COSE_Sign1 over the contract. */
  readonly half?: Uint8Array
  readonly receipt?: Receipt
}

export interface LedgerRecords {
  /** From where trust may begin to the block whose header the proof is held against; at least that one. */
  readonly path: readonly LightBlock[]
  /** The deal's record, as it stands in the state. */
  readonly record: Uint8Array
  /** ICS-23. */
  readonly proof: Uint8Array
}

/** What may be absent. */
export const PIECES = ['seller.signature', 'buyer.signature', 'seller.receipt', 'buyer.receipt', 'ledger'] as const
export type Piece = (typeof PIECES)[number]
/**
 * Why, in the words of the agent that wrote it down:
 * - not-signed     that side had not signed
 * - not-metered    this site's meter has given no begin and end reading for it
 * - not-handed     the other side has not handed its receipt over
 * - not-kept       it may have been handed over before the agent was started anew, and did not get into the journal
 * - not-counted    the one that was handed over is not the one that the ledger took
 * - not-proven     nothing of it has been proven since the agent was started
 */
export const REASONS = ['not-signed', 'not-metered', 'not-handed', 'not-kept', 'not-counted', 'not-proven'] as const
export interface Missing {
  readonly piece: Piece
  readonly why: (typeof REASONS)[number]
}

export interface DealRecords {
  readonly contract: Uint8Array
  readonly seller: SideRecords
  readonly buyer: SideRecords
  readonly ledger?: LedgerRecords
  /** In the order of PIECES. */
  readonly missing: readonly Missing[]
}

/** A validator's stake leaves after 21 days, and 14 leave time to call it to account. A third of the power skips, as in CometBFT. */
export const PATH_RULES = {
  trustingPeriodMs: 14 * 86_400_000,
  maxClockDriftMs: 10_000,
  trustLevel: { numerator: 1, denominator: 3 },
} as const

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
  readonly ledger?: {
    readonly block: VerifiedBlock
    /** Of the trusted block. */
    readonly trusted: LightBlock
    readonly record: DealRecord
  }
  readonly broken: { readonly listed: readonly Broken[]; readonly unlisted: number }
}

const PARTIES = ['seller', 'buyer'] as const

/** `trust` is a block of this chain that the reader knows to be its, by height and header hash. */
export function judgeDealRecords(records: DealRecords, trust: Anchor, verifier: Verifier): JudgedRecords {
  const broken = collectBroken()
  const hash = contractHash(records.contract)
  const absent = faultOfMissing(records)
  if (absent !== undefined) broken.add('missing', absent)
  const read = decodeContract(records.contract)
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
  const judged = { hash, contract, ...sides, broken }
  if (records.ledger === undefined) return judged
  const way = judgePath(records.ledger.path, contract.chainId, trust, verifier)
  if (!way.ok) {
    broken.add(way.where, way.fault)
    return judged
  }
  const found = judgeRecord(records.ledger, hash, way.block)
  if (!found.ok) {
    broken.add(found.where, found.fault)
    return judged
  }
  const fault = recordFault(contract, found.value)
  if (fault !== undefined) broken.add('ledger.record', fault)
  for (const party of PARTIES) {
    const differs = faultAgainst(found.value, party, sides[party].receipt)
    if (differs !== undefined) broken.add(`${party}.receipt`, differs)
  }
  return { ...judged, ledger: { block: way.block, trusted: way.trusted, record: found.value } }
}

/** What is missing is said, and what is said to be missing is. */
function faultOfMissing({ seller, buyer, ledger, missing }: DealRecords): Fault | undefined {
  const there: Readonly<Record<Piece, unknown>> = {
    'seller.signature': seller.half,
    'buyer.signature': buyer.half,
    'seller.receipt': seller.receipt,
    'buyer.receipt': buyer.receipt,
    ledger,
  }
  const expected = PIECES.filter(piece => there[piece] === undefined).join()
  const said = missing.map(({ piece }) => piece).join()
  return said === expected ? undefined : { code: 'records.missing', expected, said }
}

type Placed<T> = { readonly ok: true; readonly value: T } | (Broken & { readonly ok: false })

function judgeReceipt(
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

type Way =
  | { readonly ok: true; readonly block: VerifiedBlock; readonly trusted: LightBlock }
  | (Broken & { readonly ok: false })

/** From block to block: every vote that stands in one is checked, though two thirds of the power would do. */
function judgePath(path: readonly LightBlock[], chainId: string, trust: Anchor, verifier: Verifier): Way {
  const options = { chainId, ...PATH_RULES }
  let at: VerifiedBlock | undefined
  let trusted: LightBlock | undefined
  for (const [i, block] of path.entries()) {
    const broken = (fault: Fault): Way => ({ ok: false, where: `ledger.path[${i}]`, fault })
    const now = instantOf(block.header.time)
    const hash = hashHeader(block.header)
    const { height } = block.header
    if (at === undefined) {
      const begun = verifyAnchor({ height, hash }, block, options, now, verifier)
      if (!begun.ok) return broken(begun.fault)
      at = begun.value
    } else {
      const verdict = verify(at, block, options, now, verifier)
      if (verdict.kind === 'invalid') return broken(verdict.fault)
      if (verdict.kind === 'not-enough') {
        const { tally, needed } = verdict
        return broken({ code: 'light.trusted-power', tally, needed })
      }
      at = verdict.block
    }
    const unsigned = falseVote(block, chainId, verifier)
    if (unsigned !== undefined) return broken(unsigned)
    if (height !== trust.height) continue
    if (!equalBytes(hash, trust.hash)) {
      const hint = 'another chain than the one that you trust, or another block than you meant'
      return broken({ code: 'light.anchor', height, expected: toHex(trust.hash), received: toHex(hash), hint })
    }
    trusted = block
  }
  if (at !== undefined && trusted !== undefined) return { ok: true, block: at, trusted }
  const heights = path.map(({ header }) => `${header.height}`)
  const hint = 'find out, from somebody whom you trust, the hash of one of these blocks, and name that'
  return {
    ok: false,
    where: 'ledger.path',
    fault: { code: 'records.trust-elsewhere', trusted: trust.height, heights, hint },
  }
}

/** Counting stops at two thirds; here nothing may stand that its validator did not sign. */
function falseVote({ commit, validators }: LightBlock, chainId: string, verifier: Verifier): Fault | undefined {
  const votes = votesOf(chainId, commit, verifier)
  for (const [index, { flag }] of commit.signatures.entries()) {
    const validator = validators[index]
    if (flag === FLAG_ABSENT || (validator !== undefined && votes.valid(index, validator.publicKey))) continue
    return { code: 'light.signature', index, address: toHex(validator?.address ?? new Uint8Array(0)) }
  }
  return undefined
}

function judgeRecord(
  { record, proof }: LedgerRecords,
  hash: Uint8Array,
  { header }: VerifiedBlock,
): Placed<DealRecord> {
  const held = verifyMembership(SMT_SPEC, header.appHash, proof, utf8(dealKey(hash)), record)
  if (!held.ok) return { ok: false, where: 'ledger.proof', fault: held.fault }
  const read = decodeDealRecord(record)
  return read.ok ? read : { ok: false, where: 'ledger.record', fault: read.fault }
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
