import {
  type CommittedBlock,
  type LedgerStore,
  openLedgerStore,
  resumeLedger,
} from '../../../agent/validator/ledger-store.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type SimDiskOptions } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { compareBytes, fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import type { Change } from '../../../protocol/chain/smt.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { savedAt, storedChain } from './stored-chain.ts'

const test = suite('ledger store')

const time = createSimTime(0, drainPromises)
const { clock } = time
const newDisk = (options: Partial<SimDiskOptions> = {}) => createSimDisk({ random: seededRandom(1), ...options })
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

/** A new image each few blocks of the small histories below. */
const open = (sim: SimDisk, imageAfter = 700) =>
  openLedgerStore({ disk: sim.mount(), clock, imageAfter: () => imageAfter, segmentBytes: 4 * 4096 })

/** A history of made-up changes, drawn from the seed, and the state after each block as a plain map. */
interface History {
  readonly blocks: readonly CommittedBlock[]
  readonly states: readonly ReadonlyMap<string, string>[]
}

const hashOf = (what: string, height: number) => sha256(utf8(`${what} ${height}`))

function makeHistory(count: number, seed: number, keys = 12, valueBytes = 40): History {
  const random = seededRandom(seed)
  const pick = (below: number) => Math.floor(random() * below)
  const states: Map<string, string>[] = [new Map([['genesis', 'x']])]
  const blocks: CommittedBlock[] = []
  for (let height = 1; height <= count; height++) {
    const state = new Map(states.at(-1))
    const changes: Change[] = []
    for (let i = pick(6); i > 0; i--) {
      const key = `key/${pick(keys)}`
      const value = random() < 0.3 ? undefined : `${height} ${'v'.repeat(pick(valueBytes))}`
      changes.push([utf8(key), value === undefined ? undefined : utf8(value)])
      if (value === undefined) state.delete(key)
      else state.set(key, value)
    }
    blocks.push({ height: BigInt(height), hash: hashOf('header', height), appHash: hashOf('root', height), changes })
    states.push(state)
  }
  return { blocks, states }
}

const GENESIS = {
  height: 0n,
  appHash: hashOf('root', 0),
  state: { entries: [[utf8('genesis'), utf8('x')]] as const, headerHashes: [] },
}

/** The height that a store holds, once everything in it is as the history says of that height. */
async function heightIn(store: LedgerStore, { states }: History): Promise<number> {
  const saved = must(await store.load())
  if (saved === undefined) return -1
  const height = Number(saved.height)
  assert.is(toHex(saved.appHash), toHex(hashOf('root', height)))
  const entries = new Map([...saved.state.entries].map(([key, value]) => [fromUtf8(key)!, fromUtf8(value)!]))
  assert.equal([...entries].sort(), [...states[height]!].sort())
  assert.equal(
    [...saved.state.headerHashes].map(toHex),
    Array.from({ length: height }, (_, i) => toHex(hashOf('header', i + 1))),
  )
  return height
}

/** Genesis and blocks from where the store is, until done or something fails. Answers the height acknowledged. */
async function write(sim: SimDisk, { blocks }: History): Promise<number> {
  const opened = await open(sim)
  if (!opened.ok) return -1
  const store = opened.value
  const saved = await store.load()
  if (!saved.ok) return -1
  let height = saved.value === undefined ? -1 : Number(saved.value.height)
  if (height < 0 && (await store.replaceWith(GENESIS)).ok) height = 0
  if (height < 0) return -1
  for (const block of blocks.slice(height)) {
    if (!(await store.commit(block)).ok) break
    height = Number(block.height)
    // Lets an image that goes on beside the blocks get a little further, not always to its end.
    if (height % 3 > 0) await drainPromises()
  }
  await store.close()
  return height
}

test('a real ledger goes on where it was saved, its AppHash computed anew, whatever images were made on the way', async () => {
  const { beginning, commits, app } = await storedChain(12)
  for (const imageAfter of [1, 2000, 1e9]) {
    const sim = newDisk()
    const store = must(await open(sim, imageAfter))
    assert.is(must(await resumeLedger(store)), undefined)
    must(await store.replaceWith(beginning))
    for (const commit of commits) {
      must(await store.commit(commit))
      await time.advance(1)
    }
    await store.close()
    const again = must(await open(sim))
    const resumed = must(await resumeLedger(again))!
    assert.equal([resumed.height, toHex(resumed.appHash)], [12n, toHex(app.appHash)])
    const saved = must(await again.load())!
    assert.equal(
      [...saved.state.headerHashes],
      commits.map(each => each.hash),
    )
    assert.equal(store.stats().images > 5, imageAfter === 1)
  }
})

