import { readFileSync } from 'node:fs'
import { concat, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { innerHash, leafHash, merkleProof, merkleRoot, verifyMerkleProof } from '../../../protocol/chain/merkle.ts'
import {
  bytesField,
  delimited,
  fixed64Field,
  messageField,
  readMessage,
  varint,
  varintField,
} from '../../../protocol/chain/proto.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('protobuf and the hash tree')

const SHAPE = { 1: 'bytes', 2: 'varint', 3: 'fixed64', 4: 'message', 5: 'messages', 6: 'packed' } as const
const refusal = (bytes: Uint8Array) => {
  const read = readMessage(bytes, SHAPE)
  return read.ok ? undefined : read.fault.reason
}

test('integers take their shortest form, negative ones ten bytes', () => {
  assert.is(toHex(varint(0)), '00')
  assert.is(toHex(varint(127)), '7f')
  assert.is(toHex(varint(300)), 'ac02')
  assert.is(toHex(varint(-1n)), 'ffffffffffffffffff01')
  assert.is(toHex(delimited(utf8('ab'))), '026162')
})

test('on both sides of each power of two the bytes are those of division by 128', () => {
  for (let bit = 0n; bit <= 64n; bit++) {
    for (const value of [2n ** bit - 1n, 2n ** bit, 2n ** bit + 1n].filter(one => one < 2n ** 64n)) {
      const digits = value.toString(2).padStart(70, '0').match(/.{7}/g)!.reverse()
      const used = digits.slice(0, Math.max(1, 10 - [...digits].reverse().findIndex(seven => seven.includes('1'))))
      const expected =
        value === 0n ? [0] : used.map((seven, i) => Number.parseInt(seven, 2) | (i < used.length - 1 ? 128 : 0))
      assert.equal([...varint(value)], expected, `${value}`)
      if (value <= BigInt(Number.MAX_SAFE_INTEGER)) assert.equal([...varint(Number(value))], expected, `${value}`)
    }
  }
})

test('tags and lengths of one byte and of two', () => {
  assert.is(toHex(messageField(15, new Uint8Array(127))).slice(0, 6), '7a7f00')
  assert.is(toHex(messageField(15, new Uint8Array(128))).slice(0, 8), '7a800100')
  assert.is(toHex(messageField(16, utf8('a'))), '82010161')
  assert.is(messageField(1, new Uint8Array(300)).length, 303)
})

test('what the writer writes, the reader reads', () => {
  const property = fc.property(
    fc.uint8Array({ maxLength: 200 }),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    fc.option(fc.uint8Array({ maxLength: 10 }), { nil: undefined }),
    fc.array(fc.uint8Array({ maxLength: 10 }), { maxLength: 4 }),
    (text, integer, fixed, message, items) => {
      const bytes = concat(
        bytesField(1, text),
        varintField(2, integer),
        fixed64Field(3, fixed),
        ...(message === undefined ? [] : [messageField(4, message)]),
        ...items.map(item => messageField(5, item)),
      )
      const read = readMessage(bytes, SHAPE)
      assert.ok(read.ok)
      if (read.ok) assert.equal(read.value, { 1: text, 2: integer, 3: fixed, 4: message, 5: items, 6: [] })
    },
  )
  assertProperty(property)
})

test('a message written in any other way is refused by its reason', () => {
  //  0a 01 61   field 1 'a'      10 01  field 2 = 1
  const cases: readonly [string, string][] = [
    ['1001 0a0161', 'field 1 comes after field 2'],
    ['0a0161 0a0162', 'field 1 comes twice'],
    ['1000', 'field 2 writes its default value'],
    ['0a00', 'field 1 writes its default value'],
    ['190000000000000000', 'field 3 writes its default value'],
    ['108100', 'varint is not in its shortest form'],
    ['10ffffffffffffffffff02', 'varint beyond 64 bits'],
    ['10ffffffffffffffffffff01', 'varint beyond 64 bits'],
    ['1080', 'ends inside a varint'],
    ['19000000', 'ends inside a fixed64'],
    ['0a0561', 'field 1 is longer than the message'],
    ['0affffffffffffffff7f', 'field 1 is longer than the message'],
    ['3801', 'field 7 is not of this message'],
    ['0801', 'field 1 has wire type 0 instead of 2'],
    ['0b', 'field 1 has wire type 3 instead of 2'],
    ['32028100', 'varint is not in its shortest form'],
  ]
  for (const [bytes, reason] of cases) assert.is(refusal(hex(bytes)), reason, bytes)
})

test('random bytes are read or refused, and what is read has exactly those bytes', () => {
  const property = fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
    const read = readMessage(bytes, { 1: 'bytes', 2: 'varint', 3: 'fixed64', 5: 'messages' })
    if (!read.ok) return
    const { 1: text, 2: integer, 3: fixed, 5: items } = read.value
    const again = concat(
      bytesField(1, text),
      varintField(2, integer),
      fixed64Field(3, BigInt.asIntN(64, fixed)),
      ...items.map(item => messageField(5, item)),
    )
    assert.is(toHex(again), toHex(bytes))
  })
  assertProperty(property, 2000)
})

