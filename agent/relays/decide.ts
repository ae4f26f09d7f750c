/**
 * What each contact of a site should do now: a pure step from what is known to commands, with no waiting and no effects.
 *
 * The permit (protocol/safety) carries the order of things: this step opens whatever may not stay closed, closes what is
 * wished and may close, and adds only what the permit cannot know, which is the wish itself, the claim of one line on a
 * circuit, and how long a start may take before it is given up. An opening that nobody wished ends the wish, so that a
 * fault never flaps a contact.
 */

import type { Fault } from '../../protocol/result.ts'
import type {
  ContactFacts,
  EndFacts,
  FeedFacts,
  Limits,
  LineFacts,
  Position,
  Role,
  Seen,
} from '../../protocol/safety/facts.ts'
import type { LineReading } from '../../protocol/safety/line-reading.ts'
import {
  isDead,
  isLive,
  mayClose,
  mayStay,
  outsideWindow,
  type Permit,
  verifyingOpening,
} from '../../protocol/safety/permit.ts'
import { weldSign } from '../../protocol/safety/weld.ts'
import type { Instant, Mono } from '../../protocol/time.ts'
import {
  type ContactId,
  type ControlState,
  contactsOf,
  type EndConfig,
  type EndState,
  lineContact,
  ownContact,
  upstreamContact,
  type Weld,
} from './state.ts'

/** An opened changeover whose line does not close within this goes back: the circuit is dark meanwhile. */
const CHANGEOVER_MS = 5000
/** A buyer on a dead line, or a closed isolator, waits this long for the rest of the start. */
const START_MS = 10_000
/** A buyer asked to stop waits this long for its seller to open first and so to break the current. */
const STOP_MS = 2000

export interface ControlInput {
  readonly now: Instant
  readonly mono: Mono
  readonly manual: boolean
  readonly watchdogFed: Mono | undefined
  readonly lines: ReadonlyMap<string, LineFacts & { readonly reading: LineReading | undefined }>
  /** What each contact was last seen to be, and when that look began. */
  readonly seen: ReadonlyMap<ContactId, { readonly seen: Seen; readonly at: Mono }>
  /** Contacts whose closing is on record. */
  readonly intended: ReadonlySet<ContactId>
}

export type Action =
  | { readonly kind: 'command'; readonly contact: ContactId; readonly to: Position }
  /** Put the closing on record; it happens in a later step, if it still may. */
  | { readonly kind: 'intend'; readonly contact: ContactId }

export type ControlEvent =
  /** Opened without being asked to. */
  | { readonly kind: 'tripped'; readonly line: string; readonly contact: ContactId; readonly because: readonly Fault[] }
  | { readonly kind: 'gave-up'; readonly line: string; readonly because: readonly Fault[] }
  /** Seen where it was commanded. */
  | { readonly kind: 'closed' | 'opened'; readonly contact: ContactId; readonly at: Instant; readonly mono: Mono }
  | { readonly kind: 'weld'; readonly weld: Weld }

export interface Step {
  readonly state: ControlState
  readonly actions: readonly Action[]
  readonly events: readonly ControlEvent[]
}

/**
 * What this end says of its line contact in a heartbeat. Each side errs toward what makes the other careful: a seller
 * under way is not open yet, a buyer under way is not closed yet.
 */
export function spokenPosition(end: EndConfig, state: ControlState, input: ControlInput): Seen {
  const { commanded, since, seen } = contactFacts(lineContact(end.line), state, input, end.limits)
  if (seen === commanded) return seen
  if (end.side === 'seller') return input.mono - since <= end.limits.readBackMs ? 'closed' : 'unknown'
  return seen === 'open' ? 'open' : 'unknown'
}

function contactFacts(contact: ContactId, state: ControlState, input: ControlInput, limits: Limits): ContactFacts {
  const { commanded, since } = state.contacts.get(contact)!
  const look = input.seen.get(contact)
  const valid = look !== undefined && look.at >= since && input.mono - look.at <= limits.readBackMs
  return { name: contact, commanded, since, seen: valid ? look.seen : 'unknown' }
}

/** What is known at one end, as the permit judges by it. */
function factsAt(ends: readonly EndConfig[], state: ControlState, input: ControlInput, end: EndConfig): EndFacts {
  const { line, circuit, limits } = end
  const known = input.lines.get(line)
  const { lease, outsideSince, strayLiveSince } = state.ends.get(line)!
  const siblings = ends.filter(other => other !== end && circuit !== undefined && other.circuit?.name === circuit.name)
  const mine = [end, ...siblings].flatMap(contactsOf).map(({ contact }) => contact)
  const feedFacts = (feed: EndConfig): FeedFacts => ({
    ...contactFacts(lineContact(feed.line), state, input, feed.limits),
    deadAt: state.ends.get(feed.line)!.deadAt,
  })
  return {
    now: input.now,
    mono: input.mono,
    manual: input.manual,
    watchdogFed: input.watchdogFed,
    deal: known?.deal,
    proof: known?.proof,
    light: known?.light,
    ownHeartbeat: known?.ownHeartbeat,
    peer: known?.peer,
    reading: known?.reading,
    leaseUntil: lease?.until,
    outsideSince,
    strayLiveSince,
    contacts: {
      line: feedFacts(end),
      upstream: end.upstream ? contactFacts(upstreamContact(line), state, input, limits) : undefined,
      own: circuit?.own ? contactFacts(ownContact(circuit.name), state, input, limits) : undefined,
    },
    siblings: siblings.map(feedFacts),
    welds: [...state.welds.keys()].filter(contact => mine.includes(contact)),
  }
}

