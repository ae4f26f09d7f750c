/**
 * A producer that loses power or is killed at every operation of its disks: the chain goes on, nobody has signed two blocks
 * of one height, and no block that anybody heard of is gone or another.
 */
import { type ChainStore, openChainStore } from '../../../agent/validator/chain-store.ts'
import { createProducer } from '../../../agent/validator/producer.ts'
import { rpcRoutes } from '../../../agent/validator/rpc.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Signer } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type DiskOperation, type SimDisk, type Strike } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { instantOf } from '../../../protocol/chain/chain-time.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import type { LightBlock } from '../../../protocol/chain/light-block.ts'
import { parseSignedHeader } from '../../../protocol/chain/rpc-json.ts'
import { createApp } from '../../../protocol/ledger/app.ts'
import type { BlockInput, ValidatorUpdate } from '../../../protocol/ledger/block.ts'
import type { LightOptions } from '../../../protocol/light/predicates.ts'
import { type VerifiedBlock, verify, verifyAnchor } from '../../../protocol/light/verify.ts'
import { done, faultLine, must, type Result } from '../../../protocol/result.ts'
import { type Instant, instant, later } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, CHAIN_ID, genesis, verifier } from '../../protocol/ledger/parties.ts'
import { payment, signers, withUpdates } from './street.ts'

const test = suite('chain store')

const LIGHT: LightOptions = {
  chainId: CHAIN_ID,
  trustingPeriodMs: 86_400_000,
  maxClockDriftMs: 10_000,
  trustLevel: { numerator: 1, denominator: 3 },
}

/** A validator loses and gains power on the way, so that a restart must know sets of two heights. */
const updates = (height: bigint): readonly ValidatorUpdate[] =>
  height % 3n === 0n ? [{ publicKey: signers[0]!.publicKey, power: 10n + height }] : []

/** Three folders on one power supply. */
interface Machine {
  readonly disks: readonly SimDisk[]
  /** Operations over all three. */
  operations: number
  /** What befalls operation number `at`, of those on one file where it names one. */
  blow: { readonly at: number; readonly strike: Strike; readonly file?: string } | undefined
}

/** The three folders as one process sees them. */
function mounted({ disks }: Pick<Machine, 'disks'>) {
  const [root, blocks, state] = disks.map(disk => disk.mount())
  return { root: root!, blocks: blocks!, state: state! }
}

function createMachine(seed: number): Machine {
  const random = seededRandom(seed)
  const disks: SimDisk[] = []
  const machine: Machine = { disks, operations: 0, blow: undefined }
  const strike = (_operation: DiskOperation, name: string) => {
    const { blow } = machine
    if (blow === undefined || (blow.file ?? name) !== name || machine.operations++ !== blow.at) return undefined
    // The other disks lose power, or their process, at the same moment.
    if (blow.strike === 'cut') for (const disk of disks) disk.cut()
    if (blow.strike === 'kill') for (const disk of disks) disk.mount()
    return blow.strike
  }
  for (let i = 0; i < 3; i++) disks.push(createSimDisk({ random, strike }))
  return machine
}

/** Height of the vote that is signed: CanonicalVote {1 type, 2 height as fixed64} behind a length byte. */
const heightSigned = (message: Uint8Array): bigint =>
  new DataView(message.buffer, message.byteOffset).getBigUint64(4, true)

/** What the world has seen of the chain, over all restarts. */
interface World {
  readonly machine: Machine
  /** Every message that a validator ever signed for a height. */
  readonly signed: Map<string, Set<string>>
  readonly heard: Map<bigint, LightBlock>
  /** The whole chain at the end of the last life that nothing befell. */
  chain: LightBlock[]
  now: Instant
}

const spied = (world: World): readonly Signer[] =>
  signers.map(signer => ({
    ...signer,
    sign: message => {
      const name = `${toHex(signer.publicKey)} ${heightSigned(message)}`
      const before = world.signed.get(name) ?? new Set()
      world.signed.set(name, before.add(toHex(message)))
      return signer.sign(message)
    },
  }))

type Change = (store: ChainStore) => ChainStore

