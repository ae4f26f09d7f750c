/** The header accumulator against the hash tree made anew from all leaves (merkle.ts, itself held to CometBFT's). */
import { createHash } from 'node:crypto'
import { equalBytes, toHex, utf8 } from '../../../protocol/bytes.ts'
import { createAccumulator } from '../../../protocol/chain/accumulator.ts'
import { merkleProof, merkleRoot, verifyMerkleProof } from '../../../protocol/chain/merkle.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('header accumulator')

const hashes = Array.from(
  { length: 1000 },
  (_, i) => new Uint8Array(createHash('sha256').update(`header ${i}`).digest()),
)

test('at every size the root is that of the tree made anew, and stays to be asked for later', () => {
  const tree = createAccumulator()
  const roots = [toHex(merkleRoot([]))]
  assert.is(toHex(tree.root()), roots[0])
  for (let size = 1; size <= 300; size++) {
    tree.append(hashes[size - 1]!)
    roots.push(toHex(merkleRoot(hashes.slice(0, size))))
    assert.is(toHex(tree.root()), roots[size])
  }
  for (const [size, root] of roots.entries()) assert.is(toHex(tree.root(size)), root, `first ${size}`)
})

test('any header is proven under the root of any size, and no other header in its place', () => {
  const tree = createAccumulator()
  for (const hash of hashes) tree.append(hash)
  const place = fc.integer({ min: 1, max: hashes.length }).chain(size => fc.tuple(fc.nat(size - 1), fc.constant(size)))
  assertProperty(
    fc.property(place, ([index, size]) => {
      const proof = tree.prove(index, size)
      assert.equal(proof, merkleProof(hashes.slice(0, size), index))
      const root = tree.root(size)
      assert.ok(verifyMerkleProof(root, hashes[index]!, proof))
      assert.not.ok(verifyMerkleProof(root, hashes[(index + 1) % 1000]!, proof))
      if (size > 1) {
        const elsewhere = { ...proof, index: (index + 1) % size }
        assert.not.ok(verifyMerkleProof(root, hashes[index]!, elsewhere))
        assert.not.ok(verifyMerkleProof(tree.root(size - 1), hashes[index]!, proof))
      }
    }),
  )
})

test('headers that were taken back leave nothing behind, wherever that happens', () => {
  const edit = fc.oneof(fc.nat(200), fc.constant('back' as const))
  assertProperty(
    fc.property(fc.array(edit, { maxLength: 12 }), fc.nat(400), (edits, keep) => {
      const tree = createAccumulator()
      let model: Uint8Array[] = []
      for (const one of edits) {
        if (one === 'back') {
          model = model.slice(0, Math.min(model.length, keep))
          tree.truncate(model.length)
        } else {
          for (let i = 0; i < one; i++) {
            const hash = hashes[(model.length + one) % 1000]!
            model.push(hash)
            tree.append(hash)
          }
        }
        assert.is(tree.size, model.length)
        assert.ok(equalBytes(tree.root(), merkleRoot(model)))
        assert.equal([...tree.hashes(model.length)], model)
        if (model.length > 0) assert.equal(tree.prove(0, model.length), merkleProof(model, 0))
      }
    }),
    60,
  )
})

test('what is not there is not asked for', () => {
  const tree = createAccumulator()
  tree.append(hashes[0]!)
  assert.throws(() => tree.append(utf8('short')), /a header hash of 5 bytes/)
  assert.throws(() => tree.prove(1, 1), /header 1 of 1/)
  assert.throws(() => tree.prove(0, 2), /2 of 1 headers/)
  assert.throws(() => tree.root(2), /2 of 1 headers/)
  assert.throws(() => tree.truncate(-1), /-1 of 1 headers/)
})

test('a hundred thousand headers take 34 bytes each, and a proof 17 hashes', () => {
  const tree = createAccumulator()
  const count = 100_000
  const hash = hashes[0]!.slice()
  for (let i = 0; i < count; i++) {
    hash[0] = i
    tree.append(hash)
  }
  // Some pages of 64 KiB are not full.
  assert.ok(tree.memory / count < 34 + (12 * 65_536) / count, `${tree.memory / count}`)
  const proof = tree.prove(12_345, count)
  assert.is(proof.aunts.length, 17)
  hash[0] = 12_345
  assert.ok(verifyMerkleProof(tree.root(), hash, proof))
})

test.run()
