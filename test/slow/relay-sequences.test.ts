/** Every sequence of six inputs of all through `decide`, from wherever a line can stand; half an hour or so. */
import { explore, inputsOf, startsOf } from '../agent/relays/sequence-explorer.ts'
import { assert, suite } from '../harness.ts'

const test = suite('relays, every long sequence')
const HOUR = 3_600_000

for (const side of ['seller', 'buyer'] as const) {
  for (const { name, node } of startsOf(side)) {
    test(
      `${side}, from ${name}: no 6 inputs of all, or 4 of the finer ones, leave a contact closed against a condition`,
      () => {
        const all = explore(side, node, 6, inputsOf(side))
        const finer = explore(side, node, 4, inputsOf(side, true))
        assert.equal([...all.found, ...finer.found], [])
        process.stdout.write(
          `${side}, ${name}: ${all.worlds} + ${finer.worlds} worlds, ${all.steps} + ${finer.steps} steps\n`,
        )
      },
      HOUR,
    )
  }
}

test.run()
