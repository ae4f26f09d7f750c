import { createCalendar } from '../../drivers/calendar.ts'
import { drainPromises } from '../../drivers/drain.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { must } from '../../protocol/result.ts'
import { isoTime, type TimeQuality } from '../../protocol/time.ts'
import { assert, suite } from '../harness.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** A calendar with one job that writes down when it ran. */
function booked(pattern: string, from: string, quality: TimeQuality = 'synchronised') {
  const time = createSimTime(Date.parse(from), drainPromises, quality)
  const calendar = createCalendar(time)
  const ran: string[] = []
  const cancel = must(calendar.at(pattern, () => ran.push(isoTime(time.clock.now()).slice(0, 16))))
  return { time, calendar, ran, cancel }
}

const test = suite('calendar')

test('a job runs at each minute that its pattern names, and at no other', async () => {
  const { time, calendar, ran } = booked('*/15 0 * * *', '2026-06-20T23:58:30Z')
  await time.advance(2 * HOUR)
  calendar.close()
  assert.equal(ran, ['2026-06-21T00:00', '2026-06-21T00:15', '2026-06-21T00:30', '2026-06-21T00:45'])
})

test('the repeated and the missing hour of a zone with daylight saving do not exist here', async () => {
  // Europe, 2026: the clock goes back on 25 October at 01:00 UTC and forward on 29 March at 01:00 UTC.
  for (const day of ['2026-10-25', '2026-03-29']) {
    const { time, calendar, ran } = booked('30 0-2 * * *', `${day}T00:00:00Z`)
    await time.advance(3 * HOUR)
    calendar.close()
    assert.equal(ran, [`${day}T00:30`, `${day}T01:30`, `${day}T02:30`])
  }
})

test('a step forward over many slots is made up for by one run, at once', async () => {
  const { time, calendar, ran } = booked('*/5 * * * *', '2026-06-21T12:01:00Z')
  await time.advance(MINUTE)
  time.stepWall(6 * HOUR)
  await time.advance(MINUTE)
  assert.equal(ran, ['2026-06-21T18:03'])
  await time.advance(5 * MINUTE)
  calendar.close()
  assert.equal(ran, ['2026-06-21T18:03', '2026-06-21T18:05'])
})

test('after a step back the calendar goes on with the new time instead of waiting for the old one', async () => {
  const { time, calendar, ran } = booked('*/5 * * * *', '2026-06-21T12:04:30Z')
  await time.advance(MINUTE)
  time.stepWall(-HOUR)
  await time.advance(5 * MINUTE)
  calendar.close()
  assert.equal(ran, ['2026-06-21T12:05', '2026-06-21T11:10'])
})

test('nothing is due before the clock is set', async () => {
  const { time, calendar, ran } = booked('* * * * *', '1970-01-01T00:00:00Z', 'unknown')
  await time.advance(10 * MINUTE)
  calendar.close()
  assert.equal(ran, [])
})

test('a cancelled job and a closed calendar run nothing more', async () => {
  const { time, calendar, ran, cancel } = booked('* * * * *', '2026-06-21T12:00:00Z')
  await time.advance(2 * MINUTE)
  cancel()
  await time.advance(2 * MINUTE)
  assert.is(ran.length, 2)
  must(calendar.at('* * * * *', () => ran.push('late')))
  calendar.close()
  await time.advance(2 * MINUTE)
  assert.is(ran.length, 2)
})

test('a pattern with seconds, or with a field out of range, is refused with the reason', () => {
  const { calendar } = booked('* * * * *', '2026-06-21T12:00:00Z')
  for (const [pattern, why] of [
    ['* * * * * *', '6 fields instead of 5'],
    ['hourly', '1 fields instead of 5'],
    ['60 * * * *', ''],
    ['* 24 * * *', ''],
    ['* * 0 * *', ''],
  ] as const) {
    const made = calendar.at(pattern, () => {})
    assert.not(made.ok, pattern)
    if (!made.ok) assert.ok(made.fault.why.includes(why) && made.fault.why.length > 0, made.fault.why)
  }
  calendar.close()
})

test.run()
