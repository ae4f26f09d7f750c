/**
 * Rewards of a store: whose energy it gave out is kept by protocol/market/consumed-reward.ts from settled deals, points are
 * issued for what another has consumed, and what an owner redeems becomes what its agreement says: coins, or credit that is
 * paid back as far as the owner has bought from the store.
 */
import { fromHex, toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import type { DealRecord } from '../../protocol/ledger/deal-record.ts'
import { POINTS, REWARDED } from '../../protocol/ledger/service-tables.ts'
import { accountId } from '../../protocol/ledger/state.ts'
import { DEALS } from '../../protocol/ledger/tables.ts'
import { createProvenance, type Provenance, type ProvenanceTotals } from '../../protocol/market/consumed-reward.ts'
import { costFloor, type Money, micros, type Price, type WattHours, wattHours } from '../../protocol/quantity.ts'
import { big, bytes, decodeAs, encodeAs, list, record, text, word } from '../../protocol/record.ts'
import type { Result } from '../../protocol/result.ts'
import { later, type Mono } from '../../protocol/time.ts'
import type { Deal } from '../../protocol/trade/deal-state.ts'
import type { SignedTx } from '../trading/account.ts'
import type { DealInfo } from '../trading/trading.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'
import type { Customer, StoreSettings } from './store-terms.ts'

const THINK_MS = 30_000
/** Some blocks, until what was handed in is seen. */
const AGAIN_MS = 120_000
/** Deals that are remembered as booked: more than the grid's own list shows. */
const MAX_DEALS = 1000
const MAX_LOTS = 10_000
const MAX_RECORD_BYTES = 4 * 1024 * 1024

const hex = text(/^[0-9a-f]{0,64}$/)
const wh = big<WattHours>(0n, 2n ** 62n)
const money = big<Money>(0n, 2n ** 62n)
const issue = record({ deal: [1, hex], holder: [2, hex], amount: [3, wh] })
/** Of an owner: points issued and seen on the ledger, of them settled; credit not yet given, purchases not yet credited. */
const holding = record({ holder: [1, hex], issued: [2, wh], settled: [3, wh], credit: [4, money], bill: [5, money] })
const count = big(0n, 2n ** 63n - 1n)
/** What is owed in coins: `tx` is what was signed for it and may stand in a block. */
const payment = record(
  { holder: [1, hex], amount: [2, money], as: [3, word('coins', 'credited')] },
  { tx: [4, record({ bytes: [1, bytes(1, 1024)], sequence: [2, count], expiry: [3, count] })] },
)
const kept = record(
  {
    lots: [1, list(record({ deal: [1, hex], left: [2, wh] }, { owner: [3, hex] }), 0, MAX_LOTS)],
    deals: [2, list(hex, 0, MAX_DEALS)],
    sums: [
      3,
      record({
        putIn: [1, wh],
        found: [2, wh],
        rewarded: [3, wh],
        takenBack: [4, wh],
        unowned: [5, wh],
        lost: [6, wh],
      }),
    ],
    owed: [4, list(issue, 0, MAX_LOTS)],
    holdings: [5, list(holding, 0, MAX_DEALS)],
  },
  /** Absent where nothing is on its way. */
  { payments: [6, list(payment, 1, MAX_DEALS)] },
)

type Outcome = NonNullable<DealRecord['outcome']>
interface Issue {
  readonly deal: string
  readonly holder: string
  readonly amount: WattHours
}
interface Payment {
  readonly holder: string
  readonly amount: Money
  readonly as: 'coins' | 'credited'
  tx?: SignedTx | undefined
}
interface Holding {
  readonly holder: string
  issued: WattHours
  settled: WattHours
  credit: Money
  bill: Money
}

export interface StoreRewardsOptions
  extends Pick<PartOptions, 'signer' | 'energy' | 'clock' | 'timers' | 'log' | 'health' | 'record'> {
  readonly settings: Pick<StoreSettings, 'chargePermille' | 'dischargePermille'>
  /** For 1,000 points; absent: provenance is kept, and nothing is issued. */
  readonly rate?: Price
  customers(): ReadonlyMap<string, Customer>
  stored(): WattHours | undefined
  deals(): readonly DealInfo[]
}

export interface StoreRewards extends Part {
  totals(): ProvenanceTotals
  /** Coins that redeemed points became, and what was paid back as credit, as it is proven; payments that are on their way. */
  stats(): { readonly owed: number; readonly coins: Money; readonly credited: Money; readonly paying: number }
}

export function createStoreRewards(options: StoreRewardsOptions): StoreRewards {
  const { clock, timers, log, energy, settings, rate } = options
  const issuer = accountId(addressOf(options.signer.publicKey))
  let provenance: Provenance = createProvenance()
  const booked = new Set<string>()
  const owed = new Map<string, Issue & { handed?: Mono }>()
  const holdings = new Map<string, Holding>()
  const payments = new Set<Payment>()
  const paid = { coins: 0n, credited: 0n }
  let begun = false
  let busy = false
  let stopped = false
  let cancel = () => {}

  const holdingOf = (holder: string): Holding => {
    const known = holdings.get(holder)
    if (known !== undefined) return known
    const none = { holder, issued: wattHours(0n), settled: wattHours(0n), credit: micros(0n), bill: micros(0n) }
    holdings.set(holder, none)
    return none
  }

  async function keep(): Promise<Result<unknown>> {
    const { lots, sums, deals } = provenance.state()
    const issues = [...owed.values()].map(({ deal, holder, amount }) => ({ deal, holder, amount }))
    const state = { lots, sums, deals: deals.slice(-MAX_DEALS), owed: issues, holdings: [...holdings.values()] }
    const due =
      payments.size === 0 ? {} : { payments: [...payments].map(({ tx, ...one }) => (tx ? { ...one, tx } : one)) }
    const written = await options.record(encodeAs(kept, { ...state, ...due }))
    options.health('storage.rewards', written.ok ? undefined : written.fault)
    return written
  }

  // --- Whose energy it was

  function measureBy(change: bigint): void {
    const held = provenance.totals().held + change
    provenance.measure(wattHours(held > 0n ? held : 0n))
  }

  function book({ role, hash, contract }: Deal, { delivered: metered, paid: price, ...shares }: Outcome): void {
    const deal = toHex(hash)
    const { chargePermille, dischargePermille } = settings
    if (role === 'buyer') {
      const stored = wattHours((metered * BigInt(chargePermille)) / 1000n)
      const put = provenance.putIn({ deal, owner: toHex(contract.seller), metered, stored })
      if (!put.ok) return log('warn', 'rewards', `deal ${deal.slice(0, 8)} is not booked`, put.fault)
      // What it took beyond what was brought nobody put in.
      const beyond = (shares.buyerShare ?? metered) - metered
      if (beyond > 0n) measureBy((beyond * BigInt(chargePermille)) / 1000n)
      return
    }
    const per = BigInt(dischargePermille)
    const drawn = wattHours((metered * 1000n + per - 1n) / per)
    // What came out was in it, whoever put it there.
    if (provenance.totals().held < drawn) provenance.measure(drawn)
    const out = provenance.drawOut({ deal, taker: toHex(contract.buyer), metered, drawn })
    if (!out.ok) return log('warn', 'rewards', `deal ${deal.slice(0, 8)} is not booked`, out.fault)
    const beyond = (shares.sellerShare ?? metered) - metered
    if (beyond > 0n) measureBy(-((beyond * 1000n + per - 1n) / per))
    const taker = holdingOf(toHex(contract.buyer))
    taker.bill = micros(taker.bill + price)
    if (rate === undefined) return
    for (const { owner: holder, energy: used } of out.value.rewarded) {
      const name = `${deal}/${holder}`
      owed.set(name, { deal, holder, amount: wattHours((owed.get(name)?.amount ?? 0n) + used) })
    }
  }

  async function bookSettled(): Promise<boolean> {
    const stored = options.stored()
    if (!begun) {
      if (stored === undefined) return false
      begun = true
      if (provenance.totals().found === 0n) provenance.measure(stored)
    }
    const settled = options
      .deals()
      .map(({ runner }) => runner.deal())
      .filter(({ state, hash }) => state === 'settled' && !booked.has(toHex(hash)))
      // What is put in in a slot is there when something is drawn in it.
      .sort((a, b) => a.contract.end - b.contract.end || (a.role === b.role ? 0 : a.role === 'buyer' ? -1 : 1))
    for (const deal of settled) {
      const proven = await proveRecord(energy.light, DEALS, toHex(deal.hash))
      if (!proven.ok) return false
      booked.add(toHex(deal.hash))
      const outcome = proven.value?.outcome
      if (outcome !== undefined && outcome.delivered > 0n) book(deal, outcome)
    }
    return settled.length > 0
  }

  // --- Points

  async function issueOwed(): Promise<void> {
    for (const [name, one] of owed) {
      const { deal, holder, amount, handed } = one
      if (handed !== undefined && clock.mono() < later(handed, THINK_MS)) continue
      const known = await proveRecord(energy.light, REWARDED, `${issuer}/${deal}`)
      if (!known.ok) return
      if (known.value?.parts?.some(part => toHex(part.holder) === holder)) {
        owed.delete(name)
        const to = holdingOf(holder)
        to.issued = wattHours(to.issued + amount)
        await keep()
      } else if (handed === undefined || clock.mono() >= later(handed, AGAIN_MS)) {
        const body = { deal: fromHex(deal)!, holder: fromHex(holder)!, amount }
        const sent = await energy.account.submit({ kind: 'issue', body })
        if (sent.ok) one.handed = clock.mono()
        else log('warn', 'rewards', `points for ${holder.slice(0, 8)} were not taken`, sent.fault)
      }
    }
  }

  /** Written down as one: what is settled, and what is to be paid for it. False where it could not be. */
  async function settle(one: Holding, changed: Partial<Holding>, due: Omit<Payment, 'holder'>): Promise<boolean> {
    if (stopped || payments.size >= MAX_DEALS) return false
    const before = { ...one }
    const payment: Payment = { holder: one.holder, ...due }
    Object.assign(one, changed)
    if (due.amount > 0n) payments.add(payment)
    if ((await keep()).ok) return true
    Object.assign(one, before)
    payments.delete(payment)
    return false
  }

  /**
   * Each payment is one transaction, kept before any node has it and handed in until it is proven to stand in a block. Another
   * one takes its place only once it is proven that no block can take the first.
   */
  async function payOut(): Promise<void> {
    for (const one of payments) {
      if (stopped) return
      const { holder, amount, tx } = one
      const fate = tx === undefined ? 'out' : await energy.account.fateOf(tx)
      if (fate === 'in') {
        payments.delete(one)
        paid[one.as] += amount
        await keep()
        continue
      }
      const sent =
        fate === 'unknown'
          ? await energy.account.again(tx!)
          : await energy.account.submit({ kind: 'transfer', body: { to: fromHex(holder)!, amount } }, async signed => {
              one.tx = signed
              const written = await keep()
              // Nobody has it, and nobody will: what is not kept is not handed in.
              if (!written.ok) one.tx = undefined
              return written
            })
      options.health('storage.payments', sent.ok ? undefined : sent.fault)
    }
  }

  async function settleRedeemed(): Promise<void> {
    if (rate === undefined) return
    for (const { agreement } of options.customers().values()) {
      const holder = toHex(agreement.owner)
      const one = holdings.get(holder)
      if (one === undefined || (agreement.reward ?? 'points') === 'points') continue
      const purse = await proveRecord(energy.light, POINTS, `${issuer}/${accountId(agreement.owner)}`)
      if (!purse.ok) return
      const redeemed = one.issued - (purse.value?.amount ?? 0n) - one.settled
      if (redeemed > 0n) {
        const settled = wattHours(one.settled + redeemed)
        const worth = costFloor(wattHours(redeemed), rate)
        if (agreement.reward === 'coin') {
          await settle(one, { settled }, { amount: worth, as: 'coins' })
        } else Object.assign(one, { settled, credit: micros(one.credit + worth) })
      }
      const back = one.credit < one.bill ? one.credit : one.bill
      if (back === 0n) continue
      const left = { credit: micros(one.credit - back), bill: micros(one.bill - back) }
      await settle(one, left, { amount: back, as: 'credited' })
    }
  }

  async function think(): Promise<void> {
    if (busy) return
    busy = true
    if (await bookSettled()) await keep()
    await issueOwed()
    await settleRedeemed()
    await payOut()
    busy = false
  }

  return {
    restore(records) {
      for (const bytes of records) {
        const read = decodeAs(kept, bytes, 'store-rewards', MAX_RECORD_BYTES)
        if (!read.ok) return options.health('storage.rewards', read.fault)
        const { lots, deals, sums } = read.value
        provenance = createProvenance({ lots, deals, sums })
        begun = true
        for (const deal of deals) booked.add(deal)
        for (const one of read.value.owed) owed.set(`${one.deal}/${one.holder}`, one)
        for (const one of read.value.holdings) holdings.set(one.holder, { ...one })
        for (const one of read.value.payments ?? []) payments.add({ ...one })
      }
    },
    start() {
      cancel = timers.every(THINK_MS, () => void think())
    },
    stop() {
      stopped = true
      cancel()
    },
    totals: () => provenance.totals(),
    stats: () => ({
      owed: owed.size,
      coins: micros(paid.coins),
      credited: micros(paid.credited),
      paying: payments.size,
    }),
  }
}
