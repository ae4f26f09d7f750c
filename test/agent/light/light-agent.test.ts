import { createLightAgent, type LightAgent, type LightConfig } from '../../../agent/light/run.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import type { Disk, LedgerRpc } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import type { LightBlock } from '../../../protocol/chain/light-block.ts'
import { parseLightBlock } from '../../../protocol/chain/rpc-json.ts'
import { createStateTree } from '../../../protocol/chain/smt.ts'
import type { Verifier } from '../../../protocol/crypto/verify.ts'
import { done, fail, must, ok, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { CHAIN, type ChainPlan, members, nextBlock, OPTIONS, ORIGIN, seal } from '../../protocol/light/chain-maker.ts'

const test = suite('the light client at work')

const group = members(4)
const KEY = utf8('deal/1')
const LOCKED = utf8('locked')

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
  readonly asked: string[]
}

function makeNode(name: string, ledger: Ledger): Node {
  const answer = <T>(what: string, give: () => Result<T>): Promise<Result<T>> => {
    node.asked.push(what)
    if (node.mode === 'hanging') return new Promise(() => {})
    return Promise.resolve(node.mode === 'down' ? fail({ code: 'rpc.down' }) : give())
  }
  const height = () => ledger.chain.length - node.behind
  const node: Node = {
    name,
    mode: 'fine',
    behind: 0,
    twist: undefined,
    twistValue: undefined,
    asked: [],
    status: () => answer('status', () => ok({ chainId: CHAIN, height: BigInt(height()) })),
    lightBlock: at =>
      answer(`block ${at}`, () => {
        const block = ledger.chain[Number(at) - 1]
        if (block === undefined || at > BigInt(height())) return fail({ code: 'rpc.too-high' })
        return ok(node.twist === undefined ? block : node.twist(block))
      }),
    query: (key, at) =>
      answer(`query ${at}`, () => {
        const snapshot = ledger.tree.at(at)
        if (snapshot === undefined) return fail({ code: 'rpc.pruned' })
        const value = snapshot.get(key)
        return ok({ height: at, value: node.twistValue ? node.twistValue(value) : value, proof: snapshot.prove(key) })
      }),
    submit: () => answer('submit', () => fail({ code: 'rpc.none' })),
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
    remove: none,
  }
}

interface Bench {
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
  again(config?: Partial<LightConfig>): LightAgent
}

const drain = () => new Promise<void>(resolve => setImmediate(resolve))

function makeBench(
  setup: { blocks?: number; witnesses?: number; verifier?: Verifier; config?: Partial<LightConfig> } = {},
): Bench {
  const blocks = setup.blocks ?? 10
  const ledger = makeLedger(blocks)
  // The clock stands a moment after the newest block.
  const time = createSimTime(ORIGIN + blocks * 1000 + 100, drain)
  time.timers.every(1000, ledger.produce)
  const primary = makeNode('primary', ledger)
  const witnesses = Array.from({ length: setup.witnesses ?? 2 }, (_, i) => makeNode(`witness ${i + 1}`, ledger))
  const disk = makeDisk()
  const transcript: string[] = []
  const make = (config: Partial<LightConfig> = {}) => {
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
      verifier: setup.verifier ?? createVerifier(),
      log: (level, _, text, fault) => transcript.push(`${time.clock.mono()} ${level} ${text} ${fault?.code ?? ''}`),
    })
    agent.onHealth(health => transcript.push(`${time.clock.mono()} health ${health.state} ${health.fault?.code ?? ''}`))
    return agent
  }
  const agent = make()
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
  }
}

async function started(setup: Parameters<typeof makeBench>[0] = {}): Promise<Bench> {
  const bench = makeBench(setup)
  must(await bench.during(bench.agent.start()))
  return bench
}

/** The header with another AppHash, under the old signatures. */
const forged = (block: LightBlock): LightBlock => ({ ...block, header: { ...block.header, appHash: utf8('forged') } })
/** The same signed by strangers. */
const resealed = (block: LightBlock): LightBlock => seal({ ...block.header, appHash: utf8('forged') }, members(4, 70))
/** The same signed by the real validators: a fork. */
const forked = (block: LightBlock): LightBlock => seal({ ...block.header, appHash: utf8('fork') }, group)

