/**
 * What a store agrees to, decided from what is known: offers of standing agreements, and awards under one. Pure; storage.ts
 * carries it out.
 */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import type { Agreement } from '../../protocol/ledger/service-tables.ts'
import { createNetworkCheck, type Grid, type Move, type Verdict } from '../../protocol/market/network-check.ts'
import { type Price, type WattHours, wattHours } from '../../protocol/quantity.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Instant } from '../../protocol/time.ts'
import type { Party } from '../../protocol/trade/contract.ts'
import type { BodyOf } from '../../protocol/trade/message.ts'

const QUARTER_MS = 900_000
/** A contract and its payment want some blocks before the slot; a day is the longest contract. */
const LEAST_LEAD_MS = 5_000
const MOST_AHEAD_MS = 86_400_000

/** What the operator has to give, and its conditions. Energies at the store's grid meter, in a quarter of an hour. */
export interface StoreSettings {
  readonly node: string
  readonly capacity: WattHours
  readonly reserve: WattHours
  readonly charge: WattHours
  readonly discharge: WattHours
  readonly chargePermille: number
  readonly dischargePermille: number
  /** It pays no more, and asks no less. */
  readonly storePrice: Price
  readonly returnPrice: Price
  /** For one customer. */
  readonly most: WattHours
  readonly noticeMs: number
}

/** An agreement as the ledger has it, and where its meter hangs. */
export interface Customer {
  readonly agreement: Agreement
  readonly node: string
}

/** A slot's energy that is granted: `role` is the store's. */
export interface StoreDeal {
  readonly agreement: string
  readonly role: Party
  readonly start: Instant
  readonly end: Instant
  readonly energy: WattHours
  readonly price: Price
  readonly node: string
  readonly meter: string
}

// --- An offer

/**
 * Why an offer is rejected, as the ledger is told; undefined where it is accepted. The network has to bear it that everybody
 * sends the most at a time, and that everybody takes it.
 */
export function whyRejected(
  offer: Customer,
  accepted: readonly Customer[],
  settings: StoreSettings,
  grid: Grid | undefined,
): string | undefined {
  const { storePrice, returnPrice, most, noticeMs } = offer.agreement
  if (storePrice > settings.storePrice) return `pays ${settings.storePrice} a kWh at most, not ${storePrice}`
  if (returnPrice < settings.returnPrice) return `asks ${settings.returnPrice} a kWh at least, not ${returnPrice}`
  if (most > settings.most) return `takes ${settings.most} Wh a quarter at most, not ${most}`
  if (noticeMs > settings.noticeMs) return `gives ${settings.noticeMs} ms of notice at most, not ${noticeMs}`
  if (grid === undefined) return undefined
  for (const way of ['in', 'out'] as const) {
    const network = createNetworkCheck(grid)
    const moveOf = ({ node, agreement }: Customer): Move => ({
      slot: 0,
      energy: agreement.most,
      ...(way === 'in' ? { from: node, to: settings.node } : { from: settings.node, to: node }),
    })
    for (const one of accepted) network.place(moveOf(one))
    const verdict = network.judge(moveOf(offer))
    if (verdict.kind !== 'accepted') return inWords(verdict)
  }
  return undefined
}

function inWords(verdict: Exclude<Verdict, { kind: 'accepted' }>): string {
  const { why } = verdict
  const room = verdict.kind === 'curtailed' ? `; room for ${verdict.energy} Wh a quarter` : ''
  if (why.code === 'network.line') {
    const flow = why.flow < 0n ? -why.flow : why.flow
    return `line ${why.line}: ${flow} Wh a quarter, ${why.by} above its capacity${room}`
  }
  if (why.code === 'network.voltage')
    return `voltage at ${why.node}: ${why.voltage} mV, ${why.by} beyond ${why.limit}${room}`
  return 'node' in why ? `no node ${why.node}` : why.code
}

// --- An award

/** What the store knows when an award comes. */
export interface StoreState {
  readonly now: Instant
  readonly own: Uint8Array
  readonly settings: StoreSettings
  /** Of the agreement that the award names; absent: not known, or ended. */
  readonly customer: Customer | undefined
  /** Energy in the store now; absent: not known, and nothing is agreed. */
  readonly stored: WattHours | undefined
  /** What is granted already and not over, whoever it is for. */
  readonly granted: readonly StoreDeal[]
}