/** Whether a contact of `end` may be closed now, or may stay so where it is commanded closed. */
export function permitOf(
  ends: readonly EndConfig[],
  state: ControlState,
  input: ControlInput,
  end: EndConfig,
  { contact, role }: { readonly contact: ContactId; readonly role: Role },
): Permit {
  const ask = state.contacts.get(contact)!.commanded === 'closed' ? mayStay : mayClose
  return ask(role, factsAt(ends, state, input, end), end.limits)
}

/** One step. `ends` and `state` belong together (see `openState`). */
export function decide(ends: readonly EndConfig[], before: ControlState, input: ControlInput): Step {
  const endStates = new Map(before.ends)
  const contacts = new Map(before.contacts)
  const claims = new Map(before.claims)
  const welds = new Map(before.welds)
  const state: ControlState = { ends: endStates, contacts, claims, welds }
  const actions: Action[] = []
  const events: ControlEvent[] = []
  const { mono, now } = input

  const endOf = (end: EndConfig) => endStates.get(end.line)!
  const update = (end: EndConfig, change: Partial<EndState>) => endStates.set(end.line, { ...endOf(end), ...change })
  const isClosed = (contact: ContactId) => contacts.get(contact)!.commanded === 'closed'

  const factsOf = (end: EndConfig) => factsAt(ends, state, input, end)

  function command(contact: ContactId, to: Position): void {
    contacts.set(contact, { commanded: to, since: mono, arrived: false })
    actions.push({ kind: 'command', contact, to })
  }

  /** Opens unasked. */
  function trip(end: EndConfig, contact: ContactId, because: readonly Fault[]): void {
    command(contact, 'open')
    events.push({ kind: 'tripped', line: end.line, contact, because })
  }

  /** Opens unasked, and ends the wish that kept it closed. */
  function tripLine(end: EndConfig, contact: ContactId, because: readonly Fault[]): void {
    update(end, { wish: 'de-energise', wishedAt: mono, because })
    trip(end, contact, because)
  }

  function giveUp(end: EndConfig, fault: Fault): void {
    const because = [fault, ...endOf(end).because]
    update(end, { wish: 'de-energise', wishedAt: mono, because })
    events.push({ kind: 'gave-up', line: end.line, because })
  }

  /** Carries what only time and the readings can tell: lease, dead line, window, stray voltage. */
  function track(end: EndConfig): void {
    const { lease, deadAt, liveFrom, outsideSince, strayLiveSince } = endOf(end)
    const { deal, reading, peer } = input.lines.get(end.line) ?? {}
    if (deal === undefined) update(end, { lease: undefined })
    else {
      const until = (mono + (deal.end - now)) as Mono
      const same = lease?.deal === deal.id
      update(end, { lease: { deal: deal.id, until: same && lease.until < until ? lease.until : until } })
    }
    if (reading !== undefined && isDead(reading, end.limits)) {
      update(end, { deadAt: deadAt === undefined || reading.taken > deadAt ? reading.taken : deadAt })
    }
    const line = contacts.get(lineContact(end.line))!
    if (line.commanded === 'open') {
      update(end, { liveFrom: undefined, outsideSince: undefined, strayLiveSince: undefined })
      return
    }
    const from = liveFrom ?? (end.side === 'seller' ? line.since : peer?.line === 'closed' ? mono : undefined)
    const judged = reading !== undefined && from !== undefined && reading.taken >= from + end.limits.settleMs
    const outside = judged && outsideWindow(reading, end.limits) ? (outsideSince ?? reading.taken) : undefined
    const stray =
      end.side === 'buyer' &&
      peer?.line === 'open' &&
      reading !== undefined &&
      reading.taken >= line.since + end.limits.settleMs &&
      isLive(reading, end.limits)
    update(end, {
      liveFrom: from,
      outsideSince: outside,
      strayLiveSince: stray ? (strayLiveSince ?? mono) : undefined,
    })
  }

  function latchWelds(end: EndConfig): void {
    for (const { contact, role } of contactsOf(end)) {
      const sign = welds.has(contact) ? undefined : weldSign(role, factsOf(end), end.limits)
      if (sign === undefined) continue
      const weld: Weld = { contact, at: now, sign }
      welds.set(contact, weld)
      update(end, { because: [sign] })
      events.push({ kind: 'weld', weld })
    }
  }

  /** Why the buyer's line contact, allowed to stay closed, is opened all the same; undefined keeps it. */
  function buyerLeaves(end: EndConfig, facts: EndFacts): readonly Fault[] | undefined {
    const { wish, wishedAt, forced, liveFrom } = endOf(end)
    const peer = facts.peer?.line
    const waitedMs = mono - facts.contacts.line.since
    if (wish === 'energise') {
      if (liveFrom !== undefined) return peer === 'open' ? [{ code: 'control.seller-opened' }] : undefined
      return waitedMs > START_MS ? [{ code: 'control.never-energised', waitedMs, limitMs: START_MS }] : undefined
    }
    return forced || peer !== 'closed' || mono - wishedAt >= STOP_MS ? [] : undefined
  }

  function openEnd(end: EndConfig): void {
    const { limits } = end
    for (const { contact, role } of contactsOf(end)) {
      if (!isClosed(contact)) continue
      const facts = factsOf(end)
      const stay = mayStay(role, facts, limits)
      const { wish } = endOf(end)
      if (role === 'buyer.own') {
        if (!stay.may) trip(end, contact, stay.because)
      } else if (role === 'seller.upstream' && verifyingOpening(facts, limits) && stay.may) {
        // Kept behind its opened line contact until a reading has shown the line dead.
      } else if (role === 'buyer.line' && stay.may) {
        const leaves = buyerLeaves(end, facts)
        if (leaves === undefined) continue
        if (leaves.length > 0) tripLine(end, contact, leaves)
        else command(contact, 'open')
      } else if (wish === 'energise' && !stay.may) tripLine(end, contact, stay.because)
      else if (wish === 'de-energise') command(contact, 'open')
    }
  }

  function close(contact: ContactId): void {
    if (input.intended.has(contact)) command(contact, 'closed')
    else actions.push({ kind: 'intend', contact })
  }

  /** Closes what is wished and may; otherwise keeps the reasons. */
  function tryClose(end: EndConfig, contact: ContactId, role: Role): void {
    const permit = mayClose(role, factsOf(end), end.limits)
    update(end, { because: permit.may ? [] : permit.because })
    if (permit.may) close(contact)
  }

  function startSeller(end: EndConfig): void {
    const [line, upstream] = [lineContact(end.line), upstreamContact(end.line)]
    if (isClosed(line)) return
    if (end.upstream && !isClosed(upstream)) {
      tryClose(end, upstream, 'seller.upstream')
      return
    }
    tryClose(end, line, 'seller.line')
    const waitedMs = end.upstream ? mono - contacts.get(upstream)!.since : 0
    if (waitedMs > START_MS) giveUp(end, { code: 'control.start-timeout', waitedMs, limitMs: START_MS })
  }

  function startBuyer(end: EndConfig): void {
    const line = lineContact(end.line)
    const circuit = end.circuit
    if (isClosed(line)) return
    const claim = circuit === undefined ? undefined : claims.get(circuit.name)
    if (claim !== undefined && claim.line !== end.line) {
      update(end, { because: [{ code: 'control.circuit-taken', line: claim.line }] })
      return
    }
    if (claim !== undefined && mono - claim.since > CHANGEOVER_MS) {
      giveUp(end, { code: 'control.changeover-timeout', waitedMs: mono - claim.since, limitMs: CHANGEOVER_MS })
      return
    }
    const permit = mayClose('buyer.line', factsOf(end), end.limits)
    update(end, { because: permit.may ? [] : permit.because })
    const own = circuit?.own ? ownContact(circuit.name) : undefined
    const onlyOwnInTheWay =
      !permit.may && permit.because.every(({ code, contact }) => code === 'permit.interlock' && contact === own)
    if (circuit !== undefined && claim === undefined && (permit.may || onlyOwnInTheWay)) {
      claims.set(circuit.name, { line: end.line, since: mono })
    }
    if (permit.may) close(line)
    else if (onlyOwnInTheWay && own !== undefined && isClosed(own)) command(own, 'open')
  }

  for (const end of ends) track(end)
  for (const end of ends) latchWelds(end)
  for (const end of ends) openEnd(end)
  for (const end of ends) {
    if (endOf(end).wish !== 'energise') continue
    if (end.side === 'seller') startSeller(end)
    else startBuyer(end)
  }
  for (const [circuit, { line }] of claims) {
    if (endStates.get(line)!.wish !== 'energise' && !isClosed(lineContact(line))) claims.delete(circuit)
  }
  const supplied = new Set<string>()
  for (const end of ends) {
    const { circuit } = end
    if (!circuit?.own || claims.has(circuit.name) || supplied.has(circuit.name)) continue
    supplied.add(circuit.name)
    const own = ownContact(circuit.name)
    if (!isClosed(own) && mayClose('buyer.own', factsOf(end), end.limits).may) close(own)
  }
  for (const [contact, { commanded, since, arrived }] of contacts) {
    const look = input.seen.get(contact)
    if (arrived || look === undefined || look.at < since || look.seen !== commanded) continue
    contacts.set(contact, { commanded, since, arrived: true })
    events.push({ kind: commanded === 'closed' ? 'closed' : 'opened', contact, at: now, mono: look.at })
  }
  return { state, actions, events }
}
