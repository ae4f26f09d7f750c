/** What a heap of envelopes proves: each way to tamper with it is named, and where. */
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { type Audit, createReadingAudit } from '../../../protocol/reading/audit.ts'
import { assert, suite } from '../../harness.ts'
import { chainOf, energies, sampleContext, sealContext, sealReading } from './sample.ts'

const test = suite('reading audit')

const context = await sealContext(sampleContext)
const chain = await chainOf([{}, {}, { reason: 'gap', registers: [] }, { quality: 'informative' }, {}])
const readings = await Promise.all(chain.map(({ reading }) => sealReading(reading)))
const whole = [context, ...readings]

function audit(envelopes: readonly Uint8Array[], keys: readonly Uint8Array[] | undefined = [sampleContext.key]): Audit {
  const heap = createReadingAudit({ verifier: createVerifier(), ...(keys === undefined ? {} : { keys }) })
  for (const [i, envelope] of envelopes.entries()) heap.add(envelope, `#${i}`)
  return heap.end()
}
const brokenOf = (envelopes: readonly Uint8Array[], keys?: readonly Uint8Array[]) =>
  audit(envelopes, keys).broken.listed.map(({ where, fault }) => `${where} ${fault.code}`)

test('a whole run says who signed, of which meter, from when to when, and breaks no rule', () => {
  const { signers, meters, broken, contexts } = audit(whole)
  assert.equal([broken.listed, broken.unlisted], [[], 0])
  assert.is(contexts, 1)
  assert.equal(
    signers.map(({ key, trust, expected }) => [toHex(key), trust, expected]),
    [[toHex(sampleContext.key), sampleContext.trust, true]],
  )
  const [meter] = meters
  assert.is(meters.length, 1)
  assert.equal([meter!.meterId, meter!.readings, meter!.gaps, meter!.sequence], [sampleContext.meterId, 4, 1, [1, 5]])
  assert.equal(meter!.time, [chain[0]!.reading.time, chain[4]!.reading.time])
  assert.is(meter!.quality, 'informative', 'the least trusted of all')
  assert.equal(
    meter!.last.map(({ value }) => value),
    [123_456_789n, 98_765_432n],
  )
})

test('a reading left out, put in twice, out of its place, or without its context is named where it shows', () => {
  assert.equal(brokenOf(whole.toSpliced(2, 1)), ['#2 chain.sequence-gap', '#2 chain.previous-hash'])
  assert.equal(brokenOf(whole.toSpliced(2, 0, readings[0]!)), ['#2 chain.sequence-back', '#2 chain.previous-hash'])
  assert.equal(brokenOf([context, readings[1]!, readings[0]!]).slice(0, 2), [
    '#2 chain.sequence-back',
    '#2 chain.previous-hash',
  ])
  assert.equal(brokenOf(readings.slice(0, 1)), ['#0 audit.no-context'])
  assert.equal(brokenOf([readings[0]!, context]), ['#0 audit.no-context'])
})

test('a key that was not expected is refused with all it signed; without an expectation nobody has vouched', () => {
  const stranger = createSigner(new Uint8Array(32).fill(9)).publicKey
  assert.equal(brokenOf(whole.slice(0, 2), [stranger]), ['#0 audit.other-key', '#1 audit.no-context'])
  const heap = createReadingAudit({ verifier: createVerifier() })
  heap.add(context, 'first')
  assert.is(heap.end().signers[0]!.expected, false)
})

test('a changed bit anywhere in any envelope breaks a rule', () => {
  for (const [n, envelope] of whole.slice(0, 3).entries()) {
    for (let at = 0; at < envelope.length; at += 7) {
      const bad = envelope.with(at, envelope[at]! ^ 0x10)
      assert.is.not(audit(whole.with(n, bad)).broken.listed.length, 0, `envelope ${n} byte ${at}`)
    }
  }
})

test('a counter that falls behind a gap record, and what is no envelope of ours, is named', async () => {
  const fallen = await chainOf([{}, { reason: 'gap', registers: [] }, { registers: energies(1n, 98_765_432n) }])
  const sealed = await Promise.all(fallen.map(({ reading }) => sealReading(reading)))
  assert.equal(brokenOf([context, ...sealed]), ['#3 chain.counter-fell'])
  assert.equal(brokenOf([Uint8Array.of(1, 2, 3)]), ['#0 cose.shape'])
})

test.run()