/** Whether the store stands by its agreement for this slot: price, quantity, power, room in the store. `peer` is the sender's address. */
export function judgeAward(award: BodyOf<'award'>, peer: Uint8Array, state: StoreState): Result<StoreDeal> {
  const { now, own, settings, customer, stored, granted } = state
  const { start, end, energy, price, as, node, meter } = award
  const refuse = (what: string, details: Omit<Fault, 'code'> = {}) => fail({ code: `store.${what}`, ...details })
  if (award.agreement === undefined || customer === undefined) return refuse('no-agreement')
  const { agreement } = customer
  if (!equalBytes(agreement.owner, peer) || !equalBytes(agreement.storage, own)) {
    return refuse('not-a-party', { owner: toHex(agreement.owner), sender: toHex(peer) })
  }
  if (agreement.state !== 'accepted' && agreement.state !== 'ending')
    return refuse('not-accepted', { state: agreement.state })
  if (meter !== agreement.meterId) return refuse('meter', { agreed: agreement.meterId, meter })
  if (node !== customer.node) return refuse('node', { agreed: customer.node, node })
  // What only both sign is no two-meter receipt.
  if (award.receipts !== undefined) return refuse('sealed-receipts')
  if (end <= start || end - start > QUARTER_MS || start < now + LEAST_LEAD_MS || start > now + MOST_AHEAD_MS) {
    return refuse('window', { start, end, now })
  }
  if (start < agreement.from || end > (agreement.ends ?? end)) {
    return refuse('outside-agreement', { start, end, from: agreement.from, ends: agreement.ends })
  }
  const agreed = as === 'seller' ? agreement.storePrice : agreement.returnPrice
  if (price !== agreed) return refuse('price', { agreed, price })
  const role: Party = as === 'seller' ? 'buyer' : 'seller'
  const id = toHex(award.agreement)
  const meanwhile = granted.filter(one => one.start < end && start < one.end)
  // A meter buys in a window or sells, and its windows are equal or apart (protocol/ledger/rules/windows.ts).
  const other = meanwhile.find(one => one.role !== role || one.start !== start || one.end !== end)
  if (other !== undefined) return refuse('other-window', { start: other.start, end: other.end, role: other.role })
  const sum = (deals: readonly StoreDeal[]) => deals.reduce((all, one) => all + one.energy, 0n)
  const mostOf = (perQuarter: bigint) => (perQuarter * BigInt(end - start)) / BigInt(QUARTER_MS)
  const ofIt = sum(meanwhile.filter(one => one.agreement === id))
  if (ofIt + energy > mostOf(agreement.most)) {
    return refuse('most', { most: mostOf(agreement.most), granted: ofIt, wanted: energy })
  }
  const power = mostOf(role === 'buyer' ? settings.charge : settings.discharge)
  if (sum(meanwhile) + energy > power) return refuse('power', { most: power, granted: sum(meanwhile), wanted: energy })
  if (stored === undefined) return refuse('state-of-charge-unknown')
  const room = roomFor(role, settings, stored, granted)
  if (energy > room) return refuse(role === 'buyer' ? 'full' : 'empty', { stored, room, wanted: energy })
  return ok({ agreement: id, role, start, end, energy, price, node, meter })
}

/**
 * What can still be granted, at the store's meter, rounded down. What is granted the other way makes no room: it may never be
 * delivered.
 */
function roomFor(role: Party, settings: StoreSettings, stored: WattHours, granted: readonly StoreDeal[]): WattHours {
  const { capacity, reserve, chargePermille, dischargePermille } = settings
  const held = granted.filter(one => one.role === role).reduce((all, one) => all + one.energy, 0n)
  const [inside, permille, per] =
    role === 'buyer'
      ? [capacity - stored, 1000n, BigInt(chargePermille)]
      : [stored - reserve, BigInt(dischargePermille), 1000n]
  const room = (inside * permille) / per - held
  return wattHours(room > 0n ? room : 0n)
}
