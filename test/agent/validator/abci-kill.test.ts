/**
 * An application that dies between any two calls comes back to the same chain: its node asks where it is, and brings the
 * blocks after that again, as CometBFT's handshake does. Judged by an application that never died.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { toHex } from '../../../protocol/bytes.ts'
import { createApp } from '../../../protocol/ledger/app.ts'
import { micros } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, buyer, genesis, seller, signTx, verifier } from '../../protocol/ledger/parties.ts'
import { type AbciBench, closing, freshDisks, mounted, startAbci } from './abci-bench.ts'
import {
  type AbciClient,
  COMMIT,
  checkTx,
  dialAbci,
  FLUSH,
  fieldsIn,
  finalize,
  INFO,
  initChain,
  prepare,
  processProposal,
  type Reply,
  type TestBlock,
  testBlock,
} from './abci-client.ts'

const test = closing(suite('ABCI killed'))
const MAIN = fileURLToPath(new URL('../../../agent/validator/main.ts', import.meta.url))
const BLOCKS = 4n

const pay = (sequence: bigint) =>
  signTx(seller, sequence, { kind: 'transfer', body: { to: buyer.address, amount: micros(1n) } })
const blocks = Array.from({ length: Number(BLOCKS) }, (_, i) => testBlock(BigInt(i + 1), BEGIN, [pay(BigInt(i))]))

/** The AppHash after each block, by an application that lives through all of them. */
function reference(): string[] {
  const app = createApp(genesis)
  return blocks.map(block => {
    const { appHash } = app.finalizeBlock({ ...block, misbehaved: [], verifier })
    app.commit()
    return toHex(appHash)
  })
}
const expected = reference()

/** The calls of a node's life up to the last block; each may be the last that this application hears. */
async function live(client: AbciClient, before: (call: number) => Promise<void>, from = 0): Promise<number> {
  let count = from
  const call = async (request: Uint8Array): Promise<Reply> => {
    await before(count++)
    const [reply] = await client.call(request, FLUSH)
    assert.is.not(reply!.number, 1)
    return reply!
  }
  const info = fieldsIn(await call(INFO), { 4: 'varint', 5: 'bytes' })
  const height = Number(info[4])
  if (height > 0) assert.is(toHex(info[5]), expected[height - 1])
  else await call(initChain(genesis))
  for (const block of blocks.slice(height)) await play(block, call)
  return count
}

async function play(block: TestBlock, call: (request: Uint8Array) => Promise<Reply>): Promise<void> {
  await call(checkTx(block.txs[0]!))
  await call(prepare(block))
  await call(processProposal(block))
  const finalized = await call(finalize(block))
  assert.is(toHex(fieldsIn(finalized, { 5: 'bytes' })[5]), expected[Number(block.height) - 1])
  await call(COMMIT)
}

class Killed extends Error {}

async function startChild(folder: string, path: string): Promise<ChildProcess> {
  const args = ['--import', 'tsx', MAIN, 'abci', '--listen', `unix://${path}`, '--data', folder]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', chunk => {
      if (String(chunk).includes('abci at ')) resolve()
    })
    child.once('exit', code => reject(new Error(`ended with ${code}`)))
  })
  return child
}

test('kill -9 of the program between any two calls', async () => {
  const root = mkdtempSync(join(tmpdir(), 'tieline-kill-'))
  const path = join(root, 'abci.sock')
  // One life that is cut at each call in turn: 1 call, then 2, 3, ... until a life reaches the end.
  let child = await startChild(join(root, 'data'), path)
  try {
    for (let lives = 0, done = false; !done; lives++) {
      assert.ok(lives < 40)
      const client = await dialAbci(`unix://${path}`)
      try {
        await live(client, async call => {
          if (call <= lives) return
          const gone = new Promise(resolve => child.once('exit', resolve))
          child.kill('SIGKILL')
          await gone
          throw new Killed()
        })
        done = true
      } catch (error) {
        if (!(error instanceof Killed)) throw error
        child = await startChild(join(root, 'data'), path)
      }
      client.close()
    }
    const client = await dialAbci(`unix://${path}`)
    const [info] = await client.call(INFO)
    assert.equal(fieldsIn(info!, { 4: 'varint' })[4], BLOCKS)
    client.close()
  } finally {
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
    rmSync(root, { recursive: true, force: true })
  }
}, 300_000)

test('a power cut at any operation of the disk', async () => {
  let operations = 0
  const count = freshDisks((_operation, _name, n) => {
    operations = n
    return undefined
  })
  const first = await startAbci(mounted(count))
  await live(await first.dial(), async () => {})
  await first.close()
  assert.ok(operations > 8)

  for (let at = 0; at <= operations; at++) {
    const disks = freshDisks((_operation, _name, n) => (n === at ? 'cut' : undefined))
    let bench: AbciBench | undefined
    const boot = async () => {
      bench = await startAbci(mounted(disks))
      await live(await bench.dial(), async () => {})
    }
    // The cut shows as a fault of the store, at its opening or as an exception; then everything is started again.
    await boot().catch(() => bench?.close().catch(() => {}))
    bench = undefined
    await boot()
    const [info] = await (await bench!.dial()).call(INFO)
    assert.is(toHex(fieldsIn(info!, { 5: 'bytes' })[5]), expected.at(-1), `cut at operation ${at}`)
    await bench!.close()
  }
}, 120_000)

test('a block that was executed and answered but not committed is as if it had never been', async () => {
  const disks = freshDisks()
  const bench = await startAbci(mounted(disks))
  const client = await bench.dial()
  await client.call(initChain(genesis), finalize(blocks[0]!))
  assert.is(await heightAfterCut(disks, bench), 0n)
})

test('the control: on a disk that says synced and is not, a committed block is lost, and this is noticed', async () => {
  for (const lyingSync of [false, true]) {
    const disks = freshDisks(undefined, lyingSync)
    const bench = await startAbci(mounted(disks))
    const client = await bench.dial()
    await client.call(initChain(genesis), finalize(blocks[0]!), COMMIT)
    // Lost, or not even to be opened.
    const height = await heightAfterCut(disks, bench).catch(() => 0n)
    assert.is(height, lyingSync ? 0n : 1n)
  }
})

async function heightAfterCut(disks: ReturnType<typeof freshDisks>, bench: AbciBench): Promise<bigint> {
  disks.ledger.cut()
  await bench.close().catch(() => {})
  const again = await startAbci(mounted(disks))
  const [info] = await (await again.dial()).call(INFO)
  await again.close()
  return fieldsIn(info!, { 4: 'varint' })[4]
}

test.run()
