/**
 * The ledger's books, added up by somebody who did not keep them.
 *
 * Works on exported state entries alone and repeats every rule in its own words (it calls nothing of settlement), so a
 * mistake there does not hide itself here.
 *
 *     minted = balances + escrows of locked deals + stakes + stakes that unbond + fees of what is reserved
 *              + deposits of events + coins and what waits for some
 *     escrow = ceil(energy x price) = paid + refunded once closed
 *     paid   = floor(min(contracted, every receipt) x price); sealed: what both signed, else receipts, else words
 *     no line and no meter is sold twice for one moment; over the grid no watt-hour is (audit-grid.ts)
 *     somebody validates, for whole units of stake, and whoever misbehaved has none
 *     headers accumulated = height
 *     an issuer key is of a slot to come or of the one that runs
 *     heads of journals are of accounts that there are, and of no time to come
 *
 * Nothing is kept beyond its time; while a block had more to let fall than it may, the audit names what is late.
 */
import { fromUtf8, toHex } from '../bytes.ts'
import { type Money, micros, type WattHours, wattHours } from '../quantity.ts'
import { decodeAs } from '../record.ts'
import type { Fault } from '../result.ts'
import { coinedIn, coinProblems, createCoinBooks } from './audit-coins.ts'
import { createGridBooks, gridProblems } from './audit-grid.ts'
import { createNetworkBooks, networkProblems, reservedIn } from './audit-network.ts'
import { createServiceBooks, depositedIn, serviceProblems } from './audit-services.ts'
import { createStakeBooks, stakedIn, stakeProblems, unbondingIn } from './audit-stake.ts'
import { MINT_KEYS, SPENT_COINS, WITHDRAWALS } from './coin-tables.ts'
import type { DealRecord } from './deal-record.ts'
import { GRID_METERS, METER_WINDOWS } from './grid-tables.ts'
import { FOLLOWED, LINES, PEERS, RESERVATIONS, SLOTS } from './network-tables.ts'
import {
  AGREEMENTS,
  EVENTS,
  GROUPS,
  MEMBERSHIPS,
  PARTICIPANTS,
  POINTS,
  POOLS,
  PROMISED,
  REWARDED,
} from './service-tables.ts'
import type { Table } from './table.ts'
import {
  ACCOUNTS,
  BARRED,
  CHAIN,
  type Chain,
  DEALS,
  HEADERS,
  ISSUER_KEYS,
  JOURNALS,
  RULES,
  type Rules,
  tableOf,
  UNBONDING,
  VALIDATORS,
} from './tables.ts'

export interface Audit {
  readonly height: bigint
  readonly money: {
    readonly minted: Money
    readonly balances: Money
    readonly escrowed: Money
    /** Behind validators. */
    readonly staked: Money
    /** On its way back from them. */
    readonly unbonding: Money
    /** For the use of lines. */
    readonly reserved: Money
    /** For demand response. */
    readonly deposited: Money
    /** In blind coins, and held for some that were not signed yet. */
    readonly coined: Money
    /** minted less all of these: zero, or money was lost (above) or made (below). */
    readonly residue: bigint
    readonly paid: Money
    readonly refunded: Money
  }
  readonly deals: {
    readonly locked: number
    readonly settled: number
    readonly refunded: number
    /** Of the settled ones, those settled by one side's receipt alone. */
    readonly disputed: number
  }
  readonly energy: {
    readonly contracted: WattHours
    readonly sellerMetered: WattHours
    readonly buyerMetered: WattHours
    readonly settled: WattHours
  }
  /** Everything that does not add up; empty is the only good answer. */
  readonly problems: readonly Fault[]
}

export type Entries = Iterable<readonly [key: Uint8Array, value: Uint8Array]>

