import { openBlockStore } from '../../../agent/validator/block-store.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { storedChain } from './stored-chain.ts'

const test = suite('block store')

const ports = (sim = createSimDisk({ random: () => 0 })) => ({ disk: sim.mount(), ...createSimTime(0, drainPromises) })

test('blocks come back as they were, after a restart too', async () => {
  const sim = createSimDisk({ random: () => 0 })
  const { blocks } = await storedChain(6)
  const store = must(await openBlockStore(ports(sim)))
  assert.equal([store.oldest, store.newest], [0n, 0n])
  for (const block of blocks) must(await store.append(block))
  await store.close()
  const again = must(await openBlockStore(ports(sim)))
  assert.equal([again.oldest, again.newest], [1n, 6n])
  for (const block of blocks) assert.equal(must(await again.read(block.header.height)), block)
  assert.is(must(await again.read(7n)), undefined)
})

test.run()
