/** What every LedgerRpc must do, over HTTP and straight onto a producer. */
import type { Producer } from '../../agent/validator/producer.ts'
import type { LedgerRpc } from '../../drivers/ports.ts'
import { equalBytes, utf8 } from '../../protocol/bytes.ts'
import { verifyResult, verifyTx } from '../../protocol/chain/block.ts'
import { chainTime, instantOf } from '../../protocol/chain/chain-time.ts'
import { hashHeader } from '../../protocol/chain/header.ts'
import { SMT_SPEC, verifyMembership, verifyNonMembership } from '../../protocol/chain/ics23.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { verifyOldHeader } from '../../protocol/light/accumulated.ts'
import type { LightOptions } from '../../protocol/light/predicates.ts'
import { verify, verifyAnchor } from '../../protocol/light/verify.ts'
import { must } from '../../protocol/result.ts'
import { later } from '../../protocol/time.ts'
import { payment } from '../agent/validator/street.ts'
import { assert, type Suite } from '../harness.ts'
import { buyer, CHAIN_ID, genesis, verifier } from '../protocol/ledger/parties.ts'

export interface RpcUnderTest {
  readonly rpc: LedgerRpc
  /** The chain that the node serves; it makes a block only when told. */
  readonly producer: Producer
  close(): Promise<void>
}

const LIGHT: LightOptions = {
  chainId: CHAIN_ID,
  trustingPeriodMs: 86_400_000,
  maxClockDriftMs: 10_000,
  trustLevel: { numerator: 1, denominator: 3 },
}

