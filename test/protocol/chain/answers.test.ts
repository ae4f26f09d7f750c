/** Answers of a node that are no answers: whatever stands in whatever place, a reader says so and never throws. */
import { readFileSync } from 'node:fs'
import { concat, toHex } from '../../../protocol/bytes.ts'
import { proveTx } from '../../../protocol/chain/block.ts'
import { parseEvidence } from '../../../protocol/chain/evidence-json.ts'
import { decodeProof, encodeProof, parseResults, parseTx, proofJson } from '../../../protocol/chain/merkle-proof.ts'
import { bytesField, messageField, varintField } from '../../../protocol/chain/proto.ts'
import { parseHeader, parseLightBlock, parseSignedHeader, parseValidators } from '../../../protocol/chain/rpc-json.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('answers that are none')

const reference = JSON.parse(readFileSync(new URL('cometbft-evidence.json', import.meta.url), 'utf8'))
const block = reference.blocks.trusted.json
const txs = [Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)]
const tx = {
  height: '7',
  index: 1,
  tx: 'Ag==',
  proof: { root_hash: '', data: 'Ag==', proof: proofJson(proveTx(txs, 1)) },
}
const results = {
  txs_results: [
    { code: 0, data: null, gas_wanted: '1', gas_used: '1' },
    { code: 5, data: 'AQ==', gas_wanted: '0', gas_used: '-1' },
  ],
}

const READERS: readonly (readonly [string, unknown, (json: unknown) => Result<unknown>])[] = [
  ['a signed header', block.signed_header, parseSignedHeader],
  ['a header', block.signed_header.header, parseHeader],
  ['validators', block.validator_set.validators, parseValidators],
  [
    'a light block',
    { signed_header: block.signed_header, validators: block.validator_set.validators },
    parseLightBlock,
  ],
  ['evidence of an attack', reference.evidence.lunatic.json, parseEvidence],
  ['a double vote', reference.evidence['double vote 0'].json, parseEvidence],
  ['a transaction', tx, parseTx],
  ['results', results, parseResults],
]

/** Every place of a document, as the keys that lead there. */
function placesOf(json: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof json !== 'object' || json === null) return [path]
  return [path, ...Object.entries(json).flatMap(([key, value]) => placesOf(value, [...path, key]))]
}

function withAt(json: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value
  const copy = (Array.isArray(json) ? [...json] : { ...(json as object) }) as Record<string, unknown>
  copy[key] = withAt(copy[key], rest, value)
  return copy
}

/** What a document of ours has nowhere, or not there. */
const WRONG: readonly unknown[] = [
  undefined,
  null,
  [],
  {},
  true,
  -1,
  0.5,
  1e300,
  Number.NaN,
  '',
  '-1',
  '01',
  '99999999999999999999',
  'zz',
  'A',
  '🙂',
  '0x10',
  [null],
  [[[[]]]],
  { toString: 1 },
]

for (const [name, good, read] of READERS)
  test(`${name}: good as it is, and with a wrong value in any place a fault or another good answer, never a throw`, () => {
    must(read(good))
    const places = placesOf(good)
    let refused = 0
    for (const path of places)
      for (const value of WRONG) {
        const answer = read(withAt(good, path, value))
        if (!answer.ok) refused++
        if (!answer.ok) assert.is(answer.fault.code, 'chain.json')
      }
    // A few fields are not read, and a few of the values are good in some place.
    assert.ok(refused > (places.length * WRONG.length) / 2, `${refused} of ${places.length * WRONG.length}`)
  })

test('a proof with more steps than any tree has, or more leaves than can be counted, is refused', () => {
  const proof = proofJson(proveTx(txs, 1))
  const of = (change: object) => parseTx({ ...tx, proof: { proof: { ...proof, ...change } } })
  assert.ok(of({}).ok)
  assert.not.ok(of({ aunts: Array.from({ length: 101 }, () => 'AAAA') }).ok)
  assert.not.ok(of({ total: String(2n ** 53n) }).ok)
  assert.not.ok(of({ total: '0' }).ok)
  assert.not.ok(of({ index: '-1' }).ok)
  assert.not.ok(parseResults({ txs_results: Array.from({ length: 200_001 }, () => 0) }).ok)
  assert.equal(must(parseResults({ txs_results: null })), [])
})

test('a proof comes back from its bytes, and from no others', () => {
  const property = fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), (count, pick) => {
    const leaves = Array.from({ length: count }, (_, i) => Uint8Array.of(i))
    const proof = proveTx(leaves, pick % count)
    const bytes = encodeProof(proof)
    assert.equal(must(decodeProof(bytes)), proof)
    for (let at = 0; at < bytes.length; at += 7) {
      const made = Uint8Array.from(bytes, (byte, i) => (i === at ? byte ^ 0x55 : byte))
      const read = decodeProof(made)
      if (read.ok) assert.is(toHex(encodeProof(read.value)), toHex(made))
    }
  })
  assertProperty(property, 50)
  const many = concat(
    varintField(1, 5),
    bytesField(3, new Uint8Array(32)),
    ...Array.from({ length: 101 }, () => messageField(4, new Uint8Array(32))),
  )
  assert.not.ok(decodeProof(many).ok)
  assert.not.ok(decodeProof(varintField(1, 2n ** 53n)).ok)
  assert.not.ok(decodeProof(varintField(2, -1n)).ok)
})

test.run()
