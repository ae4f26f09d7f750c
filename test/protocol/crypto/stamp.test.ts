import { createHash, randomBytes } from 'node:crypto'
import { concat, hex, toHex } from '../../../protocol/bytes.ts'
import { readStamp, stampNonce } from '../../../protocol/crypto/stamp.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('stamp')

const key = new Uint8Array(32).fill(7)
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const stamp = fc.record({
  epoch: fc.oneof(fc.nat(2 ** 31 - 1), fc.constant(2 ** 32 - 1)),
  number: fc.oneof(
    fc.nat(1000),
    fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 40 - 1),
    fc.nat(2 ** 31 - 1).map(n => n * 512 + 3),
  ),
})

test('what is stamped is read, and by no other key', () => {
  assertProperty(
    fc.property(stamp, bytes(8), bytes(32), (one, random, other) => {
      const nonce = stampNonce(key, one, random)
      assert.is(nonce.length, 24)
      assert.equal(readStamp(key, nonce), { ...one })
      assert.is(readStamp(other, nonce), undefined)
    }),
    500,
  )
})

test('the bytes are those of the description, by another SHA-256', () => {
  const random = hex('0102030405060708')
  const hash = (...parts: Uint8Array[]) =>
    createHash('sha256')
      .update(concat(...parts))
      .digest()
  const plain = hex('00000005 0100000002')
  const proof = hash(key, Uint8Array.of(1), plain, random).subarray(0, 7)
  const mask = hash(key, Uint8Array.of(0), random)
  const masked = concat(plain, proof).map((byte, i) => byte ^ mask[i]!)
  assert.is(toHex(stampNonce(key, { epoch: 5, number: 2 ** 32 + 2 }, random)), toHex(concat(random, masked)))
})

test('no changed stamp is one: every bit, and every nonce of chance', () => {
  const nonce = stampNonce(key, { epoch: 3, number: 77 }, randomBytes(8))
  for (let bit = 0; bit < 8 * nonce.length; bit++) {
    const changed = Uint8Array.from(nonce)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    assert.is(readStamp(key, changed), undefined, `bit ${bit}`)
  }
  for (let n = 0; n < 20_000; n++) assert.is(readStamp(key, randomBytes(24)), undefined)
})

test('one after the other they show nobody how far their sender has come', () => {
  const shown = Array.from({ length: 1000 }, (_, n) => stampNonce(key, { epoch: 1, number: n + 1 }, randomBytes(8)))
  for (let at = 0; at < 24; at++) {
    const values = new Set(shown.map(nonce => nonce[at]))
    assert.ok(values.size > 200, `byte ${at} takes ${values.size} values`)
  }
})

test('beyond what a stamp holds there is none', () => {
  assert.throws(() => stampNonce(key, { epoch: 2 ** 32, number: 1 }, new Uint8Array(8)))
  assert.throws(() => stampNonce(key, { epoch: 1, number: 2 ** 40 }, new Uint8Array(8)))
})

test.run()
