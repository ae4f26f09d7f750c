import { acceptCurve, createCurveRing } from '../../../agent/web/curve-ring.ts'
import type { Curve } from '../../../agent/web/snapshot.ts'
import { createCache } from '../../../drivers/store/cache.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const CURVE: Curve = {
  at: [0, 60_000, 120_000],
  powerMw: [1_500_000, null, -2_000_000_000_000],
  solarMw: [null, null, 7],
}

const test = suite('cache')
const newDisk = () => createSimDisk({ random: seededRandom(7) })

test('what was saved comes back after the power was cut', async () => {
  const disk = newDisk()
  must(await createCache(disk.mount(), 'curves', acceptCurve).save(CURVE))
  disk.cut()
  assert.equal(await createCache(disk.mount(), 'curves', acceptCurve).load(), CURVE)
})

test('nothing saved is nothing, not a fault', async () => {
  assert.is(await createCache(newDisk().mount(), 'curves', acceptCurve).load(), undefined)
})

test('a flip of any bit, and a cut at any byte, is nothing and never a wrong curve', async () => {
  const disk = newDisk()
  const mounted = disk.mount()
  const cache = createCache(mounted, 'curves', acceptCurve)
  must(await cache.save(CURVE))
  const good = must(await mounted.read('curves')).slice()
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bad = good.slice()
    bad[bit >> 3]! ^= 1 << (bit & 7)
    must(await mounted.replace('curves', bad))
    assert.is(await cache.load(), undefined, `bit ${bit}`)
  }
  for (let length = 0; length < good.length; length++) {
    must(await mounted.replace('curves', good.slice(0, length)))
    assert.is(await cache.load(), undefined, `${length} bytes`)
  }
})

test('well-formed state that is no curve is not taken for one', async () => {
  const disk = newDisk().mount()
  for (const value of [
    null,
    7,
    { ...CURVE, at: [0, 60_000] },
    { ...CURVE, at: [60_000, 0, 120_000] },
    { ...CURVE, powerMw: [1.5, null, 2] },
    { ...CURVE, solarMw: ['1', null, 2] },
  ]) {
    must(await createCache<unknown>(disk, 'curves', it => it).save(value))
    assert.is(await createCache(disk, 'curves', acceptCurve).load(), undefined, JSON.stringify(value))
  }
})

test('a curve has one averaged point a step, gaps where nothing was known, and an end', () => {
  const ring = createCurveRing(3, 1000)
  ring.add(instant(100), 10, null)
  ring.add(instant(900), 20, 5)
  ring.add(instant(1500), null, null)
  assert.equal(ring.view(), { at: [0, 1000], powerMw: [15, null], solarMw: [5, null] })
  for (const at of [2000, 3000, 4000]) ring.add(instant(at), at, 0)
  assert.equal(ring.view().at, [2000, 3000, 4000])
})

test('a step back of the clock does not leave points in the future', () => {
  const ring = createCurveRing(10, 1000)
  for (const at of [5000, 6000, 7000]) ring.add(instant(at), 1, null)
  ring.add(instant(6100), 3, null)
  assert.equal(ring.view(), { at: [5000, 6000], powerMw: [1, 2], solarMw: [null, null] })
})

test('a restart goes on from the cached curve without repeating a step', () => {
  const ring = createCurveRing(4, 60_000)
  ring.add(instant(120_000), 9, null)
  ring.add(instant(180_000), 8, null)
  ring.restore(CURVE)
  assert.equal(ring.view(), {
    at: [0, 60_000, 120_000, 180_000],
    powerMw: [1_500_000, null, 9, 8],
    solarMw: [null, null, null, null],
  })
})

test.run()
