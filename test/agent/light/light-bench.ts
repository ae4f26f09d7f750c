/** A light agent over a small ledger that makes a block a second, with nodes that can go wrong in each way. */
import { createLightAgent, type LightAgent, type LightConfig } from '../../../agent/light/run.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import type { Disk, LedgerRpc } from '../../../drivers/ports.ts'
import { type HeaderStore, openHeaderStore } from '../../../drivers/store/headers.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import type { Evidence } from '../../../protocol/chain/evidence.ts'
import type { LightBlock } from '../../../protocol/chain/light-block.ts'
import { createStateTree } from '../../../protocol/chain/smt.ts'
import type { Verifier } from '../../../protocol/crypto/verify.ts'
import { evidenceFault } from '../../../protocol/light/evidence.ts'
import { done, fail, must, ok, type Result } from '../../../protocol/result.ts'
import { CHAIN, type ChainPlan, members, nextBlock, OPTIONS, ORIGIN, seal } from '../../protocol/light/chain-maker.ts'

export const group = members(4)
export const KEY = utf8('deal/1')
export const LOCKED = utf8('locked')

/** A ledger that makes a block a second, and nodes that serve it, each with its own ways of going wrong. */
function makeLedger(genesisBlocks: number) {
  const tree = createStateTree()
  const appHashes = [tree.commit(0n, [[utf8('genesis'), utf8('0')]])]
  const changes = new Map<number, readonly [Uint8Array, Uint8Array]>()
  const plan: ChainPlan = { heights: 0, group: () => group, appHash: height => appHashes[height - 1]! }
  const chain: LightBlock[] = []
  function produce(): void {
    const height = chain.length + 1
    chain.push(nextBlock(chain.at(-1), plan, height))
    const change = changes.get(height)
    const clockEntry = [utf8('clock'), utf8(String(height))] as const
    appHashes.push(tree.commit(BigInt(height), change === undefined ? [clockEntry] : [clockEntry, change]))
  }
  for (let i = 0; i < genesisBlocks; i++) produce()
  return { chain, tree, plan, produce, changes }
}

type Ledger = ReturnType<typeof makeLedger>

interface Node extends LedgerRpc {
  mode: 'fine' | 'down' | 'hanging'
  /** Blocks it is behind. */
  behind: number
  /** Its own version of a block. */
  twist: ((block: LightBlock) => LightBlock) | undefined
  twistValue: ((value: Uint8Array | undefined) => Uint8Array | undefined) | undefined
  /** What a query waits for before it is answered. */
  slowly: (() => Promise<void>) | undefined
  /** Added to the height that a query says it answers for. */
  heightError: bigint
  readonly asked: string[]
  /** Evidence that it took, judged against its own chain. */
  readonly reported: Evidence[]
}

const verifier = createVerifier()

function makeNode(name: string, ledger: Ledger): Node {
  const answer = async <T>(what: string, give: () => Result<T>): Promise<Result<T>> => {
    node.asked.push(what)
    if (node.mode === 'hanging') return new Promise(() => {})
    return node.mode === 'down' ? fail({ code: 'rpc.down' }) : give()
  }
  const height = () => ledger.chain.length - node.behind
  const node: Node = {
    name,
    mode: 'fine',
    behind: 0,
    twist: undefined,
    twistValue: undefined,
    slowly: undefined,
    heightError: 0n,
    asked: [],
    reported: [],
    status: () => answer('status', () => ok({ chainId: CHAIN, height: BigInt(height()) })),
    lightBlock: at =>
      answer(`block ${at}`, () => {
        const block = ledger.chain[Number(at) - 1]
        if (block === undefined || at > BigInt(height())) return fail({ code: 'rpc.too-high' })
        return ok(node.twist === undefined ? block : node.twist(block))
      }),
    async query(key, at) {
      await node.slowly?.()
      return answer(`query ${at}`, () => {
        const snapshot = ledger.tree.at(at)
        if (snapshot === undefined) return fail({ code: 'rpc.pruned' })
        const value = snapshot.get(key)
        return ok({
          height: at + node.heightError,
          value: node.twistValue ? node.twistValue(value) : value,
          proof: snapshot.prove(key),
        })
      })
    },
    submit: () => answer('submit', () => fail({ code: 'rpc.none' })),
    tx: () => answer('tx', () => fail({ code: 'rpc.no-tx' })),
    oldHeader: at =>
      answer(`header ${at}`, () => {
        const block = ledger.chain[Number(at) - 1]
        return block === undefined ? fail({ code: 'rpc.too-high' }) : ok({ header: block.header })
      }),
    reportEvidence: evidence =>
      answer('evidence', () => {
        const blockAt = (at: bigint) => {
          const block = ledger.chain[Number(at) - 1]
          return block === undefined || node.twist === undefined ? block : node.twist(block)
        }
        const fault = evidenceFault(evidence, CHAIN, blockAt, verifier)
        if (fault !== undefined) return fail(fault)
        node.reported.push(evidence)
        return done
      }),
  }
  return node
}

