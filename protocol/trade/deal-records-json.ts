/**
 * A deal's records as one file of JSON. Blocks are as CometBFT's own RPC writes them, so that other programs read them, too;
 * what Tieline's sides signed, and the ledger's record and proof, are hexadecimal.
 *
 *     {"tieline": "deal-records/1", "deal": HASH, "contract": HEX,
 *      "seller": {"key": HEX, "signature": HEX, "begin": {"envelope": HEX, "context": HEX}, "end": {...}}, "buyer": {...},
 *      "ledger": {"path": [{"signed_header": {"header", "commit"}, "validators"}], "record": HEX, "proof": HEX},
 *      "reservation": {"path", "record", "proof"} of the distribution ledger, of a deal over the grid,
 *      "missing": [{"piece": "buyer.receipt", "why": "not-handed"}]}
 *
 * One deal's records have one text: a file that says the same in other words is refused, so that nothing in it is overlooked.
 */
import { equalBytes, toHex } from '../bytes.ts'
import type { LightBlock } from '../chain/light-block.ts'
import { type JsonFault, lightBlockJson, parse, type Reader, readLightBlock } from '../chain/rpc-json.ts'
import { fail, ok, type Result } from '../result.ts'
import { contractHash } from './contract.ts'
import {
  type DealRecords,
  type LedgerRecords,
  type Missing,
  PIECES,
  type Piece,
  REASONS,
  type SideRecords,
} from './deal-records.ts'
import type { SignedReading } from './message.ts'

export const DEAL_RECORDS = 'deal-records/1'
/** From a block that was trusted for two weeks' steps: years. */
const MAX_PATH = 200

export type DealRecordsFault =
  | JsonFault
  | { readonly code: 'records.not-json' }
  | { readonly code: 'records.other-deal'; readonly expected: string; readonly received: string }
  | { readonly code: 'records.form'; readonly line: number; readonly hint: string }

/** Priorities are no part of what validators sign: they are none of this file's. */
const bare = (block: LightBlock): LightBlock => ({
  ...block,
  validators: block.validators.map(validator => ({ ...validator, proposerPriority: 0n })),
})

const readingJson = ({ envelope, context }: SignedReading) => ({ envelope: toHex(envelope), context: toHex(context) })

const sideJson = ({ key, half, receipt }: SideRecords) => ({
  key: toHex(key),
  ...(half === undefined ? {} : { signature: toHex(half) }),
  ...(receipt === undefined ? {} : { begin: readingJson(receipt.begin), end: readingJson(receipt.end) }),
})

const ledgerJson = ({ path, record, proof }: LedgerRecords) => ({
  path: path.map(block => lightBlockJson(bare(block))),
  record: toHex(record),
  proof: toHex(proof),
})

export function writeDealRecords({ contract, seller, buyer, ledger, reservation, missing }: DealRecords): string {
  const file = {
    ...{ tieline: DEAL_RECORDS, deal: toHex(contractHash(contract)), contract: toHex(contract) },
    ...{ seller: sideJson(seller), buyer: sideJson(buyer) },
    ...(ledger === undefined ? {} : { ledger: ledgerJson(ledger) }),
    ...(reservation === undefined ? {} : { reservation: ledgerJson(reservation) }),
    missing: missing.map(({ piece, why }) => ({ piece, why })),
  }
  return `${JSON.stringify(file, null, 1)}\n`
}

/** Judges the form only; deal-records.ts judges what it says. */
export function readDealRecords(text: string): Result<DealRecords, DealRecordsFault> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // JSON.parse says by throwing that the text is none.
    return fail({ code: 'records.not-json' })
  }
  const read = parse(json, reader => ({ records: readRecords(reader), deal: reader.hex('deal') }))
  if (!read.ok) return read
  const { records, deal } = read.value
  const hash = contractHash(records.contract)
  if (!equalBytes(hash, deal)) return fail({ code: 'records.other-deal', expected: toHex(deal), received: toHex(hash) })
  const line = firstDifference(text, writeDealRecords(records))
  const hint = 'the file holds something that belongs to no record of a deal, or was written by another program'
  return line === undefined ? ok(records) : fail({ code: 'records.form', line, hint })
}

function firstDifference(one: string, other: string): number | undefined {
  if (one === other) return undefined
  const lines = other.split('\n')
  return one.split('\n').findIndex((line, n) => line !== lines[n]) + 1
}

function readRecords(reader: Reader): DealRecords {
  if (reader.text('tieline') !== DEAL_RECORDS) reader.refuse('tieline', DEAL_RECORDS)
  return {
    contract: reader.hex('contract'),
    seller: readSide(reader.object('seller')),
    buyer: readSide(reader.object('buyer')),
    ...(reader.has('ledger') ? { ledger: readLedger(reader.object('ledger')) } : {}),
    ...(reader.has('reservation') ? { reservation: readLedger(reader.object('reservation')) } : {}),
    missing: reader.list('missing', PIECES.length).map(readMissing),
  }
}

const readReading = (reader: Reader): SignedReading => ({
  envelope: reader.hex('envelope'),
  context: reader.hex('context'),
})

const readSide = (reader: Reader): SideRecords => ({
  key: reader.hex('key'),
  ...(reader.has('signature') ? { half: reader.hex('signature') } : {}),
  ...(reader.has('begin')
    ? { receipt: { begin: readReading(reader.object('begin')), end: readReading(reader.object('end')) } }
    : {}),
})

function readLedger(reader: Reader): LedgerRecords {
  const path = reader.list('path', MAX_PATH).map(readLightBlock)
  if (path.length === 0) reader.refuse('path', 'at least one block')
  return { path, record: reader.hex('record'), proof: reader.hex('proof') }
}

function readMissing(reader: Reader): Missing {
  const [piece, why] = [reader.text('piece'), reader.text('why')]
  if (!PIECES.some(each => each === piece)) reader.refuse('piece', PIECES.join(', '))
  if (!REASONS.some(each => each === why)) reader.refuse('why', REASONS.join(', '))
  return { piece: piece as Piece, why: why as Missing['why'] }
}
