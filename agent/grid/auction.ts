/**
 * The call auction: everybody sends one order a slot to everybody, and clears the same book for himself by the published rule.
 * There is no auctioneer. A buyer awards what its own clearing says to the seller that it says; a seller signs only what its own
 * clearing says as well, so a false one finds nobody to sign.
 *
 *     gate (start - lead)   bids go out
 *     half way to the close offers go out, with the fee of the way to the dearest node that bids, the seller's to pay
 *     close                 two twelfths of the lead later: no order is taken any more
 *     clearing              once a header of the energy ledger is proven whose time is not before the close: its hash draws
 *                           lots among equal orders, and nobody knew it when the orders were made
 *
 * Who sends different orders to different boards makes them clear different books: their pairs do not sign. So boards that disagree
 * show each other their books; two orders of one maker are kept as evidence, passed on to all, and void if seen before the close.
 */
import type { Clock, Entropy, Log, Signer } from '../../drivers/ports.ts'
import { concat, equalBytes, toHex, utf8 } from '../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { type OrderBook, openBook } from '../../protocol/market/book.ts'
import { clear, type Rule, type Trade, tradesOf } from '../../protocol/market/clear.ts'
import {
  assembleSignedOrder,
  encodeOrder,
  makerOf,
  type Order,
  type OrderTerms,
  orderToSign,
  verifyOrder,
} from '../../protocol/market/order.ts'
import { coarsen, LOTS } from '../../protocol/privacy/anonymity.ts'
import { microsPerKwh, type Price, type WattHours, wattHours } from '../../protocol/quantity.ts'
import type { Fault } from '../../protocol/result.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import type { Body, BodyOf } from '../../protocol/trade/message.ts'
import type { GridConfig } from '../config/site-config.ts'
import type { LightAgent } from '../light/run.ts'
import type { Pseudonyms } from '../roles/pseudonyms.ts'
import { beaconOf } from './beacon.ts'
import { type Contracted, deadlines, type Window } from './decide.ts'
import type { FeeDesk } from './fees.ts'
import { pairOf, readMeeting, writeMeeting } from './meet.ts'
import { createRelay } from './relay.ts'

/** The middle of the prices that clear the book. */
const RULE: Rule = { rule: 'pay-as-clear', option: 'midpoint', ties: 'pro-rata' }

export interface CallAuctionOptions {
  readonly grid: GridConfig
  readonly chainId: string
  readonly signer: Signer
  readonly light: LightAgent
  readonly peers: ReadonlyMap<string, Uint8Array>
  readonly fees: FeeDesk
  readonly clock: Clock
  readonly verifier: Verifier
  readonly log: Log
  send(peer: string, body: Body): void
  ownMeter(): string | undefined
  /** What the seller asks for itself now. */
  asked(): Price
  awarded(peer: string, award: BodyOf<'award'>): void
  /** `least`: what must be left of the price after the fee. */
  granted(peer: string, award: BodyOf<'award'>, least: Price): void
  saveEvidence(fault: Fault, bytes: readonly Uint8Array[]): void
  /** Orders under one-time keys, and no others: in lots, from a feeder, at a moment that is drawn, passed on by others. */
  readonly anonymous?: Pick<Pseudonyms, 'keyOf' | 'judge'> & { readonly feeder: string; readonly entropy: Entropy }
}

export interface CallAuction {
  /** This site's own order for a slot: what it lacks, or else what it has left. */
  order(window: Window, lacks: WattHours, left: WattHours): void
  hear(peer: string, body: BodyOf<'order'>): void
  /** Orders and meetings of whoever, where orders are under one-time keys. */
  hearPassed(peer: string, body: BodyOf<'passed'>): void
  /** Whether the award is one of a call auction; it is granted or declined then. */
  hearAward(peer: string, award: BodyOf<'award'>): boolean
  sweep(): void
  /** What is ordered and not cleared, or cleared and not awarded: promised to nobody else. */
  pending(): readonly Contracted[]
  /** Of the last slots, the newest last. */
  cleared(): readonly { readonly start: Instant; readonly orders: number; readonly price?: Price }[]
}

