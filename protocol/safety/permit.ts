/**
 * The permit: may this contact be closed now, may it stay closed now? Pure functions of what is known; whatever is not
 * known means no. One table holds the rules, with one column for closing and one for staying closed.
 *
 * The order of a start, which the table enforces by itself: the buyer opens its own supply, sees the line dead and closes
 * onto it; the seller sees its peer closed and the line dead, closes the isolator, sees the line still dead (a welded
 * line contact would show here) and closes its line contact.
 */
import type { Fault } from '../result.ts'
import type { ContactFacts, EndFacts, Limits, Role, Seen } from './facts.ts'
import type { LineReading } from './line-reading.ts'

export type ReasonCode =
  | 'permit.manual'
  | 'permit.watchdog'
  | 'permit.weld'
  | 'permit.peer-weld'
  | 'permit.no-deal'
  | 'permit.not-started'
  | 'permit.expired'
  | 'permit.lease-over'
  | 'permit.payment-unproven'
  | 'permit.clock-behind-header'
  | 'permit.proof-old'
  | 'permit.light'
  | 'permit.own-heartbeat'
  | 'permit.peer-heartbeat'
  | 'permit.peer-position'
  | 'permit.peer-too-early'
  | 'permit.reading'
  | 'permit.reading-incomplete'
  | 'permit.reading-too-early'
  | 'permit.line-live'
  | 'permit.not-seen-dead'
  | 'permit.backfeed'
  | 'permit.window'
  | 'permit.current'
  | 'permit.off-time'
  | 'permit.changeover'
  | 'permit.interlock'
  | 'permit.order'
  | 'permit.not-seen-closed'

/** One condition that is not met, with the values that were compared. */
export interface Reason extends Fault {
  readonly code: ReasonCode
}

export type Permit = { readonly may: true } | { readonly may: false; readonly because: readonly Reason[] }

type Judge = (facts: EndFacts, limits: Limits, role: Role) => Reason | undefined

interface Rule {
  /** Contacts that it holds back from closing. */
  readonly close: readonly Role[]
  /** Contacts that it opens. */
  readonly stay: readonly Role[]
  readonly judge: Judge
}

const ALL: readonly Role[] = ['seller.upstream', 'seller.line', 'buyer.line', 'buyer.own']
/** The contacts that join two parties: nothing closes them but a deal. */
const JOINING: readonly Role[] = ['seller.upstream', 'seller.line', 'buyer.line']
const NONE: readonly Role[] = []

/** Milliseconds since `at`, or undefined where that is unknown or lies ahead: a stamp from the future proves nothing. */
function age(mono: number, at: number | undefined): number | undefined {
  if (at === undefined) return undefined
  const ms = mono - at
  return ms >= 0 ? ms : undefined
}

const within = (ms: number | undefined, limit: number): boolean => ms !== undefined && ms <= limit

export const isDead = (reading: LineReading, limits: Limits): boolean =>
  reading.missing.length === 0 && reading.voltages.every(mv => mv < limits.deadMv)

export const isLive = (reading: LineReading, limits: Limits): boolean =>
  reading.voltages.some(mv => mv >= limits.deadMv)

export const freshReading = (facts: EndFacts, limits: Limits): LineReading | undefined =>
  facts.reading !== undefined && within(age(facts.mono, facts.reading.taken), limits.readingMs)
    ? facts.reading
    : undefined

/** Whether a live line's reading lies outside the window; a frequency that is not given does. */
export function outsideWindow(reading: LineReading, limits: Limits): boolean {
  const { frequency, voltages } = reading
  return (
    reading.missing.length > 0 ||
    voltages.some(mv => mv < limits.voltageMinMv || mv > limits.voltageMaxMv) ||
    frequency === undefined ||
    frequency < limits.frequencyMinMhz ||
    frequency > limits.frequencyMaxMhz
  )
}

/** Whether `feed` was seen without voltage after it was last commanded open. */
export const seenDead = (
  feed: { readonly since: number; readonly deadAt: number | undefined },
  limits: Limits,
): boolean => feed.deadAt !== undefined && feed.deadAt >= feed.since + limits.settleMs

/**
 * How long the seller's isolator may outlast its line contact: until a reading taken after the opening can have come in.
 * Opened together with it, the isolator would hide a weld from the line meter.
 */
const holdMs = (limits: Limits): number => limits.settleMs + limits.readingMs

/** The isolator carries nothing and is kept for a moment, to see whether the line contact really opened. */
export function verifyingOpening(facts: EndFacts, limits: Limits): boolean {
  const { line } = facts.contacts
  return line.commanded === 'open' && facts.mono - line.since <= holdMs(limits) && !seenDead(line, limits)
}

