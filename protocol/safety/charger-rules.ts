/**
 * The rules of one charger: may it charge now, may its contactor's phases be changed now? Whatever is not known means no.
 * Where power is traded, the words are the permit's.
 */
import type { Fault } from '../result.ts'
import type { Mono } from '../time.ts'
import type { ChargerLimits, Hold } from './charger-hold.ts'
import type { DealFacts } from './facts.ts'
import type { ReasonCode } from './permit.ts'

export interface ChargerReason extends Fault {
  readonly code:
    | Extract<
        ReasonCode,
        | 'permit.manual'
        | 'permit.watchdog'
        | 'permit.no-deal'
        | 'permit.not-started'
        | 'permit.expired'
        | 'permit.lease-over'
        | 'permit.payment-unproven'
        | 'permit.off-time'
      >
    | 'charger.state'
    | 'charger.no-car'
    | 'charger.stands-still'
    | 'charger.no-session'
    | 'charger.charging'
    | 'charger.not-stopped'
}

export type ChargerPermit = { readonly may: true } | { readonly may: false; readonly because: readonly ChargerReason[] }

export interface ChargingFacts {
  readonly now: number
  readonly mono: Mono
  readonly manual: boolean
  readonly watchdogFed: Mono | undefined
  /** Called to stand still, by a deal or an order of the site. */
  readonly standsStill: boolean
  /** Absent where nothing has to be agreed for charging; undefined where it has, and is not. */
  readonly deal?: {
    readonly facts: DealFacts | undefined
    readonly leaseUntil: Mono | undefined
    readonly paid: boolean
  }
  /** Absent where what it takes is counted for nobody. `by`: why none has begun. */
  readonly session?: { readonly open: boolean; readonly by: string | undefined }
  readonly hold: Hold
  /** Since when it has been told 0; undefined while it is not. */
  readonly offSince: Mono | undefined
}

const verdict = (because: readonly ChargerReason[]): ChargerPermit =>
  because.length === 0 ? { may: true } : { may: false, because }

export function mayCharge(facts: ChargingFacts, limits: ChargerLimits): ChargerPermit {
  const { now, mono, hold, watchdogFed, offSince } = facts
  const because: ChargerReason[] = []
  if (facts.manual) because.push({ code: 'permit.manual' })
  const fedAgoMs = watchdogFed === undefined ? undefined : mono - watchdogFed
  if (fedAgoMs === undefined || !(fedAgoMs >= 0 && fedAgoMs <= limits.watchdogMs))
    because.push({ code: 'permit.watchdog', agoMs: fedAgoMs, limitMs: limits.watchdogMs })
  if (facts.standsStill) because.push({ code: 'charger.stands-still' })
  if (facts.deal !== undefined) {
    const { facts: deal, leaseUntil, paid } = facts.deal
    if (deal === undefined) because.push({ code: 'permit.no-deal' })
    else if (!(now >= deal.start)) because.push({ code: 'permit.not-started', now, start: deal.start })
    else if (!(now < deal.end)) because.push({ code: 'permit.expired', now, end: deal.end })
    // A wall clock that is set back would prolong the deal; the lease on the monotonic clock does not follow it.
    else if (leaseUntil === undefined || !(mono < leaseUntil))
      because.push({ code: 'permit.lease-over', mono, until: leaseUntil })
    else if (!paid) because.push({ code: 'permit.payment-unproven' })
  }
  const state = hold.reach === 'heard' ? hold.look?.state : undefined
  if (state === 'A') because.push({ code: 'charger.no-car' })
  else if (state === undefined || state === 'E' || state === 'F')
    because.push({ code: 'charger.state', state: state ?? 'unknown' })
  if (facts.session?.open === false && state !== 'A') because.push({ code: 'charger.no-session', by: facts.session.by })
  const offMs = offSince === undefined ? undefined : mono - offSince
  if (offMs !== undefined && offMs < limits.minOffMs)
    because.push({ code: 'permit.off-time', offMs, limitMs: limits.minOffMs })
  return verdict(because)
}

/** Only when it has been told 0, has taken it, and its contactor is seen open since it last answered: it may have been restarted before. */
export function maySwitchPhases(hold: Hold): ChargerPermit {
  const { look, takenAt, answeredAt, ceilingMa, commandedMa } = hold
  if (hold.reach !== 'heard' || look === undefined) return verdict([{ code: 'charger.state', state: 'unknown' }])
  const because: ChargerReason[] = []
  const { state } = look
  if (state === 'C' || state === 'D') because.push({ code: 'charger.charging', state })
  else if (state === 'E' || state === 'F') because.push({ code: 'charger.state', state })
  if (commandedMa !== 0 || ceilingMa !== 0 || takenAt === undefined || look.begun < takenAt || look.begun < answeredAt)
    because.push({ code: 'charger.not-stopped', commandedMa, heldMa: ceilingMa })
  return verdict(because)
}
