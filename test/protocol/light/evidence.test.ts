/**
 * Evidence made of an attack, and the judgement of it. What CometBFT's own judge takes is checked in evidence.test.ts of
 * protocol/chain for the bytes, and over a running node in test/drivers/headers/real-cometbft.test.ts.
 */
import { readFileSync } from 'node:fs'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { FLAG_ABSENT, FLAG_NIL } from '../../../protocol/chain/commit.ts'
import {
  decodeEvidence,
  type Evidence,
  encodeEvidence,
  type LightClientAttack,
} from '../../../protocol/chain/evidence.ts'
import type { LightBlock } from '../../../protocol/chain/light-block.ts'
import { decodeLightBlock } from '../../../protocol/chain/light-block-proto.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { Attack, AttackKind } from '../../../protocol/light/detect.ts'
import { duplicateVotesOf, evidenceFault, evidenceOf } from '../../../protocol/light/evidence.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { anchored, CHAIN, makeChain, members, seal, timeAt } from './chain-maker.ts'

const test = suite('evidence of an attack')

const verifier = createVerifier()
const group = members(4)
const chain = makeChain({ heights: 10, group: () => group })
const now = timeAt(11)
const believed = (block: LightBlock) => anchored(block, now, verifier)
const [common, ours] = [chain[4]!, chain[9]!]
const blockAt = (height: bigint) => chain[Number(height) - 1]

const attackBy = (kind: AttackKind, conflicting: LightBlock): Attack => ({
  kind,
  common: believed(common),
  ours: believed(conflicting),
  theirs: believed(ours),
})
const lunatic = seal({ ...ours.header, appHash: utf8('other') }, group, {
  flags: [undefined, undefined, undefined, FLAG_NIL],
})
const twin = { ...ours.header, dataHash: sha256(utf8('other')) }
const attacks = {
  lunatic: attackBy('lunatic', lunatic),
  equivocation: attackBy('equivocation', seal(twin, group, { flags: [undefined, FLAG_ABSENT] })),
  amnesia: attackBy('amnesia', seal(twin, group, { round: 2 })),
}
const reasonOf = (evidence: Evidence, at = blockAt, chainId = CHAIN) =>
  evidenceFault(evidence, chainId, at, verifier)?.reason

test('each kind of attack makes evidence that a node with the other chain takes', () => {
  for (const [kind, guilty, height] of [
    ['lunatic', 3, 5n],
    ['equivocation', 3, 10n],
    ['amnesia', 0, 10n],
  ] as const) {
    const evidence = evidenceOf(attacks[kind], CHAIN, verifier)
    assert.is(reasonOf(evidence), undefined, kind)
    assert.is(reasonOf(must(decodeEvidence(encodeEvidence(evidence)))), undefined)
    assert.equal([evidence.byzantine.length, evidence.commonHeight, evidence.totalPower], [guilty, height, 40n])
  }
})

test('the same attack that CometBFT made evidence of makes the same evidence here', () => {
  const reference = JSON.parse(readFileSync(new URL('../chain/cometbft-evidence.json', import.meta.url), 'utf8'))
  const blockOf = (name: string) => must(decodeLightBlock(hex(reference.blocks[name].bytes)))
  const brand = (name: string) => {
    const block = blockOf(name)
    return { header: block.header, hash: block.commit.blockId.hash, block, signedBy: [] } as unknown as Attack['ours']
  }
  for (const kind of ['lunatic', 'equivocation', 'amnesia'] as const) {
    const attack: Attack = { kind, common: brand('common'), ours: brand(kind), theirs: brand('trusted') }
    const made = evidenceOf(attack, reference.chainId, verifier)
    assert.is(toHex(encodeEvidence(made)), reference.evidence[kind].wrapped, kind)
    const known = [blockOf('common'), blockOf('trusted')]
    const at = (height: bigint) => known.find(({ header }) => header.height === height)
    assert.is(reasonOf(made, at, reference.chainId), undefined)
    if (kind !== 'equivocation') continue
    const votes = duplicateVotesOf(attack, reference.chainId, verifier)
    const expected = ['double vote 0', 'double vote 1'].map(name => reference.evidence[name].wrapped)
    assert.equal(
      votes.map(vote => toHex(encodeEvidence(vote))),
      expected,
    )
    for (const vote of votes) assert.is(reasonOf(vote, at, reference.chainId), undefined)
  }
})

