/** One question at a time, asked when an answer can be there. */
import { createAsker } from '../../../agent/trading/asker.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('asker')
const START = instant(1_800_000_000_000)

/** Asks at these seconds; what is said each time is the test's. */
function askerOf(say: (second: number, question: string) => boolean | number) {
  const time = createSimTime(START, drainPromises)
  const asked: [number, string][] = []
  const asker = createAsker<string>(time.timers, async question => {
    const second = (time.clock.now() - START) / 1000
    asked.push([second, question])
    return say(second, question)
  })
  return { time, asked, asker }
}

test('asks each second until it is answered, and never again', async () => {
  const { time, asked, asker } = askerOf(second => second >= 3)
  asker.put('lock')
  await time.advance(10_000)
  assert.equal(
    asked.map(([second]) => second),
    [0, 1, 2, 3],
  )
  assert.is(asker.asking(), undefined)
})

test('what cannot be there before a time is not asked for before, but once a minute: a clock may be set', async () => {
  const { time, asked, asker } = askerOf(second => second >= 150 || 150_000 - second * 1000)
  asker.put('settlement')
  await time.advance(200_000)
  assert.equal(
    asked.map(([second]) => second),
    [0, 60, 120, 150],
  )
})

test('what is put again is asked at once, and another question does not wait for the first', async () => {
  const { time, asked, asker } = askerOf((_, question) => question === 'lock' || 50_000)
  asker.put('settlement')
  await time.advance(5_000)
  asker.put('settlement')
  await time.advance(5_000)
  asker.put('lock')
  await time.advance(100_000)
  assert.equal(asked, [
    [0, 'settlement'],
    [5, 'settlement'],
    [10, 'lock'],
  ])
})

test('a question that comes while another is asked is asked with the next header', async () => {
  const { time, asked, asker } = askerOf((_, question) => question === 'lock' || 50_000)
  asker.put('settlement')
  asker.put('lock')
  await time.advance(5_000)
  assert.equal(asked, [
    [0, 'settlement'],
    [1, 'lock'],
  ])
})

test('after a stop nothing is asked', async () => {
  const { time, asked, asker } = askerOf(() => false)
  asker.put('lock')
  await time.advance(1_500)
  asker.stop()
  await time.advance(5_000)
  assert.is(asked.length, 2)
})

test.run()
