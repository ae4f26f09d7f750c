/** One relay under control, whose answers come late, wrong or not at all. */
import { createDrive, type Drive } from '../../../agent/relays/drive.ts'
import { LOOP_MS } from '../../../agent/relays/rest.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Observed, OnAgentDeath, Relay } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { done, type Fault, fail, type Result } from '../../../protocol/result.ts'
import type { Position } from '../../../protocol/safety/facts.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('agent/relays, drive')

const DEADLINE_MS = 1000
const STAYS: OnAgentDeath = { kind: 'stays', allowUnsupervised: true }
const opens = (withinMs: number): OnAgentDeath => ({ kind: 'opens', withinMs, by: 'a timer' })
const DOWN: Fault = { code: 'line.closed' }

/** A drive in the control loop before a relay that does what the test says. */
function bench(onAgentDeath: OnAgentDeath = STAYS) {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const relay = { position: 'open' as Position, down: false, silent: false, lateMs: 0 }
  const sent: { readonly to: Position; readonly at: number }[] = []
  async function answer<T>(value: T, down: T): Promise<T> {
    if (relay.silent) return new Promise(() => {})
    if (relay.lateMs > 0) await timers.sleep(relay.lateMs)
    return relay.down ? down : value
  }
  const port: Relay = {
    name: 'bank.1',
    onAgentDeath,
    command(to) {
      sent.push({ to, at: clock.mono() })
      if (!relay.down && !relay.silent) relay.position = to
      return answer<Result<void>>(done, fail(DOWN))
    },
    observe: () => answer<Observed>({ seen: relay.position }, { seen: 'unknown', why: DOWN }),
    close: async () => {},
  }
  let drive: Drive | undefined
  drive = createDrive('L1.line', port, DEADLINE_MS, { clock, timers, log: () => {} }, () => {})
  timers.every(LOOP_MS, () => drive!.tend(true))
  return { drive, relay, sent, advance, clock }
}

test('an opening that was refused is no trouble any more once the contact is seen open', async () => {
  for (const downMs of [50, 150, 250, 350, 450, 650, 850, 1050]) {
    const { drive, relay, advance } = bench()
    relay.down = true
    void drive.send('open')
    await advance(downMs)
    assert.is(drive.trouble()?.code, 'line.closed')
    relay.down = false
    await advance(2000)
    assert.equal([drive.look?.seen, drive.trouble()], ['open', undefined], `down for ${downMs} ms`)
  }
})

test('a closed contact is renewed within half of its dead-man time, whatever that is', async () => {
  for (const withinMs of [250, 300, 333, 400, 500, 503, 600, 700, 1000, 1500, 2000, 5000, 10_000]) {
    const { drive, sent, advance } = bench(opens(withinMs))
    void drive.send('closed')
    await advance(30_000)
    const gaps = sent.slice(1).map(({ at }, n) => at - sent[n]!.at)
    assert.ok(gaps.length > 3 && Math.max(...gaps) <= withinMs / 2, `${withinMs}: up to ${Math.max(...gaps)} ms`)
  }
})

test('a relay that falls silent is unknown and raised when its time is over, and opened all the same', async () => {
  const { drive, relay, sent, advance } = bench(opens(2000))
  void drive.send('closed')
  await advance(1000)
  assert.equal([drive.look?.seen, drive.trouble()], ['closed', undefined])
  relay.silent = true
  await advance(DEADLINE_MS + 700)
  assert.is(drive.look?.seen, 'unknown')
  assert.is(drive.trouble()?.code, 'control.no-answer')
  const before = sent.length
  void drive.send('open')
  // At once, though an answer is still waited for; and again, for nobody knows that it came.
  assert.equal(
    sent.slice(before).map(({ to }) => to),
    ['open'],
  )
  await advance(5000)
  const openings = sent.slice(before)
  assert.ok(openings.length > 2 && openings.every(({ to }) => to === 'open'))
  relay.silent = false
  await advance(3000)
  assert.equal([drive.look?.seen, drive.trouble()], ['open', undefined])
})

test('what a late relay shows of before a command is not taken for its outcome', async () => {
  const { drive, relay, advance } = bench(opens(2000))
  void drive.send('closed')
  await advance(1000)
  relay.lateMs = 400
  await advance(1000)
  assert.is(drive.look?.seen, 'closed')
  // A look is under way, begun while the contact was closed; the board takes the opening and does not carry it out.
  void drive.send('open')
  relay.position = 'closed'
  assert.is(drive.look, undefined)
  await advance(350)
  assert.is(drive.look, undefined)
  await advance(2 * DEADLINE_MS)
  assert.is(drive.look?.seen === 'open' || drive.trouble()?.code === 'control.elsewhere', true)
})

test('an answer after its time is over is none: the contact is unknown and raised', async () => {
  const { drive, relay, advance } = bench(opens(10_000))
  void drive.send('closed')
  await advance(1000)
  relay.lateMs = DEADLINE_MS + 200
  for (let n = 0; n < 40; n++) {
    await advance(250)
    if (n >= 6) assert.equal([drive.look?.seen, drive.trouble()?.code], ['unknown', 'control.no-answer'])
  }
})

test.run()
