/**
 * Four real CometBFT nodes with our ledger, from first block to last: transactions all the time, applications and nodes
 * killed, a fresh node that takes its state from a snapshot, our light client watching.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLightAgent } from '../../agent/light/run.ts'
import { tielineLedger } from '../../agent/validator/cli.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { createRpcClient } from '../../drivers/headers/rpc-client.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { openHeaderStore } from '../../drivers/store/headers.ts'
import { fromHex, utf8 } from '../../protocol/bytes.ts'
import { fromBase64 } from '../../protocol/chain/base64.ts'
import { ACCOUNTS } from '../../protocol/ledger/tables.ts'
import { parseTx } from '../../protocol/ledger/tx.ts'
import { decodeAs } from '../../protocol/record.ts'
import { faultLine, must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { buyer, genesis, verifier } from '../protocol/ledger/parties.ts'
import type { Outcome } from './light-proxy.ts'
import { allAt, makeNetwork, type Node } from './network.ts'
import { sleep, until } from './process.ts'
import { changeValidators } from './staking.ts'
import { startTraffic } from './traffic.ts'

export interface Run {
  readonly binary: string
  readonly version: string
  readonly blocks: number
  readonly seed: number
  log(line: string): void
}

const INTERVAL_MS = 50
/** The newest four are kept; a fresh node looks around for five seconds, some 50 blocks, before it chooses one. */
const SNAPSHOT_INTERVAL = 40
const STARTED_MS = 60_000
/** A node that was killed dials its peers again after some seconds, and more after each failure. */
const BACK_MS = 90_000
/** Five seconds of looking around, a snapshot, and what was decided meanwhile. */
const JOINED_MS = 30_000
const JOINS = 4
const KILLS = 3
/** What the traffic is made of. */
const KINDS = ['transfer', 'mint', 'burn', 'open', 'commit', 'receipt', 'role', 'stake', 'unstake']

const { clock, timers } = createSystemTime(undefined, () => 'synchronised')

