/**
 * Homes that trade their surplus hour by hour under the real rules: forecast from their own history, orders, clearing by the
 * published rule, settlement by deviation, or sharing in a community group by signed readings; and the bill of each.
 */
import { weekendClass } from '../../protocol/forecast/forecast.ts'
import { clearnessOf } from '../../protocol/forecast/generation.ts'
import { forecastNet } from '../../protocol/forecast/net.ts'
import { type BilledSlot, type BilledTrade, billOf } from '../../protocol/market/bill.ts'
import { clear, type Rule, tradesOf } from '../../protocol/market/clear.ts'
import { type MemberSlot, shareSlot } from '../../protocol/market/sharing.ts'
import { microsPerKwh, type Price, wattHours } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import { type SlotContract, settleSlot, sharesOf } from '../../protocol/trade/deviation.ts'
import { HOUR_MS, type Home, PROFILES_START } from './profiles.ts'

export const IMPORT = microsPerKwh(300_000n)
export const FEED_IN = microsPerKwh(50_000n)
export const FEE = microsPerKwh(50_000n)
const TARIFF = { drawn: IMPORT, fedIn: FEED_IN }
/** The balancing party's for a shortfall: what it loses between drawing and feeding in at the worst. */
export const SHORTFALL = microsPerKwh(IMPORT - FEED_IN)
const RULE: Rule = { rule: 'pay-as-clear', option: 'midpoint', ties: 'pro-rata' }
const BEACON = new Uint8Array(32)
const NOBODY = wattHours(0n)

/** Import less export of each hour by home, whole Wh. */
export type Nets = readonly (readonly number[])[]

export const netsOf = (homes: readonly Home[]): Nets =>
  homes.map(({ load, generation }) => load.map((used, i) => Math.round(Number(used - generation[i]!) / 1000)))

export interface Outcome {
  /** Micro-units that each home gained over the hours; negative where it paid. */
  readonly money: readonly bigint[]
  /** Wh that changed hands. */
  readonly traded: number
}

const total = (money: readonly bigint[]): bigint => money.reduce((sum, one) => sum + one, 0n)
/** What the home that gained least gained, in micro-units. */
export const leastSaved = (ours: Outcome, none: Outcome): bigint =>
  ours.money.map((money, i) => money - none.money[i]!).reduce((least, one) => (one < least ? one : least))
export const costOf = ({ money }: Outcome): number => -Number(total(money)) / 1e6

/** Each hour's nets, and its number. */
function* hoursOf(nets: Nets): Generator<readonly [number[], number]> {
  for (let hour = 0; hour < nets[0]!.length; hour++) yield [nets.map(net => net[hour]!), hour]
}

const meteredOf = (net: number) => ({
  imported: wattHours(BigInt(Math.max(0, net))),
  exported: wattHours(BigInt(Math.max(0, -net))),
})

/** One home's bill of one hour; the bill makes sure that nothing is booked twice. */
function billed(hour: number, net: number, trades: readonly BilledTrade[]): bigint {
  const slot: BilledSlot = {
    start: instant(PROFILES_START + hour * HOUR_MS),
    tariff: TARIFF,
    metered: meteredOf(net),
    trades,
  }
  return must(billOf([slot])).money
}

export function withoutTrading(nets: Nets): Outcome {
  return { money: nets.map(net => net.reduce((sum, one, hour) => sum + billed(hour, one, []), 0n)), traded: 0 }
}

/** The most that netting within the hour can save, had everybody known everything: every Wh that some send and others draw. */
export function perfectNetting(nets: Nets): number {
  let traded = 0
  for (const [hour] of hoursOf(nets)) {
    const drawn = hour.reduce((sum, net) => sum + Math.max(0, net), 0)
    const sent = hour.reduce((sum, net) => sum + Math.max(0, -net), 0)
    traded += Math.min(drawn, sent)
  }
  return traded
}

/** Micro-units that so many traded Wh save all together. */
export const savedBy = (wh: number): number => (wh * Number(IMPORT - FEED_IN - FEE)) / 1000

// --- Orders before the hour

/** What orders of these sizes could deliver, if what one contract leaves of a meter's energy went to its owner's others. */
export function deliverable(nets: Nets, expect: Expect): number {
  let traded = 0
  for (const [hour, number] of hoursOf(nets)) {
    let [sent, drawn] = [0, 0]
    for (const [home, net] of hour.entries()) {
      const expected = expect(home, number)
      if (expected === undefined) continue
      sent += Math.max(0, Math.min(-net, -expected.least))
      drawn += Math.max(0, Math.min(net, expected.most))
    }
    traded += Math.min(sent, drawn)
  }
  return traded
}