export function ledgerRpcCases(t: Suite, name: string, make: (validators?: number) => Promise<RpcUnderTest>): void {
  const on = (title: string, body: (under: RpcUnderTest) => Promise<void>, validators?: number) =>
    t(`${name}: ${title}`, async () => {
      const under = await make(validators)
      try {
        await body(under)
      } finally {
        await under.close()
      }
    })
  const blocks = async (producer: Producer, count: number) => {
    for (let i = 0; i < count; i++) await producer.produce()
  }

  on('status names the chain and its newest height, none before the first block', async ({ rpc, producer }) => {
    const said = async () => {
      const { node, ...rest } = must(await rpc.status())
      assert.ok(node === undefined || /^[0-9a-f]{40}$/i.test(node), node)
      return rest
    }
    assert.equal(await said(), { chainId: CHAIN_ID, height: 0n })
    await blocks(producer, 2)
    assert.equal(await said(), { chainId: CHAIN_ID, height: 2n })
  })

  on('a light block comes whole and is believed, block by block and skipping', async ({ rpc, producer }) => {
    await blocks(producer, 9)
    const first = must(await rpc.lightBlock(1n))
    assert.equal(first, producer.lightBlock(1n))
    const now = later(instantOf(first.header.time), 5_000)
    const anchor = { height: 1n, hash: hashHeader(first.header) }
    const trusted = must(verifyAnchor(anchor, first, LIGHT, now, verifier))
    const second = verify(trusted, must(await rpc.lightBlock(2n)), LIGHT, now, verifier)
    assert.is(second.kind, 'trusted')
    const ninth = verify(trusted, must(await rpc.lightBlock(9n)), LIGHT, now, verifier)
    assert.is(ninth.kind, 'trusted')
    assert.equal(chainTime(genesis.time), first.header.time)
  })

  on(
    'a set of more validators than one page comes whole',
    async ({ rpc, producer }) => {
      await blocks(producer, 1)
      const block = must(await rpc.lightBlock(1n))
      assert.is(block.validators.length, 130)
      assert.is(block.commit.signatures.length, 130)
      assert.equal(block.validators, producer.lightBlock(1n)!.validators)
    },
    130,
  )

  on('a height that is not there yet is a fault with both heights', async ({ rpc, producer }) => {
    await blocks(producer, 3)
    const answer = await rpc.lightBlock(4n)
    assert.ok(!answer.ok)
    const { code, asked, newest } = answer.fault
    assert.equal({ code, asked, newest }, { code: 'rpc.height-too-high', asked: 4n, newest: 3n })
    const zero = await rpc.lightBlock(0n)
    assert.is(zero.ok ? '' : zero.fault.code, 'rpc.refused')
  })

  on('a height that is no longer there is a fault with the oldest', async ({ rpc, producer }) => {
    await blocks(producer, 12)
    const answer = await rpc.lightBlock(1n)
    assert.ok(!answer.ok)
    const { code, asked, oldest } = answer.fault
    assert.equal({ code, asked, oldest }, { code: 'rpc.height-gone', asked: 1n, oldest: 3n })
  })

  on('a transaction is handed in, and its effect proven from the header after its block', async ({ rpc, producer }) => {
    const key = utf8(`account/${buyer.id}`)
    await blocks(producer, 1)
    const before = must(await rpc.query(key, 1n))
    const tx = payment(0n)
    const taken = must(await rpc.submit(tx))
    assert.is(taken.code, 0)
    assert.ok(equalBytes(taken.hash, sha256(tx)))
    await blocks(producer, 2)
    const after = must(await rpc.query(key, 2n))
    assert.is(after.height, 2n)
    assert.not.ok(equalBytes(before.value!, after.value!))
    const header = must(await rpc.lightBlock(3n)).header
    assert.ok(verifyMembership(SMT_SPEC, header.appHash, after.proof, key, after.value!).ok)
    assert.not.ok(verifyMembership(SMT_SPEC, header.appHash, before.proof, key, before.value!).ok)
  })

  on('the absence of a key is answered with its proof', async ({ rpc, producer }) => {
    await blocks(producer, 2)
    const key = utf8('deal/none')
    const { value, proof } = must(await rpc.query(key, 1n))
    assert.is(value, undefined)
    assert.ok(verifyNonMembership(SMT_SPEC, must(await rpc.lightBlock(2n)).header.appHash, proof, key).ok)
  })

  on('state of a height that is not there is a fault', async ({ rpc, producer }) => {
    await blocks(producer, 1)
    const answer = await rpc.query(utf8('chain'), 2n)
    assert.is(answer.ok ? '' : answer.fault.code, 'rpc.refused')
  })

  on('a refused transaction comes back with its code and reason', async ({ rpc }) => {
    const refused = must(await rpc.submit(payment(7n)))
    assert.is(refused.code, 5)
    assert.match(refused.log, /^ledger\.sequence/)
  })

  on('a transaction handed in again, waiting or in a block, is taken', async ({ rpc, producer }) => {
    const tx = payment(0n)
    for (let i = 0; i < 3; i++) {
      const again = must(await rpc.submit(tx))
      assert.is(again.code, 0)
      assert.ok(equalBytes(again.hash, sha256(tx)))
      await blocks(producer, 1)
    }
    assert.is(
      [1n, 2n, 3n].reduce((n, height) => n + producer.block(height)!.txs.length, 0),
      1,
    )
  })

  on('a transaction in a block comes with its place and its result, proven', async ({ rpc, producer }) => {
    await blocks(producer, 1)
    const tx = payment(0n)
    must(await rpc.submit(tx))
    await blocks(producer, 2)
    const found = must(await rpc.tx(sha256(tx)))
    assert.equal([found.height, found.tx, found.result.code], [2n, tx, 0])
    const [own, next] = [must(await rpc.lightBlock(2n)).header, must(await rpc.lightBlock(3n)).header]
    assert.ok(verifyTx(own.dataHash, found.tx, found.proof))
    assert.ok(verifyResult(next.lastResultsHash, found.result, found.resultProof))
    assert.not.ok(verifyResult(next.lastResultsHash, { ...found.result, code: 1 }, found.resultProof))
    const unknown = await rpc.tx(sha256(utf8('no transaction')))
    assert.is(unknown.ok ? '' : unknown.fault.code, 'rpc.no-tx')
  })

  on('an old header comes with its proof under the newest state', async ({ rpc, producer }) => {
    await blocks(producer, 8)
    const eighth = must(await rpc.lightBlock(8n))
    const now = later(instantOf(eighth.header.time), 5_000)
    const trusted = must(verifyAnchor({ height: 8n, hash: hashHeader(eighth.header) }, eighth, LIGHT, now, verifier))
    for (const height of [1n, 4n, 7n]) {
      const { header, accumulated } = must(await rpc.oldHeader(height, 7n))
      assert.equal(header, producer.block(height)!.header)
      must(verifyOldHeader(trusted, header, accumulated!, LIGHT))
    }
    const absent = await rpc.oldHeader(9n, 7n)
    assert.is(absent.ok ? '' : absent.fault.code, 'rpc.height-too-high')
  })

  on('evidence that is none is not taken', async ({ rpc, producer }) => {
    await blocks(producer, 3)
    const block = must(await rpc.lightBlock(3n))
    const { time } = must(await rpc.lightBlock(1n)).header
    const nothing = { conflicting: block, commonHeight: 1n, byzantine: [], totalPower: 40n, time }
    const answer = await rpc.reportEvidence({ kind: 'light-client-attack', ...nothing })
    assert.is(answer.ok ? '' : answer.fault.code, 'rpc.refused')
    assert.match(answer.ok ? '' : String(answer.fault['message']), /the block is ours/)
  })
}
