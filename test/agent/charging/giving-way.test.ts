/** Looks give way to lower limits on a line that wall boxes share with their fuse's meter: judged by the requests on the wire. */
import { createDrive } from '../../../agent/charging/drive.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { fail } from '../../../protocol/result.ts'
import { acknowledged, CHARGER_LIMITS, sent, unknownHold } from '../../../protocol/safety/charger-hold.ts'
import { AMPERFIED, inMemory } from '../../drivers/chargers/bench.ts'
import { assert, suite } from '../../harness.ts'
import { createLine, RATING_MA } from './one-line.ts'

type Line = Awaited<ReturnType<typeof createLine>>

const CALM_MA = 2_000
const OVEN_MA = 14_000
const STEP_MS = 20
/** A busy machine may take ten times as long. */
const DEADLINE_MS = 120_000

async function until(line: Line, holds: () => boolean): Promise<void> {
  for (let ms = 0; !holds(); ms += STEP_MS) {
    assert.ok(ms < 60_000, JSON.stringify(line.charging.views()))
    await line.advance(STEP_MS)
  }
}

/** What else left between the moment in which limits were lowered and the last of them, over so many overloads. */
async function overloads(line: Line, count: number): Promise<number> {
  const random = seededRandom(1)
  let between = 0
  for (let n = 0; n < count; n++) {
    line.house(CALM_MA)
    await until(line, () => line.offeredMa() + CALM_MA >= RATING_MA - 1_000)
    // Limits have come to rest.
    await line.advance(Math.round(12_000 + random() * 1_000))
    const [before, written] = [line.told.length, line.sent.length]
    line.house(OVEN_MA)
    await until(line, () => line.offeredMa() + OVEN_MA <= RATING_MA)
    const since = line.told[before]!.at
    const lowered = line.told.slice(before).filter(({ at }) => at === since).length
    const sent = line.sent.slice(written).filter(({ at }) => at >= since)
    const last = sent.map(({ limit }, at) => (limit ? at : -1)).filter(at => at >= 0)[lowered - 1]!
    between += last + 1 - lowered
  }
  return between
}

const test = suite('looks give way')

test(
  'limits that are lowered together go one after the other, with no request of a look or a meter between them',
  async () => {
    const line = await createLine()
    assert.is(await overloads(line, 12), 0)
    assert.ok(line.gaveWay.length >= 6, `${line.gaveWay.length} looks gave way`)
  },
  DEADLINE_MS,
)

test(
  'without giving way the rest of a look goes before its charger’s limit',
  async () => {
    const line = await createLine({ givesWay: false })
    const between = await overloads(line, 12)
    assert.ok(between >= 12, `${between} requests`)
    assert.is(line.gaveWay.length, 0)
  },
  DEADLINE_MS,
)

test('limits that fall all the time keep nobody from being looked at', async () => {
  const { charger, clock, timers, pass } = await inMemory(AMPERFIED)
  const { name, mostMa, stepMa } = charger
  const traits = { name, mostMa, stepMa, fuse: 'site', conductors: [0, 1, 2] as const, failsafeMa: 6_000, powerOnMa: 0 }
  const all = { ...traits, silenceMs: 20_000 }
  let hold = unknownHold(all, clock.mono())
  let [ma, gaveWay, oldestMs] = [0, 0, 0]
  const status = async () => {
    const seen = await charger.status()
    if (!seen.ok && seen.fault.code === 'charger.gave-way') gaveWay++
    return seen
  }
  const tend = () => drive.tend({ ma, switchTo: undefined, because: [] })
  const drive = createDrive({
    ...{ charger: { ...charger, status }, traits: all, limits: CHARGER_LIMITS, looks: { busy: false }, clock, timers },
    ...{ hold: () => hold, onAnswer: tend, log: () => {} },
    change: change => {
      hold = change(hold)
    },
  })
  for (let ms = 0; ms < 3_000; ms += STEP_MS) {
    tend()
    await pass(STEP_MS)
  }
  for (ma = mostMa; ma > 6_000; ma -= stepMa) {
    for (let ms = 0; ms < 100; ms += STEP_MS) {
      tend()
      await pass(STEP_MS)
      oldestMs = Math.max(oldestMs, clock.mono() - hold.look!.begun)
    }
    assert.equal([hold.reach, drive.fault()], ['heard', undefined])
  }
  assert.ok(gaveWay >= 10, `${gaveWay} looks gave way`)
  assert.ok(oldestMs < CHARGER_LIMITS.reachMs, `a look is ${oldestMs} ms old`)
})

test('a charger that answers a limit by a higher one counts with that', async () => {
  const { charger, clock, timers, pass } = await inMemory(AMPERFIED)
  const { name, mostMa, stepMa } = charger
  const traits = { name, mostMa, stepMa, fuse: 'site', conductors: [0, 1, 2] as const, failsafeMa: 6_000, powerOnMa: 0 }
  const all = { ...traits, silenceMs: 20_000 }
  let hold = acknowledged(sent(unknownHold(all, clock.mono()), 0, CHARGER_LIMITS, clock.mono()), 0, clock.mono())
  hold = { ...hold, ceilingMa: 0 }
  // A unit that was switched: 100 times as much, as far as it can.
  const setLimit = async (ma: number) =>
    fail({ code: 'charger.not-taken', charger: name, wantedMa: ma, readMa: 100 * ma })
  const drive = createDrive({
    ...{
      charger: { ...charger, setLimit },
      traits: all,
      limits: CHARGER_LIMITS,
      looks: { busy: false },
      clock,
      timers,
    },
    ...{ hold: () => hold, onAnswer: () => {}, log: () => {} },
    change: change => {
      hold = change(hold)
    },
  })
  drive.tend({ ma: 8_000, switchTo: undefined, because: [] })
  await pass(STEP_MS)
  assert.equal([hold.ceilingMa, hold.takenAt], [mostMa, undefined])
})

test.run()
