import { createPublicKey, verify } from 'node:crypto'
import { createP256Signer, createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { concat, equalBytes, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { ed25519, p256 } from '../../../protocol/crypto/curves.ts'
import { hasLowS, nobleVerifier, withLowS } from '../../../protocol/crypto/verify.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('signer')

/** n - 1 and n, where n is the order of P-256 (SEC 2 section 2.4.2). */
const LAST = hex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550')
const ORDER = hex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
const ONE = Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? 1 : 0))

test('scalar 1 is the base point of P-256, and the key of RFC 6979 A.2.5 is the public key printed there', () => {
  assert.is(
    toHex(createP256Signer(ONE).publicKey),
    '036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296',
  )
  const rfc6979 = createP256Signer(hex('C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721'))
  assert.is(toHex(rfc6979.publicKey), '0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6')
})

test('a seed of RFC 8032 section 7.1 signs as printed there', async () => {
  const signer = createSigner(hex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'))
  assert.is(toHex(signer.publicKey), '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')
  assert.is(
    toHex(must(await signer.sign(hex('72')))),
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  )
})

test('0, the order, what is longer or shorter is no private key of P-256, and no message repeats it', () => {
  for (const scalar of [new Uint8Array(32), ORDER, new Uint8Array(32).fill(0xff), LAST.subarray(1), concat(ONE, ONE)]) {
    try {
      createP256Signer(scalar)
      assert.unreachable(toHex(scalar))
    } catch (error) {
      assert.is(String(error), 'RangeError: not a private key of P-256')
    }
  }
  assert.is(createP256Signer(LAST).publicKey.length, 33)
})

test('what any key signs is 64 bytes with the lower s, and noble and OpenSSL agree on it', () => {
  const scalar = fc.uint8Array({ minLength: 32, maxLength: 32 }).filter(bytes => p256.utils.isValidSecretKey(bytes))
  const verifiers = [nobleVerifier, createVerifier()]
  assertProperty(
    fc.property(scalar, fc.uint8Array({ maxLength: 300 }), (secret, message) => {
      for (const [signer, publicKey] of [
        [createP256Signer(secret), p256.getPublicKey(secret)],
        [createSigner(secret), ed25519.getPublicKey(secret)],
      ] as const) {
        assert.is(toHex(signer.publicKey), toHex(publicKey))
        const signature = signer.signNow(message)
        assert.is(signature.length, 64)
        if (signer.alg === 'ES256') assert.ok(hasLowS(signature))
        for (const one of verifiers) assert.ok(one.verify(signer.alg, signer.publicKey, message, signature))
      }
    }),
    50,
  )
})

test('a high s is turned low and back nowhere: the low one stays as it is', () => {
  const secret = new Uint8Array(32).fill(9)
  const message = utf8('kWh')
  const low = p256.sign(message, secret, { lowS: true })
  const s = p256.Point.Fn.ORDER - BigInt(`0x${toHex(low.subarray(32))}`)
  const high = concat(low.subarray(0, 32), p256.Point.Fn.toBytes(s))
  assert.not.ok(hasLowS(high), 'else this shows nothing')
  assert.is(toHex(withLowS(high)), toHex(low))
  assert.is(withLowS(low), low)
})

test('the secret may be wiped after, and dumps of the signer do not show it', () => {
  const secret = Uint8Array.from({ length: 32 }, (_, i) => i + 1)
  const signer = createP256Signer(secret)
  const before = signer.publicKey.slice()
  secret.fill(0)
  const key = createPublicKey({
    key: Buffer.concat([hex('3039301306072a8648ce3d020106082a8648ce3d030107032200'), before]),
    format: 'der',
    type: 'spki',
  })
  const options = { key, dsaEncoding: 'ieee-p1363' as const }
  assert.ok(verify('sha256', utf8('x'), options, signer.signNow(utf8('x'))))
  assert.ok(equalBytes(signer.publicKey, before))
  assert.not.match(JSON.stringify(signer), /0102030405|1,2,3,4,5/)
})

test.run()
