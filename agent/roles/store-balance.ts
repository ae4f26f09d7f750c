/**
 * A store an hour ahead: what its customers will bring or take less than it has published for the slot is bought from, or sold
 * to, whoever stands on the ledger with an order for it (protocol/market/hour-ahead.ts). What is cleared becomes contracts of
 * that slot, so that it is metered, and paid by what was metered.
 *
 * A meter buys in a window or sells: where customers do the opposite of what is planned the store cannot balance on its own meter.
 */
import { fromHex } from '../../protocol/bytes.ts'
import { decode, encode } from '../../protocol/cbor.ts'
import { HOUR_AHEAD_MS } from '../../protocol/ledger/rules/plans.ts'
import { ORDERS, SCHEDULES } from '../../protocol/ledger/service-tables.ts'
import { type BalancingOrder, balance } from '../../protocol/market/hour-ahead.ts'
import { createNetworkCheck, type Network, readNetwork } from '../../protocol/market/network-check.ts'
import { wattHours } from '../../protocol/quantity.ts'
import { ok, type Result } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import type { BodyOf } from '../../protocol/trade/message.ts'
import { type Agreed, overlaps } from '../grid/decide.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'
import type { Customer, StoreSettings } from './store-terms.ts'

const QUARTER_MS = 900_000
const DAY_MS = 86_400_000
const THINK_MS = 10_000
/** Orders of the last moment stand in a block, and its header is proven. */
const SETTLED_MS = 60_000
/** Later than this after its gate a slot is given up: whoever ordered may have planned otherwise. */
const PATIENCE_MS = 600_000

export interface StoreBalanceOptions
  extends Pick<PartOptions, 'energy' | 'post' | 'clock' | 'timers' | 'entropy' | 'log' | 'health' | 'record'> {
  readonly settings: StoreSettings
  meterId(): string | undefined
  customers(): ReadonlyMap<string, Customer>
  networkOf?(nodes: readonly string[]): Promise<Result<Network>>
  contracted(): readonly Agreed[]
  /** An award was sent: the customer makes the contract. */
  awarded(peer: string, award: BodyOf<'award'>): void
  peerOf(account: Uint8Array): string | undefined
}

export interface StoreBalance extends Part {
  stats(): { readonly cleared: number; readonly awardedWh: bigint; readonly leftWh: bigint }
}

export function createStoreBalance(options: StoreBalanceOptions): StoreBalance {
  const { clock, timers, log, energy, settings } = options
  const counts = { cleared: 0, awardedWh: 0n, leftWh: 0n }
  let cancel = () => {}
  let busy = false
  let closing = false
  let done = 0

  /** What customers brought (above zero) or took back, all in all, in the quarter that was last over. */
  function lately(): bigint {
    const start = Math.floor(clock.now() / QUARTER_MS - 1) * QUARTER_MS
    const window = { start: instant(start), end: instant(start + QUARTER_MS) }
    const deals = options.contracted().filter(one => overlaps(one, window))
    return deals.reduce((sum, { role, energy }) => (role === 'buyer' ? sum + energy : sum - energy), 0n)
  }

  async function clearSlot(slot: number): Promise<Result<void>> {
    const [day, meterId, head] = [Math.floor((slot * QUARTER_MS) / DAY_MS), options.meterId(), energy.light.head()]
    if (meterId === undefined || head === undefined) return ok(undefined)
    const published = await proveRecord(energy.light, SCHEDULES, `${day}/${meterId}`)
    if (!published.ok) return published
    const planned = published.value?.plan[slot % (DAY_MS / QUARTER_MS)] ?? 0n
    const expected = lately()
    // Less of the same than planned, or nothing; the other way round is not to be had on one meter.
    const less = planned > 0n ? expected >= 0n && expected < planned : expected <= 0n && expected > planned
    if (planned === 0n || !less) return ok(undefined)
    const side = planned > 0n ? 'sell' : 'buy'
    const orders: BalancingOrder[] = []
    // Whom no letter reaches cannot be called on, and is not to take the place of who can.
    const customers = [...options.customers()].flatMap(([name, { agreement, node }]) => {
      const peer = agreement.state === 'accepted' ? options.peerOf(agreement.owner) : undefined
      return peer === undefined ? [] : [{ name, peer, agreement, node }]
    })
    for (const { agreement, node } of customers) {
      const order = await proveRecord(energy.light, ORDERS, `${slot}/${side}/${agreement.meterId}`)
      if (!order.ok) return order
      if (order.value !== undefined) orders.push({ id: agreement.meterId, node, side, ...order.value })
    }
    if (orders.length === 0) return ok(undefined)
    const lines = await options.networkOf?.([settings.node, ...orders.map(({ node }) => node!)])
    if (lines?.ok === false) return lines
    const grid = readNetwork(lines?.value ?? { slotMs: QUARTER_MS, lines: new Map() })
    if (!grid.ok) return grid
    const placed = orders.map(({ node, ...rest }) => (lines?.value.lines.has(node!) ? { node, ...rest } : rest))
    const deviations = [{ party: 'customers', energy: expected - planned }]
    const imbalance = { deficit: settings.returnPrice, surplus: settings.storePrice }
    const hour = { slot, deviations, orders: placed as BalancingOrder[], imbalance, beacon: head.hash }
    const cleared = balance(hour, createNetworkCheck(grid.value))
    if (!cleared.ok) return cleared
    const { price, taken, mainGrid } = cleared.value
    // Before anything is awarded: after a restart the same slot is not awarded a second time.
    const kept = await options.record(encode(slot))
    if (!kept.ok) return kept
    counts.cleared++
    counts.leftWh += mainGrid < 0n ? -mainGrid : mainGrid
    for (const { id, energy: quantity } of taken) {
      const { name, peer } = customers.find(({ agreement }) => agreement.meterId === id)!
      const start = instant(slot * QUARTER_MS)
      const award = {
        ...({
          kind: 'award' as const,
          id: options.entropy.bytes(16),
          as: side === 'sell' ? 'buyer' : 'seller',
        } as const),
        ...{ start, end: instant(start + QUARTER_MS), energy: wattHours(quantity), price },
        ...{ node: settings.node, meter: meterId, agreement: fromHex(name)! },
      }
      counts.awardedWh += quantity
      void options.post.send(peer, award, { reliable: true })
      options.awarded(peer, award)
      log('info', 'balance', `${quantity} Wh are ${side === 'sell' ? 'bought of' : 'sold to'} ${peer} an hour ahead`)
    }
    return ok(undefined)
  }

  async function think(): Promise<void> {
    // The last one whose gate is over and settled.
    const slot = Math.floor((clock.now() + HOUR_AHEAD_MS - SETTLED_MS) / QUARTER_MS)
    const gate = slot * QUARTER_MS - HOUR_AHEAD_MS
    if (busy || closing || slot === done || clock.now() > gate + PATIENCE_MS) return
    busy = true
    const cleared = await clearSlot(slot)
    options.health('storage.hour-ahead', cleared.ok ? undefined : cleared.fault)
    if (cleared.ok) done = slot
    busy = false
  }

  return {
    restore(records) {
      for (const bytes of records) {
        const slot = decode(bytes)
        if (slot.ok && typeof slot.value === 'number') done = slot.value
      }
    },
    start() {
      cancel = timers.every(THINK_MS, () => void think())
    },
    windDown() {
      closing = true
    },
    stop: () => cancel(),
    stats: () => ({ ...counts }),
  }
}
