/** A call on the evening of a ninth day: who takes less is paid for what the wires show, and nobody whose loads run on. */
import { runOfficeHomes } from '../../../hw/scenario/office-homes.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('scenario office and homes')
const SETTINGS = { seed: 3, realSigner: false, onProgress: () => {} }

interface Shown {
  readonly site: string
  readonly shifted_wh: number
  readonly paid_micro: number
}

test('of three homes that are called one boiler runs on: that home is paid nothing, the others by their meters', async () => {
  const { ok, facts, problems } = await runOfficeHomes(SETTINGS, { eveningOnly: true, deaf: ['ada'] })
  assert.ok(!ok)
  // Nothing else is wrong: money, energy, journals, the flow from the office to the homes.
  assert.equal(problems, ['nobody who trades ad_hoc was paid for taking less'])
  const calls = facts['calls'] as readonly Shown[]
  assert.equal(calls.map(({ site }) => site).sort(), ['ada', 'cat', 'dot'])
  for (const { site, shifted_wh, paid_micro } of calls) {
    if (site === 'ada') assert.equal([shifted_wh, paid_micro], [0, 0])
    else {
      // A boiler of 1.2 kW for half an hour, less the seconds before and after.
      assert.ok(shifted_wh > 580 && shifted_wh <= 600, `${site} ${shifted_wh}`)
      assert.ok(paid_micro > 225_000 && paid_micro <= 240_000, `${site} ${paid_micro}`)
    }
  }
}, 240_000)

test.run()