/** What a home expects to draw at most and at least in an hour, Wh; undefined where it cannot say. */
export type Expect = (home: number, hour: number) => { readonly most: number; readonly least: number } | undefined

/** `aheadHours` before the hour, or the midnight before with 24; the quantile for what is bought and sold. */
export function expectFrom(homes: readonly Home[], aheadHours: 1 | 24, permille: number): Expect {
  const histories = homes.map(({ load, generation }) => {
    const made = { start: PROFILES_START, slotMs: HOUR_MS, energies: generation }
    return {
      load: { start: PROFILES_START, slotMs: HOUR_MS, energies: load },
      generation: made,
      clearness: clearnessOf(made),
    }
  })
  const offsetAt = () => 0
  const permilles = permille < 500 ? [permille, 1000 - permille] : [1000 - permille, permille]
  return (home, hour) => {
    const from = instant(PROFILES_START + hour * HOUR_MS)
    const midnight = instant(Math.floor(from / 86_400_000) * 86_400_000)
    const now: Instant = aheadHours === 1 ? from : midnight
    const asked = { from, slots: 1, now, permilles, offsetAt, classAt: weekendClass(offsetAt) }
    const forecast = forecastNet(histories[home]!, asked)
    const slot = forecast.ok ? forecast.value.slots[0]! : undefined
    if (slot === undefined || !('energies' in slot)) return undefined
    const [low, high] = slot.energies.map(energy => Math.round(Number(energy) / 1000)) as [number, number]
    return permille < 500 ? { most: low, least: high } : { most: high, least: low }
  }
}

export const expectTruth =
  (nets: Nets): Expect =>
  (home, hour) => ({ most: nets[home]![hour]!, least: nets[home]![hour]! })

/** How far a delivery may fall short of its contract free of charge: wholly, or by permille of it. */
export type Terms = 'as-available' | { readonly tolerancePermille: number }

/**
 * Who contracts with whom: `book`, the pairs of the clearing; `mesh`, every buyer with every seller, each pair by the parts of
 * both in what all expect.
 */
export type Pairing = 'book' | 'mesh'

export function byOrders(nets: Nets, expect: Expect, terms: Terms, pairing: Pairing): Outcome {
  const money = nets.map(() => 0n)
  let traded = 0
  for (const [hour, number] of hoursOf(nets)) {
    const orders = hour.flatMap((_, home) => {
      const expected = expect(home, number)
      if (expected === undefined) return []
      const order = (side: 'bid' | 'offer', quantity: number) =>
        quantity < 1
          ? []
          : [
              {
                id: Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? home : i === 1 && side === 'bid' ? 1 : 0)),
                side,
                quantity: wattHours(BigInt(quantity)),
                // The seller's limit holds the fee, so that a match pays it.
                limit: side === 'bid' ? IMPORT : microsPerKwh(FEED_IN + FEE),
                sequence: 0,
                home,
              },
            ]
      return [...order('bid', expected.most), ...order('offer', -expected.least)]
    })
    const clearing = must(clear(orders, RULE, BEACON))
    const price = clearing.uniform?.price
    const bids = orders.filter(({ side }) => side === 'bid')
    const offers = orders.filter(({ side }) => side === 'offer')
    const pairs =
      pairing === 'book'
        ? tradesOf(orders, clearing).map(({ bid, offer, quantity }) => ({ bid, offer, quantity }))
        : bids.flatMap(bid => offers.map(offer => ({ bid, offer, quantity: meshed(bid, offer, bids, offers) })))
    const contracts = pairs.flatMap(({ bid, offer, quantity }, i): SlotContract[] =>
      quantity < 1n || price === undefined || bid.home === offer.home
        ? []
        : [
            {
              id: String(i).padStart(4, '0'),
              sellerMeter: String(offer.home),
              buyerMeter: String(bid.home),
              energy: quantity,
              price,
              tolerance:
                terms === 'as-available' ? quantity : wattHours((quantity * BigInt(terms.tolerancePermille)) / 1000n),
            },
          ],
    )
    const settled = must(
      settleSlot({
        contracts,
        exported: new Map(hour.map((net, home) => [String(home), meteredOf(net).exported])),
        imported: new Map(hour.map((net, home) => [String(home), meteredOf(net).imported])),
        prices: { feedIn: FEED_IN, drawn: IMPORT, shortfall: SHORTFALL },
      }),
    )
    const trades = hour.map((): BilledTrade[] => [])
    for (const { id, delivered, seller, buyer } of settled.contracts) {
      const contract = contracts.find(one => one.id === id)!
      const common = { contract: id, delivered, price: contract.price }
      trades[Number(contract.sellerMeter)]!.push({ ...common, side: 'sold', fee: FEE, shortfall: seller.charge })
      trades[Number(contract.buyerMeter)]!.push({
        ...common,
        side: 'bought',
        fee: microsPerKwh(0n),
        shortfall: buyer.charge,
      })
      traded += Number(delivered)
    }
    for (const [home, net] of hour.entries()) money[home]! += billed(number, net, trades[home]!)
  }
  return { money, traded }
}

