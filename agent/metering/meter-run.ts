/** What metering holds of each meter while it runs. */
import type { Cancel, Meter, MeterReading } from '../../drivers/ports.ts'
import type { Result } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import type { Chain } from './chain.ts'
import { type Known, nothingKnown } from './decide.ts'
import type { TimeWorth } from './wall-clock.ts'

/** A meter that was asked before metering starts, and when. */
export interface BegunReading {
  readonly at: Mono
  readonly reading: Promise<Result<MeterReading>>
}

export interface MeteredMeter {
  readonly name: string
  readonly meter: Meter
  readonly periodMs: number
  /** Its period while it is told to rest; without one it never rests. */
  readonly restMs?: number
  /** Older than this a reading is not given out as the latest. */
  readonly staleMs: number
  /** The pinned serial; without one, the first meter ever seen under this name is pinned. */
  readonly meterId?: string
  /** Its first reading, where that is under way. */
  readonly begun?: BegunReading | undefined
}

/** A reading that was believed, and what its time was worth then: a clock that is set later makes it no better. */
export interface Believed extends MeterReading, TimeWorth {}

export interface Run {
  readonly config: MeteredMeter
  known: Known
  latest: Believed | undefined
  chain: Chain | undefined
  /** The read in progress, if any, and the one that all who came during it share. */
  reading: Promise<Result<Believed>> | undefined
  following: Promise<Result<Believed>> | undefined
  /** When the last read began. */
  began: Mono
  /** Until the first read takes it over. */
  begun: BegunReading | undefined
  signedMono: Mono | undefined
  silentSince: Mono
  gapSigned: boolean
  resting: boolean
  cancelPolls: Cancel
  /** Answers of this meter that were refused, and how many of them the last signed reading knew of. */
  refusals: number
  refusalsSigned: number
  /** Names of the lost counters that were written down last. */
  lostKept: string
  /** Code of the last failure since the last believed reading. */
  failure: string | undefined
}

/** How often it is read now. */
export const pollMs = ({ config, resting }: Run): number =>
  resting ? (config.restMs ?? config.periodMs) : config.periodMs

export const newRun = (config: MeteredMeter, now: Mono): Run => ({
  config,
  known: nothingKnown(config.meterId),
  latest: undefined,
  chain: undefined,
  reading: undefined,
  following: undefined,
  began: now,
  begun: config.begun,
  signedMono: undefined,
  silentSince: now,
  gapSigned: false,
  resting: false,
  cancelPolls: () => {},
  refusals: 0,
  refusalsSigned: 0,
  lostKept: '',
  failure: undefined,
})
