/** A household's power as flows between it and what it is joined to, in numbers and in words. */
import type { ContactView, LineView, SiteView } from '../snapshot.ts'
import { current, power, UNKNOWN } from './format.ts'
import { energised, pilotOf } from './sentences.ts'

export interface Flow {
  readonly id: string
  readonly kind: 'sun' | 'grid' | 'battery' | 'car' | 'neighbour'
  readonly name: string
  /** Which way power goes, seen from the house; `open` is a line whose contacts are. */
  readonly way: 'in' | 'out' | 'still' | 'open' | 'unknown'
  /** The number on the line. */
  readonly text: string
  /** Null where the power is not measured. */
  readonly mw: number | null
  readonly sentence: string
}

/** A tenth of a watt is a meter's noise. */
const NOISE_MW = 100
const moves = (mw: number) => Math.abs(mw) >= NOISE_MW

/** All that a site is joined to, the grid first. */
export const flowsOf = (site: SiteView, lines: readonly LineView[]): readonly Flow[] => [
  gridOf(site),
  ...(hasSun(site) ? [sunOf(site)] : []),
  ...(site.chargePermille === null ? [] : [batteryOf(site.chargePermille)]),
  ...(site.chargers ?? []).map(carOf),
  ...lines.filter(line => line.seller === site.name || line.buyer === site.name).map(line => lineOf(site, line)),
]

/** Its meter may be there and not answer. */
const hasSun = ({ solarMw, meters }: SiteView) => solarMw !== null || meters.some(({ name }) => name === 'solar')

/**
 * What the house takes in all: what comes in less what goes out, by readings that are up to a second apart. Null where one of
 * them is missing, or where they say that more goes out than comes in, as with generation that no meter sees.
 */
export function usedMw(site: SiteView, lines: readonly LineView[]): number | null {
  if (site.powerMw === null || (hasSun(site) && site.solarMw === null)) return null
  let sum = site.powerMw + (site.solarMw ?? 0)
  for (const line of lines) {
    const sells = line.seller === site.name
    if (!sells && line.buyer !== site.name) continue
    if (!energised(line)) continue
    if (line.powerMw === null) return null
    sum += sells ? -line.powerMw : line.powerMw
  }
  return sum < 0 ? null : sum
}

function gridOf({ powerMw: mw }: SiteView): Flow {
  const way = mw === null ? 'unknown' : !moves(mw) ? 'still' : mw > 0 ? 'in' : 'out'
  const sentence = {
    unknown: 'The grid meter does not answer',
    still: 'Nothing is taken from the grid, and nothing given to it',
    in: `${power(mw)} from the grid to the house`,
    out: `${power(mw)} from the house to the grid`,
  }[way]
  return { id: 'grid', kind: 'grid', name: 'Grid', way, mw, text: power(mw), sentence }
}

function sunOf({ solarMw: mw }: SiteView): Flow {
  const way = mw === null ? 'unknown' : moves(mw) ? 'in' : 'still'
  const sentence = {
    unknown: 'The meter of the solar panels does not answer',
    still: 'The solar panels generate nothing',
    in: `${power(mw)} from the solar panels to the house`,
  }[way]
  return { id: 'sun', kind: 'sun', name: 'Sun', way, mw, text: power(mw), sentence }
}

function batteryOf(permille: number): Flow {
  const text = `${Math.round(permille / 10)} %`
  const sentence = `The battery is charged to ${text}`
  return { id: 'battery', kind: 'battery', name: 'Battery', way: 'still', mw: null, text, sentence }
}

function carOf({ name, state, currentsMa }: NonNullable<SiteView['chargers']>[number]): Flow {
  const most = currentsMa.length === 0 ? null : Math.max(...currentsMa)
  const way = most === null ? 'unknown' : most > 0 ? 'out' : 'still'
  const text = most === null ? UNKNOWN : current(most)
  const draws = most === null ? 'its current is not measured' : `it draws ${text}`
  return {
    ...{ id: `charger ${name}`, kind: 'car', name, way, mw: null, text },
    sentence: `Charger ${name}: ${pilotOf(state)}, ${draws}`,
  }
}

function lineOf(site: SiteView, line: LineView): Flow {
  const sells = line.seller === site.name
  const peer = sells ? line.buyer : line.seller
  const [from, to] = sells ? ['the house', peer] : [peer, 'the house']
  const base = { id: line.id, kind: 'neighbour', name: peer, mw: line.powerMw } as const
  if (!energised(line)) {
    const why = whyOpen(site, line)
    const seen = [line.sellerContact, line.buyerContact].includes('open')
    // Voltage on a line that nobody has seen closed, and contacts that nobody sees, are not to be taken for an open line.
    const text = line.energised ? 'live' : seen ? 'open' : 'not seen'
    const state = line.energised ? 'has voltage on it' : seen ? 'is open' : 'is not seen'
    return {
      ...{ ...base, text, way: text === 'open' ? 'open' : 'unknown' },
      sentence: `Line ${line.id} from ${from} to ${to} ${state}: ${why}`,
    }
  }
  const way = line.powerMw === null ? 'unknown' : !moves(line.powerMw) ? 'still' : sells ? 'out' : 'in'
  const flow = line.powerMw === null ? 'its power is not known' : power(line.powerMw)
  return { ...base, way, text: power(line.powerMw), sentence: `Line ${line.id} from ${from} to ${to}: ${flow}` }
}

const END: Readonly<Record<ContactView['role'], string>> = {
  ...{ line: 'the contact to the line', upstream: 'the upstream contact', own: 'the contact to the own supply' },
}

/** Why a line carries nothing, in one sentence, the agent's own reason first. */
export function whyOpen(site: SiteView, line: LineView): string {
  const contacts = site.contacts.filter(contact => contact.line === line.id)
  const reason = contacts.flatMap(({ whyNot }) => whyNot)[0]
  if (reason !== undefined) return reason
  const unseen = contacts.find(({ observed }) => observed === 'unknown')
  if (unseen !== undefined) return `${END[unseen.role]} is not seen`
  const sells = line.seller === site.name
  const [own, other] = sells ? [line.sellerContact, line.buyerContact] : [line.buyerContact, line.sellerContact]
  if (own === 'open') return 'no deal runs on it'
  return other === 'closed' ? 'there is no voltage on it' : `${sells ? line.buyer : line.seller} has not closed its end`
}
