import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { concat, equalBytes, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { type Cbor, decode, encode } from '../../../protocol/cbor.ts'
import {
  assemble,
  coseKey,
  envelopeHash,
  kidOf,
  parseSign1,
  protectedHeader,
  toBeSigned,
  verifySign1,
} from '../../../protocol/crypto/cose.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { nobleVerifier } from '../../../protocol/crypto/verify.ts'
import { must } from '../../../protocol/result.ts'
import { noSharedData, sharedText } from '../../data.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('COSE_Sign1')

const signer = createSigner(hex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'))
const purpose = utf8('tieline/test/1')
const kid = kidOf('EdDSA', signer.publicKey)
const header = protectedHeader('EdDSA', kid)
const signature = new Uint8Array(64).fill(0x51)

const codeOf = (bytes: Uint8Array): string => {
  const found = parseSign1(bytes)
  return found.ok ? 'accepted' : found.fault.code
}

test('the bytes of an envelope, of its key identifier and of what is signed are these', () => {
  assert.is(
    toHex(coseKey('EdDSA', signer.publicKey)),
    `a3 01 01 20 06 21 5820${toHex(signer.publicKey)}`.replace(/ /g, ''),
  )
  assert.is(toHex(kid), toHex(sha256(coseKey('EdDSA', signer.publicKey)).subarray(0, 8)))
  //                              alg -8     kid
  assert.is(toHex(header), `a2 01 27 04 48 ${toHex(kid)}`.replace(/ /g, ''))
  const envelope = assemble(header, utf8('hi'), signature)
  assert.is(toHex(envelope), `d2 84 4d ${toHex(header)} a0 42 6869 5840 ${'51'.repeat(64)}`.replace(/ /g, ''))
  assert.is(
    toHex(toBeSigned(header, utf8('hi'), purpose)),
    `84 6a ${toHex(utf8('Signature1'))} 4d ${toHex(header)} 4e ${toHex(purpose)} 42 6869`.replace(/ /g, ''),
  )
  // 85 bytes around a payload of 24 to 255 bytes.
  assert.is(assemble(header, new Uint8Array(110), signature).length, 110 + 85)
})

test('ES256 keys are named by their compressed point', () => {
  const point = concat(Uint8Array.of(3), new Uint8Array(32).fill(7))
  assert.is(toHex(coseKey('ES256', point)), `a4 01 02 20 01 21 5820 ${'07'.repeat(32)} 22 f5`.replace(/ /g, ''))
  assert.is(toHex(protectedHeader('ES256', kid)), `a2 01 26 04 48 ${toHex(kid)}`.replace(/ /g, ''))
})

test('the algorithm numbers of RFC 9864 are read too, and no others', () => {
  const withAlg = (alg: Cbor) =>
    assemble(
      encode(
        new Map<number, Cbor>([
          [1, alg],
          [4, kid],
        ]),
      ),
      utf8('x'),
      signature,
    )
  for (const [number, alg] of [
    [-8, 'EdDSA'],
    [-19, 'EdDSA'],
    [-7, 'ES256'],
    [-9, 'ES256'],
  ] as const) {
    assert.is(must(parseSign1(withAlg(number))).alg, alg)
  }
  for (const number of [-35, -36, -37, 0, 'EdDSA', null]) assert.is(codeOf(withAlg(number)), 'cose.alg', String(number))
})

test('an envelope of any other shape is refused', () => {
  const of = (...parts: Cbor[]) => concat(Uint8Array.of(0xd2), encode(parts))
  const payload = utf8('x')
  const none = new Map()
  const bad: [string, Uint8Array][] = [
    ['no tag', encode([header, none, payload, signature])],
    ['the tag in two bytes', concat(hex('d812'), encode([header, none, payload, signature]))],
    ['another tag', concat(Uint8Array.of(0xd1), encode([header, none, payload, signature]))],
    ['three parts', of(header, none, payload)],
    ['five parts', of(header, none, payload, signature, 0)],
    ['no list', concat(Uint8Array.of(0xd2), encode(payload))],
    ['something unprotected', of(header, new Map([[4, kid]]), payload, signature)],
    ['a detached payload', of(header, none, null, signature)],
    ['a short signature', of(header, none, payload, signature.subarray(1))],
    ['an empty header', of(new Uint8Array(0), none, payload, signature)],
    ['a header that is no map', of(encode([1]), none, payload, signature)],
    ['a header without kid', of(encode(new Map([[1, -8]])), none, payload, signature)],
    [
      'a header with more',
      of(
        encode(
          new Map<number, Cbor>([
            [1, -8],
            [3, 0],
            [4, kid],
          ]),
        ),
        none,
        payload,
        signature,
      ),
    ],
    [
      'a kid of 7 bytes',
      of(
        encode(
          new Map<number, Cbor>([
            [1, -8],
            [4, kid.subarray(1)],
          ]),
        ),
        none,
        payload,
        signature,
      ),
    ],
    [
      'a kid of text',
      of(
        encode(
          new Map<number, Cbor>([
            [1, -8],
            [4, '12345678'],
          ]),
        ),
        none,
        payload,
        signature,
      ),
    ],
    ['a header not canonical', of(hex(`a2 0448${toHex(kid)} 0127`), none, payload, signature)],
    ['a byte more', concat(assemble(header, payload, signature), Uint8Array.of(0))],
    ['nothing', new Uint8Array(0)],
  ]
  for (const [what, bytes] of bad) assert.is.not(codeOf(bytes), 'accepted', what)
  assert.is(codeOf(of(header, none, payload, signature)), 'accepted')
})

test('a signature counts for its key, its purpose and its bytes only', async () => {
  const { envelope } = must(await signEnvelope(signer, utf8('payload'), purpose))
  const parsed = must(parseSign1(envelope))
  assert.equal(must(verifySign1(parsed, signer.publicKey, purpose, nobleVerifier)), utf8('payload'))
  const other = createSigner(new Uint8Array(32).fill(1))
  for (const [key, context] of [
    [other.publicKey, purpose],
    [signer.publicKey, utf8('tieline/other/1')],
  ] as const) {
    const found = verifySign1(parsed, key, context, nobleVerifier)
    assert.is(found.ok ? 'accepted' : found.fault.code, 'cose.signature')
  }
})

test('the identity of an envelope is what was signed, not the signature', async () => {
  const { envelope, hash } = must(await signEnvelope(signer, utf8('payload'), purpose))
  const parsed = must(parseSign1(envelope))
  assert.equal(envelopeHash({ ...parsed, signature: new Uint8Array(64) }, purpose), hash)
  assert.not.ok(equalBytes(envelopeHash(parsed, utf8('tieline/other/1')), hash))
})

interface Case {
  readonly src: string
  readonly path: string
  readonly key: JsonWebKey & { x_hex?: string; y_hex?: string }
  readonly fail?: boolean
  readonly cbor?: string
  readonly toBeSigned?: string
  readonly 'sign1::verify'?: {
    readonly taggedCOSESign1: { readonly cborHex: string }
    readonly shouldVerify: boolean
  }
}

/** The raw key of a case in our two algorithms, compressed where it is a point; undefined for the others. */
function rawKey({ kty, crv, x, y, x_hex, y_hex }: Case['key']): Uint8Array | undefined {
  const part = (text: string | undefined, inHex: string | undefined) =>
    inHex === undefined ? new Uint8Array(Buffer.from(text ?? '', 'base64url')) : hex(inHex)
  if (kty === 'OKP' && crv === 'Ed25519') return part(x, x_hex)
  if (crv !== 'P-256') return undefined
  return concat(Uint8Array.of(2 + (part(y, y_hex)[31]! & 1)), part(x, x_hex))
}

const casesOf = () => JSON.parse(sharedText('cose/sign1.json')) as Case[]

test.skipIf(
  noSharedData,
  'the published envelopes: what we would sign is what they signed, and our verifier agrees',
  () => {
    let [compared, verified, refused] = [0, 0, 0]
    const unread: string[] = []
    for (const one of casesOf()) {
      const key = rawKey(one.key)
      const bytes = hex(one.cbor ?? one['sign1::verify']!.taggedCOSESign1.cborHex)
      const item = decode(bytes[0] === 0xd2 ? bytes.subarray(1) : bytes)
      if (!item.ok) {
        unread.push(one.path)
        continue
      }
      const [protectedBytes, unprotected, payload, signature] = item.value as [
        Uint8Array,
        Map<number, Cbor>,
        Uint8Array,
        Uint8Array,
      ]
      // RFC 9052 section 3 signs an empty map as no bytes; our header is never empty.
      const signedHeader = toHex(protectedBytes) === 'a0' ? new Uint8Array(0) : protectedBytes
      const message = toBeSigned(signedHeader, payload, new Uint8Array(0))
      const good = one['sign1::verify']?.shouldVerify ?? !one.fail
      if (good && one.toBeSigned !== undefined) {
        assert.is(toHex(message), one.toBeSigned.toLowerCase(), one.path)
        compared++
      }
      const found = decode(signedHeader)
      const alg = found.ok ? (found.value as Map<number, Cbor>).get(1) : unprotected.get(1)
      if (key === undefined || signature.length !== 64) continue
      const name = alg === -7 || alg === -999 ? 'ES256' : alg === -8 ? 'EdDSA' : undefined
      if (name === undefined) continue
      assert.is(nobleVerifier.verify(name, key, message, signature), good, one.path)
      good ? verified++ : refused++
    }
    // A foreign tag, and map keys out of order.
    assert.equal(unread, [
      'countersign/signed1-01.json',
      'countersign1/signed1-01.json',
      'sign1-tests/sign-fail-01.json',
    ])
    assert.equal({ compared, verified, refused }, { compared: 6, verified: 4, refused: 2 })
  },
)

test.skipIf(
  noSharedData,
  'the published envelopes are of other profiles than ours, and each is refused by name',
  () => {
    for (const one of casesOf()) {
      const code = codeOf(hex(one.cbor ?? one['sign1::verify']!.taggedCOSESign1.cborHex))
      assert.match(code, /^(cose|cbor)\./, one.path)
    }
  },
)

test('a compressed point names the key that OpenSSL sees', () => {
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: 'usWxHK2PmfnHKwXPS54m0kTcGJ90UiglWiGahtagnv8',
    y: 'IBOL-C3BttVivg-lSreASjpkttcsz-1rb7btKLv8EX4',
  }
  const key = rawKey(jwk)!
  const spki = createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'der', type: 'spki' })
  assert.equal(key.subarray(1), new Uint8Array(spki.subarray(-64, -32)))
})

test.run()
