/** Readings over a change of keys: the statements say who may sign when, and are believed from an expected key on only. */
import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createSigner, type MemorySigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import {
  encodeKeyStatement,
  encodeRevocation,
  KEY_PROOF_PURPOSE,
  KEY_PURPOSE,
  REVOCATION_PURPOSE,
} from '../../../protocol/identity/rotation.ts'
import { createReadingAudit } from '../../../protocol/reading/audit.ts'
import { CONTEXT_PURPOSE, type Context, encodeContext } from '../../../protocol/reading/context.ts'
import { encodeReading, READING_PURPOSE, type Reading } from '../../../protocol/reading/reading.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { firstReading, sampleContext } from './sample.ts'

const [account, one, two, thief] = [21, 22, 23, 24].map(n => createSigner(new Uint8Array(32).fill(n))) as [
  MemorySigner,
  MemorySigner,
  MemorySigner,
  MemorySigner,
]
const device = ueidOf(account.publicKey)
const T = firstReading(new Uint8Array(32)).time
const HOUR = 3_600_000

const contextBy = async (by: MemorySigner, boot: number) => {
  const context: Context = { ...sampleContext, device, key: by.publicKey, boot }
  return must(await signEnvelope(by, encodeContext(context), CONTEXT_PURPOSE))
}
const inOne = await contextBy(one, 1)
const inTwo = await contextBy(two, 2)

const readingBy = async (by: MemorySigner, context: Uint8Array, change: Partial<Reading>) =>
  must(await signEnvelope(by, encodeReading({ ...firstReading(context), ...change }), READING_PURPOSE))
const first = await readingBy(one, inOne.hash, {})
const second = await readingBy(two, inTwo.hash, {
  sequence: 2,
  time: instant(T + HOUR),
  operatingSeconds: 3612,
  previous: first.hash,
  status: ['restarted'],
})

async function handOver(before: MemorySigner, after: MemorySigner): Promise<Uint8Array> {
  const statement = {
    device,
    use: 'metering',
    number: 2,
    before: one.publicKey,
    key: after.publicKey,
    trust: 'software',
    boot: 2,
    time: instant(T + 1000),
    reason: 'planned',
    quality: 'synchronised',
  } as const
  const inner = must(await signEnvelope(after, encodeKeyStatement(statement), KEY_PROOF_PURPOSE)).envelope
  return must(await signEnvelope(before, inner, KEY_PURPOSE)).envelope
}
const toTwo = await handOver(one, two)

function audit(
  keyRecords: readonly Uint8Array[],
  keys: readonly Uint8Array[] | undefined,
  envelopes = [inOne.envelope, first.envelope, inTwo.envelope, second.envelope],
) {
  const heap = createReadingAudit({ verifier: createVerifier(), ...(keys && { keys }), keyRecords })
  for (const [i, envelope] of envelopes.entries()) heap.add(envelope, `#${i}`)
  const { broken, signers } = heap.end()
  return {
    broken: broken.listed.map(({ where, fault }) => `${where} ${fault.code}`),
    expected: signers.map(({ expected }) => expected),
  }
}

const test = suite('audit over a change of keys')

test('a later key is expected when an expected key handed over to it, and a stranger without a statement is not', () => {
  assert.equal(audit([toTwo], [one.publicKey]), { broken: [], expected: [true, true] })
  assert.equal(audit([], [one.publicKey]).broken, ['#2 audit.other-key', '#3 audit.no-context'])
  assert.equal(audit([], [one.publicKey, two.publicKey]).broken, [], 'or when it was named as well')
})

test('a statement that no expected key signed counts for nothing', async () => {
  const forged = await handOver(thief, two)
  const { broken, expected } = audit([forged], [one.publicKey])
  assert.ok(broken.includes('#2 audit.other-key'), broken.join(', '))
  assert.ok(broken.includes('key records key.kid'), broken.join(', '))
  assert.equal(expected, [true])
})

test('the account key, where it is named, speaks for a key that is lost, else it does not', async () => {
  const lost = {
    device,
    use: 'metering',
    number: 2,
    before: one.publicKey,
    key: two.publicKey,
    trust: 'software',
    boot: 2,
    time: instant(T + 1000),
    reason: 'lost',
    quality: 'synchronised',
  } as const
  const inner = must(await signEnvelope(two, encodeKeyStatement(lost), KEY_PROOF_PURPOSE)).envelope
  const byAccount = must(await signEnvelope(account, inner, KEY_PURPOSE)).envelope
  assert.equal(audit([byAccount], [one.publicKey, account.publicKey]).broken, [])
  assert.ok(audit([byAccount], [one.publicKey]).broken.includes('#2 audit.other-key'))
})

test('what the old key signed after it handed over, or after it was revoked, is refused by name', async () => {
  const late = await contextBy(one, 3)
  const stale = await readingBy(one, late.hash, { sequence: 3, time: instant(T + 2 * HOUR), previous: second.hash })
  assert.equal(
    audit([toTwo], [one.publicKey], [inOne.envelope, first.envelope, late.envelope, stale.envelope]).broken,
    ['#2 key.superseded', '#3 audit.no-context'],
  )
  const revocation = {
    device,
    use: 'metering',
    key: one.publicKey,
    since: instant(T - HOUR),
    time: instant(T + HOUR),
    reason: 'stolen',
  } as const
  const revoked = must(await signEnvelope(account, encodeRevocation(revocation), REVOCATION_PURPOSE)).envelope
  assert.equal(audit([toTwo, revoked], [one.publicKey, account.publicKey]).broken, ['#1 key.revoked'])
})

test('key records stand beside readings in a file, and are no unknown payload there', () => {
  const { broken } = audit(
    [toTwo],
    [one.publicKey],
    [toTwo, inOne.envelope, first.envelope, inTwo.envelope, second.envelope],
  )
  assert.equal(broken, [])
})

test.run()
