import { DEADLINE_MS, killedAt, STEPS } from '../agent/cli/init-desk.ts'
import { suite } from '../harness.ts'

const test = suite('init, killed')

test(
  'killed after every question it goes on where it stopped, and writes nothing before the end',
  () => killedAt([...STEPS.keys()]),
  5 * DEADLINE_MS,
)

test.run()
