/** One certification of a real swtpm 0.7.1, byte by byte; and what somebody without a TPM could make. */
import { createHash, createPublicKey, verify } from 'node:crypto'
import { concat, equalBytes, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { p256 } from '../../../protocol/crypto/curves.ts'
import { nobleVerifier, type Verifier } from '../../../protocol/crypto/verify.ts'
import { must, type Result } from '../../../protocol/result.ts'
import {
  decodeTpmEvidence,
  encodeTpmEvidence,
  type TpmEvidence,
  type TpmExpectation,
  tpmAttestation,
  verifyTpmEvidence,
} from '../../../protocol/tpm/attest.ts'
import { tpm2b } from '../../../protocol/tpm/marshal.ts'
import { readPublicArea, TEMPLATE } from '../../../protocol/tpm/public-area.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('tpm attestation')

const NONCE = hex('000102030405060708090a0b0c0d0e0f')
const EVIDENCE: TpmEvidence = {
  attest: hex(`
    ff544347 8017
    0022 000b 47a4a475335a821c6c1c02f0a436acb7ce0dffb1e7a70493576b9880fe91476f
    0010 000102030405060708090a0b0c0d0e0f
    00000000000004ce 00000002 00000000 00 2019102300163636
    0022 000b 3dd4764bb5fdddbff64da93c2269dcdd1ed4cd830e45fd62324b9cf27b508656
    0022 000b 33e1e8dfb16269f66abd8ab57459fc66e3a31ab36a1ca5c7b32d47b8adb8f3c7`),
  signature: hex(`
    2b64ab212c7ec9cf17b66bb0139d4a2f8f633bb6739ba55426a7a9eae2def36b
    62de4afbd0989039c47b3fff3d38dd18c58d9e8518478b5ace4541cd8461a027`),
  attestationKey: hex(`
    0023 000b 00050472 0000 0010 0018 000b 0003 0010
    0020 ed7a7f6c552ab54b7e034731c8f5159f76f6db2af1981b1ff8e1a0cb8575c05c
    0020 01df32f63ca897adc2491646279f83ad2a22beb456ad58bb565f94642045851b`),
  key: hex(`
    0023 000b 00040472 0000 0010 0018 000b 0003 0010
    0020 1189252ce17452f87500421970fead379ad60a4f9b4299c81aaebc7af5ac1c6c
    0020 b5c097f0f47c8258e9620c2dec1729c25ccd35fe1ade0f314d546bd8237f3593`),
}
/** y ends in 93, which is odd: 03. */
const PUBLIC_KEY = hex('03 1189252ce17452f87500421970fead379ad60a4f9b4299c81aaebc7af5ac1c6c')
const EXPECTED = { nonce: NONCE, publicKey: PUBLIC_KEY }
const ATTESTATION_KEY_NAME = concat(
  hex('000b'),
  new Uint8Array(createHash('sha256').update(EVIDENCE.attestationKey).digest()),
)

const openssl: Verifier = {
  verify: (_, publicKey, message, signature) => {
    const der = Buffer.from(concat(hex('3039 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 0322 00'), publicKey))
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
    return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
  },
}
const judge = (evidence: TpmEvidence, expected: TpmExpectation = EXPECTED, verifier: Verifier = nobleVerifier) =>
  verifyTpmEvidence(evidence, expected, verifier)
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

test("a real TPM's certification is accepted, and says what it does not prove", () => {
  const attested = must(judge(EVIDENCE))
  assert.equal(attested.attestationKeyName, ATTESTATION_KEY_NAME)
  assert.is(attested.firmwareVersion, 0x2019_1023_0016_3636n)
  assert.equal([attested.resets, attested.poweredMs], [2, 0x4cen])
  assert.is(attested.unproven.length, 1)
  const attestation = tpmAttestation(EVIDENCE, attested)
  assert.equal([attestation.trust, attestation.kind, attestation.verified], ['tpm', 'tpm2-certify', false])
  assert.match(attestation.rule, /unproven: that a TPM says so/)
})

test('OpenSSL accepts its signature', () => {
  assert.ok(judge(EVIDENCE, EXPECTED, openssl).ok)
})

test('with the attestation key seen before, nothing is left to believe; with another one, all of it', () => {
  const known = { ...EXPECTED, knownAttestationKeys: [new Uint8Array(34), ATTESTATION_KEY_NAME] }
  const attested = must(judge(EVIDENCE, known))
  assert.equal(attested.unproven, [])
  assert.ok(tpmAttestation(EVIDENCE, attested).verified)
  assert.is(must(judge(EVIDENCE, { ...EXPECTED, knownAttestationKeys: [new Uint8Array(34)] })).unproven.length, 1)
})

test('every bit of every part changed, and every part cut or lengthened by a byte, is refused', () => {
  let tried = 0
  for (const part of ['attest', 'signature', 'attestationKey', 'key'] as const) {
    const bytes = EVIDENCE[part]
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const changed = bytes.slice()
      changed[bit >> 3]! ^= 1 << (bit & 7)
      assert.not.ok(judge({ ...EVIDENCE, [part]: changed }, EXPECTED, openssl).ok, `${part} bit ${bit}`)
      tried++
    }
    assert.not.ok(judge({ ...EVIDENCE, [part]: bytes.subarray(0, -1) }).ok, part)
    assert.not.ok(judge({ ...EVIDENCE, [part]: concat(bytes, Uint8Array.of(0)) }).ok, part)
  }
  assert.is(tried, 8 * (157 + 64 + 88 + 88))
})

