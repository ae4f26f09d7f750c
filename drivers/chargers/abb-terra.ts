/**
 * ABB Terra AC wall box on Modbus RTU or TCP. All numbers of two registers, high word first.
 *
 *     H4000h  serial number, four registers
 *     H4008h  error code
 *     H400Ah  socket: 101h and more has a plug in the car
 *     H400Ch  state in bits 8 to 14: 0 A, 1 and 2 B, 3 and 4 C, 5 session stopped; bit 0: out of service
 *     H400Eh  limit, mA
 *     H4010h  current of each phase, mA
 *     H4020h  watchdog in s, fed by every request, and
 *     H4106h  where it is written: when it runs out, the session is stopped
 *     H4100h  where the limit is written, mA; below 6 A it pauses
 *
 * H4105h (start and stop) is left alone: after a stop only the maker's app lets a car charge again. The register list
 * advises polling every 30 s to 90 s.
 *
 * Second-hand, not tried on hardware: ABB's "Terra AC Modbus Communication" 1.7 as others cite it, evcc's driver, and the
 * notes of GrugBus.
 */
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { CallOptions } from '../modbus/master.ts'
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

const CONTROLLER = 'abb-terra'
const SERIAL: Span = { table: 'holding', address: 0x4000, count: 4 }
/** Error, socket, state, limit and currents; what stands after them may be read as well. */
const STATUS: Span = { table: 'holding', address: 0x4008, count: 14, to: 0x4020 }
const LIMIT: Span = { table: 'holding', address: 0x400e, count: 2, to: 0x401a }
const WATCHDOG: Span = { table: 'holding', address: 0x4020, count: 1 }
const SET_LIMIT = 0x4100
const SET_WATCHDOG = 0x4106
const CAR_PLUGGED = 0x101
const STOPPED = 5
const STATES: readonly PilotState[] = ['A', 'B', 'B', 'C', 'C']
/** What the register list advises as the time between two polls. */
const WATCHDOG_MS = 30_000
/** The register holds 16 bits of seconds. */
const LONGEST_WATCHDOG_MS = 65_535_000

export function openAbbTerraCharger(
  options: ChargerOptions & StationOptions & Pick<WatchdogOptions, 'watchdogMs'>,
): Result<Charger> {
  const { name, master, unit, watchdogMs = WATCHDOG_MS } = options
  const watchdog: Watchdog = {
    watchdogMs,
    failsafeMa: 0,
    by: 'communication timeout of the wall box, which stops the session',
    stepMs: 1000,
    longestMs: LONGEST_WATCHDOG_MS,
  }
  const refused = refuseOptions(options, CONTROLLER, watchdog)
  if (refused !== undefined) return fail(refused)
  const watchdogS = watchdogMs / 1000

  const readWatchdog = async (how: CallOptions): Promise<Result<number>> => {
    const seconds = await readSpan(options, WATCHDOG, how)
    return seconds.ok ? ok(seconds.value.getUint16(0)) : seconds
  }

  function stateOf(status: DataView): Result<PilotState> {
    const word = status.getUint32(8)
    if ((word & 1) === 1 || status.getUint32(0) !== 0) return ok('F')
    const raw = (word >> 8) & 0x7f
    if (raw === STOPPED) return ok(status.getUint32(4) >= CAR_PLUGGED ? 'B' : 'A')
    const state = STATES[raw]
    return state === undefined ? unknownState(name, CONTROLLER, raw) : ok(state)
  }

  const controller: Controller = {
    name: CONTROLLER,
    stepMa: () => 1,
    async identify(signal) {
      const serial = await readSpan(options, SERIAL, lookUntil(signal))
      if (!serial.ok) return serial
      const text = serial.value.getBigUint64(0).toString(16).padStart(16, '0')
      return /^0*$|^f*$/.test(text) ? stranger(name, CONTROLLER, text) : ok(text)
    },
    async supervise(signal) {
      const before = await readWatchdog(lookUntil(signal))
      if (!before.ok || before.value === watchdogS) return before.ok ? ok(false) : before
      const written = await master.writeRegister(unit, SET_WATCHDOG, watchdogS, COMMAND)
      if (!written.ok) return written
      const after = await readWatchdog(LOOK)
      if (!after.ok) return after
      return after.value === watchdogS
        ? ok(true)
        : fail({ code: 'charger.unsupervised', charger: name, watchdogS, readWatchdogS: after.value })
    },
    async look(signal) {
      const status = await readSpan(options, STATUS, lookUntil(signal))
      if (!status.ok) return status
      const state = stateOf(status.value)
      if (!state.ok) return state
      const currentsMa = [16, 20, 24].map(at => status.value.getUint32(at))
      return ok({ state: state.value, limitMa: status.value.getUint32(12), currentsMa })
    },
    async apply(ma) {
      const written = await master.writeRegisters(unit, SET_LIMIT, [ma >>> 16, ma & 0xffff], COMMAND)
      if (!written.ok) return written
      const limit = await readSpan(options, LIMIT, READ_BACK)
      return limit.ok ? ok({ wantedMa: ma, readMa: limit.value.getUint32(0) }) : limit
    },
  }
  return ok(createChargingPoint(options, controller, watchdog))
}
