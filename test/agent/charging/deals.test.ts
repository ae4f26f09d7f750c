/** A charger that charges by deals only: which of them counts, and until when. */
import { createCharging } from '../../../agent/charging/run.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Charger } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { fail } from '../../../protocol/result.ts'
import type { Deal } from '../../../protocol/trade/deal-state.ts'
import { assert, suite } from '../../harness.ts'

const START = 1_795_000_000_000
const HOUR = 3_600_000

/** No charger answers here: only what is said of deals is looked at. */
function createSite() {
  const { clock, timers, advance, stepWall } = createSimTime(START, drainPromises)
  const name = 'garage'
  const charger: Charger = {
    ...{ name, controller: 'amperfied', mostMa: 16_000, stepMa: 100 },
    onAgentSilence: { kind: 'falls-back', withinMs: 20_000, toMa: 0, by: 'itself' },
    status: async () => fail({ code: 'charger.no-answer' }),
    setLimit: async () => fail({ code: 'charger.no-answer' }),
    close: async () => {},
  }
  const traits = {
    ...{ name, fuse: 'main', conductors: [0, 1, 2] as const, mostMa: 16_000, stepMa: 100 },
    ...{ failsafeMa: 0, silenceMs: 20_000, powerOnMa: 0 },
  }
  const ratingMa = [25_000, 25_000, 25_000] as const
  const main = { name: 'main', under: undefined, ratingMa, metered: false, othersMa: [0, 0, 0] as const }
  const charging = createCharging({
    site: {
      fuses: new Map([['main', main]]),
      chargers: [{ traits, priority: 0, mode: 'deal', switchesPhases: false, line: 'x' }],
    },
    ...{ chargers: new Map([[name, charger]]), meters: new Map(), gridMeter: undefined, watchdogFed: clock.mono },
    ...{ health: () => {}, log: () => {}, clock, timers },
  })
  const deal = (id: number, paid: boolean): Deal => {
    const contract = { start: START, end: START + HOUR }
    const known = { role: 'buyer', contract, hash: new Uint8Array(32).fill(id), ...(paid ? { lockHeight: 7n } : {}) }
    return known as unknown as Deal
  }
  const ofDeals = async () => {
    await advance(200)
    return charging
      .views()[0]!
      .order.because.map(({ code }) => code)
      .filter(code => /deal|start|expired|lease|payment/.test(code))
  }
  return { charging, deal, ofDeals, advance, stepWall }
}

const test = suite('charging by deals')

test('of two deals that run, the one that is paid counts', async () => {
  const { charging, deal, ofDeals } = createSite()
  charging.deal(deal(1, false), true)
  assert.equal(await ofDeals(), ['permit.payment-unproven'])
  charging.deal(deal(2, true), true)
  assert.equal(await ofDeals(), [])
  charging.deal(deal(2, true), false)
  assert.equal(await ofDeals(), ['permit.payment-unproven'])
})

test('a deal that is told again after the wall clock was set back lasts no longer', async () => {
  const { charging, deal, ofDeals, advance, stepWall } = createSite()
  charging.deal(deal(1, true), true)
  await advance(HOUR / 2)
  stepWall(-HOUR / 4)
  charging.deal(deal(1, true), true)
  assert.equal(await ofDeals(), [])
  await advance(HOUR / 2)
  assert.equal(await ofDeals(), ['permit.lease-over'])
})

test.run()
