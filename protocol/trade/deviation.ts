/**
 * What becomes of one slot when meters differ from contracts.
 *
 *     share       of a meter among its contracts: min(metered, sum contracted), pro rata by largest remainder
 *     delivered   min(contracted, seller's share, buyer's share), paid at the contract's price; nothing where the seller's
 *                 meter gave no reading, as the buyer's counts what comes from whomever
 *     shortfall   contracted less a party's own share: charged beyond the tolerance, to the party whose meter it is
 *     the rest    of what a meter counted settles with the balancing party: fed in, or drawn
 *
 * Every metered watt-hour is in exactly one contract or with the balancing party. Nobody pays for the other's fault: a
 * party's charge depends on its own meter and its own contracts alone. Whole numbers only; money sums to zero, and what
 * rounding leaves stands on an account of its own. The order of contracts does not matter.
 *
 * On a direct line no grid is between the two meters, so they must agree within the line's loss: `judgeLine`.
 */
import { costCeil, costFloor, type Money, micros, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'

/** A part of a meter's contracted energy. */
export interface Claim {
  /** Decides between equal remainders: the lower one is served first. */
  readonly id: string
  readonly energy: WattHours
}

/**
 * A meter's energy parted among its contracts of one window: never more than contracted, and never more in sum than was
 * metered. What pro rata leaves goes to the largest remainders, a watt-hour each.
 */
export function sharesOf(metered: WattHours, claims: readonly Claim[]): ReadonlyMap<string, WattHours> {
  const total = claims.reduce((sum, { energy }) => sum + energy, 0n)
  const available = metered < total ? metered : total
  if (available === 0n) return new Map(claims.map(({ id }) => [id, wattHours(0n)]))
  const parts = claims.map(({ id, energy }) => ({
    id,
    whole: (available * energy) / total,
    rest: (available * energy) % total,
  }))
  let left = available - parts.reduce((sum, { whole }) => sum + whole, 0n)
  parts.sort((a, b) => (a.rest === b.rest ? (a.id < b.id ? -1 : 1) : a.rest > b.rest ? -1 : 1))
  return new Map(parts.map(({ id, whole }) => [id, wattHours(whole + (left-- > 0n ? 1n : 0n))]))
}

export interface SlotContract extends Claim {
  readonly sellerMeter: string
  readonly buyerMeter: string
  /** Per kWh. */
  readonly price: Price
  /** What each side may fall short by without a charge. */
  readonly tolerance: WattHours
}

/** Prices of the balancing party, per kWh. */
export interface BalancingPrices {
  /** It pays this for energy fed in beside contracts. */
  readonly feedIn: Price
  /** It is paid this for energy drawn beside contracts. */
  readonly drawn: Price
  /** And this for a shortfall beyond tolerance. */
  readonly shortfall: Price
}

export interface Slot {
  readonly contracts: readonly SlotContract[]
  /** What each meter counted in the slot, by meter; a meter that gave no reading is absent. */
  readonly exported: ReadonlyMap<string, WattHours>
  readonly imported: ReadonlyMap<string, WattHours>
  readonly prices: BalancingPrices
}

/** One side of a contract; its share is absent where its meter gave no reading, and then nothing is charged to it. */
export interface SettledSide {
  readonly share?: WattHours
  /** Beyond tolerance. */
  readonly shortfall: WattHours
  /** What the party pays the balancing party for it. */
  readonly charge: Money
}

export interface SettledContract {
  readonly id: string
  readonly delivered: WattHours
  /** From the buyer to the seller. */
  readonly paid: Money
  /** One meter gave no reading: a seller's counts alone, a buyer's shows nothing. Where neither did, nothing is delivered. */
  readonly disputed: boolean
  readonly seller: SettledSide
  readonly buyer: SettledSide
}

/** Where a meter's energy went, and what its owner gains by the slot. */
export interface SettledMeter {
  readonly meterId: string
  /** sold + fedIn = exported; bought + drawn = imported. */
  readonly sold: WattHours
  readonly fedIn: WattHours
  readonly bought: WattHours
  readonly drawn: WattHours
  /** Negative where the owner pays. */
  readonly money: bigint
}

export interface SettledSlot {
  /** By id. */
  readonly contracts: readonly SettledContract[]
  /** By meter. */
  readonly meters: readonly SettledMeter[]
  /** Of the balancing party; with `rounding` and what the meters' owners gain it sums to zero. */
  readonly balancing: bigint
  /** Whoever pays the balancing party, or is paid by it, pays rounded up and is paid rounded down; the difference is here. */
  readonly rounding: bigint
}

export type DeviationFault =
  | { readonly code: 'deviation.contract-twice'; readonly id: string }
  | { readonly code: 'deviation.one-meter'; readonly id: string; readonly meterId: string }
  | { readonly code: 'deviation.negative'; readonly what: string; readonly value: bigint }

const ZERO = wattHours(0n)
const least = (a: WattHours, b: WattHours): WattHours => (b < a ? b : a)

/** Contracts of exactly this slot; those of other windows are settled in theirs. */
export function settleSlot(slot: Slot): Result<SettledSlot, DeviationFault> {
  const fault = faultOf(slot)
  if (fault !== undefined) return fail(fault)
  const sold = partsOf(slot.contracts, 'sellerMeter', slot.exported)
  const bought = partsOf(slot.contracts, 'buyerMeter', slot.imported)
  const books = new Map<string, { sold: bigint; bought: bigint; money: bigint }>()
  const bookOf = (meterId: string) => {
    const known = books.get(meterId)
    if (known !== undefined) return known
    const book = { sold: 0n, bought: 0n, money: 0n }
    books.set(meterId, book)
    return book
  }
  let balancing = 0n
  let rounding = 0n
  const settleWithGrid = (meterId: string, energy: WattHours, price: Price, pays: boolean): Money => {
    const [up, down] = [costCeil(energy, price), costFloor(energy, price)]
    bookOf(meterId).money += pays ? -up : down
    balancing += pays ? down : -up
    rounding += up - down
    return pays ? up : down
  }

  const contracts = slot.contracts.map((contract): SettledContract => {
    const { id, energy, price, tolerance, sellerMeter, buyerMeter } = contract
    const [sent, taken] = [sold.get(id), bought.get(id)]
    const delivered = sent === undefined ? ZERO : least(least(energy, sent), taken ?? energy)
    const paid = costFloor(delivered, price)
    const seller = bookOf(sellerMeter)
    const buyer = bookOf(buyerMeter)
    seller.sold += delivered
    seller.money += paid
    buyer.bought += delivered
    buyer.money -= paid
    const sideOf = (meterId: string, share: WattHours | undefined): SettledSide => {
      const beyond = share === undefined ? 0n : energy - share - tolerance
      const shortfall = beyond > 0n ? wattHours(beyond) : ZERO
      const charge = shortfall === 0n ? micros(0n) : settleWithGrid(meterId, shortfall, slot.prices.shortfall, true)
      return { ...(share === undefined ? {} : { share }), shortfall, charge }
    }
    const disputed = (sent === undefined) !== (taken === undefined)
    return {
      ...{ id, delivered, paid, disputed },
      seller: sideOf(sellerMeter, sold.get(id)),
      buyer: sideOf(buyerMeter, bought.get(id)),
    }
  })

  const all = new Set([...slot.exported.keys(), ...slot.imported.keys(), ...books.keys()])
  const meters = [...all].sort().map((meterId): SettledMeter => {
    const book = bookOf(meterId)
    // Without a reading there is no rest: what the other side's meter showed is all that is known.
    const restOf = (metered: WattHours | undefined, taken: bigint) =>
      metered === undefined ? ZERO : wattHours(metered - taken)
    const fedIn = restOf(slot.exported.get(meterId), book.sold)
    const drawn = restOf(slot.imported.get(meterId), book.bought)
    settleWithGrid(meterId, fedIn, slot.prices.feedIn, false)
    settleWithGrid(meterId, drawn, slot.prices.drawn, true)
    return { meterId, sold: wattHours(book.sold), fedIn, bought: wattHours(book.bought), drawn, money: book.money }
  })
  contracts.sort((a, b) => (a.id < b.id ? -1 : 1))
  return ok({ contracts, meters, balancing, rounding })
}

/** Each contract's share of its meter, where the meter gave a reading. */
function partsOf(
  contracts: readonly SlotContract[],
  side: 'sellerMeter' | 'buyerMeter',
  metered: ReadonlyMap<string, WattHours>,
): ReadonlyMap<string, WattHours> {
  const byMeter = new Map<string, SlotContract[]>()
  for (const contract of contracts) {
    const known = byMeter.get(contract[side])
    if (known === undefined) byMeter.set(contract[side], [contract])
    else known.push(contract)
  }
  const parts = new Map<string, WattHours>()
  for (const [meterId, claims] of byMeter) {
    const energy = metered.get(meterId)
    if (energy === undefined) continue
    for (const [id, share] of sharesOf(energy, claims)) parts.set(id, share)
  }
  return parts
}

function faultOf({ contracts, exported, imported, prices }: Slot): DeviationFault | undefined {
  const seen = new Set<string>()
  const quantities: [string, bigint][] = [...Object.entries(prices), ...exported, ...imported]
  for (const { id, sellerMeter, buyerMeter, energy, price, tolerance } of contracts) {
    if (seen.has(id)) return { code: 'deviation.contract-twice', id }
    seen.add(id)
    if (sellerMeter === buyerMeter) return { code: 'deviation.one-meter', id, meterId: sellerMeter }
    quantities.push([`energy of ${id}`, energy], [`price of ${id}`, price], [`tolerance of ${id}`, tolerance])
  }
  const negative = quantities.find(([, value]) => value < 0n)
  return negative && { code: 'deviation.negative', what: negative[0], value: negative[1] }
}

/** What two line meters counted of one deal. A meter that gave no reading is absent. */
export interface LineCount {
  readonly sent?: WattHours
  readonly received?: WattHours
  /** What the contract lets the line lose. */
  readonly lossPermille: number
  /** Beyond that, for the meters' own errors. */
  readonly tolerance: WattHours
}

/** Why two line meters are not believed together; `beyond` is by how much the tolerance is passed, rounded up. */
export type LineDispute =
  | { readonly cause: 'lost-more-than-agreed'; readonly beyond: WattHours }
  | { readonly cause: 'received-more-than-sent'; readonly beyond: WattHours }
  | { readonly cause: 'no-reading'; readonly of: 'seller' | 'buyer' | 'both' }

/**
 * Whether sent x (1 - loss) - received is within tolerance, and received within tolerance of sent: a line makes no energy.
 * Undefined where the meters agree.
 */
export function judgeLine({ sent, received, lossPermille, tolerance }: LineCount): LineDispute | undefined {
  if (sent === undefined || received === undefined) {
    const of = sent !== undefined ? 'buyer' : received !== undefined ? 'seller' : 'both'
    return { cause: 'no-reading', of }
  }
  const missing = sent * BigInt(1000 - lossPermille) - (received + tolerance) * 1000n
  if (missing > 0n) return { cause: 'lost-more-than-agreed', beyond: wattHours((missing + 999n) / 1000n) }
  const more = received - sent - tolerance
  return more > 0n ? { cause: 'received-more-than-sent', beyond: wattHours(more) } : undefined
}
