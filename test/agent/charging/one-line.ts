/** The real charging loop and the real drivers in virtual time: a fuse's meter and four wall boxes on one RS-485 line of 9,600 baud. */
import { createCharging } from '../../../agent/charging/run.ts'
import type { ChargerSpec } from '../../../agent/charging/state.ts'
import { openAbbTerraCharger } from '../../../drivers/chargers/abb-terra.ts'
import { openAmperfiedCharger } from '../../../drivers/chargers/amperfied.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { createModbusMeter } from '../../../drivers/meters/modbus-meter.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import type { Charger } from '../../../drivers/ports.ts'
import { createAbbTerra } from '../../../hw/sim/chargers/abb-terra.ts'
import { createAmperfied } from '../../../hw/sim/chargers/amperfied.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { createPageBank, inventSerial } from '../../../hw/sim/page-bank.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { CHARGER_LIMITS } from '../../../protocol/safety/charger-hold.ts'

export const RATING_MA = 40_000
const MOST_MA = 16_000
const METER_UNIT = 1
const FIRST_UNIT = 10
const METER_MS = 300
const CHARACTER_MS = 10_000 / 9600
const WATCHDOG_MS = 30_000
const MAKES = ['amperfied', 'abb-terra', 'amperfied', 'abb-terra'] as const
/** Limits of both kinds: one register at 261, two at 4100h. */
const isLimit = (frame: Uint8Array): boolean => frame[1] === 6 || (frame[1] === 16 && frame[2] === 0x41)

/** One request as it left, and whether it writes a limit. */
export interface Sent {
  readonly at: number
  readonly unit: number
  readonly limit: boolean
}

/** `refreshMs`: how old what the meter shows may be. */
export async function createLine({ givesWay = true, refreshMs = 0 } = {}) {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const parts = { clock, timers, bootMa: 0, carMa: MOST_MA, reactionMs: 500 }
  const boxes = MAKES.map((make, n) => {
    const options = { ...parts, unit: FIRST_UNIT + n }
    return make === 'amperfied' ? createAmperfied(options) : createAbbTerra(options)
  })
  let houseMa = 2_000
  const flowMa = () => houseMa + boxes.reduce((ma, { station }) => ma + station.drawnMa(), 0)
  const page = PAGES.get('eastron-sdm630')!
  let shown = { currentMa: 0, at: Number.NEGATIVE_INFINITY }
  const measure = () => {
    const at = clock.mono()
    if (at - shown.at >= refreshMs) shown = { currentMa: flowMa(), at }
    const { currentMa } = shown
    const phase = { voltageMv: 230_000, currentMa, powerMw: 230 * currentMa }
    const counted = { imported: 1_000_000n, exported: 0n }
    return { ...phase, phases: [phase, phase, phase] as const, frequencyMhz: 50_000, ...counted }
  }
  const meterBank = must(createPageBank({ page, serial: inventSerial(page, 1), measure }))
  const units = new Map([[METER_UNIT, createUnit(meterBank)], ...boxes.flatMap(box => [...box.units])])
  const wire = createMemoryLine({ name: 'rs485', characterMs: CHARACTER_MS, clock, timers })
  serveModbus(wire.device, units, {
    ...{ framing: 'rtu', characterMs: 0, turnaroundMs: 15, clock, timers, random: seededRandom(1) },
  })
  const sent: Sent[] = []
  const write = (frame: Uint8Array) => {
    sent.push({ at: clock.mono(), unit: frame[0]!, limit: isLimit(frame) })
    return wire.port.write(frame)
  }
  const master = createModbusMaster({ line: { ...wire.port, write }, clock, timers, framing: 'rtu' })
  must(await master.open())

  const gaveWay: number[] = []
  const chargers = MAKES.map((make, n): Charger => {
    const name = `${make} ${n}`
    const options = { name, mostMa: MOST_MA, master, unit: FIRST_UNIT + n, clock, givesWay, watchdogMs: WATCHDOG_MS }
    const charger = must(make === 'amperfied' ? openAmperfiedCharger(options) : openAbbTerraCharger(options))
    const status = async () => {
      const seen = await charger.status()
      if (!seen.ok && seen.fault.code === 'charger.gave-way') gaveWay.push(clock.mono())
      return seen
    }
    return { ...charger, status }
  })
  const site = {
    fuses: new Map([
      [
        'site',
        {
          ...{ name: 'site', under: undefined, metered: true },
          ...{ ratingMa: [RATING_MA, RATING_MA, RATING_MA] as const, othersMa: [0, 0, 0] as const },
        },
      ],
    ]),
    chargers: chargers.map(({ name, mostMa, stepMa }): ChargerSpec => {
      const silenceMs = WATCHDOG_MS + 5_000
      const traits = { name, fuse: 'site', conductors: [0, 1, 2] as const, mostMa, stepMa, failsafeMa: 0, powerOnMa: 0 }
      return { traits: { ...traits, silenceMs }, priority: 0, mode: 'full', switchesPhases: false, line: 'rs485' }
    }),
  }
  /** Each limit told, and when. */
  const told: { readonly at: number; readonly text: string }[] = []
  const charging = createCharging({
    ...{
      site,
      chargers: new Map(chargers.map(charger => [charger.name, charger])),
      meters: new Map([['site', 'fuse']]),
    },
    ...{ gridMeter: 'fuse', watchdogFed: () => clock.mono(), health: () => {}, clock, timers },
    limits: { ...CHARGER_LIMITS, minOffMs: 500, minOnMs: 500 },
    log: (level, _, text) => {
      if (level === 'info') told.push({ at: clock.mono(), text })
    },
  })
  const channels = ['currentL1', 'currentL2', 'currentL3', 'power'] as const
  const meter = createModbusMeter({ master, characterMs: CHARACTER_MS, page, unit: METER_UNIT, clock, channels })
  let reading = false
  timers.every(METER_MS, () => {
    if (reading) return
    reading = true
    void meter.read().then(read => {
      reading = false
      if (read.ok) charging.onReading('fuse', read.value)
    })
  })
  return {
    ...{ charging, boxes, clock, advance, sent, told, gaveWay },
    house: (ma: number) => {
      houseMa = ma
    },
    offeredMa: () => boxes.reduce((ma, { station }) => ma + station.offeredMa(), 0),
  }
}
