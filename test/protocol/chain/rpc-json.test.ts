import { readFileSync } from 'node:fs'
import { toHex } from '../../../protocol/bytes.ts'
import { fromBase64, toBase64 } from '../../../protocol/chain/base64.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import {
  lightBlockJson,
  parseLightBlock,
  parseSignedHeader,
  parseValidators,
  signedHeaderJson,
  validatorsJson,
} from '../../../protocol/chain/rpc-json.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('light blocks in RPC JSON')

const reference = JSON.parse(readFileSync(new URL('cometbft-0.38.17.json', import.meta.url), 'utf8'))
const signedHeader = () => structuredClone({ header: reference.block2.header, commit: reference.commit1 })
const refused = (edit: (json: ReturnType<typeof signedHeader>) => void) => {
  const json = signedHeader()
  edit(json)
  const parsed = parseSignedHeader(json)
  return parsed.ok ? undefined : parsed.fault.place
}

test('what CometBFT writes is read and written again without a difference', () => {
  assert.equal(signedHeaderJson(must(parseSignedHeader(signedHeader()))), signedHeader())
  assert.equal(validatorsJson(must(parseValidators(reference.validatorsJson))), reference.validatorsJson)
  const block = {
    ...must(parseSignedHeader(signedHeader())),
    validators: must(parseValidators(reference.validatorsJson)),
  }
  assert.equal(must(parseLightBlock(JSON.parse(JSON.stringify(lightBlockJson(block))))), block)
  assert.is(toHex(hashHeader(block.header)), reference.block2.hash)
})

test('an absent vote has no time and no signature', () => {
  const { commit } = must(parseSignedHeader(signedHeader()))
  const absent = commit.signatures[1]!
  assert.equal([absent.flag, absent.timestamp, absent.signature.length], [1, undefined, 0])
})

test('a field of another form is refused by its place', () => {
  const cases: readonly [string, (json: ReturnType<typeof signedHeader>) => void][] = [
    ['header', json => delete json.header],
    ['header.height', json => (json.header.height = 2)],
    ['header.height', json => (json.header.height = '-1')],
    ['header.height', json => (json.header.height = '02')],
    ['header.height', json => (json.header.height = '9223372036854775808')],
    ['header.height', json => (json.header.height = '1e3')],
    ['header.chain_id', json => (json.header.chain_id = null)],
    ['header.time', json => (json.header.time = '2026-02-30T00:00:00Z')],
    ['header.version.block', json => (json.header.version.block = 11)],
    ['header.app_hash', json => (json.header.app_hash = 'ABC')],
    ['header.last_block_id.parts.total', json => (json.header.last_block_id.parts.total = -1)],
    ['header.last_block_id.parts.total', json => (json.header.last_block_id.parts.total = 2 ** 32)],
    ['commit.round', json => (json.commit.round = 1.5)],
    ['commit.round', json => (json.commit.round = 2 ** 31)],
    ['commit.signatures', json => (json.commit.signatures = {})],
    ['commit.signatures', json => (json.commit.signatures = Array(10_001).fill(json.commit.signatures[0]))],
    ['commit.signatures[0]', json => (json.commit.signatures[0] = null)],
    ['commit.signatures[0].block_id_flag', json => (json.commit.signatures[0].block_id_flag = 0)],
    ['commit.signatures[2].block_id_flag', json => (json.commit.signatures[2].block_id_flag = 4)],
    ['commit.signatures[0].signature', json => (json.commit.signatures[0].signature += ' ')],
    ['commit.signatures[0].validator_address', json => (json.commit.signatures[0].validator_address = 'xy')],
  ]
  for (const [place, edit] of cases) assert.is(refused(edit), place)
})

test('a validator with another kind of key is refused', () => {
  for (const [place, edit] of [
    ['validators[0].pub_key.type', { type: 'tendermint/PubKeySecp256k1', value: 'A'.repeat(44) }],
    ['validators[0].pub_key.value', { type: 'tendermint/PubKeyEd25519', value: 'AAAA' }],
  ] as const) {
    const parsed = parseValidators([{ ...reference.validatorsJson[0], pub_key: edit }])
    assert.is(parsed.ok ? undefined : parsed.fault.place, place)
  }
})

test('whatever JSON there is, the readers answer', () => {
  const property = fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
    for (const json of [a, { signed_header: a, validators: b }, { header: a, commit: b }]) {
      assert.not(parseLightBlock(json).ok)
      assert.not(parseSignedHeader(json).ok)
    }
  })
  assertProperty(property, 500)
})

test('base64 has one text for one byte string', () => {
  const property = fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
    assert.is(toBase64(bytes), Buffer.from(bytes).toString('base64'))
    assert.equal(fromBase64(toBase64(bytes)), bytes)
  })
  assertProperty(property)
  for (const text of ['A', 'AA', 'AB==', 'AAB=', 'A A=', 'AA=A', '====', 'AA-_'])
    assert.is(fromBase64(text), undefined, text)
})

test.run()
