/** What stands on the simulated street and how it is wired: sites, direct lines, and the nodes that each contact joins. */
import type { Energy } from '../../protocol/quantity.ts'
import type { Profile } from './profile.ts'

export interface WiredSite {
  readonly name: string
  readonly load: Profile
  readonly generation: Profile
  /** Charges from what the site has left over and gives what it lacks. */
  readonly battery?: { readonly capacity: Energy; readonly charge: Energy; readonly powerMw: number }
  /** `stores`: what a line brings goes into the site's battery, as far as that has room; its own grid fills it with nothing. */
  readonly circuit?: { readonly name: string; readonly demand: Profile; readonly stores?: boolean }
}

export interface WiredLine {
  readonly id: string
  readonly seller: string
  /** Its circuit is what the line feeds. */
  readonly buyer: string
  readonly limitMa: number
  readonly lossPermille: number
  /** Whether the seller's isolator is fitted; without one the line contact hangs on the seller's grid. */
  readonly isolated?: boolean
}

export type ContactKind = 'upstream' | 'seller' | 'buyer' | 'own'

/** A contact by what it is on: `own` of a site, or one of a line's. */
export interface WireContact {
  readonly kind: ContactKind
  /** The line's id; for `own` the site's name. */
  readonly of: string
}

/** One contact between two nodes. */
export interface ContactState {
  readonly contact: WireContact
  readonly a: string
  readonly b: string
  commanded: boolean
  welded: boolean
  closed: boolean
}

export const keyOf = ({ kind, of }: WireContact): string => `${kind} ${of}`
export const gridNode = (site: string) => `grid ${site}`
export const circuitNode = (site: string) => `circuit ${site}`
export const lineNode = (line: string) => `line ${line}`

/** All contacts open, each between its two nodes. */
export function contactsOf(sites: readonly WiredSite[], lines: readonly WiredLine[]): readonly ContactState[] {
  const open = (kind: ContactKind, of: string, a: string, b: string): ContactState => ({
    contact: { kind, of },
    a,
    b,
    commanded: false,
    welded: false,
    closed: false,
  })
  return [
    ...sites.flatMap(({ name, circuit }) =>
      circuit === undefined ? [] : [open('own', name, gridNode(name), circuitNode(name))],
    ),
    ...lines.flatMap(({ id, seller, buyer, isolated }) => {
      const mid = `mid ${id}`
      const joining = open('buyer', id, lineNode(id), circuitNode(buyer))
      return isolated === false
        ? [open('seller', id, gridNode(seller), lineNode(id)), joining]
        : [open('upstream', id, gridNode(seller), mid), open('seller', id, mid, lineNode(id)), joining]
    }),
  ]
}
