import { DEADLINE_MS, foundBy } from '../agent/cli/init-desk.ts'
import { suite } from '../harness.ts'

const test = suite('init, search')

test('a meter is found on a serial line among all its addresses', () => foundBy(), 5 * DEADLINE_MS)

test.run()
