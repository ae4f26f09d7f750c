/**
 * A contact that was commanded open and did not open: seen by its auxiliary input, by current through it, or by voltage
 * where there should be none. Whoever latches it keeps it latched until a person has been there.
 */
import type { Fault } from '../result.ts'
import type { ContactFacts, EndFacts, Limits, Role } from './facts.ts'
import { fedFromHere, freshReading, isLive, seenDead } from './permit.ts'

/** What gave a weld away, with the values that were compared. */
export interface WeldSign extends Fault {
  readonly code: 'weld.auxiliary' | 'weld.current' | 'weld.voltage'
  readonly contact: string
}

const circuitFedBy = ({ contacts, siblings }: EndFacts, at: number): boolean =>
  [contacts.own, ...siblings].some(feed => feed?.commanded === 'closed' && feed.since <= at)

/**
 * The sign of a weld in `role`, from `weldMs` after open was commanded. A reading counts when it was taken `settleMs`
 * after the command at the earliest: before that it shows the past.
 */
export function weldSign(role: Role, facts: EndFacts, limits: Limits): WeldSign | undefined {
  const { line, upstream, own } = facts.contacts
  const contact: ContactFacts | undefined = role === 'seller.upstream' ? upstream : role === 'buyer.own' ? own : line
  if (contact === undefined || contact.commanded !== 'open') return undefined
  const forMs = facts.mono - contact.since
  if (forMs < limits.weldMs) return undefined
  if (contact.seen === 'closed') return { code: 'weld.auxiliary', contact: contact.name, forMs }

  const reading = freshReading(facts, limits)
  if (reading === undefined || reading.taken < contact.since + limits.settleMs) return undefined
  const voltage: WeldSign = {
    code: 'weld.voltage',
    contact: contact.name,
    mv: Math.max(0, ...reading.voltages),
    limitMv: limits.deadMv,
    forMs,
  }
  switch (role) {
    case 'seller.line':
    case 'buyer.line': {
      const ma = Math.max(0, ...reading.currents)
      if (ma > limits.weldMa) {
        return { code: 'weld.current', contact: contact.name, ma, limitMa: limits.weldMa, forMs }
      }
      if (!isLive(reading, limits)) return undefined
      if (role === 'seller.line') return voltage
      // A buyer's line can be live by its seller's doing. It is live by the buyer's own when it was dead behind the
      // opened contact and came alive with the circuit.
      return seenDead(line, limits) && circuitFedBy(facts, reading.taken - limits.settleMs) ? voltage : undefined
    }
    case 'buyer.own':
      return fedFromHere(facts, limits, role) === undefined ? undefined : voltage
    case 'seller.upstream':
      // Behind an open line contact no meter sees the isolator; its auxiliary input does.
      return undefined
  }
}
