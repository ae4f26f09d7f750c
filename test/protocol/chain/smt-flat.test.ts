/** The state tree in flat memory against the same tree made of objects, and what becomes of its memory. */
import { createHash } from 'node:crypto'
import { compareBytes, concat, equalBytes, toHex, utf8 } from '../../../protocol/bytes.ts'
import { type Change, createStateTree, type StateTree } from '../../../protocol/chain/smt.ts'
import { sizeClass } from '../../../protocol/chain/smt-records.ts'
import { createSlots } from '../../../protocol/chain/smt-slots.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { createObjectTree } from './smt-objects.ts'

const test = suite('state tree in flat memory')

const digest = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest()

/** Keys whose hashes share their first bits, the longest of 2^17: about 30 bits, which no tree of a test has by chance. */
function clusteredKeys(wanted: number): readonly Uint8Array[] {
  const all = Array.from({ length: 2 ** 17 }, (_, i) => {
    const key = utf8(`clustered ${i}`)
    return { key, path: digest(key) }
  }).sort((a, b) => compareBytes(a.path, b.path))
  const shared = (a: Uint8Array, b: Uint8Array) => {
    let bits = 0
    while (((a[bits >> 3]! ^ b[bits >> 3]!) & (0x80 >> (bits & 7))) === 0) bits++
    return bits
  }
  const pairs = all.slice(1).map((right, i) => ({ left: all[i]!, right, bits: shared(all[i]!.path, right.path) }))
  pairs.sort((a, b) => b.bits - a.bits)
  assert.ok(pairs[0]!.bits >= 28, `${pairs[0]!.bits} bits shared`)
  return pairs.slice(0, wanted / 2).flatMap(({ left, right }) => [left.key, right.key])
}

const keys = [...clusteredKeys(24), ...Array.from({ length: 16 }, (_, i) => utf8(String.fromCharCode(97 + i)))]

type Step =
  | { readonly revert: true }
  | { readonly revert: false; readonly writes: readonly (readonly [number, number])[] }
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ revert: true } as const) },
  {
    weight: 4,
    arbitrary: fc.record({
      revert: fc.constant(false as const),
      // Bytes of the value; 0 removes.
      writes: fc.array(fc.tuple(fc.nat(keys.length - 1), fc.oneof(fc.constant(0), fc.nat(40), fc.nat(3000))), {
        maxLength: 30,
      }),
    }),
  },
)

function compare(flat: StateTree, objects: ReturnType<typeof createObjectTree>, versions: Iterable<bigint>): void {
  for (const version of versions) {
    const [a, b] = [flat.at(version), objects.at(version)]
    assert.is(a === undefined, b === undefined, `version ${version} is kept`)
    if (a === undefined || b === undefined) continue
    assert.is(toHex(a.root), toHex(b.root))
    assert.equal([...a.entries()], [...b.entries()])
    for (const key of [...keys, utf8('never written')]) {
      const behind = [...b.entries()].filter(([other]) => compareBytes(digest(other), digest(key)) > 0)
      assert.equal([...a.entries(key)], behind)
      assert.equal(a.get(key), b.get(key))
      if (b.root.some(byte => byte !== 0)) assert.ok(equalBytes(a.prove(key), b.prove(key)))
    }
  }
}

