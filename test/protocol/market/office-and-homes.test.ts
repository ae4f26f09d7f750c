/**
 * Demand response as the paper has it in section 3.3: energy goes from who has little use for it now to who has much, office and
 * homes, morning and evening. Nobody is told when: each bids what its own meter lacks and offers what it has left over.
 */
import { homeLoad, type Profile, solarGeneration } from '../../../hw/sim/profile.ts'
import { SLOT_MS } from '../../../protocol/market/baseline.ts'
import { clear, tradesOf } from '../../../protocol/market/clear.ts'
import type { BookOrder } from '../../../protocol/market/ranking.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('office and homes')

/** 2026-06-21, a summer day; noon is at 12. */
const DAY = Date.UTC(2026, 5, 21)
const HOMES = 16
const RETAIL = microsPerKwh(300_000n)
const FEED_IN = microsPerKwh(50_000n)

/** 50 kW while people work in it, 2 kW otherwise. */
const officeLoad: Profile = at => {
  const hour = (at - DAY) / 3_600_000
  return hour >= 8 && hour < 18 ? 50_000_000 : 2_000_000
}

interface Site {
  readonly name: string
  readonly load: Profile
  readonly sun: Profile | undefined
}
const sites: readonly Site[] = [
  { name: 'office', load: officeLoad, sun: solarGeneration(7, 30_000) },
  ...Array.from({ length: HOMES }, (_, i) => ({
    name: `home ${i}`,
    load: homeLoad(100 + i, 600),
    // Every other roof has panels.
    sun: i % 2 === 0 ? solarGeneration(7, 5000) : undefined,
  })),
]

interface Flow {
  readonly toHomes: bigint
  readonly toOffice: bigint
}

/** What the slot's book matches between the office and the homes, Wh. */
function flowIn(slot: number): Flow {
  const start = DAY + slot * SLOT_MS
  const orders = sites.flatMap(({ name, load, sun }, i): (BookOrder & { readonly name: string })[] => {
    let mws = 0
    for (let at = start; at < start + SLOT_MS; at += 60_000) mws += load(instant(at)) - (sun?.(instant(at)) ?? 0)
    //  fifteen minutes of milliwatts, in whole Wh
    const net = BigInt(Math.trunc(mws / 60_000))
    if (net === 0n) return []
    const id = new Uint8Array(16).fill(i)
    const [side, limit] = net > 0n ? (['bid', RETAIL] as const) : (['offer', FEED_IN] as const)
    return [{ name, id, side, quantity: wattHours(net > 0n ? net : -net), limit, sequence: 1 }]
  })
  const rule = { rule: 'pay-as-clear', option: 'midpoint', ties: 'pro-rata' } as const
  const clearing = must(clear(orders, rule, new Uint8Array(32).fill(slot)))
  const flow = { toHomes: 0n, toOffice: 0n }
  for (const { bid, offer, quantity } of tradesOf(orders, clearing)) {
    if (offer.name === 'office') flow.toHomes += quantity
    if (bid.name === 'office') flow.toOffice += quantity
  }
  return flow
}

const between = (from: number, to: number): Flow =>
  Array.from({ length: (to - from) * 4 }, (_, i) => flowIn(from * 4 + i)).reduce((sum, one) => ({
    toHomes: sum.toHomes + one.toHomes,
    toOffice: sum.toOffice + one.toOffice,
  }))

test('in the morning the office feeds the homes, by day the homes the office, in the evening the office the homes', () => {
  const [morning, midday, evening] = [between(5, 8), between(9, 17), between(18, 20)]
  assert.ok(morning.toHomes > 1000n && morning.toOffice === 0n, `morning ${morning.toHomes} ${morning.toOffice}`)
  assert.ok(midday.toOffice > 10_000n && midday.toHomes === 0n, `by day ${midday.toHomes} ${midday.toOffice}`)
  assert.ok(evening.toHomes > 1000n && evening.toOffice === 0n, `evening ${evening.toHomes} ${evening.toOffice}`)
})

test('at night there is nothing to share', () => {
  assert.equal(between(0, 3), { toHomes: 0n, toOffice: 0n })
})

test.run()