/** One process: opens the folders and makes blocks until the machine dies or there are enough. */
async function live(world: World, until: bigint, change: Change = store => store): Promise<Result<void>> {
  const time = createSimTime(world.now, drainPromises)
  const opened = await openChainStore({ ...mounted(world.machine), clock: time.clock, verifier }, genesis)
  if (!opened.ok) return opened
  const store = change(opened.value)
  const app = withUpdates(store.app, updates)
  const producer = createProducer({
    genesis,
    signers: spied(world),
    clock: time.clock,
    timers: time.timers,
    verifier,
    store: Object.create(store, { app: { value: app } }),
  })
  producer.subscribe(({ header }) => {
    const { height } = header
    const known = world.heard.get(height)
    if (known !== undefined) throw new Error(`block ${height} was heard of twice`)
    world.heard.set(height, producer.lightBlock(height)!)
  })
  while (producer.status().height < until) {
    // A transaction that differs each time: a block made anew would be another.
    producer.submit(payment(producer.status().height))
    const made = await producer.produce()
    if (!made.ok) return made
    await time.advance(1000)
    world.now = later(time.clock.now(), 777)
  }
  assert.equal(producer.audit().problems, [])
  world.chain = []
  for (let height = 1n; height <= until; height++) {
    const { header, commit, validators, blockId } = must(await producer.fetchBlock(height))!
    world.chain.push({ header, commit, validators })
    const known = world.heard.get(height)
    if (known !== undefined)
      assert.is(toHex(blockId.hash), toHex(hashHeader(known.header)), `block ${height} is another`)
  }
  await store.close()
  return done
}

const createWorld = (seed: number): World => ({
  machine: createMachine(seed),
  signed: new Map(),
  heard: new Map(),
  chain: [],
  now: instant(BEGIN),
})

const doubleSigned = ({ signed }: World): readonly string[] =>
  [...signed].filter(([, messages]) => messages.size > 1).map(([name]) => name)

/** The chain from the first block to the last, as a client verifies it that trusted a header before each crash. */
function follow({ chain }: World): void {
  const now = later(instantOf(chain.at(-1)!.header.time), 1_000)
  const anchor = { height: 1n, hash: hashHeader(chain[0]!.header) }
  let trusted: VerifiedBlock = must(verifyAnchor(anchor, chain[0]!, LIGHT, now, verifier))
  for (const block of chain.slice(1)) {
    const verdict = verify(trusted, block, LIGHT, now, verifier)
    if (verdict.kind !== 'trusted') throw new Error(`block ${block.header.height}: ${verdict.kind}`)
    trusted = verdict.block
  }
}

const BLOCKS = 4n

/** Operations of a run that nothing befalls. */
async function operationsOf(): Promise<number> {
  const world = createWorld(1)
  world.machine.blow = { at: -1, strike: 'cut' }
  must(await live(world, BLOCKS))
  return world.machine.operations
}

for (const strike of ['cut', 'kill'] as const) {
  test(`struck by a ${strike} at any operation, the chain goes on and nobody signed twice`, async () => {
    const operations = await operationsOf()
    assert.ok(operations > 20, `${operations}`)
    for (let at = 0; at < operations; at++) {
      const world = createWorld(at)
      world.machine.blow = { at, strike }
      const struck = await live(world, BLOCKS)
      assert.ok(!struck.ok, `operation ${at} was not struck`)
      world.machine.blow = undefined
      const again = await live(world, BLOCKS + 2n)
      if (!again.ok) throw new Error(`after a ${strike} at operation ${at}: ${faultLine(again.fault)}`)
      assert.equal(doubleSigned(world), [], `operation ${at}`)
      follow(world)
    }
  }, 240_000)
}

test('struck again and again, also while it starts, the chain goes on', async () => {
  const world = createWorld(99)
  const random = seededRandom(5)
  for (let life = 0; life < 40; life++) {
    world.machine.operations = 0
    world.machine.blow = { at: Math.floor(random() * 150), strike: random() < 0.5 ? 'cut' : 'kill' }
    await live(world, BLOCKS * 20n)
    world.machine.blow = undefined
  }
  const reached = BigInt(Math.max(...[...world.heard.keys()].map(Number)))
  assert.ok(reached > 20n, `only ${reached}`)
  must(await live(world, reached + 3n))
  assert.equal(doubleSigned(world), [])
  follow(world)
}, 240_000)

test('without the proposal on the disk a crash makes validators sign twice', async () => {
  const forgetful: Change = store => Object.create(store, { propose: { value: async () => done } })
  const operations = await operationsOf()
  let caught = 0
  for (let at = 5; at < operations; at++) {
    const world = createWorld(at)
    world.machine.blow = { at, strike: 'kill' }
    await live(world, BLOCKS, forgetful)
    world.machine.blow = undefined
    must(await live(world, BLOCKS, forgetful))
    if (doubleSigned(world).length > 0) caught++
  }
  assert.ok(caught > 0, 'the control was not caught')
}, 240_000)

test('a proposal with a changed bit is none: signed, it would be a second block of its height', async () => {
  const world = createWorld(8)
  must(await live(world, 3n))
  const disk = world.machine.disks[0]!
  const bytes = disk.platter('proposal')!.slice()
  for (let at = 0; at <= bytes.length; at += 13) {
    const damaged = bytes.slice(0, at === 0 ? 20 : bytes.length)
    if (at > 0) damaged[at - 1]! ^= 1
    must(await disk.mount().replace('proposal', damaged))
    const opened = await live(world, 4n)
    assert.is(opened.ok ? '' : opened.fault.code, 'chain.proposal-corrupt', `at ${at}`)
  }
  must(await disk.mount().replace('proposal', bytes))
  must(await live(world, 4n))
}, 240_000)

