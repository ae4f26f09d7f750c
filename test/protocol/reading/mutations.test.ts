/** Damaged envelopes of every kind: none is taken and none throws. test/slow asks the complete verifier of as many. */
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import type { Verifier } from '../../../protocol/crypto/verify.ts'
import { assert, suite } from '../../harness.ts'
import { everyKind } from './every-kind.ts'
import { attack } from './mutations.ts'

const test = suite('damaged envelopes')

const kinds = await everyKind()
/** OpenSSL alone. Its no is final here; the complete verifier asks a second time, which takes ten times as long. */
const openssl = createVerifier({ verify: () => false })
const complete = createVerifier()
const gullible: Verifier = { verify: () => true }

test('of 100,000 damaged envelopes none is taken and none throws', () => {
  const { tried, taken, signatures } = attack(kinds, 100_000, 52, openssl)
  assert.is(tried, 100_000)
  assert.equal(taken, [])
  // Where the damage leaves the frame whole, it is the signature that finds it.
  assert.ok(signatures > 20_000, `${signatures} signatures checked`)
}, 60_000)

test('nor by the complete verifier, of a thousand', () => {
  assert.equal(attack(kinds, 1000, 53, complete).taken, [])
})

test('without the signature thousands of them would pass', () => {
  assert.ok(attack(kinds, 10_000, 52, gullible).taken.length > 1000)
})

test('any one bit of any byte of any kind changed is refused', () => {
  for (const { name, envelope, verify } of kinds) {
    const bad = envelope.slice()
    for (let at = 0; at < bad.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        bad[at]! ^= 1 << bit
        assert.not.ok(verify(bad, openssl).ok, `${name}, byte ${at}, bit ${bit}`)
        bad[at]! ^= 1 << bit
      }
    }
    assert.ok(verify(bad, openssl).ok, name)
  }
})

test.run()
