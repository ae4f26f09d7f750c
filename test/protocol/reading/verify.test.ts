import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { equalBytes } from '../../../protocol/bytes.ts'
import { parseSign1 } from '../../../protocol/crypto/cose.ts'
import { nobleVerifier, type Verifier } from '../../../protocol/crypto/verify.ts'
import { CONTEXT_PURPOSE, encodeContext } from '../../../protocol/reading/context.ts'
import { encodeReading, READING_PURPOSE } from '../../../protocol/reading/reading.ts'
import { verifyContext, verifyReading, verifyReadingIn } from '../../../protocol/reading/verify.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { contextOf, firstReading, sampleContext, sealContext, sealReading, signer, verifier } from './sample.ts'

const test = suite('reading envelopes')

const contextEnvelope = await sealContext(sampleContext)
const context = must(verifyContext(contextEnvelope, signer.publicKey, verifier))
const reading = firstReading(context.hash)
const envelope = await sealReading(reading)
const stranger = createSigner(new Uint8Array(32).fill(9))
const yes: Verifier = { verify: () => true }

const codeOf = (
  bytes: Uint8Array,
  withContext: Uint8Array = contextEnvelope,
  key: Uint8Array = signer.publicKey,
  by: Verifier = verifier,
): string => {
  const found = verifyReading(bytes, withContext, key, by)
  return found.ok ? 'accepted' : found.fault.code
}

test('an honest reading with its context verifies, and both verifiers agree', () => {
  const found = must(verifyReading(envelope, contextEnvelope, signer.publicKey, verifier))
  assert.equal(found.reading, reading)
  assert.equal(found.context, sampleContext)
  assert.equal(must(verifyReading(envelope, contextEnvelope, signer.publicKey, nobleVerifier)).hash, found.hash)
})

test('any one byte of the reading or of its context changed is seen', () => {
  for (const mask of [0x01, 0x80, 0xff]) {
    for (let at = 0; at < envelope.length; at++) {
      const bad = envelope.slice()
      bad[at]! ^= mask
      assert.is.not(codeOf(bad), 'accepted', `reading, byte ${at} ^ ${mask}`)
    }
    for (let at = 0; at < contextEnvelope.length; at++) {
      const bad = contextEnvelope.slice()
      bad[at]! ^= mask
      assert.is.not(codeOf(envelope, bad), 'accepted', `context, byte ${at} ^ ${mask}`)
    }
  }
})

test('without the signature check most changed readings would pass: it is the signature that sees them', () => {
  const payload = encodeReading(reading)
  const start = envelope.findIndex((_, at) => equalBytes(envelope.subarray(at, at + payload.length), payload))
  let passed = 0
  for (let at = start; at < start + payload.length; at++) {
    const bad = envelope.slice()
    bad[at]! ^= 0x01
    if (codeOf(bad, contextEnvelope, signer.publicKey, yes) === 'accepted') passed++
  }
  assert.ok(passed > 10, `${passed} passed`)
})

test('a reading by another key is refused, also when its header claims the right key', async () => {
  assert.is(codeOf(must(await signEnvelope(stranger, encodeReading(reading), READING_PURPOSE)).envelope), 'reading.kid')
  const claims = { ...stranger, publicKey: signer.publicKey }
  assert.is(
    codeOf(must(await signEnvelope(claims, encodeReading(reading), READING_PURPOSE)).envelope),
    'cose.signature',
  )
})

test('a context by another key, or that names another key, is refused', async () => {
  assert.is(
    codeOf(envelope, must(await signEnvelope(stranger, encodeContext(sampleContext), CONTEXT_PURPOSE)).envelope),
    'reading.kid',
  )
  const other = await sealContext({ ...sampleContext, key: stranger.publicKey })
  assert.is(codeOf(envelope, other), 'reading.key')
  assert.is(codeOf(envelope, contextEnvelope, stranger.publicKey), 'reading.kid')
})

test('a signature made for another purpose does not count', async () => {
  assert.is(
    codeOf(must(await signEnvelope(signer, encodeReading(reading), CONTEXT_PURPOSE)).envelope),
    'cose.signature',
  )
  assert.is(
    codeOf(envelope, must(await signEnvelope(signer, encodeContext(sampleContext), READING_PURPOSE)).envelope),
    'cose.signature',
  )
})

test('a reading shown with another context of the same key is refused', async () => {
  const otherMeter = await sealContext({ ...sampleContext, meterId: '99999999' })
  assert.is(codeOf(envelope, otherMeter), 'reading.context')
  const found = verifyReadingIn(await contextOf({ ...sampleContext, boot: 2 }), envelope, verifier)
  assert.is(found.ok ? 'accepted' : found.fault.code, 'reading.context')
})

test('a key of a length that names no algorithm, and an algorithm that is not the key’s, are refused', () => {
  assert.is(codeOf(envelope, contextEnvelope, new Uint8Array(31)), 'cose.alg')
  assert.is(codeOf(envelope, contextEnvelope, new Uint8Array(33)), 'cose.alg')
})

test('an envelope longer than any honest one is refused before it is decoded', () => {
  assert.is(codeOf(new Uint8Array(1026).fill(0xd2)), 'cbor.too-long')
})

test('another signature of the same words does not make another reading', () => {
  // s + L instead of s is the classic second signature of the same bytes; ZIP-215 refuses it.
  const L = 2n ** 252n + 27742317777372353535851937790883648493n
  const { signature } = must(parseSign1(envelope))
  let s = 0n
  for (let i = 63; i >= 32; i--) s = (s << 8n) | BigInt(signature[i]!)
  const twisted = envelope.slice()
  for (let i = 0, rest = s + L; i < 32; i++, rest >>= 8n) twisted[envelope.length - 32 + i] = Number(rest & 0xffn)
  assert.is(codeOf(twisted), 'cose.signature')
  assert.is(codeOf(twisted, contextEnvelope, signer.publicKey, nobleVerifier), 'cose.signature')
})

test.run()
