/**
 * One side's energy receipt: what its own meter counted between a begin and an end reading, both signed under the metering
 * key that is enrolled for that meter and both naming this contract as their session, with the node where the meter hangs.
 *
 *                  meter         session's line                      begin                 end
 *     direct line  line meter    the contract's line                 in the window         in the window, after begin
 *     grid         grid meter    seller's: `line`; buyer's: `to`     at the window's start at the window's end
 *
 * each within READING_SLACK_MS. The seller's direction is export, the buyer's import. Over the grid nothing opens early:
 * the readings bound the whole window, and registers counted in another window of the meter are refused (windows.ts).
 */
import { equalBytes, toHex } from '../../bytes.ts'
import { milliwattHours, wholeWattHours } from '../../quantity.ts'
import { registerEnergy } from '../../reading/reading.ts'
import { type VerifiedContext, type VerifiedReading, verifyContext, verifyReadingIn } from '../../reading/verify.ts'
import { ok, type Result } from '../../result.ts'
import { OBIS } from '../../telegram/obis.ts'
import type { DealRecord, ReceiptRecord } from '../deal-record.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying } from '../kind.ts'
import type { Draft, State } from '../state.ts'
import { DEALS, METERS } from '../tables.ts'
import type { BodyOf } from '../tx.ts'
import { type Counted, countReceipt } from './windows.ts'

/**
 * How far outside the contract's window, or ahead of block time, a reading may be taken. Contacts move inside the window;
 * the reading before closing and after opening waits for a meter that may speak every ten seconds, on a board whose clock
 * may be some seconds off.
 */
export const READING_SLACK_MS = 30_000

/** What a record holds. A meter whose owner has its key can sign any number, a thousand times what there is energy for. */
const MAX_COUNTED_WH = 2n ** 53n

export function applyReceipt(
  draft: Draft,
  sender: Uint8Array,
  body: BodyOf<'receipt'>,
  applying: Applying,
): Result<Uint8Array, LedgerFault> {
  const id = toHex(body.deal)
  const deal = draft.get(DEALS, id)
  if (deal === undefined) return refuse('ledger.no-deal', { deal: id })
  const selling = equalBytes(sender, deal.seller)
  if (!selling && !equalBytes(sender, deal.buyer)) return refuse('ledger.not-a-party', { deal: id })
  const slot = selling ? 'sellerReceipt' : 'buyerReceipt'
  if (deal[slot] !== undefined) return refuse('ledger.receipt-taken', { deal: id })
  if (deal.state !== 'locked' || deal.sealed !== undefined)
    return refuse('ledger.deal-closed', { deal: id, state: deal.state })
  if (applying.time >= deal.settleBy) {
    return refuse('ledger.receipt-late', { deal: id, settleBy: deal.settleBy, now: applying.time })
  }
  const meterId = selling ? deal.sellerMeter : deal.buyerMeter
  const judged = judgeReadings(draft, body, applying, {
    meterId,
    session: body.deal,
    line: selling ? deal.line : (deal.to ?? deal.line),
    // Energy sent into the line counts as export at the seller's end, taken from it as import at the buyer's.
    direction: selling ? 'export' : 'import',
    ...spansOf(deal, applying.time),
  })
  if (!judged.ok) return judged
  const { receipt, counted } = judged.value
  if (deal.to !== undefined) {
    const taken = countReceipt(draft, deal, meterId, counted, applying.time)
    if (!taken.ok) return taken
  }
  draft.put(DEALS, id, { ...deal, [slot]: receipt })
  return ok(body.deal)
}

/** When the readings of a deal may be taken, for a receipt at a block time. */
function spansOf({ start, end, to }: DealRecord, now: number): Pick<Wanted, 'begin' | 'end'> {
  const latest = Math.min(end, now) + READING_SLACK_MS
  const inside = { earliest: start - READING_SLACK_MS, latest }
  return to === undefined
    ? { begin: inside, end: inside }
    : {
        begin: { ...inside, latest: Math.min(start, now) + READING_SLACK_MS },
        end: { ...inside, earliest: end - READING_SLACK_MS },
      }
}

