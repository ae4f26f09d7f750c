import { createHash } from 'node:crypto'
import { toHex } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { assert, suite } from '../harness.ts'

const test = suite('SHA-256 of half a gigabyte')

test('more than 2 ** 29 bytes, whose length in bits does not fit in 32, are hashed as OpenSSL does', () => {
  const bytes = new Uint8Array(2 ** 29 + 3)
  assert.is(toHex(sha256(bytes)), createHash('sha256').update(bytes).digest('hex'))
}, 120_000)

test.run()
