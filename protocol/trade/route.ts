/**
 * The router: sends each Wh that a site has left, or lacks, in one slot to the best of the three models, within what its
 * owner prefers; the supplier's tariff takes the rest.
 *
 * An option is worth what is expected of it. Only what is delivered is paid for, and what is not is settled with the supplier,
 * so of an option of firmness f a kWh costs f * (price + fee - premium) + (1 - f) * tariff. What need not be traded at all is
 * left rather than traded beyond the owner's limit. The plan costs least of all plans that keep to whole watt-hours and to
 * each option's smallest and largest quantity; where two cost the same, the nearer partner is preferred.
 */
import { type Price, type WattHours, wattHours } from '../quantity.ts'
import type { Source } from './contract.ts'

/** By how near the partner is, which breaks ties: direct line (A), over the grid (B), standing agreement (C), tariff. */
const MODELS = ['direct', 'ad-hoc', 'storage', 'supplier'] as const
export type Model = (typeof MODELS)[number]

/** What a site expects of one slot. */
export interface Expected {
  readonly generation: WattHours
  readonly load: WattHours
  /** What the battery could give in the slot, and what of it is kept for comfort: a reserve, the morning's drive. */
  readonly store: WattHours
  readonly keep: WattHours
}

export interface Position {
  readonly side: 'sell' | 'buy'
  readonly energy: WattHours
}

/** Own use first: generation, then what the battery may give, serve the site's load; what is left over may be sold. */
export function positionOf({ generation, load, store, keep }: Expected): Position {
  const spare = store > keep ? store - keep : 0n
  const left = generation + spare - load
  return left >= 0n ? { side: 'sell', energy: wattHours(left) } : { side: 'buy', energy: wattHours(-left) }
}

/** A quote, an agreement or a tariff, good for the slot and for the side that the site is on. */
export interface Option {
  readonly id: string
  readonly model: Model
  /** Address in hex; absent for the supplier. */
  readonly partner?: string
  readonly source?: Source
  readonly price: Price
  /** What this site pays the network beyond the price; 0 where the other side does. */
  readonly fee: Price
  readonly capacity: WattHours
  /** No contract below this. */
  readonly least: WattHours
  /** How much of what was promised is expected to come, in permille. */
  readonly firmness: number
}

export interface Wish extends Position {
  /** What must flow whatever it costs: a load that does not wait, a surplus that cannot be kept. */
  readonly must: WattHours
  /** All in: a buyer never trades above it, a seller never below it. */
  readonly limit: Price
  /** What a kWh of a source is worth to a buyer beyond its price. */
  readonly premium: Readonly<Partial<Record<Source, Price>>>
  /** A buyer takes no source but those that `premium` names. */
  readonly strict: boolean
  readonly models: ReadonlySet<Model>
  /** Addresses in hex: never these, and where `partners` is present only those. */
  readonly refuse: ReadonlySet<string>
  readonly partners?: ReadonlySet<string>
}

export type RefusalCode =
  | 'route.twice'
  | 'route.value'
  | 'route.model'
  | 'route.partner'
  | 'route.source'
  | 'route.limit'
  | 'route.too-large'
  | 'route.too-many'
  | 'route.not-best'

export interface Plan {
  readonly parts: readonly { readonly option: Option; readonly energy: WattHours }[]
  /** Not traded: left because all is beyond the limit, and short where it must flow and nobody takes it. */
  readonly left: WattHours
  readonly short: WattHours
  readonly refused: readonly { readonly id: string; readonly code: RefusalCode }[]
}

/** What one node of an agent hears in a slot, and some. */
const MAX_OPTIONS = 128
/** A thousand coins for a kWh. */
const MAX_PRICE = 1_000_000_000n
/** Plans that are looked at where smallest quantities get in each other's way; the best of them is taken then. */
const MAX_LOOKS = 5000

/** What a plan fills up: an option, or one of the two ways not to trade. */
interface Item {
  readonly option?: Option
  /** Expected, in thousandths of a micro-unit per kWh; a seller's revenue counts below zero. */
  readonly cost: bigint
  readonly least: bigint
  readonly most: bigint
}

