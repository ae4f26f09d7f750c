/**
 * The memory of a board's light client: the product's own client, compiled to plain JavaScript as `npm run build` does and
 * alone in a process, follows a ledger header by header over HTTP and proves what stands under a key.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createProducer } from '../../agent/validator/producer.ts'
import { rpcRoutes } from '../../agent/validator/rpc.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import { toHex, utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { buyer, genesis } from '../protocol/ledger/parties.ts'
import type { BenchOptions, Row } from './report.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Compiles the board's program and all that it imports; answers the folder. It lies where packages are found from. */
function compile(): string {
  mkdirSync(`${root}node_modules/.cache`, { recursive: true })
  const folder = mkdtempSync(`${root}node_modules/.cache/tieline-bench-`)
  const config = {
    extends: `${root}hw/image/tsconfig.build.json`,
    compilerOptions: { outDir: folder, rootDir: root, typeRoots: [`${root}node_modules/@types`] },
    files: [`${root}test/bench/board.ts`],
    include: [],
  }
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(config))
  writeFileSync(`${folder}/package.json`, '{"type":"module"}')
  const tsc = spawnSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', folder], {
    encoding: 'utf8',
  })
  if (tsc.status !== 0) throw new Error(`the board's program does not compile: ${tsc.stdout}`)
  return folder
}

interface BoardResult {
  readonly headers: number
  readonly proofs: number
  readonly rssBytes: number
  readonly peakBytes: number
  readonly idleBytes: number
}

export async function measureMemory({ quick }: BenchOptions): Promise<readonly Row[]> {
  const headers = quick ? 300 : 10_000
  const proofs = quick ? 3 : 100
  const { clock, timers } = createSystemTime()
  const signers = Array.from({ length: 4 }, (_, i) => createSigner(sha256(utf8(`validator ${i}`))))
  const verifier = createVerifier()
  const producer = createProducer({
    genesis: { ...genesis, time: instant(clock.now() - 60_000) },
    signers,
    clock,
    timers,
    verifier,
    keep: 1000,
  })
  await producer.produce()
  await producer.produce()
  const server = must(
    await serveHttp({
      port: 0,
      routes: rpcRoutes(producer, timers),
      onBug: error => {
        throw error
      },
    }),
  )
  const folder = compile()
  try {
    const anchor = producer.block(1n)!.blockId.hash
    const job = {
      url: `http://127.0.0.1:${server.port}`,
      chainId: genesis.chainId,
      anchor: toHex(anchor),
      key: `account/${buyer.id}`,
      headers,
      proofs,
      folder,
    }
    const result = await runBoard(`${folder}/test/bench/board.js`, JSON.stringify(job), () => producer.produce())
    const mega = (bytes: number) => bytes / 1e6
    return [
      {
        id: 'memory.light',
        what: `light client's memory after ${result.headers.toLocaleString('en')} headers and ${result.proofs} proofs`,
        value: mega(result.rssBytes),
        unit: 'MB',
        asked: '80',
        floor: { what: 'the same process before its first header', value: mega(result.idleBytes), unit: 'MB' },
        note: `resident; at its peak ${mega(result.peakBytes).toFixed(0)} MB`,
      },
    ]
  } finally {
    rmSync(folder, { recursive: true, force: true })
    await server.close()
  }
}

/** Runs the board's program: it asks for each block by a line, and its last line is what came of it. */
function runBoard(program: string, job: string, produce: () => Promise<unknown>): Promise<BoardResult> {
  return new Promise((resolve, reject) => {
    const board = spawn(process.execPath, [program, job], { stdio: ['pipe', 'pipe', 'inherit'] })
    let last = ''
    createInterface({ input: board.stdout }).on('line', line => {
      last = line
      if (line === 'next') void produce().then(() => board.stdin.write('made\n'), reject)
    })
    board.on('close', code => {
      if (code === 0) resolve(JSON.parse(last) as BoardResult)
      else reject(new Error(`the board's program ended with ${code}: ${last}`))
    })
  })
}
