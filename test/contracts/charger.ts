/** What every Charger must do, whatever controls it. Judged at the simulated pilot and the car, not by what the driver says. */
import type { Charger, ChargerStatus, Clock, PilotState } from '../../drivers/ports.ts'
import type { SimCharger } from '../../hw/sim/chargers/station.ts'
import { faultLine, type Result } from '../../protocol/result.ts'
import { assert, type Suite } from '../harness.ts'

export interface ChargerUnderTest {
  readonly charger: Charger
  readonly sim: SimCharger
  /** That of the simulated controller. */
  readonly clock: Clock
  /** Writes to the line so far. */
  sent(): number
  /** Runs this while the write is made that is so many from now. */
  atWrite(count: number, run: () => void): void
  /** Lets this many milliseconds of the clock pass. */
  pass(ms: number): Promise<void>
  end(): Promise<void>
}

export interface ChargerFacts {
  /** States that this controller can name. */
  readonly states: readonly PilotState[]
  readonly stepMa: number
  readonly mostMa: number
  /** What the station lets a car have after power-on. */
  readonly bootMa: number
}

/** How long one call may take on a sound wire, and on one that is cut. */
const ANSWER_MS = 3_000
const CUT_ANSWER_MS = 20_000
/** The car of the simulator follows its pilot within this. */
const CAR_MS = 5_000
/** Long enough for a bus master to be sure that no old answer is still on its way. */
const CALM_MS = 30_000

/** Shorter than any exchange on a wire. */
export const STEP_MS = 5

/** Waits for an answer while the clock under test passes. */
export async function settled<T>(under: ChargerUnderTest, work: Promise<T>, withinMs = ANSWER_MS): Promise<T> {
  let answer: { readonly value: T } | undefined
  void work.then(value => {
    answer = { value }
  })
  const until = under.clock.mono() + withinMs
  await under.pass(0)
  while (answer === undefined && under.clock.mono() < until) await under.pass(STEP_MS)
  if (answer === undefined) throw new Error(`no answer within ${withinMs} ms`)
  return answer.value
}

