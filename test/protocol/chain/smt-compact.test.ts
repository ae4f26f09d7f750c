/** The compact form of a proof: nothing is lost, nothing else is accepted, and it is as small as it is said to be. */
import { concat, equalBytes, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import {
  decodeCommitmentProof,
  type ExistenceProof,
  encodeCommitmentProof,
  SMT_SPEC,
  verifyMembership,
  verifyNonMembership,
} from '../../../protocol/chain/ics23.ts'
import { createStateTree } from '../../../protocol/chain/smt.ts'
import { compactProof, expandProof } from '../../../protocol/chain/smt-compact.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('compact proof')

const name = (i: number) => utf8(`key ${i}`)
function treeOf(count: number) {
  const tree = createStateTree()
  tree.fill(Array.from({ length: count }, (_, i) => [name(i), utf8(`value of ${i}`)] as const))
  tree.commit(1n, [])
  return tree.at(1n)!
}
const codeOf = (result: ReturnType<typeof expandProof> | ReturnType<typeof compactProof>) =>
  result.ok ? 'taken' : result.fault.code

test('a small proof, byte for byte', () => {
  // Hashed: c 2e.., b 3e.., e 3f.. go left; a ca.., bar fc.. go right.
  const tree = createStateTree()
  tree.commit(1n, [
    [utf8('a'), utf8('1')],
    [utf8('b'), utf8('2')],
  ])
  const leaf = (key: string, value: string) => toHex(sha256(concat(hex('00'), sha256(utf8(key)), sha256(utf8(value)))))
  const compact = (key: string) => toHex(must(compactProof(tree.at(1n)!.prove(utf8(key)), utf8(key))))
  const drawn = (bytes: string) => toHex(hex(bytes))
  //                          kind  steps bitmap sibling
  assert.is(compact('a'), drawn(`01 01    80     ${leaf('b', '2')}`))
  assert.is(compact('b'), drawn(`01 01    80     ${leaf('a', '1')}`))
  //           length key length value steps bitmap sibling
  const [a, b] = [`01 61  01     31    01    80     ${leaf('b', '2')}`, `01 62 01 32 01 80 ${leaf('a', '1')}`]
  assert.is(compact('c'), drawn(`04 ${b}`))
  assert.is(compact('e'), drawn(`06 ${b} ${a}`))
  assert.is(compact('bar'), drawn(`02 ${a}`))
})

test('any proof of a tree of any size comes back byte for byte, and verifies', () => {
  const trees = new Map([1, 2, 3, 8, 40, 300, 5000].map(count => [count, treeOf(count)]))
  const property = fc.property(fc.constantFrom(...trees.keys()), fc.nat(20_000), (count, i) => {
    const tree = trees.get(count)!
    const key = name(i % (2 * count + 3))
    const [proof, value] = [tree.prove(key), tree.get(key)]
    const compact = must(compactProof(proof, key))
    const expanded = must(expandProof(compact, key, value))
    assert.is(toHex(expanded), toHex(proof))
    assert.ok(compact.length < proof.length)
    const verified =
      value === undefined
        ? verifyNonMembership(SMT_SPEC, tree.root, expanded, key)
        : verifyMembership(SMT_SPEC, tree.root, expanded, key, value)
    assert.ok(verified.ok)
    // Another value is for the verifier to refuse.
    if (value !== undefined) {
      const other = must(expandProof(compact, key, utf8('another')))
      assert.not.ok(verifyMembership(SMT_SPEC, tree.root, other, key, utf8('another')).ok)
    }
    assert.is(codeOf(expandProof(compact, key, value === undefined ? utf8('x') : undefined)), 'smt.compact-question')
  })
  assertProperty(property, 600)
})

const tree = treeOf(300)
const cases = [5, 17, 299, 300, 301, 307, 318].map(i => {
  const [key, proof] = [name(i), tree.prove(name(i))]
  return { key, proof, value: tree.get(key), compact: must(compactProof(proof, key)) }
})

test('compact bytes that are taken are the only ones for what they say', () => {
  const edit = fc.record({
    at: fc.nat(3000),
    byte: fc.nat(255),
    kind: fc.constantFrom('set', 'cut', 'insert', 'remove'),
  })
  const property = fc.property(
    fc.constantFrom(...cases),
    fc.array(edit, { minLength: 1, maxLength: 3 }),
    (one, edits) => {
      let bytes = one.compact
      for (const { at: place, byte, kind } of edits) {
        const at = place % (bytes.length + 1)
        const tail = kind === 'insert' ? at : kind === 'cut' ? bytes.length : at + 1
        const middle = kind === 'set' || kind === 'insert' ? Uint8Array.of(byte) : new Uint8Array(0)
        bytes = concat(bytes.subarray(0, at), middle, bytes.subarray(tail))
      }
      for (const value of [one.value, utf8('a value'), undefined]) {
        const expanded = expandProof(bytes, one.key, value)
        if (expanded.ok) assert.is(toHex(must(compactProof(expanded.value, one.key))), toHex(bytes))
      }
    },
  )
  assertProperty(property, 3000)
})

test('any bytes are answered, and none make much of little', () => {
  assertProperty(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, exists) => {
      const expanded = expandProof(bytes, utf8('key'), exists ? utf8('value') : undefined)
      // 256 steps of 40 bytes for each of two neighbours.
      if (expanded.ok) assert.ok(expanded.value.length < 2 * 256 * 42 + 2 * bytes.length + 100)
    }),
    3000,
  )
})

