/**
 * EVSE-WB and EVSE-DIN (SimpleEVSE) on Modbus RTU, 9,600 baud 8N1. It has no watchdog.
 *
 *     H1000  limit, in A, or where bit 7 of H2005 is set in 0.01 A; 0 does not let the car charge
 *     H1002  1 ready (A), 2 car (B), 3 charging (C), 4 charging with ventilation (D), 5 failure
 *     H1005  firmware version
 *     H2005  settings; the bit can be turned over at run time, so that it is read around every write and every look
 *
 * A unit that is turned over between its reading and the write leaves the car what the hardware allows until the limit is
 * written again, a few exchanges later.
 *
 * Second-hand, not tried on hardware: EV Power's data sheet "EVSE Wallbox, DIN, W16", evcc's driver, and register notes of
 * openWB's users.
 */
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { CallOptions } from '../modbus/master.ts'
import type { Charger, PilotState } from '../ports.ts'
import {
  type Applied,
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

const CONTROLLER = 'evse-wb'
/** Its registers, which can all be read at once. */
const STATUS = { table: 'holding', from: 1000, to: 1007 } as const
const SETTINGS: Span = { table: 'holding', address: 2005, count: 1, from: 2000, to: 2007 }
const LIMIT = 1000
const HUNDREDTHS = 0x80
const STATES: readonly (PilotState | undefined)[] = [undefined, 'A', 'B', 'C', 'D', 'F']
/** A unit that is turned over so often in a row is not trusted. */
const UNIT_TRIES = 2

export function openEvseWbCharger(
  options: ChargerOptions & StationOptions & { readonly allowUnsupervised?: boolean },
): Result<Charger> {
  const { name, master, unit } = options
  const refused = refuseOptions(options, CONTROLLER) ?? refuseUnsupervised(name, CONTROLLER, options.allowUnsupervised)
  if (refused !== undefined) return fail(refused)
  let unitMa = 1000

  async function readUnit(how: CallOptions): Promise<Result<number>> {
    const settings = await readSpan(options, SETTINGS, how)
    if (!settings.ok) return settings
    unitMa = (settings.value.getUint16(0) & HUNDREDTHS) === 0 ? 1000 : 10
    return ok(unitMa)
  }

  /** What `work` found while the unit was the same before it and after it. */
  async function inOneUnit<T>(how: CallOptions, work: (unitMa: number) => Promise<Result<T>>): Promise<Result<T>> {
    for (let tried = 0; tried < UNIT_TRIES; tried++) {
      const before = await readUnit(how)
      if (!before.ok) return before
      const found = await work(before.value)
      const after = await readUnit(how)
      if (!after.ok) return after
      if (before.value === after.value) return found
    }
    // 0 is 0 in either unit.
    await master.writeRegisters(unit, LIMIT, [0], COMMAND)
    return fail({
      code: 'charger.unit',
      charger: name,
      hint: 'the unit of its limit (H2005 bit 7) does not stand still',
    })
  }

  const controller: Controller = {
    name: CONTROLLER,
    stepMa: () => unitMa,
    async identify(signal) {
      const firmware = await readSpan(options, { ...STATUS, address: 1005, count: 1 }, lookUntil(signal))
      if (!firmware.ok) return firmware
      const version = firmware.value.getUint16(0)
      return version > 0 && version <= 0xff
        ? ok(`firmware ${version}`)
        : stranger(name, CONTROLLER, `firmware ${version}`)
    },
    async supervise(signal) {
      const known = await readUnit(lookUntil(signal))
      return known.ok ? ok(false) : known
    },
    look: signal =>
      inOneUnit(lookUntil(signal), async unitNow => {
        const status = await readSpan(options, { ...STATUS, address: LIMIT, count: 3 }, lookUntil(signal))
        if (!status.ok) return status
        const raw = status.value.getUint16(4)
        const state = STATES[raw]
        if (state === undefined) return unknownState(name, CONTROLLER, raw)
        return ok({ state, limitMa: status.value.getUint16(0) * unitNow })
      }),
    apply: ma =>
      inOneUnit<Applied>(READ_BACK, async unitNow => {
        const raw = Math.floor(ma / unitNow)
        const written = await master.writeRegisters(unit, LIMIT, [raw], COMMAND)
        if (!written.ok) return written
        const read = await readSpan(options, { ...STATUS, address: LIMIT, count: 1 }, READ_BACK)
        if (!read.ok) return read
        return ok({ wantedMa: raw * unitNow, readMa: read.value.getUint16(0) * unitNow })
      }),
  }
  return ok(createChargingPoint(options, controller))
}