export function auditLedger(entries: Entries): Audit {
  const problems: Fault[] = []
  const deals = new Map<string, DealRecord>()
  const stakes = createStakeBooks()
  const network = createNetworkBooks()
  const services = createServiceBooks()
  const grid = createGridBooks()
  const coins = createCoinBooks()
  const single: { chain?: Chain; rules?: Rules; headers: bigint } = { headers: 0n }
  const accounts = new Set<string>()
  /** When each journal's head was anchored. */
  const journals = new Map<string, number>()
  /** Until when each issuer key is kept, by its slot and side. */
  const issuerKeys = new Map<string, number>()
  let balances = 0n
  const visitors = new Map<Table<unknown>, (value: never, id: string) => void>()
  const visit = <T>(table: Table<T>, take: (value: T, id: string) => void) => visitors.set(table as never, take)
  visit(CHAIN, value => {
    single.chain = value
  })
  visit(RULES, value => {
    single.rules = value
  })
  visit(HEADERS, ({ size }) => {
    single.headers = size
  })
  visit(ACCOUNTS, ({ balance }, id) => {
    balances += balance
    accounts.add(id)
  })
  visit(JOURNALS, ({ at }, id) => journals.set(id, at))
  visit(ISSUER_KEYS, ({ kept }, id) => issuerKeys.set(id, kept))
  visit(DEALS, (deal, id) => deals.set(id, deal))
  visit(GRID_METERS, (meter, id) => grid.meters.set(id, meter))
  visit(METER_WINDOWS, (window, id) => grid.windows.set(id, window))
  visit(VALIDATORS, ({ all }) => stakes.validators.push(...all))
  visit(UNBONDING, ({ parts }, id) => stakes.unbonding.set(id, parts))
  visit(BARRED, (_, id) => stakes.barred.add(id))
  visit(LINES, (line, id) => network.lines.set(id, line))
  visit(RESERVATIONS, (reservation, id) => network.reservations.set(id, reservation))
  visit(SLOTS, (slot, id) => network.slots.set(id, slot))
  visit(PEERS, (peer, id) => network.peers.set(id, peer))
  visit(FOLLOWED, (_, id) => network.followed.add(id))
  visit(AGREEMENTS, (agreement, id) => services.agreements.set(id, agreement))
  visit(EVENTS, (event, id) => services.events.set(id, event))
  visit(PARTICIPANTS, (participant, id) => services.participants.set(id, participant))
  visit(PROMISED, ({ windows }, id) => services.promised.set(id, windows))
  visit(POOLS, (pool, id) => services.pools.set(id, pool))
  visit(POINTS, ({ amount }, id) => services.points.set(id, amount))
  visit(REWARDED, (rewarded, id) => services.rewarded.set(id, rewarded))
  visit(GROUPS, (group, id) => services.groups.set(id, group))
  visit(MEMBERSHIPS, ({ group }, id) => services.memberships.set(id, group))
  visit(MINT_KEYS, (key, id) => coins.keys.set(id, key))
  visit(WITHDRAWALS, (withdrawal, id) => coins.withdrawals.set(id, withdrawal))
  visit(SPENT_COINS, ({ kept }, id) => coins.spent.set(id, kept))
  for (const [keyBytes, value] of entries) {
    const key = fromUtf8(keyBytes) ?? toHex(keyBytes)
    const table = tableOf(key)
    const id = key.slice(table?.prefix.length)
    const unreadable = (reason: string) => problems.push({ code: 'audit.unreadable', key, reason })
    // A table of a single record has its whole key as its prefix.
    if (table === undefined || (id === '') === table.prefix.endsWith('/')) {
      unreadable('no table has this key')
      continue
    }
    const found = decodeAs(table.codec, value, key, value.length)
    if (found.ok) visitors.get(table)?.(found.value as never, id)
    else unreadable(found.fault.code)
  }
  const { chain, rules, headers } = single
  const all = [...deals.values()]
  const sum = (pick: (deal: DealRecord) => bigint | undefined) => all.reduce((n, deal) => n + (pick(deal) ?? 0n), 0n)
  const number = (pick: (deal: DealRecord) => boolean) => all.filter(pick).length
  const escrowed = sum(deal => (deal.state === 'locked' ? deal.escrow : 0n))
  if (chain === undefined) problems.push({ code: 'audit.no-chain' })
  else if (headers !== chain.height) problems.push({ code: 'audit.headers', height: chain.height, headers })
  const minted = chain?.minted ?? 0n
  const [staked, unbonding] = [stakedIn(stakes), unbondingIn(stakes)]
  const reserved = reservedIn(network)
  const deposited = depositedIn(services)
  const coined = coinedIn(coins)
  const residue = minted - balances - escrowed - staked - unbonding - reserved - deposited - coined
  if (residue !== 0n) {
    problems.push({
      code: 'audit.residue',
      minted,
      balances,
      escrowed,
      staked,
      unbonding,
      reserved,
      deposited,
      coined,
      residue,
    })
  }
  const direct = new Map([...deals].filter(([, { to }]) => to === undefined))
  for (const [id, deal] of direct) problems.push(...dealProblems(id, deal, chain?.time ?? 0))
  problems.push(
    ...soldTwice(direct),
    ...gridProblems(grid, deals, chain?.time ?? 0, rules?.sellerProves === true),
    ...stakeProblems(stakes, rules, chain?.time ?? 0),
  )
  problems.push(...networkProblems(network, chain?.time ?? 0), ...serviceProblems(services, chain?.time ?? 0))
  problems.push(...coinProblems(coins, accounts, chain?.time ?? 0))
  for (const [id, at] of journals) {
    if (!accounts.has(id.split('/')[0]!)) problems.push({ code: 'audit.head-owner', journal: id })
    if (at > (chain?.time ?? 0)) problems.push({ code: 'audit.head-time', journal: id, at })
  }
  for (const [id, kept] of issuerKeys) {
    const over = kept <= (chain?.time ?? 0)
    if (over || kept !== Number(id.split('/')[0]) + 900_000) problems.push({ code: 'audit.issuer-key', key: id, kept })
  }
  return {
    height: chain?.height ?? 0n,
    money: {
      minted: micros(minted),
      balances: micros(balances),
      escrowed: micros(escrowed),
      staked: micros(staked),
      unbonding: micros(unbonding),
      reserved: micros(reserved),
      deposited: micros(deposited),
      coined: micros(coined),
      residue,
      paid: micros(sum(deal => deal.outcome?.paid)),
      refunded: micros(sum(deal => deal.outcome?.refunded)),
    },
    deals: {
      locked: number(deal => deal.state === 'locked'),
      settled: number(deal => deal.state === 'settled'),
      refunded: number(deal => deal.state === 'refunded'),
      disputed: number(deal => deal.outcome?.disputed === true),
    },
    energy: {
      contracted: wattHours(sum(deal => deal.energy)),
      sellerMetered: wattHours(sum(deal => deal.sellerReceipt?.energy)),
      buyerMetered: wattHours(sum(deal => deal.buyerReceipt?.energy)),
      settled: wattHours(sum(deal => deal.outcome?.delivered)),
    },
    problems,
  }
}

