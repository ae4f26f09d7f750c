/** A million random slots, each settled and judged anew from the definition. */
import { assert, suite } from '../harness.ts'
import { judgeSlots } from '../protocol/trade/random-slots.ts'

const test = suite('a million slots')

test('1,000,000 random slots: no residue, each watt-hour once, no charge to the wrong party, in any order', () => {
  const seed = Number(process.env['TIELINE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  process.stdout.write(`seed ${seed}\n`)
  const { wrongParty, residue, charges, disputed } = judgeSlots(seed, 1_000_000)
  process.stdout.write(`${charges} charges, ${disputed} disputed contracts\n`)
  assert.equal({ wrongParty, residue }, { wrongParty: 0, residue: 0 })
  assert.ok(charges > 500_000 && disputed > 50_000)
}, 600_000)

test.run()