/** What a pair of readings has to be of. */
export interface Wanted {
  readonly meterId: string
  /** Hash of what they are a session of. */
  readonly session: Uint8Array
  readonly line: string
  readonly direction: 'import' | 'export'
  /** When each may be taken, both bounds included. */
  readonly begin: Span
  readonly end: Span
}

interface Span {
  readonly earliest: number
  readonly latest: number
}

/** A receipt, and the registers that it stands on. */
interface Judged {
  readonly receipt: ReceiptRecord
  readonly counted: Counted
}

/** What a meter counted between two readings, if they are signed by it and of what is wanted. */
export function judgeReadings(
  state: State,
  body: Pick<BodyOf<'receipt'>, 'begin' | 'end' | 'contexts'>,
  { verifier }: Applying,
  wanted: Wanted,
): Result<Judged, LedgerFault> {
  const { meterId, line, direction } = wanted
  const meter = state.get(METERS, meterId)
  if (meter === undefined) return refuse('ledger.meter-unknown', { meterId })
  if (meter.revoked !== undefined) return refuse('ledger.meter-revoked', { meterId, revoked: meter.revoked })
  const contexts: VerifiedContext[] = []
  for (const envelope of body.contexts) {
    const context = verifyContext(envelope, meter.publicKey, verifier)
    if (!context.ok) return refuse('ledger.reading', { which: 'context', reason: context.fault.code })
    if (context.value.context.meterId !== meterId) {
      return refuse('ledger.reading-meter', { expected: meterId, received: context.value.context.meterId })
    }
    contexts.push(context.value)
  }
  const evidence: VerifiedReading[] = []
  for (const [which, envelope, context] of [
    ['begin', body.begin, contexts[0]!],
    ['end', body.end, contexts.at(-1)!],
  ] as const) {
    const verified = verifyReadingIn(context, envelope, verifier)
    if (!verified.ok) return refuse('ledger.reading', { which, reason: verified.fault.code })
    const { session, reason, errors, time: taken } = verified.value.reading
    if (session === undefined || !equalBytes(session.contract, wanted.session)) {
      return refuse('ledger.reading-session', { which, expected: toHex(wanted.session) })
    }
    if (session.line !== line || session.direction !== direction) {
      return refuse('ledger.reading-session', {
        which,
        expected: `${line} ${direction}`,
        received: `${session.line} ${session.direction}`,
      })
    }
    // Its own gateway says that energy or time of it are not to be settled on.
    if (errors.length > 0) return refuse('ledger.reading-errors', { which, errors: errors.join(', ') })
    if (reason !== which) return refuse('ledger.reading-reason', { expected: which, received: reason })
    const { earliest, latest } = wanted[which]
    if (taken < earliest || taken > latest) return refuse('ledger.reading-time', { which, taken, earliest, latest })
    evidence.push(verified.value)
  }
  const [begin, end] = evidence as [VerifiedReading, VerifiedReading]
  if (end.reading.sequence <= begin.reading.sequence) {
    return refuse('ledger.reading-sequence', { begin: begin.reading.sequence, end: end.reading.sequence })
  }
  if (end.reading.time < begin.reading.time) {
    return refuse('ledger.reading-time', { begin: begin.reading.time, end: end.reading.time })
  }
  const obis = direction === 'export' ? OBIS.energyExport : OBIS.energyImport
  const from = registerEnergy(begin.reading, obis)
  const to = registerEnergy(end.reading, obis)
  if (from === undefined || to === undefined || from < 0n || to < from) {
    return refuse('ledger.reading-register', { obis, begin: from, end: to })
  }
  const energy = wholeWattHours(milliwattHours(to - from))
  if (energy > MAX_COUNTED_WH) return refuse('ledger.reading-register', { obis, energy, most: MAX_COUNTED_WH })
  const receipt = { energy, begin: begin.hash, end: end.hash, stopped: end.reading.time }
  return ok({ receipt, counted: { energy, from, to } })
}
