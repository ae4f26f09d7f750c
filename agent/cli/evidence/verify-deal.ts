/** The records of one deal, as `tieline deals ID --records FILE` and the page give them out: held against a block that the reader trusts. */
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { equalBytes, fromHex, toHex } from '../../../protocol/bytes.ts'
import { instantOf } from '../../../protocol/chain/chain-time.ts'
import { FLAG_COMMIT } from '../../../protocol/chain/commit.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import type { Anchor } from '../../../protocol/light/verify.ts'
import { milliwattHours } from '../../../protocol/quantity.ts'
import { registerEnergy } from '../../../protocol/reading/reading.ts'
import { type Fault, fail, ok, type Result } from '../../../protocol/result.ts'
import { type Instant, isoTime } from '../../../protocol/time.ts'
import {
  type DealRecords,
  type JudgedRecords,
  type JudgedSide,
  judgeDealRecords,
  type LedgerRecords,
  type Missing,
  type Trusted,
} from '../../../protocol/trade/deal-records.ts'
import { readDealRecords } from '../../../protocol/trade/deal-records-json.ts'
import { type JudgedLedger, PATH_RULES } from '../../../protocol/trade/deal-records-path.ts'
import { dealRegister } from '../../../protocol/trade/receipt.ts'
import { coins, decimal, duration, kilowattHours } from '../agent/quantities.ts'
import { MISSING_WHY } from './missing-why.ts'
import type { Verdict } from './verify-report.ts'

const PARTIES = ['seller', 'buyer'] as const
type Party = (typeof PARTIES)[number]

/** `HEIGHT:HASH` of a block, as `tieline light` says them. */
export function readTrust(text: string): Result<Anchor> {
  const [, height, digits] = /^([1-9]\d{0,17}):([0-9a-fA-F]{64})$/.exec(text) ?? []
  const hash = digits === undefined ? undefined : fromHex(digits.toLowerCase())
  return height === undefined || hash === undefined
    ? fail({ code: 'trust.unreadable', hint: 'HEIGHT:HASH of a block, with the 64 digits of its hash' })
    : ok({ height: BigInt(height), hash })
}

/** What is not there asks for no block: any will do. */
const NO_BLOCK: Anchor = { height: 0n, hash: new Uint8Array(32) }

/**
 * Of which ledger each named block is: the one in whose path it stands; what stands in none is left to the first ledger that has
 * no block yet, where it is refused by name. Without a block a ledger's proof proves nothing.
 */
function trustedOf({ ledger, reservation }: DealRecords, named: readonly Anchor[]): Result<Trusted> {
  const stands = (path: LedgerRecords['path'], { height, hash }: Anchor) =>
    path.some(({ header }) => header.height === height && equalBytes(hashHeader(header), hash))
  const standing = (of: LedgerRecords | undefined) => of && named.find(anchor => stands(of.path, anchor))
  const found = { energy: standing(ledger), distribution: standing(reservation) }
  const left = named.filter(anchor => anchor !== found.energy && anchor !== found.distribution)
  const trusted = { energy: NO_BLOCK, distribution: NO_BLOCK }
  for (const [name, records] of [
    ['energy', ledger],
    ['distribution', reservation],
  ] as const) {
    if (records === undefined) continue
    const anchor = found[name] ?? left.shift()
    if (anchor === undefined) {
      const heights = records.path.map(({ header }) => `${header.height}`)
      const hint =
        'name the height and the hash of one of these blocks as somebody whom you trust has it: --trust HEIGHT:HASH, once for each chain'
      return fail({ code: 'verify.trust-needed', chain: records.path[0]?.header.chainId ?? '', heights, hint })
    }
    trusted[name] = anchor
  }
  return ok(trusted)
}

