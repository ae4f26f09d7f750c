/** Our envelopes, by either kind of key, as another implementation of COSE sees them. */
import { createPublicKey } from 'node:crypto'
import { Sign1 } from '@auth0/cose'
import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createP256Signer, createSigner, type MemorySigner } from '../../../drivers/crypto/signer.ts'
import { concat, hex } from '../../../protocol/bytes.ts'
import { CONTEXT_PURPOSE, encodeContext } from '../../../protocol/reading/context.ts'
import { encodeReading, READING_PURPOSE, type Reading } from '../../../protocol/reading/reading.ts'
import { verifyReading } from '../../../protocol/reading/verify.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { fc } from '../../property.ts'
import { anyReading } from '../ocmf/sample.ts'
import { firstReading, sampleContext, verifier } from './sample.ts'

const test = suite('envelopes, seen by another implementation')

const signers: readonly MemorySigner[] = [
  createSigner(new Uint8Array(32).fill(7)),
  createP256Signer(new Uint8Array(32).fill(7)),
]
/** SubjectPublicKeyInfo up to the raw key (RFC 8410 section 4; RFC 5480 section 2). */
const SPKI_HEAD = {
  EdDSA: hex('302a300506032b6570032100'),
  ES256: hex('3039301306072a8648ce3d020106082a8648ce3d030107032200'),
}
const keyOf = ({ alg, publicKey }: MemorySigner) =>
  createPublicKey({ key: Buffer.from(concat(SPKI_HEAD[alg], publicKey)), format: 'der', type: 'spki' })

async function accepts(signer: MemorySigner, envelope: Uint8Array, externalAAD: Uint8Array): Promise<boolean> {
  try {
    await Sign1.decode(envelope).verify(keyOf(signer), { externalAAD })
    return true
  } catch {
    // It refuses by throwing, a text that is no COSE_Sign1 as well as a wrong signature.
    return false
  }
}

for (const signer of signers) {
  test(`${signer.alg}: contexts and any readings verify, each for its own purpose and by its own key only`, async () => {
    const payload = encodeContext({ ...sampleContext, key: signer.publicKey })
    const context = must(await signEnvelope(signer, payload, CONTEXT_PURPOSE))
    assert.ok(await accepts(signer, context.envelope, CONTEXT_PURPOSE))
    const stranger =
      signer.alg === 'EdDSA' ? createSigner(new Uint8Array(32).fill(8)) : createP256Signer(new Uint8Array(32).fill(8))
    for (const any of fc.sample(anyReading, { numRuns: 20, seed: 9052 })) {
      const reading: Reading = { ...any, context: context.hash.subarray(0, 8), previous: new Uint8Array(32) }
      const { envelope } = must(await signEnvelope(signer, encodeReading(reading), READING_PURPOSE))
      assert.ok(await accepts(signer, envelope, READING_PURPOSE))
      assert.not.ok(await accepts(signer, envelope, CONTEXT_PURPOSE))
      assert.not.ok(await accepts(stranger, envelope, READING_PURPOSE))
      assert.is(
        must(verifyReading(envelope, context.envelope, signer.publicKey, verifier)).reading.sequence,
        any.sequence,
      )
    }
  })

  test(`${signer.alg}: a byte of the payload or the signature changed is refused`, async () => {
    const reading = firstReading(new Uint8Array(8))
    const { envelope } = must(await signEnvelope(signer, encodeReading(reading), READING_PURPOSE))
    for (let at = 0; at < envelope.length; at++) {
      const bad = envelope.slice()
      bad[at]! ^= 0x01
      assert.not.ok(await accepts(signer, bad, READING_PURPOSE), `byte ${at}`)
    }
  })
}

test.run()
