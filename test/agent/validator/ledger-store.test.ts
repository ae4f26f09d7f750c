import { openLedgerStore, resumeLedger } from '../../../agent/validator/ledger-store.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { storedChain } from './stored-chain.ts'

const test = suite('ledger store')

const ports = (sim = createSimDisk({ random: () => 0 })) => ({ disk: sim.mount(), ...createSimTime(0, drainPromises) })

test('a ledger goes on where it was saved', async () => {
  const sim = createSimDisk({ random: () => 0 })
  const { beginning, commits, app } = await storedChain(6)
  const store = must(await openLedgerStore(ports(sim)))
  assert.is(must(await resumeLedger(store)), undefined)
  must(await store.replaceWith(beginning))
  for (const commit of commits) must(await store.commit(commit))
  await store.close()
  const again = must(await openLedgerStore(ports(sim)))
  const resumed = must(await resumeLedger(again))!
  assert.is(resumed.height, 6n)
  assert.equal(resumed.appHash, app.appHash)
  const saved = must(await again.load())!
  assert.equal(
    [...saved.state.headerHashes],
    commits.map(each => each.hash),
  )
})

test.run()