test('from a height and a hash it skips to the head in one step and follows it, block by block', async () => {
  const bench = await started({ blocks: 50 })
  assert.is(bench.agent.head()?.height, 50n)
  assert.is(bench.agent.stats().headersVerified, 1)
  await bench.time.advance(5000)
  const head = bench.agent.head()!
  assert.is(head.height, 55n)
  assert.is(head.witnessed, true)
  assert.is(head.validators, 4)
  assert.is(head.signedBy.length, 3)
  assert.is(toHex(head.hash), toHex(bench.ledger.chain[54]!.commit.blockId.hash))
  assert.is(bench.agent.stats().headersVerified, 6)
  assert.is(bench.state(), 'ok')
  await bench.during(bench.agent.stop())
})

test('a value and an absence are proven under the next header', async () => {
  const bench = await started()
  assert.is(must(await bench.during(bench.agent.prove(KEY))).value, undefined)
  bench.ledger.changes.set(bench.ledger.chain.length + 1, [KEY, LOCKED])
  const proven = must(await bench.during(bench.agent.prove(KEY, BigInt(bench.ledger.chain.length + 1))))
  assert.is(toHex(proven.value!), toHex(LOCKED))
  assert.is(proven.headerHeight, proven.stateHeight + 1n)
  const header = bench.ledger.chain[Number(proven.headerHeight) - 1]!.header
  assert.is(toHex(proven.appHash), toHex(header.appHash))
  assert.is(bench.agent.stats().proofsVerified, 2)
  await bench.during(bench.agent.stop())
})

test('asked for a state that is not there yet it waits, and gives up within its bound', async () => {
  const bench = await started()
  const soon = BigInt(bench.ledger.chain.length + 3)
  assert.ok(must(await bench.during(bench.agent.prove(KEY, soon))).stateHeight >= soon)
  const never = await bench.during(bench.agent.prove(KEY, 10_000n))
  assert.is(never.ok ? 'ok' : never.fault.code, 'light.not-yet')
  await bench.during(bench.agent.stop())
})

test('a false value under a true header is refused, kept as evidence, and the next node asked', async () => {
  const bench = await started()
  bench.primary.twistValue = () => LOCKED
  const proven = must(await bench.during(bench.agent.prove(KEY)))
  assert.is(proven.value, undefined)
  assert.is(bench.agent.stats().refusals, 1)
  assert.is(bench.evidence().length, 1)
  assert.match(bench.transcript.join('\n'), /primary sent something that does not verify ics23.form/)
  assert.match(bench.transcript.join('\n'), /health refused ics23.form/)
  const asked = bench.primary.asked.length
  await bench.time.advance(3000)
  assert.is(bench.primary.asked.length, asked, 'nobody asks the liar again')
  await bench.during(bench.agent.stop())
})

for (const [what, twist, code] of [
  ['changed after signing', forged, 'light.header-hash'],
  ['signed by strangers', resealed, 'light.validators-hash'],
] as const)
  test(`a header ${what} is refused by name and kept, and the first witness takes over`, async () => {
    const bench = await started()
    bench.primary.twist = twist
    await bench.time.advance(4000)
    assert.is(bench.state(), 'ok')
    assert.is(bench.agent.head()?.height, BigInt(bench.ledger.chain.length))
    assert.match(bench.transcript.join('\n'), new RegExp(`health refused ${code}`))
    const [file] = bench.evidence()
    const saved = JSON.parse(fromUtf8(bench.disk.files.get(file!)!)!)
    assert.is(saved.fault.code, code)
    assert.is(saved.source, 'primary')
    assert.is(fromUtf8(must(parseLightBlock(saved.light_block)).header.appHash), 'forged')
    await bench.during(bench.agent.stop())
  })

test('with a verifier that accepts everything the forged chain is believed: the signatures are what holds', async () => {
  // The set is the real one, only the signatures are of other blocks.
  const unsigned = (block: LightBlock): LightBlock => {
    const { header, commit, validators } = seal({ ...block.header, appHash: utf8('forged') }, group)
    return { header, commit: { ...commit, signatures: block.commit.signatures }, validators }
  }
  for (const [verifier, appHash, refusals] of [
    [{ verify: () => true }, 'forged', 0],
    [createVerifier(), undefined, 1],
  ] as const) {
    const bench = await started({ verifier, witnesses: 1 })
    bench.primary.twist = unsigned
    for (const witness of bench.witnesses) witness.twist = unsigned
    await bench.time.advance(1000)
    const believed = bench.disk.files
    await bench.during(bench.agent.stop())
    const kept = must(parseLightBlock(JSON.parse(fromUtf8(believed.get('light-trusted.json')!)!).block))
    assert.is(fromUtf8(kept.header.appHash), appHash)
    assert.is(bench.agent.stats().refusals > 0, refusals > 0)
  }
})