test('a full disk stops the chain before anybody signs, and it goes on when there is room', async () => {
  const world = createWorld(3)
  // The first operation on it looks for one that was left behind.
  world.machine.blow = { at: 3, strike: 'full', file: 'proposal' }
  const full = await live(world, BLOCKS)
  assert.is(full.ok ? '' : full.fault.code, 'disk.full')
  assert.equal([...new Set([...world.signed.keys()].map(name => name.split(' ')[1]))], ['1', '2'])
  world.machine.blow = undefined
  must(await live(world, BLOCKS))
  assert.equal(doubleSigned(world), [])
  follow(world)
})

test('blocks that execute otherwise than before are a fault that shows both hashes', async () => {
  const world = createWorld(4)
  must(await live(world, 3n))
  const disks = mounted({ disks: [...world.machine.disks.slice(0, 2), createMachine(5).disks[2]!] })
  const other = { ...genesis, fee: 7n as never }
  const time = createSimTime(BEGIN, drainPromises)
  const ports = { ...disks, clock: time.clock, verifier }
  const replayed = await openChainStore(ports, other)
  assert.is(replayed.ok ? '' : replayed.fault.code, 'chain.app-hash')
  assert.ok(!replayed.ok && replayed.fault['expected'] !== replayed.fault['computed'])
})

test('a state that was lost is made again from the blocks, and lost blocks are a fault', async () => {
  const world = createWorld(6)
  must(await live(world, 4n, store => store))
  const time = createSimTime(BEGIN, drainPromises)
  const open = async (lost: number) => {
    const disks = world.machine.disks.map((disk, i) => (i === lost ? createMachine(7).disks[i]! : disk))
    return openChainStore({ ...mounted({ disks }), clock: time.clock, verifier }, genesis)
  }
  const again = must(await open(2))
  assert.is(again.app.height, 4n)
  const expected = createApp(genesis)
  for (let height = 1n; height <= 4n; height++) {
    const { header, commit, txs } = must(await again.read(height))!
    const input: BlockInput = {
      height,
      time: instantOf(header.time),
      hash: commit.blockId.hash,
      txs,
      misbehaved: [],
      verifier,
    }
    expected.finalizeBlock(input)
    expected.commit()
  }
  assert.is(toHex(again.app.appHash), toHex(expected.appHash))
  await again.close()
  const lostBlocks = await open(1)
  assert.is(lostBlocks.ok ? '' : lostBlocks.fault.code, 'chain.blocks-missing')
})

test('blocks that are no longer in memory are answered from the disk', async () => {
  const world = createWorld(9)
  must(await live(world, 8n))
  const { clock, timers } = createSimTime(BEGIN, drainPromises)
  const store = must(await openChainStore({ ...mounted(world.machine), clock, verifier }, genesis))
  const producer = createProducer({ genesis, signers, clock, timers, verifier, store, keep: 3 })
  assert.is(producer.block(1n), undefined)
  assert.ok(producer.block(6n) !== undefined)
  const routes = rpcRoutes(producer, timers)
  const get = async (path: string, query: string) => {
    const request = { method: 'GET', path, query: new URLSearchParams(query), body: new Uint8Array(0) }
    const reply = await routes[`GET ${path}`]!(request)
    return (reply as { value: { result: unknown } }).value.result as never
  }
  for (const height of [1n, 2n, 5n, 8n]) {
    const { signed_header } = (await get('/commit', `height=${height}`)) as { signed_header: unknown }
    const { header, commit } = must(parseSignedHeader(signed_header))
    assert.is(toHex(hashHeader(header)), toHex(hashHeader(world.heard.get(height)!.header)))
    assert.is(commit.height, height)
  }
  const { sync_info } = (await get('/status', '')) as { sync_info: Record<string, string> }
  assert.equal([sync_info['earliest_block_height'], sync_info['latest_block_height']], ['1', '8'])
  assert.is(sync_info['earliest_block_hash'], toHex(hashHeader(world.heard.get(1n)!.header)).toUpperCase())
  await store.close()
})

test('a folder of another chain is refused', async () => {
  const world = createWorld(8)
  must(await live(world, 2n))
  const { clock } = createSimTime(BEGIN, drainPromises)
  const other = await openChainStore({ ...mounted(world.machine), clock, verifier }, { ...genesis, chainId: 'other-1' })
  assert.is(other.ok ? '' : other.fault.code, 'chain.other-chain')
})

test.run()
