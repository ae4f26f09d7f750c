/**
 * The vocabulary of OCMF (Open Charge Metering Format, S.A.F.E. e.V., revisions 0.1 to 1.4): the fields of a record under
 * the names that its specification gives them, for whoever reads or writes one. Numbers stay text throughout: the written
 * digits of a register are what its meter vouches for, and `0.10` says more than `0.1`.
 */
import type { TimeQuality } from '../time.ts'

export const OCMF_VERSIONS = ['0.1', '0.2', '0.3', '0.4', '0.5', '1.0', '1.1', '1.2', '1.3', '1.4'] as const
export type OcmfVersion = (typeof OCMF_VERSIONS)[number]

/** Letters after a time (table 19). */
export const TIME_QUALITIES = {
  U: 'unknown',
  I: 'informative',
  S: 'synchronised',
  R: 'relative',
} as const satisfies Record<string, TimeQuality>

/** Why a register was read (TX of table 7): begin, charging, exception, end, and ends that say more; suspended, tariff. */
export const REASONS = ['B', 'C', 'X', 'E', 'L', 'R', 'A', 'P', 'S', 'T'] as const
export type Reason = (typeof REASONS)[number]

/** The reasons that end a transaction: end, locally, remotely, aborted by an error, power failure. */
export const END_REASONS: readonly Reason[] = ['E', 'L', 'R', 'A', 'P']

/** State of the meter (table 10). Only `G` is good. */
export const METER_STATES = ['N', 'G', 'T', 'D', 'R', 'M', 'X', 'I', 'O', 'S', 'E', 'F'] as const
export type MeterState = (typeof METER_STATES)[number]

/** State of the user's identification (table 11). */
export const ID_LEVELS = [
  'NONE',
  'HEARSAY',
  'TRUSTED',
  'VERIFIED',
  'CERTIFIED',
  'SECURE',
  'MISMATCH',
  'INVALID',
  'OUTDATED',
  'UNKNOWN',
] as const
export type IdLevel = (typeof ID_LEVELS)[number]

/** What the losses of a cable are reckoned from (table 24). */
export interface LossCompensation {
  readonly LN?: string
  /** JSON number as written. */
  readonly LI?: string
  /** Resistance of the cable, JSON number as written, in LU. */
  readonly LR: string
  readonly LU: 'mOhm' | 'uOhm'
}

/** One entry of RD as written: what is left out stands as in the entry before it, except RV and CL. */
export interface ReadingEntry {
  /** `2018-07-24T13:22:04,000+0200 S`. */
  readonly TM?: string
  readonly TX?: Reason
  /** Decimal as written, without the quotes and blanks that some meters put around it. */
  readonly RV?: string
  /** OBIS name as written. */
  readonly RI?: string
  readonly RU?: string
  readonly RT?: string
  /** Energy lost in the cable since the transaction began, decimal as written, in RU. Since 1.2. */
  readonly CL?: string
  /** Quantities that an error makes unusable: `E` energy, `t` time. */
  readonly EF?: string
  readonly ST?: MeterState
  /** Count of the meter's events, up to 0.4: differs between begin and end if something happened. */
  readonly EI?: string
}

/** The payload section. A writer gives the fields in this order. */
export interface OcmfPayload {
  readonly FV: OcmfVersion
  /** Maker, serial and firmware of what signs. Up to 0.4 GI and GV may be called VI and VV. */
  readonly GI?: string
  readonly GS?: string
  readonly GV?: string
  /** Pagination: `T` for readings of transactions or `F` for others, and a number that grows by one per record. */
  readonly PG: string
  readonly MV?: string
  readonly MM?: string
  readonly MS?: string
  readonly MF?: string
  /** Whether the user is known. Up to 0.4 IS may be a text, with the values that IL has since: it is read as IL. */
  readonly IS?: boolean
  readonly IL?: IdLevel
  readonly IF?: readonly string[]
  readonly IT?: string
  readonly ID?: string
  /** Tariff as text, since 1.1. */
  readonly TT?: string
  /** Firmware of the charge controller, since 1.3. */
  readonly CF?: string
  /** Since 1.2. */
  readonly LC?: LossCompensation
  readonly CT?: string
  readonly CI?: string
  readonly RD: readonly ReadingEntry[]
}

/** The signature section. Nothing in it is signed. */
export interface SignatureSection {
  readonly SA?: string
  readonly SE?: 'hex' | 'base64'
  readonly SD: string
}
