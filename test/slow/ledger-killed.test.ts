/**
 * A real ledger process, killed without warning at random moments: the chain goes on from its folder, nothing that anybody
 * saw of it changes, and a light client that trusted a header before the first kill follows it over all of them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EXIT } from '../../agent/cli/exit-codes.ts'
import { secretFromSeed } from '../../agent/keys.ts'
import { fetchAudit } from '../../agent/validator/fetch-audit.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { createRpcClient } from '../../drivers/headers/rpc-client.ts'
import { type Ended, startChild } from '../../drivers/process/child.ts'
import { equalBytes, toHex, utf8 } from '../../protocol/bytes.ts'
import { instantOf } from '../../protocol/chain/chain-time.ts'
import { hashHeader } from '../../protocol/chain/header.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import { buildTx } from '../../protocol/ledger/tx.ts'
import type { LightOptions } from '../../protocol/light/predicates.ts'
import { type VerifiedBlock, verify, verifyAnchor } from '../../protocol/light/verify.ts'
import { micros } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import { later } from '../../protocol/time.ts'
import { assert, suite } from '../harness.ts'
import { verifier } from '../protocol/ledger/parties.ts'

const test = suite('killed ledger')

const KILLS = Number(process.env['TIELINE_KILLS'] ?? 40)
const CHAIN_ID = 'killed-1'
const LIGHT: LightOptions = {
  chainId: CHAIN_ID,
  trustingPeriodMs: 86_400_000,
  maxClockDriftMs: 10_000,
  trustLevel: { numerator: 1, denominator: 3 },
}
const PROGRAM = fileURLToPath(new URL('../../agent/validator/main.ts', import.meta.url))
const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

interface Ledger {
  readonly said: { out: string; err: string; end: Ended | undefined }
  /** Resolves once it is gone. */
  end(signal: 'SIGKILL' | 'SIGINT'): Promise<Ended>
  /** Where it listens. */
  url(): Promise<string>
}

async function start(...args: string[]): Promise<Ledger> {
  const said: Ledger['said'] = { out: '', err: '', end: undefined }
  const child = must(
    await startChild({
      entry: PROGRAM,
      args,
      onOut: line => {
        said.out += `${line}\n`
      },
      onErr: line => {
        said.err += `${line}\n`
      },
    }),
  )
  child.ended.then(end => {
    said.end = end
  })
  return {
    said,
    end: signal => {
      child.kill(signal)
      return child.ended
    },
    async url() {
      for (let i = 0; i < 4000 && said.end === undefined && !said.out.includes('Ctrl-C'); i++) await sleep(5)
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said.out)
      if (found === null) throw new Error(`it does not serve: ${said.err}`)
      return found[0]
    },
  }
}

/** The first account of `dev`, from its seed, pays itself. */
const account = createSigner(secretFromSeed(sha256(utf8('tieline dev killed account 0')), 'account'))
const holder = addressOf(account.publicKey)

async function payment(sequence: bigint): Promise<Uint8Array> {
  const terms = { chainId: CHAIN_ID, sender: holder, sequence, fee: micros(100n), expiry: 1_000_000n }
  const content = { kind: 'transfer' as const, body: { to: holder, amount: micros(1n) } }
  const unsigned = buildTx({ ...terms, ...content }, account.publicKey)
  return unsigned.withSignature(account.signNow(unsigned.toSign))
}

test(`${KILLS} kills`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-killed-'))
  const args = ['dev', '--data', folder, '--port', '0', '--interval', '10', '--chain', CHAIN_ID, '--seed', 'killed']
  const seen = new Map<bigint, string>()
  let first: LightBlock | undefined
  let sequence = 0n
  try {
    for (let life = 0; life < KILLS; life++) {
      const ledger = await start(...args)
      if (life % 4 === 3) {
        // While it looks for what was left.
        await sleep(400 + Math.random() * 600)
        await ledger.end('SIGKILL')
        continue
      }
      const rpc = createRpcClient({ url: await ledger.url() })
      first ??= must(await rpc.lightBlock(1n))
      for (const [height, hash] of seen) {
        if (seen.size > 20 && height % 7n !== 0n) continue
        const block = must(await rpc.lightBlock(height))
        assert.is(toHex(hashHeader(block.header)), hash, `block ${height} after kill ${life}`)
      }
      const killed = sleep(Math.random() * 800).then(() => ledger.end('SIGKILL'))
      // Everything that it tells before it dies binds it.
      while (ledger.said.end === undefined) {
        const taken = await rpc.submit(await payment(sequence))
        const expected = taken.ok ? /expected=(\d+)/.exec(taken.value.log)?.[1] : undefined
        // What waited for a block went with the process.
        if (expected !== undefined) sequence = BigInt(expected)
        else if (taken.ok && taken.value.code === 0) sequence++
        const status = await rpc.status()
        if (!status.ok || status.value.height < 1n) continue
        const block = await rpc.lightBlock(status.value.height)
        if (block.ok) seen.set(block.value.header.height, toHex(hashHeader(block.value.header)))
      }
      await killed
    }

    const ledger = await start(...args)
    const url = await ledger.url()
    const rpc = createRpcClient({ url })
    const { height } = must(await rpc.status())
    assert.ok(height > BigInt(KILLS), `${height} blocks`)
    const newest = must(await rpc.lightBlock(height))
    const now = later(instantOf(newest.header.time), 1_000)
    const anchor = { height: 1n, hash: hashHeader(first!.header) }
    let trusted: VerifiedBlock = must(verifyAnchor(anchor, first!, LIGHT, now, verifier))
    for (let h = 2n; h <= height; h++) {
      const block = must(await rpc.lightBlock(h))
      const known = seen.get(h)
      if (known !== undefined) assert.is(toHex(hashHeader(block.header)), known)
      assert.ok(equalBytes(block.header.lastBlockId.hash, trusted.hash))
      const verdict = verify(trusted, block, LIGHT, now, verifier)
      if (verdict.kind !== 'trusted') throw new Error(`block ${h}: ${verdict.kind}`)
      trusted = verdict.block
    }
    const audited = must(await fetchAudit(url))
    assert.equal(audited.problems, [])
    assert.ok(audited.height >= height - 1n)
    const end = await ledger.end('SIGINT')
    assert.is(end.code, EXIT.ok, ledger.said.err)
    process.stdout.write(`${height} blocks, ${seen.size} of them seen before a kill, ${sequence} transactions\n`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 600_000)

test.run()