/** What is wrong with one deal at a block time. */
function dealProblems(id: string, deal: DealRecord, now: number): Fault[] {
  const found: Fault[] = []
  const expect = (what: string, expected: bigint | string | boolean, received: bigint | string | boolean) => {
    if (expected !== received) found.push({ code: 'audit.deal', deal: id, what, expected, received })
  }
  const value = deal.energy * deal.price
  expect('escrow', value / 1000n + (value % 1000n === 0n ? 0n : 1n), deal.escrow)
  const metered = [deal.sellerReceipt?.energy, deal.buyerReceipt?.energy].filter(energy => energy !== undefined)
  const { outcome, sealed } = deal
  if (deal.receipts === undefined) {
    const words = [sealed, deal.sellerQuantity, deal.buyerQuantity]
    expect(
      'no word without envelopes where receipts are open',
      true,
      words.every(word => word === undefined),
    )
  }
  if (outcome === undefined) {
    expect('state without an outcome', 'locked', deal.state)
    expect('closed in time', true, now < deal.settleBy && metered.length < 2 && sealed === undefined)
    return found
  }
  // A seller's word alone is nobody's evidence; a buyer's is its own admission.
  const words = deal.buyerQuantity === undefined ? [] : [deal.sellerQuantity, deal.buyerQuantity]
  const spoken = words.filter(energy => energy !== undefined)
  const counted = sealed === undefined ? (metered.length > 0 ? metered : spoken) : [sealed.energy]
  const agreed = sealed !== undefined || metered.length === 2
  expect('state', counted.length === 0 ? 'refunded' : 'settled', deal.state)
  expect('disputed', counted.length === 1 && !agreed, outcome.disputed)
  if (!agreed) expect('waited for both receipts', true, outcome.at >= deal.settleBy)
  const least = counted.reduce<bigint>((a, b) => (b < a ? b : a), counted.length === 0 ? 0n : deal.energy)
  expect('delivered', least, outcome.delivered)
  expect('paid', (least * deal.price) / 1000n, outcome.paid)
  expect('refunded', deal.escrow - outcome.paid, outcome.refunded)
  return found
}

/** Deals that took the same line or meter for the same moment. */
function soldTwice(deals: ReadonlyMap<string, DealRecord>): Fault[] {
  const taken = new Map<string, { readonly id: string; readonly start: number; readonly end: number }[]>()
  for (const [id, { line, sellerMeter, buyerMeter, start, end }] of deals) {
    for (const what of [`line ${line}`, `meter ${sellerMeter}`, `meter ${buyerMeter}`]) {
      const windows = taken.get(what)
      if (windows === undefined) taken.set(what, [{ id, start, end }])
      else windows.push({ id, start, end })
    }
  }
  const found: Fault[] = []
  for (const [what, windows] of taken) {
    windows.sort((a, b) => a.start - b.start)
    let longest = windows[0]!
    for (const next of windows.slice(1)) {
      if (next.start < longest.end) found.push({ code: 'audit.sold-twice', what, deals: [longest.id, next.id] })
      if (next.end > longest.end) longest = next
    }
  }
  return found
}
