/**
 * OpenEVSE over RAPI, 115,200 baud 8N1; one controller a line.
 *
 *     $GV         versions of firmware and protocol
 *     $GS         state, elapsed time, state of the pilot, flags (from protocol 5 on), states in hexadecimal
 *     $GE         limit in A, flags
 *     $GG         current in mA, -1 where unknown
 *     $SC n V     limit in A for now; without V each write wears the EEPROM
 *     $FE, $FS    lets the car charge; sleeps
 *     $SY         pulse of supervision; answers interval in s, current in A, trigger. $NK: an earlier one was missed
 *     $SY n a     sets it up, which the EEPROM keeps: written only where it differs
 *     $SY 165     takes note of a missed pulse, and sets the limit to the most that the EEPROM allows: only while it sleeps
 *
 * A limit under 6 A is taken as 6 A, so that it sleeps for 0, and does not fall back under 6 A. After power-on it charges
 * by what its EEPROM holds.
 *
 * Second-hand, not tried on hardware: the comment on the protocol in OpenEVSE's firmware as the python-openevse project and
 * OpenEVSE's library quote it.
 */
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import type { Charger, Line, PilotState, Timers } from '../ports.ts'
import {
  type ChargerOptions,
  type Controller,
  createChargingPoint,
  gaveWay,
  refuseOptions,
  type Watchdog,
  type WatchdogOptions,
} from './charging-point.ts'
import { createRapi, type RapiAnswer } from './rapi.ts'
import { unknownState } from './registers.ts'

const CONTROLLER = 'openevse'
const UNIT_MA = 1000
const WATCHDOG_MS = 15_000
/** Its interval is 16 bits of seconds. */
const LONGEST_WATCHDOG_MS = 65_535_000
/** Under it there is no falling back. */
const LEAST_FAILSAFE_MA = 6_000
const COOKIE = '165'
const STATES: ReadonlyMap<number, PilotState> = new Map([
  [0x01, 'A'],
  [0x02, 'B'],
  [0x03, 'C'],
  [0x04, 'D'],
  // From a failed diode to an over-current, each with its own number.
  ...Array.from({ length: 7 }, (_, i): [number, PilotState] => [0x05 + i, 'F']),
])
const SLEEPING: readonly number[] = [0xfe, 0xff]

const whole = (word: string | undefined): number | undefined =>
  word !== undefined && /^\d{1,9}$/.test(word) ? Number(word) : undefined
const hexadecimal = (word: string | undefined): number | undefined =>
  word !== undefined && /^[0-9a-fA-F]{1,4}$/.test(word) ? Number.parseInt(word, 16) : undefined

export interface OpenEvseOptions extends ChargerOptions, WatchdogOptions {
  /** Nobody else's: it is opened at the first call, and closed at the end. */
  readonly line: Line
  readonly timers: Timers
}

