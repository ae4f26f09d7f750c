import { type CommittedBlock, resumeLedger } from '../../../agent/validator/ledger-store.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { compareBytes, toHex, utf8 } from '../../../protocol/bytes.ts'
import type { Change } from '../../../protocol/chain/smt.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { codeOf, GENESIS, hashOf, heightIn, makeHistory, newDisk, open, time } from './ledger-history.ts'
import { savedAt, storedChain } from './stored-chain.ts'

const test = suite('ledger store')

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
