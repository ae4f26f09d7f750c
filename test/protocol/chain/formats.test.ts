/**
 * The byte formats against what CometBFT v0.38.17 itself computes: cometbft-0.38.17.json was printed by a Go program that
 * calls its types package with four keys, two blocks and a commit with one absent vote and one for nil.
 */
import { readFileSync } from 'node:fs'
import { hex, toHex } from '../../../protocol/bytes.ts'
import {
  type Block,
  encodeBlock,
  hashConsensusParams,
  hashData,
  hashResults,
  makeBlockId,
  NO_EVIDENCE_HASH,
  proveResult,
  proveTx,
  verifyResult,
  verifyTx,
} from '../../../protocol/chain/block.ts'
import { chainTime, instantOf, timeOfText, timeText } from '../../../protocol/chain/chain-time.ts'
import { commitFault, hashCommit, medianTime, voteSignBytes } from '../../../protocol/chain/commit.ts'
import { hashHeader, NO_BLOCK } from '../../../protocol/chain/header.ts'
import type { Commit, Validator } from '../../../protocol/chain/light-block.ts'
import { headerJson, parseSignedHeader, parseValidators } from '../../../protocol/chain/rpc-json.ts'
import {
  changeValidators,
  firstTurn,
  hashValidators,
  nextTurn,
  validatorOf,
  validatorsFault,
} from '../../../protocol/chain/validators.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('CometBFT formats')

interface Row {
  key: string
  power: string
  priority: string
}
const reference = JSON.parse(readFileSync(new URL('cometbft-0.38.17.json', import.meta.url), 'utf8'))
const rows = (validators: readonly Validator[]): Row[] =>
  validators.map(one => ({
    key: toHex(one.publicKey),
    power: String(one.votingPower),
    priority: String(one.proposerPriority),
  }))
const setOf = (list: readonly Row[]) =>
  list.map(row => validatorOf(hex(row.key), BigInt(row.power), BigInt(row.priority)))

const initial = setOf(reference.initial)
const { header: header1 } = must(parseSignedHeader({ header: reference.block1.header, commit: reference.commit1 }))
const { header: header2, commit: commit1 } = must(
  parseSignedHeader({ header: reference.block2.header, commit: reference.commit1 }),
)
const noCommit: Commit = { height: 0n, round: 0, blockId: NO_BLOCK, signatures: [] }
const big = Uint8Array.from({ length: 150_000 }, (_, i) => i * 7)
const txs = [Uint8Array.of(1, 2, 3), big]
const block1: Block = { header: header1, txs: [], lastCommit: noCommit }
const block2: Block = { header: header2, txs, lastCommit: commit1 }
const results = [
  { code: 0, data: Uint8Array.of(1, 2), gasWanted: 5n, gasUsed: -1n },
  { code: 7, data: new Uint8Array(0), gasWanted: 0n, gasUsed: 0n },
  { code: 0, data: new Uint8Array(0), gasWanted: 0n, gasUsed: 0n },
]

test('a header hashes as CometBFT hashes it, also after another header was hashed', () => {
  for (const [header, hash] of [
    [header1, reference.block1.hash],
    [header2, reference.block2.hash],
    [header1, reference.block1.hash],
  ] as const)
    assert.is(toHex(hashHeader(header)), hash)
})

test('every field of a header is part of its hash', () => {
  const one = Uint8Array.of(1)
  const base = toHex(hashHeader(header2))
  const changes = {
    version: { block: 11n, app: 2n },
    chainId: 'streets',
    height: 3n,
    time: { seconds: header2.time.seconds, nanos: 1 },
    lastBlockId: { ...header2.lastBlockId, partSetHeader: { ...header2.lastBlockId.partSetHeader, total: 2 } },
    lastCommitHash: one,
    dataHash: one,
    validatorsHash: one,
    nextValidatorsHash: one,
    consensusHash: one,
    appHash: one,
    lastResultsHash: one,
    evidenceHash: one,
    proposerAddress: one,
  }
  assert.equal(Object.keys(changes).sort(), Object.keys(header2).sort())
  for (const [field, value] of Object.entries(changes))
    assert.is.not(toHex(hashHeader({ ...header2, [field]: value })), base, field)
})

test('what a validator signs: for the block, and without a block for nil', () => {
  const signed = commit1.signatures.filter(sig => sig.flag !== 1)
  assert.equal(
    signed.map(sig => toHex(voteSignBytes('street', commit1, sig))),
    reference.signBytes,
  )
})