test('a false vote in the block is left out of the evidence: a full node checks every one', () => {
  const { signatures } = lunatic.commit
  // A light client stops at two thirds and never looks at the last vote.
  const spoilt = signatures.map((vote, i) =>
    i === 3 ? { ...signatures[2]!, validatorAddress: group[3]!.validator.address } : vote,
  )
  const places = lunatic.validators.map(one => toHex(one.address))
  const last = { ...spoilt[3]!, validatorAddress: lunatic.validators[3]!.address }
  const block = { ...lunatic, commit: { ...lunatic.commit, signatures: [...spoilt.slice(0, 3), last] } }
  const evidence = evidenceOf(attackBy('lunatic', block), CHAIN, verifier)
  assert.is(reasonOf(evidence), undefined)
  assert.equal(
    evidence.byzantine.map(one => places.indexOf(toHex(one.address))),
    [0, 1, 2],
  )
  assert.is(reasonOf({ ...evidence, conflicting: block }), 'vote 3 is not signed')
})

test('evidence that shows nothing is refused, each by what it lacks', () => {
  const good = evidenceOf(attacks.lunatic, CHAIN, verifier)
  const double = evidenceOf(attacks.equivocation, CHAIN, verifier)
  const honest = evidenceOf({ ...attacks.lunatic, ours: believed(ours) }, CHAIN, verifier)
  const sealed = (group: Parameters<typeof seal>[1], flags: Parameters<typeof seal>[2] = {}) =>
    seal({ ...lunatic.header }, group, flags)
  const { conflicting } = good
  const edit = (change: Partial<LightClientAttack>) => ({ ...good, ...change })
  const cases: readonly [Evidence, string][] = [
    [edit({ commonHeight: 11n }), 'its height is not there'],
    [edit({ time: ours.header.time }), "its time is not its block's"],
    [
      edit({ conflicting: { ...conflicting, header: { ...conflicting.header, chainId: 'x' } } }),
      'it is of another chain',
    ],
    [
      edit({ conflicting: { ...conflicting, header: { ...conflicting.header, appHash: utf8('x') } } }),
      'the commit is of another header',
    ],
    [
      edit({ conflicting: { ...conflicting, validators: conflicting.validators.slice(1) } }),
      "the validators are not the header's",
    ],
    [
      edit({ conflicting: sealed(group, { flags: [undefined, undefined, FLAG_NIL, FLAG_NIL] }) }),
      'too little of its own power has signed',
    ],
    [edit({ commonHeight: 10n, time: ours.header.time }), 'a lunatic header needs an earlier common height'],
    [edit({ totalPower: 41n }), 'the powers are others'],
    [edit({ byzantine: good.byzantine.slice(1) }), 'it blames others than those who did it'],
    [edit({ byzantine: [...good.byzantine].reverse() }), 'it blames others than those who did it'],
    [{ ...double, byzantine: double.byzantine.slice(1) }, 'it blames others than those who did it'],
    [honest, 'the block is ours'],
  ]
  for (const [evidence, reason] of cases) assert.is(reasonOf(evidence), reason)
  // Strangers who name themselves: signed by all of theirs, and by none of those who were trusted.
  const strangers = members(4, 60)
  const foreign = makeChain({
    heights: 10,
    group: height => (height < 6 ? group : strangers),
    fork: { of: chain, from: 6 },
  })[9]!
  assert.is(reasonOf(edit({ conflicting: foreign, byzantine: [] })), 'too little of the common power has signed')
})

test('two votes that are no double vote are refused, each by what it lacks', () => {
  const [good] = duplicateVotesOf(attacks.equivocation, CHAIN, verifier)
  assert.ok(good)
  assert.is(reasonOf(good), undefined)
  const { voteA, voteB } = good
  const cases: readonly [Evidence, string][] = [
    [{ ...good, voteA: voteB, voteB: voteA }, 'the votes are in the wrong order'],
    [{ ...good, voteB: voteA }, 'the votes are for one block'],
    [{ ...good, voteB: { ...voteB, round: 1 } }, 'the votes are of two rounds'],
    [
      { ...good, voteB: { ...voteB, validatorAddress: group[2]!.validator.address } },
      'the votes are of two validators',
    ],
    [{ ...good, voteB: { ...voteB, timestamp: { seconds: 1n, nanos: 0 } } }, 'a vote is not signed'],
    [{ ...good, validatorPower: 11n }, 'the powers are others'],
    [{ ...good, totalPower: 39n }, 'the powers are others'],
    [{ ...good, time: common.header.time }, "its time is not its block's"],
    [{ ...good, voteA: { ...voteA, height: 99n } }, 'its height is not there'],
    [
      { ...good, voteA: { ...voteA, validatorAddress: sha256(utf8('x')).subarray(0, 20) } },
      'nobody of that address was a validator',
    ],
  ]
  for (const [evidence, reason] of cases) assert.is(reasonOf(evidence), reason)
  assert.equal(duplicateVotesOf(attacks.amnesia, CHAIN, verifier), [])
})

test.run()
