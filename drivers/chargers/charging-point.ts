/**
 * What is the same for every charging point, whatever controls it: 6 A or 0 and never between, rounding down, the identity
 * that is pinned, supervision that is set again after a restart, limits that are lowered when they are found too high, and
 * limits that lapse when nobody renews them.
 */
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import type { Charger, ChargerStatus, Clock, Log, OnAgentSilence, PilotState } from '../ports.ts'

/** What the configuration says of a charging point. */
export interface ChargerOptions {
  readonly name: string
  /** The most that the wiring behind it carries, per phase in mA; 6,000 at least. */
  readonly mostMa: number
  /** How the controller must name itself (its page says in what form); what answers first is believed where this is absent. */
  readonly identity?: string
  readonly clock: Clock
  readonly log?: Log
  /** false only in the tests that show what the defence is worth. */
  readonly givesWay?: boolean
}

/** What a controller was seen to be. */
export interface Look {
  readonly state: PilotState
  /** The limit that it would let the car draw now, per phase in mA; 0 where it does not let the car charge. */
  readonly limitMa: number
  readonly phases?: 1 | 3
  readonly currentsMa?: readonly number[]
}

/**
 * What a controller's page has to do. Nothing here is called while an earlier call is under way. A call with a signal ends
 * between two of its requests once that is aborted, because a limit waits: by `gaveWay`, or by a request that its line was
 * told to take back.
 */
export interface Controller {
  readonly name: string
  stepMa(): number
  /** Who answers: a serial number where the controller has one, else what tells its kind. */
  identify(signal?: AbortSignal): Promise<Result<string>>
  /** Makes sure that watchdog and failsafe current are as declared; true where they had to be set: that gives no way. */
  supervise(signal?: AbortSignal): Promise<Result<boolean>>
  look(signal?: AbortSignal): Promise<Result<Look>>
  /** Writes a limit, 0 or 6,000 and more, and reads it back: what was to be read, and what was. */
  apply(ma: number): Promise<Result<Applied>>
  /** Writes how many phases are closed, and reads them back. */
  switchPhases?(phases: 1 | 3): Promise<Result<number | undefined>>
  close?(): Promise<void>
}

export interface Applied {
  /** Less than what was asked where the controller's step had changed. */
  readonly wantedMa: number
  readonly readMa: number | undefined
}

/** Below this no charger of IEC 61851-1 lets a car charge (6 A, Table A.7). */
const LEAST_MA = 6_000
/** A car follows a changed pilot within this (IEC 61851-1, Table A.6: 5 s), so that it is part of every declared time. */
const CAR_RESPONSE_MS = 5_000
/** Limits are renewed within half of the declared time: a shorter watchdog would fall back in between. */
const SHORTEST_WATCHDOG_MS = 10_000

/** A controller's own watchdog, and what it then falls back to. */
export interface Watchdog {
  readonly watchdogMs: number
  readonly failsafeMa: number
  readonly by: string
  /** What the controller can be set to, where it cannot be set to just anything: multiples of these, up to this. */
  readonly stepMs?: number
  readonly longestMs?: number
  readonly stepMa?: number
}

/** What the configuration may say of it; a page says what is taken where it does not. */
export interface WatchdogOptions {
  readonly watchdogMs?: number
  readonly failsafeMa?: number
}

/** What is wrong with the configuration of a charging point, before anything is sent. */
export function refuseOptions(options: ChargerOptions, controller: string, watchdog?: Watchdog): Fault | undefined {
  const { name: charger, mostMa } = options
  if (!(Number.isInteger(mostMa) && mostMa >= LEAST_MA))
    return { code: 'charger.most', charger, mostMa, leastMa: LEAST_MA }
  if (watchdog === undefined) return undefined
  const { watchdogMs, stepMs = 1, longestMs = Number.MAX_SAFE_INTEGER, failsafeMa, stepMa = 1 } = watchdog
  if (!(watchdogMs % stepMs === 0 && watchdogMs >= SHORTEST_WATCHDOG_MS && watchdogMs <= longestMs))
    return {
      code: 'charger.watchdog',
      charger,
      controller,
      watchdogMs,
      leastMs: SHORTEST_WATCHDOG_MS,
      longestMs,
      stepMs,
    }
  if (failsafeMa % stepMa !== 0 || (failsafeMa !== 0 && failsafeMa < LEAST_MA) || failsafeMa > mostMa)
    return { code: 'charger.failsafe', charger, controller, failsafeMa, leastMa: LEAST_MA, mostMa, stepMa }
  return undefined
}

