import { reportPrivacy } from '../../../hw/scenario/privacy-report.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('privacy report')

test('orders hide, observers learn what is stated, and no meter orders twice', async () => {
  const { ok, problems, facts } = await reportPrivacy(() => {})
  assert.equal(problems, [])
  assert.ok(ok)
  assert.ok((facts['linked_above_chance'] as number) <= 0.05)
  assert.is(facts['linked_named'], 1)
  assert.ok((facts['k_anonymity_least'] as number) >= 2)
  assert.is(facts['double_orders_refused'], 8)
  assert.is(facts['certificate_bytes'], 256)
  assert.is(facts['station_known_before_plug_in'], false)
  assert.is(facts['escrows_paid_from_coins'], 40)
  assert.ok((facts['payers_linked_above_chance'] as number) <= 0.05)
  assert.is(facts['payers_linked_named'], 1)
  assert.ok((facts['payers_linked_as_needed'] as number) > 0.5, 'what leaks still: amounts and times')
}, 360_000)

test.run()
