import { generateKeyPairSync, sign as nodeSign } from 'node:crypto'
import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { concat, fromHex, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { envelopeHash, parseSign1, verifySign1 } from '../../../protocol/crypto/cose.ts'
import { keyFault, nobleVerifier, type Verifier } from '../../../protocol/crypto/verify.ts'
import { must } from '../../../protocol/result.ts'
import { noSharedData, sharedText } from '../../data.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('signer and verifier')

const seed = hex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')
const signer = createSigner(seed)
const never: Verifier = { verify: () => false }

/** A compressed point and a signer of P-256 made by OpenSSL. */
function p256Key() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  const [x, y] = [spki.subarray(-64, -32), spki.subarray(-32)]
  return {
    compressed: concat(Uint8Array.of(2 + (y[31]! & 1)), x),
    plain: new Uint8Array(spki.subarray(-65)),
    sign: (message: Uint8Array) =>
      new Uint8Array(nodeSign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
  }
}

test('RFC 8032, 7.1, test 1: the seed gives its key and its signature', async () => {
  assert.is(toHex(signer.publicKey), 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
  assert.is(
    toHex(signer.signNow(new Uint8Array(0))),
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  )
  assert.throws(() => createSigner(new Uint8Array(31)), /32 bytes/)
})

test('neither the signer nor its key object shows the seed', () => {
  assert.not.ok(JSON.stringify(signer).includes(toHex(seed)))
  assert.equal(Object.keys(signer).sort(), ['alg', 'publicKey', 'sign', 'signNow', 'trust'])
})

test('both verifiers accept a good signature and refuse each single changed byte of it', async () => {
  const message = utf8('one reading')
  const signature = signer.signNow(message)
  const fast = createVerifier()
  for (const verifier of [fast, nobleVerifier]) {
    assert.ok(verifier.verify('EdDSA', signer.publicKey, message, signature))
    for (let at = 0; at < 64; at += verifier === fast ? 1 : 8) {
      const bad = signature.slice()
      bad[at]! ^= 1
      assert.not.ok(verifier.verify('EdDSA', signer.publicKey, message, bad), `byte ${at}`)
    }
  }
})

test('ES256: OpenSSL’s signatures verify in both, low and high s alike', () => {
  const key = p256Key()
  const message = utf8('one reading')
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const signature = key.sign(message)
  const s = BigInt(`0x${toHex(signature.subarray(32))}`)
  const mirrored = concat(signature.subarray(0, 32), fromHex((n - s).toString(16).padStart(64, '0'))!)
  for (const verifier of [createVerifier(), nobleVerifier]) {
    assert.ok(verifier.verify('ES256', key.compressed, message, signature))
    assert.ok(verifier.verify('ES256', key.compressed, message, mirrored))
    assert.not.ok(verifier.verify('ES256', key.compressed, utf8('another'), signature))
    assert.not.ok(verifier.verify('ES256', key.plain, message, signature), 'an uncompressed point')
    assert.not.ok(verifier.verify('EdDSA', key.compressed.subarray(1), message, signature))
  }
  assert.is(keyFault('ES256', key.compressed), undefined)
  assert.is(keyFault('ES256', key.plain)?.code, 'key.not-admissible')
})

test('keys and signatures of any length are a plain no, never an exception', () => {
  for (const verifier of [createVerifier(), nobleVerifier]) {
    for (const alg of ['EdDSA', 'ES256'] as const) {
      for (const keyBytes of [0, 31, 32, 33, 65, 100]) {
        for (const signatureBytes of [0, 63, 64, 65, 200]) {
          for (const fill of [0, 2, 0xff]) {
            const key = new Uint8Array(keyBytes).fill(fill)
            const signature = new Uint8Array(signatureBytes).fill(0xff)
            assert.not.ok(verifier.verify(alg, key, utf8('m'), signature), `${alg} ${keyBytes} ${signatureBytes}`)
          }
        }
      }
    }
  }
})

interface Case {
  readonly message: string
  readonly pub_key: string
  readonly signature: string
  readonly zip215: boolean
  readonly openssl: boolean
}

test.skipIf(
  noSharedData,
  'twelve crafted signatures: the fast verifier and the pure one give ZIP-215’s verdict',
  () => {
    const cases = JSON.parse(sharedText('ed25519/speccheck.json')) as Case[]
    assert.is(cases.length, 12)
    const fast = createVerifier()
    const opensslAlone = createVerifier(never)
    let differ = 0
    for (const [i, one] of cases.entries()) {
      const of = (verifier: Verifier) =>
        verifier.verify('EdDSA', hex(one.pub_key), hex(one.message), hex(one.signature))
      assert.is(of(nobleVerifier), one.zip215, `pure, case ${i}`)
      assert.is(of(fast), one.zip215, `fast, case ${i}`)
      // Without the second opinion the verdict would be OpenSSL's.
      assert.is(of(opensslAlone), one.openssl, `OpenSSL, case ${i}`)
      if (one.zip215 !== one.openssl) differ++
    }
    assert.ok(differ > 0, 'no case where the two rules differ')
  },
)

test.skipIf(noSharedData, 'the crafted keys of small order or other encoding are not admitted', () => {
  const cases = JSON.parse(sharedText('ed25519/speccheck.json')) as Case[]
  const refused = new Set(cases.map(one => one.pub_key).filter(key => keyFault('EdDSA', hex(key)) !== undefined))
  assert.ok(refused.has('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa'), 'small order')
  assert.ok(
    [...refused].some(key => key.startsWith('ecffffff')),
    'not canonical',
  )
  assert.is(keyFault('EdDSA', signer.publicKey), undefined)
})

test('the pure verifier is asked only where OpenSSL refuses', async () => {
  let asked = 0
  const fast = createVerifier({
    verify: (...all) => {
      asked++
      return nobleVerifier.verify(...all)
    },
  })
  const signature = signer.signNow(utf8('m'))
  for (let i = 0; i < 5; i++) assert.ok(fast.verify('EdDSA', signer.publicKey, utf8('m'), signature))
  assert.is(asked, 0)
  assert.not.ok(fast.verify('EdDSA', signer.publicKey, utf8('n'), signature))
  assert.is(asked, 1)
})

test('imported keys are kept up to the cap, those used last the longest', async () => {
  const fast = createVerifier(never, 3)
  const signers = [1, 2, 3, 4, 5].map(n => createSigner(new Uint8Array(32).fill(n)))
  for (const each of signers) {
    assert.ok(fast.verify('EdDSA', each.publicKey, utf8('m'), each.signNow(utf8('m'))))
    assert.ok(fast.keysKept() <= 3)
  }
  assert.is(fast.keysKept(), 3)
})

test('an envelope and the hash that names it', async () => {
  const purpose = utf8('tieline/test/1')
  const { envelope, hash } = must(await signEnvelope(signer, utf8('payload'), purpose))
  const parsed = must(parseSign1(envelope))
  assert.equal(envelopeHash(parsed, purpose), hash)
  assert.equal(must(verifySign1(parsed, signer.publicKey, purpose, createVerifier())), utf8('payload'))
})

test.run()
