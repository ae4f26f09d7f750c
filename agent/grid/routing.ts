/**
 * Which of its models a site sells a slot's energy by, or buys it: each watt-hour goes to whoever is best
 * (protocol/trade/route.ts). A direct line and a standing agreement have a known price, quotes have theirs once they are
 * there, and the supplier's tariff takes what is left. Owners' limits bind in each: nothing is asked below the reserve,
 * nothing is bought above the limit.
 */
import { microsPerKwh, type Price, type WattHours, wattHours } from '../../protocol/quantity.ts'
import { type Model, type Option, route, type Wish } from '../../protocol/trade/route.ts'
import type { GridConfig } from '../config/site-config.ts'
import type { DealInfo } from '../trading/trading.ts'
import type { Window } from './decide.ts'

const QUARTER_MS = 900_000
/** What direct lines took in this time they are expected to take again. */
const LOOK_BACK_MS = 3_600_000
const MODELS: ReadonlySet<Model> = new Set(['direct', 'ad-hoc', 'storage', 'supplier'])
const NOBODY: ReadonlySet<string> = new Set()
const FREE = microsPerKwh(0n)

/** What a buyer pays, or a seller asks, for at most so much. */
export interface Outlet {
  readonly id: string
  readonly price: Price
  readonly capacity: WattHours
}

/** A bid, all in. */
export type Quote = Pick<Option, 'id' | 'source' | 'price' | 'capacity'>

type Shares = Readonly<Record<Model, WattHours>>

/** `live`: there is an agreement with the store under which slots can be awarded. */
type Settings = Pick<GridConfig, 'store' | 'tariff' | 'premium' | 'strict'> & { readonly live: boolean }

const option = (model: Model, { id, price, capacity }: Outlet): Option => ({
  ...{ id: `${model} ${id}`, model, price, capacity },
  ...{ fee: FREE, least: wattHours(0n), firmness: 1000 },
})

/** What the store takes or gives in a window, as its agreement scales it. */
const storeMost = (most: WattHours, { start, end }: Window): WattHours =>
  wattHours((most * BigInt(end - start)) / BigInt(QUARTER_MS))

/**
 * How much of a surplus is for whom. `asked` is what the site asks for now, which is never below its reserve; undefined where
 * quotes are over.
 */
export function shareSale(
  energy: WattHours,
  window: Window,
  { store, tariff, live }: Settings,
  { asked, direct }: { readonly asked: Price | undefined; readonly direct: readonly Outlet[] },
): Shares {
  const options = [
    ...direct.map(one => option('direct', one)),
    ...(asked === undefined ? [] : [option('ad-hoc', { id: 'quotes', price: asked, capacity: energy })]),
    ...(store === undefined || !live
      ? []
      : [option('storage', { id: store.peer, price: store.storePrice, capacity: storeMost(store.most, window) })]),
    ...(tariff === undefined ? [] : [option('supplier', { id: 'feed-in', price: tariff.feedIn, capacity: energy })]),
  ].filter(({ capacity }) => capacity > 0n)
  // Each price here is one that the owner has set or asks: none of them is beyond what it wants.
  const limit = options.reduce((least, { price }) => (price < least ? price : least), options[0]?.price ?? FREE)
  return sharesOf({ side: 'sell', energy, limit, ...wishes({}, false, tariff === undefined ? 0n : energy) }, options)
}

/** How much of a need is for whom, by the quotes that are there, all in. */
export function sharePurchase(
  energy: WattHours,
  window: Window,
  { store, tariff, live, premium, strict }: Settings,
  { quotes, limit }: { readonly quotes: readonly Quote[]; readonly limit: Price },
): Shares {
  const options = [
    ...quotes.map((quote): Option => ({ ...option('ad-hoc', quote), ...quote })),
    ...(store === undefined || !live
      ? []
      : [
          {
            ...option('storage', { id: store.peer, price: store.returnPrice, capacity: storeMost(store.most, window) }),
            source: 'battery' as const,
          },
        ]),
    ...(tariff === undefined ? [] : [option('supplier', { id: 'tariff', price: tariff.import, capacity: energy })]),
  ].filter(({ capacity }) => capacity > 0n)
  return sharesOf(
    { side: 'buy', energy, limit, ...wishes(premium, strict, tariff === undefined ? 0n : energy) },
    options,
  )
}

/** Nothing is asked below what the supplier gives anyway. */
export function aboveFeedIn(grid: GridConfig): GridConfig {
  const { sell, tariff } = grid
  if (sell === undefined || tariff === undefined) return grid
  const atLeast = (price: Price) => (price < tariff.feedIn ? tariff.feedIn : price)
  return { ...grid, sell: { ...sell, reserve: atLeast(sell.reserve), opening: atLeast(sell.opening) } }
}

const wishes = (premium: Wish['premium'], strict: boolean, must: bigint) => ({
  ...{ premium, strict, must: wattHours(must), models: MODELS, refuse: NOBODY },
})

function sharesOf(wish: Wish, options: readonly Option[]): Shares {
  const sums: Record<Model, bigint> = { direct: 0n, 'ad-hoc': 0n, storage: 0n, supplier: 0n }
  if (wish.energy > 0n) for (const { option, energy } of route(wish, options).parts) sums[option.model] += energy
  const of = (model: Model) => wattHours(sums[model])
  return { direct: of('direct'), 'ad-hoc': of('ad-hoc'), storage: of('storage'), supplier: of('supplier') }
}

/** What the buyers on direct lines will take in a window, and pay: as much as in the last hour, at the last price of each. */
export function directOutlets(deals: readonly DealInfo[], now: number, { start, end }: Window): readonly Outlet[] {
  const lines = new Map<string, { readonly at: number; readonly price: Price; readonly energy: bigint }>()
  for (const { runner, peer } of deals) {
    const { role, state, contract } = runner.deal()
    const dead = state === 'aborted' || state === 'expired' || state === 'refunded'
    if (role !== 'seller' || dead || contract.end <= now - LOOK_BACK_MS || contract.start > now) continue
    const before = lines.get(peer)
    const newest = before === undefined || contract.start > before.at
    const { at, price } = newest ? { at: contract.start, price: contract.price } : before
    lines.set(peer, { at, price, energy: (before?.energy ?? 0n) + contract.energy })
  }
  return [...lines].map(([id, { price, energy }]) => {
    return { id, price, capacity: wattHours((energy * BigInt(end - start)) / BigInt(LOOK_BACK_MS)) }
  })
}
