import { ed25519 } from '@noble/curves/ed25519.js'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { encode } from '../../../protocol/cbor.ts'
import { addressOf } from '../../../protocol/crypto/hash.ts'
import { nobleVerifier } from '../../../protocol/crypto/verify.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import {
  assembleSignedContract,
  type Contract,
  contractHash,
  contractToSign,
  decodeContract,
  encodeContract,
  verifyHalf,
  verifySignatures,
} from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('trade contract')

const key = (fill: number) => new Uint8Array(32).fill(fill)
const sellerKey = ed25519.getPublicKey(key(1))
const buyerKey = ed25519.getPublicKey(key(2))
const terms: Contract = {
  chainId: 'street-1',
  line: 'L1',
  seller: addressOf(sellerKey),
  buyer: addressOf(buyerKey),
  sellerMeter: '21000001',
  buyerMeter: '21000002',
  start: instant(1_800_000_000_000),
  end: instant(1_800_000_900_000),
  energy: wattHours(500n),
  price: microsPerKwh(210_000n),
  lossPermille: 20,
  receiptWindowMs: 60_000,
  disputeWindowMs: 60_000,
  nonce: new Uint8Array(16).fill(7),
}
const bytes = encodeContract(terms)
const half = (secret: Uint8Array, input = bytes) => {
  const publicKey = ed25519.getPublicKey(secret)
  return assembleSignedContract(input, publicKey, ed25519.sign(contractToSign(input, publicKey), secret))
}
const code = (result: ReturnType<typeof verifySignatures>) => (result.ok ? 'ok' : result.fault.code)

test('a contract is canonical CBOR with the fifteen keys in order, and reads back as it was', () => {
  // af                       map of 15
  //   01 01                  version
  //   02 68 73...31          chain id `street-1`
  //   03 62 4c31             line `L1`
  //   04 54 ...              seller, 20 bytes
  assert.is(toHex(bytes.subarray(0, 18)), 'af010102687374726565742d3103624c3104')
  assert.is(bytes.length, 139)
  assert.equal(must(decodeContract(bytes)), terms)
})

test('both halves by the named keys make a signed contract', () => {
  assert.is(code(verifySignatures(bytes, half(key(1)), half(key(2)), sellerKey, buyerKey, nobleVerifier)), 'ok')
})

test('a half by another key, over other bytes or with a changed signature is refused by name', () => {
  const verify = (seller: Uint8Array, buyer: Uint8Array, key = buyerKey) =>
    code(verifySignatures(bytes, seller, buyer, sellerKey, key, nobleVerifier))
  const stranger = ed25519.getPublicKey(key(3))
  const ofStranger = verifyHalf(bytes, 'buyer', half(key(3)), stranger, nobleVerifier)
  assert.is(!ofStranger.ok && ofStranger.fault.code, 'contract.key')
  assert.is(verify(half(key(1)), half(key(3)), stranger), 'ok', 'whose key it is, the caller knows')
  assert.is(verify(half(key(1)), half(key(3))), 'cose.signature')
  const dearer = encodeContract({ ...terms, price: microsPerKwh(210_001n) })
  assert.is(verify(half(key(1), dearer), half(key(2))), 'contract.other-bytes')
  const flipped = half(key(1))
  flipped[flipped.length - 1]! ^= 1
  assert.is(verify(flipped, half(key(2))), 'cose.signature')
  assert.is(verify(half(key(2)), half(key(1))), 'cose.signature', 'halves swapped')
})

test('terms that make no deal are refused with the values compared', () => {
  const refused = (change: Partial<Contract>) => {
    const read = decodeContract(encodeContract({ ...terms, ...change }))
    return read.ok ? 'ok' : read.fault.code
  }
  assert.is(refused({ end: terms.start }), 'contract.window')
  assert.is(refused({ end: instant(terms.start + 86_400_001) }), 'contract.window')
  assert.is(refused({ end: instant(terms.start + 86_400_000) }), 'ok')
  assert.is(refused({ energy: wattHours(0n) }), 'record.shape')
  assert.is(refused({ energy: wattHours(10_000_001n) }), 'record.shape')
  assert.is(refused({ price: microsPerKwh(-1n) }), 'record.shape')
  assert.is(refused({ price: microsPerKwh(0n) }), 'ok')
  assert.is(refused({ buyer: terms.seller }), 'contract.one-party')
  assert.is(refused({ buyerMeter: terms.sellerMeter }), 'contract.one-meter')
  assert.is(refused({ sellerMeter: '' }), 'record.shape')
  assert.is(refused({ sellerMeter: 'a\nb' }), 'record.shape')
  assert.is(refused({ line: 'x/y' }), 'record.shape')
  assert.is(refused({ lossPermille: 1000 }), 'record.shape')
  assert.is(refused({ receiptWindowMs: 0 }), 'record.shape')
  assert.is(refused({ disputeWindowMs: 8 * 86_400_000 }), 'record.shape')
  assert.is(refused({ nonce: new Uint8Array(15) }), 'record.shape')
})

test('a missing key, an unknown key, another version and trailing bytes are refused', () => {
  const codeOf = (input: Uint8Array) => {
    const read = decodeContract(input)
    return read.ok ? 'ok' : read.fault.code
  }
  const withUnknown = Uint8Array.from(bytes)
  withUnknown[0] = 0xb0
  assert.is(codeOf(Uint8Array.from([...withUnknown, 0x12, 0x00])), 'record.unknown-key')
  const without15 = Uint8Array.from(bytes).subarray(0, bytes.length - 18)
  without15[0] = 0xae
  assert.is(codeOf(without15), 'record.missing')
  const version2 = Uint8Array.from(bytes)
  version2[2] = 2
  assert.is(codeOf(version2), 'record.shape')
  assert.is(codeOf(Uint8Array.from([...bytes, 0])), 'cbor.malformed')
  assert.is(codeOf(encode(utf8('no map'))), 'record.shape')
})

test('every flipped bit changes the hash, and either the terms or the verdict', () => {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const mutant = Uint8Array.from(bytes)
    mutant[bit >> 3]! ^= 1 << (bit & 7)
    assert.is.not(toHex(contractHash(mutant)), toHex(contractHash(bytes)))
    const read = decodeContract(mutant)
    if (read.ok) assert.not.equal(read.value, terms)
  }
})

test.run()
