/**
 * Each named fault on the simulated street, with its defence and without: a check that cannot fail is none. The same code
 * strikes and judges on real ports (npm start -- --once --fault NAME); agent-killed is there a process that gets SIGKILL.
 */
import { FAULT_NAMES } from '../../../hw/bench/result.ts'
import { runFault } from '../../../hw/sim/fault-run.ts'
import { assert, suite } from '../../harness.ts'

const t = suite('faults')
const DEADLINE_MS = 360_000

for (const name of FAULT_NAMES) {
  t(
    `${name} goes as its row says`,
    async () => {
      const { outcome, as_expected } = await runFault({ name, seed: 1, defenceOff: false })
      assert.ok(as_expected, outcome)
    },
    DEADLINE_MS,
  )
  // Late answers without the master's defence need a bus under load to be believed: test/drivers/modbus shows hundreds.
  if (name === 'late-modbus-answer') continue
  t(
    `${name} without its one defence does not`,
    async () => {
      const { outcome, as_expected } = await runFault({ name, seed: 1, defenceOff: true })
      assert.not(as_expected, outcome)
    },
    DEADLINE_MS,
  )
}

t(
  'broker-down with a second broker stops nothing',
  async () => {
    const { outcome, as_expected } = await runFault({ name: 'broker-down', seed: 1, defenceOff: false, brokers: 2 })
    assert.ok(as_expected, outcome)
  },
  DEADLINE_MS,
)

t.run()