const manual: Judge = facts => (facts.manual ? { code: 'permit.manual' } : undefined)

const watchdogFed: Judge = (facts, limits) => {
  const agoMs = age(facts.mono, facts.watchdogFed)
  return within(agoMs, limits.watchdogMs) ? undefined : { code: 'permit.watchdog', agoMs, limitMs: limits.watchdogMs }
}

const noWeld: Judge = facts =>
  facts.welds.length === 0 ? undefined : { code: 'permit.weld', contacts: [...facts.welds] }

const peerNotWelded: Judge = facts =>
  facts.peer?.welded === true ? { code: 'permit.peer-weld', line: facts.contacts.line.name } : undefined

const dealRuns: Judge = facts => {
  const { deal, now, leaseUntil, mono } = facts
  if (deal === undefined) return { code: 'permit.no-deal' }
  if (!(now >= deal.start)) return { code: 'permit.not-started', now, start: deal.start }
  if (!(now < deal.end)) return { code: 'permit.expired', now, end: deal.end }
  // A wall clock that is set back would prolong the deal; the lease on the monotonic clock does not follow it.
  if (leaseUntil === undefined || !(mono < leaseUntil)) return { code: 'permit.lease-over', mono, until: leaseUntil }
  return undefined
}

const paymentProven: Judge = facts => (facts.proof === undefined ? { code: 'permit.payment-unproven' } : undefined)

/** The verified header bounds the wall clock from below: a clock set back cannot make an old lock look current. */
const clockNotBehind: Judge = ({ proof, now }, limits) =>
  proof !== undefined && !(now >= proof.headerTime - limits.clockDriftMs)
    ? { code: 'permit.clock-behind-header', now, headerTime: proof.headerTime, allowedMs: limits.clockDriftMs }
    : undefined

const proofFresh: Judge = ({ proof, now }, limits) =>
  proof !== undefined && !(now - proof.headerTime <= limits.maxProofAgeMs)
    ? { code: 'permit.proof-old', ageMs: now - proof.headerTime, limitMs: limits.maxProofAgeMs, height: proof.height }
    : undefined

/**
 * While witnesses are missing no fresher header can be believed, and none is needed: the lock was proven with witnesses,
 * and the ledger does not release it before the deal's end.
 */
const proofFreshUnlessAlone: Judge = (facts, limits, role) =>
  facts.light === 'no-witness' ? undefined : proofFresh(facts, limits, role)

const lightHealthy: Judge = facts =>
  facts.light === 'healthy' ? undefined : { code: 'permit.light', state: facts.light ?? 'unknown' }

/** No new payment is believed without a witness, but a running deal finishes. */
const lightNotHalted: Judge = facts =>
  facts.light === 'healthy' || facts.light === 'no-witness'
    ? undefined
    : { code: 'permit.light', state: facts.light ?? 'unknown' }

const ownHeartbeatFresh: Judge = (facts, limits) => {
  const agoMs = age(facts.mono, facts.ownHeartbeat)
  return within(agoMs, limits.heartbeatMs)
    ? undefined
    : { code: 'permit.own-heartbeat', agoMs, limitMs: limits.heartbeatMs }
}

const peerHeartbeatFresh: Judge = (facts, limits) => {
  const agoMs = age(facts.mono, facts.peer?.heard)
  return within(agoMs, limits.heartbeatMs)
    ? undefined
    : { code: 'permit.peer-heartbeat', agoMs, limitMs: limits.heartbeatMs }
}

const peerIs =
  (wanted: Seen): Judge =>
  facts =>
    facts.peer?.line === wanted
      ? undefined
      : { code: 'permit.peer-position', seen: facts.peer?.line ?? 'unknown', wanted }

/**
 * Until `heartbeatMs` after this buyer opened, its seller may still act on an older word of ours and feed the line. What
 * is known of the line counts from then on.
 */
const forgottenAt = (facts: EndFacts, limits: Limits): number => facts.contacts.line.since + limits.heartbeatMs

const peerHeardSince: Judge = (facts, limits) => {
  const after = forgottenAt(facts, limits)
  return facts.peer === undefined || facts.peer.heard >= after
    ? undefined
    : { code: 'permit.peer-too-early', heard: facts.peer.heard, after }
}

const peerKnown: Judge = facts =>
  facts.peer === undefined || facts.peer.line === 'unknown'
    ? { code: 'permit.peer-position', seen: 'unknown' }
    : undefined

const readingFresh: Judge = (facts, limits) => {
  const agoMs = age(facts.mono, facts.reading?.taken)
  if (!within(agoMs, limits.readingMs)) return { code: 'permit.reading', agoMs, limitMs: limits.readingMs }
  const missing = facts.reading!.missing
  return missing.length > 0 ? { code: 'permit.reading-incomplete', missing } : undefined
}

