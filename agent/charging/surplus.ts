/** Charging by what generation leaves over: when to start, to stop, and on how many phases. */
import { type ChargerLimits, LEAST_MA } from '../../protocol/safety/charger-hold.ts'
import type { Mono } from '../../protocol/time.ts'
import type { ChargerSpec, ChargerState, SurplusState } from './state.ts'

/** Nominal (IEC 60038). A wrong one shifts a little power to or from the grid, and no fuse goes by it. */
const NOMINAL_V = 230
/** A minute of sun starts a car, three of clouds stop it: longer than most clouds, shorter than a contactor's rest. */
const START_MS = 60_000
const STOP_MS = 180_000
/** Another number of phases is worth a pause of the car only when it lasts. */
const PHASES_MS = 300_000
/** Three phases begin so much above what they need at least, so that they do not end at once; in permille. */
const ABOVE_PERMILLE = 1100

/** What one charger's car draws now, in mW. What is not measured of a car that charges is taken for its limit. */
export function drawnMw({ hold: { look, phases, commandedMa = 0 } }: ChargerState): number {
  const known = look?.currentsMa ?? []
  const unknownMa = known[0] ?? (look?.state === 'C' || look?.state === 'D' ? commandedMa : 0)
  return Array.from({ length: phases }, (_, n) => known[n] ?? unknownMa).reduce((sum, ma) => sum + ma * NOMINAL_V, 0)
}

/** Whether a car may still be on its way to its limit, and the meter behind it. */
const isOnItsWay = ({ hold }: ChargerState, { followMs, lagMs }: ChargerLimits, mono: Mono): boolean =>
  mono - hold.commandedAt < followMs + lagMs

/** What is not left for others, where one charger wishes `wishMa`: what it begins with, before its car draws that. */
export function reservedMw(charger: ChargerState, wishMa: number, limits: ChargerLimits, mono: Mono): number {
  if (wishMa === 0) return 0
  const aimMa = Math.min(wishMa, charger.needsMa)
  const rises = aimMa > (charger.hold.commandedMa ?? 0) || isOnItsWay(charger, limits, mono)
  return Math.max(drawnMw(charger), rises ? aimMa * charger.surplus.phases * NOMINAL_V : 0)
}

/** What `mw` are for one charger: its next state, and the limit it wishes. `undefined` is a meter that says nothing. */
export function followSurplus(
  spec: ChargerSpec,
  charger: ChargerState,
  mw: number | undefined,
  limits: ChargerLimits,
  mono: Mono,
): { readonly surplus: SurplusState; readonly wishMa: number } {
  const { surplus } = charger
  const known = Math.max(0, mw ?? 0)
  const leastMw = (phases: number) => phases * LEAST_MA * NOMINAL_V
  const since = (holds: boolean, before: Mono | undefined) => (holds ? (before ?? mono) : undefined)
  const lasts = (at: Mono | undefined, ms: number) => at !== undefined && mono - at >= ms

  const better = known * 1000 >= leastMw(3) * ABOVE_PERMILLE ? 3 : known < leastMw(3) ? 1 : surplus.phases
  const otherSince = spec.switchesPhases ? since(better !== surplus.phases, surplus.otherSince) : undefined
  const phases = lasts(otherSince, PHASES_MS) || (otherSince !== undefined && !surplus.on) ? better : surplus.phases
  const enough = known >= leastMw(phases)
  const enoughSince = since(enough, surplus.enoughSince)
  const shortSince = since(!enough, surplus.shortSince)
  const stoppable = charger.onSince === undefined || mono - charger.onSince >= limits.minOnMs
  const on = surplus.on ? !(lasts(shortSince, STOP_MS) && stoppable) : lasts(enoughSince, START_MS)
  const next = { on, enoughSince, shortSince, phases, otherSince: phases === surplus.phases ? otherSince : undefined }
  const heldMa = charger.hold.commandedMa ?? 0
  // Where nobody measures it, what it has just been told would be counted before it is drawn.
  const isBlind = charger.hold.look?.currentsMa === undefined && isOnItsWay(charger, limits, mono)
  // Through a cloud it goes on at the least.
  const shareMa = Math.max(LEAST_MA, Math.floor(known / (phases * NOMINAL_V)))
  return { surplus: next, wishMa: on ? (isBlind && heldMa > 0 ? heldMa : shareMa) : 0 }
}