interface Sized {
  readonly quantity: bigint
}

function meshed(bid: Sized, offer: Sized, bids: readonly Sized[], offers: readonly Sized[]) {
  const sum = (all: readonly Sized[]) => all.reduce((one, { quantity }) => one + quantity, 0n)
  const [wanted, offered] = [sum(bids), sum(offers)]
  // Each contract may take the whole of the smaller side's part in the other: what is metered decides.
  return wattHours((bid.quantity * offer.quantity) / (wanted < offered ? wanted : offered))
}

// --- Sharing after the hour

/**
 * A storage operator with a standing agreement: it takes what the group would feed in and gives what it would draw, at fixed
 * prices. Between the two lie both fees, what the battery loses, and the operator's margin.
 */
export interface Storage {
  readonly capacityWh: number
  readonly powerW: number
  /** Per kWh: what a home gets for energy stored, after the fee, and pays for energy back, fee included. */
  readonly gets: Price
  readonly pays: Price
  /** Kept of a Wh there and back. */
  readonly keptPermille: number
}

export interface Shared extends Outcome {
  /** What the storage operator gained, fees paid. */
  readonly operator: bigint
}

/** A community group nets what its members' meters signed, at the mid-market rate; each Wh netted pays the fee. */
export function bySharing(nets: Nets, storage?: Storage): Shared {
  const money = nets.map(() => 0n)
  let [traded, operator, held] = [0, 0n, 0]
  for (const [hour] of hoursOf(nets)) {
    const members = hour.map(
      (net, home): MemberSlot => ({
        member: Uint8Array.from({ length: 20 }, (_, i) => (i === 0 ? home : 0)),
        retail: IMPORT,
        feedIn: FEED_IN,
        ...meteredOf(net),
      }),
    )
    const tariff = { retail: IMPORT, feedIn: FEED_IN }
    const { shares } = must(shareSlot('mid-market', { members, tariff, seed: BEACON }))
    const rest = hour.map((net, home) => net + Number(shares[home]!.nettedOut - shares[home]!.nettedIn))
    for (const [home, { payment, nettedOut, nettedIn }] of shares.entries()) {
      traded += Number(nettedOut)
      // The fee is halved between who sends and who draws, and rounded up.
      const moved = nettedOut === NOBODY ? nettedIn : nettedOut
      money[home]! -= payment + (moved * FEE + 1999n) / 2000n
    }
    if (storage === undefined) continue
    const sum = rest.reduce((all, one) => all + one, 0)
    const room = Math.floor(((storage.capacityWh - held) * 1000) / storage.keptPermille)
    const most = Math.min(Math.abs(sum), storage.powerW, sum < 0 ? room : held)
    held += sum < 0 ? Math.floor((most * storage.keptPermille) / 1000) : -most
    traded += most
    const claims = rest.map((one, home) => ({ id: String(home), energy: wattHours(BigInt(Math.abs(one))) }))
    for (const [id, energy] of sharesOf(wattHours(BigInt(most)), claims)) {
      const gain = sum < 0 ? (energy * (storage.gets - FEED_IN)) / 1000n : (energy * (IMPORT - storage.pays)) / 1000n
      money[Number(id)]! += gain
      operator += sum < 0 ? -(energy * (storage.gets + FEE)) / 1000n : (energy * (storage.pays - FEE)) / 1000n
    }
  }
  return { money, traded, operator }
}
