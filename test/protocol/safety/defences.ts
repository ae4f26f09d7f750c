/** Each defence of the guard, taken out by what it is told; the model's judge has to find every one of them missing. */
import { type Phase, unacknowledged } from '../../../protocol/safety/charger-hold.ts'
import { mono } from '../../../protocol/time.ts'
import type { Doctor } from './guarded-site.ts'

export const DEFENCES: Readonly<Record<string, Doctor>> = {
  'a meter that is old says nothing': { limits: { meterMs: 1e9 } },
  'own current is what was measured, not what was allowed': {
    look: (look, hold) => ({ ...look, currentsMa: (look.currentsMa ?? [0, 0, 0]).map(() => hold.commandedMa ?? 0) }),
  },
  'own current is the least around the reading': {
    hold: hold => ({
      ...hold,
      measured: hold.measured.slice(-1).map(look => ({ ...look, begun: mono(1e12), taken: mono(-1e12) })),
    }),
  },
  'what was held before counts until the new is acknowledged': {
    hold: hold => ({ ...hold, ceilingMa: hold.commandedMa ?? hold.ceilingMa }),
  },
  'what was held before counts until the car has followed': {
    limits: { followMs: 0 },
    hold: hold => (hold.takenAt === undefined ? hold : { ...hold, ceilingMa: hold.commandedMa ?? hold.ceilingMa }),
  },
  'a limit that was not acknowledged counts all the same': {
    failed: hold => ({ ...hold, ceilingMa: 0 }),
  },
  'what a charger reads back counts': {
    look: (look, hold) => ({ ...look, limitMa: hold.commandedMa ?? 0 }),
  },
  'a limit that is answered by another counts with that': {
    failed: hold => unacknowledged(hold),
  },
  'a charger out of reach keeps its last limit': {
    hold: hold => (hold.reach === 'lost' ? { ...hold, ceilingMa: 0 } : hold),
  },
  'a watchdog strikes only after its time': {
    traits: traits => ({ ...traits, silenceMs: 0 }),
    limits: { reachMs: 300, strikeMs: 0 },
  },
  'a watchdog leaves the failsafe current': {
    traits: traits => ({ ...traits, failsafeMa: 0 }),
  },
  'conductors are not the site’s phases': {
    traits: traits => ({ ...traits, conductors: traits.conductors.map((_, n) => n as Phase) }),
  },
  'all phases count until fewer are seen': {
    hold: hold => ({ ...hold, phases: 1 }),
  },
  'phases change without current only': { switchesLive: true },
  'nothing between 0 and 6 A': { order: ma => (ma === 6000 ? 5900 : ma) },
}