/** What is judged must have been measured after the last switching at this end, not before it. */
const readAfter =
  (from: (facts: EndFacts, limits: Limits) => number): Judge =>
  (facts, limits) => {
    const reading = freshReading(facts, limits)
    const after = from(facts, limits) + limits.settleMs
    return reading === undefined || reading.taken >= after
      ? undefined
      : { code: 'permit.reading-too-early', taken: reading.taken, after }
  }

/** Two supplies are never joined: what is closed onto is dead. One voltage source a line. */
const lineDead: Judge = (facts, limits) => {
  const reading = freshReading(facts, limits)
  return reading === undefined || !isLive(reading, limits)
    ? undefined
    : { code: 'permit.line-live', mv: Math.max(...reading.voltages), limitMv: limits.deadMv }
}

/** A line that stays live while its seller reports open is fed from this end, by a supply that should be open. */
export const fedFromHere: Judge = ({ strayLiveSince, mono }, limits) =>
  strayLiveSince === undefined || mono - strayLiveSince < limits.persistMs
    ? undefined
    : { code: 'permit.backfeed', forMs: mono - strayLiveSince, limitMs: limits.persistMs }

const insideWindow: Judge = (facts, limits) => {
  const { outsideSince, mono } = facts
  return outsideSince === undefined || mono - outsideSince < limits.persistMs
    ? undefined
    : { code: 'permit.window', forMs: mono - outsideSince, limitMs: limits.persistMs }
}

const currentBelowLimit: Judge = (facts, limits) => {
  const ma = Math.max(0, ...(facts.reading?.currents ?? []))
  return ma <= limits.limitMa ? undefined : { code: 'permit.current', ma, limitMa: limits.limitMa }
}

function contactOf(facts: EndFacts, role: Role): ContactFacts {
  const { line, upstream, own } = facts.contacts
  const contact = role === 'seller.upstream' ? upstream : role === 'buyer.own' ? own : line
  if (contact === undefined) throw new Error(`${role} is not fitted at ${line.name}`)
  return contact
}

const offLongEnough: Judge = (facts, limits, role) => {
  const contact = contactOf(facts, role)
  const offMs = facts.mono - contact.since
  return contact.commanded === 'closed' || offMs >= limits.minOffMs
    ? undefined
    : { code: 'permit.off-time', offMs, limitMs: limits.minOffMs }
}

/** The contacts that must be open while this one is closed. */
function interlocked(facts: EndFacts, role: Role): readonly ContactFacts[] {
  if (role === 'buyer.own') return [facts.contacts.line, ...facts.siblings]
  if (role === 'buyer.line') return [...(facts.contacts.own ? [facts.contacts.own] : []), ...facts.siblings]
  return []
}

const interlockedOpen: Judge = (facts, _limits, role) => {
  const other = interlocked(facts, role).find(contact => contact.commanded !== 'open' || contact.seen !== 'open')
  return other && { code: 'permit.interlock', contact: other.name, seen: other.seen, commanded: other.commanded }
}

const breakBeforeMake: Judge = (facts, limits, role) => {
  const other = interlocked(facts, role).find(contact => facts.mono - contact.since < limits.changeoverMs)
  return (
    other && {
      code: 'permit.changeover',
      contact: other.name,
      sinceMs: facts.mono - other.since,
      limitMs: limits.changeoverMs,
    }
  )
}

/** The circuit's own supply returns only when each line onto it was seen dead behind its opened contact. */
const linesSeenDead: Judge = (facts, limits) => {
  const feed = [facts.contacts.line, ...facts.siblings].find(line => !seenDead(line, limits))
  return feed && { code: 'permit.not-seen-dead', contact: feed.name, since: feed.since, deadAt: feed.deadAt }
}

const lineOpen: Judge = facts => {
  const { line } = facts.contacts
  return line.commanded === 'open' && line.seen === 'open'
    ? undefined
    : { code: 'permit.order', contact: line.name, seen: line.seen, wanted: 'open' }
}

const upstreamClosed: Judge = facts => {
  const { upstream } = facts.contacts
  return upstream === undefined || (upstream.commanded === 'closed' && upstream.seen === 'closed')
    ? undefined
    : { code: 'permit.order', contact: upstream.name, seen: upstream.seen, wanted: 'closed' }
}

const seenClosed: Judge = (facts, limits, role) => {
  const contact = contactOf(facts, role)
  return contact.commanded === 'open' || contact.seen === 'closed' || facts.mono - contact.since <= limits.readBackMs
    ? undefined
    : { code: 'permit.not-seen-closed', contact: contact.name, seen: contact.seen, limitMs: limits.readBackMs }
}

