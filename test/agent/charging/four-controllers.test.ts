/** Four controllers of different makes and a fuse's meter on one line of 9,600 baud; two of them measure no current. */
import { createAbbTerra } from '../../../hw/sim/chargers/abb-terra.ts'
import { createAmperfied } from '../../../hw/sim/chargers/amperfied.ts'
import { createEvseWb } from '../../../hw/sim/chargers/evse-wb.ts'
import { createPhoenix } from '../../../hw/sim/chargers/phoenix-evcc.ts'
import { assert, suite } from '../../harness.ts'
import { createSite } from './one-site.ts'

const RATING_MA = 40_000
const HOUSE_MA = 2000
const LEAST_MA = 6000
const STEP_MS = 250
const MAKES = [createEvseWb, createPhoenix, createAmperfied, createAbbTerra] as const
const BOXES = `chargers:
  one: {controller: evse-wb, unit: 11, line: rs485, most: 16A, fuse: connection, power_on: 0A, allow_unsupervised: true}
  two: {controller: phoenix, unit: 12, line: rs485, most: 16A, fuse: connection, power_on: 0A, allow_unsupervised: true}
  three: {controller: amperfied, unit: 13, line: rs485, most: 16A, fuse: connection, power_on: 0A, watchdog: 30s}
  four: {controller: abb-terra, unit: 14, line: rs485, most: 16A, fuse: connection, power_on: 0A, watchdog: 30s}
trade:`
const forty = (config: string) => config.replace('rating: 25A', 'rating: 40A').replace(/chargers:[\s\S]*trade:/, BOXES)

type Site = Awaited<ReturnType<typeof createSite>>

const offered = ({ boxes }: Site) => [...boxes.values()].map(({ station }) => station.offeredMa())
const sum = (all: readonly number[]) => all.reduce((a, b) => a + b, 0)

/** How often a limit changed, and the longest that the meter was silent. */
async function watch(site: Site, forMs: number): Promise<{ changes: number; silentMs: number }> {
  let [changes, silentMs, read] = [0, 0, site.time.clock.mono() as number]
  let before = offered(site)
  for (let ms = 0; ms < forMs; ms += STEP_MS) {
    await site.time.advance(STEP_MS)
    const now = offered(site)
    changes += now.filter((ma, n) => ma !== before[n]).length
    before = now
    const newest = site.agent.metering.latest('grid')?.reading.takenMono ?? read
    read = Math.max(read, newest)
    silentMs = Math.max(silentMs, site.time.clock.mono() - read)
    assert.ok(Math.max(...site.flow()) <= RATING_MA, `${site.flow()} mA through 40 A`)
  }
  return { changes, silentMs }
}

/** A busy machine may take ten times as long. */
const DEADLINE_MS = 120_000
const test = suite('four controllers on one line')

test(
  'chargers that are all told at once do not starve the meter of their fuse',
  async () => {
    const site = await createSite(1, forty, MAKES)
    const { silentMs } = await watch(site, 20_000)
    assert.ok(silentMs < 2500, `no reading for ${silentMs} ms`)
    for (const ma of offered(site)) assert.ok(ma >= LEAST_MA, `${offered(site)} mA`)
    await site.stop()
  },
  DEADLINE_MS,
)

test(
  'each car that comes later starts, and then the limits stand still',
  async () => {
    const site = await createSite(1, forty, MAKES)
    const boxes = [...site.boxes.values()]
    for (const { station } of boxes) station.plug(false)
    await watch(site, 10_000)
    for (const { station } of boxes) {
      station.plug(true)
      await watch(site, 40_000)
      assert.ok(station.offeredMa() >= LEAST_MA, `${offered(site)} mA`)
    }
    const { changes } = await watch(site, 120_000)
    assert.is(changes, 0)
    assert.ok(sum(offered(site)) + HOUSE_MA <= RATING_MA)
    await site.stop()
  },
  DEADLINE_MS,
)

test.run()
