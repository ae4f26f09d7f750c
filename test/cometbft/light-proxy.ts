/**
 * CometBFT's own light client (`cometbft light`) against the RPC of our producer: what it verifies, and whom it refuses.
 * Its proxy answers only what it has verified itself, so its answers are its verdicts.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createProducer, type Producer, type ProducerOptions } from '../../agent/validator/producer.ts'
import { RPC_BODY_LIMIT, rpcRoutes, rpcSockets } from '../../agent/validator/rpc.ts'
import type { ConductOf } from '../../agent/validator/votes.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { type HttpServer, serveHttp } from '../../drivers/http/server.ts'
import type { Clock } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import { createApp } from '../../protocol/ledger/app.ts'
import type { ValidatorUpdate } from '../../protocol/ledger/block.ts'
import { must } from '../../protocol/result.ts'
import { type Instant, later } from '../../protocol/time.ts'
import { payment, signersOf, withUpdates } from '../agent/validator/street.ts'
import { genesis, verifier } from '../protocol/ledger/parties.ts'

export interface Outcome {
  readonly name: string
  readonly ok: boolean
  /** What was seen, in one line. */
  readonly detail: string
}

interface Options {
  readonly binary: string
  log(line: string): void
}

// biome-ignore lint/suspicious/noExplicitAny: the answers' shape is what is judged here.
type Json = any

const { clock, timers } = createSystemTime()
const signers = signersOf(160)
const member = (i: number, power: bigint): ValidatorUpdate => ({ publicKey: signers[i]!.publicKey, power })
const BLOCKS = 40n

/** Joins, leaves and changed powers; between blocks 16 and 24 most of the power goes to others, so skipping must bisect. */
const CHANGES: Readonly<Record<string, readonly ValidatorUpdate[]>> = {
  4: [member(4, 10n)],
  8: [member(0, 25n), member(1, 7n)],
  16: [member(5, 40n), member(6, 40n)],
  18: [member(0, 0n), member(1, 0n), member(2, 0n)],
  24: [member(3, 0n), member(7, 90n)],
}

/** A proposer that is away, an absent validator, a vote for nil. */
const conductOf: ConductOf = (address, height) => {
  const third = toHex(address) === toHex(addressOf(signers[3]!.publicKey))
  if (height === 11n) return { proposes: third }
  return third && height === 7n ? { vote: 'nil' } : third && height === 13n ? { vote: 'absent' } : {}
}

async function chain(change: Partial<ProducerOptions> = {}, txsAt?: bigint): Promise<Producer> {
  const begun = { ...genesis, time: clock.now() }
  const producer = createProducer({ genesis: begun, signers, clock, timers, verifier, ...change })
  for (let height = 1n; height <= BLOCKS; height++) {
    if (height === txsAt) for (const n of [0n, 1n, 2n]) producer.submit(payment(n))
    must(await producer.produce())
  }
  return producer
}

/** Two of these of one genesis time are one chain up to the block with the transactions. */
const twin = (time: Instant, txsAt?: bigint) =>
  chain({ genesis: { ...genesis, time }, signers: signers.slice(0, 4), clock: steady(time) }, txsAt)

/** Each question a moment later than the one before, so that two chains have the same times. */
function steady(begun: Instant): Clock {
  let now: Instant = begun
  return {
    ...clock,
    now: () => {
      now = later(now, 1)
      return now
    },
  }
}

const changing = (txsAt?: bigint) =>
  chain(
    {
      validators: [member(0, 10n), member(1, 10n), member(2, 10n), member(3, 10n)],
      app: withUpdates(createApp({ ...genesis, time: clock.now() }), height => CHANGES[String(height)] ?? []),
      conductOf,
    },
    txsAt,
  )

/** A node; `lie` may alter what a method answers. */
async function node(producer: Producer, lie?: (method: string, result: Json) => void): Promise<HttpServer> {
  const routes = rpcRoutes(producer, timers)
  const honest = routes['POST /']!
  const server = await serveHttp({
    port: 0,
    sockets: rpcSockets(producer, timers),
    bodyLimit: RPC_BODY_LIMIT,
    onBug: error => {
      throw error
    },
    routes: {
      ...routes,
      'POST /': async request => {
        const reply = await honest(request)
        if (lie === undefined || reply.kind !== 'json') return reply
        const value = structuredClone(reply.value) as Json
        if (value.result !== undefined) lie(JSON.parse(Buffer.from(request.body).toString()).method, value.result)
        return { ...reply, value }
      },
    },
  })
  return must(server)
}