test('where only liars are left nothing is proven; it heals when they stop', async () => {
  const bench = await started({ witnesses: 1 })
  bench.primary.twist = forged
  bench.witnesses[0]!.twist = forged
  const height = bench.agent.head()!.height
  await bench.time.advance(1500)
  const proven = await bench.during(bench.agent.prove(KEY))
  assert.is(proven.ok ? 'ok' : proven.fault.code, 'light.refused')
  assert.is(proven.ok ? '' : proven.fault['because'], 'light.header-hash')
  assert.is(bench.state(), 'refused')
  assert.is(bench.agent.head()?.height, height)
  bench.witnesses[0]!.twist = undefined
  await bench.time.advance(2000)
  // The liar that was dropped stays away, so no witness is left.
  assert.is(bench.state(), 'no-witness')
  assert.ok(bench.agent.head()!.height > height)
  await bench.during(bench.agent.stop())
})

test('without a witness that answers the head is followed, and nothing new is proven', async () => {
  const bench = await started()
  must(await bench.during(bench.agent.prove(KEY)))
  for (const witness of bench.witnesses) witness.mode = 'down'
  await bench.time.advance(2000)
  assert.is(bench.state(), 'no-witness')
  const refused = await bench.during(bench.agent.prove(KEY))
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'light.no-witness')
  assert.is(bench.agent.head()?.height, BigInt(bench.ledger.chain.length))
  assert.is(bench.agent.head()?.witnessed, false)
  // A long absence must not fill the memory, nor keep the comparison from going on.
  await bench.time.advance(600_000)
  bench.witnesses[1]!.mode = 'fine'
  await bench.time.advance(2000)
  assert.is(bench.state(), 'ok')
  must(await bench.during(bench.agent.prove(KEY)))
  await bench.during(bench.agent.stop())
})

test('with no witness configured it says so from the start', async () => {
  const bench = await started({ witnesses: 0 })
  assert.is(bench.state(), 'no-witness')
  const refused = await bench.during(bench.agent.prove(KEY))
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'light.no-witness')
  await bench.during(bench.agent.stop())
})

test('a witness that is a little behind is not missing; one that stays behind is', async () => {
  const bench = await started({ witnesses: 1 })
  bench.witnesses[0]!.behind = 2
  await bench.time.advance(4000)
  assert.is(bench.state(), 'ok')
  assert.is(bench.agent.head()?.witnessed, false)
  // What is proven meanwhile is proven under the last header that the witness confirmed.
  const proven = must(await bench.during(bench.agent.prove(KEY)))
  assert.ok(proven.headerHeight < bench.agent.head()!.height)
  await bench.time.advance(10_000)
  assert.is(bench.state(), 'no-witness')
  await bench.during(bench.agent.stop())
})

test('a primary that never answers is replaced after three deadlines', async () => {
  const bench = await started()
  bench.primary.mode = 'hanging'
  await bench.time.advance(25_000)
  assert.is(bench.state(), 'ok')
  assert.ok(bench.agent.head()!.height > BigInt(bench.ledger.chain.length - 7))
  await bench.during(bench.agent.stop())
})

test('a primary that stands still is replaced', async () => {
  const bench = await started()
  const stood = bench.ledger.chain.length
  bench.time.timers.every(1000, () => {
    bench.primary.behind = bench.ledger.chain.length - stood
  })
  await bench.time.advance(40_000)
  assert.match(bench.transcript.join('\n'), /health stale light.stale/)
  assert.is(bench.agent.head()?.height, BigInt(bench.ledger.chain.length))
  await bench.during(bench.agent.stop())
})

test('two chains signed by the validators end all trust, with evidence both ways, also after a restart', async () => {
  const bench = await started()
  const from = BigInt(bench.ledger.chain.length + 1)
  bench.witnesses[1]!.twist = block => (block.header.height >= from ? forked(block) : block)
  await bench.time.advance(1500)
  assert.is(bench.state(), 'diverged')
  assert.is(bench.agent.head(), undefined)
  const refused = await bench.during(bench.agent.prove(KEY))
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'light.diverged')
  const saved = JSON.parse(fromUtf8(bench.disk.files.get(bench.evidence()[0]!)!)!)
  assert.is(saved.against_witness.kind, 'lunatic')
  assert.is(saved.against_primary.kind, 'lunatic')
  assert.is(saved.against_witness.byzantine_validators.length, 3)
  await bench.during(bench.agent.stop())

  const restarted = await bench.during(bench.again().start())
  assert.is(restarted.ok ? 'ok' : restarted.fault.code, 'light.diverged')
  bench.witnesses[1]!.twist = undefined
  const height = bench.ledger.chain.length
  const anew = bench.again({
    trust: { height: BigInt(height), hash: bench.ledger.chain[height - 1]!.commit.blockId.hash },
  })
  must(await bench.during(anew.start()))
  assert.is(anew.health().state, 'ok')
  await anew.stop()
})

