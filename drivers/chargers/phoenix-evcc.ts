/**
 * Phoenix Contact EV Charge Control Basic with a serial line (EV-CC-AC1-M3-..-SER) on Modbus RTU. It has no watchdog that is
 * known, and nothing that names it: what is checked is that its state is a letter.
 *
 *     I24000      state: a letter A to F of ASCII in the high byte
 *     H22000      limit in A
 *     coil 20000  lets the car charge; apart from the limit, which stays while it is off
 *
 * Second-hand, not tried on hardware: evcc's driver.
 */
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { CallOptions } from '../modbus/master.ts'
import type { Charger, PilotState } from '../ports.ts'
import {
  type ChargerOptions,
  type Controller,
  createChargingPoint,
  refuseOptions,
  refuseUnsupervised,
} from './charging-point.ts'
import {
  COMMAND,
  lookUntil,
  READ_BACK,
  readSpan,
  type Span,
  type StationOptions,
  stranger,
  unknownState,
} from './registers.ts'

const CONTROLLER = 'phoenix'
const STATE: Span = { table: 'input', address: 24_000, count: 1 }
const LIMIT: Span = { table: 'holding', address: 22_000, count: 1 }
const ENABLE = 20_000
const UNIT_MA = 1000
const STATES: ReadonlySet<string> = new Set(['A', 'B', 'C', 'D', 'E', 'F'])

export function openPhoenixCharger(
  options: ChargerOptions & StationOptions & { readonly allowUnsupervised?: boolean },
): Result<Charger> {
  const { name, master, unit } = options
  const refused = refuseOptions(options, CONTROLLER) ?? refuseUnsupervised(name, CONTROLLER, options.allowUnsupervised)
  if (refused !== undefined) return fail(refused)

  async function readLetter(how: CallOptions): Promise<Result<string>> {
    const state = await readSpan(options, STATE, how)
    return state.ok ? ok(String.fromCharCode(state.value.getUint8(0))) : state
  }

  async function readEnabled(how: CallOptions): Promise<Result<boolean>> {
    const coil = await master.readCoils(unit, ENABLE, 1, how)
    return coil.ok ? ok(coil.value[0]!) : coil
  }

  async function readLimit(how: CallOptions): Promise<Result<number>> {
    const limit = await readSpan(options, LIMIT, how)
    return limit.ok ? ok(limit.value.getUint16(0) * UNIT_MA) : limit
  }

  const controller: Controller = {
    name: CONTROLLER,
    stepMa: () => UNIT_MA,
    async identify(signal) {
      const letter = await readLetter(lookUntil(signal))
      if (!letter.ok) return letter
      return /^[A-Z]$/.test(letter.value)
        ? ok(CONTROLLER)
        : stranger(name, CONTROLLER, `state ${letter.value.charCodeAt(0)}`)
    },
    supervise: async () => ok(false),
    async look(signal) {
      const how = lookUntil(signal)
      const letter = await readLetter(how)
      if (!letter.ok) return letter
      if (!STATES.has(letter.value)) return unknownState(name, CONTROLLER, letter.value)
      const enabled = await readEnabled(how)
      if (!enabled.ok) return enabled
      const limit = await readLimit(how)
      if (!limit.ok) return limit
      return ok({ state: letter.value as PilotState, limitMa: enabled.value ? limit.value : 0 })
    },
    async apply(ma) {
      // The limit stands before the car may charge by it.
      if (ma > 0) {
        const written = await master.writeRegister(unit, LIMIT.address, ma / UNIT_MA, COMMAND)
        if (!written.ok) return written
        const limit = await readLimit(READ_BACK)
        if (!limit.ok) return limit
        if (limit.value !== ma) return ok({ wantedMa: ma, readMa: limit.value })
      }
      const switched = await master.writeCoil(unit, ENABLE, ma > 0, COMMAND)
      if (!switched.ok) return switched
      const enabled = await readEnabled(READ_BACK)
      if (!enabled.ok) return enabled
      return ok({ wantedMa: ma, readMa: enabled.value === ma > 0 ? ma : undefined })
    },
  }
  return ok(createChargingPoint(options, controller))
}