test('any commits, removals, reverts and expiry give the roots, proofs and entries of the tree of objects', () => {
  const property = fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 14 }), (kept, steps) => {
    const [flat, objects] = [createStateTree(kept), createObjectTree(kept)]
    const live: bigint[] = []
    let version = 0n
    let fresh = 0
    for (const one of steps) {
      if (one.revert) {
        if (live.length === 0) {
          assert.throws(() => flat.revert(), /no version/)
          continue
        }
        flat.revert()
        objects.revert()
        live.pop()
      } else {
        const changes = one.writes.map(([key, bytes]): Change => {
          if (bytes === 0) return [keys[key]!, undefined]
          // No two values are equal, so that both trees make the same nodes anew.
          return [keys[key]!, concat(utf8(`${fresh++} `), new Uint8Array(bytes))]
        })
        assert.ok(equalBytes(flat.commit(++version, changes), objects.commit(version, changes)))
        live.push(version)
        if (live.length > kept) live.shift()
      }
      assert.equal(flat.count, objects.count(), 'no node is missing, made in vain or left over')
    }
    compare(
      flat,
      objects,
      Array.from({ length: Number(version) }, (_, i) => BigInt(i + 1)),
    )
  })
  assertProperty(property, 120)
})

test('a write of what is there already makes no node', () => {
  const tree = createStateTree()
  const entries = keys.map((key, i): Change => [key, utf8(`value ${i}`)])
  tree.commit(1n, entries)
  const { leaves, inner } = tree.count
  tree.commit(2n, entries)
  assert.equal(tree.count, { leaves, inner })
})

test('a filled tree is the tree of one commit, whatever the order and whatever comes twice', () => {
  const entries = Array.from({ length: 40_000 }, (_, i) => [utf8(`key ${i % 35_000}`), utf8(`${i}`)] as const)
  const [filled, committed] = [createStateTree(2), createStateTree(2)]
  filled.fill(entries)
  const root = committed.commit(1n, entries)
  assert.ok(equalBytes(filled.commit(7n, []), root))
  assert.equal(filled.count, committed.count)
  const [refilled, changes] = [createStateTree(), entries.slice(0, 100).map(([key]): Change => [key, utf8('new')])]
  refilled.fill(entries)
  refilled.commit(1n, changes)
  assert.equal(refilled.count, committed.count, 'what a first version replaces is freed at once')
  assert.throws(() => filled.fill(entries), /not filled/)
})

test('what a snapshot answered stays as it was, and an expired or undone snapshot answers no more', () => {
  const tree = createStateTree(1)
  tree.commit(1n, [[utf8('a'), utf8('first')]])
  const first = tree.at(1n)!
  const value = first.get(utf8('a'))!
  const halfRead = first.entries()
  halfRead.next()
  tree.commit(2n, [[utf8('a'), utf8('later')]])
  tree.commit(3n, [[utf8('a'), utf8('third')]])
  assert.equal(value, utf8('first'))
  for (const ask of [() => first.get(utf8('a')), () => first.prove(utf8('a')), () => first.entries().next()])
    assert.throws(ask, /version 1 of the state is no longer kept/)
  assert.throws(() => halfRead.next(), /no longer kept/)
  const third = tree.at(3n)!
  tree.revert()
  assert.throws(() => third.get(utf8('a')), /version 3/)
  assert.throws(
    () => [2n, 3n].map(version => tree.commit(version, [])) && tree.commit(3n, []),
    /version 3 after version 3/,
  )
})

test('memory is bounded under a long churn, and comes back when everything is removed', () => {
  const tree = createStateTree(8)
  let seed = 1
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  const live = new Set<number>()
  let version = 0n
  const peaks: number[] = []
  for (let round = 0; round < 6; round++) {
    let peak = 0
    for (let block = 0; block < 40; block++) {
      const changes = Array.from({ length: 150 }, (): Change => {
        const key = random(4000)
        const remove = random(3) === 0
        if (remove) live.delete(key)
        else live.add(key)
        return [
          utf8(`k${key}`),
          remove ? undefined : new Uint8Array(1 + random(random(12) === 0 ? 4000 : 200)).fill(block),
        ]
      })
      tree.commit(++version, changes)
      // A block that is executed again, as after a crash of whoever asked.
      if (block % 5 === 0) {
        tree.revert()
        tree.commit(version, changes)
      }
      peak = Math.max(peak, tree.memory.nodes + tree.memory.records)
    }
    assert.is([...tree.at(version)!.entries()].length, live.size)
    peaks.push(peak)
  }
  const settled = peaks[1]!
  for (const peak of peaks.slice(2)) assert.ok(peak < settled * 1.15, `${peaks}`)
  tree.commit(
    ++version,
    [...live].map(key => [utf8(`k${key}`), undefined]),
  )
  for (let i = 0; i < 8; i++) tree.commit(++version, [])
  assert.equal(tree.count, { leaves: 0, inner: 0 })
  // The page of the inner node that stands for none.
  assert.equal(tree.memory, { nodes: 40 * 1024, records: 0 })
})

