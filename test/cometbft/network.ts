/** Four real CometBFT nodes, each with our ledger in a process of its own, from the files that `tieline-ledger init` writes. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { genesisJson } from '../../agent/validator/genesis-json.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import { Program, until } from './process.ts'

const MAIN = fileURLToPath(new URL('../../agent/validator/main.ts', import.meta.url))
const LEDGER = ['--import', 'tsx', MAIN]

// biome-ignore lint/suspicious/noExplicitAny: a test reads what it asked for.
export type Json = any

export interface Plan {
  readonly binary: string
  readonly folder: string
  readonly genesis: Genesis
  readonly basePort: number
  readonly snapshotInterval: number
}

/** One node and its application. */
export class Node {
  readonly name: string
  readonly home: string
  readonly rpc: string
  readonly app: Program
  readonly comet: Program

  constructor(plan: Plan, name: string, rpc: string, listen: string) {
    this.name = name
    this.rpc = rpc
    this.home = join(plan.folder, name)
    const data = join(this.home, 'ledger')
    const interval = ['--snapshot-interval', String(plan.snapshotInterval)]
    const abci = [...LEDGER, 'abci', '--listen', listen, '--data', data, ...interval]
    this.app = new Program(process.execPath, abci, join(plan.folder, `${name}-app.log`))
    const start = ['start', '--home', this.home, '--proxy_app', listen]
    this.comet = new Program(plan.binary, start, join(plan.folder, `${name}.log`))
  }

  /** The application first: a node that finds none tries again only after three seconds. */
  async start(): Promise<void> {
    if (!this.app.alive) await this.app.start('abci at ')
    if (!this.comet.alive) await this.comet.start()
  }

  /** One RPC method by GET; undefined where the node does not answer. */
  async get(path: string): Promise<Json | undefined> {
    try {
      const answer = await fetch(`${this.rpc}/${path}`, { signal: AbortSignal.timeout(5_000) })
      return ((await answer.json()) as Json).result
    } catch {
      // Down, or not up yet: that is what is asked.
      return undefined
    }
  }

  /** Its newest height; 0 where it does not answer. */
  async height(): Promise<number> {
    return Number((await this.get('status'))?.sync_info.latest_block_height ?? 0)
  }

  async isFollowing(height: number): Promise<boolean> {
    const sync = (await this.get('status'))?.sync_info
    return sync !== undefined && !sync.catching_up && Number(sync.latest_block_height) >= height
  }

  /** kill -9 of the application; its node ends by itself, and both are started again, as a service manager would. */
  async killApp(): Promise<void> {
    this.comet.mark('our application is killed')
    await this.app.kill()
    // It may hang in its own shutdown; a service manager does not wait for ever.
    await this.comet.end(5_000)
    await this.start()
  }

  async killNode(): Promise<void> {
    this.comet.mark('this node is killed')
    await this.comet.kill()
    await this.start()
  }

  async stop(): Promise<void> {
    await Promise.all([this.comet.kill(), this.app.kill()])
  }
}

export interface Network {
  readonly nodes: readonly Node[]
  /** A node of this name that is no validator and takes its state from a snapshot, trusting a header of the first node's. */
  joinBySnapshot(name: string): Promise<Node>
}

/** Shorter than CometBFT's defaults, which are for machines far apart: a dead proposer costs a tenth. */
const HASTE = `timeout_propose = "400ms"
timeout_propose_delta = "100ms"
timeout_prevote = "200ms"
timeout_prevote_delta = "100ms"
timeout_precommit = "200ms"
timeout_precommit_delta = "100ms"
peer_gossip_sleep_duration = "10ms"
`

export function makeNetwork(plan: Plan, intervalMs: number): Network {
  const { folder, basePort, genesis } = plan
  const genesisFile = join(folder, 'begin.json')
  writeFileSync(genesisFile, JSON.stringify(genesisJson(genesis)))
  const files = join(folder)
  const args = ['init', files, '--validators', '4', '--interval', String(intervalMs), '--base-port', String(basePort)]
  const said = execFileSync(process.execPath, [...LEDGER, ...args, '--genesis', genesisFile, '--json'], {
    encoding: 'utf8',
  })
  const made = (JSON.parse(said) as Json).nodes as Json[]
  const hurry = (text: string) =>
    text
      .replace('[consensus]\n', `[consensus]\n${HASTE}`)
      .replace('[p2p]\n', '[p2p]\nflush_throttle_timeout = "10ms"\n')
  const nodes = made.map(({ rpc }, i) => {
    const config = join(folder, `node${i}`, 'config', 'config.toml')
    writeFileSync(config, hurry(readFileSync(config, 'utf8')))
    // One of the four over a path, the others over TCP.
    const listen = i === 1 ? `unix://${join(folder, 'abci-1.sock')}` : `tcp://127.0.0.1:${basePort + 10 * i + 2}`
    return new Node(plan, `node${i}`, rpc as string, listen)
  })
  const first = nodes[0]!

  return {
    nodes,
    async joinBySnapshot(name) {
      const port = basePort + 40
      const node = new Node(plan, name, `http://127.0.0.1:${port + 1}`, `tcp://127.0.0.1:${port + 2}`)
      const config = join(node.home, 'config')
      mkdirSync(config, { recursive: true })
      mkdirSync(join(node.home, 'data'), { recursive: true })
      copyFileSync(join(folder, 'genesis.json'), join(config, 'genesis.json'))
      // One that every node has: CometBFT's light client waits half a minute for a witness that is a block behind.
      const trusted = await first.get(`commit?height=${(await first.height()) - 5}`)
      const { height } = trusted.signed_header.header
      const peers = made.map(({ node_id }, i) => `${node_id}@127.0.0.1:${basePort + 10 * i}`).join(',')
      // All of them: whoever is killed meanwhile is dropped as a witness, and the last one must not be.
      const witnesses = nodes.map(({ rpc }) => rpc).join(',')
      const text = readFileSync(join(first.home, 'config', 'config.toml'), 'utf8')
        .replace(/^moniker = .*$/m, `moniker = "${name}"`)
        .replace(/^persistent_peers = .*$/m, `persistent_peers = "${peers}"`)
        .replace(/tcp:\/\/127\.0\.0\.1:(\d+)/g, (_, at: string) => `tcp://127.0.0.1:${Number(at) + 40}`)
      writeFileSync(
        join(config, 'config.toml'),
        `${text}
[statesync]
enable = true
rpc_servers = "${witnesses}"
trust_height = ${height}
trust_hash = "${trusted.signed_header.commit.block_id.hash}"
trust_period = "24h"
discovery_time = "5s"
`,
      )
      await node.start()
      return node
    },
  }
}

/** All nodes up and past a height. */
export const allAt = (nodes: readonly Node[], height: number, ms: number): Promise<void> =>
  until(`all nodes at height ${height}`, ms, async () =>
    (await Promise.all(nodes.map(node => node.isFollowing(height)))).every(follows => follows),
  )
