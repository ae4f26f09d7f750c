import { loadLibc } from '../../drivers/native/libc.ts'
import { judgeTime, NOT_BEFORE, openSystemQuality, watchQuality } from '../../drivers/time-quality.ts'
import { must } from '../../protocol/result.ts'
import { instant, isoTime, type TimeQuality } from '../../protocol/time.ts'
import { assert, suite } from '../harness.ts'

const test = suite('time quality')

const GOOD = { state: 0, status: 0x2001, maxErrorUs: 500_000 }
const LOST = { state: 5, status: 0x40, maxErrorUs: 16_000_000 }

test('the one rule, over every state, status bit, bound and past', () => {
  const after = instant(NOT_BEFORE + 1)
  let judged = 0
  for (const now of [instant(0), instant(NOT_BEFORE - 1), NOT_BEFORE, after]) {
    for (const held of [false, true]) {
      const known = now >= NOT_BEFORE
      const without: TimeQuality = !known ? 'unknown' : held ? 'relative' : 'informative'
      assert.is(judgeTime({ now, kernel: undefined, held }), without)
      for (const state of [-1, 0, 1, 2, 3, 4, 5, 6]) {
        // Each of the sixteen status bits alone, and none.
        for (const status of [0, ...Array.from({ length: 16 }, (_, bit) => 1 << bit)]) {
          for (const maxErrorUs of [0, 2_000_000, 2_000_001, 16_000_000]) {
            const synchronised = known && state >= 0 && state <= 4 && status !== 0x40 && maxErrorUs <= 2_000_000
            const expected = synchronised ? 'synchronised' : without
            const found = judgeTime({ now, kernel: { state, status, maxErrorUs }, held })
            assert.is(found, expected, `${isoTime(now)} ${held} ${state} ${status} ${maxErrorUs}`)
            judged++
          }
        }
      }
    }
  }
  assert.is(judged, 4 * 2 * 8 * 17 * 4)
})

/** A clock that the test sets, a kernel that says what the test wants, and how often it was asked. */
function rig() {
  const around = { wall: NOT_BEFORE + 1_000_000, mono: 0, kernel: LOST as typeof LOST | undefined, asked: 0 }
  const quality = watchQuality({
    now: () => instant(around.wall),
    mono: () => around.mono,
    ask: () => {
      around.asked++
      return around.kernel
    },
  })
  const pass = (ms: number, step = 0) => {
    around.mono += ms
    around.wall += ms + step
    return quality()
  }
  return { around, pass }
}

test('never synchronised, then synchronised, then lost, then had again', () => {
  const { around, pass } = rig()
  assert.is(pass(0), 'informative')
  around.kernel = GOOD
  assert.is(pass(1000), 'synchronised')
  around.kernel = LOST
  assert.is(pass(1000), 'relative')
  around.kernel = undefined
  assert.is(pass(1000), 'relative')
  around.kernel = GOOD
  assert.is(pass(1000), 'synchronised')
})

test('the kernel is asked once a second however often somebody wants to know, and at once after a step', () => {
  const { around, pass } = rig()
  for (let i = 0; i < 1000; i++) pass(1)
  assert.is(around.asked, 1)
  pass(1)
  assert.is(around.asked, 2)
  pass(1, 60_000)
  assert.is(around.asked, 3)
})

test('a clock set by hand after the source was lost is informative: what it held on to is gone', () => {
  const { around, pass } = rig()
  around.kernel = GOOD
  pass(1000)
  around.kernel = LOST
  assert.is(pass(1000), 'relative')
  // A wander of two seconds between two looks is none; one more is a step, back or forth.
  assert.is(pass(1000, 2000), 'relative')
  assert.is(pass(1000, -2001), 'informative')
})

test('a clock that is set bit by bit after the source was lost holds on for two seconds in all', () => {
  const { around, pass } = rig()
  around.kernel = GOOD
  pass(1000)
  around.kernel = LOST
  assert.is(pass(1000, -1000), 'relative')
  assert.is(pass(1000, -1000), 'relative')
  assert.is(pass(1000, -1000), 'informative')
  assert.is(pass(1000, 3000), 'informative')
})

test('a clock in 1970 is unknown whatever the kernel says, and the step that sets it is seen at once', () => {
  const { around, pass } = rig()
  around.wall = 3000
  around.kernel = GOOD
  assert.is(pass(0), 'unknown')
  assert.is(pass(5, NOT_BEFORE), 'synchronised')
})

test('the kernel of this machine answers, within what adjtimex(2) says that it may', async () => {
  const libc = must(await loadLibc())
  const clock = must(libc.readClock())
  assert.ok(clock.state >= 0 && clock.state <= 5, `${clock.state}`)
  // The kernel keeps its bound at 16 s or below (NTP_PHASE_LIMIT), and TIME_ERROR is its answer whenever STA_UNSYNC is set.
  assert.ok(clock.maxErrorUs >= 0 && clock.maxErrorUs <= 16_000_000, `${clock.maxErrorUs}`)
  if (clock.status & 0x40) assert.is(clock.state, 5)
  const { quality, without } = await openSystemQuality()
  assert.is(without, undefined)
  assert.is(quality(), judgeTime({ now: instant(Date.now()), kernel: clock, held: false }))
})

test.run()
