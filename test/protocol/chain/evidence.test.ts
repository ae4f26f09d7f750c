/** Evidence against the bytes, hashes and JSON of CometBFT's own types package (see light-block-proto.test.ts). */
import { readFileSync } from 'node:fs'
import { concat, hex, toHex } from '../../../protocol/bytes.ts'
import {
  decodeEvidence,
  type Evidence,
  encodeEvidence,
  hashEvidence,
  hashEvidenceList,
  inVoteOrder,
} from '../../../protocol/chain/evidence.ts'
import { evidenceJson, parseEvidence } from '../../../protocol/chain/evidence-json.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('evidence')

const reference = JSON.parse(readFileSync(new URL('cometbft-evidence.json', import.meta.url), 'utf8'))
const names: readonly string[] = reference.order
const all = names.map((name): Evidence => must(decodeEvidence(hex(reference.evidence[name].wrapped))))

test('evidence that CometBFT wrote comes back, and has its bytes, hash and JSON', () => {
  assert.is(names.length, 5)
  for (const [i, name] of names.entries()) {
    const { wrapped, hash, json } = reference.evidence[name]
    assert.is(toHex(encodeEvidence(all[i]!)), wrapped, name)
    assert.is(toHex(hashEvidence(all[i]!)), hash, name)
    assert.equal(evidenceJson(all[i]!), json, name)
    assert.equal(must(parseEvidence(json)), all[i], name)
  }
  assert.is(toHex(hashEvidenceList(all)), reference.evidenceHash)
})

test('two votes are put in the order in which CometBFT takes them', () => {
  const vote = all.find(one => one.kind === 'duplicate-vote')!
  assert.equal(inVoteOrder(vote.voteA, vote.voteB), [vote.voteA, vote.voteB])
  assert.equal(inVoteOrder(vote.voteB, vote.voteA), [vote.voteA, vote.voteB])
  // Blocks of one hash differ in their parts.
  const parts = { ...vote.voteA.blockId.partSetHeader, total: 2 }
  const other = { ...vote.voteA, blockId: { ...vote.voteA.blockId, partSetHeader: parts } }
  assert.equal(inVoteOrder(other, vote.voteA), [vote.voteA, other])
})

test('evidence of no kind, of two kinds, or of a proposal vote is refused', () => {
  const [attack, , , votes] = names.map(name => hex(reference.evidence[name].wrapped))
  const codeOf = (bytes: Uint8Array) => {
    const read = decodeEvidence(bytes)
    return read.ok ? undefined : `${read.fault['message']} ${read.fault.reason}`
  }
  assert.is(codeOf(new Uint8Array(0)), 'light_client_attack is absent')
  assert.is(codeOf(concat(votes!, attack!)), 'evidence is of two kinds')
  const json = structuredClone(reference.evidence['double vote 0'].json)
  json.value.vote_a.type = 1
  const read = parseEvidence(json)
  assert.is(read.ok ? '' : read.fault.place, 'value.vote_a.type')
  for (const edit of [{ type: 'tendermint/Other' }, { value: [] }, { value: {} }])
    assert.not.ok(parseEvidence({ ...json, ...edit }).ok)
})

test('bytes that are read as evidence are the bytes that would be written', () => {
  const property = fc.property(
    fc.constantFrom(...names),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    fc.integer({ min: 0, max: 255 }),
    fc.boolean(),
    (name, part, byte, insert) => {
      const good = hex(reference.evidence[name].wrapped)
      const at = Math.floor(part * good.length)
      const made = concat(good.subarray(0, at), Uint8Array.of(byte), good.subarray(insert ? at : at + 1))
      const read = decodeEvidence(made)
      if (read.ok) assert.is(toHex(encodeEvidence(read.value)), toHex(made))
      assert.not.ok(decodeEvidence(good.subarray(0, at)).ok)
    },
  )
  assertProperty(property, 1_000)
})

test.run()
