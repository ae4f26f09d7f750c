/**
 * What one charger may be holding itself to now: the highest limit that is not proven to be gone. A limit counts from the
 * moment in which it is sent, acknowledged or not; a lower one counts instead only once the charger has acknowledged it
 * and the car has been seen to follow.
 */
import type { Mono } from '../time.ts'

/** 0, 1 and 2: L1, L2 and L3 of the site's connection. */
export type Phase = 0 | 1 | 2

/** The least that the control pilot can say (IEC 61851-1: 10 % duty cycle); below it a car does not charge. */
export const LEAST_MA = 6000

/** The control pilot's states of IEC 61851-1. */
export type Pilot = 'A' | 'B' | 'C' | 'D' | 'E' | 'F'

export interface ChargerTraits {
  readonly name: string
  /** The fuse that it hangs from. */
  readonly fuse: string
  /** The site's phase of each of its conductors, one or three, in the charger's own order. */
  readonly conductors: readonly Phase[]
  readonly mostMa: number
  readonly stepMa: number
  /** What it goes to by itself without this agent; 0, or at least 6,000. */
  readonly failsafeMa: number
  /** Without a word for so long it has gone there; undefined where it keeps its limit for ever. */
  readonly silenceMs: number | undefined
  /** Unanswered for so long it is out of reach, where that is longer than of others. */
  readonly reachMs?: number
  /** What it holds itself to after it was switched on, before anybody has told it anything. */
  readonly powerOnMa: number
}

export interface ChargerLimits {
  /** Unanswered for so long, a charger is out of reach. */
  readonly reachMs: number
  /** Added to a charger's own watchdog period: its clock and its contactor take their time. */
  readonly strikeMs: number
  /** Where no current is measured, a car has followed a limit this long after it was acknowledged. */
  readonly followMs: number
  /** A charger's own current measurement may be wrong by so much. */
  readonly toleranceMa: number
  /** A reading of a meter shows what flowed at most so long before it was taken. */
  readonly lagMs: number
  /** A meter older than this says nothing. */
  readonly meterMs: number
  /** Off so long before it may charge again. */
  readonly minOffMs: number
  /** Charging so long before it is stopped for anything but safety. */
  readonly minOnMs: number
  readonly watchdogMs: number
}

export const CHARGER_LIMITS: ChargerLimits = {
  // Six looks missed at two a second.
  reachMs: 3000,
  strikeMs: 2000,
  // IEC 61851-1: a car follows a change of the duty cycle within 5 s; one more for the look.
  followMs: 6000,
  // 2 % of 32 A, rounded down: what the measurement of a charger is good for.
  toleranceMa: 600,
  // Meters for one second readings refresh their registers about once a second.
  lagMs: 1500,
  meterMs: 3000,
  // Contactors and cars are made for some ten thousand starts: not more than a dozen an hour.
  minOffMs: 300_000,
  minOnMs: 300_000,
  // Ten rounds of the control loop.
  watchdogMs: 1000,
}

/** One look at a charger. */
export interface ChargerLook {
  readonly state: Pilot
  readonly limitMa?: number
  readonly phases?: 1 | 3
  /** Of each conductor, as far as it is measured. */
  readonly currentsMa?: readonly number[]
  readonly begun: Mono
  readonly taken: Mono
}

export type Reach = 'new' | 'heard' | 'lost' | 'struck'

/** A current over time, each value until the next, the oldest first; at least one. */
export type Course = readonly { readonly ma: number; readonly from: Mono }[]

export interface Hold {
  readonly reach: Reach
  /** The limit that was last sent; undefined before the first. */
  readonly commandedMa: number | undefined
  /** When a limit other than the one before was last sent. */
  readonly commandedAt: Mono
  /** When anything was last sent, which may have fed the charger's watchdog. */
  readonly sentAt: Mono
  /** When the charger acknowledged the last limit sent, or was seen to hold it; undefined while it has not. */
  readonly takenAt: Mono | undefined
  /** When it last answered to a limit: what happened to it before shows in the next look only. */
  readonly answeredAt: Mono
  /** What held before the limit was raised, until it is taken: meanwhile the car may have stood still, seen by nobody. */
  readonly raisedFromMa: number | undefined
  /** No higher limit is in force, or on its way. */
  readonly ceilingMa: number
  /** What a start, of which nobody knows, may have left in force, if it answers again after its watchdog must have struck. */
  readonly startMa: number
  /**
   * What it is likely to have let through, each until the next, the oldest first: as the ceiling, but lower as soon as a look
   * at a lower limit shows no more than that.
   */
  readonly letThrough: Course
  /** What it was told, likewise. */
  readonly told: Course
  /** As many as its contactor may close, or have closed. */
  readonly phases: 1 | 3
  /** The number of phases that it was last told, until it is seen to have taken it. */
  readonly switching: 1 | 3 | undefined
  readonly switchedAt: Mono
  /** Whether more than the last limit was seen to flow before that was sent: then a fall shows that the car followed. */
  readonly above: boolean
  readonly heardAt: Mono
  readonly look: ChargerLook | undefined
  /** The newest looks that measured currents, the oldest first. */
  readonly measured: readonly ChargerLook[]
  /** Since when every look found that its car does not charge. */
  readonly idleSince: Mono | undefined
}