/** A controller without a watchdog is usable only where the configuration accepts that. */
export function refuseUnsupervised(charger: string, controller: string, allow: boolean | undefined): Fault | undefined {
  if (allow === true) return undefined
  return {
    code: 'charger.unsupervised',
    charger,
    controller,
    hint: 'this controller keeps its limit when the agent dies; say allowUnsupervised to accept that',
  }
}

const GAVE_WAY = 'charger.gave-way'
/** Why a look ends that gives way, by whose word. */
const WAY_GIVEN: ReadonlySet<string> = new Set([GAVE_WAY, 'modbus.withdrawn'])

/** What a look answers that a limit has interrupted. Nothing is wrong then. */
export const gaveWay = (charger: string) => fail({ code: GAVE_WAY, charger })
export const hasGivenWay = (fault: Fault): boolean => fault.code === GAVE_WAY

/** Sends nothing. */
export function createChargingPoint(options: ChargerOptions, controller: Controller, watchdog?: Watchdog): Charger {
  const { name, mostMa, clock, log, givesWay = true } = options
  const onAgentSilence: OnAgentSilence =
    watchdog === undefined
      ? { kind: 'keeps', allowUnsupervised: true }
      : {
          kind: 'falls-back',
          withinMs: watchdog.watchdogMs + CAR_RESPONSE_MS,
          toMa: watchdog.failsafeMa,
          by: watchdog.by,
        }
  let pinned = options.identity
  /** The right controller has answered before. */
  let met = false
  /** It has, and nothing has gone wrong since. */
  let sound = false
  /** The most that it may be found set to: what it was told last, or less where that is in doubt. */
  let heldMa = mostMa
  let setAt: Mono | undefined
  let closing: Promise<unknown> | undefined
  let turn: Promise<unknown> = Promise.resolve()
  /** Looks that have been asked for and not answered. */
  const looks = new Set<AbortController>()

  function inTurn<T>(work: () => Promise<Result<T>>): Promise<Result<T>> {
    const mine = turn.then(work)
    turn = mine.catch(() => {})
    return mine
  }

  function giveWay(): void {
    if (givesWay) for (const look of looks) look.abort()
  }

  /** The answer of a call that ended because its look gives way; undefined where it ended by itself. */
  const wayGiven = (answer: Result<unknown>, signal: AbortSignal | undefined) =>
    signal?.aborted && !answer.ok && WAY_GIVEN.has(answer.fault.code) ? gaveWay(name) : undefined

  async function makeSure(signal?: AbortSignal): Promise<Result<void>> {
    const before = sound
    sound = false
    const who = await controller.identify(signal)
    if (wayGiven(who, signal)) sound = before
    if (!who.ok) return wayGiven(who, signal) ?? who
    if (pinned !== undefined && who.value !== pinned)
      return fail({ code: 'charger.identity', charger: name, expected: pinned, received: who.value })
    pinned = who.value
    const again = met
    met = true
    const set = await controller.supervise(signal)
    if (wayGiven(set, signal)) sound = before
    if (!set.ok) return wayGiven(set, signal) ?? set
    if (set.value && again)
      log?.('warn', 'charger', `${name} had lost its supervision; it is set again`, {
        code: 'charger.restarted',
        charger: name,
      })
    sound = true
    return done
  }

  async function write(wishedMa: number): Promise<Result<number>> {
    const stepMa = controller.stepMa()
    const applied = await controller.apply(Math.floor(wishedMa / stepMa) * stepMa)
    if (!applied.ok) {
      sound = false
      return applied
    }
    const { wantedMa, readMa } = applied.value
    if (readMa === wantedMa) return ok(wantedMa)
    sound = false
    return fail({ code: 'charger.not-taken', charger: name, wantedMa, readMa })
  }

  async function setLimit(ma: number): Promise<Result<number>> {
    const beforeMa = heldMa
    // Whatever becomes of this command, more than the lower of the two is not to be found afterwards.
    heldMa = Math.min(heldMa, ma)
    if (!sound || ma > beforeMa) {
      const sure = await makeSure()
      // A stop is tried even on a controller that does not answer as it should, unless it is a stranger.
      if (!sure.ok && !(ma === 0 && met && sure.fault.code !== 'charger.identity')) return sure
    }
    const began = clock.mono()
    const taken = await write(ma)
    if (!taken.ok) return taken
    heldMa = taken.value
    setAt = began
    return taken
  }

  async function status(signal: AbortSignal): Promise<Result<ChargerStatus>> {
    const began = clock.mono()
    if (watchdog !== undefined && setAt !== undefined && began - setAt > watchdog.watchdogMs)
      heldMa = Math.min(heldMa, watchdog.failsafeMa)
    const sure = await makeSure(signal)
    if (!sure.ok) return sure
    let look = await controller.look(signal)
    // Where it gives way the limit that waits is lower still, and goes next.
    if (look.ok && look.value.limitMa > heldMa && !signal.aborted) {
      log?.('warn', 'charger', `${name} was found above its limit; it is lowered`, {
        code: 'charger.found-above',
        charger: name,
        foundMa: look.value.limitMa,
        heldMa,
      })
      const lowered = await write(heldMa)
      if (!lowered.ok) return lowered
      look = await controller.look(signal)
    }
    const given = wayGiven(look, signal)
    if (given) return given
    if (!look.ok) {
      sound = false
      return look
    }
    return ok({ ...look.value, takenMono: began })
  }

  async function setPhases(phases: 1 | 3): Promise<Result<void>> {
    const sure = await makeSure()
    if (!sure.ok) return sure
    const look = await controller.look()
    if (!look.ok) return look
    const { state } = look.value
    if (state === 'C' || state === 'D') return fail({ code: 'charger.charging', charger: name, state })
    const read = await controller.switchPhases!(phases)
    if (!read.ok) return read
    return read.value === phases
      ? done
      : fail({ code: 'charger.not-taken', charger: name, wantedPhases: phases, readPhases: read.value })
  }

  const closed = fail({ code: 'charger.closed', charger: name })

  return {
    name,
    controller: controller.name,
    onAgentSilence,
    mostMa,
    get stepMa() {
      return controller.stepMa()
    },
    status: () => {
      if (closing !== undefined) return Promise.resolve(closed)
      const look = new AbortController()
      looks.add(look)
      return inTurn(() => status(look.signal).finally(() => looks.delete(look)))
    },
    setLimit: wantedMa => {
      if (!(wantedMa === 0 || (wantedMa >= LEAST_MA && wantedMa <= mostMa)))
        return Promise.resolve(fail({ code: 'charger.limit', charger: name, wantedMa, leastMa: LEAST_MA, mostMa }))
      if (closing !== undefined) return Promise.resolve(closed)
      if (wantedMa === 0 || wantedMa < heldMa) giveWay()
      return inTurn(() => setLimit(wantedMa))
    },
    ...(controller.switchPhases === undefined
      ? {}
      : { setPhases: phases => (closing === undefined ? inTurn(() => setPhases(phases)) : Promise.resolve(closed)) }),
    async close() {
      if (closing === undefined) giveWay()
      closing ??= inTurn(async () => {
        const stopped = await setLimit(0)
        await controller.close?.()
        return stopped
      })
      await closing
    },
  }
}
