/** What the rules of a deal are made of: one step, its outputs, and the two ways out of power. */
import type { Verifier } from '../crypto/verify.ts'
import type { Fault } from '../result.ts'
import { type Instant, later, type Mono } from '../time.ts'
import type { Party } from './contract.ts'
import {
  BOUNDARY_GRACE_MS,
  type Deal,
  type DealKind,
  type Input,
  type Now,
  OPENING_MS,
  type Output,
  overGrid,
  type Phase,
  receiptBy,
  SETTLE_MARGIN_MS,
  START_GRACE_MS,
  type Step,
  settleBy,
  stopBody,
  type TimerName,
  UNLOAD_MS,
  wireCode,
} from './deal-state.ts'
import type { BodyOf, SignedReading } from './message.ts'

export interface Given {
  readonly now: Now
  readonly verifier: Verifier
}
export type InputOf<K extends Input['kind']> = Extract<Input, { kind: K }>
/** A cell of the table. The name of the function is what the printed table shows. */
export type Rule<I> = (deal: Deal, input: I, given: Given) => Step
export type Peer<K extends DealKind> = BodyOf<K>

export const to = (deal: Deal, change: Partial<Deal>, ...outputs: readonly Output[]): Step => ({
  deal: { ...deal, ...change },
  outputs,
})
export const andThen = (step: Step, next: (deal: Deal) => Step): Step => {
  const after = next(step.deal)
  return { deal: after.deal, outputs: [...step.outputs, ...after.outputs] }
}
export const no = (deal: Deal, fault: Fault): Step => ({ deal, outputs: [{ kind: 'refused', fault }] })

/** A wall time as a monotonic one, from what the two clocks say now. */
export const monoAt = (wall: Instant, now: Now): Mono => later(now.mono, Math.max(0, wall - now.wall))
export const timer = (name: TimerName, at: Mono): Output => ({ kind: 'timer', name, at })
/** A timer that falls due after so long, but no later than a deal can begin. */
export const timerBy = (name: TimerName, afterMs: number, deal: Deal, now: Now): Output =>
  timer(name, later(now.mono, Math.max(0, Math.min(afterMs, startBy(deal) - now.wall))))
/** A reading as it is handed to the other side: without our own note of the register. */
export const signedCopy = ({ envelope, context }: SignedReading): SignedReading => ({ envelope, context })
export const receiptCopy = (hash: Uint8Array, begin: SignedReading, end: SignedReading): BodyOf<'receipt-copy'> => ({
  kind: 'receipt-copy',
  hash,
  begin: signedCopy(begin),
  end: signedCopy(end),
})
export const open = (contact: 'line' | 'own'): Output => ({ kind: 'open', contact })
export const close = (contact: 'line' | 'own'): Output => ({ kind: 'close', contact })
export const other = (role: Party): Party => (role === 'buyer' ? 'seller' : 'buyer')
export const keyOf = (deal: Deal, party: Party): Uint8Array => (party === 'seller' ? deal.sellerKey : deal.buyerKey)

export function startBy(deal: Deal): Instant {
  const { start, end } = deal.contract
  const grace = overGrid(deal) ? BOUNDARY_GRACE_MS : START_GRACE_MS
  return (start + Math.min(grace, Math.floor((end - start) / 2))) as Instant
}

/** It can come late or twice, and says nothing new. */
export const ignore = (deal: Deal): Step => ({ deal, outputs: [] })

/** It has no business here. */
export const refuse = (deal: Deal, input: Input | Peer<DealKind>): Step =>
  no(deal, { code: 'deal.unexpected', state: deal.state, input: input.kind })

/** What went wrong, by the input that says so. */
export const faultOf = (input: Input): Fault =>
  'fault' in input ? input.fault : { code: `deal.${input.kind}`, ...('ageMs' in input ? { ageMs: input.ageMs } : {}) }

export const peerStop = ({ reason, code }: Peer<'stop'>): Fault => ({
  code: `deal.peer-stop-${reason}`,
  ...(code === undefined ? {} : { because: code }),
})

export function withdraw(deal: Deal, cause: Fault, now: Now, tell = true): Step {
  return giveUp(deal, 'aborted', cause, now, tell)
}

/** Out of any state before `stopped`, contacts first. With a begin reading it goes by way of an end reading. */
export function giveUp(deal: Deal, state: 'aborted' | 'expired', cause: Fault, now: Now, tell = true): Step {
  const word: Output[] = !tell
    ? []
    : deal.state === 'proposed'
      ? [{ kind: 'send', body: { kind: 'decline', id: deal.contract.nonce, reason: wireCode(cause) } }]
      : [{ kind: 'send', body: stopBody(deal, 'fault', cause) }]
  const mayBeClosed = !overGrid(deal) && (deal.state === 'armed' || deal.state === 'started')
  if (mayBeClosed && deal.engaged && deal.begin !== undefined) {
    return andThen(stopIn(deal, 'opening', cause, now), one => to(one, {}, ...word))
  }
  // Facts from before the opening say nothing about what it did.
  const facts = deal.engaged ? { ...deal.facts, contact: 'unknown' as const } : deal.facts
  const ended = to(
    deal,
    { state, phase: 'idle', cause, facts },
    ...(mayBeClosed ? [open('line')] : []),
    ...word,
    ...followLedgers(deal),
  )
  return andThen(ended, restore)
}

/** What may be held on a ledger is followed there to its end, whatever became of the deal. */
export const followLedgers = ({ escrow, fee }: Deal): readonly Output[] => [
  ...(escrow || fee ? ([{ kind: 'prove', what: 'settlement' }] as const) : []),
  ...(fee ? ([{ kind: 'prove', what: 'fee' }] as const) : []),
]

/** A deal over the grid settles at the end of the receipt window, so its settlement is late only after that. */
export function receiptTimers(deal: Deal, now: Now): readonly Output[] {
  const by = overGrid(deal) ? later(receiptBy(deal), SETTLE_MARGIN_MS) : receiptBy(deal)
  return [
    timer('receipt-by', monoAt(by, now)),
    timer('settle-by', monoAt(later(settleBy(deal), SETTLE_MARGIN_MS), now)),
  ]
}

/** The circuit gets its own supply back once the line's contact is seen open, and not before. */
export function restore(deal: Deal): Step {
  if (deal.facts.contact !== 'open') return ignore(deal)
  return deal.isolated ? to(deal, { isolated: false, engaged: false }, close('own')) : to(deal, { engaged: false })
}

export function stopIn(deal: Deal, phase: Phase, cause: Fault, now: Now): Step {
  const opening = phase === 'opening'
  // Facts from before the opening say nothing about what it did.
  const facts = { ...deal.facts, contact: 'unknown' as const }
  return to(
    deal,
    { state: 'stopped', phase, cause, facts },
    ...(opening ? [open('line')] : []),
    opening ? timer('opening', later(now.mono, OPENING_MS)) : timer('unload', later(now.mono, UNLOAD_MS)),
    ...receiptTimers(deal, now),
  )
}