test('a state that is not the one of its AppHash is refused by name, and both hashes told', async () => {
  const { beginning, commits } = await storedChain(3)
  const store = must(await open(newDisk()))
  must(await store.replaceWith(beginning))
  must(await store.commit({ ...commits[0]!, appHash: sha256(utf8('another')) }))
  const resumed = await resumeLedger(store)
  assert.is(codeOf(resumed), 'ledger.app-hash')
  assert.is(resumed.ok ? '' : resumed.fault.found, toHex(commits[0]!.appHash))
})

test('a snapshot takes the place of everything, and blocks go on behind it', async () => {
  const { beginning, commits, app } = await storedChain(6)
  const sim = newDisk()
  const store = must(await open(sim))
  must(await store.replaceWith(beginning))
  for (const commit of commits.slice(0, 4)) must(await store.commit(commit))
  const hashes = commits.map(each => each.hash)
  must(await store.replaceWith(savedAt(app, hashes)))
  assert.is(must(await resumeLedger(must(await open(sim))))?.height, 6n)
  // Lower than what was there: the blocks above it in the log count no more.
  const low = must(await open(sim))
  must(await low.replaceWith(beginning))
  must(await low.commit(commits[0]!))
  assert.is(must(await resumeLedger(must(await open(sim))))?.height, 1n)
})

test('a snapshot in any order, with a key twice, is the same state', async () => {
  const history = makeHistory(0, 1)
  const random = seededRandom(4)
  for (let round = 0; round < 20; round++) {
    const keys = Array.from({ length: 60 }, (_, i) => `key/${i}`)
    const entries = keys.map(key => [utf8(key), utf8(`value of ${key}`)] as const)
    if (round > 0) entries.sort(() => random() - 0.5)
    entries.unshift([utf8('key/7'), utf8('an older value')])
    const store = must(await open(newDisk()))
    must(await store.replaceWith({ ...GENESIS, state: { entries, headerHashes: [] } }))
    const states = [new Map(keys.map(key => [key, `value of ${key}`]))]
    assert.is(await heightIn(store, { ...history, states }), 0)
  }
})

test('blocks out of order are our own bug', async () => {
  const { blocks } = makeHistory(3, 1)
  const store = must(await open(newDisk()))
  const thrown = async (block: CommittedBlock) => {
    try {
      await store.commit(block)
    } catch (error) {
      return error
    }
    return undefined
  }
  assert.instance(await thrown(blocks[0]!), RangeError)
  must(await store.replaceWith(GENESIS))
  assert.instance(await thrown(blocks[1]!), RangeError)
  must(await store.commit(blocks[0]!))
  assert.instance(await thrown(blocks[0]!), RangeError)
})

for (const strike of ['cut', 'kill', 'io', 'full'] as const) {
  test(`every operation in turn meets ${strike}: the state is that of the last acknowledged block, or the next; then it goes on`, async () => {
    let [images, ahead, struck] = [0, 0, 0]
    for (const seed of [1, 2]) {
      const history = makeHistory(26, seed)
      const calm = newDisk()
      assert.is(await write(calm, history), 26)
      const operations = calm.operations()
      for (let at = 0; at < operations; at++) {
        const sim = newDisk({ random: seededRandom(at), strike: (_, __, count) => (count === at ? strike : undefined) })
        const acknowledged = await write(sim, history)
        if (strike !== 'kill') sim.cut()
        const store = must(await open(sim))
        const height = await heightIn(store, history)
        const where = `seed ${seed}, ${strike} at ${at}: ${acknowledged} acknowledged, ${height} there`
        assert.ok(height === acknowledged || height === acknowledged + 1, where)
        if (height > acknowledged) ahead++
        if (acknowledged < 26) struck++
        await store.close()
        assert.is(await write(sim, history), 26, where)
        const end = must(await open(sim))
        assert.is(await heightIn(end, history), 26)
        images += must(await sim.mount().list()).filter(name => name.startsWith('piece-')).length
      }
    }
    // Every strike stopped some blocks, images were under way, and what no image needs was removed.
    assert.ok(struck > 10, `${struck} struck`)
    if (strike === 'cut' || strike === 'kill') assert.ok(ahead > 0, 'no block was there before it was acknowledged')
    assert.ok(images > 0)
  }, 120_000)
}

