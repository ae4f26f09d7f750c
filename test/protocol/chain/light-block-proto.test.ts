/**
 * Light blocks in protobuf against the bytes of CometBFT's own types package: cometbft-evidence.json was printed by a Go
 * program over github.com/cometbft/cometbft, whose v0.38.25 and v0.40.0 print the same.
 */
import { readFileSync } from 'node:fs'
import { concat, hex, toHex } from '../../../protocol/bytes.ts'
import { encodeCommit } from '../../../protocol/chain/commit.ts'
import { encodeHeader, hashHeader } from '../../../protocol/chain/header.ts'
import type { BlockId, BlockIdFlag, LightBlock, Validator } from '../../../protocol/chain/light-block.ts'
import {
  decodeCommit,
  decodeHeader,
  decodeLightBlock,
  decodeValidator,
  encodeLightBlock,
  encodeValidator,
} from '../../../protocol/chain/light-block-proto.ts'
import { messageField, varintField } from '../../../protocol/chain/proto.ts'
import { parseSignedHeader, parseValidators } from '../../../protocol/chain/rpc-json.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('light blocks in protobuf')

const reference = JSON.parse(readFileSync(new URL('cometbft-evidence.json', import.meta.url), 'utf8'))
const names = Object.keys(reference.blocks)
const blockOf = (name: string): LightBlock => {
  const { signed_header, validator_set } = reference.blocks[name].json
  return { ...must(parseSignedHeader(signed_header)), validators: must(parseValidators(validator_set.validators)) }
}
const reasonOf = (bytes: Uint8Array) => {
  const read = decodeLightBlock(bytes)
  return read.ok ? undefined : `${read.fault['message']} ${read.fault.reason}`
}

test('a block that CometBFT wrote as JSON has the bytes that CometBFT wrote, and comes back from them', () => {
  assert.is(names.length, 5)
  for (const name of names) {
    const block = blockOf(name)
    assert.is(toHex(encodeLightBlock(block)), reference.blocks[name].bytes, name)
    assert.equal(must(decodeLightBlock(hex(reference.blocks[name].bytes))), block)
    assert.is(toHex(hashHeader(block.header)), reference.blocks[name].hash)
  }
})

test('headers, commits and validators stand alone, too', () => {
  const { header, commit, validators } = blockOf('lunatic')
  assert.equal(must(decodeHeader(encodeHeader(header))), header)
  assert.equal(must(decodeCommit(encodeCommit(commit))), commit)
  for (const one of validators) assert.equal(must(decodeValidator(encodeValidator(one))), one)
})

test('the proposer is the validator that paid for its turn, of the lowest priority, and no other is taken', () => {
  const { header, commit, validators } = blockOf('common')
  const other = validators.find(one => !sameAs(one, validators.reduce(lower)))!
  const signed = messageField(1, concat(messageField(1, encodeHeader(header)), messageField(2, encodeCommit(commit))))
  const set = (...fields: readonly Uint8Array[]) =>
    concat(signed, messageField(2, concat(...validators.map(one => messageField(1, encodeValidator(one))), ...fields)))
  const fault = 'proposer is not the validator of the lowest priority'
  assert.is(reasonOf(set(messageField(2, encodeValidator(validators.reduce(lower))))), undefined)
  assert.is(reasonOf(set(messageField(2, encodeValidator(other)))), fault)
  assert.is(reasonOf(set()), fault)
  // Go leaves total_voting_power out whatever it is.
  const proposed = messageField(2, encodeValidator(validators.reduce(lower)))
  assert.is(reasonOf(set(proposed, varintField(3, 100n))), 'validator_set field 3 is not of this message')
})

const sameAs = (a: Validator, b: Validator) => toHex(a.address) === toHex(b.address)
const lower = (a: Validator, b: Validator) => (b.proposerPriority < a.proposerPriority ? b : a)

