/** What a site's relay control remembers from one step to the next, and how a wish or a person changes it. */

import type { Fault } from '../../protocol/result.ts'
import type { Limits, Position, Role } from '../../protocol/safety/facts.ts'
import type { WeldSign } from '../../protocol/safety/weld.ts'
import type { Instant, Mono } from '../../protocol/time.ts'

export type Side = 'seller' | 'buyer'
export type Wish = 'energise' | 'de-energise'

/** `L1.line`, `L1.upstream`, or `heat pump.own` for a circuit's own supply. */
export type ContactId = string

export interface EndConfig {
  readonly line: string
  readonly side: Side
  readonly limits: Limits
  /** Whether the seller's isolator is fitted. */
  readonly upstream: boolean
  /** Buyer: the separable circuit that this line feeds, and whether it has a supply of its own. */
  readonly circuit: { readonly name: string; readonly own: boolean } | undefined
}

export const lineContact = (line: string): ContactId => `${line}.line`
export const upstreamContact = (line: string): ContactId => `${line}.upstream`
export const ownContact = (circuit: string): ContactId => `${circuit}.own`

export interface ContactState {
  readonly commanded: Position
  readonly since: Mono
  /** Whether it was seen where it was commanded, and that was told. */
  readonly arrived: boolean
}

export interface EndState {
  readonly wish: Wish
  readonly wishedAt: Mono
  /** Open now, without the courtesy of waiting for the seller. */
  readonly forced: boolean
  readonly lease: { readonly deal: string; readonly until: Mono } | undefined
  readonly deadAt: Mono | undefined
  /** Since when the line ought to be live: the seller's closing, as this end knows it. */
  readonly liveFrom: Mono | undefined
  readonly outsideSince: Mono | undefined
  readonly strayLiveSince: Mono | undefined
  /** What keeps the next contact from closing, or what opened the last. */
  readonly because: readonly Fault[]
}

/** A latched weld: kept through restarts until a person clears it. */
export interface Weld {
  readonly contact: ContactId
  readonly at: Instant
  readonly sign: WeldSign
}

export interface ControlState {
  readonly ends: ReadonlyMap<string, EndState>
  readonly contacts: ReadonlyMap<ContactId, ContactState>
  /** The line that each circuit has left, or is leaving, its own supply for. */
  readonly claims: ReadonlyMap<string, { readonly line: string; readonly since: Mono }>
  readonly welds: ReadonlyMap<ContactId, Weld>
}

/** All contacts commanded open at `mono`; latched welds as they were kept. */
export function openState(ends: readonly EndConfig[], mono: Mono, welds: readonly Weld[]): ControlState {
  const open: ContactState = { commanded: 'open', since: mono, arrived: true }
  const idle: EndState = {
    wish: 'de-energise',
    wishedAt: mono,
    forced: false,
    lease: undefined,
    deadAt: undefined,
    liveFrom: undefined,
    outsideSince: undefined,
    strayLiveSince: undefined,
    because: [],
  }
  return {
    ends: new Map(ends.map(end => [end.line, idle])),
    contacts: new Map(ends.flatMap(contactsOf).map(({ contact }) => [contact, open])),
    claims: new Map(),
    welds: new Map(welds.map(weld => [weld.contact, weld])),
  }
}

/** The contacts of one end, in the order in which they open. */
export function contactsOf(end: EndConfig): readonly { readonly contact: ContactId; readonly role: Role }[] {
  if (end.side === 'seller') {
    const line = { contact: lineContact(end.line), role: 'seller.line' } as const
    return end.upstream ? [line, { contact: upstreamContact(end.line), role: 'seller.upstream' }] : [line]
  }
  const line = { contact: lineContact(end.line), role: 'buyer.line' } as const
  return end.circuit?.own ? [line, { contact: ownContact(end.circuit.name), role: 'buyer.own' }] : [line]
}

export function wished(state: ControlState, line: string, wish: Wish, mono: Mono, forced = false): ControlState {
  const end = state.ends.get(line)
  if (end === undefined || (end.wish === wish && end.forced === forced)) return state
  return { ...state, ends: new Map(state.ends).set(line, { ...end, wish, wishedAt: mono, forced, because: [] }) }
}

export function weldCleared(state: ControlState, contact: ContactId): ControlState {
  const welds = new Map(state.welds)
  return welds.delete(contact) ? { ...state, welds } : state
}
