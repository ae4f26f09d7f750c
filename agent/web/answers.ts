/**
 * What the routes answer, in the words of the routes: declared once for those who answer, for the commands that ask, and for
 * the page. Types only, and of nothing but types: the page's program is built without this machine's. Quantities as in
 * snapshot.ts; openapi-schemas.ts says the same to other programs.
 */
import type { Fault } from '../../protocol/result.ts'
import type { Setting } from '../config/setting.ts'
import type { ChargingSessionView, DealView } from './snapshot.ts'

export interface SaidReason extends Fault {
  readonly text: string
}

/** `GET /api/history`. */
export interface HistorySaid {
  readonly meter: string
  readonly register: 'import' | 'export'
  readonly period: 'quarter' | 'day' | 'month'
  /** Readings whose time nobody knows, and which are in no bucket. */
  readonly untimed: number
  readonly buckets: readonly HistoryBucket[]
}

export interface HistoryBucket {
  readonly start: number
  readonly end: number
  readonly meterId?: string
  readonly readings: number
  readonly complete: boolean
  readonly touched: readonly string[]
  /** Absent where it is not known; then `absent` says why. */
  readonly energyMwh?: string
  readonly absent?: readonly string[]
  /** Times of the readings that it was counted between. */
  readonly reach?: { readonly from: number; readonly to: number }
}

/** `GET /api/deals`. */
export interface DealsSaid {
  readonly site: string
  readonly deals: readonly DealSaid[]
  /** Of these the journal keeps no record any longer. */
  readonly dropped: readonly { readonly id: string; readonly start: number; readonly end: number }[]
  /** There are older ones than were asked for. */
  readonly more: boolean
  /** Why those of before the start cannot be told. */
  readonly unread?: Fault
}

/** What the site's own meter stood at, as it signed it. */
interface ReceiptSaid {
  /** Of the register that counts for this deal. */
  readonly registerMwh: string
}

export interface DealSaid extends DealView {
  readonly model: 'direct line' | 'grid'
  /** The node of the buyer's meter, over the grid; `line` is then the seller's. */
  readonly to?: string
  readonly role: 'seller' | 'buyer'
  readonly peer: string
  readonly phase: string
  readonly start: number
  readonly end: number
  /** Height of the header under which the payment was proven to be locked. */
  readonly lock?: { readonly height: string }
  readonly receipts: { readonly begin?: ReceiptSaid; readonly end?: ReceiptSaid }
}

/** `GET /api/wallet`. */
export interface WalletSaid {
  readonly site: string
  /** Empty where the configuration names no ledger. */
  readonly chain: string
  /** Its address, hexadecimal. */
  readonly account: string
  readonly balanceMicro?: string
  /** Proven to be locked for deals in which this site buys. */
  readonly lockedMicro: string
  /** Of the next transaction. */
  readonly sequence?: string
  readonly proven?: {
    /** The account is as the block of this height left it. */
    readonly height: string
    /** Of the header that carries that state. */
    readonly headerHeight: string
    readonly time: number
    readonly signed: number
    readonly validators: number
  }
}

/** `GET /api/light`. */
export interface LightSaid {
  readonly site: string
  readonly chain: string
  /** Absent, as is everything that is proven, of a site without a ledger; `chain` is empty then. */
  readonly trust?: { readonly height: string; readonly hash: string }
  readonly state: string
  readonly fault?: SaidReason
  readonly head?: {
    readonly height: string
    readonly hash: string
    readonly time: number
    readonly ageMs: number
    readonly signed: number
    readonly validators: number
    readonly witnessed: boolean
  }
  readonly sources: readonly {
    readonly name: string
    readonly role: 'primary' | 'witness' | 'barred'
    readonly strikes: number
    readonly said?: { readonly what: string; readonly height: string }
  }[]
  readonly counts: { readonly headersVerified: number; readonly proofsVerified: number; readonly refusals: number }
  readonly lastAlarm?: { readonly state: string; readonly at: number; readonly fault?: SaidReason }
}

/** `GET /api/sessions`. */
export interface SessionsSaid {
  readonly sessions: readonly SessionSaid[]
}

export interface SessionSaid extends Pick<ChargingSessionView, 'id' | 'state' | 'began' | 'energyMwh'> {
  /** The charging point. */
  readonly port: string
  readonly direction: 'import' | 'export'
  readonly tariff: string
  readonly user?: {
    readonly level: string
    readonly flags: readonly string[]
    readonly type: string
    readonly id: string
  }
  readonly why?: string
  readonly ended?: number
  /** How many records of OCMF there are of it. */
  readonly pages: number
}

/** `GET /api/config`. */
export interface ConfigSaid {
  readonly file: string
  /** SHA-256 of the text. */
  readonly version: string
  readonly text: string
  readonly writable: boolean
  /** Why it may not be written. */
  readonly why?: Fault
  /** What is wrong with it as it stands; then its settings cannot be listed. */
  readonly mistakes?: readonly Mistake[]
  readonly settings: readonly SettingSaid[]
}

export interface SettingSaid extends Setting {
  /** `POST /api/config` takes another value; what it does not is set in the file alone. */
  readonly editable: boolean
}

/** What is wrong with a setting, and where it stands. */
export interface Mistake {
  readonly code: string
  readonly line: number
  readonly column: number
  readonly what: string
  readonly hint?: string
}