test('a witness whose other chain is not signed is dropped; the others go on', async () => {
  const bench = await started()
  bench.witnesses[0]!.twist = resealed
  await bench.time.advance(3000)
  assert.is(bench.state(), 'ok')
  assert.is(bench.evidence().length, 1)
  const asked = bench.witnesses[0]!.asked.length
  await bench.time.advance(3000)
  assert.is(bench.witnesses[0]!.asked.length, asked)
  await bench.during(bench.agent.stop())
})

test('a witness that contradicts and falls silent holds payments up three times at most', async () => {
  const bench = await started()
  const liar = bench.witnesses[0]!
  liar.twist = block => {
    liar.mode = 'down'
    return forged(block)
  }
  bench.time.timers.every(100, () => {
    liar.mode = 'fine'
  })
  await bench.time.advance(8000)
  assert.is(bench.state(), 'ok')
  must(await bench.during(bench.agent.prove(KEY)))
  await bench.during(bench.agent.stop())
})

test('a restart goes on from the block kept on disk', async () => {
  const bench = await started()
  await bench.time.advance(3000)
  const { height } = bench.agent.head()!
  await bench.during(bench.agent.stop())
  bench.primary.asked.length = 0
  const second = bench.again()
  must(await bench.during(second.start()))
  assert.not(bench.primary.asked.includes('block 1'))
  assert.ok(second.head()!.height >= height)
  await second.stop()

  // A torn or altered file is not believed; the configuration is the ground then.
  for (const spoil of [utf8('{'), utf8('{"chain_id":"street"}')]) {
    bench.disk.files.set('light-trusted.json', spoil)
    bench.primary.asked.length = 0
    const third = bench.again()
    must(await bench.during(third.start()))
    assert.ok(bench.primary.asked.includes('block 1'))
    await third.stop()
  }
})

test('a ground older than the trusting period is refused with what to do', async () => {
  const bench = makeBench()
  await bench.time.advance(3_600_000)
  const result = await bench.during(bench.agent.start())
  assert.is(result.ok ? 'ok' : result.fault.code, 'light.expired')
  assert.match(result.ok ? '' : (result.fault.hint ?? ''), /set trust.height and trust.hash/)
})

test('a configured hash that no node has is refused with what to do', async () => {
  const bench = makeBench({ config: { trust: { height: 2n, hash: new Uint8Array(32) } } })
  const result = await bench.during(bench.agent.start())
  assert.is(result.ok ? 'ok' : result.fault.code, 'light.anchor')
  const low = makeBench({ config: { trustLevel: { numerator: 1, denominator: 4 } } })
  const level = await low.during(low.agent.start())
  assert.is(level.ok ? 'ok' : level.fault.code, 'light.trust-level')
})

test('a wall clock set back drops nobody, and all goes on when it is right again', async () => {
  const bench = await started()
  bench.time.stepWall(-60_000)
  await bench.time.advance(3000)
  assert.is(bench.state(), 'refused')
  assert.match(bench.transcript.join('\n'), /health refused light.from-future/)
  assert.is(bench.evidence().length, 0)
  bench.time.stepWall(60_000)
  await bench.time.advance(2000)
  assert.is(bench.state(), 'ok')
  await bench.during(bench.agent.stop())
})

test('a wall clock ten years ahead ends trust in what is old, and no header is believed', async () => {
  const bench = await started()
  bench.time.stepWall(315_360_000_000)
  await bench.time.advance(2000)
  assert.is(bench.state(), 'stale')
  const refused = await bench.during(bench.agent.prove(KEY))
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'light.expired')
  await bench.during(bench.agent.stop())
})

test('the same run gives the same transcript', async () => {
  const run = async () => {
    const bench = await started()
    await bench.time.advance(2000)
    bench.primary.twist = forged
    await bench.during(bench.agent.prove(KEY))
    bench.witnesses[1]!.mode = 'hanging'
    await bench.time.advance(12_000)
    await bench.during(bench.agent.stop())
    return bench.transcript
  }
  assert.equal(await run(), await run())
})

test.run()