/** The same kills again for the same seed (xorshift32). */
function diceOf(seed: number): (below: number) => number {
  let state = seed | 1
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

export async function runFourNodes(run: Run): Promise<readonly Outcome[]> {
  const { binary, version, blocks, seed, log } = run
  const outcomes: Outcome[] = []
  const folder = mkdtempSync(join(tmpdir(), 'tieline-net-'))
  const basePort = 20_000 + (process.pid % 100) * 60
  const dice = diceOf(seed)
  const begun = performance.now()
  const seconds = () => (performance.now() - begun) / 1000
  const everyone: Node[] = []
  let closeLight = async () => {}

  /** One thing that must hold; what went wrong is its detail. */
  async function check(name: string, work: () => Promise<string>): Promise<void> {
    let outcome: Outcome
    try {
      outcome = { name: `${version}: ${name}`, ok: true, detail: await work() }
    } catch (error) {
      outcome = { name: `${version}: ${name}`, ok: false, detail: String((error as Error).message) }
    }
    outcomes.push(outcome)
    log(`${outcome.ok ? 'ok  ' : 'FAIL'} ${outcome.name}: ${outcome.detail} (${seconds().toFixed(0)} s)`)
    if (!outcome.ok) throw new Stop()
  }

  try {
    const begin = { ...genesis, chainId: genesis.chainId, time: instant(Date.now()) }
    const plan = { binary, folder, genesis: begin, basePort, snapshotInterval: SNAPSHOT_INTERVAL }
    const network = makeNetwork(plan, INTERVAL_MS)
    const { nodes } = network
    const [first] = nodes as [Node, ...Node[]]
    everyone.push(...nodes)
    await Promise.all(nodes.map(node => node.start()))

    await check('four nodes make blocks', async () => {
      await allAt(nodes, 3, STARTED_MS)
      return `height ${await first.height()}`
    })

    const traffic = startTraffic(nodes)
    const watch = await startLight(nodes, folder, log)
    closeLight = watch.close
    const from = { height: await first.height(), at: performance.now() }

    let joined: Promise<Node> | undefined
    const joinWhenReady = async (): Promise<Node> => {
      await until('a snapshot to start from', BACK_MS, async () => (await first.height()) > 2 * SNAPSHOT_INTERVAL + 2)
      // A witness that is being killed at that moment ends CometBFT's state sync for good; whoever runs a node tries again.
      for (let attempt = 1; ; attempt++) {
        const fresh = await network.joinBySnapshot(`fresh${attempt}`)
        everyone.push(fresh)
        try {
          await until('the fresh node follows', JOINED_MS, async () => {
            if (!fresh.comet.alive) throw new Error('the fresh node ended')
            return fresh.isFollowing(await first.height())
          })
          return fresh
        } catch (error) {
          if (attempt === JOINS) throw error
          log(`${version}: ${(error as Error).message}; once more`)
          await fresh.stop()
          everyone.pop()
        }
      }
    }
    joined = joinWhenReady()
    joined.catch(() => {})

    await check(`${KILLS} applications and ${KILLS} nodes are killed and come back`, async () => {
      const story: string[] = []
      for (let n = 0; n < 2 * KILLS; n++) {
        await sleep(200 + dice(1500))
        // The first is whom the light client follows and the fresh node trusts.
        const victim = nodes[1 + dice(nodes.length - 1)]!
        const height = await first.height()
        if (n % 2 === 0) await victim.killApp()
        else await victim.killNode()
        story.push(`${n % 2 === 0 ? 'application' : 'node'} of ${victim.name} at ${height}`)
        await until(`${victim.name} follows again`, BACK_MS, async () => victim.isFollowing(await first.height()))
      }
      return story.join(', ')
    })

    await check('a fresh node takes its state from a snapshot', async () => {
      const fresh = await joined!
      const earliest = Number((await fresh.get('status')).sync_info.earliest_block_height)
      if (earliest <= 1) throw new Error('it began at block 1: it has replayed, not restored')
      return `its first block is ${earliest}`
    })

    await check('validators change by stake', async () => changeValidators(first, await joined!, traffic))

    await check(`block ${blocks} is reached under transactions`, async () => {
      await until(`block ${blocks}`, 60_000 + blocks * 1_000, async () => (await first.height()) >= blocks)
      const height = await first.height()
      const elapsed = (performance.now() - from.at) / 1000
      await traffic.stop()
      const kinds = await countTxs(first, from.height + 1, height)
      const txs = [...kinds.values()].reduce((sum, n) => sum + n, 0)
      const missing = KINDS.filter(kind => !kinds.has(kind))
      if (missing.length > 0) throw new Error(`none of these came into a block: ${missing.join(', ')}`)
      const rates = `${((height - from.height) / elapsed).toFixed(1)} blocks/s, ${(txs / elapsed).toFixed(0)} tx/s`
      return `height ${height}, ${rates} with the kills: ${[...kinds].map(([kind, n]) => `${n} ${kind}`).join(', ')}`
    })

    await check('the AppHash of every block is the same on all nodes', async () => {
      const height = await first.height()
      await allAt(everyone, height, BACK_MS)
      return compareHashes(everyone, height)
    })

    await check('every coin and watt-hour adds up', async () => {
      let said = ''
      const terminal = {
        out: (text: string) => {
          said += text
        },
        err: (text: string) => {
          said += text
        },
        colour: false,
        env: {},
      }
      const world = { terminal, clock, timers, interrupted: new Promise<void>(() => {}) }
      for (const { rpc } of [first, everyone.at(-1)!]) {
        said = ''
        const exit = await tielineLedger(['audit', rpc], world)
        if (exit !== 0) throw new Error(`exit ${exit}: ${said}`)
      }
      return said.trim().split('\n').slice(0, 3).join('; ')
    })

    await check('our light client followed without a fault and proves an account', async () => {
      const { agent, bad } = watch
      const proven = await agent.prove(utf8(`account/${buyer.id}`))
      if (!proven.ok) throw new Error(faultLine(proven.fault))
      if (bad.length > 0) throw new Error(bad.join('; '))
      const { value } = proven.value
      if (value === undefined) throw new Error('the account is said to be absent')
      const { balance } = must(decodeAs(ACCOUNTS.codec, value, 'account', 1024))
      const absent = await agent.prove(utf8('account/0000000000000000000000000000000000000000'))
      if (!absent.ok || absent.value.value !== undefined) throw new Error('an absence was not proven')
      const { headersVerified } = agent.stats()
      return `${headersVerified} headers verified, balance ${balance}`
    })

    await check('no node complains about its application', async () => {
      const complaints = everyone.flatMap(node => complaintsOf(node, folder))
      if (complaints.length > 0) throw new Error(complaints.slice(0, 5).join(' | '))
      return 'nothing in their logs'
    })
  } catch (error) {
    if (!(error instanceof Stop)) {
      outcomes.push({ name: `${version}: the run`, ok: false, detail: String((error as Error).stack) })
    }
  } finally {
    await closeLight()
    await Promise.all(everyone.map(node => node.stop()))
  }
  if (outcomes.every(({ ok }) => ok)) rmSync(folder, { recursive: true, force: true })
  else log(`logs and data stay in ${folder}; --seed ${seed} kills alike`)
  log(`${version}: ${seconds().toFixed(0)} s in all`)
  return outcomes
}

/** A check has failed and said so; what follows would say nothing. */
class Stop extends Error {}

async function startLight(nodes: readonly Node[], folder: string, log: (line: string) => void) {
  const [primary, ...witnesses] = nodes.map(({ rpc }) => createRpcClient({ url: rpc }))
  const anchor = await nodes[0]!.get('commit?height=1')
  const hash = fromHex(anchor.signed_header.commit.block_id.hash)!
  const bad: string[] = []
  const disk = must(await openDisk(join(folder, 'light')))
  const headers = must(await openHeaderStore({ disk, clock, chainId: genesis.chainId }))
  const agent = createLightAgent({
    config: {
      chainId: genesis.chainId,
      trust: { height: 1n, hash },
      trustingPeriodMs: 86_400_000,
      maxClockDriftMs: 5_000,
      trustLevel: { numerator: 1, denominator: 3 },
      followMs: 250,
    },
    primary: primary!,
    witnesses,
    clock,
    timers,
    disk,
    headers,
    verifier,
    log: (level, _, text, fault) => {
      if (level !== 'debug' && level !== 'info')
        log(`light: ${text}${fault === undefined ? '' : ` ${faultLine(fault)}`}`)
    },
  })
  must(await agent.start())
  agent.onHealth(({ state, fault }) => {
    if (state !== 'ok') bad.push(`${state}${fault === undefined ? '' : ` ${faultLine(fault)}`}`)
  })
  const close = async () => {
    await agent.stop()
    await headers.close()
    await disk.close()
  }
  return { agent, bad, close }
}

/** AppHash by height, in pages as /blockchain gives them. */
async function appHashes(node: Node, least: number, most: number): Promise<Map<number, string>> {
  const found = new Map<number, string>()
  for (let from = least; from <= most; from += 20) {
    const page = await node.get(`blockchain?minHeight=${from}&maxHeight=${Math.min(from + 19, most)}`)
    for (const { header } of page?.block_metas ?? []) found.set(Number(header.height), header.app_hash)
  }
  return found
}

/** Transactions by kind. None may have failed: an honest proposer leaves those out. */
async function countTxs(node: Node, from: number, to: number): Promise<Map<string, number>> {
  const kinds = new Map<string, number>()
  for (let height = from; height <= to; height++) {
    const results = (await node.get(`block_results?height=${height}`)).txs_results ?? []
    const failed = results.find(({ code }: { code: number }) => code !== 0)
    if (failed !== undefined) throw new Error(`a transaction in block ${height} failed: ${failed.log}`)
    if (results.length === 0) continue
    for (const text of (await node.get(`block?height=${height}`)).block.data.txs) {
      const { kind } = must(parseTx(fromBase64(text)!)).tx
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    }
  }
  return kinds
}

async function compareHashes(nodes: readonly Node[], height: number): Promise<string> {
  const [first, ...others] = nodes as [Node, ...Node[]]
  const known = await appHashes(first, 1, height)
  if (known.size !== height) throw new Error(`${first.name} gives ${known.size} of ${height} headers`)
  let compared = 0
  for (const node of others) {
    const earliest = Number((await node.get('status')).sync_info.earliest_block_height)
    const theirs = await appHashes(node, earliest, height)
    if (theirs.size !== height - earliest + 1)
      throw new Error(`${node.name} gives ${theirs.size} headers from ${earliest}`)
    for (const [at, app] of theirs) {
      if (app !== known.get(at))
        throw new Error(`AppHash of ${at}: ${app} on ${node.name}, ${known.get(at)} on ${first.name}`)
      compared++
    }
  }
  return `${compared} compared, height ${height}, ${nodes.length} nodes`
}

/** Parts of a node that talk to its application, or that end where it answers wrongly. */
const PARTS = ['abci-client', 'proxy', 'state', 'mempool', 'statesync', 'txindex']
/** What consensus itself says of an application; the rest of its errors is about what peers send. */
const FAILURE = /CONSENSUS FAILURE|panic|ABCI|AppHash|app hash|application/

/** What a node logs as errors of those parts, except from where something was killed until it works again. */
function complaintsOf(node: Node, folder: string): string[] {
  const complaints: string[] = []
  let killed = false
  let lines = 0
  for (const line of readFileSync(join(folder, `${node.name}.log`), 'utf8').split('\n')) {
    if (line.startsWith('== ')) killed = true
    if (line.includes('Completed ABCI Handshake')) killed = false
    if (/^[DIE]\[/.test(line)) lines++
    const module = /^E\[.* module=(\S+)/.exec(line)?.[1]
    if (killed || module === undefined) continue
    if (PARTS.includes(module) || FAILURE.test(line)) complaints.push(`${node.name}: ${line}`)
  }
  // Another form of log would hide everything.
  return lines > 0 ? complaints : [`${node.name}: its log could not be read`]
}
