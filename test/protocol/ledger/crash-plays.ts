/**
 * A contract over the grid whose parties each stop for ever after one of their steps: both ledgers commit or neither does,
 * every escrow is paid or comes back by itself, and both ledgers' books hold after every block.
 */
import { toHex } from '../../../protocol/bytes.ts'
import { RESERVATIONS } from '../../../protocol/ledger/network-tables.ts'
import { DEALS } from '../../../protocol/ledger/tables.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { type Contract, contractHash } from '../../../protocol/trade/contract.ts'
import { assert } from '../../harness.ts'
import { ada, cem, gridCommit, gridReceipt } from './grid.ts'
import { GRID_MARGIN_MS, GridLedgers, gridReserve, offerOf } from './grid-ledgers.ts'
import { nameOf, type Party, terms } from './parties.ts'
import { type Chain, distributor, energyKey, netKey } from './two-ledgers.ts'

/** What each does, in its own order. Off the ledgers are the messages: whoever waits for one that does not come does no more. */
export const STEPS = {
  buyer: ['want', 'award', 'countersign', 'follow', 'commit', 'receipt'],
  seller: ['bid', 'sign', 'reserve', 'reserved', 'receipt'],
  distributor: ['fee', 'offer', 'follow', 'claim'],
} as const
type Role = keyof typeof STEPS
export type Stops = Readonly<Record<Role, number>>

const [PRICE, OFFERED] = [250_001n, 12_345n]
/** Wh: contracted, sent, taken. */
const [ENERGY, SENT, TAKEN] = [100n, 90n, 70n]

interface Outcome {
  readonly deal: 'none' | 'settled' | 'refunded'
  readonly reservation: 'none' | 'claimed' | 'released'
  /** A deal that was committed while no capacity was held for it, or capacity paid for without a deal. */
  readonly half: boolean
}

/** One contract from the wish to the claim, each party up to its last step. */
export function play(ledgers: GridLedgers, stops: Stops, asked: boolean): Outcome {
  const { energy, net } = ledgers
  const done = new Set<string>()
  /** Whether a party comes to this step, after its own ones before and the others that it waits for. */
  const comes = (role: Role, step: string, ...after: string[]): boolean => {
    const steps: readonly string[] = STEPS[role]
    const at = steps.indexOf(step)
    const own = at === 0 || done.has(`${role} ${steps[at - 1]}`)
    const come = at < stops[role] && own && after.every(other => done.has(other))
    if (come) done.add(`${role} ${step}`)
    return come
  }
  const take = (chain: Chain, by: Party, content: Parameters<Chain['take']>[1]) => {
    chain.take(by, content)
    chain.books()
  }
  ledgers.until(Math.max(energy.time, net.time) + 1000)
  const start = instant(energy.time + 40_000)
  const end = instant(start + 120_000)
  const change: Partial<Contract> = { start, end, energy: wattHours(ENERGY), price: microsPerKwh(PRICE) }
  const commit = gridCommit(ada, cem, change)
  const { contract } = commit.body
  const before = { ada: energy.account(ada.owner).balance, payer: net.account(ada.owner).balance }
  const earned = net.account(distributor).balance

  comes('buyer', 'want')
  comes('distributor', 'fee', 'buyer want')
  comes('seller', 'bid', 'distributor fee')
  comes('buyer', 'award', 'seller bid')
  comes('seller', 'sign', 'buyer award')
  comes('buyer', 'countersign', 'seller sign')
  const offer = comes('distributor', 'offer', 'seller sign')
    ? offerOf({ contract: contractHash(contract), price: microsPerKwh(OFFERED), until: instant(start) })
    : undefined
  if (comes('seller', 'reserve', 'buyer countersign')) take(net, ada.owner, gridReserve(contract, offer))
  comes('seller', 'reserved')
  if (asked) {
    if (comes('buyer', 'follow', 'seller reserved')) {
      const reservation = ledgers.relay(net, netKey(contract), cem.owner)
      if (comes('buyer', 'commit')) take(energy, cem.owner, { ...commit, body: { ...commit.body, reservation } })
    }
  } else {
    // Where no proof is asked for, a buyer has nothing to wait for.
    comes('buyer', 'follow')
    if (comes('buyer', 'commit')) take(energy, cem.owner, commit)
  }
  const reserved = ledgers.reservation(contract)
  const locked = energy.deal(contract)
  const half =
    locked !== undefined && (reserved?.state !== 'held' || reserved.expires < locked.settleBy + GRID_MARGIN_MS)

  ledgers.until(end + 1000)
  const placed = { contract, start, end }
  // Registers go on from deal to deal.
  const from = BigInt(start) * 1000n
  for (const [role, home, wh] of [
    ['seller', ada, SENT],
    ['buyer', cem, TAKEN],
  ] as const) {
    if (!comes(role, 'receipt', 'buyer commit')) continue
    take(energy, home.owner, gridReceipt(role, home, placed, { from, to: from + wh * 1000n }))
  }
  const settleBy = end + terms.receiptWindowMs + terms.disputeWindowMs
  ledgers.until(settleBy)
  if (comes('distributor', 'follow', 'buyer commit')) {
    const proven = ledgers.relay(energy, energyKey(contract), distributor)
    if (comes('distributor', 'claim')) {
      const claim = { kind: 'claim', body: { deal: contractHash(contract), ...proven } } as const
      const came = net.send(distributor, claim)
      assert.is(nameOf(came), reserved === undefined ? 'ledger.no-reservation' : 'taken', came.log)
    }
  }
  ledgers.until(settleBy + GRID_MARGIN_MS + 1000)
  return judge(ledgers, contract, done, { ...before, earned, half })
}