/** A look that is older than this bears on no reading that is still fresh. */
const MEASURED_MS = 6000

const mostPhases = ({ conductors }: ChargerTraits): 1 | 3 => (conductors.length === 3 ? 3 : 1)

/** Of a charger that nothing is known of: it may hold whatever it can. */
export const unknownHold = (traits: ChargerTraits, mono: Mono): Hold => ({
  reach: 'new',
  commandedMa: undefined,
  commandedAt: mono,
  sentAt: mono,
  takenAt: undefined,
  answeredAt: mono,
  raisedFromMa: undefined,
  ceilingMa: traits.mostMa,
  startMa: traits.powerOnMa,
  letThrough: [{ ma: traits.mostMa, from: mono }],
  told: [{ ma: traits.mostMa, from: mono }],
  phases: mostPhases(traits),
  switching: undefined,
  switchedAt: mono,
  above: false,
  heardAt: mono,
  look: undefined,
  measured: [],
  idleSince: undefined,
})

/** What is older than any fresh reading is left out. */
function turn(course: Course, ma: number, from: Mono): Course {
  if (course.at(-1)!.ma === ma) return course
  const ended = course.findLastIndex(one => from - one.from > MEASURED_MS)
  return [...course.slice(Math.max(0, ended)), { ma, from }]
}

/** A question leaves for the charger. */
export const asked = (hold: Hold, mono: Mono): Hold => ({ ...hold, sentAt: mono })

/** A limit leaves for the charger. */
export function sent(hold: Hold, ma: number, limits: ChargerLimits, mono: Mono): Hold {
  const same = ma === hold.commandedMa
  const drawn = Math.max(0, ...(hold.look?.currentsMa ?? []))
  const before = hold.commandedMa ?? 0
  return {
    ...hold,
    raisedFromMa: ma > before ? Math.min(before, hold.raisedFromMa ?? before) : hold.raisedFromMa,
    above: same ? hold.above : drawn > ma + limits.toleranceMa,
    commandedMa: ma,
    commandedAt: same ? hold.commandedAt : mono,
    sentAt: mono,
    takenAt: same ? hold.takenAt : undefined,
    ceilingMa: Math.max(hold.ceilingMa, ma),
    letThrough: turn(hold.letThrough, Math.max(hold.letThrough.at(-1)!.ma, ma), mono),
    told: turn(hold.told, ma, mono),
  }
}

/** The charger says that it holds `ma`, the limit that was last sent. */
export function acknowledged(hold: Hold, ma: number, mono: Mono): Hold {
  if (ma !== hold.commandedMa) return hold
  const measured = stoodStill(hold, mono)
  return {
    ...hold,
    reach: 'heard',
    takenAt: hold.takenAt ?? mono,
    ceilingMa: hold.reach === 'struck' ? Math.max(hold.ceilingMa, hold.startMa) : hold.ceilingMa,
    answeredAt: mono,
    heardAt: mono,
    measured,
    raisedFromMa: undefined,
  }
}

/** Until a raised limit was taken, no more than the one before is certain to have flowed, whatever looks before and after show. */
function stoodStill({ measured, raisedFromMa }: Hold, at: Mono): readonly ChargerLook[] {
  const last = measured.at(-1)
  if (raisedFromMa === undefined || last === undefined) return measured
  const currentsMa = (last.currentsMa ?? []).map(ma => Math.min(ma, raisedFromMa))
  // It is no look: what is known is as old as the one before.
  return [...measured, { ...last, currentsMa, taken: at }]
}

/** The last limit sent may be in force or not, and so may be `readMa`, which the charger says that it holds instead. */
export const unacknowledged = (hold: Hold, readMa = 0): Hold => ({
  ...hold,
  takenAt: undefined,
  ceilingMa: Math.max(hold.ceilingMa, readMa),
})

/** The charger is told a number of phases. Until it is seen to have taken it, the higher counts. */
export const switched = (hold: Hold, phases: 1 | 3, mono: Mono): Hold => ({
  ...hold,
  phases: phases === 3 ? 3 : hold.phases,
  switching: phases,
  switchedAt: mono,
  sentAt: mono,
})

/** The charger answered to the number of phases that it was told. */
export const switchAcknowledged = (hold: Hold, phases: 1 | 3): Hold =>
  hold.switching === phases ? { ...hold, phases, switching: undefined } : hold

const mayDraw = ({ state }: ChargerLook): boolean => state === 'C' || state === 'D'

/**
 * Whether a look shows that the car follows the last limit. A car that drew less all along shows nothing: for as long as a
 * car may take, it may still rise to the limit before.
 */
