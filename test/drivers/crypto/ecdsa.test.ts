/**
 * ECDSA on the curves of charging stations, judged by two that did not make it: records signed by the openssl command, and
 * noble's own arithmetic for the same curves.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ecdsa, weierstrass } from '@noble/curves/abstract/weierstrass.js'
import { brainpoolP256r1, brainpoolP384r1 } from '@noble/curves/misc.js'
import { p256, p384 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'
import { createEcdsaVerifier } from '../../../drivers/crypto/ecdsa.ts'
import { hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { type CurveName, readDerSignature, readPublicKey, withCurve } from '../../../protocol/ocmf/key.ts'
import { OCMF_VERSIONS } from '../../../protocol/ocmf/payload.ts'
import { verifyOcmf } from '../../../protocol/ocmf/verify.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { noOpenssl } from '../../programs.ts'
import { assertProperty, fc } from '../../property.ts'
import { CURVE_NAMES, CURVES, payloadOf } from '../../protocol/ocmf/foreign.ts'
import { sweepBytes } from '../../protocol/ocmf/tamper.ts'

const test = suite('ecdsa')
const verifier = createEcdsaVerifier()

/** A hundred openssl processes, on a machine that does other work as well. */
const SLOW_MS = 90_000

/** Parameters of SEC 2 sections 2.2.1 and 2.2.2. */
const secp192k1 = ecdsa(
  weierstrass({
    p: 0xfffffffffffffffffffffffffffffffffffffffeffffee37n,
    n: 0xfffffffffffffffffffffffe26f2fc170f69466a74defd8dn,
    h: 1n,
    a: 0n,
    b: 3n,
    Gx: 0xdb4ff10ec057e9ae26b07d0280b7f4341da5d1b1eae06c7dn,
    Gy: 0x9b2f2f6d9c5628a7844163d015be86344082aa88d95e2f9dn,
  }),
  sha256,
)
const secp192r1 = ecdsa(
  weierstrass({
    p: 0xfffffffffffffffffffffffffffffffeffffffffffffffffn,
    n: 0xffffffffffffffffffffffff99def836146bc9b1b4d22831n,
    h: 1n,
    a: 0xfffffffffffffffffffffffffffffffefffffffffffffffcn,
    b: 0x64210519e59c80e70fa7e9ab72243049feb8deecc146b9b1n,
    Gx: 0x188da80eb03090f67cbf20eb43a18800f4ff0afd82ff1012n,
    Gy: 0x07192b95ffc8da78631011ed6b24cdd573f977a11e794811n,
  }),
  sha256,
)
const NOBLE = {
  secp192k1,
  secp192r1,
  secp256k1,
  secp256r1: p256,
  secp384r1: p384,
  brainpoolP256r1,
  brainpoolP384r1,
} as const
const HASH = { sha256, sha384, sha512 } as const

/** A key of ours from noble's point. */
const keyOf = (curve: CurveName, point: Uint8Array) => {
  return must(withCurve(must(readPublicKey(toHex(point))), curve))
}

