/**
 * Heidelberg Energy Control, Amperfied and their like on Modbus RTU, 19,200 baud 8E1.
 *
 *     I4        layout of its registers, 0x100 for V1.0.0
 *     I5        2, 3 A; 4, 5 B; 6, 7 C; 8 C at a lowered current; 9 E; 10 F (locked or not ready); 11 error
 *     I6..8     current of each phase, 0.1 A
 *     I100,101  most and least that the hardware is set to, A
 *     H257      watchdog in ms, fed by every request; 0 is off. Lost at a restart
 *     H258      4: no standby, in which it would leave the bus
 *     H259      1: not locked
 *     H261      limit, 0.1 A; 0 does not let the car charge
 *     H262      failsafe current, 0.1 A; 0 does not let the car charge
 *
 * Second-hand, not tried on hardware: Heidelberg's register table of 2021-02-22 as cited by evcc's driver, the register
 * list of the Walther basicEVO PRO (the same controller), and my-gekko's device library.
 */
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Charger, PilotState } from '../ports.ts'
import {
  type ChargerOptions,
  type Controller,
  createChargingPoint,
  refuseOptions,
  type Watchdog,
  type WatchdogOptions,
} from './charging-point.ts'
import {
  COMMAND,
  LOOK,
  lookUntil,
  READ_BACK,
  readSpan,
  type Span,
  type StationOptions,
  stranger,
  unknownState,
} from './registers.ts'

const CONTROLLER = 'amperfied'
const STATUS: Span = { table: 'input', address: 4, count: 5, to: 15 }
const HARDWARE: Span = { table: 'input', address: 100, count: 2 }
const SUPERVISION: Span = { table: 'holding', address: 257, count: 3 }
const LIMITS: Span = { table: 'holding', address: 261, count: 2 }
const LIMIT = 261
const FAILSAFE = 262
const NO_STANDBY = 4
const NOT_LOCKED = 1
const UNIT_MA = 100
/** A register holds 16 bits. */
const LONGEST_WATCHDOG_MS = 65_535
/** The maker's own. */
const WATCHDOG_MS = 15_000
const STATES: readonly (PilotState | undefined)[] = [
  undefined,
  undefined,
  ...(['A', 'A', 'B', 'B', 'C', 'C', 'C', 'E', 'F', 'F'] as const),
]

export function openAmperfiedCharger(options: ChargerOptions & StationOptions & WatchdogOptions): Result<Charger> {
  const { name, master, unit, watchdogMs = WATCHDOG_MS, failsafeMa = 0 } = options
  const watchdog: Watchdog = {
    watchdogMs,
    failsafeMa,
    by: 'Modbus watchdog of the wall box',
    longestMs: LONGEST_WATCHDOG_MS,
    stepMa: UNIT_MA,
  }
  const refused = refuseOptions(options, CONTROLLER, watchdog)
  if (refused !== undefined) return fail(refused)

  const write = (address: number, value: number) => master.writeRegister(unit, address, value, COMMAND)

  const controller: Controller = {
    name: CONTROLLER,
    stepMa: () => UNIT_MA,
    async identify(signal) {
      const status = await readSpan(options, STATUS, lookUntil(signal))
      if (!status.ok) return status
      const hardware = await readSpan(options, HARDWARE, lookUntil(signal))
      if (!hardware.ok) return hardware
      const layout = status.value.getUint16(0)
      const who = `layout ${layout.toString(16)}, ${hardware.value.getUint16(2)} to ${hardware.value.getUint16(0)} A`
      return layout >> 8 === 1 ? ok(who) : stranger(name, CONTROLLER, who)
    },
    async supervise(signal) {
      const now = await readSpan(options, SUPERVISION, lookUntil(signal))
      if (!now.ok) return now
      const limits = await readSpan(options, LIMITS, lookUntil(signal))
      if (!limits.ok) return limits
      // The failsafe current before the watchdog that falls back to it.
      const wanted = [
        [FAILSAFE, failsafeMa / UNIT_MA, limits.value.getUint16(2)],
        [257, watchdogMs, now.value.getUint16(0)],
        [258, NO_STANDBY, now.value.getUint16(2)],
        [259, NOT_LOCKED, now.value.getUint16(4)],
      ] as const
      const differing = wanted.filter(([, value, found]) => value !== found)
      for (const [address, value] of differing) {
        const written = await write(address, value)
        if (!written.ok) return written
      }
      if (differing.length === 0) return ok(false)
      const after = await readSpan(options, SUPERVISION, LOOK)
      if (!after.ok) return after
      const failsafe = await readSpan(options, LIMITS, LOOK)
      if (!failsafe.ok) return failsafe
      const read = [after.value.getUint16(0), failsafe.value.getUint16(2) * UNIT_MA] as const
      if (read[0] === watchdogMs && read[1] === failsafeMa) return ok(true)
      return fail({
        code: 'charger.unsupervised',
        charger: name,
        watchdogMs,
        readWatchdogMs: read[0],
        failsafeMa,
        readFailsafeMa: read[1],
      })
    },
    async look(signal) {
      const status = await readSpan(options, STATUS, lookUntil(signal))
      if (!status.ok) return status
      const limits = await readSpan(options, LIMITS, lookUntil(signal))
      if (!limits.ok) return limits
      const raw = status.value.getUint16(2)
      const state = STATES[raw]
      if (state === undefined) return unknownState(name, CONTROLLER, raw)
      const currentsMa = [4, 6, 8].map(at => status.value.getUint16(at) * UNIT_MA)
      return ok({ state, limitMa: limits.value.getUint16(0) * UNIT_MA, currentsMa })
    },
    async apply(ma) {
      const written = await write(LIMIT, ma / UNIT_MA)
      if (!written.ok) return written
      const limits = await readSpan(options, LIMITS, READ_BACK)
      return limits.ok ? ok({ wantedMa: ma, readMa: limits.value.getUint16(0) * UNIT_MA }) : limits
    },
  }
  return ok(createChargingPoint(options, controller, watchdog))
}