export function good<T>(result: Result<T>): T {
  if (result.ok) return result.value
  throw new Error(faultLine(result.fault))
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

/** `brief` leaves out what takes minutes of looking: on a device that is real time. `plain` makes a charger whose looks do not give way. */
export function chargerCases(
  t: Suite,
  name: string,
  facts: ChargerFacts,
  make: () => Promise<ChargerUnderTest>,
  brief = false,
  plain?: () => Promise<ChargerUnderTest>,
): void {
  const { states, stepMa, mostMa, bootMa } = facts
  const test = (title: string, body: (under: ChargerUnderTest) => Promise<void>) =>
    t(
      `${name}: ${title}`,
      async () => {
        const under = await make()
        try {
          await body(under)
        } finally {
          await under.end()
        }
      },
      120_000,
    )

  const set = async (under: ChargerUnderTest, ma: number): Promise<number> =>
    good(await settled(under, under.charger.setLimit(ma)))
  const look = async (under: ChargerUnderTest): Promise<ChargerStatus> =>
    good(await settled(under, under.charger.status()))

  test('making a charger sends nothing and starts nothing', async under => {
    await under.pass(100)
    assert.equal([under.sent(), under.sim.station.offeredMa()], [0, 0])
    assert.is((await look(under)).limitMa, 0)
    assert.is(under.sim.station.offeredMa(), 0)
  })

  test('a limit is what the pilot offers, what is acknowledged and what is read back', async under => {
    for (const ma of [6_000, mostMa, 10_000, 0, 8_000]) {
      assert.is(await set(under, ma), ma)
      assert.is(under.sim.station.offeredMa(), ma)
      assert.is((await look(under)).limitMa, ma)
    }
    await under.pass(CAR_MS)
    assert.is(under.sim.station.drawnMa(), 8_000)
    const { currentsMa } = await look(under)
    if (currentsMa !== undefined) assert.ok(currentsMa.every(one => Math.abs(one - 8_000) <= 100))
  })

  test('between 0 and 6 A, above the wiring, below 0 and no number are refused and nothing is sent', async under => {
    await set(under, 6_000)
    const before = under.sent()
    for (const ma of [1, 5_999, mostMa + 1, -1, -6_000, Number.NaN, Number.POSITIVE_INFINITY])
      assert.is(codeOf(await settled(under, under.charger.setLimit(ma))), 'charger.limit', String(ma))
    assert.equal([under.sent(), under.sim.station.offeredMa()], [before, 6_000])
  })

  test('a limit between two steps is rounded down', async under => {
    const between = 7_000 + stepMa - 0.5
    assert.is(await set(under, between), 7_000)
    assert.equal([under.sim.station.offeredMa(), under.charger.stepMa], [7_000, stepMa])
  })

  test('a limit that is renewed within half of its time is kept', async under => {
    const silence = under.charger.onAgentSilence
    const half = silence.kind === 'falls-back' ? Math.floor(silence.withinMs / 2) : 10_000
    for (let n = 0; n < 6; n++) {
      const began = under.clock.mono()
      await set(under, 10_000)
      await under.pass(half - (under.clock.mono() - began))
      assert.is(under.sim.station.offeredMa(), 10_000)
    }
    assert.is(under.sim.station.drawnMa(), 10_000)
  })

  test('silence does what is declared', async under => {
    const silence = under.charger.onAgentSilence
    await set(under, 10_000)
    await under.pass(CAR_MS)
    assert.is(under.sim.station.drawnMa(), 10_000)
    await under.pass(silence.kind === 'falls-back' ? silence.withinMs - CAR_MS : 600_000)
    if (silence.kind === 'falls-back') await under.pass(CAR_MS)
    const expected = silence.kind === 'falls-back' ? silence.toMa : 10_000
    assert.equal([under.sim.station.offeredMa(), under.sim.station.drawnMa()], [expected, expected])
  })

  test('after a silence a look brings no old limit back, and a new one is taken', async under => {
    const silence = under.charger.onAgentSilence
    if (silence.kind === 'keeps') return
    await set(under, 10_000)
    await under.pass(2 * silence.withinMs)
    const { limitMa = 0 } = await look(under)
    assert.ok(limitMa <= silence.toMa && under.sim.station.offeredMa() <= silence.toMa, String(limitMa))
    assert.is(await set(under, 9_000), 9_000)
    assert.is(under.sim.station.offeredMa(), 9_000)
  })

  if (!brief)
    test('looks alone do not keep a limit that nobody renews', async under => {
      const silence = under.charger.onAgentSilence
      if (silence.kind === 'keeps') return
      await set(under, 10_000)
      const until = under.clock.mono() + silence.withinMs
      while (under.clock.mono() < until) {
        await look(under)
        await under.pass(1_000)
      }
      assert.ok(under.sim.station.offeredMa() <= silence.toMa)
    })

  test('each state that the controller can name is told, and one that it cannot is a fault', async under => {
    for (const state of states) {
      under.sim.station.show(state)
      assert.is((await look(under)).state, state)
    }
    under.sim.station.show('unknown')
    assert.is(codeOf(await settled(under, under.charger.status())), 'charger.state')
  })

  test('a car that comes and goes is seen', async under => {
    under.sim.station.plug(false)
    assert.is((await look(under)).state, 'A')
    under.sim.station.plug(true)
    assert.is((await look(under)).state, 'B')
    await set(under, 6_000)
    assert.is((await look(under)).state, 'C')
  })

  test('a limit that reads back otherwise is not taken', async under => {
    await set(under, 6_000)
    under.sim.stubborn(true)
    assert.is(codeOf(await settled(under, under.charger.setLimit(8_000))), 'charger.not-taken')
    assert.is(codeOf(await settled(under, under.charger.setLimit(0))), 'charger.not-taken')
    under.sim.stubborn(false)
    assert.is(await set(under, 0), 0)
    assert.is(under.sim.station.offeredMa(), 0)
  })

  test('a controller that is cut off is a fault, and works when it is back', async under => {
    await set(under, 6_000)
    under.sim.cut(true)
    assert.not.ok((await settled(under, under.charger.setLimit(8_000), CUT_ANSWER_MS)).ok)
    assert.not.ok((await settled(under, under.charger.status(), CUT_ANSWER_MS)).ok)
    under.sim.cut(false)
    await under.pass(CALM_MS)
    assert.is(await set(under, 8_000), 8_000)
    assert.equal([(await look(under)).limitMa, under.sim.station.offeredMa()], [8_000, 8_000])
  })

  test('a restart in the middle of a session is noticed: limit and supervision are set again', async under => {
    const silence = under.charger.onAgentSilence
    await set(under, 8_000)
    under.sim.restart()
    assert.is(under.sim.station.offeredMa(), bootMa)
    const { limitMa = bootMa } = await look(under)
    assert.ok(limitMa <= 8_000 && under.sim.station.offeredMa() <= 8_000, String(limitMa))
    if (silence.kind === 'keeps') return
    await set(under, 8_000)
    await under.pass(silence.withinMs)
    assert.is(under.sim.station.offeredMa(), silence.toMa)
  })

  test('what was never told a limit is not found above the wiring for long', async under => {
    await look(under)
    under.sim.restart()
    await look(under)
    assert.ok(under.sim.station.offeredMa() <= mostMa)
  })

  test('another controller that answers in its place is a fault, and is told no limit', async under => {
    await set(under, 6_000)
    under.sim.swap()
    assert.is(codeOf(await settled(under, under.charger.status())), 'charger.identity')
    assert.is(codeOf(await settled(under, under.charger.setLimit(8_000))), 'charger.identity')
    assert.is(under.sim.station.offeredMa(), 6_000)
  })

  test('commands of one turn are carried out in their order', async under => {
    const both = Promise.all([under.charger.setLimit(mostMa), under.charger.setLimit(0)])
    assert.ok((await settled(under, both, 2 * ANSWER_MS)).every(result => result.ok))
    assert.is(under.sim.station.offeredMa(), 0)
  })

  /** A look, and after so many of its requests a limit: what is sent until the limit stands, and what both answer. */
  async function overtaken(under: ChargerUnderTest, requests: number, ma: number) {
    await set(under, 10_000)
    const before = under.sent()
    let limit: Promise<Result<number>> | undefined
    under.atWrite(requests, () => {
      limit = under.charger.setLimit(ma)
    })
    const status = await settled(under, under.charger.status())
    const taken = good(await settled(under, limit!))
    return { status, taken, sent: under.sent() - before, offeredMa: under.sim.station.offeredMa() }
  }

  async function countOf(under: ChargerUnderTest, work: () => Promise<unknown>): Promise<number> {
    const before = under.sent()
    await work()
    return under.sent() - before
  }

  test('a lower limit that comes in the middle of a look goes before the rest of it, and without a new identification', async under => {
    await set(under, 10_000)
    const whole = await countOf(under, () => look(under))
    for (const ma of [8_000, 0]) {
      await set(under, 10_000)
      const alone = await countOf(under, () => set(under, ma))
      for (let requests = 1; requests <= whole; requests++) {
        const { status, ...found } = await overtaken(under, requests, ma)
        assert.equal(found, { taken: ma, sent: requests + alone, offeredMa: ma }, `after ${requests} of ${whole}`)
        if (requests < whole) assert.is(codeOf(status), 'charger.gave-way')
        assert.is((await look(under)).limitMa, ma)
      }
    }
  })

  test('a higher limit waits for the whole look', async under => {
    await set(under, 10_000)
    const whole = await countOf(under, () => look(under))
    const alone = await countOf(under, () => set(under, mostMa))
    const { status, ...found } = await overtaken(under, 1, mostMa)
    assert.equal(found, { taken: mostMa, sent: whole + alone, offeredMa: mostMa })
    assert.is(good(status).limitMa, 10_000)
  })

  if (plain !== undefined)
    t(`${name}: without giving way the rest of a look goes before a lower limit`, async () => {
      const under = await plain()
      try {
        await set(under, 10_000)
        const whole = await countOf(under, () => look(under))
        const alone = await countOf(under, () => set(under, 8_000))
        const { status, ...found } = await overtaken(under, 1, 8_000)
        assert.equal(found, { taken: 8_000, sent: whole + alone, offeredMa: 8_000 })
        assert.ok(status.ok && whole > 1)
      } finally {
        await under.end()
      }
    })

  test('closing sends 0, twice is harmless, and nothing is taken afterwards', async under => {
    await set(under, mostMa)
    await settled(under, under.charger.close())
    assert.is(under.sim.station.offeredMa(), 0)
    const before = under.sent()
    await settled(under, under.charger.close())
    assert.is(codeOf(await settled(under, under.charger.setLimit(6_000))), 'charger.closed')
    assert.is(codeOf(await settled(under, under.charger.status())), 'charger.closed')
    assert.equal([under.sent(), under.sim.station.offeredMa()], [before, 0])
  })
}