function followed(hold: Hold, look: ChargerLook, traits: ChargerTraits, limits: ChargerLimits, takenAt: Mono): boolean {
  const { commandedMa = 0, above } = hold
  if (!mayDraw(look)) return true
  const currents = look.currentsMa ?? []
  const measured = currents.length >= traits.conductors.length
  const fell = currents.every(current => current <= commandedMa + limits.toleranceMa)
  if (measured && above && fell) return true
  return look.begun - takenAt >= limits.followMs && (!measured || fell)
}

/** What a look says: where the charger is, and that nothing higher than what it shows is in force any more. */
export function seen(hold: Hold, look: ChargerLook, traits: ChargerTraits, limits: ChargerLimits): Hold {
  const { limitMa, currentsMa = [] } = look
  let { takenAt, ceilingMa, phases, switching } = hold
  if (limitMa !== undefined && limitMa === hold.commandedMa && look.begun >= hold.commandedAt) takenAt ??= look.begun
  else if (limitMa !== undefined && (takenAt === undefined || look.begun >= takenAt)) {
    ceilingMa = Math.max(ceilingMa, Math.min(limitMa, traits.mostMa))
    if (takenAt !== undefined) {
      // It forgot: it was switched off and on, or somebody else sets its limit.
      takenAt = undefined
      ceilingMa = Math.max(ceilingMa, traits.powerOnMa)
      phases = mostPhases(traits)
    }
  }
  const drawn = Math.max(0, ...currentsMa)
  if (drawn > ceilingMa + limits.toleranceMa) ceilingMa = drawn
  if (takenAt !== undefined && look.begun >= takenAt && followed(hold, look, traits, limits, takenAt)) {
    ceilingMa = Math.max(hold.commandedMa!, drawn)
  }
  if (look.begun >= hold.switchedAt && look.phases === 1 && switching !== 3) {
    phases = 1
    switching = undefined
  } else if (look.phases === 3) {
    phases = mostPhases(traits)
    if (switching === 3) switching = undefined
  }
  const measured = stoodStill(hold, look.begun).filter(({ taken }) => look.taken - taken <= MEASURED_MS)
  const mayMa = ceilingMa > hold.ceilingMa ? ceilingMa : Math.min(ceilingMa, hold.letThrough.at(-1)!.ma)
  const follows = takenAt !== undefined && look.begun >= takenAt && currentsMa.length >= traits.conductors.length
  const letMa = follows
    ? Math.min(ceilingMa, Math.max(hold.commandedMa!, drawn))
    : Math.max(mayMa, hold.commandedMa ?? 0)
  return {
    ...hold,
    reach: 'heard',
    takenAt,
    letThrough: turn(hold.letThrough, letMa, look.begun),
    raisedFromMa: takenAt === undefined ? hold.raisedFromMa : undefined,
    ceilingMa,
    phases,
    switching,
    heardAt: look.begun > hold.heardAt ? look.begun : hold.heardAt,
    look,
    measured: look.currentsMa === undefined ? measured : [...measured, look],
    idleSince: mayDraw(look) ? undefined : (hold.idleSince ?? look.begun),
  }
}

/**
 * What silence means: out of reach, a charger may hold its last limit, or that of a start, until its watchdog must have
 * struck; from then on its failsafe current, until it is heard again.
 */
export function elapsed(hold: Hold, traits: ChargerTraits, limits: ChargerLimits, mono: Mono): Hold {
  if (hold.reach === 'struck') return hold
  if (hold.reach === 'heard' && mono - hold.heardAt <= (traits.reachMs ?? limits.reachMs)) return hold
  const { silenceMs, failsafeMa, powerOnMa } = traits
  const lost: Hold = {
    ...hold,
    takenAt: undefined,
    look: undefined,
    measured: [],
    idleSince: undefined,
    phases: mostPhases(traits),
  }
  if (silenceMs !== undefined && mono - hold.sentAt > silenceMs + limits.strikeMs) {
    const letThrough = turn(hold.letThrough, failsafeMa, mono)
    return { ...lost, reach: 'struck', commandedMa: undefined, ceilingMa: failsafeMa, letThrough }
  }
  if (hold.reach !== 'heard') return hold
  const ceilingMa = Math.max(hold.ceilingMa, failsafeMa, powerOnMa)
  return { ...lost, reach: 'lost', ceilingMa, letThrough: turn(hold.letThrough, ceilingMa, mono) }
}

/** Whether its latest look showed the current of each of its conductors. */
export const measuresAll = ({ look }: Hold, { conductors }: ChargerTraits): boolean =>
  (look?.currentsMa?.length ?? 0) >= conductors.length

/** The site's phases that it can load. */
export const phasesOf = (traits: ChargerTraits, hold: Hold): readonly Phase[] =>
  hold.phases === 3 ? traits.conductors : traits.conductors.slice(0, 1)
