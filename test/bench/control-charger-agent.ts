/** The chargers' half of an agent in bench:control, in a process of its own: the real charging loop over the real drivers, and a busy board. */
import { createInterface } from 'node:readline'
import { openChargers } from '../../agent/charging/open-chargers.ts'
import { createCharging } from '../../agent/charging/run.ts'
import type { ChargerConfig } from '../../agent/config/charging-config.ts'
import { systemEntropy } from '../../drivers/crypto/entropy.ts'
import { PAGES } from '../../drivers/meters/catalogue.ts'
import { createModbusMeter } from '../../drivers/meters/modbus-meter.ts'
import { must } from '../../protocol/result.ts'
import { CHARGER_LIMITS } from '../../protocol/safety/charger-hold.ts'
import { openBoard } from './control-board.ts'
import { CHARGER_MA, FIRST_UNIT, FUSE_MA, METER_UNIT, STATIONS } from './control-chargers.ts'

export interface ChargerTask {
  readonly path: string
  readonly data: string
  readonly busy: boolean
}

/** As often as the line allows beside four chargers: half of it is what an overload waits to be seen. */
const METER_MS = 300
const MIN_MS = 500
const CHANNELS = ['currentL1', 'currentL2', 'currentL3', 'power'] as const

const task = JSON.parse(process.argv[2]!) as ChargerTask
const board = await openBoard(task.data)
const { clock, timers, log } = board
const line = await board.masterOn(task.path)
const meter = createModbusMeter({
  ...line,
  ...{ page: PAGES.get('eastron-sdm630')!, unit: METER_UNIT, clock, channels: CHANNELS },
})
const metering = board.metering([{ name: 'fuse', meter, periodMs: METER_MS, staleMs: 5 * METER_MS }])
const all = [FUSE_MA, FUSE_MA, FUSE_MA] as const
const charger = (controller: (typeof STATIONS)[number], n: number): ChargerConfig => ({
  ...{ controller, line: 'chargers', unit: FIRST_UNIT + n, mostMa: CHARGER_MA, conductors: [0, 1, 2] },
  ...{ fuse: 'site', priority: 0, mode: 'full', failsafeMa: 6_000, powerOnMa: 0, allowUnsupervised: false },
})
const opened = must(
  await openChargers(
    { site: { ratingMa: all, meter: 'fuse', othersMa: [0, 0, 0] } },
    Object.fromEntries(STATIONS.map((name, n) => [`${name} ${n + 1}`, charger(name, n)])),
    {
      ...{ clock, timers, log, masterOn: async () => line.master },
      entropy: systemEntropy,
      openBroker: () => Promise.reject(new Error('this bench has no station')),
      lineOf: () => {
        throw new Error('every charger here is on Modbus')
      },
    },
  ),
)
const charging = createCharging({
  ...{ ...opened, gridMeter: 'fuse', watchdogFed: board.watchdogFed, health: () => {}, clock, timers, log },
  // A charger that stands still for five minutes teaches nothing here.
  limits: { ...CHARGER_LIMITS, minOffMs: MIN_MS, minOnMs: MIN_MS },
})
metering.onReading(charging.onReading)
must(metering.start(1))
const load = task.busy ? await board.load() : undefined

process.stdout.write(`${JSON.stringify({ page: load?.pageUrl, pid: process.pid })}\n`)
for await (const asked of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(asked === 'views' ? charging.views() : 0)}\n`)
}
await charging.stop()
await load?.stop()
await metering.stop()
await board.close()
process.exit(0)
