/**
 * A store's customer an hour ahead: stands on the ledger, slot by slot, with an order to give or take more at its own price, and
 * makes the contract when the store calls on it within that order. Nobody has to: what is not configured is not offered.
 */
import { equalBytes, fromHex } from '../../protocol/bytes.ts'
import { HOUR_AHEAD_MS } from '../../protocol/ledger/rules/plans.ts'
import { type Price, type WattHours, wattHours } from '../../protocol/quantity.ts'
import type { BodyOf, Message } from '../../protocol/trade/message.ts'
import type { Part, PartOptions } from './part.ts'

const QUARTER_MS = 900_000
const THINK_MS = 10_000
/** Before the gate, so that the order stands in a block when it closes. */
const LEAD_MS = 180_000
const LATEST_MS = 30_000
/** Slots of the past that are still remembered. */
const KEPT_SLOTS = 16
/** Awards that came are few a slot. */
const MAX_HEARD = 64

type Side = 'sell' | 'buy'

export interface BalanceOfferOptions
  extends Pick<PartOptions, 'energy' | 'post' | 'clock' | 'timers' | 'log' | 'health'> {
  /** The store, and what is offered: a price for each side, and how much of a slot. */
  readonly peer: string
  readonly balance: { readonly sell?: Price; readonly buy?: Price; readonly most: WattHours }
  meterId(): string | undefined
  /** The agreement in force with the store, in hex. */
  agreement(): string | undefined
  /** The contract is made, if so much of its price is left after the fee. */
  granted(peer: string, award: BodyOf<'award'>, least?: Price): void
}

export function createBalanceOffer(options: BalanceOfferOptions): Part {
  const { clock, timers, energy, balance } = options
  /** By slot and side: what is left of an order that was handed in. */
  const orders = new Map<string, { left: bigint; readonly slot: number }>()
  const heard = new Set<string>()
  let cancel = () => {}
  let busy = false
  let closing = false

  async function order(slot: number, side: Side, limit: Price, meterId: string): Promise<void> {
    const body = { meterId, slot, side, energy: balance.most, limit }
    orders.set(`${slot}/${side}`, { left: balance.most, slot })
    const sent = await energy.account.submit({ kind: 'order', body })
    options.health('store.order', sent.ok ? undefined : sent.fault)
    if (!sent.ok) orders.delete(`${slot}/${side}`)
  }

  async function think(): Promise<void> {
    const slot = Math.floor((clock.now() + HOUR_AHEAD_MS + LEAD_MS) / QUARTER_MS)
    const [gate, meterId] = [slot * QUARTER_MS - HOUR_AHEAD_MS, options.meterId()]
    const open = clock.now() < gate - LATEST_MS && options.agreement() !== undefined
    if (busy || closing || !open || meterId === undefined) return
    busy = true
    for (const side of ['sell', 'buy'] as const) {
      const limit = balance[side]
      if (limit !== undefined && !orders.has(`${slot}/${side}`)) await order(slot, side, limit, meterId)
    }
    for (const [name, one] of orders) if (one.slot < slot - KEPT_SLOTS) orders.delete(name)
    busy = false
  }

  function hearAward(award: BodyOf<'award'>): void {
    const { id, as, start, end, energy: quantity, price } = award
    const agreement = options.agreement()
    if (award.agreement === undefined || agreement === undefined) return
    if (!equalBytes(award.agreement, fromHex(agreement)!) || heard.has(String(id))) return
    if (heard.size >= MAX_HEARD) heard.clear()
    heard.add(String(id))
    const side: Side = as === 'buyer' ? 'sell' : 'buy'
    const limit = balance[side]
    const ours = orders.get(`${start / QUARTER_MS}/${side}`)
    const within = side === 'sell' ? price >= limit! : price <= limit!
    if (ours === undefined || limit === undefined || !within || quantity > ours.left || end - start !== QUARTER_MS) {
      const reason = ours === undefined ? 'store.no-order' : 'store.beyond-order'
      return void options.post.send(options.peer, { kind: 'decline', id, reason }, { reliable: true })
    }
    ours.left = wattHours(ours.left - quantity)
    options.granted(options.peer, award, side === 'sell' ? limit : undefined)
  }

  return {
    start() {
      cancel = timers.every(THINK_MS, () => void think())
    },
    onMessage(peer, { body }: Message) {
      if (peer === options.peer && body.kind === 'award' && !closing) hearAward(body)
    },
    windDown() {
      closing = true
    },
    stop: () => cancel(),
  }
}
