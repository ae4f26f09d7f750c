/** The guard's single steps, with sums done by hand. */
import {
  acknowledged,
  CHARGER_LIMITS,
  type ChargerLook,
  type ChargerTraits,
  elapsed,
  type Hold,
  seen,
  sent,
  unacknowledged,
  unknownHold,
} from '../../../protocol/safety/charger-hold.ts'
import { mayCharge, maySwitchPhases } from '../../../protocol/safety/charger-rules.ts'
import { type Base, baseOf, type Fuse, guard, toldLimit } from '../../../protocol/safety/site-guard.ts'
import { instant, mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const limits = CHARGER_LIMITS
const traits = (name: string, more: Partial<ChargerTraits> = {}): ChargerTraits => ({
  ...{ name, fuse: 'main', conductors: [0, 1, 2], mostMa: 32_000, stepMa: 1000, failsafeMa: 6000 },
  ...{ silenceMs: 10_000, powerOnMa: 16_000, ...more },
})
const MAIN: Fuse = {
  name: 'main',
  under: undefined,
  ratingMa: [25_000, 25_000, 25_000],
  metered: true,
  othersMa: [0, 0, 0],
}
const SUB: Fuse = {
  name: 'sub',
  under: 'main',
  ratingMa: [16_000, 16_000, 16_000],
  metered: false,
  othersMa: [0, 0, 2000],
}
const FUSES = new Map([MAIN, SUB].map(fuse => [fuse.name, fuse]))
const look = (at: number, more: Partial<ChargerLook> = {}): ChargerLook => ({
  ...{ state: 'C', begun: mono(at), taken: mono(at) },
  ...more,
})
/** Told, acknowledged and followed by `at`. */
function holding(of: ChargerTraits, ma: number, at = 0): Hold {
  const told = acknowledged(sent(unknownHold(of, mono(at)), ma, limits, mono(at)), ma, mono(at))
  return seen(told, look(at, { state: 'B', limitMa: ma }), of, limits)
}
const base = (...ma: [number, number, number]): ReadonlyMap<string, Base> =>
  new Map<string, Base>([
    ['main', { lowMa: ma, highMa: ma }],
    ['sub', { lowMa: [0, 0, 2000], highMa: [0, 0, 2000] }],
  ])
const [a, b] = [traits('a'), traits('b')]
const toldOf = (...args: Parameters<typeof guard>) => [...guard(...args).values()].map(({ ma }) => ma)

const test = suite('site guard')

test('what is wished is told as far as the tightest phase of the tightest fuse allows, in whole steps', () => {
  const one = (conductors: ChargerTraits['conductors'], fuse: string, ma: readonly [number, number, number]) =>
    toldOf(FUSES, base(...ma), [
      { traits: { ...a, conductors, fuse }, hold: holding({ ...a, conductors, fuse }, 0), wishMa: 32_000 },
    ])
  assert.equal(one([0, 1, 2], 'main', [3000, 11_500, 0]), [13_000])
  assert.equal(one([0], 'main', [3000, 11_500, 0]), [22_000])
  // The sub-fuse of 16 A with 2 A set aside on its third phase.
  assert.equal(one([0, 1, 2], 'sub', [0, 0, 0]), [14_000])
  assert.equal(one([1, 0, 2], 'sub', [0, 0, 0]), [14_000])
  assert.equal(one([0], 'sub', [0, 0, 0]), [16_000])
  // 25 A less 19.5 A are less than a car can use.
  assert.equal(one([0, 1, 2], 'main', [0, 19_500, 0]), [0])
})

test('it says why it told less', () => {
  const order = guard(FUSES, base(0, 19_500, 0), [{ traits: a, hold: holding(a, 0), wishMa: 16_000 }]).get('a')!
  assert.equal(order.permit, {
    may: false,
    because: [{ code: 'guard.fuse', fuse: 'main', phase: 2, freeMa: 5500, wishedMa: 16_000 }],
  })
})

test('decrease before increase: one goes up only when the other is seen to have gone down', () => {
  const holds = { a: holding(a, 16_000), b: holding(b, 0) }
  const step = (now: number) =>
    toldOf(FUSES, base(0, 0, 0), [
      { traits: a, hold: holds.a, wishMa: 6000 },
      { traits: b, hold: holds.b, wishMa: 16_000 },
    ]).concat(now)
  // 25 A less 16 A: nine at once, no more before the other has let go.
  assert.equal(step(0), [6000, 9000, 0])
  holds.b = holding(b, 9000)
  holds.a = seen(holds.a, look(500, { limitMa: 16_000, currentsMa: [16_000, 16_000, 16_000] }), a, limits)
  holds.a = sent(holds.a, 6000, limits, mono(1000))
  assert.equal(step(1000), [6000, 9000, 1000])
  holds.a = acknowledged(holds.a, 6000, mono(1200))
  assert.equal(step(1200), [6000, 9000, 1200])
  holds.a = seen(holds.a, look(1300, { limitMa: 6000, currentsMa: [15_000, 15_000, 15_000] }), a, limits)
  assert.equal(step(1300), [6000, 9000, 1300])
  holds.a = seen(holds.a, look(1800, { limitMa: 6000, currentsMa: [6000, 6000, 6000] }), a, limits)
  assert.equal(step(1800), [6000, 16_000, 1800])
})

test('a car that drew less all along may still rise for as long as a car may take', () => {
  let hold = holding(a, 16_000)
  hold = seen(hold, look(500, { limitMa: 16_000, currentsMa: [4000, 0, 0] }), a, limits)
  hold = acknowledged(sent(hold, 6000, limits, mono(1000)), 6000, mono(1000))
  hold = seen(hold, look(1500, { limitMa: 6000, currentsMa: [4000, 0, 0] }), a, limits)
  assert.is(hold.ceilingMa, 16_000)
  hold = seen(hold, look(7000, { limitMa: 6000, currentsMa: [4000, 0, 0] }), a, limits)
  assert.is(hold.ceilingMa, 6000)
})

test('out of reach it counts with its last limit or that of a start, then with the failsafe current', () => {
  const calm = holding(a, 10_000)
  assert.is(elapsed(calm, a, limits, mono(3000)).reach, 'heard')
  const lost = elapsed(calm, a, limits, mono(3001))
  assert.equal([lost.reach, lost.ceilingMa], ['lost', 16_000])
  assert.is(elapsed(lost, a, limits, mono(12_000)).ceilingMa, 16_000)
  const struck = elapsed(lost, a, limits, mono(12_001))
  assert.equal([struck.reach, struck.ceilingMa], ['struck', 6000])
  // It answers: nobody knows whether it was started meanwhile, until it is looked at and its car has followed.
  const back = acknowledged(sent(struck, 0, limits, mono(13_000)), 0, mono(13_100))
  assert.equal([back.reach, back.ceilingMa], ['heard', 16_000])
  assert.is(seen(back, look(13_200, { state: 'B', limitMa: 0 }), a, limits).ceilingMa, 0)
  const keeps = { ...a, silenceMs: undefined }
  assert.is(elapsed(lost, keeps, limits, mono(1e9)).ceilingMa, 16_000)
})

test('a limit that is answered by another counts with the higher of the two', () => {
  const told = sent(holding(a, 0), 8000, limits, mono(1000))
  assert.equal([unacknowledged(told, 16_000).ceilingMa, unacknowledged(told, 800).ceilingMa], [16_000, 8000])
  // Of 25 A 16 are gone.
  const orders = guard(FUSES, base(0, 0, 0), [
    { traits: a, hold: unacknowledged(told, 16_000), wishMa: 8000 },
    { traits: b, hold: holding(b, 0), wishMa: 16_000 },
  ])
  assert.equal(
    [...orders.values()].map(({ ma }) => ma),
    [8000, 9000],
  )
})

test('a charger that was restarted counts with what it starts with', () => {
  const hold = seen(holding(a, 6000), look(500, { limitMa: 8000 }), a, limits)
  assert.equal([hold.ceilingMa, hold.takenAt], [16_000, undefined])
})

test('own current is taken out of the meter’s reading once, and never more than is certain', () => {
  let hold = holding(a, 16_000)
  for (const [at, ma] of [
    [1000, 9000],
    [2000, 12_000],
    [3000, 12_000],
  ] as const)
    hold = seen(hold, look(at, { limitMa: 16_000, currentsMa: [ma, ma, 0] }), a, limits)
  const reading = (taken: number) => ({ taken: mono(taken), currentsMa: [20_000, 13_000, 1000] as const })
  const charging = [{ traits: a, hold }]
  // Between 9 A and 12 A were its own. It was rising, and may have been at its 16 A when the meter was read.
  const rising = baseOf(MAIN, [reading(2600)], charging, limits, mono(3000))
  assert.equal(rising, { lowMa: [4000, 0, 1000], highMa: [11_000, 4000, 1000] })
  hold = seen(hold, look(4000, { limitMa: 16_000, currentsMa: [12_000, 12_000, 0] }), a, limits)
  const steady = baseOf(MAIN, [reading(3600)], [{ traits: a, hold }], limits, mono(4000))
  assert.equal(steady, { lowMa: [8000, 1000, 1000], highMa: [8000, 1000, 1000] })
  // No look has followed a newer reading yet: nothing is raised by it, and more than the charger is allowed is the house's.
  const newer = { taken: mono(4500), currentsMa: [30_000, 13_000, 1000] as const }
  const sign = baseOf(MAIN, [newer], [{ traits: a, hold }], limits, mono(4500))
  assert.equal(sign, { lowMa: [14_000, 0, 0], highMa: undefined }) // L3
  // Nor goes anything up by the older one alone, as if the newer had shown no more than what the car was last seen to draw.
  assert.equal(baseOf(MAIN, [reading(3600), newer], [{ traits: a, hold }], limits, mono(4500)), {
    lowMa: [14_000, 1000, 1000],
    highMa: [18_000, 1000, 1000],
  })
  assert.is(baseOf(MAIN, [reading(500)], [{ traits: a, hold }], limits, mono(3501)), undefined)
})

test('a limit that was raised and lowered between two looks hides no current of its car', () => {
  let hold = seen(holding(a, 6000), look(1000, { limitMa: 6000, currentsMa: [6000, 6000, 6000] }), a, limits)
  hold = acknowledged(sent(hold, 16_000, limits, mono(1100)), 16_000, mono(1200))
  hold = acknowledged(sent(hold, 6000, limits, mono(2000)), 6000, mono(2100))
  hold = seen(hold, look(3000, { limitMa: 6000, currentsMa: [6000, 6000, 6000] }), a, limits)
  // 16 A of the car and 4 A of the house.
  assert.equal(lowOf(a, hold, 2600, 20_000, 20_000, 20_000), [4000, 4000, 4000])
})

test('an overload that begins or rises is the house’s, as far as chargers were told less before; nobody stops for that', () => {
  let hold = holding(a, 16_000)
  hold = acknowledged(sent(hold, 10_000, limits, mono(1000)), 10_000, mono(1100))
  hold = seen(hold, look(1500, { limitMa: 10_000, currentsMa: [10_000, 10_000, 10_000] }), a, limits)
  const low = (...shown: readonly (readonly [taken: number, ma: number])[]) => {
    const readings = shown.map(([taken, ma]) => ({ taken: mono(taken), currentsMa: [ma, ma, ma] as const }))
    const bases = baseOf(MAIN, readings, [{ traits: a, hold }], limits, mono(shown.at(-1)![0]))!
    return bases.lowMa[0]
  }
  // When the meter was read, or 1.5 s before that: then 16 A may have been the car's.
  assert.is(low([1700, 26_000]), 10_000)
  assert.is(low([1400, 12_000], [1700, 26_000]), 16_000)
  assert.is(low([1100, 12_000], [1400, 26_000], [1700, 28_000]), 18_000)
  assert.is(low([1400, 12_000], [1700, 30_000]), 19_000)
  // What rises and fits is no overload.
  assert.is(low([1400, 12_000], [1700, 25_000]), 9000)
  // What the charger was told since has lowered nothing yet.
  hold = acknowledged(sent(hold, 9000, limits, mono(1750)), 9000, mono(1800))
  assert.is(low([1400, 12_000], [1700, 26_000], [2000, 26_000]), 16_000)
})

test('where the meter is stale nothing goes up, and what is higher goes to the failsafe current', () => {
  const blind = new Map<string, Base>(base(0, 0, 0)).set('main', undefined)
  const at = (ma: number) => guard(FUSES, blind, [{ traits: a, hold: holding(a, ma), wishMa: 16_000 }]).get('a')!
  assert.equal([at(16_000).ma, at(6000).ma, at(0).ma], [6000, 6000, 0])
  assert.equal(at(16_000).permit, { may: false, because: [{ code: 'guard.meter', fuse: 'main', toMa: 6000 }] })
})

test('a limit is 0 or from 6 A to the most', () => {
  assert.equal(
    [5999, 6000, 6999, 31_900, 40_000].map(ma => toldLimit(a, ma)),
    [0, 6000, 6000, 31_000, 32_000],
  )
})

test('phases are switched only when stopped, seen stopped, and the contactor open', () => {
  const stopped = holding(a, 0)
  assert.ok(maySwitchPhases(stopped).may)
  const codes = (hold: Hold) => {
    const permit = maySwitchPhases(hold)
    return permit.may ? [] : permit.because.map(({ code }) => code)
  }
  assert.equal(codes(holding(a, 6000)), ['charger.not-stopped'])
  assert.equal(codes({ ...stopped, look: look(0) }), ['charger.charging'])
  assert.equal(codes({ ...stopped, look: look(0, { state: 'F' }) }), ['charger.state'])
  assert.equal(codes(elapsed(stopped, a, limits, mono(4000))), ['charger.state'])
  assert.equal(codes(unknownHold(a, mono(0))), ['charger.state'])
  // It was told 0 again, and might have been restarted before that.
  const again = acknowledged(sent(stopped, 0, limits, mono(3000)), 0, mono(3100))
  assert.equal(codes(again), ['charger.not-stopped'])
  assert.equal(codes(seen(again, look(3200, { state: 'B', limitMa: 0 }), a, limits)), [])
})

test('nothing charges against a person, a dead watchdog, a call to stand still, an unknown state or without its deal', () => {
  const facts = {
    ...{ now: 5000, mono: mono(5000), manual: false, watchdogFed: mono(4900), standsStill: false },
    ...{ hold: holding(a, 0), offSince: undefined },
  }
  const codes = (change: object) => {
    const permit = mayCharge({ ...facts, ...change }, limits)
    return permit.may ? [] : permit.because.map(({ code }) => code)
  }
  assert.equal(codes({}), [])
  assert.equal(codes({ manual: true }), ['permit.manual'])
  assert.equal(codes({ watchdogFed: mono(3000) }), ['permit.watchdog'])
  assert.equal(codes({ watchdogFed: mono(6000) }), ['permit.watchdog'])
  assert.equal(codes({ standsStill: true }), ['charger.stands-still'])
  assert.equal(codes({ hold: unknownHold(a, mono(0)) }), ['charger.state'])
  assert.equal(codes({ hold: { ...facts.hold, look: look(0, { state: 'E' }) } }), ['charger.state'])
  assert.equal(codes({ hold: { ...facts.hold, look: look(0, { state: 'A' }) } }), ['charger.no-car'])
  assert.equal(codes({ offSince: mono(4000) }), ['permit.off-time'])
  const deal = { id: 'd', start: instant(4000), end: instant(6000) }
  const traded = (facts: object | undefined, leaseUntil?: number, paid = true) =>
    codes({ deal: { facts, leaseUntil, paid } })
  assert.equal(traded(undefined), ['permit.no-deal'])
  assert.equal(traded(deal, 6000), [])
  assert.equal(traded(deal, 6000, false), ['permit.payment-unproven'])
  assert.equal(traded(deal, 5000), ['permit.lease-over'])
  assert.equal(traded({ ...deal, start: instant(5001) }, 9000), ['permit.not-started'])
  assert.equal(traded({ ...deal, end: instant(5000) }, 9000), ['permit.expired'])
})

const lowOf = (of: ChargerTraits, hold: Hold, at: number, ...ma: [number, number, number]) =>
  baseOf(MAIN, [{ taken: mono(at), currentsMa: ma }], [{ traits: of, hold }], limits, mono(at + 500))?.lowMa

test('a current that is measured on one conductor says nothing of the others', () => {
  let hold = holding(a, 16_000)
  for (const at of [1000, 4000, 5100]) hold = seen(hold, look(at, { limitMa: 16_000, currentsMa: [16_000] }), a, limits)
  // The car takes 16 A from each phase; 2 A are the house's.
  assert.equal(lowOf(a, hold, 5000, 18_000, 18_000, 18_000), [2000, 2000, 2000])
})

test('a charger on one phase hides no load of the house on the others', () => {
  const one = look(0, { state: 'B', limitMa: 0, phases: 1 })
  let hold = acknowledged(sent(seen(holding(a, 0), one, a, limits), 16_000, limits, mono(100)), 16_000, mono(200))
  hold = seen(hold, look(1000, { limitMa: 16_000, phases: 1 }), a, limits)
  assert.equal(lowOf(a, hold, 5000, 18_000, 20_000, 0), [2000, 20_000, 0])
})

test('a charger whose car does not charge hides no load of the house, measured or not', () => {
  let hold = holding(a, 16_000)
  for (const at of [1000, 3000, 5100]) hold = seen(hold, look(at, { state: 'B', limitMa: 16_000 }), a, limits)
  assert.equal(lowOf(a, hold, 5000, 30_000, 30_000, 0), [30_000, 30_000, 0])
  // Nobody has looked since the reading: the car may just have begun.
  assert.equal(lowOf(a, hold, 6000, 30_000, 30_000, 0), [14_000, 14_000, 0])
  const begun = seen(hold, look(6100, { limitMa: 16_000 }), a, limits)
  assert.equal(lowOf(a, begun, 6000, 18_000, 18_000, 18_000), [2000, 2000, 2000])
})

test.run()
