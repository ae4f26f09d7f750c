/** The table's rules from the moment when power may flow to the ledger's settlement, and those of every fault and restart. */
import { equalBytes, toHex } from '../bytes.ts'
import { type WattHours, wattHours } from '../quantity.ts'
import { later } from '../time.ts'
import { dealAbsent } from './deal-reserve.ts'
import {
  APART_WH,
  type Deal,
  type Facts,
  type Input,
  type Now,
  OPENING_MS,
  type Output,
  overGrid,
  RETRY_MS,
  type Step,
  stopBody,
} from './deal-state.ts'
import {
  andThen,
  faultOf,
  followLedgers,
  giveUp,
  type InputOf,
  ignore,
  monoAt,
  no,
  open,
  type Peer,
  peerStop,
  type Rule,
  receiptCopy,
  receiptTimers,
  refuse,
  restore,
  startBy,
  stopIn,
  timer,
  to,
  withdraw,
} from './deal-step.ts'
import type { Receipt, StopReason } from './message.ts'
import { type Count, expectedPayment, wholeBetween } from './receipt.ts'

// --- Faults

/** Nothing is prepared yet: a silent peer or bus is no fault before the start, and `start-by` ends the wait. */
export const faultOnceEngaged: Rule<Input> = (deal, input, { now }) =>
  deal.phase === 'waiting' ? ignore(deal) : withdraw(deal, faultOf(input), now)

/** Contacts that may be closed open now; what was delivered, if anything, is settled by receipts. */
export const openNow: Rule<Input> = (deal, input, { now }) => withdraw(deal, faultOf(input), now)

/** The ledger gave the payment away while power may flow. */
export const paymentGone: Rule<InputOf<'settlement'>> = (deal, { outcome }, { now }) =>
  withdraw(deal, { code: 'deal.payment-gone', outcome: outcome.kind }, now)

export const abort: Rule<Input> = (deal, input, { now }) => giveUp(deal, 'aborted', faultOf(input), now)

export const tooLate: Rule<InputOf<'timer'>> = (deal, { name }, { now }) =>
  giveUp(deal, 'expired', { code: `deal.${name}` }, now)

export const heardDecline: Rule<Peer<'decline'>> = (deal, { id, reason }, { now }) =>
  equalBytes(id, deal.contract.nonce)
    ? giveUp(deal, 'aborted', { code: 'deal.declined', reason }, now, false)
    : no(deal, { code: 'deal.other-negotiation', expected: toHex(deal.contract.nonce), received: toHex(id) })

/** Before power flows a peer's stop is no occasion to wait for anybody. */
export const heardStopEarly: Rule<Peer<'stop'>> = (deal, body, { now }) => withdraw(deal, peerStop(body), now, false)

/** Facts in a state that wants the contacts open. */
export const factsAtRest: Rule<InputOf<'facts'>> = (deal, { facts }) => atRest(deal, facts)

function atRest(deal: Deal, facts: Facts): Step {
  if (!deal.engaged && !deal.isolated) return ignore(deal)
  const stuck = deal.engaged && facts.contact === 'open'
  return andThen(restore({ ...deal, facts }), one =>
    to(one, {}, ...(stuck ? ([{ kind: 'health', what: 'deal.contact-stuck' }] as const) : [])),
  )
}

// --- Power flows

export const factsStarted: Rule<InputOf<'facts'>> = (deal, { facts }, { now }) => {
  const seen = { ...deal, facts }
  if (facts.contact === 'open') return withdraw(seen, { code: 'deal.contact-opened' }, now)
  if (deal.role === 'buyer' && facts.own === 'closed') return withdraw(seen, { code: 'deal.paralleled' }, now)
  return ignore(seen)
}

/** Each side's figure is fixed by its end reading; the bus keeps no order. */
export const noteMetered: Rule<InputOf<'metered'>> = (deal, { side, energy, ended = false }) => {
  if (side === 'own') return deal.end === undefined ? to(deal, { ownWh: energy }) : ignore(deal)
  if (ended) return to(deal, { peerWh: energy, peerEnded: true })
  return deal.peerEnded ? ignore(deal) : to(deal, { peerWh: energy })
}

/** In every state, as evidence: it may come before the own end reading, or after the settlement. Twice it is one. */
export const keepPeerReceipt: Rule<InputOf<'peer-receipt'>> = (deal, { receipt }) =>
  deal.peerReceipt !== undefined && sameReceipt(deal.peerReceipt, receipt)
    ? ignore(deal)
    : to(deal, { peerReceipt: receipt })