/** `keys` that may have signed, where any are named; `trust` a block of each ledger of which something is shown. */
export function judgeDealFile(
  text: string,
  keys: readonly Uint8Array[],
  trust: readonly Anchor[],
  now: Instant,
): Result<Verdict> {
  const read = readDealRecords(text)
  if (!read.ok) return read
  const records = read.value
  const trusted = trustedOf(records, trust)
  if (!trusted.ok) return trusted
  const judged = judgeDealRecords(records, trusted.value, createVerifier())
  const signers = signersOf(records, judged)
  const strangers = keys.length === 0 ? [] : signers.filter(({ key }) => !isAmong(keys, key))
  const broken = {
    listed: [...judged.broken.listed, ...strangers.map(strange)],
    unlisted: judged.broken.unlisted,
  }
  return ok({
    what: 'the records of one deal',
    said: saidOf(judged, signers),
    notes: [
      ...records.missing.map(({ piece, why }) => `${piece} is missing: ${MISSING_WHY[why]}`),
      ...notesOf(judged, now),
      ...(keys.length > 0
        ? []
        : ['nobody has vouched for the keys: compare them with those that you know, or name these with --key']),
    ],
    broken,
    json: jsonOf(judged, signers, records.missing, keys),
  })
}

interface Signer {
  readonly as: string
  readonly key: Uint8Array
}

const isAmong = (keys: readonly Uint8Array[], key: Uint8Array): boolean => keys.some(known => equalBytes(known, key))

const strange = ({ as, key }: Signer) => ({
  where: as,
  fault: { code: 'audit.unexpected-key', key: toHex(key) } as Fault,
})

function signersOf(records: DealRecords, judged: JudgedRecords): readonly Signer[] {
  return PARTIES.flatMap(party => {
    const { receipt } = judged[party] ?? {}
    const metering = receipt === undefined ? [] : [receipt.begin.context.key, receipt.end.context.key]
    const distinct = metering.filter((key, i) => i === 0 || !equalBytes(key, metering[0]!))
    return [
      ...(records[party].half === undefined ? [] : [{ as: `${party}'s account`, key: records[party].key }]),
      ...distinct.map(key => ({ as: `${party}'s meter`, key })),
    ]
  })
}

const price = (perKwh: bigint): string => `${coins(perKwh)} a kWh`

function saidOf(
  { hash, contract, ledger, reservation, ...sides }: JudgedRecords,
  signers: readonly Signer[],
): readonly string[] {
  if (contract === undefined) return []
  const { chainId, line, to, start, end, energy } = contract
  const way = to === undefined ? `direct line ${line}` : `over the grid from ${line} to ${to}`
  return [
    `deal ${toHex(hash)} on ${chainId}`,
    `${kilowattHours(energy)} at ${price(contract.price)}, ${way}, ${isoTime(start)} to ${isoTime(end)}`,
    ...signers.map(({ as, key }) => `signed by ${as} ${toHex(key)}`),
    ...PARTIES.flatMap(party => receiptText(party, sides[party])),
    ...(ledger === undefined ? [] : ledgerText(ledger)),
    ...(reservation === undefined ? [] : reservationText(reservation)),
  ]
}

function receiptText(party: Party, side: JudgedSide | undefined): readonly string[] {
  if (side?.receipt === undefined) return []
  const { begin, end, energy } = side.receipt
  const [from, until] = [begin, end].map(
    ({ reading }) => registerEnergy(reading, dealRegister(party)) ?? milliwattHours(0n),
  )
  return [
    `${party}'s meter ${begin.context.meterId}: ${decimal(from!, 6)} to ${decimal(until!, 6)} kWh, ${isoTime(begin.reading.time)} to ${isoTime(end.reading.time)}: ${kilowattHours(energy)}`,
  ]
}

const signedOf = ({ block: { commit } }: JudgedLedger<unknown>['block']): number =>
  commit.signatures.filter(({ flag }) => flag === FLAG_COMMIT).length

function ledgerText({ record, ...shown }: NonNullable<JudgedRecords['ledger']>): readonly string[] {
  const { state, outcome } = record
  const paid =
    outcome === undefined
      ? `${coins(record.escrow)} locked`
      : `${coins(outcome.paid)} paid for ${kilowattHours(outcome.delivered)}, ${coins(outcome.refunded)} given back${outcome.disputed ? ', by one side alone' : ''}`
  return [`ledger: ${state}, ${paid}`, provenText(shown)]
}

