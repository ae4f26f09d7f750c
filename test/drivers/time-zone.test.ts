import { zoneOffset } from '../../drivers/time-zone.ts'
import { instant } from '../../protocol/time.ts'
import { assert, suite } from '../harness.ts'

const test = suite('time zone')

const hoursAt = (zone: string, time: string) => zoneOffset(zone)(instant(Date.parse(time))) / 3_600_000

test('offsets are those of the zone at that moment, either side of UTC and to the quarter of an hour', () => {
  // https://www.timeanddate.com/time/zones: fixed or long-standing rules.
  assert.is(hoursAt('Europe/Berlin', '2026-01-15T12:00Z'), 1)
  assert.is(hoursAt('Europe/Berlin', '2026-07-15T12:00Z'), 2)
  assert.is(hoursAt('Europe/Berlin', '2026-03-29T00:59:59Z'), 1)
  assert.is(hoursAt('Europe/Berlin', '2026-03-29T01:00:00Z'), 2)
  assert.is(hoursAt('UTC', '2026-07-15T12:00Z'), 0)
  assert.is(hoursAt('Asia/Kathmandu', '2026-07-15T12:00Z'), 5.75)
  assert.is(hoursAt('America/St_Johns', '2026-01-15T12:00Z'), -3.5)
})

test('without a name it is the zone of this machine', () => {
  const at = instant(Date.parse('2026-07-15T12:00Z'))
  assert.is(zoneOffset()(at), -new Date(at).getTimezoneOffset() * 60_000)
})

test('a name that is no zone is our own bug', () => {
  assert.throws(() => zoneOffset('Europe/Nowhere'))
})

test.run()
