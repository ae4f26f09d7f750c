/**
 * Every reason for which the ledger refuses a transaction, with its number.
 *
 * The number is the ABCI result code: it goes into LastResultsHash, so a number once given keeps its meaning. 0 is success.
 */
import { type Fault, type FaultDetail, fail } from '../result.ts'

export const REFUSAL_CODES = {
  'ledger.malformed': 1,
  'ledger.chain-id': 2,
  'ledger.no-account': 3,
  'ledger.signature': 4,
  'ledger.sequence': 5,
  'ledger.fee': 6,
  'ledger.expired': 7,
  'ledger.funds': 8,
  'ledger.amount': 9,
  'ledger.operator-only': 10,
  'ledger.meter-taken': 11,
  'ledger.key': 12,
  'ledger.account-taken': 13,
  'ledger.supply': 14,
  'ledger.meter-revoked': 15,
  'ledger.contract': 20,
  'ledger.contract-chain-id': 21,
  'ledger.not-the-buyer': 22,
  'ledger.contract-signature': 23,
  'ledger.window-over': 24,
  'ledger.deal-taken': 25,
  'ledger.meter-unknown': 26,
  'ledger.meter-owner': 27,
  'ledger.meter-line': 28,
  'ledger.sold': 29,
  'ledger.price-band': 30,
  'ledger.no-deal': 40,
  'ledger.not-a-party': 41,
  'ledger.receipt-taken': 42,
  'ledger.deal-closed': 43,
  'ledger.receipt-late': 44,
  'ledger.reading': 45,
  'ledger.reading-meter': 46,
  'ledger.reading-session': 47,
  'ledger.reading-reason': 48,
  'ledger.reading-sequence': 49,
  'ledger.reading-time': 50,
  'ledger.reading-register': 51,
  'ledger.role-unchanged': 60,
  'ledger.role-only': 61,
  'ledger.band': 62,
  'ledger.band-late': 63,
} as const

export type RefusalCode = keyof typeof REFUSAL_CODES

/** Why a transaction is refused. `code` is one of REFUSAL_CODES; the rest are the values that were compared. */
export type LedgerFault = Fault & { readonly code: RefusalCode }

export const refuse = (code: RefusalCode, compared: Readonly<Record<string, FaultDetail>> = {}) =>
  fail<LedgerFault>({ code, ...compared })