test('versions that hold too many replaced nodes expire early, but for the newest eight', () => {
  const keep = (limit: number, undone: boolean) => {
    const tree = createStateTree(64, limit)
    for (let version = 1n; version <= 40n; version++) {
      // A block that is executed again counts once.
      for (let times = undone ? 3 : 1; times > 0; times--) {
        tree.commit(
          version,
          keys.map(key => [key, utf8(`${version}`)]),
        )
        if (times > 1) tree.revert()
      }
    }
    return Array.from({ length: 40 }, (_, i) => tree.at(BigInt(i + 1))).filter(Boolean).length
  }
  const single = createStateTree()
  single.commit(
    1n,
    keys.map(key => [key, utf8('1')]),
  )
  const nodes = single.count.leaves + single.count.inner
  for (const undone of [false, true]) {
    assert.is(keep(1_000_000, undone), 40)
    assert.is(keep(20 * nodes, undone), 21)
    assert.is(keep(20 * nodes - 1, undone), 20)
    assert.is(keep(0, undone), 8)
  }
})

test('twenty thousand leaves take at most 120 bytes each beside keys and values', () => {
  const tree = createStateTree()
  const count = 20_000
  tree.fill(Array.from({ length: count }, (_, i) => [utf8(`account/${i}`), new Uint8Array(48).fill(i)] as const))
  tree.commit(1n, [])
  assert.ok(tree.memory.nodes / count <= 120, `${tree.memory.nodes / count}`)
  // Lengths and the rest of a slot: 8 + 7 at most, and a page or two that is not full.
  assert.ok(tree.memory.records / count <= 14 + 48 + 8 + 8 + 10, `${tree.memory.records / count}`)
})

test('every record finds a size class that holds it and wastes a quarter at most', () => {
  let last = [-1, 0] as readonly [number, number]
  const sizes = [...Array.from({ length: 70_000 }, (_, i) => i + 8), 2 ** 24 - 1, 2 ** 24, 2 ** 24 + 1, 2 ** 31]
  for (const bytes of sizes) {
    const [number, size] = sizeClass(bytes)
    assert.ok(size >= bytes && size - bytes < Math.max(8, bytes / 4) && size % 4 === 0, `${bytes} in ${size}`)
    assert.ok((number === last[0]) === (size === last[1]) && number >= last[0], `class ${number} of ${bytes}`)
    last = [number, size]
  }
  assert.ok(last[0] < 128)
  assert.throws(() => sizeClass(2 ** 31 + 1), /a record of/)
})

test('slots are handed out once each, and those given back again', () => {
  for (const size of [4, 40, 100_000]) {
    const slots = createSlots(size)
    const taken = Array.from({ length: 40 }, () => slots.take())
    assert.is(new Set(taken).size, 40)
    assert.is(slots.used, 40)
    for (const [i, slot] of taken.entries()) slots.memory(slot).words[slots.offset(slot) >> 2] = i
    for (const [i, slot] of taken.entries()) assert.is(slots.memory(slot).words[slots.offset(slot) >> 2], i)
    const most = slots.bytes
    for (const slot of taken) slots.give(slot)
    assert.is(slots.bytes, 0)
    assert.is(new Set(Array.from({ length: 40 }, () => slots.take())).size, 40)
    assert.is(slots.bytes, most)
  }
})

test.run()
