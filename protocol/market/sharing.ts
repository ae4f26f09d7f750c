/**
 * How a community group shares what netting among its members is worth in one slot.
 *
 *     netting       M = min(imports, exports) watt-hours change hands inside, allotted pro rata by largest remainder; the rest
 *                   is bought at the group's retail price or sold at its feed-in price, less what a group order covered
 *     mid-market    each Wh netted is worth half the spread to either side: the mid-market rate of Long et al. (2017),
 *                   "Peer-to-peer energy trading in a community microgrid"
 *     supply-demand the price falls with the ratio of supply to demand: Liu et al. (2017), "Energy-sharing model with
 *                   price-based demand response for microgrids of peer-to-peer prosumers"; the spread goes to the scarce side
 *     shapley       the mean of what a member adds to those who came before, over all orders in which they may come;
 *                   over all coalitions to 12 members, over orders drawn from a seed above
 *
 * A group order's gain or loss is shared by delivered watt-hours under each rule. Nobody pays more than standing alone at his own
 * tariff. The textbook rules promise that only where all have one tariff and the order loses nothing; where one of them would
 * charge a member more, the losers pay as if alone and the winners' gains shrink in proportion ("kept individually rational"),
 * and where the group as a whole loses, all pay as if alone and the reserve bears the loss.
 *
 *     sum of payments + residue + reserve = what the group pays outside
 */
