import { createHash } from 'node:crypto'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('SHA-256')

const openssl = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

test('FIPS 180-4: the examples of one and of two blocks', () => {
  assert.is(toHex(sha256(utf8(''))), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  assert.is(toHex(sha256(utf8('abc'))), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  assert.is(
    toHex(sha256(utf8('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'))),
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  )
})

test('every length up to five blocks, one after another on the same buffers, as OpenSSL hashes it', () => {
  for (let length = 0; length <= 320; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 255)
    assert.is(toHex(sha256(bytes)), openssl(bytes), `${length} bytes`)
  }
})

test('a view into a larger buffer is hashed alone, and the answer stays when the next hash is made', () => {
  assertProperty(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(20), fc.nat(20), (bytes, before, after) => {
      const buffer = new Uint8Array(before + bytes.length + after).fill(0xee)
      buffer.set(bytes, before)
      const hash = sha256(buffer.subarray(before, before + bytes.length))
      sha256(utf8('another'))
      assert.is(toHex(hash), openssl(bytes))
      assert.is(hash.byteLength, hash.buffer.byteLength, 'no part of a shared buffer')
    }),
  )
})

test.run()
