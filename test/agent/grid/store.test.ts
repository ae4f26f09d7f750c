/** A store and its customers, full agents on a feeder: the standing agreement, and a slot's surplus under it, to the money. */
import type { DistrictSite } from '../../../hw/scenario/district.ts'
import { dealsOf, reservationsOf } from '../../../hw/scenario/ledger-view.ts'
import { openDistrict } from '../../../hw/scenario/run-district.ts'
import { constantProfile } from '../../../hw/sim/profile.ts'
import { milliwatts } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'

const W = (watts: number) => constantProfile(milliwatts(watts * 1000))
const SLOT = 120_000
const WINDOWS = { lead: '100s', receipt_window: '20s', dispute_window: '20s' }
const STORE = { peer: 'barn', store_price: '0.06', return_price: '0.20', most: '4kWh' }

const customer = (name: string, load: number, generation: number): DistrictSite => ({
  name,
  role: 'household',
  node: 'elm',
  source: 'solar',
  profile: { load: W(load), generation: W(generation) },
  grid: {
    ...WINDOWS,
    sell: { reserve: '0.05', opening: '0.05' },
    buy: { limit: '0.01', opening: '0.01', least: '5Wh' },
    store: STORE,
  },
})

const test = suite('grid store')

test('set and forget: the agreement is made, and each slot goes to the store or comes from it', async () => {
  const run = await openDistrict(
    {
      slotMs: SLOT,
      distributor: 'wires',
      feeders: [
        { id: 'town', capacityWh: 20_000, tariff: '0.01' },
        { id: 'elm', feeder: 'town', capacityWh: 4_000, tariff: '0.02' },
      ],
      sites: [
        { name: 'wires', role: 'distributor', node: 'town', profile: { load: W(50), generation: W(0) } },
        {
          name: 'barn',
          role: 'storage',
          node: 'town',
          source: 'battery',
          profile: { load: W(6_000), generation: W(0) },
          grid: WINDOWS,
          sections: {
            storage: {
              ...{ capacity: '20kWh', stored: '5kWh', charge: '4kWh', discharge: '4kWh' },
              ...{ store_price: '0.06', return_price: '0.20', most: '5kWh' },
            },
          },
        },
        customer('roof', 300, 3_300),
      ],
    },
    { seed: 7, pace: { gridEveryMs: 2_000, followMs: 2_000 }, blockMs: 1_000 },
  )
  // Ten minutes for the store's answer, and some slots.
  await run.advance(900_000)
  const { agreement, stats } = run.agent('roof').parts.storeCustomer!
  assert.is(agreement()?.state, 'accepted')
  for (const agent of run.running.agents.values()) agent.trading.windDown()
  assert.ok(await run.until(() => dealsOf(run).every(({ deal }) => deal.state !== 'locked'), 4 * SLOT), 'all closed')
  const deals = dealsOf(run)
  assert.ok(deals.length > 0, JSON.stringify(stats()))
  for (const { deal, seller, buyer } of deals) {
    assert.equal([seller, buyer, deal.state, deal.price], ['roof', 'barn', 'settled', 60_000n as never])
    // 3 kW over two minutes.
    assert.ok(deal.outcome!.delivered >= 97n && deal.outcome!.delivered <= 100n, String(deal.outcome!.delivered))
  }
  assert.ok(reservationsOf(run).length >= deals.length)
  await run.stop()
}, 120_000)

test.run()
