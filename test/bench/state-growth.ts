/** A ledger node's state of many accounts, for ledger.ts: its memory, what a block's changes and a proof cost. */
import { createStateTree } from '../../protocol/chain/smt.ts'
import { compactProof } from '../../protocol/chain/smt-compact.ts'
import { createApp, resumeApp } from '../../protocol/ledger/app.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import { micros } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { accountEntry, CHANGES } from './accounts.ts'

export interface GrowthTask {
  readonly keys: number
  /** Somebody whose key may hold an account, in bytes. */
  readonly operator: { readonly publicKey: readonly number[]; readonly address: readonly number[] }
}

export interface GrowthResult {
  readonly leaves: number
  /** The whole ledger application resumed from that many accounts, after a collection of garbage. */
  readonly appBytes: number
  /** A process of this program before it. */
  readonly idleBytes: number
  /** Hashes and references, and keys and values. */
  readonly nodeBytes: number
  readonly recordBytes: number
  /** Seconds that each commit of 1,000 changes took. */
  readonly commits: readonly number[]
  /** Seconds that each proof took, of a hundred at a time. */
  readonly proofs: readonly number[]
  readonly ics23Bytes: number
  readonly compactBytes: number
}

const { keys, operator } = JSON.parse(process.argv[2]!) as GrowthTask
const publicKey = Uint8Array.from(operator.publicKey)
const address = Uint8Array.from(operator.address)
const genesis: Genesis = {
  chainId: 'tieline-bench',
  time: instant(1_800_000_000_000),
  fee: micros(100n),
  feeAccount: address,
  operator: address,
  accounts: [{ publicKey, balance: micros(1n) }],
  meters: [],
}
const collect = (globalThis as unknown as { readonly gc: () => void }).gc
const cpuSeconds = (work: () => void): number => {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

function* entries(from: Iterable<readonly [Uint8Array, Uint8Array]>) {
  yield* from
  for (let i = 0; i < keys; i++) yield accountEntry(i)
}

collect()
const idleBytes = process.memoryUsage.rss()
const begun = createApp(genesis)
let app: unknown = must(resumeApp({ entries: entries(begun.entries(0n)!), headerHashes: [] }))
collect()
const appBytes = process.memoryUsage.rss()
if (app === undefined) throw new Error('held until it was measured')
app = undefined
collect()

const tree = createStateTree()
tree.fill(entries([]))
tree.commit(1n, [])
const { nodes, records } = tree.memory
const rounds = 12
const commits = Array.from({ length: rounds }, (_, round) => {
  const changes = Array.from({ length: CHANGES }, (_, i) => accountEntry((i * 7919 + round * 104_729) % keys, 2n))
  return cpuSeconds(() => tree.commit(BigInt(round + 2), changes))
}).slice(2)
const snapshot = tree.at(BigInt(rounds + 1))!
const proofs = Array.from({ length: rounds }, (_, round) => {
  const wanted = Array.from({ length: 100 }, (_, i) => accountEntry((i * 7907 + round * 31) % keys)[0])
  return cpuSeconds(() => wanted.map(key => snapshot.prove(key))) / wanted.length
}).slice(2)
const sizes = Array.from({ length: 101 }, (_, i) => {
  const [key] = accountEntry((i * 7877) % keys)
  const proof = snapshot.prove(key)
  return [proof.length, must(compactProof(proof, key)).length] as const
}).sort(([a], [b]) => a - b)
const [ics23Bytes, compactBytes] = sizes[50]!
const { leaves } = tree.count
const result: GrowthResult = {
  leaves,
  appBytes,
  idleBytes,
  nodeBytes: nodes,
  recordBytes: records,
  commits,
  proofs,
  ics23Bytes,
  compactBytes,
}
process.stdout.write(`${JSON.stringify(result)}\n`)