function makeDisk(files = new Map<string, Uint8Array>()): Disk & { readonly files: Map<string, Uint8Array> } {
  const none = () => Promise.resolve(fail({ code: 'disk.none' }))
  return {
    files,
    list: () => Promise.resolve(ok([...files.keys()])),
    read: name => Promise.resolve(files.has(name) ? ok(files.get(name)!) : fail({ code: 'disk.absent', name })),
    replace: (name, bytes) => {
      files.set(name, bytes)
      return Promise.resolve(done)
    },
    create: none,
    write: none,
    sync: none,
    remove: name => {
      files.delete(name)
      return Promise.resolve(done)
    },
    hold: none,
  }
}

export interface Bench {
  readonly ledger: Ledger
  readonly primary: Node
  readonly witnesses: readonly Node[]
  readonly disk: ReturnType<typeof makeDisk>
  readonly time: ReturnType<typeof createSimTime>
  readonly agent: LightAgent
  readonly transcript: string[]
  /** What the agent believes now, in a word each. */
  state(): string
  evidence(): readonly string[]
  /** Runs a call of the agent while time goes on. */
  during<T>(call: Promise<T>): Promise<T>
  /** The agent of the next start, over the same disk. */
  again(config?: Partial<LightConfig>): Promise<LightAgent>
  /** What is kept of verified blocks. */
  headers(): HeaderStore
}

const drain = () => new Promise<void>(resolve => setImmediate(resolve))

export async function makeBench(
  setup: { blocks?: number; witnesses?: number; verifier?: Verifier; config?: Partial<LightConfig> } = {},
): Promise<Bench> {
  const blocks = setup.blocks ?? 10
  const ledger = makeLedger(blocks)
  // The clock stands a moment after the newest block.
  const time = createSimTime(ORIGIN + blocks * 1000 + 100, drain)
  time.timers.every(1000, ledger.produce)
  const primary = makeNode('primary', ledger)
  const witnesses = Array.from({ length: setup.witnesses ?? 2 }, (_, i) => makeNode(`witness ${i + 1}`, ledger))
  const disk = makeDisk()
  const transcript: string[] = []
  const headersDisk = createSimDisk({ random: () => 0.5 })
  let headers: HeaderStore
  const make = async (config: Partial<LightConfig> = {}) => {
    const options = { disk: headersDisk.mount(), clock: time.clock, chainId: CHAIN, segmentBytes: 65_536 }
    headers = must(await openHeaderStore(options))
    const agent = createLightAgent({
      config: {
        ...OPTIONS,
        trust: { height: 1n, hash: ledger.chain[0]!.commit.blockId.hash },
        ...setup.config,
        ...config,
      },
      primary,
      witnesses,
      clock: time.clock,
      timers: time.timers,
      disk,
      headers,
      verifier: setup.verifier ?? createVerifier(),
      log: (level, _, text, fault) => transcript.push(`${time.clock.mono()} ${level} ${text} ${fault?.code ?? ''}`),
    })
    agent.onHealth(health => transcript.push(`${time.clock.mono()} health ${health.state} ${health.fault?.code ?? ''}`))
    return agent
  }
  const agent = await make()
  return {
    ledger,
    primary,
    witnesses,
    disk,
    time,
    agent,
    transcript,
    state: () => agent.health().state,
    evidence: () => [...disk.files.keys()].filter(name => name.startsWith('light-evidence-')),
    async during(call) {
      let ended = false
      call.then(() => {
        ended = true
      })
      for (let i = 0; i < 200 && !ended; i++) await time.advance(250)
      return call
    },
    again: make,
    headers: () => headers,
  }
}

export async function started(setup: Parameters<typeof makeBench>[0] = {}): Promise<Bench> {
  const bench = await makeBench(setup)
  must(await bench.during(bench.agent.start()))
  return bench
}

/** The header with another AppHash, under the old signatures. */
export const forged = (block: LightBlock): LightBlock => ({
  ...block,
  header: { ...block.header, appHash: utf8('forged') },
})
/** The same signed by strangers. */
export const resealed = (block: LightBlock): LightBlock =>
  seal({ ...block.header, appHash: utf8('forged') }, members(4, 70))
/** The same signed by the real validators: a fork. */
export const forked = (block: LightBlock): LightBlock => seal({ ...block.header, appHash: utf8('fork') }, group)
