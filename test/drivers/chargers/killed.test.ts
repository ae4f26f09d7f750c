/**
 * kill -9 of a process that holds a charger at 16 A while a car draws it, over a real device. The simulated station keeps
 * its own clock: in step with the machine while the process lives, and afterwards as fast as it can be counted.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { openTcpServer } from '../../../drivers/line/tcp-server.ts'
import type { OnAgentSilence } from '../../../drivers/ports.ts'
import type { SimCharger } from '../../../hw/sim/chargers/station.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { BOOT_MA, inMemory, KINDS, type Kind, MOST_MA, SUPERVISED } from './bench.ts'

const test = suite('chargers whose agent is killed')

const PROGRAM = fileURLToPath(new URL('./holding-charger.ts', import.meta.url))
const CAR = { bootMa: BOOT_MA, carMa: 32_000, reactionMs: 1_000 } as const
/** The process renews so often before it is killed. */
const HELD = 3
/** Twice the longest time that any of them declares. */
const LONGEST_MS = 200_000

interface Fall {
  readonly declared: OnAgentSilence
  /** What the car drew when the agent was killed, and how long after that it was at the failsafe current or below. */
  readonly drawnMa: number
  readonly afterMs: number | undefined
  readonly endMa: number
}

async function killAt(kind: Kind): Promise<Fall> {
  const system = createSystemTime()
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const parts = { ...CAR, clock, timers }
  const { onAgentSilence: declared } = (await inMemory(kind)).charger

  let sim: SimCharger | undefined
  let [place, end]: [string?, (() => Promise<void>)?] = []
  if (kind.wire === 'tcp') {
    const server = must(
      await openTcpServer({ host: '127.0.0.1', port: 0 }, device => {
        sim = kind.simulate(device, parts)
      }),
    )
    place = String(server.port)
    end = () => server.close()
  } else {
    const device = must(await openPty())
    sim = kind.simulate(device, parts)
    place = device.path
    end = () => device.close()
  }

  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, kind.name, place, String(MOST_MA)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let held = 0
  let gone = false
  child.stdout.on('data', (chunk: Buffer) => {
    held += String(chunk).split('held').length - 1
  })
  const over = new Promise<void>(resolve =>
    child.once('close', () => {
      gone = true
      resolve()
    }),
  )
  try {
    let last = system.clock.fine()
    while (!gone && (held < HELD || sim === undefined || sim.station.drawnMa() < MOST_MA)) {
      await system.timers.sleep(1)
      const now = system.clock.fine()
      await advance(now - last)
      last = now
    }
    assert.not.ok(gone, 'the program ended by itself')
    child.kill('SIGKILL')
    await over
    const killedAt = clock.mono()
    const drawnMa = sim!.station.drawnMa()
    const toMa = declared.kind === 'falls-back' ? declared.toMa : 0
    let afterMs: number | undefined
    while (clock.mono() - killedAt < LONGEST_MS) {
      await advance(10)
      if (afterMs === undefined && sim!.station.drawnMa() <= toMa) afterMs = clock.mono() - killedAt
    }
    return { declared, drawnMa, afterMs, endMa: sim!.station.drawnMa() }
  } finally {
    child.kill('SIGKILL')
    await over
    await end()
  }
}

/** All at once: each spends its time waiting. */
const falls = new Map(KINDS.map(kind => [kind, killAt(kind)] as const))
// Each is told by its own test, however long before that it went wrong.
for (const fall of falls.values()) fall.catch(() => {})
const DEADLINE_MS = 300_000

for (const kind of SUPERVISED)
  test(
    `${kind.name}: the car is at the failsafe current within the declared time`,
    async () => {
      const { declared, drawnMa, afterMs = Number.POSITIVE_INFINITY, endMa } = await falls.get(kind)!
      assert.is(drawnMa, MOST_MA)
      if (declared.kind !== 'falls-back') throw new Error('declares nothing')
      const { withinMs, toMa } = declared
      process.stdout.write(`${kind.name}: declared ${withinMs} ms to ${toMa} mA, seen ${afterMs} ms to ${endMa} mA\n`)
      assert.ok(afterMs <= withinMs, `${afterMs} ms`)
      assert.ok(endMa <= toMa)
    },
    DEADLINE_MS,
  )

for (const kind of KINDS.filter(one => !SUPERVISED.includes(one)))
  test(
    `${kind.name}: it keeps the limit, as it declares`,
    async () => {
      const { declared, drawnMa, afterMs, endMa } = await falls.get(kind)!
      assert.equal([declared.kind, drawnMa, afterMs, endMa], ['keeps', MOST_MA, undefined, MOST_MA])
    },
    DEADLINE_MS,
  )

test.run()