/** parts + left + short = wish.energy. The same options in any order give the same plan. */
export function route(wish: Wish, options: readonly Option[]): Plan {
  const refused: { id: string; code: RefusalCode }[] = []
  const allowed: Option[] = []
  const ids = new Set<string>()
  for (const option of options.toSorted(nearer)) {
    // However many speak up, the supplier is there.
    const room = allowed.length < MAX_OPTIONS || option.model === 'supplier'
    const code = room ? wrongOf(wish, option, ids) : 'route.too-many'
    ids.add(option.id)
    if (code === undefined) allowed.push(option)
    else refused.push({ id: option.id, code })
  }
  const tariff = allowed.find(({ model }) => model === 'supplier')?.price ?? wish.limit
  const must = wish.must < wish.energy ? wish.must : wish.energy
  // What is left is worth the limit, neither more nor less; what is short is worse than anything.
  const left: Item = {
    cost: (wish.side === 'buy' ? wish.limit : -wish.limit) * 1000n,
    least: 0n,
    most: wish.energy - must,
  }
  const short: Item = { cost: 10n * MAX_PRICE * 1000n, least: 0n, most: wish.energy }
  const items: Item[] = allowed.map(option => {
    return { option, cost: costOf(wish, option, tariff), least: option.least, most: option.capacity }
  })
  // A stable sort: the items are in the order that breaks ties.
  const order = [...items, left, short].sort((a, b) => (a.cost < b.cost ? -1 : a.cost > b.cost ? 1 : 0))
  const filled = cheapest(order, wish.energy)
  const of = (item: Item) => wattHours(filled[order.indexOf(item)]!)
  const parts: Plan['parts'][number][] = []
  for (const item of order) {
    if (item.option === undefined) continue
    if (of(item) > 0n) parts.push({ option: item.option, energy: of(item) })
    else refused.push({ id: item.option.id, code: 'route.not-best' })
  }
  return { parts, left: of(left), short: of(short), refused }
}

const nearer = (a: Option, b: Option): number =>
  MODELS.indexOf(a.model) - MODELS.indexOf(b.model) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

function costOf({ side, premium }: Wish, { price, fee, source, firmness }: Option, tariff: Price): bigint {
  const worth = source === undefined ? 0n : (premium[source] ?? 0n)
  const [firm, rest] = [BigInt(firmness), BigInt(1000 - firmness)]
  return side === 'buy' ? firm * (price + fee - worth) + rest * tariff : -(firm * (price - fee) + rest * tariff)
}

function wrongOf(wish: Wish, option: Option, ids: ReadonlySet<string>): RefusalCode | undefined {
  const { id, model, partner, source, price, fee, capacity, least, firmness } = option
  if (ids.has(id)) return 'route.twice'
  const sane = (value: bigint) => value >= -MAX_PRICE && value <= MAX_PRICE
  if (!sane(price) || !sane(fee) || fee < 0n || !Number.isInteger(firmness) || firmness < 0 || firmness > 1000) {
    return 'route.value'
  }
  if (capacity <= 0n || least < 0n || least > capacity) return 'route.value'
  // The supplier is nobody's choice: what must flow, and nobody else takes, flows there.
  if (model === 'supplier') return undefined
  if (!wish.models.has(model)) return 'route.model'
  if (partner !== undefined && wish.refuse.has(partner)) return 'route.partner'
  if (wish.partners !== undefined && (partner === undefined || !wish.partners.has(partner))) return 'route.partner'
  if (wish.side === 'buy' && wish.strict && (source === undefined || wish.premium[source] === undefined)) {
    return 'route.source'
  }
  const beyond = wish.side === 'buy' ? price + fee > wish.limit : price - fee < wish.limit
  if (beyond) return 'route.limit'
  return least > wish.energy ? 'route.too-large' : undefined
}

/**
 * The cheapest filling of `energy` from items by rising cost. Without smallest quantities that is one after the other; where
 * the last one falls short of its own, the plans without it and with it in full are looked at in turn (branch and bound).
 */
function cheapest(items: readonly Item[], energy: bigint): bigint[] {
  let best: { filled: bigint[]; cost: bigint } | undefined
  let looks = 0
  const look = (banned: ReadonlySet<number>, forced: ReadonlySet<number>): void => {
    if (looks++ > MAX_LOOKS && best !== undefined) return
    let rest = energy
    const filled = items.map((item, i) => (forced.has(i) ? item.least : 0n))
    for (const some of filled) rest -= some
    if (rest < 0n) return
    let cost = 0n
    let short: number | undefined
    for (const [i, { most, least, cost: each }] of items.entries()) {
      const room = banned.has(i) ? 0n : most - filled[i]!
      const more = room < rest ? room : rest
      filled[i]! += more
      rest -= more
      cost += filled[i]! * each
      if (filled[i]! > 0n && filled[i]! < least) short = i
    }
    if (best !== undefined && cost >= best.cost) return
    if (short === undefined) {
      best = { filled, cost }
      return
    }
    look(new Set(banned).add(short), forced)
    look(banned, new Set(forced).add(short))
  }
  look(new Set(), new Set())
  // The item that stands for being short takes anything, so there is a filling.
  return best!.filled
}