test('an old answer, an answer about another key, and swapped parts are named', () => {
  assert.is(codeOf(judge(EVIDENCE, { ...EXPECTED, nonce: new Uint8Array(16) })), 'tpm.evidence-nonce')
  const other = readPublicArea(EVIDENCE.attestationKey)!.publicKey
  assert.is(codeOf(judge(EVIDENCE, { ...EXPECTED, publicKey: other })), 'tpm.evidence-key')
  assert.is(codeOf(judge({ ...EVIDENCE, attestationKey: EVIDENCE.key })), 'tpm.evidence-key')
  assert.is(codeOf(judge({ ...EVIDENCE, attest: EVIDENCE.key })), 'tpm.evidence-shape')
})

const SECRET = new Uint8Array(32).fill(9)

/** A public area of a software key under any attributes. */
function forgedArea(bits: string): Uint8Array {
  const point = p256.getPublicKey(SECRET, false)
  const head = concat(TEMPLATE.metering.subarray(0, 4), hex(bits), TEMPLATE.metering.subarray(8, -4))
  return concat(head, tpm2b(point.subarray(1, 33)), tpm2b(point.subarray(33)))
}

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest())
const nameOf = (area: Uint8Array) => concat(hex('000b'), sha256(area))

/** All of it made by software that has never seen a TPM. */
function forge(attestationBits: string, keyBits: string): TpmEvidence {
  const [attestationKey, key] = [forgedArea(attestationBits), forgedArea(keyBits)]
  const signer = concat(hex('000b'), sha256(concat(hex('4000000b'), nameOf(attestationKey))))
  const attest = concat(
    ...[hex('ff544347 8017'), tpm2b(signer), tpm2b(NONCE), new Uint8Array(25)],
    ...[tpm2b(nameOf(key)), tpm2b(nameOf(key))],
  )
  return { attest, attestationKey, key, signature: p256.sign(sha256(attest), SECRET, { prehash: false }) }
}

test('software can make evidence that is right in itself: that is why it counts as unproven', () => {
  const evidence = forge('00050472', '00040472')
  const { publicKey } = readPublicArea(evidence.key)!
  const known = [ATTESTATION_KEY_NAME]
  const attested = must(judge(evidence, { nonce: NONCE, publicKey, knownAttestationKeys: known }))
  assert.is(attested.unproven.length, 1)
  assert.not.ok(tpmAttestation(evidence, attested).verified)
})

test('a key that could leave, came from outside, or an attestation key that signs anything, is refused by name', () => {
  for (const [attestationBits, keyBits, role, missing, unwanted] of [
    ['00050472', '00040470', 'metering', ['fixedTPM'], []],
    ['00050472', '00040462', 'metering', ['fixedParent'], []],
    ['00050472', '00040452', 'metering', ['sensitiveDataOrigin'], []],
    ['00050472', '00000472', 'metering', ['sign'], []],
    ['00050472', '00050472', 'metering', [], ['restricted']],
    ['00050472', '00060472', 'metering', [], ['decrypt']],
    ['00040472', '00040472', 'attestation', ['restricted'], []],
    ['00050470', '00040472', 'attestation', ['fixedTPM'], []],
    ['00070472', '00040472', 'attestation', [], ['decrypt']],
  ] as const) {
    const evidence = forge(attestationBits, keyBits)
    const answer = judge(evidence, { nonce: NONCE, publicKey: readPublicArea(evidence.key)!.publicKey })
    assert.is(codeOf(answer), 'tpm.key-attributes')
    if (answer.ok || answer.fault.code !== 'tpm.key-attributes') continue
    assert.equal([answer.fault.role, answer.fault.missing, answer.fault.unwanted], [role, missing, unwanted])
  }
})

test('a public area whose coordinates are no point of the curve is none', () => {
  assert.ok(readPublicArea(EVIDENCE.key))
  for (const at of [22, 53, 56, 87]) {
    const off = EVIDENCE.key.slice()
    off[at]! ^= 1
    assert.is(readPublicArea(off), undefined)
  }
  assert.is(readPublicArea(TEMPLATE.metering), undefined)
})

test('leading zeros of a coordinate may be left out, as some TPMs do', () => {
  // The x of 379 G begins with a zero byte.
  const secret = concat(new Uint8Array(30), hex('017b'))
  const point = p256.getPublicKey(secret, false)
  assert.is(point[1], 0)
  const head = TEMPLATE.metering.subarray(0, -4)
  const area = readPublicArea(concat(head, tpm2b(point.subarray(2, 33)), tpm2b(point.subarray(33))))
  assert.is(toHex(area!.publicKey), toHex(p256.getPublicKey(secret, true)))
})

test('evidence travels as canonical bytes, and any bytes are read or refused', () => {
  const bytes = encodeTpmEvidence(EVIDENCE)
  assert.equal(must(decodeTpmEvidence(bytes)), EVIDENCE)
  assert.ok(bytes.length < 420, `${bytes.length}`)
  assert.not.ok(decodeTpmEvidence(concat(bytes, Uint8Array.of(0))).ok)
  assert.not.ok(decodeTpmEvidence(utf8('evidence')).ok)
  const part = fc.uint8Array({ maxLength: 260 })
  assertProperty(
    fc.property(part, part, part, part, (attest, signature, attestationKey, key) => {
      const read = decodeTpmEvidence(encodeTpmEvidence({ attest, signature, attestationKey, key }))
      if (read.ok) assert.ok(equalBytes(read.value.key, key))
      assert.not.ok(judge({ attest, signature, attestationKey, key }).ok)
    }),
    1_000,
  )
})

test.run()
