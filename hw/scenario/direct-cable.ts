/** Model A: two houses, one cable, contacts at both ends. */
import { keysFromSeed } from '../../agent/world.ts'
import { equalBytes } from '../../protocol/bytes.ts'
import { microsPerKwh } from '../../protocol/quantity.ts'
import { constantProfile } from '../sim/profile.ts'
import { benchSeed } from '../sim/street.ts'
import { type District, SLOT_MS } from './district.ts'
import { judgeDistrict } from './judge-district.ts'
import { dealsOf } from './ledger-view.ts'
import { openDistrict } from './run-district.ts'
import type { Scenario } from './scenario.ts'

const RUN_MS = 360_000
/** Receipt and dispute window of the street's deals, a slot, and the lead. */
const SETTLE_MS = 180_000
/** What the seller asks first is above what the buyer pays at all: they have to bargain. */
const ASKED = microsPerKwh(450_000n)
const TRADE = {
  sell: { reserve: '0.09', opening: '0.45' },
  slot: '60s',
  receipt_window: '30s',
  dispute_window: '30s',
  energy: '42Wh',
  loss: '3%',
}

const W = (watts: number) => constantProfile(watts * 1000)

const cableDistrict = (): District => ({
  slotMs: SLOT_MS,
  feeders: [],
  lines: [
    {
      id: 'C1',
      seller: 'maple',
      buyer: 'cedar',
      limitMa: 20_000,
      lossPermille: 4,
      sellerMeterId: '51000001',
      buyerMeterId: '51000002',
    },
  ],
  sites: [
    {
      name: 'maple',
      role: 'household',
      node: 'home1',
      source: 'solar',
      profile: { load: W(400), generation: W(5_000) },
      sections: { trade: TRADE },
    },
    {
      name: 'cedar',
      role: 'household',
      node: 'home2',
      circuit: { name: 'heat pump', demandW: 2_500 },
      profile: { load: W(300), generation: W(0) },
    },
  ],
})

export const directCable: Scenario = {
  name: 'direct-cable',
  what: 'model A: two houses and a cable; power flows within signed and paid deals only',
  async run({ seed, realSigner, onProgress, logOf }) {
    const run = await openDistrict(cableDistrict(), {
      seed,
      realSigner,
      pace: { gridEveryMs: 2_000, followMs: 4_000, holdMs: 1_500 },
      blockMs: 1_000,
      ...(logOf === undefined ? {} : { logOf }),
    })
    await run.advance(RUN_MS)
    for (const agent of run.running.agents.values()) agent.trading.windDown()
    await run.until(() => dealsOf(run).every(({ deal }) => deal.state !== 'locked'), SETTLE_MS)
    const deals = dealsOf(run).filter(({ deal }) => deal.state === 'settled')
    onProgress(`${deals.length} deals settled`)
    const keys = run.district.sites.map(({ name }) => keysFromSeed(benchSeed(seed, name), run.ports.signer))
    const { running } = run
    const facts = {
      closes: running.moves.filter(({ position }) => position === 'closed').length,
      violations: running.violations.length,
      // The judge holds every receipt against the journals, whose readings are verified under the metering keys alone.
      receipts_by_meter_keys:
        deals.every(({ deal }) => deal.sellerReceipt !== undefined && deal.buyerReceipt !== undefined) &&
        keys.every(({ account, metering }) => !equalBytes(account.publicKey, metering.publicKey)),
      bargained: deals.filter(({ deal }) => deal.price < ASKED).length,
      ledger_kinds: [] as string[],
    }
    const broken = deals.length === 0 ? ['nothing was settled'] : []
    const result = await judgeDistrict(run, 'direct-cable', facts, broken)
    return { ...result, facts: { ...facts, ledger_kinds: Object.keys(result.transactions.energy) } }
  },
}
