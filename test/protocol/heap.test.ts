/** The heap against a sorted list, with pushes and takes in any order. */
import { createHeap } from '../../protocol/heap.ts'
import { assert, suite } from '../harness.ts'
import { assertProperty, fc } from '../property.ts'

const test = suite('heap')

test('what is taken is always the least of what is there', () => {
  assertProperty(
    fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 20 }), { freq: 3 })), steps => {
      const heap = createHeap<number>((a, b) => a < b)
      const list: number[] = []
      for (const step of steps) {
        assert.is(heap.first(), list[0])
        if (step === null) assert.is(heap.take(), list.shift())
        else {
          heap.push(step)
          list.push(step)
          list.sort((a, b) => a - b)
        }
      }
      while (list.length > 0) assert.is(heap.take(), list.shift())
      assert.is(heap.take(), undefined)
    }),
  )
})

test.run()