const sameReceipt = (one: Receipt, other: Receipt): boolean =>
  (['begin', 'end'] as const).every(
    which =>
      equalBytes(one[which].envelope, other[which].envelope) && equalBytes(one[which].context, other[which].context),
  )

export const meteredStarted: Rule<InputOf<'metered'>> = (before, input, given) => {
  const { deal } = noteMetered(before, input, given)
  const { contract, role, ownWh, peerWh } = deal
  const [sent, received] = role === 'seller' ? [ownWh, peerWh] : [peerWh, ownWh]
  if (sent !== undefined && received !== undefined) {
    const arriving = (sent * BigInt(1000 - contract.lossPermille)) / 1000n
    if (arriving > received + APART_WH || received > sent + APART_WH) {
      return withdraw(deal, { code: 'deal.loss', sent, received, allowedPermille: contract.lossPermille }, given.now)
    }
  }
  return input.energy >= contract.energy ? stopNow(deal, 'energy', given.now) : ignore(deal)
}

export const windowOver: Rule<InputOf<'timer'>> = (deal, _, { now }) => stopNow(deal, 'window', now)
export const stopWanted: Rule<InputOf<'stop'>> = (deal, _, { now }) => stopNow(deal, 'operator', now)

/** A stop without a fault: the seller opens first, the buyer then opens a line that carries nothing. */
function stopNow(deal: Deal, reason: StopReason, now: Now): Step {
  const stopped = stopIn(deal, deal.role === 'seller' ? 'opening' : 'unloading', { code: `deal.stop-${reason}` }, now)
  return andThen(stopped, one => to(one, {}, { kind: 'send', body: stopBody(deal, reason) }))
}

export const heardStop: Rule<Peer<'stop'>> = (deal, body, { now }) => {
  const atOnce = deal.role === 'seller' || body.reason === 'fault' || body.reason === 'restart'
  return stopIn(deal, atOnce ? 'opening' : 'unloading', peerStop(body), now)
}

export const heardStopped: Rule<Peer<'stopped'>> = (deal, _, { now }) =>
  stopIn(deal, 'opening', { code: 'deal.peer-stopped' }, now)

function hear(deal: Deal, { sequence, contact }: Peer<'heartbeat'>): Deal {
  if (deal.peer !== undefined && sequence <= deal.peer.sequence) return deal
  const wasClosed = contact === 'closed' || (deal.peer?.wasClosed ?? false)
  return { ...deal, peer: { sequence, contact, wasClosed } }
}

/** Numbers begin anew when a peer restarts, so nothing is remembered of it before this end is being prepared. */
export const heartbeatArmed: Rule<Peer<'heartbeat'>> = (deal, body) =>
  ignore(deal.phase === 'waiting' ? deal : hear(deal, body))

/** A peer that was closed and now is open has stopped, whatever became of its message. */
export const heartbeatStarted: Rule<Peer<'heartbeat'>> = (deal, body, { now }) => {
  const heard = hear(deal, body)
  return heard.peer?.wasClosed && heard.peer.contact === 'open'
    ? stopIn(heard, 'opening', { code: 'deal.peer-opened' }, now)
    : ignore(heard)
}

// --- Stopped: contacts open, end reading, receipt

const openUnloaded = (deal: Deal, now: Now): Step =>
  to(
    deal,
    { phase: 'opening', facts: { ...deal.facts, contact: 'unknown' } },
    open('line'),
    timer('opening', later(now.mono, OPENING_MS)),
  )

export const factsStopped: Rule<InputOf<'facts'>> = (before, { facts }, { now }) => {
  const deal = { ...before, facts }
  if (deal.phase === 'unloading') {
    return facts.line === 'dead' || facts.contact === 'open' ? openUnloaded(deal, now) : ignore(deal)
  }
  if (deal.phase === 'opening' && facts.contact === 'open') {
    const word: readonly Output[] =
      deal.role === 'seller' ? [{ kind: 'send', body: { kind: 'stopped', hash: deal.hash } }] : []
    return andThen(restore(deal), one => to(one, { phase: 'reading' }, ...word, { kind: 'sign-reading', which: 'end' }))
  }
  return atRest(before, facts)
}

export const heartbeatStopped: Rule<Peer<'heartbeat'>> = (deal, body, { now }) => {
  const heard = hear(deal, body)
  return heard.phase === 'unloading' && heard.peer?.contact === 'open' ? openUnloaded(heard, now) : ignore(heard)
}

