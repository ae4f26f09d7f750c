import { readKept } from '../../../agent/relays/kept.ts'
import { createRelayControl } from '../../../agent/relays/run.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { done, must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('what is kept of the relays')

/** An agent without contacts on this disk, as after a start. */
async function started(disk: ReturnType<typeof createSimDisk>) {
  const { clock, timers } = createSimTime(0, drainPromises)
  const none = {
    ends: [],
    facts: () => assert.unreachable() as never,
    meterOf: () => undefined,
    watchdogFed: () => undefined,
  }
  const told = { intend: async () => done, onEvent: () => {}, health: () => {}, log: () => {} }
  return createRelayControl({ ...none, ...told, clock, timers, ...must(await readKept(disk.mount())) })
}

test('a person who has taken the contacts over still has them after a restart, until he gives them back', async () => {
  const disk = createSimDisk({ random: () => 0.5 })
  const first = await started(disk)
  assert.is(first.isManual(), false)
  must(await first.setManual(true))
  disk.cut()
  const second = await started(disk)
  assert.is(second.isManual(), true)
  must(await second.setManual(false))
  disk.cut()
  assert.is((await started(disk)).isManual(), false)
})

test('what cannot be kept is said, and no contact may close before it is', async () => {
  let full = false
  const disk = createSimDisk({ random: () => 0.5, strike: () => (full ? 'full' : undefined) })
  const control = await started(disk)
  full = true
  assert.not.ok((await control.setManual(true)).ok)
  assert.is(control.isManual(), true)
  full = false
  must(await control.setManual(true))
  full = true
  assert.not.ok((await control.setManual(false)).ok)
  assert.is(control.isManual(), true)
})

test('a file that says neither is read as a person who is there', async () => {
  const disk = createSimDisk({ random: () => 0.5 })
  must(await disk.mount().replace('manual', utf8('of')))
  assert.is((await started(disk)).isManual(), true)
})

test.run()
