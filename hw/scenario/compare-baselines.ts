/** The two columns of Table 1 that are not ours: a central operator, and trading without a ledger, on the slots of our own street. */
import { createSigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import { dispatchCentrally, type NamedOrder } from '../../protocol/market/central.ts'
import { clear, tradesOf } from '../../protocol/market/clear.ts'
import { type SlotSite, type SupplierPrices, tradeNothing } from '../../protocol/market/no-trade.ts'
import { costFloor, microsPerKwh, type WattHours } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import {
  assembleSignedContract,
  contractToSign,
  encodeContract,
  verifySignatures,
} from '../../protocol/trade/contract.ts'
import { COMPARE_SLOT_MS } from './compare-modes.ts'

/** A supplier's prices in much of Europe: what is drawn and what is fed in. */
export const PRICES: SupplierPrices = { drawn: microsPerKwh(300_000n), fedIn: microsPerKwh(50_000n) }
/** What ad hoc trading pays its distributor on this street, at most two lines of a cent. */
export const FEE = microsPerKwh(20_000n)
/** The limits that the street's configurations name. */
const LIMITS = { bid: microsPerKwh(280_000n), offer: microsPerKwh(90_000n) }
/** Nobody drew before the book closed; there is nothing to be drawn among equal orders here. */
const BEACON = new Uint8Array(32)

/** One way of trading, as Table 1 compares them. */
export interface Column {
  readonly entities: readonly string[]
  /** Processes without which no deal of others closes. */
  readonly single_points_of_failure: readonly string[]
  /** Processes with a say between two traders. */
  readonly third_parties: number
  readonly verified_by: string
  readonly messages_per_deal: number
  readonly ledger_transactions_per_deal: number
  readonly signed_after_ms: number | null
  /** Of the whole street, for each kWh that it used or made, against 0 without any trade. */
  readonly saved_micro_per_kwh: number
  /** What the seller of a deal loses when its buyer does not pay. */
  readonly lost_to_a_defaulter_micro: number
  readonly paid_in: string
  /** Sites that one site can trade with. */
  readonly reach: number
  readonly an_observer_learns: readonly string[]
}

export const ratio = (a: number, b: number): number => Math.round((100 * a) / b) / 100

export const perKwh = (micros: bigint, wh: bigint): number => (wh === 0n ? 0 : Number((micros * 1000n) / wh))

/** Orders as the street's sites would give them: all that they are short of, and all that they have left over. */
const ordersOf = (sites: readonly SlotSite[]): readonly NamedOrder[] =>
  sites.flatMap(({ site, imported, exported }, index): NamedOrder[] => {
    const order = (side: 'bid' | 'offer', quantity: WattHours): NamedOrder[] =>
      quantity === 0n
        ? []
        : [
            {
              id: sha256(utf8(`${site} ${side}`)).subarray(0, 16),
              side,
              quantity,
              limit: LIMITS[side],
              sequence: index,
              site,
            },
          ]
    return [...order('bid', imported), ...order('offer', exported)]
  })

const total = (sites: readonly SlotSite[]) => sites.reduce((sum, one) => sum + one.imported + one.exported, 0n)

/** The same slots under one operator that sees everything. */
export function central(slots: readonly (readonly SlotSite[])[]): Column {
  let [gain, passed, messages, deals] = [0n, 0n, 0, 0]
  const learns = new Set<string>()
  const needs = new Set<string>()
  for (const sites of slots) {
    const orders = ordersOf(sites)
    const played = must(dispatchCentrally({ sites, orders, prices: PRICES, fee: FEE }))
    gain += played.money + played.fees - must(tradeNothing(sites, PRICES)).money - played.fees
    passed += total(sites)
    messages += played.messages
    deals += orders.length
    for (const { observer, learns: what, sites: of } of played.observations) learns.add(`${observer}: ${what} of ${of}`)
    for (const process of played.needs) needs.add(process)
  }
  return {
    entities: ['household', 'operator'],
    single_points_of_failure: [...needs],
    third_parties: 1,
    verified_by: 'the operator',
    messages_per_deal: ratio(messages, Math.max(1, deals)),
    ledger_transactions_per_deal: 0,
    signed_after_ms: null,
    saved_micro_per_kwh: perKwh(gain, passed),
    // Everything that it was paid and has not passed on yet: a slot of the street.
    lost_to_a_defaulter_micro: Number(gain / BigInt(Math.max(1, slots.length))),
    paid_in: 'bank',
    reach: slots[0]!.length - 1,
    an_observer_learns: [...learns],
  }
}

/** The same slots by contracts that both sign and nobody locks money for; one buyer in three does not pay. */
export function withoutLedger(slots: readonly (readonly SlotSite[])[]): Column {
  const verifier = createVerifier()
  const keyOf = (site: string) => createSigner(sha256(utf8(`promise of ${site}`)))
  let [gain, passed, messages, deals, unpaid, defaults] = [0n, 0n, 0, 0, 0n, 0n]
  for (const sites of slots) {
    const orders = ordersOf(sites)
    const rule = { rule: 'pay-as-bid', k: 500, ties: 'first-come' } as const
    const trades = tradesOf(orders, must(clear(orders, rule, BEACON)))
    passed += total(sites)
    // A request to everybody, a bid from every seller, an award, two halves of a contract, and a word that it was paid.
    messages += orders.length * (sites.length - 1) + 4 * trades.length
    for (const [index, { bid, offer, quantity, price }] of trades.entries()) {
      const [seller, buyer] = [keyOf(offer.site), keyOf(bid.site)]
      const bytes = encodeContract({
        chainId: 'none',
        line: 'grid',
        to: 'grid',
        seller: addressOf(seller.publicKey),
        buyer: addressOf(buyer.publicKey),
        sellerMeter: offer.site,
        buyerMeter: bid.site,
        start: instant(0),
        end: instant(COMPARE_SLOT_MS),
        energy: quantity,
        price,
        lossPermille: 0,
        receiptWindowMs: 60_000,
        disputeWindowMs: 60_000,
        nonce: sha256(utf8(`${deals} ${index}`)).subarray(0, 16),
      })
      const half = (key: typeof seller) =>
        assembleSignedContract(bytes, key.publicKey, key.signNow(contractToSign(bytes, key.publicKey)))
      must(verifySignatures(bytes, half(seller), half(buyer), seller.publicKey, buyer.publicKey, verifier))
      deals++
      gain += costFloor(quantity, microsPerKwh(PRICES.drawn - PRICES.fedIn - FEE))
      if (deals % 3 !== 0) continue
      // Signed, delivered, and nothing to collect it from.
      unpaid += costFloor(quantity, price)
      defaults++
    }
  }
  return {
    entities: ['household'],
    single_points_of_failure: [],
    third_parties: 0,
    verified_by: 'the two parties',
    messages_per_deal: ratio(messages, Math.max(1, deals)),
    ledger_transactions_per_deal: 0,
    signed_after_ms: null,
    saved_micro_per_kwh: perKwh(gain, passed),
    lost_to_a_defaulter_micro: Number(unpaid / (defaults === 0n ? 1n : defaults)),
    paid_in: 'bank',
    reach: slots[0]!.length - 1,
    an_observer_learns: ['neighbour: identity, quantity and limit of everybody it asks'],
  }
}
