import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createHomeMeter } from '../../../hw/sim/home-meter.ts'
import type { Measured } from '../../../hw/sim/register-image.ts'
import { milliwatts } from '../../../protocol/quantity.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('home meter')
const MIDSUMMER = Date.UTC(2026, 5, 21)

/** A day of values, a minute apart. */
async function dayOf(seed: number): Promise<readonly Measured[]> {
  const time = createSimTime(MIDSUMMER, drainPromises)
  const measure = createHomeMeter(seed, time.clock)
  const values: Measured[] = []
  for (let minute = 0; minute < 1440; minute++) {
    values.push(measure())
    await time.advance(60_000)
  }
  return values
}

test('counters rise by what flowed, by import or by export and never both at once', async () => {
  const values = await dayOf(1)
  let both = 0
  for (const [i, now] of values.slice(1).entries()) {
    const before = values[i]!
    const [imported, exported] = [now.imported - before.imported, now.exported - before.exported]
    if (imported > 0n && exported > 0n) both++
    // The power stood for a minute: P / 60, to a milliwatt-hour.
    const expected = before.powerMw / 60
    assert.ok(
      Math.abs(Number(imported - exported) - expected) <= 3,
      `minute ${i}: ${imported - exported} of ${expected}`,
    )
  }
  assert.is(both, 0)
  const total = (pick: (m: Measured) => bigint) => Number(pick(values.at(-1)!) - pick(values[0]!)) / 1e6
  assert.ok(total(m => m.imported) > 3, `${total(m => m.imported)} kWh in`)
  assert.ok(total(m => m.exported) > 3, `${total(m => m.exported)} kWh out on midsummer day`)
})

test('a steady power flows at all times, one way', async () => {
  for (const kw of [6, -6]) {
    const time = createSimTime(MIDSUMMER, drainPromises)
    const measure = createHomeMeter(1, time.clock, milliwatts(kw * 1_000_000))
    const before = measure()
    await time.advance(3_600_000)
    const after = measure()
    assert.is(after.powerMw, kw * 1_000_000)
    assert.equal(
      [after.imported - before.imported, after.exported - before.exported],
      kw > 0 ? [6_000_000n, 0n] : [0n, 6_000_000n],
    )
  }
})

test('phases add up, voltage stays within what the grid allows and current is what they carry', async () => {
  for (const { phases, powerMw, currentMa, frequencyMhz } of await dayOf(7)) {
    assert.is(
      phases!.reduce((sum, phase) => sum + phase.powerMw, 0),
      powerMw,
    )
    assert.is(
      phases!.reduce((sum, phase) => sum + phase.currentMa, 0),
      currentMa,
    )
    assert.ok(Math.abs(frequencyMhz - 50_000) <= 200)
    for (const phase of phases!) {
      // EN 50160: within 10 %.
      assert.ok(Math.abs(phase.voltageMv - 230_000) <= 23_000)
      assert.ok(phase.currentMa >= Math.floor((1000 * Math.abs(phase.powerMw)) / phase.voltageMv))
    }
  }
})

test('the same seed measures the same, another one something else', async () => {
  const [a, again, b] = [await dayOf(1), await dayOf(1), await dayOf(2)]
  assert.equal(a, again)
  assert.not.equal(a, b)
})

test.run()
