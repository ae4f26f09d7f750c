/** The simulated folders keep the contract of real ones, and lose what was not synced. */
import { seededRandom } from '../../../hw/sim/random.ts'
import { createSimTree } from '../../../hw/sim/tree.ts'
import { treeCases } from '../../contracts/tree.ts'
import { suite } from '../../harness.ts'

const test = suite('simulated tree')

treeCases(test, 'simulated', async () => {
  const disk = createSimTree({ random: seededRandom(1) })
  return { tree: disk.mount(), again: async () => disk.mount(), end: async () => {} }
})

test.run()
