/** What the service manager hears, and until when. */
import { startService } from '../../agent/service.ts'
import { drainPromises } from '../../drivers/drain.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { done, fail, type Result } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'

const ROUND_MS = 100
const WATCHDOG_MS = 10_000

function service(watchdogMs: number | undefined, tell: (state: string) => Result<void> = () => done) {
  const { timers, advance } = createSimTime(0, drainPromises)
  const heard: string[] = []
  const said: string[] = []
  const turns = { relays: 0, chargers: 0 }
  const still = new Set<string>()
  timers.every(ROUND_MS, () => {
    for (const name of ['relays', 'chargers'] as const) if (!still.has(name)) turns[name]++
  })
  const manager = {
    watchdogMs,
    tell: (state: string) => {
      heard.push(state)
      return tell(state)
    },
  }
  const log = (_level: string, _area: string, text: string) => void said.push(text)
  const started = startService({
    manager,
    loops: { relays: () => turns.relays, chargers: () => turns.chargers },
    timers,
    log,
  })
  return {
    ...{ heard, said, advance, started },
    /** Which loops stand still from now on. */
    halt: (...loops: readonly ('relays' | 'chargers')[]) => {
      still.clear()
      for (const loop of loops) still.add(loop)
    },
  }
}

const test = suite('service')

test('the manager hears at once that the agent is up, then a word in each half of its time, then the end', async () => {
  const { heard, advance, started } = service(WATCHDOG_MS)
  assert.equal(heard, ['READY=1'])
  await advance(WATCHDOG_MS / 2 - 1)
  assert.equal(heard, ['READY=1'])
  await advance(2.5 * WATCHDOG_MS)
  assert.equal(heard.slice(1), new Array(5).fill('WATCHDOG=1'))
  started.stopping()
  await advance(5 * WATCHDOG_MS)
  assert.equal(heard.slice(6), ['STOPPING=1'])
})

for (const loop of ['relays', 'chargers'] as const)
  test(`a control loop of the ${loop} that stands still is not spoken for, though every other timer runs on`, async () => {
    const { heard, said, advance, halt } = service(WATCHDOG_MS)
    await advance(WATCHDOG_MS)
    const fed = heard.length
    halt(loop)
    await advance(WATCHDOG_MS / 2)
    const last = heard.length
    await advance(WATCHDOG_MS)
    assert.is(heard.length, last, 'fed while the loop stood still')
    assert.ok(last <= fed + 1)
    assert.match(said.at(-1)!, new RegExp(`of the ${loop} stands still`))
    halt()
    await advance(WATCHDOG_MS)
    assert.ok(heard.length > last, 'fed again once it runs')
  })

test('where nobody watches nobody is fed', async () => {
  const { heard, advance } = service(undefined)
  await advance(10 * WATCHDOG_MS)
  assert.equal(heard, ['READY=1'])
})

test('a manager that does not hear is in the log, and the next word is tried all the same', async () => {
  const { heard, said, advance } = service(WATCHDOG_MS, () => fail({ code: 'native.call', call: 'sendto', errno: 11 }))
  await advance(WATCHDOG_MS)
  assert.is(heard.length, 3)
  assert.is(said.length, 3)
})

test.run()
