/** Rewards of a store on a real ledger: points for what another consumed, redeemed, and paid once, whatever becomes of a transfer. */
import { createRewardRedeem } from '../../../agent/roles/reward-redeem.ts'
import { createStoreRewards, type StoreRewards } from '../../../agent/roles/store-rewards.ts'
import type { Customer } from '../../../agent/roles/store-terms.ts'
import type { DealInfo } from '../../../agent/trading/trading.ts'
import type { LedgerRpc } from '../../../drivers/ports.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import { POINTS, POOLS } from '../../../protocol/ledger/service-tables.ts'
import { ACCOUNTS } from '../../../protocol/ledger/tables.ts'
import { parseTx, type TxContent } from '../../../protocol/ledger/tx.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { fail, must, ok } from '../../../protocol/result.ts'
import { contractHash, decodeContract } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import {
  ada,
  ben,
  gridCommit,
  gridGenesis,
  gridReceipt,
  type Home,
  RECEIPT_BY,
  windowOf,
} from '../../protocol/ledger/grid.ts'
import { FEE, partyOf, RICH } from '../../protocol/ledger/parties.ts'
import { store } from '../../protocol/ledger/service-bench.ts'
import { makeVillage } from './village.ts'

const test = suite('store rewards')

const barn: Home = { owner: store, meter: partyOf('grid meter of the store'), meterId: 'G-store', node: 'H-store' }
const genesis: Genesis = {
  ...gridGenesis,
  accounts: [...gridGenesis.accounts, { publicKey: store.publicKey, balance: RICH }],
  meters: [
    ...gridGenesis.meters,
    { meterId: barn.meterId, owner: store.address, line: barn.node, publicKey: barn.meter.publicKey },
  ],
  roles: (['storage', 'issuer'] as const).map(role => ({ role, holder: store.address })),
}
const MINUTE_MS = 60_000
/** Half an hour of three light clients. */
const PATIENCE_MS = 60_000
/** Two micro-coins for a hundred points. */
const rate = microsPerKwh(20_000n)
/** Of a contract's window, to its settlement in a block and that block's proof. */
const settledAfter = (window: number): number => windowOf(window).end + (RECEIPT_BY - windowOf(0).end) + 2 * MINUTE_MS

/** A mempool that forgets; a node that passes on and does not say so, or does neither; one that refuses. */
type NodeAnswer = 'dropped' | 'no answer' | 'no answer, not taken' | 'refused'

const unruly = (node: LedgerRpc, answers: NodeAnswer[]): LedgerRpc => ({
  ...node,
  async submit(tx) {
    const kind = must(parseTx(tx)).tx.kind
    const answer = kind === 'transfer' ? answers.shift() : undefined
    if (answer === 'dropped') return ok({ code: 0, log: '', hash: sha256(tx) })
    if (answer === 'refused') return ok({ code: 99, log: 'no', hash: sha256(tx) })
    if (answer === 'no answer, not taken') return fail({ code: 'rpc.timeout' })
    const said = await node.submit(tx)
    return answer === 'no answer' ? fail({ code: 'rpc.timeout' }) : said
  },
})

type Reward = 'points' | 'coin' | 'bill-credit'

/** Ada brings a kWh, and Ben takes so much of it: an hour later whoever has points has them. */
async function makeBarn(reward: Reward, taken = 900n) {
  const homes = { ada: ada.owner, ben: ben.owner, store }
  /** What the store's nodes do with its next transfers; after these they take them as they should. */
  const answers: NodeAnswer[] = []
  const village = await makeVillage(genesis, homes, (name, node) => (name === 'store' ? unruly(node, answers) : node))
  const nameOf = (home: Home) => (home === barn ? 'store' : home === ada ? 'ada' : 'ben')
  const submit = async (by: Home, content: TxContent) => {
    const sent = village.of(nameOf(by)).energy.account.submit(content)
    let done = false
    void sent.then(() => {
      done = true
    })
    while (!done) await village.time.advance(1000)
    return must(await sent)
  }
  const deals: DealInfo[] = []
  async function trade(...all: readonly { window: number; from: Home; to: Home; metered: bigint; counted?: bigint }[]) {
    const placed = all.map(one => ({ ...one, commit: gridCommit(one.from, one.to, windowOf(one.window)) }))
    for (const { to, commit } of placed) await submit(to, commit)
    for (const { window, from, to, metered, counted = 0n, commit } of placed) {
      const deal = { contract: commit.body.contract, ...windowOf(window) }
      await village.until(deal.end + 1000)
      const registers = { from: 7_000_000n + counted * 1000n, to: 7_000_000n + (counted + metered) * 1000n }
      await submit(from, gridReceipt('seller', from, deal, registers))
      await submit(to, gridReceipt('buyer', to, deal, registers))
    }
    await village.until(settledAfter(placed.at(-1)!.window))
    for (const { from, commit } of placed) {
      const { contract: bytes } = commit.body
      const role = from === barn ? ('seller' as const) : ('buyer' as const)
      const deal = { role, hash: contractHash(bytes), contract: must(decodeContract(bytes)), state: 'settled' }
      deals.push({ runner: { deal: () => deal } } as unknown as DealInfo)
    }
  }
  const agreement = { owner: ada.owner.address, reward } as Customer['agreement']
  const who = village.of('store')
  const { clock, timers } = village
  const health = () => {}
  const open = (restored = false): StoreRewards => {
    const rewards = createStoreRewards({
      ...{ signer: who.signer, energy: who.energy, clock, timers, log: who.say, record: who.record },
      ...{ health, rate, settings: { chargePermille: 950, dischargePermille: 950 } },
      customers: () => new Map([['one', { agreement, node: ada.node }]]),
      stored: () => wattHours(0n),
      deals: () => deals,
    })
    if (restored) rewards.restore!([who.kept!])
    rewards.start()
    return rewards
  }
  await trade({ window: 1, from: ada, to: barn, metered: 1000n }, { window: 2, from: barn, to: ben, metered: taken })
  const first = open()
  await village.time.advance(4 * MINUTE_MS)
  const purse = `${store.id}/${ada.owner.id}`
  return {
    ...{ village, trade, open, first, answers },
    points: () => village.record(POINTS, purse)?.amount ?? 0n,
    burnt: () => village.record(POOLS, store.id)?.burnt ?? 0n,
    coins: () => village.record(ACCOUNTS, ada.owner.id)!.balance,
    async redeem(): Promise<void> {
      const { signer, energy } = village.of('ada')
      const part = createRewardRedeem({ signer, energy, timers, health, issuer: store.address })
      part.start()
      await village.time.advance(13 * MINUTE_MS)
      part.stop()
    },
  }
}