test('roots of nothing to seven leaves are those of CometBFT', () => {
  const reference = JSON.parse(readFileSync(new URL('cometbft-0.38.17.json', import.meta.url), 'utf8'))
  const leaves = Array.from({ length: 8 }, (_, i) => Uint8Array.of(i, i * 3))
  for (let n = 0; n < 8; n++) assert.is(toHex(merkleRoot(leaves.slice(0, n))), reference.merkle[n])
  assert.equal(merkleProof(leaves.slice(0, 5), 4).aunts.map(toHex), reference.aunts4of5)
})

test('every leaf is proven under its root, and under no other leaf, index, total, aunt or root', () => {
  const some = fc.array(fc.uint8Array({ maxLength: 5 }), { minLength: 1, maxLength: 40 })
  const property = fc.property(some, fc.nat(), fc.nat(), (leaves, pick, twist) => {
    const index = pick % leaves.length
    const leaf = leaves[index]!
    const root = merkleRoot(leaves)
    const proof = merkleProof(leaves, index)
    assert.ok(verifyMerkleProof(root, leaf, proof))
    assert.not(verifyMerkleProof(root, concat(leaf, Uint8Array.of(1)), proof))
    assert.not(
      verifyMerkleProof(
        root.map(byte => byte ^ 1),
        leaf,
        proof,
      ),
    )
    assert.not(verifyMerkleProof(root, leaf, { ...proof, index: -1 }))
    assert.not(verifyMerkleProof(root, leaf, { ...proof, total: proof.index }))
    assert.not(verifyMerkleProof(root, leaf, { ...proof, aunts: [...proof.aunts, root] }))
    assert.not(verifyMerkleProof(root, leaf, { ...proof, leafHash: root.map(byte => byte ^ 1) }))
    if (proof.aunts.length === 0) return
    const level = twist % proof.aunts.length
    const aunts = proof.aunts.map((aunt, i) => (i === level ? aunt.map(byte => byte ^ 0x10) : aunt))
    assert.not(verifyMerkleProof(root, leaf, { ...proof, aunts }))
    assert.not(verifyMerkleProof(root, leaf, { ...proof, aunts: proof.aunts.slice(1) }))
  })
  assertProperty(property)
})

test('an inner node cannot pass for a leaf', () => {
  const [a, b] = [leafHash(utf8('a')), leafHash(utf8('b'))]
  const root = merkleRoot([utf8('a'), utf8('b')])
  assert.equal(root, innerHash(a, b))
  const claimed = concat(a, b)
  assert.not(verifyMerkleProof(root, claimed, { total: 1, index: 0, leafHash: leafHash(claimed), aunts: [] }))
  assert.not(verifyMerkleProof(root, claimed, { total: 1, index: 0, leafHash: root, aunts: [] }))
})

test.run()