test('a commit hashes as the next header says', () => {
  assert.is(toHex(hashCommit(commit1)), reference.commit1Hash)
  assert.is(toHex(hashCommit(commit1)), toHex(header2.lastCommitHash))
  assert.is(toHex(hashCommit(noCommit)), toHex(header1.lastCommitHash))
  assert.is(commitFault(commit1), undefined)
})

test('a first block, a small one and one of three parts have the bytes and the BlockID of CometBFT', () => {
  assert.is(toHex(encodeBlock(block1)), reference.block1.bytes)
  const small: Block = { ...block2, txs: [Uint8Array.of(1, 2, 3), Uint8Array.of(9)] }
  const { header } = must(parseSignedHeader({ header: reference.block2small.header, commit: reference.commit1 }))
  assert.is(toHex(encodeBlock({ ...small, header })), reference.block2small.bytes)
  for (const [block, expected] of [
    [block1, reference.block1],
    [block2, reference.block2],
  ] as const) {
    const id = makeBlockId(block)
    assert.is(toHex(id.hash), expected.hash)
    assert.is(String(id.partSetHeader.total), expected.parts)
    assert.is(toHex(id.partSetHeader.hash), expected.partsHash)
  }
})

test('transactions, results, parameters and no evidence hash as the header says', () => {
  assert.is(toHex(hashData(txs)), toHex(header2.dataHash))
  assert.is(toHex(hashResults(results)), reference.resultsHash)
  assert.is(
    toHex(
      hashConsensusParams({ maxBytes: BigInt(reference.consensusMaxBytes), maxGas: BigInt(reference.consensusMaxGas) }),
    ),
    reference.consensusHash,
  )
  assert.is(toHex(NO_EVIDENCE_HASH), toHex(header1.evidenceHash))
})

test('a transaction and its result are proven against the hashes, another is not', () => {
  assert.ok(verifyTx(hashData(txs), big, proveTx(txs, 1)))
  assert.not(verifyTx(hashData(txs), txs[0]!, proveTx(txs, 1)))
  assert.ok(verifyResult(hashResults(results), results[1]!, proveResult(results, 1)))
  assert.not(verifyResult(hashResults(results), { ...results[1]!, code: 0 }, proveResult(results, 1)))
})

test('a validator set has the order, the hash and the first turn of CometBFT', () => {
  const unordered = [...initial].reverse().map(one => ({ ...one, proposerPriority: 0n }))
  const turn = must(firstTurn(unordered))
  assert.equal(rows(turn.validators), reference.initial)
  assert.is(toHex(hashValidators(turn.validators)), reference.setHash)
})

test('proposers take turns as in CometBFT, also over several rounds at once', () => {
  let turn = must(firstTurn(initial))
  const turns: string[] = []
  for (let i = 0; i < 12; i++) {
    turns.push(toHex(turn.proposer.address).slice(0, 8))
    turn = nextTurn(turn.validators)
  }
  assert.equal(turns, reference.rotation)
  assert.equal(rows(turn.validators), reference.after12)
  assert.equal(rows(nextTurn(initial, 5).validators), reference.jump5)
})

test('members change, leave and join with the priorities of CometBFT', () => {
  const powers = new Map(initial.map(one => [one.votingPower, one]))
  const second = reference.after12.find((row: Row) => row.power === '20' && row.key !== reference.changed[2].key).key
  const changes = [
    validatorOf(powers.get(10n)!.publicKey, 500n),
    validatorOf(hex(second), 0n),
    validatorOf(hex(reference.k4), 7n),
  ]
  const changed = must(changeValidators(setOf(reference.after12), changes))
  assert.equal(rows(changed), reference.changed)
  assert.equal(rows(nextTurn(changed).validators), reference.changedPlus1)
})

test('priorities are rescaled when a great power shrinks', () => {
  const keys = new Map(reference.rescaled.map((row: Row) => [row.power, hex(row.key)])) as Map<string, Uint8Array>
  const start = must(
    firstTurn([
      validatorOf(keys.get('2')!, 1_000_000n),
      validatorOf(keys.get('3')!, 3n),
      validatorOf(keys.get('1')!, 1n),
    ]),
  )
  const changed = must(changeValidators(nextTurn(start.validators, 3).validators, [validatorOf(keys.get('2')!, 2n)]))
  assert.equal(rows(changed), reference.rescaled)
})

