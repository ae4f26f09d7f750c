/** An overload that comes while limits are changing: how soon limits fit, in virtual time, on one line of 9,600 baud. */
import { seededRandom } from '../../../hw/sim/random.ts'
import { assert, suite } from '../../harness.ts'
import { createLine, RATING_MA } from './one-line.ts'

type Line = Awaited<ReturnType<typeof createLine>>

const [CALM_MA, KETTLE_MA, OVEN_MA] = [2_000, 6_000, 14_000]
/** The design's p99; one in twenty comes while cars rise or fall, and may need one reading more. */
const SOON_MS = 1_000
const READING_MS = 300
const LEAST_MA = 6_000
const STEP_MS = 10
/** A busy machine may take ten times as long. */
const DEADLINE_MS = 120_000

async function until(line: Line, holds: () => boolean): Promise<number> {
  const from = line.clock.mono()
  while (!holds()) {
    assert.ok(line.clock.mono() - from < 60_000, JSON.stringify(line.charging.views()))
    await line.advance(STEP_MS)
  }
  return line.clock.mono() - from
}

const isShared = (line: Line) => line.offeredMa() + CALM_MA >= RATING_MA - 1_000

/** How long until limits fit what the house takes. */
function fits(line: Line, houseMa: number): Promise<number> {
  line.house(houseMa)
  return until(line, () => line.offeredMa() + houseMa <= RATING_MA)
}

/** The second load comes up to 1.5 s after limits fit the first. */
async function inTwoSteps(line: Line, count: number): Promise<number[]> {
  const random = seededRandom(1)
  const taken: number[] = []
  for (let n = 0; n < count; n++) {
    line.house(CALM_MA)
    await until(line, () => isShared(line))
    await line.advance(Math.round(10_000 + random() * 1_000))
    await fits(line, KETTLE_MA)
    await line.advance(Math.round(random() * 1_500))
    taken.push(await fits(line, OVEN_MA))
    await line.advance(5_000)
    for (const { station } of line.boxes) assert.ok(station.offeredMa() >= LEAST_MA, `${station.offeredMa()} mA`)
  }
  return taken
}

const test = suite('overload while limits change')

test(
  'a second load soon after limits were lowered for a first is not taken for what cars drew before',
  async () => {
    const taken = await inTwoSteps(await createLine(), 20)
    assert.ok(taken.filter(ms => ms > SOON_MS).length <= 1, `${taken} ms`)
    assert.ok(Math.max(...taken) <= SOON_MS + READING_MS, `${taken} ms`)
  },
  DEADLINE_MS,
)

test(
  'nor is one soon after the first limits of all',
  async () => {
    for (let n = 0; n < 10; n++) {
      const line = await createLine()
      await until(line, () => isShared(line))
      await line.advance(700 + 100 * n)
      const ms = await fits(line, OVEN_MA)
      assert.ok(ms <= SOON_MS, `${ms} ms`)
    }
  },
  DEADLINE_MS,
)

test(
  'a meter that shows each second’s start keeps the first a second longer, and no car is stopped for what it shows late',
  async () => {
    const taken = await inTwoSteps(await createLine({ refreshMs: 1_000 }), 20)
    assert.ok(Math.max(...taken) <= SOON_MS + 1_000, `${taken} ms`)
  },
  DEADLINE_MS,
)

test.run()