class LightClient {
  output = ''
  exited = false
  private readonly child: ChildProcess
  constructor(binary: string, args: readonly string[], log: (line: string) => void) {
    this.child = spawn(binary, ['light', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    const hear = (chunk: Buffer) => {
      this.output += chunk
      for (const line of String(chunk).split('\n')) if (line !== '') log(line.slice(0, 300))
    }
    this.child.stdout!.on('data', hear)
    this.child.stderr!.on('data', hear)
    this.child.on('close', () => {
      this.exited = true
    })
  }
  async until(pattern: RegExp): Promise<string | undefined> {
    for (let i = 0; i < 400; i++) {
      const found = pattern.exec(this.output)
      if (found !== null) return found[1] ?? found[0]
      if (this.exited) return undefined
      await timers.sleep(25)
    }
    return undefined
  }
  async stop(): Promise<void> {
    for (let i = 0; i < 80 && !this.exited; i++) {
      this.child.kill(i < 60 ? 'SIGTERM' : 'SIGKILL')
      await timers.sleep(50)
    }
  }
}

/** What the proxy answers: its verified result, or the error that says why not. */
async function ask(url: string, path: string): Promise<{ readonly result?: Json; readonly error: string }> {
  const answer = (await (await fetch(`${url}/${path}`)).json()) as Json
  return answer.error === undefined ? { result: answer.result, error: '' } : { error: String(answer.error.data) }
}

const upper = (bytes: Uint8Array): string => toHex(bytes).toUpperCase()

export async function runLightProxy({ binary, log }: Options): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  const home = mkdtempSync(join(tmpdir(), 'tieline-light-'))
  let runs = 0

  async function follow(
    nodes: readonly HttpServer[],
    trusted: Producer,
    flags: readonly string[],
    use: (url: string | undefined, client: LightClient) => Promise<void>,
  ): Promise<void> {
    const client = new LightClient(
      binary,
      [
        genesis.chainId,
        ...[
          '--primary',
          nodes[0]!.url,
          '--witnesses',
          nodes
            .slice(1)
            .map(({ url }) => url)
            .join(','),
        ],
        ...['--height', '1', '--hash', toHex(trusted.block(1n)!.blockId.hash), '--verbose'],
        ...['--home-dir', join(home, String(runs++)), '--laddr', 'tcp://127.0.0.1:0', ...flags],
      ],
      log,
    )
    try {
      const at = await client.until(/Starting RPC HTTP server on (127\.0\.0\.1:\d+)/)
      await use(at === undefined ? undefined : `http://${at}`, client)
    } finally {
      await client.stop()
    }
  }
  const judge = (name: string, holds: boolean, detail: string) => {
    outcomes.push({ name, ok: holds, detail: detail.slice(0, 400) })
  }
  const closing: HttpServer[] = []
  const serve = async (...args: Parameters<typeof node>) => {
    const made = await node(...args)
    closing.push(made)
    return made
  }

  try {
    const honest = await changing(12n)
    const hashAt = (height: bigint) => upper(honest.block(height)!.blockId.hash)
    const nodes = [await serve(honest), await serve(honest), await serve(honest)]

    for (const [name, flags] of [
      ['skipping', []],
      ['sequential', ['--sequential']],
    ] as const) {
      await follow(nodes, honest, flags, async (url, client) => {
        if (url === undefined) return judge(`${name}: it starts`, false, client.output)
        const newest = await ask(url, 'commit?height=40')
        const found = newest.result?.signed_header.commit.block_id.hash
        const adjacent = client.output.split('Verify adjacent').length - 1
        const skips = client.output.split('Verify non-adjacent').length - 1
        judge(
          `${name}: height 40 from height 1 over five changes of validators`,
          found === hashAt(40n) && (name === 'skipping' ? skips > 1 : adjacent === 39 && skips === 0),
          newest.error || `${found} by ${adjacent} adjacent and ${skips} skipping steps`,
        )
        for (const height of [11, 7, 13, 26]) {
          const { result, error } = await ask(url, `header?height=${height}`)
          judge(`${name}: the header of ${height}`, result?.header.height === String(height), error || 'verified')
        }
        const set = await ask(url, 'validators?height=30')
        const expected = honest.block(30n)!.validators.map(one => upper(one.address))
        const shown = set.result?.validators.map((one: Json) => one.address)
        judge(`${name}: validators of 30`, String(shown) === String(expected), set.error || `${shown?.length} of them`)
        for (const [path, holds] of [
          ['status', (r: Json) => r.sync_info.latest_block_height === '40'],
          ['block?height=12', (r: Json) => r.block.data.txs.length === 3],
          ['block_results?height=12', (r: Json) => r.txs_results.length === 3],
          [
            'block_results?height=8',
            (r: Json) => r.validator_updates.length === 2 && r.validator_updates[0].power === '25',
          ],
          ['consensus_params?height=9', (r: Json) => r.block_height === '9'],
          [`tx?hash=0x${toHex(sha256(payment(1n)))}&prove=true`, (r: Json) => r.height === '12'],
          ['genesis', (r: Json) => r.genesis.chain_id === genesis.chainId],
        ] as const) {
          const { result, error } = await ask(url, path)
          judge(`${name}: /${path.slice(0, 20)}`, result !== undefined && holds(result), error || 'as it should be')
        }
        const high = await ask(url, 'commit?height=1000')
        judge(`${name}: a height that is not there`, /height requested is too high/.test(high.error), high.error)
        const websockets = !/dial|bad handshake|websocket.*error/i.test(client.output)
        judge(`${name}: its web socket stays open`, websockets, 'no complaint')
      })
    }

    const crowd = await chain({ validators: signers.slice(0, 150).map((_, i) => member(i, BigInt(1 + (i % 9)))) })
    await follow([await serve(crowd), await serve(crowd)], crowd, [], async (url, client) => {
      if (url === undefined) return judge('150 validators: it starts', false, client.output)
      const { result, error } = await ask(url, 'validators?height=40&per_page=100&page=2')
      judge('150 validators come in pages', result?.count === '50' && result?.total === '150', error || 'verified')
    })

    const turned = (hex: string) => `${hex[0] === '0' ? '1' : '0'}${hex.slice(1)}`
    const lies: readonly (readonly [string, (method: string, result: Json) => void, RegExp])[] = [
      [
        'a changed AppHash',
        (method, result) => {
          if (method === 'commit') result.signed_header.header.app_hash = turned(result.signed_header.header.app_hash)
        },
        /commit signs block/,
      ],
      [
        'a changed time of the header',
        (method, result) => {
          if (method === 'commit') result.signed_header.header.time = '2026-11-22T00:00:00Z'
        },
        /commit signs block/,
      ],
      [
        'a validator with more power',
        (method, result) => {
          if (method === 'validators') result.validators[0].voting_power = '1000'
        },
        /expected validator hash of header to match validator set hash/,
      ],
      [
        'a changed signature',
        (method, result) => {
          if (method !== 'commit') return
          for (const sig of result.signed_header.commit.signatures) {
            if (sig.signature !== null) sig.signature = `${sig.signature.slice(0, 40)}AAAA${sig.signature.slice(44)}`
          }
        },
        /wrong signature/,
      ],
    ]
    for (const [what, lie, says] of lies) {
      let lying = false
      const liar = await serve(honest, (method, result) => {
        if (lying) lie(method, result)
      })
      await follow([liar, nodes[1]!, nodes[2]!], honest, [], async (url, client) => {
        if (url === undefined) return judge(`${what}: it starts`, false, client.output)
        lying = true
        const { result, error } = await ask(url, 'commit?height=20')
        const told = result?.signed_header.commit.block_id.hash
        // The honest witness takes the liar's place; what counts is that the lie never comes through.
        const named = says.test(client.output)
        judge(
          `${what} by the primary is refused`,
          named && (result === undefined || told === hashAt(20n)),
          error || 'the witness was asked instead',
        )
      })
      lying = true
      await follow([liar, nodes[1]!], honest, [], async (url, client) => {
        const why = /(invalid|expected|hash|signature|commit)[^\n]*$/im.exec(client.output.split('ERROR').at(-1) ?? '')
        judge(
          `${what} at the trusted height: it does not start`,
          url === undefined,
          why?.[0] ?? client.output.slice(-200),
        )
      })
    }

    // The same validators sign two chains: what a light client is for.
    const genesisTime = clock.now()
    const [left, right] = [await twin(genesisTime), await twin(genesisTime, 12n)]
    const sides = [await serve(left), await serve(right)]
    await follow(sides, left, [], async (url, client) => {
      if (url === undefined) return judge('an attack: it starts on what both chains share', false, client.output)
      const { result, error } = await ask(url, 'commit?height=30')
      const halted = result === undefined && /attempted attack|divergence|conflict/i.test(error + client.output)
      judge('an attack is seen, and nothing is believed any more', halted, error || 'believed')
      for (const [side, producer] of [
        ['primary', left],
        ['witness', right],
      ] as const) {
        await timers.sleep(50)
        const [evidence] = producer.evidence()
        judge(
          `an attack: the ${side} takes the evidence`,
          evidence?.kind === 'light-client-attack',
          client.output.slice(-300),
        )
        must(await producer.produce())
        must(await producer.produce())
      }
    })
    await follow([sides[1]!, sides[1]!], right, [], async (url, client) => {
      if (url === undefined) return judge('a block with evidence: it starts', false, client.output)
      const { result, error } = await ask(url, `block?height=${BLOCKS + 1n}`)
      const found = result?.block.evidence.evidence[0]?.type
      judge(
        'a block with evidence is verified',
        found === 'tendermint/LightClientAttackEvidence',
        error || String(found),
      )
    })

    const other = await chain({ validators: [member(8, 10n), member(9, 10n), member(10, 10n)] })
    await follow([nodes[0]!, await serve(other)], honest, [], async (url, client) => {
      judge('a witness of another chain: it does not start', url === undefined, client.output.slice(-300))
    })
    await follow([await serve(other), nodes[0]!], honest, [], async (url, client) => {
      judge('a primary of another chain: it does not start', url === undefined, client.output.slice(-300))
    })
  } finally {
    for (const server of closing) await server.close()
    rmSync(home, { recursive: true, force: true })
  }
  return outcomes
}
