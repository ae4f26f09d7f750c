/**
 * The baseline of one central operator (the paper's Fig. 2): it sees every site's limits, readings and flexible load, commands
 * demand response, dispatches for the greatest welfare, sets one price and settles by the meters. Nothing goes on without it.
 *
 * Orders are merged by price, which is the optimum of the linear program where no line binds.
 */
import { costCeil, costFloor, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import { sharesOf } from '../trade/deviation.ts'
import { type ClearFault, clear, tradesOf } from './clear.ts'
import {
  checkSites,
  type Learnt,
  type SiteResult,
  type SlotFault,
  type SlotResult,
  type SlotSite,
  type SupplierPrices,
  withSupplier,
} from './no-trade.ts'
import type { BookOrder } from './ranking.ts'

/** An order as the agents' market has it, and whose it is: a central operator knows. */
export interface NamedOrder extends BookOrder {
  readonly site: string
}

export interface CentralSlot {
  readonly sites: readonly SlotSite[]
  /** Limits are all-in for a bid, and for an offer before the fee. */
  readonly orders: readonly NamedOrder[]
  readonly prices: SupplierPrices
  /** Of the distributor, per kWh traded: the seller's part of the price. */
  readonly fee: Price
  /** The district may draw no more than this, where demand response can help it; absent for no limit. */
  readonly mostDrawn?: WattHours
}

export interface CentralResult extends SlotResult {
  /** Paid by all buyers; absent where nothing is traded. */
  readonly price?: Price
  readonly fees: bigint
  /** With `money`, `fees` and what the supplier gains it sums to zero. */
  readonly rounding: bigint
}

export type CentralFault = SlotFault | ClearFault | { readonly code: 'central.unknown-site'; readonly site: string }

const NO_BEACON = new Uint8Array(32)
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const sum = (all: Iterable<bigint>): bigint => [...all].reduce((total, one) => total + one, 0n)

export function dispatchCentrally(slot: CentralSlot): Result<CentralResult, CentralFault> {
  const { sites, orders, prices, fee, mostDrawn } = slot
  const fault = checkSites(sites)
  if (fault !== undefined) return fail(fault)
  const names = new Set(sites.map(({ site }) => site))
  const stranger = orders.find(({ site }) => !names.has(site))
  if (stranger !== undefined) return fail({ code: 'central.unknown-site', site: stranger.site })

  const reduced = reductions(sites, mostDrawn)
  const importedOf = ({ site, imported }: SlotSite) => imported - reduced.get(site)!
  const book = orders.map(order => (order.side === 'bid' ? order : { ...order, limit: (order.limit + fee) as Price }))
  const clearing = clear(book, { rule: 'pay-as-clear', option: 'midpoint', ties: 'pro-rata' }, NO_BEACON)
  if (!clearing.ok) return clearing
  const price = clearing.value.uniform?.price
  const dispatched = { bid: new Map<string, bigint>(), offer: new Map<string, bigint>() }
  for (const { bid, offer, quantity } of tradesOf(book, clearing.value)) {
    dispatched.bid.set(bid.site, (dispatched.bid.get(bid.site) ?? 0n) + quantity)
    dispatched.offer.set(offer.site, (dispatched.offer.get(offer.site) ?? 0n) + quantity)
  }

  // One pool: what some sent short of their dispatch, others' energy makes up for.
  const claims = (side: 'bid' | 'offer') =>
    sites.map(one => ({
      id: one.site,
      energy: wattHours(least(dispatched[side].get(one.site) ?? 0n, side === 'bid' ? importedOf(one) : one.exported)),
    }))
  const [wanted, sent] = [claims('bid'), claims('offer')]
  const traded = wattHours(least(sum(wanted.map(one => one.energy)), sum(sent.map(one => one.energy))))
  const [boughtBy, soldBy] = [sharesOf(traded, wanted), sharesOf(traded, sent)]

  let [fees, rounding] = [0n, 0n]
  const results = sites.map((one): SiteResult => {
    const [bought, sold] = [boughtBy.get(one.site)!, soldBy.get(one.site)!]
    const paid = price === undefined ? 0n : costCeil(bought, price)
    const feeOf = costCeil(sold, fee)
    const got = price === undefined ? 0n : costFloor(sold, price)
    fees += feeOf
    rounding += paid - got
    const rest = withSupplier(importedOf(one) - bought, one.exported - sold, prices)
    return {
      site: one.site,
      money: rest + got - feeOf - paid,
      traded: wattHours(bought + sold),
      reduced: reduced.get(one.site)!,
    }
  })
  const commands = [...reduced.values()].filter(energy => energy > 0n).length
  const count = sites.length
  const seen = (learns: Learnt, records: number, of = count) =>
    ({ observer: 'operator', learns, sites: of, records }) as const
  const ordering = new Set(orders.map(({ site }) => site)).size
  return ok({
    sites: results,
    money: sum(results.map(({ money }) => money)),
    traded,
    drawn: wattHours(sum(sites.map(importedOf)) - traded),
    fedIn: wattHours(sum(sites.map(({ exported }) => exported)) - traded),
    reduced: wattHours(sum(reduced.values())),
    ...(price === undefined ? {} : { price }),
    fees,
    rounding,
    // Each site's flexible load, each order and its award, each command, each reading and each bill.
    messages: count + 2 * orders.length + commands + 2 * count,
    observations: [
      seen('identity', count),
      seen('reading', count),
      seen('flexibility', count),
      seen('limit', orders.length, ordering),
      seen('quantity', orders.length, ordering),
      seen('dispatch', orders.length + commands, ordering),
      seen('payment', count),
    ],
    needs: ['operator'],
  })
}

/** What each site is commanded to leave out, pro rata of what it can, so that the district draws no more than it may. */
function reductions(sites: readonly SlotSite[], mostDrawn: WattHours | undefined): ReadonlyMap<string, WattHours> {
  const net = sum(sites.map(({ imported, exported }) => imported - exported))
  const wanted = mostDrawn === undefined || net <= mostDrawn ? 0n : net - mostDrawn
  return sharesOf(
    wattHours(wanted),
    sites.map(({ site, flexible }) => ({ id: site, energy: flexible })),
  )
}
