import { concat, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import {
  type CommitmentProof,
  decodeCommitmentProof,
  type ExistenceProof,
  encodeCommitmentProof,
  IAVL_SPEC,
  type InnerOp,
  type ProofSpec,
  SMT_SPEC,
  TENDERMINT_SPEC,
  verifyMembership,
  verifyNonMembership,
} from '../../../protocol/chain/ics23.ts'
import { leafHash, merkleProof, merkleRoot } from '../../../protocol/chain/merkle.ts'
import { varint } from '../../../protocol/chain/proto.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { noSharedData, sharedText } from '../../data.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('ICS-23')

const SPECS = { smt: SMT_SPEC, tendermint: TENDERMINT_SPEC, iavl: IAVL_SPEC } as const
const CASES = ['exist_left', 'exist_middle', 'nonexist_left', 'nonexist_middle']

interface Case {
  readonly spec: ProofSpec
  readonly root: Uint8Array
  readonly proof: Uint8Array
  readonly key: Uint8Array
  /** Undefined where the proof is of absence. */
  readonly value: Uint8Array | undefined
}

function sharedCases(): readonly Case[] {
  return Object.entries(SPECS).flatMap(([name, spec]) =>
    CASES.map(file => {
      const { root, proof, key, value } = JSON.parse(sharedText(`ics23/${name}/${file}.json`))
      return { spec, root: hex(root), proof: hex(proof), key: hex(key), value: value === '' ? undefined : hex(value) }
    }),
  )
}

const check = ({ spec, root, proof, key, value }: Case) =>
  value === undefined ? verifyNonMembership(spec, root, proof, key) : verifyMembership(spec, root, proof, key, value)
const code = (result: Result<unknown>) => (result.ok ? 'ok' : result.fault.code)

test.skipIf(noSharedData, 'the 12 published proofs hold', () => {
  for (const one of sharedCases()) assert.is(code(check(one)), 'ok', one.spec.name)
})

test.skipIf(noSharedData, 'the published proofs are written again to the same bytes', () => {
  for (const { proof } of sharedCases())
    assert.is(toHex(encodeCommitmentProof(must(decodeCommitmentProof(proof)))), toHex(proof))
})

test.skipIf(noSharedData, 'no flipped bit of a published proof holds, but in the word that nobody believes', () => {
  for (const one of sharedCases()) {
    // The key that an absence names is the prover's word: its bytes say nothing.
    const decoded = must(decodeCommitmentProof(one.proof))
    const idle = decoded.kind === 'nonexist' ? toHex(one.proof).indexOf(toHex(decoded.nonexist.key)) / 2 : -1
    const idleEnd = decoded.kind === 'nonexist' ? idle + decoded.nonexist.key.length : -1
    for (let at = 0; at < one.proof.length; at += 3) {
      if (at >= idle && at < idleEnd) continue
      const proof = Uint8Array.from(one.proof)
      proof[at] = proof[at]! ^ (1 << (at % 8))
      assert.is.not(code(check({ ...one, proof })), 'ok', `${one.spec.name} byte ${at}`)
    }
  }
})

test.skipIf(noSharedData, 'a proof is for its key, value, root, kind and tree', () => {
  for (const one of sharedCases()) {
    const other = utf8('other')
    assert.is(code(check({ ...one, root: sha256(one.root) })), 'ics23.root')
    if (one.value === undefined) {
      assert.is(code(verifyMembership(one.spec, one.root, one.proof, one.key, other)), 'ics23.form')
    } else {
      assert.is(code(check({ ...one, value: other })), 'ics23.value')
      assert.is(code(check({ ...one, key: other })), 'ics23.key')
      assert.is(code(check({ ...one, value: undefined })), 'ics23.form')
    }
    for (const spec of Object.values(SPECS))
      if (spec !== one.spec) assert.is.not(code(check({ ...one, spec })), 'ok', `${one.spec.name} as ${spec.name}`)
  }
})

/** A map in an RFC 6962 tree, as the tendermint spec proves it: leaves are length-prefixed key and hash of the value. */
const leafBytes = (key: Uint8Array, value: Uint8Array) => concat(varint(key.length), key, varint(32), sha256(value))

function tree(keys: readonly string[]) {
  const entries = keys.map(key => [utf8(key), utf8(`value of ${key}`)] as const)
  const leaves = entries.map(([key, value]) => leafBytes(key, value))
  const exist = (index: number): ExistenceProof => {
    const proof = merkleProof(leaves, index)
    // Which side each aunt stands on follows from the index and the total.
    const path: InnerOp[] = []
    let low = 0
    let high = leaves.length
    const sides: boolean[] = []
    while (high - low > 1) {
      let k = 1
      while (k * 2 < high - low) k *= 2
      sides.push(index < low + k)
      if (index < low + k) high = low + k
      else low += k
    }
    for (const [level, aunt] of proof.aunts.entries())
      path.push(
        sides[sides.length - 1 - level]
          ? { hash: 1, prefix: Uint8Array.of(1), suffix: aunt }
          : { hash: 1, prefix: concat(Uint8Array.of(1), aunt), suffix: new Uint8Array(0) },
      )
    return { key: entries[index]![0], value: entries[index]![1], leaf: TENDERMINT_SPEC.leafSpec, path }
  }
  return { root: merkleRoot(leaves), exist, entries }
}

const absence = (left: ExistenceProof | undefined, right: ExistenceProof | undefined, key: string) =>
  encodeCommitmentProof({ kind: 'nonexist', nonexist: { key: utf8(key), left, right } })

test('in a tree of any size each key is proven, and each gap is', () => {
  const sizes = fc.integer({ min: 1, max: 24 })
  const property = fc.property(sizes, fc.nat(), (size, pick) => {
    const { root, exist, entries } = tree(Array.from({ length: size }, (_, i) => `k${String(i).padStart(2, '0')}`))
    const i = pick % size
    const [key, value] = entries[i]!
    const proof = encodeCommitmentProof({ kind: 'exist', exist: exist(i) })
    assert.is(code(verifyMembership(TENDERMINT_SPEC, root, proof, key, value)), 'ok')
    const after = `k${String(i).padStart(2, '0')}x`
    const gap = absence(exist(i), i + 1 < size ? exist(i + 1) : undefined, after)
    assert.is(code(verifyNonMembership(TENDERMINT_SPEC, root, gap, utf8(after))), 'ok')
    // A key that is there cannot be shown absent by any two members around it.
    if (i > 0 && i + 1 < size)
      assert.is(
        code(verifyNonMembership(TENDERMINT_SPEC, root, absence(exist(i - 1), exist(i + 1), 'x'), key)),
        'ics23.gap',
      )
  })
  assertProperty(property)
})

test('an absence is refused where its neighbours do not close the gap', () => {
  const { root, exist } = tree(['a', 'c', 'e', 'g', 'i'])
  const verdict = (left: number | undefined, right: number | undefined, key: string) => {
    const at = (i: number | undefined) => (i === undefined ? undefined : exist(i))
    return code(verifyNonMembership(TENDERMINT_SPEC, root, absence(at(left), at(right), key), utf8(key)))
  }
  assert.is(verdict(1, 2, 'd'), 'ok')
  assert.is(verdict(undefined, 0, 'A'), 'ok')
  assert.is(verdict(4, undefined, 'z'), 'ok')
  assert.is(verdict(0, 2, 'b'), 'ics23.gap')
  assert.is(verdict(undefined, 1, 'b'), 'ics23.gap')
  assert.is(verdict(3, undefined, 'h'), 'ics23.gap')
  assert.is(verdict(undefined, undefined, 'b'), 'ics23.form')
  assert.is(verdict(1, 2, 'f'), 'ics23.order')
  assert.is(verdict(1, 2, 'b'), 'ics23.order')
  assert.is(verdict(1, 2, 'c'), 'ics23.order')
})

test('a step or leaf of another form is refused even where the hashes meet', () => {
  const { exist } = tree(['a', 'c'])
  const good = exist(0)
  const [step] = good.path as [InnerOp]
  const leaf = TENDERMINT_SPEC.leafSpec
  /** The root that the twisted proof itself leads to: only the form can refuse it. */
  const ownRoot = (proof: ExistenceProof) => {
    const key = proof.leaf.prehashKey === 1 ? sha256(proof.key) : proof.key
    let node = sha256(concat(proof.leaf.prefix, varint(key.length), key, varint(32), sha256(proof.value)))
    for (const { prefix, suffix } of proof.path) node = sha256(concat(prefix, node, suffix))
    return node
  }
  const verdict = (proof: ExistenceProof) => {
    const bytes = encodeCommitmentProof({ kind: 'exist', exist: proof })
    return code(verifyMembership(TENDERMINT_SPEC, ownRoot(proof), bytes, proof.key, proof.value))
  }
  assert.is(verdict(good), 'ok')
  const cases: readonly [ExistenceProof, string][] = [
    // A longer leaf prefix could swallow the head of another key: 00 | 02 'a' ... read as key of 'a' inside another key.
    [{ ...good, leaf: { ...leaf, prefix: hex('0002') } }, 'ics23.form'],
    [{ ...good, leaf: { ...leaf, prehashKey: 1 } }, 'ics23.form'],
    [{ ...good, value: new Uint8Array(0) }, 'ics23.form'],
    [{ ...good, path: [{ ...step, prefix: hex('00') }] }, 'ics23.step'],
    [{ ...good, path: [{ ...step, prefix: hex('0101') }] }, 'ics23.step'],
    [{ ...good, path: [{ ...step, suffix: new Uint8Array(64) }] }, 'ics23.step'],
    [{ ...good, path: [{ ...step, hash: 0 }] }, 'ics23.step'],
    [{ ...good, path: Array(65).fill(step) }, 'ics23.form'],
  ]
  for (const [proof, expected] of cases) assert.is(verdict(proof), expected)
})

test('an IAVL node must begin with its height, size, version and the lengths of its children', () => {
  const empty = new Uint8Array(0)
  const sibling = concat(hex('20'), sha256(utf8('x')))
  // height and size 0, version 1 in zigzag
  const leaf = { ...IAVL_SPEC.leafSpec, prefix: hex('000202') }
  const verdict = (leafPrefix: string, ...steps: readonly (readonly [string, Uint8Array])[]) => {
    const path = steps.map(([prefix, suffix]): InnerOp => ({ hash: 1, prefix: hex(prefix), suffix }))
    const exist = { key: utf8('k'), value: utf8('v'), leaf: { ...leaf, prefix: hex(leafPrefix) }, path }
    let root = sha256(concat(hex(leafPrefix), varint(1), utf8('k'), varint(32), sha256(utf8('v'))))
    for (const { prefix, suffix } of path) root = sha256(concat(prefix, root, suffix))
    return code(
      verifyMembership(IAVL_SPEC, root, encodeCommitmentProof({ kind: 'exist', exist }), utf8('k'), utf8('v')),
    )
  }
  //                           height size version length
  assert.is(verdict('000202', ['02 04 02 20', sibling]), 'ok')
  assert.is(verdict('000202', [`02 04 02 ${toHex(sibling)} 20`, empty]), 'ok')
  assert.is(verdict('000202', ['02 04 02 20', sibling], ['04 06 8202 20', sibling]), 'ok')
  assert.is(verdict('020202'), 'ics23.form', 'a leaf has height 0')
  assert.is(verdict('000102'), 'ics23.form', 'a negative size')
  assert.is(verdict('00020200'), 'ics23.form', 'a longer head')
  assert.is(verdict('0002'), 'ics23.form', 'a shorter head')
  for (const [steps, why] of [
    [[['02 04 02 21', sibling]], 'another length'],
    [[['02 05 02 20', sibling]], 'a negative size'],
    [[['02 04 02 02 20', sibling]], 'a byte too many'],
    [[[`02 04 02 ${toHex(sibling)} 21`, empty]], 'another length before the right child'],
    [
      [
        ['02 04 02 20', sibling],
        ['02 06 02 20', sibling],
      ],
      'no higher than its child',
    ],
    [[['8201 04 02 20', sibling]], 'a height beyond any tree'],
  ] as const)
    assert.is(verdict('000202', ...steps), 'ics23.step', why)
})

test('an inner node is not sold as a leaf, nor a leaf as an inner node', () => {
  const { root } = tree(['a', 'c'])
  const fake: CommitmentProof = {
    kind: 'exist',
    exist: { key: utf8('k'), value: utf8('v'), leaf: { ...TENDERMINT_SPEC.leafSpec, prefix: hex('01') }, path: [] },
  }
  assert.is(
    code(verifyMembership(TENDERMINT_SPEC, root, encodeCommitmentProof(fake), utf8('k'), utf8('v'))),
    'ics23.form',
  )
})

test('in the sparse tree an empty sibling closes the edge, a hash of something does not', () => {
  const leaf = (key: string) => sha256(concat(hex('00'), sha256(utf8(key)), sha256(utf8('v'))))
  const empty = new Uint8Array(32)
  const exist = (sibling: Uint8Array): ExistenceProof => ({
    key: utf8('k'),
    value: utf8('v'),
    leaf: SMT_SPEC.leafSpec,
    path: [{ hash: 1, prefix: hex('01'), suffix: sibling }],
  })
  /** A key whose hash lies above that of 'k'. */
  const above = ['a', 'b', 'c', 'd'].find(key => toHex(sha256(utf8(key))) > toHex(sha256(utf8('k'))))!
  const verdict = (sibling: Uint8Array) => {
    const root = sha256(concat(hex('01'), leaf('k'), sibling))
    const proof = encodeCommitmentProof({
      kind: 'nonexist',
      nonexist: { key: utf8(above), left: exist(sibling), right: undefined },
    })
    return code(verifyNonMembership(SMT_SPEC, root, proof, utf8(above)))
  }
  assert.is(verdict(empty), 'ok')
  assert.is(verdict(leafHash(utf8('x'))), 'ics23.gap')
})

test('random bytes are no proof and never throw', () => {
  const property = fc.property(fc.uint8Array({ maxLength: 80 }), bytes => {
    assert.not(verifyMembership(SMT_SPEC, new Uint8Array(32), bytes, utf8('k'), utf8('v')).ok)
    assert.not(verifyNonMembership(IAVL_SPEC, new Uint8Array(32), bytes, utf8('k')).ok)
  })
  assertProperty(property, 1000)
})

test.run()
