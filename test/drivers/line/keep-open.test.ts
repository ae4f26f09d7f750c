import { drainPromises } from '../../../drivers/drain.ts'
import { keepOpen } from '../../../drivers/line/keep-open.ts'
import type { Line } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { done, fail, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('a line that is kept open')

/** A device that takes 500 ms to open, cannot be opened twice, and is not closed while it opens. */
function slowLine() {
  const { timers, advance } = createSimTime(0, drainPromises)
  let held = 0
  let most = 0
  let isOpen = false
  const line: Line = {
    name: 'slow',
    characterMs: 1,
    open: async (): Promise<Result<void>> => {
      held++
      most = Math.max(most, held)
      if (held > 1) {
        held--
        return fail({ code: 'serial.busy' })
      }
      await timers.sleep(500)
      isOpen = true
      return done
    },
    write: async () => done,
    flush: async () => done,
    close: async () => {
      if (isOpen) held--
      isOpen = false
    },
  }
  const ups: string[] = []
  const kept = keepOpen(line, timers, { bytes: () => {}, up: () => ups.push('up'), down: () => ups.push('down') })
  return { kept, advance, ups, held: () => held, most: () => most }
}

test('opened, closed and opened again in the middle of opening, the device is open once and up', async () => {
  const { kept, advance, ups, held, most } = slowLine()
  void kept.open()
  await advance(100)
  void kept.close()
  await advance(1)
  const second = kept.open()
  await advance(5_000)
  await second
  assert.equal([kept.fault(), held(), most()], [undefined, 1, 1])
  assert.equal(ups, ['up'])
  await kept.close()
  assert.is(held(), 0)
})

test('closed in the middle of opening, the device is not held and nothing opens it later', async () => {
  const { kept, advance, held } = slowLine()
  const first = kept.open()
  await advance(100)
  await kept.close()
  await advance(5_000)
  assert.equal([(await first).ok, held()], [false, 0])
})

test('a device that is back after any time away is tried within a second, and so open within two', async () => {
  const { timers, advance, clock } = createSimTime(0, drainPromises)
  let present = false
  const line: Line = {
    name: 'away',
    characterMs: 1,
    open: async () => (present ? done : fail({ code: 'serial.missing' })),
    write: async () => done,
    flush: async () => done,
    close: async () => {},
  }
  for (const awayMs of [0, 50, 150, 700, 2_000, 60_000, 3_600_000]) {
    present = false
    let upAt: number | undefined
    const kept = keepOpen(line, timers, { bytes: () => {}, up: () => (upAt = clock.mono()), down: () => {} })
    assert.is((await kept.open()).ok, false)
    await advance(awayMs)
    present = true
    const back = clock.mono()
    await advance(5_000)
    assert.ok(upAt !== undefined && upAt - back <= 1_000, `away ${awayMs} ms: ${upAt! - back} ms`)
    await kept.close()
  }
})

test.run()