const DUE = 18_000n
const NOTHING_OWED = { owed: 0, credited: 0n, paying: 0 }

test(
  'points are minted for what another consumed, redeemed as they come, and paid in coins once',
  async () => {
    const { village, first, points, burnt, coins, redeem, open } = await makeBarn('coin')
    assert.is(points(), 900n, village.of('store').log.join('\n'))
    const before = coins()
    await redeem()
    assert.equal([points(), burnt()], [0n, 900n])
    // 900 points at 0.02 for 1,000, less the fee of the redeeming transaction.
    assert.is(coins() - before, DUE - FEE)
    assert.equal(first.stats(), { ...NOTHING_OWED, coins: DUE })
    first.stop()
    const again = open(true)
    await village.time.advance(3 * MINUTE_MS)
    assert.is(coins() - before, DUE - FEE, 'after a restart it is not paid twice')
    again.stop()
    await village.stop()
  },
  PATIENCE_MS,
)

for (const answer of ['dropped', 'no answer', 'no answer, not taken', 'refused'] as const) {
  test(
    `a transfer that a node ${answer === 'dropped' ? 'took and forgot' : `gave ${answer} for`} is paid once, across a restart`,
    async () => {
      const { village, first, answers, coins, redeem, open } = await makeBarn('coin')
      answers.push(...Array.from({ length: 1000 }, () => answer))
      const before = coins()
      await redeem()
      const passedOn = answer === 'no answer'
      assert.is(coins() - before, passedOn ? DUE - FEE : -FEE)
      assert.ok(answers.length < 1000)
      assert.is(first.stats().paying, passedOn ? 0 : 1)
      first.stop()
      answers.length = 0
      const again = open(true)
      await village.time.advance(5 * MINUTE_MS)
      assert.is(coins() - before, DUE - FEE)
      assert.equal(again.stats(), { ...NOTHING_OWED, coins: passedOn ? 0n : DUE })
      await village.time.advance(5 * MINUTE_MS)
      assert.is(coins() - before, DUE - FEE, 'and once only')
      again.stop()
      await village.stop()
    },
    PATIENCE_MS,
  )
}

test(
  'a transfer whose place another transaction of the store took is made anew, once that is proven',
  async () => {
    const { village, first, answers, coins, redeem } = await makeBarn('coin')
    answers.push(...Array.from({ length: 1000 }, () => 'dropped' as const))
    const before = coins()
    await redeem()
    assert.is(first.stats().paying, 1)
    // It comes after a number that the ledger has not seen, and then has the one of the lost transfer.
    const other = { kind: 'head', body: { journal: new Uint8Array(16), frame: 1n, hash: new Uint8Array(32) } } as const
    const { account } = village.of('store').energy
    const tries = [
      await awaited(village.time, account.submit(other)),
      await awaited(village.time, account.submit(other)),
    ]
    assert.equal(
      tries.map(({ ok }) => ok),
      [false, true],
    )
    await village.time.advance(2 * MINUTE_MS)
    answers.length = 0
    await village.time.advance(10 * MINUTE_MS)
    assert.is(coins() - before, DUE - FEE)
    assert.equal(first.stats(), { ...NOTHING_OWED, coins: DUE })
    first.stop()
    await village.stop()
  },
  PATIENCE_MS,
)

test(
  'credit waits for a bill, and is paid back as far as the bill goes',
  async () => {
    const { village, trade, first, coins, redeem } = await makeBarn('bill-credit')
    const before = coins()
    await redeem()
    assert.is(coins() - before, -FEE, 'it has bought nothing yet')
    const window = Math.ceil((village.clock.now() - windowOf(0).start) / 120_000) + 1
    // Of its own kWh no more is left than this: at 0.25 it costs 0.0005, and more credit than that is due.
    await trade({ window, from: barn, to: ada, metered: 2n, counted: 900n })
    const bought = coins()
    await village.time.advance(5 * MINUTE_MS)
    assert.equal(first.stats(), { ...NOTHING_OWED, coins: 0n, credited: 500n })
    assert.is(coins() - bought, 500n)
    first.stop()
    await village.stop()
  },
  PATIENCE_MS,
)

test(
  'plain points are kept, and so few that a transaction is not worth it are not redeemed',
  async () => {
    const { village, first, points, redeem } = await makeBarn('points', 99n)
    await redeem()
    assert.is(points(), 99n)
    assert.equal(first.stats(), { ...NOTHING_OWED, coins: 0n })
    first.stop()
    await village.stop()
  },
  PATIENCE_MS,
)

test.run()