test('an absent field that Go always writes, and a value out of its range, are refused by their place', () => {
  const { commit } = blockOf('common')
  const headerOf = (bytes: Uint8Array) => {
    const read = decodeHeader(bytes)
    return read.ok ? undefined : `${read.fault['message']} ${read.fault.reason}`
  }
  //  0a 02 08 0b  version {block 11}     22 00  time 1970     2a 02 12 00  block id {part set header {}}
  assert.is(headerOf(hex('0a02080b 2200 2a021200')), undefined)
  assert.is(headerOf(hex('         2200 2a021200')), 'version is absent')
  assert.is(headerOf(hex('0a02080b      2a021200')), 'timestamp is absent')
  assert.is(headerOf(hex('0a02080b 2200         ')), 'block_id is absent')
  assert.is(headerOf(hex('0a02080b 2200 2a00')), 'part_set_header is absent')
  assert.is(headerOf(hex('0a02080b 1201ff 2200 2a021200')), 'chain_id is not UTF-8')
  assert.is(headerOf(hex('0a02080b 18ffffffffffffffffff01 2200 2a021200')), `height is not from 0 to ${2n ** 63n - 1n}`)
  //  10 80 94 eb dc 03  nanos 1,000,000,000       08 ff d1 d9 c0 f7 07  a second of the year 10000
  assert.is(headerOf(hex('0a02080b 2206108094ebdc03 2a021200')), 'nanos is not from 0 to 999999999')
  assert.is(headerOf(hex('0a02080b 220708ffffffffff7f 2a021200')), 'timestamp is not of the years 1 to 9999')
  for (const flag of [0, 4]) {
    const signature = { ...commit.signatures[0]!, flag: flag as BlockIdFlag }
    const read = decodeCommit(encodeCommit({ ...commit, signatures: [signature] }))
    assert.is(read.ok ? '' : read.fault['message'], 'block_id_flag')
  }
})

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { noNullPrototype: true })
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const hash = fc.oneof(bytes(0), bytes(32))
const int64 = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
const time = record({
  seconds: fc.bigInt({ min: -62_135_596_800n, max: 253_402_300_799n }),
  nanos: fc.integer({ min: 0, max: 999_999_999 }),
})
const blockId: fc.Arbitrary<BlockId> = record({
  hash,
  partSetHeader: record({ total: fc.integer({ min: 0, max: 2 ** 32 - 1 }), hash }),
})
const anyBlock: fc.Arbitrary<LightBlock> = record({
  header: record({
    version: record({ block: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), app: int64 }),
    chainId: fc.string({ maxLength: 60, unit: 'grapheme' }),
    height: int64,
    time,
    lastBlockId: blockId,
    lastCommitHash: hash,
    dataHash: hash,
    validatorsHash: hash,
    nextValidatorsHash: hash,
    consensusHash: hash,
    appHash: fc.uint8Array({ maxLength: 40 }),
    lastResultsHash: hash,
    evidenceHash: hash,
    proposerAddress: bytes(20),
  }),
  commit: record({
    height: int64,
    round: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    blockId,
    signatures: fc.array(
      record({
        flag: fc.constantFrom<BlockIdFlag>(1, 2, 3),
        validatorAddress: fc.oneof(bytes(0), bytes(20)),
        timestamp: fc.option(time, { nil: undefined }),
        signature: fc.uint8Array({ maxLength: 64 }),
      }),
      { maxLength: 4 },
    ),
  }),
  validators: fc.array(
    record({
      address: bytes(20),
      publicKey: bytes(32),
      votingPower: int64,
      proposerPriority: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    }),
    { maxLength: 4 },
  ),
})

test('what the writer writes, the reader reads', () => {
  assertProperty(fc.property(anyBlock, block => assert.equal(must(decodeLightBlock(encodeLightBlock(block))), block)))
})

test('bytes that are read are the bytes that would be written: none flipped, cut or added to reads as another spelling', () => {
  const good = hex(reference.blocks.common.bytes)
  const property = fc.property(
    fc.integer({ min: 0, max: good.length - 1 }),
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom('change', 'insert', 'remove', 'cut'),
    (at, byte, how) => {
      const made =
        how === 'cut'
          ? good.slice(0, at)
          : concat(
              good.subarray(0, at),
              how === 'remove' ? new Uint8Array(0) : Uint8Array.of(byte),
              good.subarray(how === 'insert' ? at : at + 1),
            )
      const read = decodeLightBlock(made)
      if (read.ok) assert.is(toHex(encodeLightBlock(read.value)), toHex(made))
    },
  )
  assertProperty(property, 2_000)
})

test('a set of more validators than CometBFT allows is refused before it is read', () => {
  const many = concat(...Array.from({ length: 10_001 }, () => messageField(1, new Uint8Array(0))))
  const { header, commit } = blockOf('common')
  const head = messageField(1, concat(messageField(1, encodeHeader(header)), messageField(2, encodeCommit(commit))))
  assert.is(reasonOf(concat(head, messageField(2, many))), 'validator_set has more than 10000 validators')
})

test.run()
