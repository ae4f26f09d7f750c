/** One pair that a car park's auction found, as its two cars and the station know it, and the award that carries it out. */
import { equalBytes } from '../../protocol/bytes.ts'
import type { Price, WattHours } from '../../protocol/quantity.ts'
import type { BodyOf } from '../../protocol/trade/message.ts'
import type { Window } from '../grid/decide.ts'

export interface ParkMatch extends Window {
  /** Of the auction: what the award names as its agreement. */
  readonly session: Uint8Array
  /** Of the negotiation. */
  readonly deal: Uint8Array
  /** The other side, by its name. */
  readonly peer: string
  readonly energy: WattHours
  readonly price: Price
}

/** Whether a buyer's award is of this pair, in every term. */
export const isAwardOf = (match: ParkMatch, peer: string, award: BodyOf<'award'>): boolean =>
  peer === match.peer &&
  award.agreement !== undefined &&
  equalBytes(award.agreement, match.session) &&
  equalBytes(award.id, match.deal) &&
  award.as === 'buyer' &&
  award.receipts === undefined &&
  award.start === match.start &&
  award.end === match.end &&
  award.energy === match.energy &&
  award.price === match.price
