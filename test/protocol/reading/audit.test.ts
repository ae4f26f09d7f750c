/** What a heap of envelopes proves: each way to tamper with it is named, and where. */

import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import type { Signer } from '../../../drivers/ports.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import { type Audit, createReadingAudit } from '../../../protocol/reading/audit.ts'
import { EVENT_PURPOSE, encodeEvent } from '../../../protocol/reading/event.ts'
import { encodeHead, HEAD_PURPOSE } from '../../../protocol/reading/head.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { chainOf, energies, sampleContext, sealContext, sealReading, signer } from './sample.ts'

const test = suite('reading audit')

const context = await sealContext(sampleContext)
const chain = await chainOf([{}, {}, { reason: 'gap', registers: [] }, { quality: 'informative' }, {}])
const readings = await Promise.all(chain.map(({ reading }) => sealReading(reading)))
const whole = [context, ...readings]

const NOBODY: readonly Uint8Array[] = []

function audit(envelopes: readonly Uint8Array[], keys: readonly Uint8Array[] = [sampleContext.key]): Audit {
  const heap = createReadingAudit({ verifier: createVerifier(), ...(keys === NOBODY ? {} : { keys }) })
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

test('who signed an event is said, also beside a context of the same gateway that another key signed', async () => {
  const other = createSigner(new Uint8Array(32).fill(9))
  const event = {
    device: sampleContext.device,
    boot: 1,
    sequence: 1,
    time: instant(1_795_000_000_000),
    quality: 'synchronised',
    what: { kind: 'clock-step', from: instant(0), to: instant(1) },
  } as const
  const seal = async (by: Signer) =>
    must(await signEnvelope(by, encodeEvent({ ...event, key: by.publicKey }), EVENT_PURPOSE)).envelope
  const [own, foreign] = [await seal(signer), await seal(other)]
  const signersOf = (envelopes: readonly Uint8Array[]) =>
    audit(envelopes, NOBODY).signers.map(({ key, trust }) => [toHex(key).slice(0, 8), trust])
  const [A, B] = [signer, other].map(({ publicKey }) => toHex(publicKey).slice(0, 8))
  assert.equal(signersOf([foreign]), [[B, undefined]])
  assert.equal(signersOf([context, foreign]), [
    [A, 'sealed-file'],
    [B, undefined],
  ])
  assert.equal(signersOf([own, context, own]), [[A, 'sealed-file']])
  assert.equal(brokenOf([context, foreign]), ['#1 audit.other-key'])
})

test('a head is by a key of its gateway, and two of one frame that differ are named', async () => {
  const other = createSigner(new Uint8Array(32).fill(9))
  const head = {
    device: sampleContext.device,
    journal: new Uint8Array(16).fill(1),
    sequence: 7,
    hash: new Uint8Array(32).fill(2),
    records: 3,
    time: instant(1_795_000_000_000),
  }
  const seal = async (by: Signer, change: Partial<typeof head> = {}) =>
    must(await signEnvelope(by, encodeHead({ ...head, ...change }), HEAD_PURPOSE)).envelope
  const stranger = await sealContext({ ...sampleContext, key: other.publicKey, device: ueidOf(other.publicKey) }, other)
  const [own, foreign] = [await seal(signer), await seal(other)]
  assert.equal(audit([context, own, own], NOBODY).heads, [head])
  assert.equal(brokenOf([context, own, await seal(signer, { hash: new Uint8Array(32) })]), ['#2 audit.head-forked'])
  assert.equal(brokenOf([own]), [], 'by a key that was expected')
  const vouchedByNobody = audit([context, stranger, foreign], NOBODY).broken.listed
  assert.equal(
    vouchedByNobody.map(({ fault }) => fault.code),
    ['audit.unknown-signer'],
  )
})

test('counters of a reading that is not to be settled on are not told', async () => {
  const marked = await chainOf([{ registers: energies(1n, 1n) }, { registers: energies(9n, 9n), errors: ['energy'] }])
  const sealed = await Promise.all(marked.map(({ reading }) => sealReading(reading)))
  const [meter] = audit([context, ...sealed]).meters
  assert.equal([meter!.withErrors, meter!.first, meter!.last], [1, energies(1n, 1n), energies(1n, 1n)])
})

test.run()
