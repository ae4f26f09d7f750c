/** Homes without smart meters: what was credited is held against the wires, and a reader that counts bounces is found out. */
import { runNoMeter } from '../../../hw/scenario/no-meter.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('scenario without smart meters')
const SETTINGS = { seed: 1, realSigner: false, onProgress: () => {} }

test('each class is settled, every Wh is booked once, and a haircut stays with the supplier', async () => {
  const { ok, facts, problems } = await runNoMeter(SETTINGS, { slots: 1 })
  assert.ok(ok, problems.join('\n'))
  for (const [trust, wh] of Object.entries(facts['settled_by_class'] as object)) assert.ok(wh > 0, trust)
  assert.is(facts['estimates_residue_micro'], 0)
  for (const { home, trust, wires_wh, estimated_wh, credited_wh, supplier_wh } of facts['homes'] as {
    home: string
    trust: string
    wires_wh: number
    estimated_wh: number
    credited_wh: number
    supplier_wh: number
  }[]) {
    assert.is(credited_wh + supplier_wh, estimated_wh, home)
    assert.ok(supplier_wh > 0, home)
    // Of what the meter turned, pulses miss the begun watt-hours at both ends.
    if (trust === 'pulse') assert.ok(Math.abs(estimated_wh - wires_wh) <= 2, `${estimated_wh} of ${wires_wh}`)
  }
}, 240_000)

test('a pulse reader that counts bounces credits more than flowed, and the judge says so', async () => {
  const { ok, problems } = await runNoMeter(SETTINGS, { slots: 1, leastMs: 1 })
  assert.ok(!ok)
  assert.ok(
    problems.some(problem => /^pip's pulses are credited \d+ Wh, and \d+ flowed$/.test(problem)),
    problems.join('\n'),
  )
}, 240_000)

test.run()
