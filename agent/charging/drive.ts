/** One charger under control: one exchange at a time, what is most urgent first, and what each answer says of it. */
import { hasGivenWay } from '../../drivers/chargers/charging-point.ts'
import { afterListening } from '../../drivers/listening.ts'
import type { Charger, Clock, Log, Timers } from '../../drivers/ports.ts'
import { type Fault, fail, type Result } from '../../protocol/result.ts'
import {
  acknowledged,
  asked,
  type ChargerLimits,
  type ChargerTraits,
  type Hold,
  seen,
  sent,
  switchAcknowledged,
  switched,
  unacknowledged,
} from '../../protocol/safety/charger-hold.ts'
import type { Mono } from '../../protocol/time.ts'
import type { ChargerOrder } from './decide.ts'

/** Looks are that far apart: two between two readings of a meter that is read once a second. */
const LOOK_MS = 400
/**
 * A look gives way while the last whole one began less than this ago: the limit and the next look fit into what is left of
 * the 3 s until a charger is out of reach.
 */
const WHOLE_MS = 2000
/** A limit that was not taken is sent again this often. */
const AGAIN_MS = 1000
/** A charger out of reach is tried this long, and then left alone, or its watchdog would never strike. */
const TRY_MS = 10_000
/** After its watchdog must have struck, and where it has none, a charger out of reach is tried this often. */
const RETRY_MS = 5000
/** Above the deadlines of every driver; beyond it a driver is taken to be stuck. */
const ANSWER_MS = 15_000
/** A controller without a watchdog is still told its limit again, in case it was restarted. */
const UNSUPERVISED_REFRESH_MS = 10_000
/** A limit is taken, or a car follows, within this. */
const PATIENCE_MS = 8000
/** For so long it is shown that a charger had forgotten its limit. */
const RESTART_SHOWN_MS = 60_000

export interface Drive {
  readonly name: string
  readonly unsupervised: boolean
  /** When it was last looked at; never is long ago. */
  lookedAt(): number
  /** Begins the next exchange, if one is due and none is under way. */
  tend(order: ChargerOrder): void
  /** Tells it 0, whatever is under way; resolves when it has answered, or has had its time. */
  stop(): Promise<void>
  fault(): Fault | undefined
  /** When it was last found to have forgotten its limit. */
  forgotAt(): Mono | undefined
}

export interface DriveOptions {
  readonly charger: Charger
  readonly traits: ChargerTraits
  readonly limits: ChargerLimits
  /** Of its line: one look at a time. One that gave way keeps its turn until it is made again. */
  readonly looks: { busy: boolean }
  readonly hold: () => Hold
  readonly change: (change: (hold: Hold) => Hold) => void
  /** Something is known that was not: another step is due. */
  readonly onAnswer: () => void
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
}

