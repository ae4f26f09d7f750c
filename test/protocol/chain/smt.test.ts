/** The state tree against the ICS-23 verifier, against a tree made by the plain definition, and against itself. */
import { compareBytes, concat, equalBytes, toHex, utf8 } from '../../../protocol/bytes.ts'
import {
  decodeCommitmentProof,
  SMT_SPEC,
  verifyMembership,
  verifyNonMembership,
} from '../../../protocol/chain/ics23.ts'
import { type Change, createStateTree, KEPT_VERSIONS } from '../../../protocol/chain/smt.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('sparse Merkle tree')
const text = (key: string, value: string | undefined): Change => [
  utf8(key),
  value === undefined ? undefined : utf8(value),
]

/** The root by definition: sort by hashed key, split bit by bit, a lone leaf stands where it is alone. */
function plainRoot(entries: readonly (readonly [string, string])[]): Uint8Array {
  const leaves = entries
    .map(([key, value]) => {
      const path = sha256(utf8(key))
      return { path, hash: sha256(concat(Uint8Array.of(0), path, sha256(utf8(value)))) }
    })
    .sort((a, b) => compareBytes(a.path, b.path))
  const root = (some: typeof leaves, depth: number): Uint8Array => {
    if (some.length === 0) return new Uint8Array(32)
    if (some.length === 1) return some[0]!.hash
    const bit = (path: Uint8Array) => (path[depth >> 3]! >> (7 - (depth & 7))) & 1
    const left = root(
      some.filter(leaf => bit(leaf.path) === 0),
      depth + 1,
    )
    const right = root(
      some.filter(leaf => bit(leaf.path) === 1),
      depth + 1,
    )
    return sha256(concat(Uint8Array.of(1), left, right))
  }
  return root(leaves, 0)
}

test('one leaf is the root, and an empty tree is 32 zero bytes', () => {
  const tree = createStateTree()
  assert.is(toHex(tree.commit(1n, [])), '00'.repeat(32))
  const root = tree.commit(2n, [text('foo', 'bar')])
  assert.ok(equalBytes(root, sha256(concat(Uint8Array.of(0), sha256(utf8('foo')), sha256(utf8('bar'))))))
  assert.throws(() => tree.at(1n)!.prove(utf8('foo')), /empty tree/)
})

const keys = fc.array(fc.string({ minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 60 })

test('any sequence of writes and removals gives the root of the plain definition', () => {
  const write = fc.tuple(
    fc.string({ minLength: 1, maxLength: 2 }),
    fc.option(fc.string({ minLength: 1, maxLength: 4 }), { nil: undefined }),
  )
  assertProperty(
    fc.property(fc.array(fc.array(write, { maxLength: 12 }), { maxLength: 6 }), batches => {
      const tree = createStateTree()
      const model = new Map<string, string>()
      for (const [i, batch] of batches.entries()) {
        const root = tree.commit(
          BigInt(i),
          batch.map(([key, value]) => text(key, value)),
        )
        for (const [key, value] of batch) {
          if (value === undefined) model.delete(key)
          else model.set(key, value)
        }
        assert.is(toHex(root), toHex(plainRoot([...model])))
        assert.is([...tree.at(BigInt(i))!.entries()].length, model.size)
      }
    }),
  )
})

test('every key is proven present and every other absent, and no proof serves for its neighbour', () => {
  assertProperty(
    fc.property(keys, keys, (present, asked) => {
      const tree = createStateTree()
      tree.commit(
        1n,
        present.map(key => text(key, `value of ${key}`)),
      )
      const at = tree.at(1n)!
      for (const key of [...present, ...asked]) {
        const [name, value, proof] = [utf8(key), at.get(utf8(key)), at.prove(utf8(key))]
        if (value === undefined) {
          assert.ok(verifyNonMembership(SMT_SPEC, at.root, proof, name).ok, `${key} is absent`)
          assert.not.ok(verifyMembership(SMT_SPEC, at.root, proof, name, utf8('x')).ok)
          assert.not.ok(verifyNonMembership(SMT_SPEC, at.root, proof, utf8(present[0]!)).ok)
        } else {
          assert.ok(verifyMembership(SMT_SPEC, at.root, proof, name, value).ok, `${key} is present`)
          assert.not.ok(verifyMembership(SMT_SPEC, at.root, proof, name, utf8('another value')).ok)
          assert.not.ok(verifyNonMembership(SMT_SPEC, at.root, proof, name).ok)
        }
      }
    }),
    60,
  )
})

test('any flipped bit of a proof is refused', () => {
  const tree = createStateTree()
  tree.commit(
    1n,
    Array.from({ length: 40 }, (_, i) => text(`account/${i}`, `${i} coins`)),
  )
  const at = tree.at(1n)!
  const present = at.prove(utf8('account/7'))
  const absent = at.prove(utf8('account/none'))
  // Bytes that the absence proof says of the key itself are the prover's word and bind nothing.
  const decoded = decodeCommitmentProof(absent)
  assert.ok(decoded.ok && decoded.value.kind === 'nonexist')
  const ownKey = toHex(absent).indexOf(toHex(utf8('account/none'))) / 2
  for (const [proof, accepts] of [
    [present, (bytes: Uint8Array) => verifyMembership(SMT_SPEC, at.root, bytes, utf8('account/7'), utf8('7 coins')).ok],
    [absent, (bytes: Uint8Array) => verifyNonMembership(SMT_SPEC, at.root, bytes, utf8('account/none')).ok],
  ] as const) {
    assert.ok(accepts(proof))
    for (let bit = 0; bit < proof.length * 8; bit++) {
      const byte = bit >> 3
      if (proof === absent && byte >= ownKey && byte < ownKey + 12) continue
      const mutant = proof.slice()
      mutant[byte]! ^= 1 << (bit & 7)
      assert.not.ok(accepts(mutant), `bit ${bit}`)
    }
  }
})

test('an older version keeps its values and proofs until it is no longer kept', () => {
  const tree = createStateTree()
  const roots: Uint8Array[] = []
  for (let height = 0; height <= KEPT_VERSIONS; height++) {
    roots.push(tree.commit(BigInt(height), [text('clock', `${height}`), text(`new ${height}`, 'x')]))
  }
  assert.is(tree.at(0n), undefined)
  for (const height of [1, 30, KEPT_VERSIONS]) {
    const at = tree.at(BigInt(height))!
    assert.ok(equalBytes(at.root, roots[height]!))
    assert.ok(verifyMembership(SMT_SPEC, roots[height]!, at.prove(utf8('clock')), utf8('clock'), utf8(`${height}`)).ok)
    assert.ok(verifyNonMembership(SMT_SPEC, roots[height]!, at.prove(utf8('new 99')), utf8('new 99')).ok)
  }
})

test('a write that changes nothing changes no root, and removing a key leads back', () => {
  const tree = createStateTree()
  const before = tree.commit(1n, [text('a', '1'), text('b', '2'), text('c', '3')])
  assert.ok(equalBytes(tree.commit(2n, [text('b', '2'), text('zz', undefined)]), before))
  assert.not.ok(equalBytes(tree.commit(3n, [text('d', '4')]), before))
  assert.ok(equalBytes(tree.commit(4n, [text('d', undefined)]), before))
})

test.run()