function reservationText({ record, ...shown }: NonNullable<JudgedRecords['reservation']>): readonly string[] {
  const { state, path, price: fee, escrow, outcome } = record
  const paid =
    outcome === undefined
      ? `${coins(escrow)} locked`
      : `${coins(outcome.paid)} paid for ${kilowattHours(outcome.delivered)}, ${coins(outcome.refunded)} given back`
  const way = path.length === 0 ? 'no line between' : `lines ${path.join(', ')}`
  return [`reservation on ${shown.block.header.chainId}: ${state}, ${way}, ${price(fee)}, ${paid}`, provenText(shown)]
}

const provenText = ({ block, trusted }: Omit<JudgedLedger<unknown>, 'record'>): string =>
  `proven at height ${block.header.height} of ${isoTime(instantOf(block.header.time))}, signed by ${signedOf(block)} of ${block.block.validators.length} validators, from the trusted height ${trusted.header.height}`

/** Whoever signed the trusted block may since have left without penalty, and signed another chain. */
function ageNotes({ block, trusted }: Omit<JudgedLedger<unknown>, 'record'>, now: Instant): readonly string[] {
  const age = now - instantOf(trusted.header.time)
  const isLast = trusted.header.height === block.header.height
  return isLast || age <= PATH_RULES.trustingPeriodMs
    ? []
    : [
        `the trusted block is ${duration(age)} old, and its validators may have left since: ask somebody whom you trust for the hash of height ${block.header.height} of ${block.header.chainId}, and name that; here it is ${toHex(block.hash)}`,
      ]
}

function notesOf({ ledger, reservation, ...sides }: JudgedRecords, now: Instant): readonly string[] {
  const aged = [ledger, reservation].flatMap(shown => (shown === undefined ? [] : ageNotes(shown, now)))
  if (ledger === undefined) return aged
  const { record } = ledger
  const unheard = PARTIES.filter(party => {
    const taken = party === 'seller' ? record.sellerReceipt : record.buyerReceipt
    return sides[party]?.receipt !== undefined && taken === undefined && record.outcome !== undefined
  })
  return [
    ...aged,
    ...unheard.map(party => `${party}'s receipt is not what the ledger settled by: none came to it in time`),
  ]
}

function jsonOf(
  { hash, contract, ledger, reservation, ...sides }: JudgedRecords,
  signers: readonly Signer[],
  missing: readonly Missing[],
  keys: readonly Uint8Array[],
): Verdict['json'] {
  return {
    complete: missing.length === 0,
    deal: toHex(hash),
    signers: signers.map(({ as, key }) => ({ as, key: toHex(key), expected: isAmong(keys, key) })),
    ...(contract === undefined
      ? {}
      : {
          chain: contract.chainId,
          energyWh: `${contract.energy}`,
          priceMicroPerKwh: `${contract.price}`,
          seller: toHex(contract.seller),
          buyer: toHex(contract.buyer),
          metered: Object.fromEntries(
            PARTIES.flatMap(party => {
              const energy = sides[party]?.receipt?.energy
              return energy === undefined ? [] : [[`${party}Wh`, `${energy}`]]
            }),
          ),
        }),
    ...(ledger && {
      ledger: { state: ledger.record.state, ...outcomeJson(ledger.record.outcome), ...provenJson(ledger) },
    }),
    ...(reservation && {
      reservation: {
        ...{ chain: reservation.block.header.chainId, state: reservation.record.state, lines: reservation.record.path },
        feeMicroPerKwh: `${reservation.record.price}`,
        ...outcomeJson(reservation.record.outcome),
        ...provenJson(reservation),
      },
    }),
    missing,
  }
}

const provenJson = ({ block, trusted }: Omit<JudgedLedger<unknown>, 'record'>) => ({
  height: `${block.header.height}`,
  hash: toHex(block.hash),
  time: isoTime(instantOf(block.header.time)),
  signed: signedOf(block),
  validators: block.block.validators.length,
  trustedHeight: `${trusted.header.height}`,
})

interface Outcome {
  readonly delivered: bigint
  readonly paid: bigint
  readonly refunded: bigint
  readonly disputed?: boolean
}

const outcomeJson = (outcome: Outcome | undefined) =>
  outcome === undefined
    ? {}
    : {
        deliveredWh: `${outcome.delivered}`,
        paidMicro: `${outcome.paid}`,
        refundedMicro: `${outcome.refunded}`,
        ...(outcome.disputed === undefined ? {} : { disputed: outcome.disputed }),
      }
