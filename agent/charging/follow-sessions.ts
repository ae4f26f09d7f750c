/**
 * Which session each charging point with a meter needs: one is begun when a car is there, and ended when it is gone, at a
 * fault, and when what was agreed is over. Until the begin is on record, and from the moment in which an end is due, the point
 * has no session that it may charge under; an end is read once nothing flows any more, and of a point that is not heard at
 * once: what it lets flow by itself, perhaps into another car, is nobody's.
 */
import type { Fault } from '../../protocol/result.ts'
import type { Hold } from '../../protocol/safety/charger-hold.ts'
import type { Mono } from '../../protocol/time.ts'
import type { Sessions, SessionTerms, SessionTrouble } from './sessions.ts'

/** Longer than it takes to change one car for another nobody may look away. */
const UNSEEN_MS = 10_000
/** A begin that failed is tried again after this: a meter on a shared line needs no more looks than that. */
const AGAIN_MS = 5000

/** The terms under which each car charges there. */
export type SessionPoint = Pick<SessionTerms, 'meter' | 'tariff'>

/** What a step of the control loop knows of a charging point. */
export interface PointSeen {
  readonly hold: Hold
  /** Where it charges by deals: one runs and is paid. */
  readonly agreed: boolean
  /** When it was last found to have forgotten its limit. */
  readonly forgotAt: Mono | undefined
}

interface Following {
  /** When a session was last begun or tried. */
  begunAt?: Mono
  beginning?: true
  /** Of the last look that told the pilot's state. */
  seenAt?: Mono
  due?: SessionTrouble | 'unplugged' | undefined
  by?: string
}

export interface FollowingSessions {
  /** What the rules of a charger ask; undefined where it has no meter of its own. */
  of(charger: string): { readonly open: boolean; readonly by: string | undefined } | undefined
  follow(charger: string, seen: PointSeen, mono: Mono): void
}

export function followSessions(
  sessions: Pick<Sessions, 'begin' | 'end' | 'stateOf'>,
  points: ReadonlyMap<string, SessionPoint>,
  health: (what: string, fault: Fault | undefined) => void,
  onBegun: () => void,
): FollowingSessions {
  const all = new Map([...points.keys()].map((name): [string, Following] => [name, {}]))

  async function begin(port: string, one: Following): Promise<void> {
    one.beginning = true
    const begun = await sessions.begin({ port, direction: 'import', ...points.get(port)! })
    delete one.beginning
    if (begun.ok) delete one.by
    else one.by = begun.fault.code
    health(`session.${port}`, begun.ok ? undefined : begun.fault)
    onBegun()
  }

  return {
    of(charger) {
      const one = all.get(charger)
      return one && { open: sessions.stateOf(charger) === 'open' && one.due === undefined, by: one.by }
    },
    follow(charger, seen, mono) {
      const one = all.get(charger)
      if (one === undefined || one.beginning) return
      const state = sessions.stateOf(charger)
      const { reach, look, ceilingMa } = seen.hold
      const pilot = reach === 'heard' ? look?.state : undefined
      if (pilot !== undefined) one.seenAt = look!.taken
      if (state === undefined) {
        delete one.due
        if (pilot === 'A' && one.by !== undefined) {
          delete one.by
          health(`session.${charger}`, undefined)
        }
        const isThere = pilot === 'B' || pilot === 'C' || pilot === 'D'
        const again = one.by === undefined || one.begunAt === undefined || mono - one.begunAt >= AGAIN_MS
        if (!isThere || !seen.agreed || !again) return
        one.begunAt = mono
        void begin(charger, one)
      } else if (state === 'open') {
        one.due ??= whyDue(one, seen, pilot, mono)
        // A contactor is open without a car and in a fault (IEC 61851-1).
        const off = pilot === 'A' || pilot === 'E' || pilot === 'F' || ceilingMa === 0
        if (one.due !== undefined && (off || isUnseen(one, mono)))
          void sessions.end(charger, one.due === 'unplugged' ? undefined : one.due)
      }
    },
  }
}

const isUnseen = ({ seenAt }: Pick<Following, 'seenAt'>, mono: Mono): boolean =>
  seenAt !== undefined && mono - seenAt > UNSEEN_MS

function whyDue(
  following: Following,
  { agreed, forgotAt }: PointSeen,
  pilot: string | undefined,
  mono: Mono,
): Following['due'] {
  const { begunAt } = following
  if (pilot === 'A') return 'unplugged'
  if (pilot === 'E' || pilot === 'F') return 'charger-fault'
  if (forgotAt !== undefined && begunAt !== undefined && forgotAt > begunAt) return 'charger-restarted'
  if (isUnseen(following, mono)) return 'charger-fault'
  return agreed ? undefined : 'contract-ended'
}