import { compareBytes, concat, toHex } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { costCeil, costFloor, type Money, micros, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'

export const SHARING_RULES = ['mid-market', 'supply-demand', 'shapley'] as const
export type SharingRule = (typeof SHARING_RULES)[number]

/** 4,096 coalitions; each member more doubles them. */
const EXACT_MEMBERS = 12
/** Mean of so many orders: a standard error of a twentieth of a member's spread between orders. */
const SAMPLES = 400
/** The ledger's groups hold no more. */
const MAX_MEMBERS = 100
/** A day at a megawatt, and the ledger's bound of a price: what is made of them stays far below any bound of a record. */
const MAX_ENERGY_WH = 24_000_000n
const MAX_PRICE = 1_000_000_000n

export interface Tariff {
  readonly retail: Price
  readonly feedIn: Price
}

export interface MemberSlot extends Tariff {
  /** Account address. */
  readonly member: Uint8Array
  /** By its grid meter, in the slot. */
  readonly imported: WattHours
  readonly exported: WattHours
}

export interface GroupSlot {
  readonly members: readonly MemberSlot[]
  /** At which the group as a whole buys and sells what is left over. */
  readonly tariff: Tariff
  /** What was delivered of the group's own order: bought above zero, sold below. */
  readonly order?: { readonly energy: bigint; readonly price: Price }
  /** Orders of members are drawn from it, so that everybody draws the same: the hash of something nobody could choose. */
  readonly seed: Uint8Array
}

export interface Share {
  readonly member: Uint8Array
  /** What came from and went to other members. */
  readonly nettedIn: WattHours
  readonly nettedOut: WattHours
  /** Without the group, at the member's own tariff; below zero it is paid. */
  readonly standalone: Money
  /** To the group; below zero, from it. Never above `standalone`. */
  readonly payment: Money
}

export interface Sharing {
  /** The rule that was followed, by its full name. */
  readonly name: string
  /** By rising address. */
  readonly shares: readonly Share[]
  /** What the group pays outside; below zero it is paid. */
  readonly external: Money
  /** Of rounding: at most two micro-units a member and one. */
  readonly residue: Money
  /** A loss that the group's order made beyond what netting gained. */
  readonly reserve: Money
}

export type SharingFault =
  | { readonly code: 'sharing.members'; readonly members: number; readonly most: number }
  | { readonly code: 'sharing.member-twice'; readonly member: string }
  | { readonly code: 'sharing.bounds'; readonly what: string; readonly value: bigint }
  | { readonly code: 'sharing.tariff'; readonly retail: bigint; readonly feedIn: bigint }

/** Down, for negative numbers too. */
const floorDiv = (a: bigint, b: bigint): bigint => a / b - (a % b < 0n ? 1n : 0n)
const sumOf = (all: readonly bigint[]): bigint => all.reduce((sum, one) => sum + one, 0n)

/** `total` in proportion to weights, whole, by largest remainder; of equal remainders the first. */
export function allot(total: bigint, weights: readonly bigint[]): bigint[] {
  const all = sumOf(weights)
  if (all === 0n) return weights.map(() => 0n)
  const parts = weights.map(weight => (total * weight) / all)
  const order = weights.map((weight, i) => ({ i, rest: (total * weight) % all }))
  order.sort((a, b) => (a.rest < b.rest ? 1 : a.rest > b.rest ? -1 : a.i - b.i))
  for (const { i } of order.slice(0, Number(total - sumOf(parts)))) parts[i]! += 1n
  return parts
}

// From here on money is in thousandths of a micro-unit, which watt-hours times a price per kWh are.

const alone = ({ imported, exported, retail, feedIn }: MemberSlot): bigint => imported * retail - exported * feedIn
const costOf = (net: bigint, { retail, feedIn }: Tariff): bigint => (net > 0n ? net * retail : net * feedIn)

interface Netting {
  readonly demand: bigint
  readonly supply: bigint
  readonly nettedIn: readonly bigint[]
  readonly nettedOut: readonly bigint[]
}

/** What netting is worth to each, beyond the group's own tariff. */
function textbookGains(
  rule: Exclude<SharingRule, 'shapley'>,
  { retail, feedIn }: Tariff,
  { demand, supply, nettedIn, nettedOut }: Netting,
): bigint[] {
  const spread = retail - feedIn
  // A price between the two tariffs, as a fraction.
  const [over, under] =
    rule === 'mid-market'
      ? [retail + feedIn, 2n]
      : supply > demand
        ? [feedIn, 1n]
        : [feedIn * retail * demand, spread * supply + feedIn * demand]
  if (under === 0n) return nettedIn.map(energy => energy * spread)
  return nettedIn.map((energy, i) =>
    floorDiv(energy * (retail * under - over) + nettedOut[i]! * (over - feedIn * under), under),
  )
}

/** Gains of a coalition over its members alone; by the members' places, one bit each. */
function shapleyGains(members: readonly MemberSlot[], tariff: Tariff, seed: Uint8Array): bigint[] {
  return members.length <= EXACT_MEMBERS ? exactShapley(members, tariff) : sampledShapley(members, tariff, seed)
}

function exactShapley(members: readonly MemberSlot[], tariff: Tariff): bigint[] {
  const n = members.length
  const factorial = [1n]
  for (let i = 1; i <= n; i++) factorial.push(factorial[i - 1]! * BigInt(i))
  const [nets, apart, sizes] = [[0n], [0n], [0]]
  const worth = [0n]
  for (let mask = 1; mask < 1 << n; mask++) {
    const last = 31 - Math.clz32(mask)
    const rest = mask & ~(1 << last)
    const one = members[last]!
    nets.push(nets[rest]! + one.imported - one.exported)
    apart.push(apart[rest]! + alone(one))
    sizes.push(sizes[rest]! + 1)
    worth.push(apart[mask]! - costOf(nets[mask]!, tariff))
  }
  return members.map((_, i) => {
    let sum = 0n
    for (let mask = 0; mask < 1 << n; mask++) {
      if ((mask >> i) & 1) continue
      const size = sizes[mask]!
      sum += factorial[size]! * factorial[n - size - 1]! * (worth[mask | (1 << i)]! - worth[mask]!)
    }
    return floorDiv(sum, factorial[n]!)
  })
}

function sampledShapley(members: readonly MemberSlot[], tariff: Tariff, seed: Uint8Array): bigint[] {
  const draw = drawing(seed)
  const sums = members.map(() => 0n)
  const order = members.map((_, i) => i)
  for (let sample = 0; sample < SAMPLES; sample++) {
    // Fisher and Yates
    for (let i = order.length - 1; i > 0; i--) {
      const j = draw() % (i + 1)
      ;[order[i], order[j]] = [order[j]!, order[i]!]
    }
    let [net, apart, worth] = [0n, 0n, 0n]
    for (const i of order) {
      const one = members[i]!
      net += one.imported - one.exported
      apart += alone(one)
      const next = apart - costOf(net, tariff)
      sums[i]! += next - worth
      worth = next
    }
  }
  return sums.map(sum => floorDiv(sum, BigInt(SAMPLES)))
}

/** Numbers of 32 bits from SHA-256 of the seed and a counter: reduced to a hundred places they are even to 1 in 2^25. */
function drawing(seed: Uint8Array): () => number {
  let block: DataView = new DataView(new ArrayBuffer(0))
  let [at, counter] = [0, 0]
  return () => {
    if (at + 4 > block.byteLength) {
      const bytes = sha256(concat(seed, Uint8Array.of(counter >> 24, counter >> 16, counter >> 8, counter++)))
      block = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      at = 0
    }
    at += 4
    return block.getUint32(at - 4)
  }
}

/** Gains such that nobody loses and together they are no more than before: all that the group gained, or nothing. */
function keepRational(gains: readonly bigint[]): { readonly gains: readonly bigint[]; readonly corrected: boolean } {
  if (gains.every(gain => gain >= 0n)) return { gains, corrected: false }
  const total = sumOf(gains)
  const won = sumOf(gains.filter(gain => gain > 0n))
  if (total <= 0n) return { gains: gains.map(() => 0n), corrected: true }
  return { gains: gains.map(gain => (gain > 0n ? (gain * total) / won : 0n)), corrected: true }
}

function checked({ members, tariff, order }: GroupSlot): Result<readonly MemberSlot[], SharingFault> {
  if (members.length === 0 || members.length > MAX_MEMBERS) {
    return fail({ code: 'sharing.members', members: members.length, most: MAX_MEMBERS })
  }
  const sorted = [...members].sort((a, b) => compareBytes(a.member, b.member))
  for (const [i, { member, imported, exported, retail, feedIn }] of sorted.entries()) {
    if (i > 0 && compareBytes(sorted[i - 1]!.member, member) === 0) {
      return fail({ code: 'sharing.member-twice', member: toHex(member) })
    }
    for (const [what, value, most] of [
      ['imported', imported, MAX_ENERGY_WH],
      ['exported', exported, MAX_ENERGY_WH],
      ['retail', retail, MAX_PRICE],
      ['feedIn', feedIn, MAX_PRICE],
    ] as const) {
      if (value < 0n || value > most) return fail({ code: 'sharing.bounds', what, value })
    }
  }
  const { retail, feedIn } = tariff
  // Netting at a feed-in price above retail would lose money with every watt-hour.
  if (feedIn < 0n || feedIn > retail || retail > MAX_PRICE) return fail({ code: 'sharing.tariff', retail, feedIn })
  if (order !== undefined) {
    const most = BigInt(members.length) * MAX_ENERGY_WH
    if (order.energy > most || order.energy < -most) {
      return fail({ code: 'sharing.bounds', what: 'order', value: order.energy })
    }
    if (order.price < 0n || order.price > MAX_PRICE) {
      return fail({ code: 'sharing.bounds', what: 'price', value: order.price })
    }
  }
  return ok(sorted)
}

/** What each member pays for one slot. Whatever the order of the members, the answer is the same. */
export function shareSlot(rule: SharingRule, slot: GroupSlot): Result<Sharing, SharingFault> {
  const sorted = checked(slot)
  if (!sorted.ok) return sorted
  const members = sorted.value
  const { tariff, order, seed } = slot
  const demand = sumOf(members.map(({ imported }) => imported))
  const supply = sumOf(members.map(({ exported }) => exported))
  const netted = demand < supply ? demand : supply
  const net = demand - supply
  const nettedIn = allot(
    netted,
    members.map(({ imported }) => imported),
  )
  const nettedOut = allot(
    netted,
    members.map(({ exported }) => exported),
  )
  const apart = members.map(alone)
  const gains =
    rule === 'shapley'
      ? shapleyGains(members, tariff, seed)
      : textbookGains(rule, tariff, { demand, supply, nettedIn, nettedOut }).map(
          (gain, i) => gain + apart[i]! - alone({ ...members[i]!, ...tariff }),
        )
  // What the order changed, by delivered watt-hours.
  const without = costOf(net, tariff)
  const cost = order === undefined ? without : order.energy * order.price + costOf(net - order.energy, tariff)
  const counted = members.map(({ imported, exported }) => imported + exported)
  // Where nobody's meter moved, what the order brought belongs to all alike.
  const moved = counted.some(energy => energy > 0n) ? counted : counted.map(() => 1n)
  const all = sumOf(moved)
  const withOrder = gains.map((gain, i) => gain + floorDiv((without - cost) * moved[i]!, all))
  const kept = keepRational(withOrder)
  const shares = members.map((one, i): Share => {
    const standalone = costFloor(one.imported, one.retail) - costCeil(one.exported, one.feedIn)
    const due = floorDiv(apart[i]! - kept.gains[i]!, 1000n)
    return {
      member: one.member,
      nettedIn: wattHours(nettedIn[i]!),
      nettedOut: wattHours(nettedOut[i]!),
      standalone: micros(standalone),
      payment: micros(due < standalone ? due : standalone),
    }
  })
  const external = -floorDiv(-cost, 1000n)
  const lost = cost - sumOf(apart)
  const reserve = lost > 0n ? lost / 1000n : 0n
  const paid = sumOf(shares.map(({ payment }) => payment))
  return ok({
    name: `${NAMES[rule]}${rule === 'shapley' && members.length > EXACT_MEMBERS ? ', sampled' : ''}${kept.corrected ? ', kept individually rational' : ''}`,
    shares,
    external: micros(external),
    residue: micros(external - paid - reserve),
    reserve: micros(reserve),
  })
}

const NAMES: Readonly<Record<SharingRule, string>> = {
  'mid-market': 'mid-market rate',
  'supply-demand': 'supply/demand ratio',
  shapley: 'Shapley value',
}