test('each thing that a hostile sender can write is refused', () => {
  const refused = (bytes: string, value: string | undefined, reason: RegExp) => {
    const result = expandProof(hex(bytes), utf8('key'), value === undefined ? undefined : utf8(value))
    assert.is(codeOf(result), 'smt.compact')
    assert.match(!result.ok ? result.fault.reason : '', reason)
  }
  const [hash, zero] = ['11'.repeat(32), '00'.repeat(32)]
  assert.ok(expandProof(hex(`01 01 80 ${hash}`), utf8('key'), utf8('v')).ok)
  assert.ok(expandProof(hex('01 00'), utf8('key'), utf8('v')).ok, 'a lone leaf')
  refused('01', 'v', /too early/)
  refused(`01 01 80 ${hash.slice(2)}`, 'v', /too early/)
  refused(`01 01 80 ${hash} 00`, 'v', /behind its end/)
  refused(`01 01 80 ${zero}`, 'v', /empty sibling/)
  refused('01 01 40', 'v', /bits beyond/)
  refused('01 8100 80', 'v', /shortest/)
  refused('01 8102 80', 'v', /deeper than 256/)
  refused('01 ffffff7f', 'v', /deeper than 256/)
  refused('01 ffffffff 0f', 'v', /28 bits/)
  refused('00', undefined, /neither existence nor absence/)
  refused('08 00', undefined, /neither existence nor absence/)
  refused('02 ffffff7f', undefined, /too early/)
  // Neighbours that share seven bits, of which the right one ends above the eighth, or the left one.
  refused('06 01 62 01 31 08 00 01 65 01 31 00', undefined, /never part/)
  refused('06 01 62 01 31 07 00 01 65 01 31 01 00', undefined, /never part/)
  assert.ok(expandProof(hex('06 01 62 01 31 08 00 01 65 01 31 01 00'), utf8('key'), undefined).ok)
  // Both neighbours the same leaf.
  refused(`06 01 61 01 61 01 80 ${hash} 01 61 01 61 01 80 ${hash}`, undefined, /never part/)
  assert.is(codeOf(expandProof(new Uint8Array(0), utf8('key'), utf8('v'))), 'smt.compact-question')
})

test('a proof of anything but the state tree is not made compact, whatever bit is changed', () => {
  for (const { key, proof, value } of cases) {
    assert.is(codeOf(compactProof(proof, utf8('another key'))), 'ics23.key')
    for (let bit = 0; bit < proof.length * 8; bit++) {
      const mutant = proof.slice()
      mutant[bit >> 3]! ^= 1 << (bit & 7)
      const compact = compactProof(mutant, key)
      if (!compact.ok) continue
      // The value is not sent, so it is the one thing that may differ.
      const expanded = expandProof(compact.value, key, value)
      const same = expanded.ok && equalBytes(expanded.value, mutant)
      assert.ok(same || (value !== undefined && expanded.ok && equalBytes(expanded.value, proof)), `bit ${bit}`)
    }
  }
})

test('a proof whose steps or leaf are hashed in another way is not made compact', () => {
  const { key, proof } = cases[0]!
  const decoded = must(decodeCommitmentProof(proof))
  if (decoded.kind !== 'exist') throw new Error('the key is there')
  const { exist } = decoded
  const made = (change: Partial<ExistenceProof>) =>
    codeOf(compactProof(encodeCommitmentProof({ kind: 'exist', exist: { ...exist, ...change } }), key))
  assert.is(made({}), 'taken')
  assert.is(made({ path: exist.path.map(step => ({ ...step, hash: 0 })) }), 'ics23.form')
  assert.is(made({ path: exist.path.toReversed() }), 'ics23.form')
  assert.is(made({ path: Array.from({ length: 257 }, () => exist.path[0]!) }), 'ics23.form')
  assert.is(made({ leaf: { ...exist.leaf, prehashKey: 0 } }), 'ics23.form')
  const nobody = { kind: 'nonexist', nonexist: { key, left: undefined, right: undefined } } as const
  assert.is(codeOf(compactProof(encodeCommitmentProof(nobody), key)), 'ics23.form')
})

test('of twenty thousand keys a proof of existence takes 700 bytes or less, most far less', () => {
  const large = treeOf(20_000)
  const sizes = Array.from(
    { length: 400 },
    (_, i) => must(compactProof(large.prove(name(i * 50)), name(i * 50))).length,
  )
  const mean = sizes.reduce((sum, size) => sum + size) / sizes.length
  // log2(20,000) is 14.3: about 14.6 siblings, 3 bytes of bitmap, 2 of head.
  assert.ok(mean > 440 && mean < 500, `${mean}`)
  assert.ok(Math.max(...sizes) <= 700, `${Math.max(...sizes)}`)
})

test.run()
