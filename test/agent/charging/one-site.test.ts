/** A whole agent before a meter and three wall boxes behind a fuse of 25 A, judged by what flows and on the simulator's clock. */

import { viewAgent } from '../../../agent/web/agent-view.ts'
import { createCurveRing } from '../../../agent/web/curve-ring.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { assert, suite } from '../../harness.ts'
import { createSite } from './one-site.ts'

const RATING_MA = 25_000
const STEP_MS = 20
/** Two periods of the meter, a look under way, a limit and its read-back, and the car's own 200 ms. */
const REACTION_MS = 2500

type Site = Awaited<ReturnType<typeof createSite>>

const offered = ({ boxes }: Site) => [...boxes.values()].map(({ station }) => station.offeredMa())
const sum = (all: readonly number[]) => all.reduce((a, b) => a + b, 0)

/** How long the fuse was over in one go, at most; and how long until limits were in force that end it. */
async function watch(site: Site, forMs: number): Promise<{ overMs: number; limitMs: number | undefined }> {
  let [overMs, longest, limitMs]: [number, number, number | undefined] = [0, 0, undefined]
  let wasOver = false
  for (let ms = 0; ms < forMs; ms += STEP_MS) {
    await site.time.advance(STEP_MS)
    const over = Math.max(...site.flow()) > RATING_MA && sum(offered(site)) > 0
    overMs = over ? overMs + STEP_MS : 0
    longest = Math.max(longest, overMs)
    wasOver ||= over
    const safe = Math.max(...site.base) + sum(offered(site)) <= RATING_MA || sum(offered(site)) === 0
    if (wasOver && safe) limitMs ??= ms + STEP_MS
    for (const ma of offered(site)) assert.ok(ma === 0 || ma >= 6000, `${ma} mA is no limit`)
  }
  return { overMs: longest, limitMs }
}

const percentile = (all: readonly number[], permille: number) =>
  [...all].sort((a, b) => a - b)[Math.min(all.length - 1, Math.floor((all.length * permille) / 1000))]!

/** A busy machine may take ten times as long. */
const DEADLINE_MS = 120_000
const test = suite('a site with chargers')

test(
  'three cars share a fuse of 25 A, and none of them is taken for a load of the house',
  async () => {
    const site = await createSite(1)
    const { overMs } = await watch(site, 40_000)
    assert.is(overMs, 0)
    const view = viewAgent(site.agent, site.time.clock, createCurveRing(1, 60_000)).site.chargers![0]!
    assert.equal([view.name, view.state, view.toldMa, view.heldMa, view.because], ['one', 'C', 7600, 7600, []])
    // 25 A less the house's 2 A, in three equal parts, in the wall boxes' own steps of 100 mA.
    assert.equal(offered(site), [7600, 7600, 7600])
    await site.stop()
    assert.equal(offered(site), [0, 0, 0])
  },
  DEADLINE_MS,
)

test(
  'when the house takes more, limits that end the overload are in force within the reaction time',
  async () => {
    const random = seededRandom(7)
    const limits: number[] = []
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const site = await createSite(seed)
      await watch(site, 25_000 + Math.floor(random() * 1000))
      const phase = Math.floor(random() * 3)
      site.base[phase]! += 3000 + Math.floor(random() * 16_000)
      const { overMs, limitMs } = await watch(site, 10_000)
      assert.ok(limitMs !== undefined, 'the jump was an overload')
      assert.ok(overMs <= REACTION_MS, `over for ${overMs} ms`)
      limits.push(limitMs!)
      await site.stop()
    }
    process.stdout.write(`overload to limit: p50 ${percentile(limits, 500)} ms, max ${Math.max(...limits)} ms\n`)
  },
  DEADLINE_MS,
)

test(
  'a silent meter brings the cars to the failsafe current, and says so',
  async () => {
    const site = await createSite(1)
    await watch(site, 30_000)
    site.meter.faults.dead = true
    await watch(site, 6000)
    assert.equal(offered(site), [0, 0, 0])
    const raised = site.agent.health.items().find(({ name }) => name === 'fuse.connection')
    assert.is(raised?.fault.code, 'guard.meter')
    await site.stop()
  },
  DEADLINE_MS,
)

test(
  'a wall box out of reach counts with what it may hold; the others make room, and it is named',
  async () => {
    const site = await createSite(1)
    await watch(site, 30_000)
    site.boxes.get(11)!.cut(true)
    const { overMs } = await watch(site, 60_000)
    assert.is(overMs, 0)
    assert.is(site.agent.health.items().find(({ name }) => name === 'charger.one')?.fault.code, 'charger.unreachable')
    // Its own watchdog has struck: 0 A there.
    assert.is(site.boxes.get(11)!.station.offeredMa(), 0)
    await site.stop()
  },
  DEADLINE_MS,
)

test(
  'a wall box that was restarted is told its limit again',
  async () => {
    const site = await createSite(1)
    await watch(site, 30_000)
    site.boxes.get(12)!.restart()
    const { overMs } = await watch(site, 30_000)
    assert.ok(overMs <= REACTION_MS, `over for ${overMs} ms`)
    assert.ok(sum(offered(site)) + 2000 <= RATING_MA)
    await site.stop()
  },
  DEADLINE_MS,
)

test(
  'a call to stand still, and a person, stop what they name',
  async () => {
    const site = await createSite(1)
    await watch(site, 30_000)
    site.agent.charging!.standStill(['two'])
    await watch(site, 5000)
    assert.is(site.boxes.get(12)!.station.offeredMa(), 0)
    assert.ok(sum(offered(site)) > 0)
    site.agent.charging!.setManual(true)
    await watch(site, 5000)
    assert.equal(offered(site), [0, 0, 0])
    await site.stop()
  },
  DEADLINE_MS,
)

test.run()
