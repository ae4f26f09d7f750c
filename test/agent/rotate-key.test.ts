import { BOOT, keepForRestart } from '../../agent/keeping.ts'
import { checkOwnKeys, readOwnHistory } from '../../agent/key-history.ts'
import { encodeMeteringRecord } from '../../agent/metering/journal-form.ts'
import { nextNumber, stateRotation } from '../../agent/rotate-key.ts'
import { signEnvelope } from '../../drivers/crypto/sign-envelope.ts'
import { createP256Signer, createSigner } from '../../drivers/crypto/signer.ts'
import { drainPromises } from '../../drivers/drain.ts'
import type { Disk, Signer } from '../../drivers/ports.ts'
import { type Journal, openJournal } from '../../drivers/store/journal.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type Strike } from '../../hw/sim/disk.ts'
import { seededRandom } from '../../hw/sim/random.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { parseSign1 } from '../../protocol/crypto/cose.ts'
import { nobleVerifier } from '../../protocol/crypto/verify.ts'
import { ueidOf } from '../../protocol/identity/key.ts'
import { encodeRevocation, judgeKey, REVOCATION_PURPOSE } from '../../protocol/identity/rotation.ts'
import { CONTEXT_PURPOSE, encodeContext } from '../../protocol/reading/context.ts'
import { parseEvent } from '../../protocol/reading/event.ts'
import { verifyEvent } from '../../protocol/reading/verify.ts'
import { must, type Result } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { assert, suite } from '../harness.ts'
import { sampleContext } from '../protocol/reading/sample.ts'

const test = suite('rotation in the journal')

const time = createSimTime(1_795_000_000_000, drainPromises)
const account = createSigner(new Uint8Array(32).fill(9))
const [one, two, three] = [
  createSigner(new Uint8Array(32).fill(1)),
  createP256Signer(new Uint8Array(32).fill(2)),
  createSigner(new Uint8Array(32).fill(3)),
] as const
const device = ueidOf(account.publicKey)
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

const open = (disk: Disk) =>
  openJournal({
    disk,
    clock: time.clock,
    timers: time.timers,
    entropy: { bytes: count => new Uint8Array(count).fill(5) },
    owner: device,
    keeping: keepForRestart,
    segmentBytes: 32 * 1024,
  })
const own = (key: Signer) => ({ use: 'metering', device, account: account.publicKey, key: key.publicKey }) as const

async function rotate(journal: Journal, old: Signer, next: Signer) {
  const number = nextNumber(journal.kept(), own(old), nobleVerifier)
  if (!number.ok) return number
  return stateRotation({
    journal,
    own: own(old),
    number: number.value,
    endorser: old,
    next,
    events: next,
    reason: 'planned',
    clock: time.clock,
    verifier: nobleVerifier,
  })
}
const entitled = (journal: Journal, metering: Signer) =>
  codeOf(checkOwnKeys(journal.kept(), { account, metering }, nobleVerifier))
const countOf = (journal: Journal, kind: string) => journal.kept().filter(record => record.kind === kind).length

/** A board that has run before: its third boot is over. */
async function ranBefore(strike?: (count: number) => Strike | undefined): Promise<SimDisk> {
  const sim = createSimDisk({ random: seededRandom(7), strike: (_operation, _name, count) => strike?.(count) })
  const journal = must(await open(sim.mount()))
  must(await journal.append(BOOT, utf8('3'), { urgent: true }))
  await journal.close()
  return sim
}

test('a rotation is a boot of its own: the first of the new key, which signs the event that tells of it', async () => {
  const journal = must(await open((await ranBefore()).mount()))
  const { statement, hash } = must(await rotate(journal, one, two))
  assert.is(statement.boot, 4)
  assert.is(statement.number, 2)
  const event = journal.kept().find(({ kind }) => kind === 'event')!
  const verified = must(verifyEvent(event.bytes, two.publicKey, nobleVerifier)).event
  assert.equal(verified.what, { kind: 'key-rotated', statement: hash })
  assert.is(verified.boot, 4)
  assert.equal(journal.kept().find(({ kind }) => kind === BOOT)?.bytes, utf8('4'))
  await journal.close()
})

test('once it is said, the old key is refused and the new one signs', async () => {
  const sim = await ranBefore()
  const journal = must(await open(sim.mount()))
  assert.is(entitled(journal, one), 'ok')
  must(await rotate(journal, one, two))
  assert.equal([entitled(journal, one), entitled(journal, two)], ['keys.superseded', 'ok'])
  assert.is(codeOf(await rotate(journal, one, three)), 'keys.superseded')
  must(await rotate(journal, two, three))
  assert.is(entitled(journal, three), 'ok')
  assert.is(codeOf(await rotate(journal, three, one)), 'key.reused')
  assert.is(codeOf(await rotate(journal, three, three)), 'key.reused')
  await journal.close()
  // The same after a restart, and beside a use of its own.
  const again = must(await open(sim.mount()))
  assert.equal([entitled(again, two), entitled(again, three)], ['keys.superseded', 'ok'])
  assert.is(codeOf(checkOwnKeys(again.kept(), { account, metering: three, ocmf: two }, nobleVerifier)), 'ok')
  await again.close()
})