type Wish = Pick<OrderTerms, 'side' | 'quantity' | 'limit' | 'source'>

interface Slot extends Window {
  readonly offerAt: number
  readonly close: Instant
  readonly book: OrderBook
  own?: Order
  /** The own order until its moment has come. */
  wish?: { readonly side: Wish; readonly at: number }
  /** Under one-time keys: what awards are to show, by pair; and what came before our own clearing. */
  readonly awardIds: Map<string, Uint8Array>
  readonly meetings: Uint8Array[]
  /** To be offered once the bids are there. */
  left?: WattHours
  offered: boolean
  /** The first order of each maker that came here, as it was signed. */
  readonly signed: Map<string, Uint8Array>
  /** Who has been shown this book. */
  readonly shown: Set<string>
  /** Makers of two orders, of whom everybody has been told. */
  readonly exposed: Set<string>
  /** Awards that came before our own clearing. */
  readonly early: { readonly peer: string; readonly award: BodyOf<'award'> }[]
  trades?: readonly Trade<Order>[]
  price?: Price
  clearing: boolean
}

export function createCallAuction(options: CallAuctionOptions): CallAuction {
  const { grid, clock, log, light, peers, anonymous } = options
  const slots = new Map<number, Slot>()
  const nameOf = (key: Uint8Array) => [...peers].find(([, known]) => equalBytes(known, key))?.[0]
  const [own, since] = [options.signer.publicKey, clock.now()]
  const relay =
    anonymous &&
    createRelay({
      ...{ peers, clock, entropy: anonymous.entropy, send: options.send },
      take: (what, bytes) => (what === 'order' ? takeOrder(undefined, bytes) : takeMeeting(bytes)),
    })

  /** The book of a slot that may still be traded in by this site's own grid. */
  function slotOf(start: number): Slot | undefined {
    const known = slots.get(start)
    if (known !== undefined) return known
    const now = clock.now()
    if (start % grid.slotMs !== 0 || start <= now || start > now + 2 * grid.leadMs) return undefined
    const window = { start: instant(start), end: instant(start + grid.slotMs) }
    const gate = instant(start - grid.leadMs)
    // Which nodes there are is the distributor's to know: it answers for the way before anything is signed.
    const book = openBook({ slot: window.start, nodes: { has: () => true } }, 2 * (peers.size + 1))
    const close = deadlines(window, gate).sealBy
    const slot: Slot = {
      ...{ ...window, close, offerAt: (gate + close) / 2, book, early: [], offered: false, clearing: false },
      ...{ signed: new Map(), shown: new Set(), exposed: new Set(), awardIds: new Map(), meetings: [] },
    }
    slots.set(start, slot)
    return slot
  }

  function order(window: Window, lacks: WattHours, left: WattHours): void {
    const slot = slotOf(window.start)
    const { buy, sell } = grid
    // What was ordered before a restart nobody here remembers, and a second order would make both void.
    if (slot === undefined || clock.now() >= slot.close || slot.start - grid.leadMs < since) return
    if (buy !== undefined && lacks > 0n) place(slot, { side: 'bid', quantity: lacks, limit: buy.limit }, slot.offerAt)
    else if (sell !== undefined && left > 0n) slot.left = left
  }

  /** At once, or at a moment before that which says nothing of whose it is. */
  function place(slot: Slot, side: Wish, before: number): void {
    if (anonymous === undefined) return void put(slot, side)
    const now = clock.now()
    const drawn = new DataView(anonymous.entropy.bytes(4).slice().buffer).getUint32(0) / 2 ** 32
    // The first half: what is passed on takes a while.
    slot.wish ??= { side, at: now + (drawn * Math.max(0, before - now)) / 2 }
  }

  /** Once for a slot: two orders of one pseudonym are none. */
  async function put(slot: Slot, wish: Wish): Promise<void> {
    if (slot.own !== undefined) return
    const key = anonymous?.keyOf(slot.start, wish.side)
    const coarse = anonymous === undefined ? wish : coarsen(wish, LOTS)
    if (coarse === undefined) return
    if (anonymous !== undefined && key === undefined) {
      return log('warn', 'grid', 'no order', { code: 'auction.no-one-time-key', slot: slot.start, side: wish.side })
    }
    const signer = key?.signer ?? options.signer
    const own = signer.publicKey
    const terms: OrderTerms = {
      ...{ ...wish, ...coarse, pseudonym: own, slot: slot.start, node: anonymous?.feeder ?? grid.node, sequence: 0 },
      ...{ validFrom: instant(slot.start - 2 * grid.leadMs), expiry: slot.start },
      ...(key === undefined ? {} : { certificate: key.certificate, meeting: key.meeting.publicKey }),
    }
    const payload = encodeOrder(terms)
    slot.own = { id: sha256(payload).slice(0, 16), ...terms }
    const signature = await signer.sign(orderToSign(payload, own, options.chainId))
    if (!signature.ok) return log('error', 'grid', 'no order', signature.fault)
    const signed = assembleSignedOrder(payload, own, signature.value)
    slot.book.add(slot.own, clock.now())
    slot.signed.set(makerOf(slot.own), signed)
    if (anonymous !== undefined) relay?.originate('order', signed, slot.close)
    else for (const peer of peers.keys()) options.send(peer, { kind: 'order', order: signed })
  }

  /** Asks for the way to each node that bids, and offers once all answers are there. */
  function offer(slot: Slot, quantity: WattHours): void {
    const { start, end } = slot
    const bids = slot.book.orders().filter(({ side }) => side === 'bid')
    const nodes = new Set(bids.map(({ node }) => node))
    let [open, dearest] = [nodes.size, -1n]
    for (const to of nodes) {
      const id = sha256(concat(utf8(`${start} ${to}`), own)).slice(0, 16)
      options.fees.ask({ id, line: grid.node, to, start, end, energy: quantity }, fee => {
        open--
        if (fee.ok && fee.value > dearest) dearest = fee.value
        if (open > 0 || dearest < 0n || clock.now() >= slot.close) return
        const limit = microsPerKwh(options.asked() + dearest)
        place(slot, { side: 'offer', quantity, limit, source: grid.source }, slot.close)
      })
    }
  }

  async function clearBook(slot: Slot): Promise<void> {
    const beacon = await beaconOf(light, slot.close)
    if (beacon === undefined || slot.trades !== undefined) return
    const orders = slot.book.orders()
    const cleared = clear(orders, RULE, beacon)
    slot.trades = cleared.ok ? tradesOf(orders, cleared.value) : []
    if (!cleared.ok) return log('error', 'grid', 'the book cannot be cleared', cleared.fault)
    if (cleared.value.uniform !== undefined) slot.price = cleared.value.uniform.price
    for (const trade of slot.trades) {
      if (anonymous !== undefined) await meet(slot, trade)
      else if (slot.own !== undefined && equalBytes(trade.bid.id, slot.own.id))
        take(slot, trade, nameOf(trade.offer.pseudonym), pairOf(trade))
    }
    for (const meeting of slot.meetings.splice(0)) hearMeeting(slot, meeting)
    for (const { peer, award } of slot.early.splice(0)) judge(slot, peer, award)
  }

  /** The buyer's word to the seller of its pair. */
  function take(
    slot: Slot,
    { quantity: energy, price }: Trade<Order>,
    seller: string | undefined,
    id: Uint8Array,
  ): void {
    const meter = options.ownMeter()
    if (seller === undefined || grid.refuse.includes(seller) || meter === undefined) return
    const { start, end } = slot
    const award = { kind: 'award', id, as: 'buyer', start, end, energy, price, node: grid.node, meter } as const
    options.awarded(seller, award)
    options.send(seller, award)
  }

  /** The seller of a pair writes to whoever made the bid. */
  async function meet({ own, start, awardIds }: Slot, trade: Trade<Order>): Promise<void> {
    const key = anonymous?.keyOf(start, 'offer')
    if (own === undefined || key === undefined || !equalBytes(trade.offer.id, own.id)) return
    const written = await writeMeeting(trade, key, addressOf(options.signer.publicKey), anonymous!.entropy)
    if (written === undefined) return
    awardIds.set(toHex(pairOf(trade)), written.awardId)
    relay!.originate('meeting', written.sealed, start)
  }

  function hearMeeting(slot: Slot, sealed: Uint8Array): void {
    const { own, start, trades } = slot
    const key = anonymous?.keyOf(start, 'bid')
    if (key === undefined || own?.side !== 'bid' || trades === undefined) return
    const met = readMeeting(sealed, own, trades, key, options.verifier)
    if (met === undefined) return
    // Once: what was awarded is no trade that waits.
    slot.trades = trades.filter(one => one !== met.trade)
    const name = [...peers].find(([, account]) => equalBytes(addressOf(account), met.seller))?.[0]
    take(slot, met.trade, name, met.awardId)
  }

  /** Carried on whoever it is for: nobody but its reader can say. */
  function takeMeeting(sealed: Uint8Array): boolean {
    const now = clock.now()
    const open = [...slots.values()].filter(({ close, start }) => close <= now && now < start)
    for (const slot of open) {
      if (slot.trades !== undefined) hearMeeting(slot, sealed)
      else if (slot.meetings.length <= slot.signed.size) slot.meetings.push(sealed)
    }
    return open.length > 0
  }

  /** Whether it stands in our book now. */
  function takeOrder(peer: string | undefined, bytes: Uint8Array): boolean {
    const read = verifyOrder(bytes, options.chainId, options.verifier)
    const refuse = (code: string) => {
      log('info', 'grid', `${peer ?? 'somebody'}'s order is refused`, { code })
      return false
    }
    if (!read.ok) return refuse(read.fault.code)
    const order = read.value
    const slot = slotOf(order.slot)
    if (slot === undefined) return refuse('order.slot')
    const before = slot.signed.get(makerOf(order))
    // Its signature says enough, whoever brings it.
    const second = before !== undefined && !equalBytes(before, bytes)
    if (anonymous !== undefined) {
      const certified = anonymous.judge(order, order.certificate)
      if (!certified.ok) return refuse(certified.fault.code)
    } else if (!second && (peer === undefined || nameOf(order.pseudonym) !== peer)) {
      // Without one-time keys an order is its sender's own; nobody speaks for another.
      return before === undefined ? refuse('order.not-its-own') : false
    }
    if (second) expose(slot, order, before, bytes)
    if (clock.now() >= slot.close) return refuse('order.book-closed')
    const added = slot.book.add(order, clock.now())
    if (!added.ok) return refuse(added.fault.code)
    if (before === undefined) slot.signed.set(makerOf(order), bytes)
    return true
  }

  /** By what an award names its pair. */
  const idOf = ({ awardIds }: Slot, trade: Trade<Order>): Uint8Array | undefined =>
    anonymous === undefined ? pairOf(trade) : awardIds.get(toHex(pairOf(trade)))

  /** Signed is only what our own clearing says of the same pair. */
  function judge(slot: Slot, peer: string, award: BodyOf<'award'>): void {
    const trade = slot.trades!.find(one => {
      const id = idOf(slot, one)
      return id !== undefined && equalBytes(id, award.id)
    })
    const refuse = (details: object) => {
      options.send(peer, { kind: 'decline', id: award.id, reason: 'auction.other-clearing' })
      show(slot, peer)
      log('warn', 'grid', `${peer} has cleared another book`, { code: 'auction.other-clearing', ...details })
    }
    const { energy, price, node, as, end } = award
    if (trade === undefined || slot.own === undefined || !equalBytes(trade.offer.id, slot.own.id))
      return refuse({ pair: toHex(award.id), price: slot.price ?? 'none', theirs: price })
    const same =
      trade.quantity === energy &&
      trade.price === price &&
      (anonymous !== undefined || (trade.bid.node === node && nameOf(trade.bid.pseudonym) === peer)) &&
      as === 'buyer' &&
      end === slot.end
    if (!same) return refuse({ energy: trade.quantity, theirEnergy: energy, price: trade.price, theirs: price })
    // Once: the same award again finds the deal.
    slot.trades = slot.trades!.filter(one => one !== trade)
    options.granted(peer, award, grid.sell?.reserve ?? trade.price)
  }

  function pendingOf({ start, end, close, own: order, wish, left, trades }: Slot): Contracted[] {
    const now = clock.now()
    if (now >= start) return []
    const of = (role: Contracted['role'], energy: bigint) => [{ role, start, end, energy: wattHours(energy) }]
    const own = order ?? (now < close ? wish?.side : undefined)
    if (own === undefined) return left === undefined || now >= close ? [] : of('seller', left)
    if (trades === undefined || order === undefined) return of(own.side === 'bid' ? 'buyer' : 'seller', own.quantity)
    // What a bid has got is awarded at once.
    const sold = trades.filter(({ offer }) => equalBytes(offer.id, order.id))
    const sum = sold.reduce((so, { quantity }) => so + quantity, 0n)
    return sum === 0n ? [] : of('seller', sum)
  }

  /** Once for each slot, to a peer that clears it otherwise: one of us has been told another order. */
  function show({ signed, shown }: Slot, peer: string): void {
    if (shown.has(peer)) return
    shown.add(peer)
    for (const order of signed.values()) options.send(peer, { kind: 'order', order })
  }

  /** Two orders of one maker for one side of a slot: everybody is to see both. */
  function expose(slot: Slot, order: Order, first: Uint8Array, second: Uint8Array): void {
    const maker = makerOf(order)
    if (slot.exposed.has(maker)) return
    slot.exposed.add(maker)
    const fault = { code: 'auction.equivocation', peer: nameOf(order.pseudonym) ?? toHex(order.pseudonym) }
    log('error', 'grid', 'one maker has signed two orders for one slot', fault)
    options.saveEvidence(fault, [first, second])
    for (const peer of peers.keys())
      for (const bytes of [first, second]) options.send(peer, { kind: 'order', order: bytes })
  }

  return {
    order,
    hear: (peer, { order: bytes }) => void takeOrder(peer, bytes),
    hearPassed: (peer, body) => relay?.hear(peer, body),
    hearAward(peer, award) {
      if (grid.way !== 'auction' || award.agreement !== undefined) return false
      const slot = slots.get(award.start)
      if (slot === undefined) return false
      if (slot.trades !== undefined) judge(slot, peer, award)
      else if (slot.early.length < peers.size) slot.early.push({ peer, award })
      return true
    },
    sweep() {
      const now = clock.now()
      relay?.sweep()
      for (const slot of slots.values()) {
        if (slot.end < now) slots.delete(slot.start)
        if (slot.wish !== undefined && slot.own === undefined && slot.wish.at <= now && now < slot.close)
          void put(slot, slot.wish.side)
        if (slot.left !== undefined && !slot.offered && now >= slot.offerAt) {
          slot.offered = true
          offer(slot, slot.left)
        }
        if (slot.trades !== undefined || slot.clearing || now < slot.close || now >= slot.start) continue
        slot.clearing = true
        void clearBook(slot).finally(() => {
          slot.clearing = false
        })
      }
    },
    pending: () => [...slots.values()].flatMap(slot => pendingOf(slot)),
    cleared: () =>
      [...slots.values()].flatMap(({ start, book, trades, price }) =>
        trades === undefined
          ? []
          : [{ start, orders: book.orders().length, ...(price === undefined ? {} : { price }) }],
      ),
  }
}
