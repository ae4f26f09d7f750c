import { type Risen, readRisen, rise, risenText } from '../../../agent/publish/rising.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'

const test = suite('counters that never go down')

/** What is told of these registers, one after the other. */
function toldOf(registers: readonly (readonly [meterId: string, register: bigint])[]): (bigint | undefined)[] {
  let risen: Risen | undefined
  return registers.map(([meterId, register]) => {
    const next = rise(risen, meterId, register)
    risen = next?.risen ?? risen
    return next?.told
  })
}

test('a meter’s own register is told as it is', () => {
  assert.equal(
    toldOf([
      ['a', 5n],
      ['a', 5n],
      ['a', 9n],
    ]),
    [5n, 5n, 9n],
  )
})

test('a meter that was exchanged goes on where the old one ended', () => {
  assert.equal(
    toldOf([
      ['a', 900n],
      ['b', 3n],
      ['b', 10n],
      ['c', 4000n],
      ['c', 4001n],
    ]),
    [900n, 900n, 907n, 907n, 908n],
  )
})

test('a register that goes back is not told until it has caught up', () => {
  assert.equal(
    toldOf([
      ['a', 9n],
      ['a', 4n],
      ['a', 8n],
      ['a', 9n],
      ['a', 12n],
    ]),
    [9n, undefined, undefined, 9n, 12n],
  )
})

test('whatever meters come and go, what is told never falls, and rises by what one meter counted', () => {
  let swaps = 0
  const step = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.bigInt(0n, 1000n))
  assertCovering(
    fc.property(fc.array(step, { maxLength: 40 }), registers => {
      let [last, before]: [bigint, readonly [string, bigint] | undefined] = [0n, undefined]
      for (const [i, told] of toldOf(registers).entries()) {
        if (told === undefined) continue
        assert.ok(told >= last)
        if (before !== undefined) {
          const [meterId, register] = registers[i]!
          if (meterId === before[0]) assert.is(told - last, register - before[1])
          else swaps++
        }
        ;[last, before] = [told, registers[i]]
      }
    }),
  )
  assert.ok(swaps > 100)
})

test('what the journal holds comes back, and what is no such text is none', () => {
  const kept = { 'grid energy_import': { meterId: 'a', base: -5n, last: 7n } }
  assert.equal(readRisen(risenText(kept)), kept)
  for (const wrong of ['', 'null', '{', '{"x":null}', '{"x":{"meterId":1,"base":"1","last":"1"}}']) {
    assert.is(readRisen(wrong), undefined, wrong)
  }
  assert.is(readRisen('{"x":{"meterId":"a","base":"0.5","last":"1"}}'), undefined)
})

test.run()
