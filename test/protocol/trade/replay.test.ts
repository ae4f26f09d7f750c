import { decodeAs, encodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { forget, judgeFreshness, type ReplayWindow, replayWindows } from '../../../protocol/trade/replay.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('trade replay window')

const judgeAll = (messages: readonly (readonly [epoch: number, sequence: number])[]) => {
  let window: ReplayWindow | undefined
  return messages.map(([epoch, sequence]) => {
    const judged = judgeFreshness(window, epoch, sequence)
    window = judged.window
    return judged.verdict
  })
}

test('a repeat is a duplicate, a late first copy is fresh', () => {
  const verdicts = judgeAll([
    [1, 1],
    [1, 3],
    [1, 1],
    [1, 2],
    [1, 2],
    [1, 3],
  ])
  assert.equal(verdicts, ['fresh', 'fresh', 'duplicate', 'fresh', 'duplicate', 'duplicate'])
})

test('a higher epoch begins anew and ends the lower one', () => {
  assert.equal(
    judgeAll([
      [1, 9],
      [2, 9],
      [1, 10],
      [2, 9],
      [2, 8],
    ]),
    ['fresh', 'fresh', 'older-epoch', 'duplicate', 'fresh'],
  )
})

test('what lies below the window of 1,024 counts as seen', () => {
  assert.equal(
    judgeAll([
      [1, 1025],
      [1, 2],
      [1, 1],
    ]),
    ['fresh', 'fresh', 'duplicate'],
  )
  assert.equal(
    judgeAll([
      [1, 1],
      [1, Number.MAX_SAFE_INTEGER],
      [1, 1],
    ]),
    ['fresh', 'fresh', 'duplicate'],
  )
})

test('against any order and repetition each message is fresh at most once, and its memory stays bounded', () => {
  const message = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3000 }))
  assertProperty(
    fc.property(fc.array(message, { maxLength: 300 }), messages => {
      const verdicts = judgeAll(messages)
      const fresh = messages.filter((_, i) => verdicts[i] === 'fresh').map(String)
      assert.is(new Set(fresh).size, fresh.length)
    }),
  )
  let window: ReplayWindow | undefined
  for (let sequence = 1; sequence < 5000; sequence++) window = judgeFreshness(window, 1, sequence).window
  assert.is(window!.seen.toString(2).length, 1024)
})

test('what is forgotten is fresh again, and nothing else', () => {
  let window = judgeFreshness(undefined, 1, 10).window
  window = judgeFreshness(window, 1, 9).window
  const less = forget(window, 1, 10)
  assert.is(judgeFreshness(less, 1, 10).verdict, 'fresh')
  assert.is(judgeFreshness(less, 1, 9).verdict, 'duplicate')
  assert.equal(forget(window, 2, 10), window)
  assert.equal(forget(window, 1, 11), window)
})

test('a window comes back from the journal and still knows its duplicates', () => {
  let window: ReplayWindow | undefined
  for (const sequence of [5, 1, 900]) window = judgeFreshness(window, 4, sequence).window
  const peer = 'ab'.repeat(20)
  const stored = encodeAs(replayWindows, new Map([[peer, window!]]))
  assert.is(stored.length, 161)
  const restored = must(decodeAs(replayWindows, stored, 'windows', 200)).get(peer)!
  assert.equal(restored, window)
  assert.is(judgeFreshness(restored, 4, 5).verdict, 'duplicate')
  assert.is(judgeFreshness(restored, 4, 6).verdict, 'fresh')
})

test.run()
