import { createQuota, type MeterStanding } from '../../../protocol/privacy/quota.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('quota of certificates')

const SLOT_MS = 900_000
const NOW = instant(1_800_000_000_000)
const slot = (ahead: number) => instant(NOW + ahead * SLOT_MS)
const good: MeterStanding = { enrolled: true, revoked: false }
const take = (quota: ReturnType<typeof createQuota>, meterId: string, ahead: number, standing = good) => {
  const taken = quota.take({ meterId, slot: slot(ahead), side: 'bid' }, standing, NOW)
  return taken.ok ? 'given' : 'reason' in taken.fault ? taken.fault.reason : taken.fault.code
}

test('a meter has one certificate for a slot and side, others have theirs, and the crowd is counted', () => {
  const quota = createQuota(SLOT_MS)
  assert.equal([take(quota, 'a', 1), take(quota, 'a', 1), take(quota, 'b', 1)], ['given', 'quota.given', 'given'])
  assert.ok(quota.take({ meterId: 'a', slot: slot(1), side: 'offer' }, good, NOW).ok)
  assert.equal([quota.given(slot(1), 'bid'), quota.given(slot(1), 'offer'), quota.given(slot(2), 'bid')], [2, 1, 0])
  quota.forget(slot(2))
  assert.is(quota.given(slot(1), 'bid'), 0)
})

test('a slot that runs, lies beyond a day of slots, or is none gets no certificate', () => {
  const quota = createQuota(SLOT_MS)
  assert.equal(
    [0, 1, 96, 97, 1.5].map(ahead => take(quota, 'a', ahead)),
    ['quota.slot', 'given', 'given', 'quota.slot', 'quota.slot'],
  )
})

test('a meter that is unknown, revoked, or suspended in that slot gets none, and is not counted', () => {
  const quota = createQuota(SLOT_MS)
  assert.is(take(quota, 'a', 1, { ...good, enrolled: false }), 'unknown')
  assert.is(take(quota, 'a', 1, { ...good, revoked: true }), 'revoked')
  const suspended = { ...good, suspended: { from: slot(2), until: slot(4) } }
  assert.equal(
    [1, 2, 3, 4].map(ahead => take(quota, 'a', ahead, suspended)),
    ['given', 'suspended', 'suspended', 'given'],
  )
  assert.is(quota.given(slot(2), 'bid'), 0)
})

test.run()
