/** What became of a transaction that was handed in, on a real ledger. */
import type { SignedTx } from '../../../agent/trading/account.ts'
import type { LedgerRpc } from '../../../drivers/ports.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { micros } from '../../../protocol/quantity.ts'
import { done, fail, ok, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { ada, ben, gridGenesis } from '../../protocol/ledger/grid.ts'
import { makeVillage } from '../roles/village.ts'

const test = suite('ledger account')
/** As many blocks as a transaction lives, of half a minute each, and two. */
const LIFE_MS = 62 * 30_000

async function makeAda() {
  const lossy = { forgets: false }
  const nodeOf = (name: string, node: LedgerRpc): LedgerRpc => ({
    ...node,
    submit: async tx =>
      lossy.forgets && name === 'ada' ? ok({ code: 0, log: '', hash: sha256(tx) }) : node.submit(tx),
  })
  const village = await makeVillage(gridGenesis, { ada: ada.owner, ben: ben.owner }, nodeOf)
  const { account } = village.of('ada').energy
  const wait = <T>(work: Promise<T>) => awaited(village.time, work, 600_000)
  const to = ben.owner.address
  let kept: SignedTx | undefined
  const keep = async (tx: SignedTx): Promise<Result<void>> => {
    kept = tx
    return done
  }
  return {
    ...{ village, account, wait, lossy },
    async send(amount: bigint): Promise<SignedTx> {
      assert.ok((await wait(account.submit({ kind: 'transfer', body: { to, amount: micros(amount) } }, keep))).ok)
      return kept!
    },
    fate: (tx: SignedTx) => wait(account.fateOf(tx)),
    refusing: () =>
      wait(account.submit({ kind: 'transfer', body: { to, amount: micros(9n) } }, async () => fail({ code: 'full' }))),
  }
}

test('in a block it is in, and handing it in again changes nothing', async () => {
  const { village, account, wait, send, fate } = await makeAda()
  const tx = await send(5n)
  assert.is(await fate(tx), 'unknown')
  await village.time.advance(60_000)
  assert.is(await fate(tx), 'in')
  assert.ok((await wait(account.again(tx))).ok, 'the node knows it')
  await village.stop()
})

test('forgotten by a mempool it is neither until its time is over; then it is out, and handed in again before that it is in', async () => {
  const { village, account, wait, lossy, send, fate } = await makeAda()
  lossy.forgets = true
  const lost = await send(5n)
  await village.time.advance(LIFE_MS / 2)
  assert.is(await fate(lost), 'unknown')
  await village.time.advance(LIFE_MS / 2)
  assert.is(await fate(lost), 'out')
  lossy.forgets = false
  assert.not.ok((await wait(account.again(lost))).ok, 'no block takes it any more')
  await village.stop()
})

test('what could not be kept is not handed in, and leaves its number to the next', async () => {
  const { village, refusing, send, fate } = await makeAda()
  const refused = await refusing()
  assert.equal(refused, { ok: false, fault: { code: 'full' } })
  const tx = await send(5n)
  await village.time.advance(60_000)
  assert.is(await fate(tx), 'in')
  await village.stop()
})

test.run()