const upstreamSince = (facts: EndFacts) => facts.contacts.upstream?.since ?? 0
const changeoverSince = (facts: EndFacts, limits: Limits) =>
  Math.max(facts.contacts.own?.since ?? 0, forgottenAt(facts, limits))

/**
 * The rules; the hand and our own health come first, then who pays, then the peer, then the wire. All are judged, so the
 * order decides only what a person reads first.
 */
const RULES: readonly Rule[] = [
  { close: ALL, stay: ALL, judge: manual },
  { close: ALL, stay: ALL, judge: watchdogFed },
  { close: ALL, stay: ALL, judge: noWeld },
  // The buyer's own supply has nothing to do with the neighbour's contact: the line was seen dead before it closes.
  { close: JOINING, stay: JOINING, judge: peerNotWelded },
  { close: JOINING, stay: JOINING, judge: dealRuns },
  { close: JOINING, stay: JOINING, judge: paymentProven },
  { close: JOINING, stay: JOINING, judge: clockNotBehind },
  { close: JOINING, stay: NONE, judge: proofFresh },
  { close: NONE, stay: JOINING, judge: proofFreshUnlessAlone },
  { close: JOINING, stay: NONE, judge: lightHealthy },
  { close: NONE, stay: JOINING, judge: lightNotHalted },
  { close: JOINING, stay: JOINING, judge: ownHeartbeatFresh },
  { close: JOINING, stay: JOINING, judge: peerHeartbeatFresh },
  // The buyer closes onto a line that its seller has not fed yet, and stays on it through the seller's closing.
  { close: ['buyer.line'], stay: NONE, judge: peerIs('open') },
  { close: ['buyer.line'], stay: NONE, judge: peerHeardSince },
  { close: NONE, stay: ['buyer.line'], judge: peerKnown },
  // The seller is always second to close, so a buyer that opened (for a stop or a fault) opens the seller.
  { close: ['seller.upstream', 'seller.line'], stay: ['seller.upstream', 'seller.line'], judge: peerIs('closed') },
  { close: JOINING, stay: JOINING, judge: readingFresh },
  { close: ['seller.line'], stay: NONE, judge: readAfter(upstreamSince) },
  { close: ['buyer.line'], stay: NONE, judge: readAfter(changeoverSince) },
  // Dead before the first closing; from then on the voltage is wanted, and judged by the window.
  { close: JOINING, stay: NONE, judge: lineDead },
  { close: NONE, stay: ['buyer.line'], judge: fedFromHere },
  { close: NONE, stay: JOINING, judge: insideWindow },
  { close: JOINING, stay: JOINING, judge: currentBelowLimit },
  { close: JOINING, stay: NONE, judge: offLongEnough },
  { close: ['buyer.line', 'buyer.own'], stay: ['buyer.line', 'buyer.own'], judge: interlockedOpen },
  { close: ['buyer.line', 'buyer.own'], stay: NONE, judge: breakBeforeMake },
  // Once its supply is on, a meter that falls silent on an idle line is no reason to darken the circuit.
  { close: ['buyer.own'], stay: NONE, judge: linesSeenDead },
  { close: ['seller.upstream'], stay: NONE, judge: lineOpen },
  { close: ['seller.line'], stay: ['seller.line'], judge: upstreamClosed },
  { close: NONE, stay: ALL, judge: seenClosed },
]

function permit(rules: readonly Rule[], facts: EndFacts, limits: Limits, role: Role): Permit {
  const because = rules.flatMap(rule => rule.judge(facts, limits, role) ?? [])
  return because.length === 0 ? { may: true } : { may: false, because }
}

const closeRules = Object.fromEntries(ALL.map(role => [role, RULES.filter(rule => rule.close.includes(role))]))
const stayRules = Object.fromEntries(ALL.map(role => [role, RULES.filter(rule => rule.stay.includes(role))]))
/** What opens even an isolator that is kept to verify an opening. */
const holdRules = RULES.filter(rule => rule.stay === ALL)

/** May the contact in `role`, open now, be closed? */
export const mayClose = (role: Role, facts: EndFacts, limits: Limits): Permit =>
  permit(closeRules[role]!, facts, limits, role)

/** May the contact in `role`, commanded closed, stay so? */
export const mayStay = (role: Role, facts: EndFacts, limits: Limits): Permit =>
  permit(
    role === 'seller.upstream' && verifyingOpening(facts, limits) ? holdRules : stayRules[role]!,
    facts,
    limits,
    role,
  )