export const sellerHasOpened: Rule<Peer<'stopped'>> = (deal, _, { now }) =>
  deal.phase === 'unloading' ? openUnloaded(deal, now) : ignore(deal)

export const heardStopAgain: Rule<Peer<'stop'>> = (deal, { reason }, { now }) =>
  deal.phase === 'unloading' && (reason === 'fault' || reason === 'restart') ? openUnloaded(deal, now) : ignore(deal)

/** A fault while a contact may still be closed: open, again if need be. */
export const openAgain: Rule<Input> = (deal, _, { now }) => {
  if (deal.phase === 'unloading') return openUnloaded(deal, now)
  return deal.engaged ? to(deal, {}, open('line')) : ignore(deal)
}

export const unloadOver: Rule<InputOf<'timer'>> = (deal, _, { now }) =>
  deal.phase === 'unloading' ? openUnloaded(deal, now) : ignore(deal)

/** The other end opens too: the meter is read as it stands, and the contact stays a raised fault. */
export const openingOver: Rule<InputOf<'timer'>> = deal => {
  if (deal.phase !== 'opening') return ignore(deal)
  const fault = { code: 'deal.contact-stuck', seen: deal.facts.contact, afterMs: OPENING_MS }
  const raised = { kind: 'health', what: 'deal.contact-stuck', fault } as const
  return to(deal, { phase: 'reading' }, open('line'), raised, { kind: 'sign-reading', which: 'end' })
}

export const retry: Rule<InputOf<'timer'>> = deal => {
  if (deal.phase === 'reading') return to(deal, {}, { kind: 'sign-reading', which: 'end' })
  return deal.phase === 'receipt' ? to(deal, {}, { kind: 'submit', tx: 'receipt' }) : ignore(deal)
}

/** The other side's receipt may settle alone from here on; ours is still wanted until `settle-by`. */
export const askSettlement: Rule<InputOf<'timer'>> = deal => to(deal, {}, { kind: 'prove', what: 'settlement' })

export const dispute: Rule<InputOf<'timer'>> = deal =>
  to(deal, { state: 'disputed', phase: 'idle' }, { kind: 'prove', what: 'settlement' })

/** That a node took our receipt does not say that it stands on the ledger, which takes none twice. */
export const handInAgain: Rule<InputOf<'timer'>> = (deal, input, given) =>
  andThen(dispute(deal, input, given), one => to(one, {}, { kind: 'submit', tx: 'receipt' }))

export const takeEnd: Rule<InputOf<'signed-reading'>> = (deal, input, { now }) => {
  if (input.which !== 'end' || deal.phase !== 'reading' || deal.begin === undefined) return refuse(deal, input)
  const { begin } = deal
  const end = input.reading
  if (end.register < begin.register) {
    const fault = { code: 'deal.register-backwards', begin: begin.register, end: end.register }
    return andThen(no(deal, fault), one => to(one, {}, timer('retry', later(now.mono, RETRY_MS))))
  }
  return to(
    deal,
    { phase: 'receipt', end, ownWh: wholeBetween(begin.register, end.register) },
    { kind: 'submit', tx: 'receipt' },
    // On a line both ends judge each other's loss by it; over the grid only a sealed receipt needs it.
    ...(overGrid(deal) && deal.contract.receipts === undefined
      ? []
      : [{ kind: 'send', body: receiptCopy(deal.hash, begin, end) } as const]),
  )
}

export const noEnd: Rule<InputOf<'no-reading'>> = (deal, _, { now }) =>
  to(deal, {}, timer('retry', later(now.mono, RETRY_MS)))

export const receiptHandedIn: Rule<InputOf<'handed-in'>> = (deal, input) =>
  input.tx === 'receipt' && deal.phase === 'receipt'
    ? to(
        deal,
        { state: 'receipted', phase: 'idle' },
        { kind: 'health', what: 'deal.receipt-refused' },
        { kind: 'prove', what: 'settlement' },
      )
    : ignore(deal)

export const receiptRefused: Rule<InputOf<'not-handed-in'>> = (deal, { tx, fault }, { now }) =>
  tx === 'receipt' && deal.phase === 'receipt'
    ? to(deal, {}, { kind: 'health', what: 'deal.receipt-refused', fault }, timer('retry', later(now.mono, RETRY_MS)), {
        kind: 'prove',
        what: 'settlement',
      })
    : ignore(deal)