test('struck at two operations, the second while it recovers', async () => {
  const history = makeHistory(20, 3)
  const calm = newDisk()
  await write(calm, history)
  const operations = calm.operations()
  for (let at = 0; at < operations; at += 2) {
    for (let then = at + 1; then < at + 16; then += 3) {
      const struck = new Set([at, then])
      const sim = newDisk({
        random: seededRandom(then),
        strike: (_, __, count) => (struck.has(count) ? 'cut' : undefined),
      })
      const acknowledged = Math.max(await write(sim, history), await write(sim, history))
      sim.cut()
      struck.clear()
      const height = await heightIn(must(await open(sim)), history)
      assert.ok(height >= acknowledged, `${at} and ${then}: ${acknowledged} acknowledged, ${height} there`)
    }
  }
}, 120_000)

test('long random histories on a disk that fails now and then, with cuts at random moments', async () => {
  for (let seed = 0; seed < 30; seed++) {
    const random = seededRandom(seed + 500)
    const history = makeHistory(120, seed, 40, 300)
    let trouble = true
    let cutAt = 40 + Math.floor(random() * 200)
    const sim = newDisk({
      random,
      strike: (_, __, count) =>
        !trouble
          ? undefined
          : count === cutAt
            ? 'cut'
            : random() < 1 / 30
              ? random() < 0.5
                ? 'io'
                : 'full'
              : undefined,
    })
    let acknowledged = -1
    for (let life = 0; life < 12; life++) {
      acknowledged = Math.max(acknowledged, await write(sim, history))
      cutAt = sim.operations() + Math.floor(random() * 150)
      sim.cut()
      trouble = false
      const store = must(await open(sim))
      const height = await heightIn(store, history)
      assert.ok(height >= acknowledged, `seed ${seed}: ${acknowledged} acknowledged, ${height} there`)
      await store.close()
      trouble = true
    }
    trouble = false
    await time.advance(60_000)
    assert.is(await write(sim, history), 120)
  }
}, 120_000)

test('control: on a disk that lies about its sync acknowledged blocks are lost', async () => {
  let lost = 0
  for (let seed = 0; seed < 10; seed++) {
    const history = makeHistory(20, seed)
    const sim = newDisk({ lyingSync: true, random: seededRandom(seed) })
    const acknowledged = await write(sim, history)
    sim.cut()
    const store = await open(sim)
    const saved = store.ok ? await store.value.load() : store
    if (!saved.ok || Number(saved.value?.height) < acknowledged) lost++
  }
  assert.ok(lost > 5, `${lost} of 10`)
})

test('any byte of any file damaged: a fault that says where, or a whole older state; never another one', async () => {
  const history = makeHistory(30, 5)
  const sim = newDisk()
  await write(sim, { ...history, blocks: history.blocks.slice(0, 28) })
  await write(sim, history)
  const names = must(await sim.mount().list())
  let [faults, older, unseen] = [0, 0, 0]
  for (const name of names) {
    const good = sim.platter(name)!.slice()
    for (let at = 0; at < good.length; at++) {
      // Every byte where something stands, every hundredth of the zeros between.
      if (good[at] === 0 && at % 100 > 0) continue
      sim.platter(name)![at]! ^= 1 << (at % 8)
      sim.cut()
      const store = await open(sim)
      const saved = store.ok ? await store.value.load() : store
      if (!saved.ok) {
        faults++
        assert.match(saved.fault.code, /^(log|pieces|ledger)\./)
      } else if (store.ok) {
        const height = await heightIn(store.value, history)
        assert.ok(height === 29 || height === 30, `${name} byte ${at}: height ${height}`)
        if (height === 29) older++
        else unseen++
        // Damage that loses nothing: in changes that an image has already, or where nothing stands.
        assert.ok(height === 29 || name.startsWith('changes-'))
      }
      if (store.ok) await store.value.close()
      sim.mount()
      must(await sim.mount().replace(name, good))
    }
  }
  assert.ok(faults > 1000 && older > 50, `${faults} faults, ${older} older, ${unseen} unseen`)
}, 120_000)

