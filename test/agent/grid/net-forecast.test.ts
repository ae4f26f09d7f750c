/** A meter's coming quarters from its earlier days; nothing where there are none. */
import { createNetForecast } from '../../../agent/grid/net-forecast.ts'
import type { EnergyAsked } from '../../../agent/metering/history.ts'
import type { Bucket } from '../../../protocol/reading/rollup.ts'
import { fail, ok } from '../../../protocol/result.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const QUARTER = 900_000
const DAY = 96 * QUARTER
const NOW = 20_000 * DAY + 40 * QUARTER + 120_000

/** Each quarter of a day takes its number in watt-hours from the grid, and sends ten times that from the fortieth to the sixtieth. */
const taken = (at: number) => BigInt(Math.floor((at % DAY) / QUARTER)) * 1000n
const sent = (at: number) => {
  const quarter = Math.floor((at % DAY) / QUARTER)
  return quarter >= 40 && quarter < 60 ? 500_000n : 0n
}

async function open(days: number, broken = false) {
  let tick = () => {}
  const asked: EnergyAsked[] = []
  const history = {
    energy: async (question: EnergyAsked) => {
      asked.push(question)
      if (broken) return fail({ code: 'index.damaged' })
      const from = Math.max(question.from, Math.floor(NOW / QUARTER) * QUARTER - days * DAY)
      const buckets: Bucket[] = []
      for (let at = from; at < question.to; at += QUARTER) {
        const energy = question.obis === OBIS.energyImport ? taken(at) : sent(at)
        buckets.push({ start: at, end: at + QUARTER, energy, complete: true } as unknown as Bucket)
      }
      return ok({ buckets, untimed: 0 })
    },
  }
  const forecast = createNetForecast({
    ...{ history, meter: 'grid', clock: { now: () => instant(NOW) }, offsetAt: () => 0 },
    timers: {
      every: (_, listener) => {
        tick = listener
        return () => {}
      },
    },
  })
  tick()
  await new Promise(resolve => setTimeout(resolve, 0))
  return { forecast, asked }
}
const quarters = (from: number, to: number) => ({
  start: instant(20_000 * DAY + from * QUARTER),
  end: instant(20_000 * DAY + to * QUARTER),
})

const test = suite('net forecast')

test('days that are alike go on: import less export, quarter by quarter', async () => {
  const { forecast } = await open(20)
  assert.is(forecast.net(quarters(70, 71)), 70n)
  assert.is(forecast.net(quarters(70, 74)), 70n + 71n + 72n + 73n)
  assert.is(forecast.net(quarters(50, 51)), 50n - 500n)
})

test('without an earlier day, with a broken history, or between quarters nobody knows', async () => {
  assert.is((await open(0)).forecast.net(quarters(70, 71)), undefined)
  assert.is((await open(20, true)).forecast.net(quarters(70, 71)), undefined)
  const { forecast } = await open(20)
  const { start, end } = quarters(70, 71)
  assert.is(forecast.net({ start: instant(start + 1), end }), undefined)
  assert.is(forecast.net({ start, end: start }), undefined)
  assert.is(forecast.net(quarters(140, 260)), undefined)
})

test('it is made once a quarter, from no more than the history answers', async () => {
  const { asked } = await open(20)
  assert.is(asked.length, 2)
  assert.ok(asked.every(({ from, to }) => (to - from) / QUARTER <= 3200))
})

test.run()