export function createDrive(options: DriveOptions): Drive {
  const { charger, traits, limits, looks, hold, change, clock, timers, log } = options
  const { name, onAgentSilence } = charger
  const refreshMs =
    onAgentSilence.kind === 'falls-back' ? Math.floor(onAgentSilence.withinMs / 3) : UNSUPERVISED_REFRESH_MS
  let busy: 'look' | 'limit' | 'phases' | undefined
  /** The latest look gave way to a limit, and the line's turn is still this charger's. */
  let gaveWay = false
  let stopped = false
  let toldAt: Mono | undefined
  let lookedAt: Mono | undefined
  /** The latest look that did not give way. */
  let wholeAt: Mono | undefined
  let trouble: Fault | undefined
  let forgotAt: Mono | undefined
  let overSince: Mono | undefined

  function bounded<T>(work: Promise<Result<T>>, what: string): Promise<Result<T>> {
    return new Promise(resolve => {
      const cancel = afterListening(ANSWER_MS, clock, timers, () =>
        resolve(fail({ code: 'charger.no-answer', charger: name, what, deadlineMs: ANSWER_MS })),
      )
      void work.then(result => {
        cancel()
        resolve(result)
      })
    })
  }

  async function exchange<T>(
    what: 'look' | 'limit' | 'phases',
    work: Promise<Result<T>>,
    take: (value: T) => void,
  ): Promise<void> {
    busy = what
    const answer = await bounded(work, what)
    // A limit may have overtaken the look.
    if (busy === what) busy = undefined
    if (what === 'look') {
      gaveWay = !answer.ok && hasGivenWay(answer.fault)
      // Whoever gave way is as long without a look as before, and looks next.
      if (gaveWay) lookedAt = wholeAt
      else wholeAt = lookedAt
      if (gaveWay) return stopped ? undefined : options.onAnswer()
      looks.busy = false
    }
    if (!answer.ok) letOthersLook()
    if (answer.ok) take(answer.value)
    else {
      if (trouble?.code !== answer.fault.code) log('warn', 'charging', `${name}: ${what} failed`, answer.fault)
      const { readMa } = answer.fault
      const readsMa = typeof readMa === 'number' ? Math.min(readMa, traits.mostMa) : 0
      if (what === 'limit') change(before => unacknowledged(before, readsMa))
    }
    trouble = answer.ok ? undefined : answer.fault
    if (!stopped) options.onAnswer()
  }

  /** Gives up the turn that a look that gave way has kept. */
  function letOthersLook(): void {
    if (gaveWay) looks.busy = false
    gaveWay = false
  }

  function tell(ma: number): Promise<void> {
    const now = clock.mono()
    toldAt = now
    if (hold().commandedMa !== ma) log('info', 'charging', `${name} is told ${ma} mA`)
    change(before => sent(before, ma, limits, now))
    return exchange('limit', charger.setLimit(ma), taken => {
      change(before => (taken === ma ? acknowledged(before, ma, clock.mono()) : unacknowledged(before)))
    })
  }

  function look(): void {
    const begun = clock.mono()
    lookedAt = begun
    looks.busy = true
    change(before => asked(before, begun))
    void exchange('look', charger.status(), status => {
      const taken = hold().takenAt !== undefined
      change(before => seen(before, { ...status, begun, taken: clock.mono() }, traits, limits))
      if (taken && hold().takenAt === undefined) forgotAt = begun
      const drawn = Math.max(0, ...(status.currentsMa ?? []))
      overSince = drawn > (hold().commandedMa ?? 0) + limits.toleranceMa ? (overSince ?? begun) : undefined
    })
  }

  function switchTo(phases: 1 | 3): void {
    log('info', 'charging', `${name} is switched to ${phases === 1 ? 'one phase' : 'three phases'}`)
    change(before => switched(before, phases, clock.mono()))
    void exchange('phases', charger.setPhases!(phases), () => change(before => switchAcknowledged(before, phases)))
  }

  /**
   * Whether a limit goes before the rest of a look: one that is lower, for as long as the last whole look is fresh. A stop goes
   * always: before the next one the limit has to rise, which takes a look.
   */
  function overtakes(ma: number): boolean {
    const { commandedMa } = hold()
    if (busy !== 'look' || commandedMa === undefined || ma >= commandedMa) return false
    return ma === 0 || clock.mono() - (wholeAt ?? Number.NEGATIVE_INFINITY) < WHOLE_MS
  }

  return {
    name,
    unsupervised: onAgentSilence.kind === 'keeps',
    lookedAt: () => lookedAt ?? Number.NEGATIVE_INFINITY,
    tend({ ma, switchTo: phases }) {
      const { reach, commandedMa, takenAt, heardAt } = hold()
      if (stopped || (busy !== undefined && !(reach === 'heard' && phases === undefined && overtakes(ma)))) return
      const now = clock.mono()
      const since = (at: Mono | undefined) => (at === undefined ? Number.POSITIVE_INFINITY : now - at)
      if (reach !== 'heard' || phases !== undefined) letOthersLook()
      if (reach !== 'heard') {
        const trying = reach !== 'struck' && now - heardAt <= TRY_MS
        const silent = reach !== 'struck' && traits.silenceMs !== undefined
        if (trying ? since(toldAt) >= AGAIN_MS : !silent && since(toldAt) >= RETRY_MS) void tell(0)
      } else if (phases !== undefined && charger.setPhases !== undefined) switchTo(phases)
      else if (ma !== commandedMa || since(toldAt) >= refreshMs) void tell(ma)
      else if (takenAt === undefined && since(toldAt) >= AGAIN_MS) void tell(ma)
      else if (since(lookedAt) >= LOOK_MS && (gaveWay || !looks.busy)) look()
    },
    async stop() {
      stopped = true
      await tell(0)
    },
    forgotAt: () => forgotAt,
    fault() {
      const now = clock.mono()
      const { reach, look: last, takenAt, commandedAt, commandedMa, heardAt, ceilingMa } = hold()
      if (reach !== 'heard' && (reach !== 'new' || now - heardAt > (traits.reachMs ?? limits.reachMs)))
        return {
          code: 'charger.unreachable',
          charger: name,
          agoMs: now - heardAt,
          countedMa: ceilingMa,
          by: trouble?.code,
        }
      if (overSince !== undefined && now - Math.max(overSince, commandedAt) > PATIENCE_MS)
        return {
          code: 'charger.over-limit',
          charger: name,
          limitMa: commandedMa,
          currentsMa: last?.currentsMa?.map(String),
        }
      if (takenAt === undefined && commandedMa !== undefined && now - commandedAt > PATIENCE_MS / 2)
        return {
          code: 'charger.not-taken',
          charger: name,
          wantedMa: commandedMa,
          readMa: last?.limitMa,
          by: trouble?.code,
        }
      if (last?.state === 'E' || last?.state === 'F') return { code: 'charger.state', charger: name, state: last.state }
      if (forgotAt !== undefined && now - forgotAt <= RESTART_SHOWN_MS)
        return { code: 'charger.restarted', charger: name, agoMs: now - forgotAt }
      return trouble
    },
  }
}
