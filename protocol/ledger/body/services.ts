/** What transactions about agreements, plans, demand response, points and groups carry. */
import { flag, integer, list, record, text, word } from '../../record.ts'
import { address, energy, envelope, hash32, meterId, name, price } from '../fields.ts'
import { agreementChoice, agreementTerms, eventTerms, plan, someEnergy } from '../service-tables.ts'

const MAX_SLOT = 2 ** 40

export const serviceBodies = {
  /** A standing agreement, offered to a store by the meter's owner. */
  propose: record(agreementTerms, agreementChoice),
  /** The store's answer; why, where it rejects. */
  answer: record({ agreement: [1, hash32], accepted: [2, flag] }, { reason: [3, text(/^[\x20-\x7e]{1,120}$/)] }),
  /** Either side's notice; an offer that was not answered is withdrawn at once. */
  end: record({ agreement: [1, hash32] }),
  /** What a meter will take and give on a day, slot by slot; in place of what was planned before. */
  schedule: record({ meterId: [1, meterId], day: [2, integer(0, MAX_SLOT)], plan: [3, plan] }),
  /** An order for a slot, in place of the one before; none where the energy is 0. */
  order: record({
    meterId: [1, meterId],
    slot: [2, integer(0, MAX_SLOT)],
    side: [3, word('buy', 'sell')],
    energy: [4, energy],
    limit: [5, price],
  }),
  /** A call to take less, with a deposit for what is promised. */
  event: record(eventTerms, { feeder: [10, name] }),
  /** A meter's owner offers to take part, with what the meter would take otherwise. */
  optIn: record({ event: [1, hash32], meterId: [2, meterId], baseline: [3, energy], most: [4, someEnergy] }),
  /** The announcer's word that this baseline is right; the deposit now stands for it. */
  admit: record({ event: [1, hash32], meterId: [2, meterId], baseline: [3, energy], most: [4, someEnergy] }),
  optOut: record({ event: [1, hash32], meterId: [2, meterId] }),
  /** What the meter took in the event's window: readings at begin and end with the event for their session. */
  report: record({
    event: [1, hash32],
    meterId: [2, meterId],
    begin: [3, envelope],
    end: [4, envelope],
    contexts: [5, list(envelope, 1, 2)],
  }),
  /**
   * Points for the seller of a deal that was settled by both sides; or, of a store's own sale, for whoever had put in so much of
   * what it gave.
   */
  issue: record({ deal: [1, hash32] }, { amount: [2, someEnergy], holder: [3, address] }),
  /** Points that are no more: their issuer owes what it promised for them. */
  redeem: record({ issuer: [1, address], amount: [2, someEnergy] }),
  found: record({ group: [1, name] }),
  invite: record({ group: [1, name], account: [2, address] }),
  join: record({ group: [1, name] }),
  leave: record({ group: [1, name] }),
  /** Any member's choice of the member that speaks for the group. */
  gateway: record({ group: [1, name], gateway: [2, address] }),
} as const
