/**
 * What the page shows, as plain JSON: of one agent, or of a whole street on the bench. Quantities keep their base units
 * (quantity.ts); those that are bigint there are decimal text here. Times are Unix milliseconds of the street's own
 * clock. What is not known is absent or null, never 0.
 */
import type { State } from '../../protocol/trade/deal-state.ts'

/** Why something needs a person's eye. `warning` degrades, `fault` stops trading. */
export type Level = 'info' | 'warning' | 'fault'

export interface Snapshot {
  /** Shown as the page's title: the street, or the one site. */
  readonly title: string
  readonly time: number
  /** Virtual seconds in a real one; 1 is real time. */
  readonly speed: number
  /** Its IANA name, as in `Europe/Berlin`; UTC where it is absent. */
  readonly zone?: string
  readonly ledger: LedgerView
  readonly sites: readonly SiteView[]
  readonly lines: readonly LineView[]
  /** Newest first. */
  readonly deals: readonly DealView[]
  /** What the wires and the audit have counted against the agents; empty in a sound run. */
  readonly violations: readonly { readonly at: number; readonly text: string }[]
  /** Newest first. */
  readonly log: readonly LogLine[]
  /** `GET /api/bill` has an answer; absent where nobody keeps a bill. */
  readonly billed?: true
}

export interface LedgerView {
  readonly chain: string
  /** Of the newest verified header; absent before the first. */
  readonly height?: string
  readonly validators: number
  /** Validators that signed it. */
  readonly signed: number
}

export interface SiteView {
  readonly name: string
  readonly kind: 'solar-home' | 'home' | 'charger' | 'battery-home'
  /** The agent runs and answers. */
  readonly up: boolean
  /** Milliwatts at the grid meter, import positive. */
  readonly powerMw: number | null
  /** Milliwatts generated; null where there is no generation or it is not measured. */
  readonly solarMw: number | null
  /** State of charge of the battery, permille; null without one. */
  readonly chargePermille: number | null
  readonly meters: readonly MeterView[]
  /** Which of them is the grid meter; absent without one. */
  readonly grid?: string
  readonly curve: Curve
  readonly walletMicro: string | null
  readonly contacts: readonly ContactView[]
  /** Absent where there are none. */
  readonly chargers?: readonly ChargerView[]
  /** Of its chargers, the newest first; absent where no charger has a meter. */
  readonly sessions?: readonly ChargingSessionView[]
  readonly health: readonly HealthItem[]
  /** Bytes written to the journal's card for each signed reading, and in a day at this pace; absent while not known. */
  readonly wear?: { readonly perReading: number; readonly perDay: number }
}

export interface ChargerView {
  readonly name: string
  /** The control pilot's, A to F; null while it is not known. */
  readonly state: string | null
  /** What it is told, and the most that it may be holding itself to, mA per phase. */
  readonly toldMa: number
  readonly heldMa: number
  /** Measured, mA per phase; empty where it is not. */
  readonly currentsMa: readonly number[]
  /** Nothing stops it when this agent dies. */
  readonly unsupervised: boolean
  /** Why it is told no more. */
  readonly because: readonly string[]
}

/** As `GET /api/sessions` lists them all. */
export interface ChargingSessionView {
  readonly id: string
  readonly charger: string
  readonly state: 'open' | 'closing' | 'ended' | 'aborted' | 'lost'
  readonly began: number
  /** Absent where nobody may settle on it, and while it runs. */
  readonly energyMwh?: string
  /** Its records of OCMF can be downloaded. */
  readonly hasRecords: boolean
}

export interface MeterView {
  readonly name: string
  /** Its page or protocol, as in `eastron-sdm630`. */
  readonly speaks: string
  /** Of the newest certain reading; null before the first. */
  readonly ageMs: number | null
  readonly stale: boolean
  readonly values: readonly { readonly label: string; readonly text: string }[]
}

/** Columns of equal length, oldest first. */
export interface Curve {
  /** Unix milliseconds. */
  readonly at: readonly number[]
  readonly powerMw: readonly (number | null)[]
  readonly solarMw: readonly (number | null)[]
}

export interface ContactView {
  /** The direct line it belongs to. */
  readonly line: string
  readonly role: 'line' | 'upstream' | 'own'
  readonly commanded: 'open' | 'closed'
  readonly observed: 'open' | 'closed' | 'unknown'
  /** What keeps it from closing now, one sentence each. */
  readonly whyNot: readonly string[]
}

export interface HealthItem {
  readonly code: string
  readonly text: string
  readonly since: number
  readonly level: Level
}

export interface LineView {
  readonly id: string
  readonly seller: string
  readonly buyer: string
  /** Milliwatts from the seller to the buyer; null where no meter says. */
  readonly powerMw: number | null
  readonly energised: boolean
  readonly limitMa: number
  readonly sellerContact: 'open' | 'closed' | 'unknown'
  readonly buyerContact: 'open' | 'closed' | 'unknown'
}

export interface DealView {
  /** The contract hash in hexadecimal, or the proposal's id before there is one. */
  readonly id: string
  readonly line: string
  readonly seller: string
  readonly buyer: string
  /** As in the table of protocol/trade/deal.ts. */
  readonly state: State
  /** Oldest first. */
  readonly history: readonly { readonly state: State; readonly at: number }[]
  readonly energyWh: string
  readonly priceMicroPerKwh: string
  readonly deliveredWh?: string
  readonly paidMicro?: string
  /** What a light client last proved of it. */
  readonly proof?: ProofView
  /** Why it stopped or waits, where it does. */
  readonly note?: string
}

export interface ProofView {
  readonly of: 'payment locked' | 'settlement' | 'refund'
  readonly height: string
  readonly signed: number
  readonly validators: number
  /** Hexadecimal. */
  readonly appHash: string
}

/** What `GET /api/bill` answers; money is negative where the site pays. */
export interface BillView {
  readonly period: 'day' | 'month'
  readonly start: number
  readonly end: number
  readonly until: number
  readonly complete: boolean
  readonly missing: readonly { readonly start: number; readonly end: number; readonly why: string }[]
  readonly money: string
  readonly withoutTrading: string
  readonly saved: string
  readonly fees: string
  readonly energy: Readonly<Record<'bought' | 'sold' | 'drawn' | 'fed-in', string>>
  readonly now: { readonly pays: string; readonly gets: string }
  readonly ahead?: { readonly from: number; readonly money: string }
}

export interface LogLine {
  readonly at: number
  readonly level: Level
  readonly site: string
  readonly text: string
}
