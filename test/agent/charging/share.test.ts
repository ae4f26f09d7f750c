/** What is free, shared; and charging by surplus: sums done by hand. */
import { share } from '../../../agent/charging/share.ts'
import { type ChargerSpec, startState } from '../../../agent/charging/state.ts'
import { followSurplus } from '../../../agent/charging/surplus.ts'
import { CHARGER_LIMITS, type ChargerTraits, unknownHold } from '../../../protocol/safety/charger-hold.ts'
import type { Fuse } from '../../../protocol/safety/site-guard.ts'
import { mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const fuse = (name: string, ma: number, under?: string): [string, Fuse] => [
  name,
  { name, under, ratingMa: [ma, ma, ma], metered: false, othersMa: [0, 0, 0] },
]
const FUSES = new Map([fuse('main', 32_000), fuse('garage', 16_000, 'main')])
const traits = (name: string, on = 'main', conductors: ChargerTraits['conductors'] = [0, 1, 2]): ChargerTraits => ({
  ...{ name, fuse: on, conductors, mostMa: 32_000, stepMa: 100, failsafeMa: 0, silenceMs: 15_000, powerOnMa: 0 },
})
const claim = (of: ChargerTraits, wantsMa: number, priority = 0) => ({
  ...{ traits: of, hold: unknownHold(of, mono(0)), wantsMa, priority },
})
const room = (main: number, garage: number) =>
  new Map([
    ['main', [main, main, main]],
    ['garage', [garage, garage, garage]],
  ])
const shares = (...args: Parameters<typeof share>) => [...share(...args).values()]

const test = suite('shares')

test('equals get equal parts, and what one does not want goes to the others', () => {
  const all = [claim(traits('a'), 32_000), claim(traits('b'), 8000), claim(traits('c'), 32_000)]
  assert.equal(shares(FUSES, room(30_000, 16_000), all), [11_000, 8000, 11_000])
})

test('everybody gets 6 A before anybody gets more; then the higher priority comes first', () => {
  const all = [claim(traits('low'), 32_000), claim(traits('high'), 20_000, 1)]
  assert.equal(shares(FUSES, room(32_000, 16_000), all), [12_000, 20_000])
  assert.equal(shares(FUSES, room(14_000, 16_000), all), [6000, 8000])
  assert.equal(shares(FUSES, room(11_900, 16_000), all), [0, 11_900])
})

test('where not all can have 6 A, it goes by turns', () => {
  const [a, b] = [claim(traits('a'), 32_000), claim(traits('b'), 32_000)]
  assert.equal(
    [...share(FUSES, room(9000, 16_000), [a, b])],
    [
      ['a', 9000],
      ['b', 0],
    ],
  )
  assert.equal(
    [...share(FUSES, room(9000, 16_000), [b, a])],
    [
      ['b', 9000],
      ['a', 0],
    ],
  )
})

test('a fuse below holds back those behind it only, and each phase is counted by itself', () => {
  const all = [claim(traits('a', 'garage'), 32_000), claim(traits('b'), 32_000)]
  assert.equal(shares(FUSES, room(32_000, 10_000), all), [10_000, 22_000])
  const single = [claim(traits('a', 'main', [0]), 32_000), claim(traits('b', 'main', [1]), 32_000)]
  assert.equal(shares(FUSES, room(20_000, 16_000), single), [20_000, 20_000])
})

test('surplus starts a car when it lasts, keeps it through a cloud, and stops it when it stays away', () => {
  const spec: ChargerSpec = {
    ...{ traits: traits('a', 'main', [0]), priority: 0, mode: 'surplus', switchesPhases: false, line: 'x' },
  }
  let state = startState({ fuses: FUSES, chargers: [spec] }, mono(0)).chargers.get('a')!
  const at = (s: number, watts: number | undefined) => {
    const mw = watts === undefined ? undefined : 1000 * watts
    const { surplus, wishMa } = followSurplus(spec, state, mw, { ...CHARGER_LIMITS, minOnMs: 0 }, mono(1000 * s))
    state = { ...state, surplus }
    return wishMa
  }
  // 6 A at 230 V are 1,380 W.
  assert.equal([at(0, 2300), at(59, 2300), at(60, 2300)], [0, 0, 10_000])
  assert.equal([at(61, 900), at(120, undefined), at(121, 1840)], [6000, 6000, 8000])
  assert.equal([at(130, 0), at(309, 0), at(310, 0), at(400, 1380)], [6000, 6000, 0, 0])
})

test('another number of phases is chosen at once while nothing charges, and only when it lasts while something does', () => {
  const spec: ChargerSpec = {
    ...{ traits: traits('a'), priority: 0, mode: 'surplus', switchesPhases: true, line: 'x' },
  }
  let state = startState({ fuses: FUSES, chargers: [spec] }, mono(0)).chargers.get('a')!
  const phasesAt = (s: number, watts: number) => {
    const { surplus } = followSurplus(spec, state, 1000 * watts, CHARGER_LIMITS, mono(1000 * s))
    state = { ...state, surplus }
    return surplus.phases
  }
  // Three phases need 4,140 W, and begin at a tenth more.
  assert.equal([phasesAt(0, 2000), phasesAt(60, 2000)], [1, 1])
  assert.equal([phasesAt(61, 4400), phasesAt(62, 4600), phasesAt(361, 4600), phasesAt(362, 4600)], [1, 1, 1, 3])
})

test.run()
