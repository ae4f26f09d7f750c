/** What a charger's own current is in what its fuse's meter shows: by all looks and limits around the reading. */
import type { Mono } from '../time.ts'
import { type ChargerLimits, type ChargerTraits, type Course, type Hold, type Phase, phasesOf } from './charger-hold.ts'

/** What flowed into a charger on one of the site's phases when a meter was read, at least and at most. */
export interface OwnCurrent {
  readonly leastMa: number
  readonly mostMa: number
  /** No look has followed the reading yet: the car may have stopped meanwhile, and the least is what it would have been. */
  readonly awaited: boolean
}

/**
 * By all looks from before the time that the reading shows until after it was taken. The least is 0 where no current is
 * measured, or not for so long; the most is what the charger could let through where nothing closer is known.
 */
export function ownCurrent(
  hold: Hold,
  traits: ChargerTraits,
  phase: Phase,
  read: Mono,
  limits: ChargerLimits,
): OwnCurrent {
  const conductor = traits.conductors.indexOf(phase)
  if (conductor < 0) return { leastMa: 0, mostMa: 0, awaited: false }
  const { measured, idleSince, look, letThrough } = hold
  const from = read - limits.lagMs
  const isIdle = idleSince !== undefined && idleSince <= from && look !== undefined && look.begun >= read
  const isClosed = phasesOf(traits, hold).includes(phase)
  const allowedMa = isClosed && !isIdle ? mostIn(letThrough, from, read) : 0
  // A controller may measure one conductor of three.
  if (!measured.some(({ currentsMa = [] }) => currentsMa.length > conductor))
    return { leastMa: 0, mostMa: allowedMa, awaited: false }
  const first = measured.findLastIndex(({ taken }) => taken <= from)
  const last = measured.findIndex(({ begun }) => begun >= read)
  const awaited = last < 0
  const around = measured.slice(Math.max(0, first), awaited ? undefined : last + 1)
  const currents = around.map(({ currentsMa }) => currentsMa?.[conductor] ?? 0)
  const leastMa = first < 0 || currents.length === 0 ? 0 : Math.max(0, Math.min(...currents))
  const seenMa = Math.max(0, ...currents)
  // Seen to be steady until after the reading, it was no more; else the car may just have risen to what it is allowed. It
  // may have risen and fallen again between two looks, where its limit did.
  const steady = !awaited && first >= 0 && seenMa - leastMa <= limits.toleranceMa
  const isCertain = steady && !rises(letThrough, around[0]!.begun, read)
  return { leastMa, mostMa: isCertain ? seenMa : Math.max(seenMa, allowedMa), awaited }
}

/** The most at a reading by what the charger had been told at another time, whatever it may have let through before that. */
export function toldCurrent(
  hold: Hold,
  traits: ChargerTraits,
  phase: Phase,
  { read, told }: { readonly read: Mono; readonly told: Mono },
  limits: ChargerLimits,
): number {
  const { ma } = hold.told.findLast(({ from }) => from <= told) ?? hold.told[0]!
  return Math.min(ma, ownCurrent(hold, traits, phase, read, limits).mostMa)
}

/** What is older than the course counts as its first value. */
function mostIn(course: Course, from: number, to: Mono): number {
  const during = course.filter((one, n) => one.from <= to && (course[n + 1]?.from ?? to) >= from)
  return Math.max(...(during.length > 0 ? during : course.slice(0, 1)).map(({ ma }) => ma))
}

const rises = (course: Course, after: Mono, to: Mono): boolean =>
  course.some(({ ma, from }, n) => n > 0 && ma > course[n - 1]!.ma && from > after && from <= to)