test('a revoked key signs nothing more but who follows it', async () => {
  const journal = must(await open((await ranBefore()).mount()))
  const revocation = encodeRevocation({
    device,
    use: 'metering',
    key: one.publicKey,
    since: time.clock.now(),
    time: time.clock.now(),
    reason: 'stolen',
  })
  const { envelope } = must(await signEnvelope(account, revocation, REVOCATION_PURPOSE))
  must(await journal.append('key', envelope, { urgent: true }))
  assert.is(entitled(journal, one), 'keys.revoked')
  must(await rotate(journal, one, two))
  assert.is(entitled(journal, two), 'ok')
  await journal.close()
})

test('for a lost key the account speaks, and for no other reason', async () => {
  for (const [reason, code] of [
    ['lost', 'ok'],
    ['planned', 'key.kid'],
  ] as const) {
    const journal = must(await open((await ranBefore()).mount()))
    const stated = await stateRotation({
      journal,
      own: own(one),
      number: 2,
      endorser: account,
      next: two,
      events: two,
      reason,
      clock: time.clock,
      verifier: nobleVerifier,
    })
    assert.is(codeOf(stated), code)
    assert.is(entitled(journal, two), 'ok')
    await journal.close()
  }
})

test('a key that the journal was not signed with, and of which nothing is said, is refused', async () => {
  const journal = must(await open((await ranBefore()).mount()))
  const context = must(
    await signEnvelope(one, encodeContext({ ...sampleContext, key: one.publicKey }), CONTEXT_PURPOSE),
  )
  const record = encodeMeteringRecord({ name: 'grid', meterId: 'x', envelope: context.envelope })
  must(await journal.append('context', record, { urgent: true }))
  assert.equal([entitled(journal, one), entitled(journal, two)], ['ok', 'keys.superseded'])
  must(await rotate(journal, one, two))
  assert.equal([entitled(journal, one), entitled(journal, two)], ['keys.superseded', 'ok'])
  await journal.close()
})

test('with a stolen key its revocation is written, signed by the account', async () => {
  const journal = must(await open((await ranBefore()).mount()))
  const since = time.clock.now()
  must(
    await stateRotation({
      journal,
      own: own(one),
      number: 2,
      endorser: one,
      next: two,
      events: two,
      reason: 'stolen',
      revoke: { since, account },
      clock: time.clock,
      verifier: nobleVerifier,
    }),
  )
  assert.is(entitled(journal, two), 'ok')
  const history = must(readOwnHistory(journal.kept(), own(two), nobleVerifier))
  const judged = (ms: number) => codeOf(judgeKey(history, one.publicKey, { boot: 3, time: instant(since + ms) }))
  assert.equal([judged(-1), judged(0)], ['ok', 'key.revoked'])
  await journal.close()
})

test("each rotation's event is by the key in force: of a board that never ran, twice in a row, for a stolen key", async () => {
  for (const sim of [createSimDisk({ random: seededRandom(7) }), await ranBefore()]) await rotatesThrice(sim)
})

async function rotatesThrice(sim: SimDisk): Promise<void> {
  const journal = must(await open(sim.mount()))
  const told = async () => {
    const history = must(readOwnHistory(journal.kept(), own(three), nobleVerifier))
    const { bytes } = journal.kept().find(({ kind }) => kind === 'event')!
    const { boot, time, key } = must(parseEvent(must(parseSign1(bytes)).payload))
    return codeOf(judgeKey(history, key, { boot, time }))
  }
  must(await rotate(journal, one, two))
  assert.is(await told(), 'ok')
  must(await rotate(journal, two, three))
  assert.is(await told(), 'ok')
  const revoke = { since: time.clock.now(), account }
  const four = createSigner(new Uint8Array(32).fill(4))
  const said = { journal, number: 4, endorser: three, next: four, events: four, revoke }
  must(await stateRotation({ ...said, own: own(three), reason: 'stolen', clock: time.clock, verifier: nobleVerifier }))
  assert.is(await told(), 'ok')
  await journal.close()
}

test('a statement in the journal that does not hold keeps the agent from signing', async () => {
  const journal = must(await open((await ranBefore()).mount()))
  must(await journal.append('key', utf8('no envelope'), { urgent: true }))
  assert.is(entitled(journal, one), 'cose.shape')
  await journal.close()
})

for (const strike of ['cut', 'kill', 'io', 'full', 'short'] as const) {
  test(`${strike} at any operation leaves the statement with its event or neither, and the next try ends it`, async () => {
    const counted = await ranBefore()
    const before = counted.operations()
    const journal = must(await open(counted.mount()))
    must(await rotate(journal, one, two))
    const after = counted.operations()
    await journal.close()
    assert.ok(after > before + 3)
    const seen = new Set<string>()
    for (let at = before; at < after; at++) {
      let armed = true
      const sim = await ranBefore(count => (armed && count === at ? strike : undefined))
      const struck = await open(sim.mount())
      const first = struck.ok ? await rotate(struck.value, one, two) : struck
      if (struck.ok) await struck.value.close()
      armed = false
      const again = must(await open(sim.mount()))
      const statements = countOf(again, 'key')
      assert.is(countOf(again, 'event'), statements, `operation ${at}: both or neither`)
      if (first.ok) assert.is(statements, 1, `operation ${at}: what was acknowledged is there`)
      seen.add(`${statements}`)
      const second = await rotate(again, one, two)
      assert.is(codeOf(second), statements === 1 ? 'keys.superseded' : 'ok', `operation ${at}`)
      assert.is(entitled(again, two), 'ok')
      await again.close()
    }
    assert.ok(seen.has('0'), 'some strikes came before')
  })
}

test.run()