/** Signs each text with the openssl command and a new key: SubjectPublicKeyInfo in hex, and DER signatures. */
function opensslSigns(
  curve: CurveName,
  texts: readonly string[],
  hash = 'sha256',
): { key: string; signatures: Uint8Array[] } {
  const folder = mkdtempSync(join(tmpdir(), 'ocmf-'))
  try {
    const at = (name: string) => join(folder, name)
    const run = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    run('ecparam', '-name', CURVES[curve], '-genkey', '-noout', '-out', at('key'))
    const key = run('pkey', '-in', at('key'), '-pubout', '-outform', 'DER').toString('hex')
    const signatures = texts.map(text => {
      writeFileSync(at('text'), text)
      run('dgst', `-${hash}`, '-sign', at('key'), '-out', at('signature'), at('text'))
      return new Uint8Array(readFileSync(at('signature')))
    })
    return { key, signatures }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const recordOf = (payload: string, SA: string, SE: 'hex' | 'base64', der: Uint8Array) =>
  `OCMF|${payload}|${JSON.stringify({ SA, SE, SD: Buffer.from(der).toString(SE) })}`

test.skipIf(
  noOpenssl,
  'records of every revision on every curve in both encodings, signed by openssl, are valid',
  () => {
    for (const curve of CURVE_NAMES) {
      const payloads = OCMF_VERSIONS.map(FV => payloadOf({ FV, ID: 'Zo\u00eb \u{1f50c}' }))
      const { key, signatures } = opensslSigns(curve, payloads)
      for (const [i, payload] of payloads.entries()) {
        for (const encoding of ['hex', 'base64'] as const) {
          const record = recordOf(payload, `ECDSA-${curve}-SHA256`, encoding, signatures[i]!)
          const verdict = verifyOcmf([record], key, verifier)
          assert.equal([verdict.ok, verdict.complete, verdict.broken], [true, true, []], `${curve} ${OCMF_VERSIONS[i]}`)
          // Signed for another payload.
          const other = recordOf(payload, `ECDSA-${curve}-SHA256`, encoding, signatures[(i + 1) % signatures.length]!)
          assert.equal(
            verifyOcmf([other], key, verifier).broken.map(({ code }) => code),
            ['ocmf.signature'],
          )
        }
      }
    }
  },
  SLOW_MS,
)

test.skipIf(
  noOpenssl,
  'every byte of a record on each curve, changed, is refused or says the same',
  () => {
    for (const curve of CURVE_NAMES) {
      const payload = payloadOf()
      const { key, signatures } = opensslSigns(curve, [payload])
      for (const encoding of curve === 'secp256r1' ? (['hex', 'base64'] as const) : (['hex'] as const))
        sweepBytes(recordOf(payload, `ECDSA-${curve}-SHA256`, encoding, signatures[0]!), key, verifier)
    }
  },
  SLOW_MS,
)

test.skipIf(
  noOpenssl,
  'what openssl signed, with each hash, noble accepts as well, on every curve',
  () => {
    for (const curve of CURVE_NAMES) {
      for (const hash of ['sha256', 'sha384', 'sha512'] as const) {
        const { key, signatures } = opensslSigns(curve, ['a text'], hash)
        const signature = readDerSignature(signatures[0]!, curve)!
        const bytes = signature.length
        const point = hex(`04${key.slice(-2 * bytes)}`)
        assert.ok(
          NOBLE[curve].verify(signature, HASH[hash](utf8('a text')), point, { prehash: false, lowS: false }),
          `${curve} ${hash}`,
        )
        assert.ok(verifier.verify(keyOf(curve, point), hash, utf8('a text'), signature), `${curve} ${hash}`)
        const SA = `ECDSA-${curve}-${hash.toUpperCase()}`
        const payload = payloadOf()
        const made = opensslSigns(curve, [payload], hash)
        assert.ok(verifyOcmf([recordOf(payload, SA, 'hex', made.signatures[0]!)], made.key, verifier).ok, SA)
      }
    }
  },
  240_000,
)

test(
  'what noble signs is accepted, and the two agree on what is not',
  () => {
    for (const curve of CURVE_NAMES) {
      const noble = NOBLE[curve]
      const { secretKey, publicKey } = noble.keygen()
      const point = noble.Point.fromBytes(publicKey).toBytes(false)
      const key = keyOf(curve, point)
      const message = utf8('OCMF')
      const digest = sha256(message)
      const signature = noble.sign(digest, secretKey, { prehash: false, lowS: false })
      assert.ok(verifier.verify(key, 'sha256', message, signature), curve)
      assert.ok(
        verifier.verify(keyOf(curve, noble.Point.fromBytes(publicKey).toBytes(true)), 'sha256', message, signature),
        curve,
      )
      assertProperty(
        fc.property(fc.nat(signature.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
          const changed = Uint8Array.from(signature)
          changed[at]! ^= flip
          assert.not(verifier.verify(key, 'sha256', message, changed), curve)
          assert.not(noble.verify(changed, digest, point, { prehash: false, lowS: false }), curve)
        }),
        10,
      )
    }
  },
  SLOW_MS,
)

test(
  'zero, the order and other lengths are no signature; a point off the curve is no key; nothing throws',
  () => {
    // Order of P-256 (SEC 2 section 2.4.2).
    const n = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'
    const { publicKey } = p256.keygen()
    const key = keyOf('secp256r1', p256.Point.fromBytes(publicKey).toBytes(false))
    const one = '1'.padStart(64, '0')
    const zero = '0'.repeat(64)
    for (const signature of [zero + zero, zero + one, one + zero, n + one, one + n, '', '00', one, one + one + one])
      assert.not(verifier.verify(key, 'sha256', utf8('x'), hex(signature)), signature)
    const off = { ...key, spki: Uint8Array.from(key.spki, (byte, i) => (i === key.spki.length - 1 ? byte ^ 1 : byte)) }
    for (const spki of [off.spki, new Uint8Array(0), key.spki.subarray(1), new Uint8Array(91)])
      for (let twice = 0; twice < 2; twice++)
        assert.not(verifier.verify({ curve: 'secp256r1', spki }, 'sha256', utf8('x'), hex(one + one)))
  },
  SLOW_MS,
)

test.run()
