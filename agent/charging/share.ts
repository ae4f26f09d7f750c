/**
 * What is free, shared among those that want it: first 6 A each, by priority and whose turn it is, then the rest to the
 * higher priorities, in equal parts among equals.
 */
import { type ChargerTraits, type Hold, LEAST_MA, measuresAll } from '../../protocol/safety/charger-hold.ts'
import { type Fuse, lessRoom, type Room, tightest, toldLimit } from '../../protocol/safety/site-guard.ts'

export interface Claim {
  readonly traits: ChargerTraits
  readonly hold: Hold
  /** 0, or at least 6,000. */
  readonly wantsMa: number
  /** The higher is served first. */
  readonly priority: number
  /** How often each mA of it counts; once where nothing is said. */
  readonly times?: 1 | 2
}

/**
 * As `share`, with what those need that have yet to begin. The guard lets nobody rise into what an unmeasured car may be drawing,
 * nor into what it may draw beyond that: until the others have begun, each mA of such a car counts twice.
 */
export function shareToStart(
  fuses: ReadonlyMap<string, Fuse>,
  room: Room,
  claims: readonly Claim[],
): ReadonlyMap<string, number> {
  const shares = share(fuses, room, claims)
  const isOn = ({ hold }: Claim) => (hold.commandedMa ?? 0) > 0
  const served = claims.filter(({ traits }) => shares.get(traits.name)! > 0)
  if (served.every(isOn)) return shares
  const isTwice = (claim: Claim) => isOn(claim) && !measuresAll(claim.hold, claim.traits)
  const tight = share(
    fuses,
    room,
    claims.map(claim => (isTwice(claim) ? { ...claim, times: 2 } : claim)),
  )
  const stays = (claim: Claim) => tight.get(claim.traits.name)! > 0
  return served.filter(isOn).every(stays) && served.some(claim => !isOn(claim) && stays(claim)) ? tight : shares
}

/** Limits by name. `claims` of one priority come in the order of their turns. */
export function share(
  fuses: ReadonlyMap<string, Fuse>,
  room: Room,
  claims: readonly Claim[],
): ReadonlyMap<string, number> {
  const shares = new Map(claims.map(({ traits }) => [traits.name, 0]))
  const ranks = [...new Set(claims.map(({ priority }) => priority))].sort((a, b) => b - a)
  const of = (rank: number) => claims.filter(({ priority, wantsMa }) => priority === rank && wantsMa >= LEAST_MA)
  let left = room
  const give = ({ traits, hold, times = 1 }: Claim, ma: number) => {
    shares.set(traits.name, shares.get(traits.name)! + ma)
    left = lessRoom(left, fuses, traits, hold, ma * times)
  }
  for (const claim of ranks.flatMap(of)) {
    const { traits, hold, times = 1 } = claim
    if (tightest(left, fuses, traits, hold).freeMa >= LEAST_MA * times) give(claim, LEAST_MA)
  }
  for (const rank of ranks) {
    let rising = of(rank).filter(({ traits }) => shares.get(traits.name)! > 0)
    // Each round brings somebody to what it wants, or some phase of some fuse to its end.
    while (rising.length > 0) {
      const wants = ({ traits, wantsMa }: Claim) => wantsMa - shares.get(traits.name)!
      const step = equalStep(fuses, left, rising, wants)
      for (const claim of rising) give(claim, step)
      rising = rising.filter(claim => wants(claim) > 0 && equalStep(fuses, left, [claim], wants) >= rising.length)
      if (step === 0) break
    }
  }
  return new Map(claims.map(({ traits }) => [traits.name, toldLimit(traits, shares.get(traits.name)!)]))
}

/** By how much all of them can rise together. */
function equalStep(
  fuses: ReadonlyMap<string, Fuse>,
  room: Room,
  rising: readonly Claim[],
  wants: (claim: Claim) => number,
): number {
  const least = Math.min(...rising.map(wants))
  let low = 0
  let high = Math.max(0, least)
  const fits = (ma: number) => {
    let left = room
    for (const { traits, hold, times = 1 } of rising) left = lessRoom(left, fuses, traits, hold, ma * times)
    return rising.every(({ traits, hold }) => tightest(left, fuses, traits, hold).freeMa >= 0)
  }
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (fits(middle)) low = middle
    else high = middle - 1
  }
  return low
}
