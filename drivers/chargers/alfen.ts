/**
 * Alfen NG9xx on Modbus TCP. The station answers as unit 200, its sockets as 1 and 2; floats are singles, high word first.
 *
 *     200: H117   maker, five registers of text
 *     200: H157   serial number, eleven registers of text
 *     H320        current of each phase, A, single
 *     H1201       state, five registers of text: A, B1, B2, C1, C2, D1, D2, E, F
 *     H1206       limit that it applies, A, single
 *     H1208       seconds that the written limit is still good for
 *     H1210       limit, A, single; it lapses to the safe current when it is not written anew
 *     H1212       safe current, A, single, as the installer set it
 *     H1214       1 where the written limit counts
 *     H1215       phases, 1 or 3
 *
 * How long a limit is good and what it falls back to is the installer's to set: both are declared by the configuration and
 * compared with what the station says, at every write and every look. Other projects write anew every 25 s, which the 60 s
 * that the station comes with leave room for.
 *
 * Second-hand, not tried on hardware: Alfen's "Implementation of Modbus Slave TCP/IP for Alfen NG9xx platform" 2.3, evcc's
 * driver.
 */
import { decodeNumber, encodeNumber, type NumberFormat } from '../../protocol/modbus/value.ts'
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
  lookUntil,
  READ_BACK,
  readSpan,
  type Span,
  type StationOptions,
  stranger,
  textIn,
  unknownState,
} from './registers.ts'

const CONTROLLER = 'alfen'
const STATION_UNIT = 200
const MAKER: Span = { table: 'holding', address: 117, count: 5 }
const SERIAL: Span = { table: 'holding', address: 157, count: 11 }
const CURRENTS: Span = { table: 'holding', address: 320, count: 6 }
const STATUS: Span = { table: 'holding', address: 1200, count: 16 }
const LIMIT = 1210
const PHASES = 1215
/** In thousandths of an ampere. */
const AMPERES: NumberFormat = { type: 'f32', order: 'high-first', scaler: -3 }
/** What the station comes with. */
const VALID_MS = 60_000
const STATES = /^([A-F])[12]?$/

interface Status {
  readonly text: string | undefined
  readonly appliedMa: number | undefined
  readonly validS: number
  readonly limitMa: number | undefined
  readonly safeMa: number | undefined
  readonly phases: number
}

function amperesAt(view: DataView, register: number): number | undefined {
  const value = decodeNumber(new Uint8Array(view.buffer, view.byteOffset + 2 * register, 4), AMPERES)
  return value === undefined || value < 0n || value > 0xffff_ffffn ? undefined : Number(value)
}

export function openAlfenCharger(
  options: ChargerOptions & StationOptions & WatchdogOptions & { readonly failsafeMa: number },
): Result<Charger> {
  const { name, master, unit, watchdogMs = VALID_MS, failsafeMa } = options
  const watchdog: Watchdog = {
    watchdogMs,
    failsafeMa,
    by: 'validity time of the limit',
    stepMs: 1000,
  }
  const validS = watchdogMs / 1000
  const refused = refuseOptions(options, CONTROLLER, watchdog)
  if (refused !== undefined) return fail(refused)
  const station = { master, unit: STATION_UNIT }

  async function readStatus(how: CallOptions): Promise<Result<Status>> {
    const read = await readSpan(options, STATUS, how)
    if (!read.ok) return read
    const view = read.value
    return ok({
      text: textIn(new DataView(view.buffer, view.byteOffset + 2, 10)),
      appliedMa: amperesAt(view, 6),
      validS: view.getUint32(16),
      limitMa: amperesAt(view, 10),
      safeMa: amperesAt(view, 12),
      phases: view.getUint16(30),
    })
  }

  function unsupervised({ safeMa, validS: readS }: Status) {
    if (safeMa !== undefined && safeMa <= failsafeMa && readS <= validS) return undefined
    return fail({
      code: 'charger.unsupervised',
      charger: name,
      failsafeMa,
      readFailsafeMa: safeMa,
      validS,
      readValidS: readS,
      hint: 'set the safe current and the validity time at the station, or declare them as they are',
    })
  }

  const controller: Controller = {
    name: CONTROLLER,
    stepMa: () => 1,
    async identify(signal) {
      const maker = await readSpan(station, MAKER, lookUntil(signal))
      if (!maker.ok) return maker
      const who = textIn(maker.value) ?? ''
      if (!who.startsWith('Alfen')) return stranger(name, CONTROLLER, who)
      const serial = await readSpan(station, SERIAL, lookUntil(signal))
      if (!serial.ok) return serial
      const text = textIn(serial.value) ?? ''
      return text === '' ? stranger(name, CONTROLLER, text) : ok(text)
    },
    async supervise(signal) {
      const status = await readStatus(lookUntil(signal))
      if (!status.ok) return status
      return unsupervised(status.value) ?? ok(false)
    },
    async look(signal) {
      const status = await readStatus(lookUntil(signal))
      if (!status.ok) return status
      const { text = '', appliedMa, phases } = status.value
      const letter = STATES.exec(text)?.[1]
      if (letter === undefined) return unknownState(name, CONTROLLER, text)
      if (appliedMa === undefined) return fail({ code: 'charger.unreadable', charger: name, register: 1206 })
      const read = await readSpan(options, CURRENTS, lookUntil(signal))
      if (!read.ok) return read
      const currentsMa = [0, 2, 4].map(register => amperesAt(read.value, register))
      return ok({
        state: letter as PilotState,
        limitMa: appliedMa,
        ...(phases === 1 || phases === 3 ? { phases } : {}),
        ...(currentsMa.every(one => one !== undefined) ? { currentsMa } : {}),
      })
    },
    async apply(ma) {
      const bytes = new DataView(encodeNumber(BigInt(ma), AMPERES).buffer)
      const written = await master.writeRegisters(unit, LIMIT, [bytes.getUint16(0), bytes.getUint16(2)], COMMAND)
      if (!written.ok) return written
      const status = await readStatus(READ_BACK)
      if (!status.ok) return status
      // A stop is one, however long it is good for.
      const refusal = ma === 0 ? undefined : unsupervised(status.value)
      return refusal ?? ok({ wantedMa: ma, readMa: status.value.limitMa })
    },
    async switchPhases(phases) {
      const written = await master.writeRegister(unit, PHASES, phases, COMMAND)
      if (!written.ok) return written
      const status = await readStatus(READ_BACK)
      return status.ok ? ok(status.value.phases) : status
    },
  }
  return ok(createChargingPoint(options, controller, watchdog))
}
