/** The light client as a program of its own, for board-memory.ts: what a board runs of it, and nothing else. */
import { mkdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { createLightAgent } from '../../agent/light/run.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { createRpcClient } from '../../drivers/headers/rpc-client.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { openHeaderStore } from '../../drivers/store/headers.ts'
import { hex, utf8 } from '../../protocol/bytes.ts'
import { must } from '../../protocol/result.ts'

export interface BoardTask {
  readonly url: string
  readonly chainId: string
  readonly anchor: { readonly height: string; readonly hash: string }
  readonly key: string
  readonly headers: number
  readonly proofs: number
  readonly folder: string
}

export interface BoardResult {
  readonly headers: number
  readonly proofs: number
  readonly rssBytes: number
  readonly peakBytes: number
  /** Before the first header. */
  readonly idleBytes: number
}

const task = JSON.parse(process.argv[2]!) as BoardTask
const { clock, timers } = createSystemTime()
const openFolder = async (name: string) => {
  mkdirSync(`${task.folder}/${name}`, { recursive: true })
  return must(await openDisk(`${task.folder}/${name}`))
}
const headerStore = must(await openHeaderStore({ disk: await openFolder('headers'), clock, chainId: task.chainId }))
const agent = createLightAgent({
  config: {
    chainId: task.chainId,
    trust: { height: BigInt(task.anchor.height), hash: hex(task.anchor.hash) },
    trustingPeriodMs: 86_400_000,
    // Blocks are made as fast as they are followed, a millisecond apart at least: their time may run ahead.
    maxClockDriftMs: 3_600_000,
    trustLevel: { numerator: 1, denominator: 3 },
    // This program asks for each head itself.
    followMs: 86_400_000,
  },
  primary: createRpcClient({ url: task.url }),
  witnesses: [createRpcClient({ url: task.url })],
  clock,
  timers,
  disk: await openFolder('state'),
  headers: headerStore,
  verifier: createVerifier(),
  log: (level, room, text, fault) => {
    if (level !== 'info') process.stderr.write(`${level} ${room}: ${text} ${JSON.stringify(fault ?? {})}\n`)
  },
})
const idleBytes = process.memoryUsage.rss()
must(await agent.start())

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const key = utf8(task.key)
const each = Math.floor(task.headers / task.proofs)
let peakBytes = 0
while (agent.stats().headersVerified < task.headers) {
  process.stdout.write('next\n')
  await lines.next()
  must(await agent.follow())
  if (agent.stats().headersVerified % each === 0) must(await agent.prove(key))
  peakBytes = Math.max(peakBytes, process.memoryUsage.rss())
}
await agent.stop()
await headerStore.close()
const { headersVerified: headers, proofsVerified: proofs } = agent.stats()
const result: BoardResult = { headers, proofs, rssBytes: process.memoryUsage.rss(), peakBytes, idleBytes }
process.stdout.write(`${JSON.stringify(result)}\n`)
process.exit(0)
