/** The picture in words: what a screen reader says and what the live region announces. */
import type { State } from '../../../protocol/trade/deal-state.ts'
import type { BillView, ChargingSessionView, DealView, LineView, ProofView, SiteView, Snapshot } from '../snapshot.ts'
import { coins, energy, gridFlow, many, minute, power } from './format.ts'

const KIND: Readonly<Record<SiteView['kind'], string>> = {
  'solar-home': 'solar home',
  home: 'home',
  charger: 'car charger',
  'battery-home': 'home with a battery',
}

export const kindOf = (site: SiteView): string => KIND[site.kind]

export const energised = (line: LineView): boolean =>
  line.energised && line.sellerContact === 'closed' && line.buyerContact === 'closed'

/** Begins with what is seen of the site in the picture, so that it can be called by that. */
export function siteSentence(site: SiteView): string {
  if (!site.up) return `${site.name} not answering, ${kindOf(site)}`
  const solar = site.solarMw === null ? '' : `, generating ${power(site.solarMw)}`
  const charge = site.chargePermille === null ? '' : `, battery at ${Math.round(site.chargePermille / 10)} percent`
  return `${site.name} ${gridFlow(site.powerMw)}, ${kindOf(site)}${solar}${charge}`
}

export const lineSentence = (line: LineView): string =>
  energised(line)
    ? `Line ${line.id}: ${power(line.powerMw)} from ${line.seller} to ${line.buyer}`
    : `Line ${line.id} from ${line.seller} to ${line.buyer}: open`

/** The sentence that the whole system is about. */
export const proofSentence = (proof: ProofView): string =>
  `${proof.of.slice(0, 1).toUpperCase()}${proof.of.slice(1)}, proven at height ${proof.height}, signed by ${proof.signed} of ${proof.validators} validators`

const STATE: Readonly<Record<State, string>> = {
  proposed: 'proposed',
  signed: 'signed by both',
  reserved: 'capacity reserved',
  escrowed: 'payment sent',
  armed: 'payment proven',
  started: 'delivering',
  stopped: 'delivered',
  receipted: 'receipt in',
  disputed: 'dispute window',
  settled: 'settled',
  refunded: 'refunded',
  aborted: 'aborted',
  expired: 'expired',
}

export const stateOf = (state: State): string => STATE[state]

export function dealSentence(deal: DealView): string {
  const paid = deal.paidMicro === undefined ? '' : `, ${coins(deal.paidMicro)} paid`
  const delivered = deal.deliveredWh === undefined ? '' : `, ${energy(deal.deliveredWh)} delivered`
  return `Deal on line ${deal.line}, ${deal.seller} to ${deal.buyer}: ${stateOf(deal.state)}${delivered}${paid}`
}

/** The control pilot's states (IEC 61851-1). */
const PILOT: Readonly<Record<string, string>> = {
  A: 'no car',
  B: 'car waits',
  C: 'car may charge',
  D: 'car may charge',
  E: 'fault',
  F: 'fault',
}

export const pilotOf = (state: string | null): string => (state === null ? 'not answering' : (PILOT[state] ?? state))

const SESSION: Readonly<Record<ChargingSessionView['state'], string>> = {
  open: 'running',
  closing: 'its end is awaited',
  ended: 'ended',
  aborted: 'aborted',
  lost: 'end not read',
}

export const sessionState = ({ state }: Pick<ChargingSessionView, 'state'>): string => SESSION[state]

const MISSING: Readonly<Record<string, string>> = {
  'no-reading': 'the meter was not read',
  'not-settled': 'contracts are not settled yet',
  'contract-across': 'a contract goes on beyond the day',
  contradiction: 'meter and contracts contradict each other',
}

/** Why a stretch of time has no energy (protocol/reading/rollup.ts). */
export const ABSENT: Readonly<Record<string, string>> = {
  'no-reading': 'the meter was not read',
  'one-reading': 'there is one reading only',
  'out-of-order': 'readings between its ends are missing',
  'energy-error': 'the meter flagged its counter as wrong',
  'counter-fell': 'the counter fell',
  conflict: 'two readings contradict each other',
}

/** What is not in a bill, each stretch with its reason; undefined where nothing is missing. */
export const missingSentence = ({ missing }: Pick<BillView, 'missing'>): string | undefined =>
  missing.length === 0
    ? undefined
    : `Not in it: ${missing
        .map(({ start, end, why }) => `${minute(start)} to ${minute(end)}, ${MISSING[why] ?? why}`)
        .join('; ')}`

/** The state of everything in one line, worst first. */
export function statusSentence(snapshot: Snapshot): {
  readonly level: 'good' | 'warning' | 'fault'
  readonly text: string
} {
  const down = snapshot.sites.filter(site => !site.up)
  const faults = snapshot.sites.flatMap(site => site.health.filter(item => item.level === 'fault'))
  const warnings = snapshot.sites.flatMap(site => site.health.filter(item => item.level === 'warning'))
  const delivering = snapshot.deals.filter(deal => deal.state === 'started').length
  const rest = `${many(delivering, 'deal')} delivering`
  if (snapshot.violations.length > 0)
    return { level: 'fault', text: `${many(snapshot.violations.length, 'violation')} on the wires` }
  if (down.length > 0)
    return { level: 'fault', text: `${down.map(site => site.name).join(', ')} not answering · ${rest}` }
  if (faults.length > 0) return { level: 'fault', text: `${many(faults.length, 'fault')} · ${rest}` }
  if (warnings.length > 0) return { level: 'warning', text: `${many(warnings.length, 'warning')} · ${rest}` }
  const sites = snapshot.sites.length === 1 ? 'The site is well' : `All ${snapshot.sites.length} sites well`
  return { level: 'good', text: `${sites} · ${rest}` }
}