test('a list that is no validator set is refused by name', () => {
  const [first, ...others] = initial as [Validator, ...Validator[]]
  const codeOf = (list: readonly Validator[]) => validatorsFault(list)?.code
  assert.is(codeOf(initial), undefined)
  assert.is(codeOf([]), 'chain.no-validators')
  assert.is(codeOf(Array(10_001).fill(first)), 'chain.too-many-validators')
  assert.is(codeOf([{ ...first, votingPower: 0n }, ...others]), 'chain.validator-power')
  assert.is(codeOf([{ ...first, votingPower: 2n ** 60n - 1n }, ...others]), 'chain.total-power')
  assert.is(codeOf([{ ...first, address: others[0]!.address }, ...others]), 'chain.validator-address')
  assert.is(codeOf([first, ...initial]), 'chain.validator-twice')
  const unknown = changeValidators(others, [{ ...first, votingPower: 0n }])
  assert.is(unknown.ok ? undefined : unknown.fault.code, 'chain.validator-unknown')
})

test('a commit of the wrong shape is refused by its reason', () => {
  const [vote, absent] = commit1.signatures as [(typeof commit1.signatures)[0], (typeof commit1.signatures)[0]]
  const with0 = (change: object): Commit => ({ ...commit1, signatures: [{ ...vote, ...change }] })
  const withAbsent = (change: object): Commit => ({ ...commit1, signatures: [{ ...absent, ...change }] })
  const cases: readonly [Commit, string][] = [
    [{ ...commit1, height: 0n }, 'height 0'],
    [{ ...commit1, round: -1 }, 'round -1'],
    [{ ...commit1, blockId: NO_BLOCK }, 'block id is incomplete'],
    [{ ...commit1, signatures: [] }, 'no signatures'],
    [withAbsent({ validatorAddress: vote.validatorAddress }), 'absent, yet with an address'],
    [withAbsent({ timestamp: vote.timestamp }), 'absent, yet with a time'],
    [withAbsent({ signature: vote.signature }), 'absent, yet with a signature'],
    [with0({ validatorAddress: vote.validatorAddress.subarray(1) }), 'address of 19 bytes'],
    [with0({ signature: new Uint8Array(0) }), 'signature of 0 bytes'],
    [with0({ signature: new Uint8Array(65) }), 'signature of 65 bytes'],
    [with0({ flag: 4 }), 'flag 4'],
  ]
  for (const [commit, reason] of cases) assert.is(commitFault(commit)?.reason, reason)
})

test('BFT time is the median of the votes by power, not by head', () => {
  const at = (seconds: bigint, name: number) => ({
    flag: 2 as const,
    validatorAddress: Uint8Array.of(name),
    timestamp: { seconds, nanos: 0 },
    signature: new Uint8Array(64),
  })
  const commit = { ...commit1, signatures: [at(30n, 1), at(10n, 2), at(20n, 3)] }
  const powers = [0n, 5n, 1n, 1n]
  assert.is(medianTime(commit, address => powers[address[0]!]!)?.seconds, 30n)
  assert.is(medianTime(commit, () => 1n)?.seconds, 10n)
  assert.is(
    medianTime({ ...commit, signatures: [] }, () => 1n),
    undefined,
  )
})

test('chain time keeps nanoseconds, knows its own text only and rounds an instant down', () => {
  for (const text of ['0001-01-01T00:00:00Z', '2026-11-22T12:00:00.123456789Z', '2024-02-29T23:59:59.5Z'])
    assert.is(timeText(timeOfText(text)!), text)
  for (const text of [
    '2026-02-30T00:00:00Z',
    '2026-11-22T12:00:60Z',
    '2026-11-22T12:00:00+01:00',
    '2026-13-01T00:00:00Z',
  ])
    assert.is(timeOfText(text), undefined, text)
  assert.is(instantOf({ seconds: 1n, nanos: 1_999_999 }), 1001)
  assert.equal(chainTime(instant(-1)), { seconds: -1n, nanos: 999_000_000 })
})

test('a header goes to JSON as CometBFT writes it', () => {
  assert.equal(headerJson(header2), reference.block2.header)
  assert.equal(must(parseValidators(reference.validatorsJson)), initial)
})

test.run()