// --- The ledger has settled

export const takeSettlement: Rule<InputOf<'settlement'>> = (deal, input) => {
  const { outcome } = input
  if (outcome.kind === 'absent') return dealAbsent(deal, input)
  // Without a begin reading our contact never closed: nothing was delivered, whatever the other meter says. Over the grid it
  // is only that we do not know.
  const nothing = deal.begin === undefined && !overGrid(deal)
  const countOf = (energy: WattHours | undefined, ended: boolean): Count | undefined => {
    if (nothing) return { energy: wattHours(0n), final: true }
    return energy === undefined ? undefined : { energy, final: ended }
  }
  const own = countOf(deal.ownWh, deal.end !== undefined)
  const peer = countOf(deal.peerWh, deal.peerEnded ?? false)
  const { least, most } = expectedPayment(deal.contract, own, peer, outcome.disputed)
  const differs = outcome.paid < least || outcome.paid > most
  // Once the ledger has settled no receipt is wanted any more.
  const wanted = deal.end !== undefined && deal.state !== 'receipted'
  const fault = { code: 'deal.settlement-differs', paid: outcome.paid, least, most, height: outcome.height }
  // Without a payment there is no fee either.
  const fee = deal.fee && outcome.paid > 0n
  return to(
    deal,
    { state: outcome.kind, phase: 'idle', escrow: false, fee, settlement: outcome },
    ...(fee ? ([{ kind: 'prove', what: 'fee' }] as const) : []),
    ...(deal.engaged ? [open('line')] : []),
    ...(wanted ? ([{ kind: 'health', what: 'deal.receipt-refused' }] as const) : []),
    ...(differs ? ([{ kind: 'health', what: 'deal.settlement-differs', fault }] as const) : []),
  )
}

// --- Back from the journal: contacts are opened whatever they are, nothing volatile is believed

export const restoredUnsigned: Rule<InputOf<'restored'>> = (deal, _, { now }) =>
  giveUp(deal, 'aborted', { code: 'deal.restarted' }, now)

/** Whether the commitment was handed in before the crash is seen on the ledger; it is never sent twice. */
export const restoredSigned: Rule<InputOf<'restored'>> = (deal, _, { now }) =>
  to(deal, { state: 'escrowed', phase: 'idle', peerReady: false }, timer('start-by', monoAt(startBy(deal), now)), {
    kind: 'prove',
    what: 'lock',
  })

/** An opening waits for no journal and a closing comes after it, so a buyer's own supply may be open without a word of it. */
const perhapsIsolated = (deal: Deal): Deal =>
  deal.role === 'buyer' && !overGrid(deal) ? { ...deal, isolated: true } : deal

export const restoredArmed: Rule<InputOf<'restored'>> = (before, input, given) => {
  const deal = perhapsIsolated(before)
  if (deal.phase !== 'waiting') return giveUp(deal, 'aborted', { code: 'deal.restarted' }, given.now)
  return andThen(restoredSigned(deal, input, given), one => to(one, {}, open('line')))
}

export const restoredStarted: Rule<InputOf<'restored'>> = (deal, _, { now }) =>
  andThen(stopIn(deal, 'opening', { code: 'deal.restarted' }, now), one =>
    to(one, {}, { kind: 'send', body: stopBody(deal, 'restart') }),
  )

export const restoredStopped: Rule<InputOf<'restored'>> = (before, _, { now }) => {
  const deal = perhapsIsolated(before)
  if (deal.end === undefined) return stopIn(deal, 'opening', deal.cause ?? { code: 'deal.restarted' }, now)
  const contacts = deal.engaged || deal.isolated ? [open('line')] : []
  return to(
    deal,
    {},
    ...contacts,
    ...receiptTimers(deal, now),
    { kind: 'submit', tx: 'receipt' },
    { kind: 'prove', what: 'settlement' },
  )
}

export const restoredAtLedger: Rule<InputOf<'restored'>> = (deal, _, { now }) => {
  const outputs: Output[] = [...receiptTimers(deal, now), { kind: 'prove', what: 'settlement' }]
  return to(deal, {}, ...(deal.engaged || deal.isolated ? [open('line')] : []), ...outputs)
}

export const restoredEnded: Rule<InputOf<'restored'>> = deal =>
  to(deal, {}, ...(deal.engaged || deal.isolated ? [open('line')] : []), ...followLedgers(deal))