test('blocks and images go on for ever in the space of a few', async () => {
  const history = makeHistory(60, 9)
  const store = must(await open(newDisk({ capacityBytes: 5 * 16_384 }), 500))
  must(await store.replaceWith(GENESIS))
  for (const block of history.blocks) {
    must(await store.commit(block))
    await time.advance(1)
  }
  assert.ok(store.stats().images > 3 && store.stats().logBytes > 300_000, JSON.stringify(store.stats()))
  assert.is(await heightIn(store, history), 60)
})

test('a full disk is told, loses nothing, and blocks go on when there is room', async () => {
  const history = makeHistory(40, 10)
  let full = false
  const sim = newDisk({ strike: operation => (full && /create|replace/.test(operation) ? 'full' : undefined) })
  const store = must(await open(sim, 500))
  must(await store.replaceWith(GENESIS))
  let height = 0
  const commit = async () => codeOf(await store.commit(history.blocks[height]!))
  while (height < 10) {
    assert.is(await commit(), 'ok')
    height++
  }
  full = true
  let refusal = 'ok'
  while (refusal === 'ok') {
    refusal = await commit()
    if (refusal === 'ok') height++
    await time.advance(1)
  }
  assert.is(refusal, 'log.full')
  assert.ok(height > 10 && height < 20)
  assert.is(await heightIn(store, history), height)
  assert.match(store.health()?.code ?? '', /full/)
  full = false
  await time.advance(10_000)
  for (; height < 40; height++) must(await store.commit(history.blocks[height]!))
  await store.close()
  assert.is(await heightIn(must(await open(sim)), history), 40)
})

test('a large state: pieces without a change stay as they are, the others are cut and joined within bounds', async () => {
  const random = seededRandom(8)
  const value = (n: number, version: number) => utf8(`${n} ${version} ${'v'.repeat(400 + (n % 400))}`)
  const entries = new Map<number, Uint8Array>()
  for (let n = 0; n < 9000; n++) entries.set(n, value(n, 0))
  const keyOf = (n: number) => utf8(`entry/${n}`)
  const placed = [...entries]
    .map(([n, bytes]) => ({ path: sha256(keyOf(n)), entry: [keyOf(n), bytes] as const }))
    .sort((a, b) => compareBytes(a.path, b.path))
    .map(one => one.entry)
  const sim = newDisk()
  const store = must(await open(sim, 1))
  must(await store.replaceWith({ ...GENESIS, state: { entries: placed, headerHashes: [] } }))
  const sizes = async () => {
    const disk = sim.mount()
    const names = must(await disk.list()).filter(name => name.startsWith('piece-'))
    return new Map(await Promise.all(names.map(async name => [name, must(await disk.read(name)).length] as const)))
  }
  const before = await sizes()
  assert.ok(before.size >= 8 && before.size <= 12, `${before.size} pieces`)
  await store.close()

  let again = must(await open(sim, 1))
  must(await again.load())
  const one: Change[] = [[keyOf(17), value(17, 1)]]
  must(await again.commit({ height: 1n, hash: hashOf('header', 1), appHash: hashOf('root', 1), changes: one }))
  await again.close()
  const after = await sizes()
  const kept = [...before.keys()].filter(name => after.has(name)).length
  assert.is(kept, before.size - 1, 'one piece is written anew for one change')

  entries.set(17, value(17, 1))
  for (let height = 2; height <= 12; height++) {
    again = must(await open(sim, 1))
    must(await again.load())
    const changes: Change[] = []
    // Growing at first, then nearly everything is removed.
    for (let i = 0; i < 1500; i++) {
      const n = Math.floor(random() * 12_000)
      const bytes = random() < (height < 6 ? 0.2 : 0.95) ? undefined : value(n, height)
      changes.push([keyOf(n), bytes])
      if (bytes === undefined) entries.delete(n)
      else entries.set(n, bytes)
    }
    must(
      await again.commit({
        height: BigInt(height),
        hash: hashOf('header', height),
        appHash: hashOf('root', height),
        changes,
      }),
    )
    await again.close()
    for (const size of [...(await sizes()).values()]) assert.ok(size <= 1 << 20, `${size}`)
    again = must(await open(sim, 1e9))
    const found = new Map([...must(await again.load())!.state.entries].map(([key, bytes]) => [toHex(key), bytes]))
    assert.is(found.size, entries.size)
    for (const [n, bytes] of entries) assert.equal(found.get(toHex(keyOf(n))), bytes)
    await again.close()
  }
  assert.ok((await sizes()).size < before.size)
}, 60_000)

test.run()