/** The end of it: what there is on both ledgers, by hand and by their audits. */
function judge(
  { energy, net }: GridLedgers,
  contract: Uint8Array,
  done: ReadonlySet<string>,
  before: { readonly ada: bigint; readonly payer: bigint; readonly earned: bigint; readonly half: boolean },
): Outcome {
  for (const chain of [energy, net]) {
    const { money, deals } = chain.books()
    assert.equal([money.residue, money.escrowed, money.reserved, deals.locked], [0n, 0n, 0n, 0])
  }
  const deal = energy.record(DEALS, toHex(contractHash(contract)))
  const found = net.record(RESERVATIONS, toHex(contractHash(contract)))
  const heard = [...(done.has('seller receipt') ? [SENT] : []), ...(done.has('buyer receipt') ? [TAKEN] : [])]
  const delivered = heard.length === 0 ? 0n : heard.reduce((a, b) => (b < a ? b : a))
  assert.is(deal?.outcome?.delivered, deal === undefined ? undefined : delivered)
  // Fees of a transaction are 100 micro-units each.
  const sent = done.has('seller receipt') ? 100n : 0n
  assert.is(energy.account(ada.owner).balance - before.ada, (delivered * PRICE) / 1000n - sent)
  const claimed = done.has('distributor claim') && found !== undefined
  const price = done.has('distributor offer') ? OFFERED : 40_000n
  const fee = claimed ? (delivered * price) / 1000n : 0n
  const paid = done.has('seller reserve') ? 100n : 0n
  assert.is(
    before.payer - net.account(ada.owner).balance,
    fee + paid,
    'the payer of the fee pays for what was delivered',
  )
  const sends = (done.has('distributor follow') ? 100n : 0n) + (claimed ? 100n : 0n)
  assert.is(net.account(distributor).balance - before.earned, fee - sends)
  const state = deal === undefined ? 'none' : deal.state
  const held = found === undefined ? 'none' : found.state
  if (state === 'locked' || held === 'held') throw new Error(`${state} and ${held} at the end`)
  return { deal: state, reservation: held, half: before.half || (held === 'claimed' && state === 'none') }
}

/** Plays all of them on the same two ledgers. Answers how often each end came. */
export function playAll(all: Iterable<Stops>): ReadonlyMap<string, number> {
  const ledgers = new GridLedgers()
  const ends = new Map<string, number>()
  for (const stops of all) {
    const { deal, reservation, half } = play(ledgers, stops, true)
    assert.not(half, JSON.stringify(stops))
    // No deal without its reservation.
    assert.not(deal !== 'none' && reservation === 'none', JSON.stringify(stops))
    const end = `${deal} ${reservation}`
    ends.set(end, (ends.get(end) ?? 0) + 1)
  }
  for (const end of ['none none', 'none released', 'refunded released', 'settled claimed', 'settled released']) {
    assert.ok(ends.has(end), `${end}: ${[...ends]}`)
  }
  return ends
}
