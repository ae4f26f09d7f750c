import { forget, placeOf, reach, type SeenWindow, see } from '../../../protocol/crypto/window.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'

const test = suite('window of seen numbers')

type Step = readonly [act: 'see' | 'reach' | 'forget', epoch: number, number: number]

/** All that happened, and no window: what a window may say of it. */
function modelOf(size: number) {
  let epoch = -1
  let highest = 0
  const seen = new Set<number>()
  const place = (at: number, number: number) => {
    if (at > epoch) return 'ahead'
    if (at < epoch) return 'older-epoch'
    if (number > highest) return 'ahead'
    if (highest - number >= size) return 'below'
    return seen.has(number) ? 'seen' : 'unseen'
  }
  return {
    place,
    step([act, at, number]: Step) {
      const was = place(at, number)
      if (act === 'forget') {
        if (was === 'seen') seen.delete(number)
        return
      }
      if (was === 'older-epoch' || was === 'below') return
      if (at > epoch) seen.clear()
      highest = at > epoch ? number : Math.max(highest, number)
      epoch = at
      if (act === 'see') seen.add(number)
    },
  }
}

const NEAR = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 200 }))
const FAR = fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 40 - 1, Number.MAX_SAFE_INTEGER)
const steps = fc.array(
  fc.tuple(
    fc.constantFrom('see' as const, 'see' as const, 'reach' as const, 'forget' as const),
    fc.oneof({ weight: 1, arbitrary: fc.nat(2) }, { weight: 9, arbitrary: fc.constant(1) }),
    fc.oneof({ weight: 40, arbitrary: NEAR }, { weight: 1, arbitrary: FAR }),
  ),
  { minLength: 20, maxLength: 80 },
)

test('in any order of numbers and epochs a window says what a list of all that happened says', () => {
  const met: Record<string, number> = {}
  assertCovering(
    fc.property(fc.constantFrom(1, 8, 64, 1024), steps, (size, all) => {
      const model = modelOf(size)
      let window: SeenWindow | undefined
      for (const one of all) {
        const [act, epoch, number] = one
        const place = placeOf(window, size, epoch, number)
        assert.is(place, model.place(epoch, number), `${one} of ${JSON.stringify(all)}`)
        met[`${act} ${place}`] = (met[`${act} ${place}`] ?? 0) + 1
        if (act === 'forget') window = window && forget(window, size, epoch, number)
        else if (act === 'reach') window = reach(window, size, epoch, number)
        else if (place !== 'below' && place !== 'older-epoch') window = see(window, size, epoch, number)
        model.step(one)
        assert.ok(window === undefined || window.seen < 1n << BigInt(size), 'bounded')
      }
    }),
    600,
  )
  for (const act of ['see', 'reach', 'forget'])
    for (const place of ['ahead', 'unseen', 'seen', 'below', 'older-epoch'])
      assert.ok((met[`${act} ${place}`] ?? 0) > 20, `${act} ${place}: ${met[`${act} ${place}`]}`)
})

test.run()