export function openOpenEvseCharger(options: OpenEvseOptions): Result<Charger> {
  const { name, line, timers, watchdogMs = WATCHDOG_MS, failsafeMa = LEAST_FAILSAFE_MA } = options
  const watchdog: Watchdog = {
    watchdogMs,
    failsafeMa,
    by: 'heartbeat supervision',
    stepMs: 1000,
    longestMs: LONGEST_WATCHDOG_MS,
    stepMa: UNIT_MA,
  }
  const refused = refuseOptions(options, CONTROLLER, watchdog)
  if (refused !== undefined) return fail(refused)
  if (failsafeMa < LEAST_FAILSAFE_MA)
    return fail({
      code: 'charger.failsafe',
      charger: name,
      controller: CONTROLLER,
      failsafeMa,
      leastMa: LEAST_FAILSAFE_MA,
      hint: 'this controller falls back to 6 A or more',
    })
  const watchdogS = watchdogMs / 1000
  const rapi = createRapi(line, timers)

  const notUnderstood = (command: string, { words }: RapiAnswer) =>
    fail({ code: 'charger.unreadable', charger: name, command, answer: words })

  async function command(...words: readonly string[]): Promise<Result<readonly string[]>> {
    return commandUntil(undefined, ...words)
  }

  /** The same, in a look that gives way when `signal` is aborted. */
  async function commandUntil(
    signal: AbortSignal | undefined,
    ...words: readonly string[]
  ): Promise<Result<readonly string[]>> {
    if (signal?.aborted) return gaveWay(name)
    const answer = await rapi.ask(...words)
    if (!answer.ok) return answer
    if (answer.value.accepted) return ok(answer.value.words)
    return fail({ code: 'charger.refused', charger: name, command: words.join(' '), answer: answer.value.words })
  }

  async function readLimit(signal?: AbortSignal): Promise<Result<number>> {
    const answer = await commandUntil(signal, 'GE')
    if (!answer.ok) return answer
    const amperes = whole(answer.value[0])
    return amperes === undefined ? notUnderstood('GE', { accepted: true, words: answer.value }) : ok(amperes * UNIT_MA)
  }

  /** Its state, and that of the pilot where it is asleep. */
  async function readState(
    signal?: AbortSignal,
  ): Promise<Result<{ readonly asleep: boolean; readonly raw: number; readonly pilot: number }>> {
    const answer = await commandUntil(signal, 'GS')
    if (!answer.ok) return answer
    const raw = hexadecimal(answer.value[0])
    const pilot = hexadecimal(answer.value[2])
    if (raw === undefined || pilot === undefined) return notUnderstood('GS', { accepted: true, words: answer.value })
    return ok({ asleep: SLEEPING.includes(raw), raw, pilot })
  }

  async function sleep(): Promise<Result<boolean>> {
    const told = await command('FS')
    if (!told.ok) return told
    const state = await readState()
    return state.ok ? ok(state.value.asleep) : state
  }

  /** Taking note of a missed pulse lets the car have whatever the EEPROM allows, so that it is done asleep. */
  async function acknowledge(): Promise<Result<void>> {
    const asleep = await sleep()
    if (!asleep.ok) return asleep
    if (!asleep.value) return fail({ code: 'charger.not-taken', charger: name, wantedMa: 0 })
    const told = await command('SY', COOKIE)
    return told.ok ? done : told
  }

  const isSet = ([interval, amperes]: readonly string[]): boolean =>
    whole(interval) === watchdogS && whole(amperes) === failsafeMa / UNIT_MA

  /** One pulse, and supervision as declared; true where it was not. */
  async function pulse(signal?: AbortSignal): Promise<Result<boolean>> {
    if (signal?.aborted) return gaveWay(name)
    let answer = await rapi.ask('SY')
    if (!answer.ok) return answer
    if (!answer.value.accepted) {
      const acknowledged = await acknowledge()
      if (!acknowledged.ok) return acknowledged
      answer = await rapi.ask('SY')
      if (!answer.ok) return answer
    }
    if (answer.value.accepted && isSet(answer.value.words)) return ok(false)
    const set = await command('SY', String(watchdogS), String(failsafeMa / UNIT_MA))
    if (!set.ok) return set
    return isSet(set.value)
      ? ok(true)
      : fail({ code: 'charger.unsupervised', charger: name, watchdogS, failsafeMa, answer: set.value })
  }

  const controller: Controller = {
    name: CONTROLLER,
    stepMa: () => UNIT_MA,
    async identify(signal) {
      const versions = await commandUntil(signal, 'GV')
      if (!versions.ok) return versions
      return versions.value.length >= 2
        ? ok(versions.value.slice(0, 2).join(', protocol '))
        : notUnderstood('GV', { accepted: true, words: versions.value })
    },
    supervise: pulse,
    async look(signal) {
      const limit = await readLimit(signal)
      if (!limit.ok) return limit
      const seen = await readState(signal)
      if (!seen.ok) return seen
      const { asleep, raw, pilot } = seen.value
      const state = STATES.get(asleep ? pilot : raw)
      if (state === undefined) return unknownState(name, CONTROLLER, asleep ? pilot : raw)
      const measured = await commandUntil(signal, 'GG')
      if (!measured.ok) return measured
      const currentMa = whole(measured.value[0])
      return ok({
        state,
        limitMa: asleep ? 0 : limit.value,
        ...(currentMa === undefined ? {} : { currentsMa: [currentMa] }),
      })
    },
    async apply(ma) {
      if (ma === 0) {
        const asleep = await sleep()
        return asleep.ok ? ok({ wantedMa: 0, readMa: asleep.value ? 0 : undefined }) : asleep
      }
      const fed = await pulse()
      if (!fed.ok) return fed
      const set = await command('SC', String(ma / UNIT_MA), 'V')
      if (!set.ok) return set
      const limit = await readLimit()
      if (!limit.ok) return limit
      if (limit.value !== ma) return ok({ wantedMa: ma, readMa: limit.value })
      const before = await readState()
      if (!before.ok) return before
      if (!before.value.asleep) return ok({ wantedMa: ma, readMa: ma })
      const told = await command('FE')
      if (!told.ok) return told
      const after = await readState()
      return after.ok ? ok({ wantedMa: ma, readMa: after.value.asleep ? 0 : ma }) : after
    },
    close: rapi.close,
  }
  return ok(createChargingPoint(options, controller, watchdog))
}
