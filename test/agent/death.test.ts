/**
 * An agent is killed with SIGKILL while energy flows through a contact that it holds, with each relay driver. The board behind
 * the pseudo-terminal or the broker is in this process and keeps a clock of its own, which stands still when this process does:
 * its times are those of a board that is never late.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startBroker } from '../../drivers/bus/broker.ts'
import { connectBus } from '../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { drainPromises } from '../../drivers/drain.ts'
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import { openPty } from '../../drivers/line/pty.ts'
import type { Position } from '../../drivers/ports.ts'
import { startChild } from '../../drivers/process/child.ts'
import { openGpioRelays } from '../../drivers/relays/johnny-five.ts'
import { AVR_HZ, createAvrBoard } from '../../hw/sim/avr-board.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { type CoilBoardOptions, createCoilBoard } from '../../hw/sim/coil-board.ts'
import { createSimGpioBank } from '../../hw/sim/gpio-bank.ts'
import { createLcusBoard } from '../../hw/sim/lcus-board.ts'
import { serveModbus } from '../../hw/sim/modbus-slave.ts'
import { startShellyPlug } from '../../hw/sim/shelly-plug.ts'
import { must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'
import { noStandardFirmata, STANDARD_HEX } from '../hw/firmata/standard-firmata.ts'

const test = suite('death of an agent')

const HOLDING = fileURLToPath(new URL('./holding-agent.ts', import.meta.url))
const OUR_HEX = readFileSync('hw/firmata/relay.hex', 'utf8')
const KEY = 'ab'.repeat(32)
/** What a contact that stays is watched for after its agent died, on the board's clock. */
const WATCHED_MS = 4_000
/** A board's clock never passes faster than this between two looks at its wire. */
const STEP_MS = 5

const system = createSystemTime()

interface Board {
  /** Whatever else the configuration says, and the bank. */
  readonly config: { readonly lines?: string; readonly brokers?: string; readonly bank: string }
  /** Milliseconds of its own clock. */
  now(): number
  /** When it last heard anything. */
  heardAt(): number
  position(): Position
  /** Lets the board's clock pass; whole milliseconds. */
  pass(ms: number): Promise<void>
  stop(): Promise<void>
}

const listened = (end: DeviceEnd, heard: () => void): DeviceEnd => ({
  ...end,
  onBytes: hear =>
    end.onBytes(chunk => {
      heard()
      hear(chunk)
    }),
})

async function coils(kind: NonNullable<CoilBoardOptions['kind']>, bank: string): Promise<Board> {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const pty = must(await openPty())
  let heardAt = 0
  const end = listened(pty, () => {
    heardAt = clock.mono()
  })
  const board = createCoilBoard({ kind, channels: 4, moved: () => {}, clock, timers })
  const timing = { characterMs: 10_000 / 9600, turnaroundMs: 5, clock, timers, random: () => 0.5 }
  const stop = serveModbus(end, new Map([[9, board.unit]]), { framing: 'rtu', ...timing })
  return {
    config: { lines: `bus: {serial: ${pty.path}}`, bank: `{driver: modbus-coils, line: bus, unit: 9, ${bank}}` },
    now: () => clock.mono(),
    heardAt: () => heardAt,
    position: () => board.position(0),
    pass: advance,
    stop: async () => {
      stop()
      await pty.close()
    },
  }
}

async function lcus(): Promise<Board> {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const pty = must(await openPty())
  const board = createLcusBoard({ end: pty, channels: 2, reply: 'text', characterMs: 10_000 / 9600, clock, timers })
  return {
    config: {
      lines: `usb: {serial: ${pty.path}}`,
      bank: '{driver: lcus, line: usb, channels: 2, allow_unsupervised: true}',
    },
    now: () => clock.mono(),
    heardAt: () => 0,
    position: () => board.position(0),
    pass: advance,
    stop: () => pty.close(),
  }
}

async function shelly(bank: string): Promise<Board> {
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  const broker = must(await startBroker())
  const bus = must(await connectBus({ urls: [broker.url], timers: system.timers, log: () => {} }))
  let heardAt = 0
  must(
    await bus.subscribe('plug/rpc', () => {
      heardAt = clock.mono()
    }),
  )
  const plug = must(await startShellyPlug({ bus, device: 'plug', channels: 1, clock, timers }))
  return {
    config: { brokers: `["${broker.url}"]`, bank: `{driver: shelly, device: plug, ${bank}}` },
    now: () => clock.mono(),
    heardAt: () => heardAt,
    position: () => plug.position(0),
    pass: advance,
    stop: async () => {
      await bus.close()
      await broker.close()
    },
  }
}

/** Its clock is the processor's. */
async function firmata(hex: string, bank: string): Promise<Board> {
  const pty = must(await openPty())
  const board = must(createAvrBoard({ hex, end: pty }))
  const perMs = AVR_HZ / 1000
  return {
    config: {
      lines: `uno: {serial: ${pty.path}}`,
      bank: `{driver: firmata, line: uno, contacts: [{pin: 7}], ${bank}}`,
    },
    now: () => board.cycles() / perMs,
    heardAt: () => board.heardAt() / perMs,
    position: () => (board.pin(7) === 'high' ? 'closed' : 'open'),
    pass: async ms => board.run(ms * perMs),
    stop: () => pty.close(),
  }
}

const site = ({ lines = '', brokers = '["mqtt://127.0.0.1:9"]', bank }: Board['config']) => `version: 1
site: maple
role: household
data: data
keys: {account: a, metering: m, sealing: s}
ledger: {chain: c, trust: {height: 1, hash: ${KEY}}, primary: 'http://127.0.0.1:9', witnesses: []}
brokers: ${brokers}
lines: {lan: {tcp: '127.0.0.1:9'}${lines === '' ? '' : `, ${lines}`}}
meters: {L1: {line: lan, protocol: modbus-tcp, page: shelly-pro-3em, unit: 1}}
relays: {b: ${bank}}
direct_lines:
  - {id: L1, side: seller, peer: cedar, meter: L1, limit: 16A, peer_meter: "998877", contacts: {line: b.1}}
peers: {cedar: {account: ${KEY}, sealing: ${KEY}, metering: ${KEY}}}
trade: {sell: {reserve: 0.10, opening: 0.24}, slot: 120s, energy: 2kWh}
`

interface Seen {
  readonly declared: number | 'stays'
  /** From the kill, or from what the board still heard after it, to the open contact; undefined: it was still closed. */
  readonly openAfterMs: number | undefined
}

async function killHolding(board: Board): Promise<Seen> {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-death-'))
  const file = join(folder, 'site.yaml')
  writeFileSync(file, site(board.config))
  let declared: number | 'stays' | undefined
  let taken = 0
  const talk: string[] = []
  const onOut = (line: string) => {
    talk.push(line)
    if (line === 'closed') taken++
    else if (line.startsWith('{')) {
      const death = JSON.parse(line) as { kind: string; withinMs?: number }
      declared = death.kind === 'opens' ? death.withinMs : 'stays'
    }
  }
  const onErr = (line: string) => void talk.push(line)
  const child = must(await startChild({ entry: HOLDING, args: [file], onOut, onErr }))
  let last = system.clock.mono()
  const turn = async () => {
    await system.timers.sleep(1)
    const now = system.clock.mono()
    await board.pass(Math.min(now - last, STEP_MS))
    last = now
  }
  try {
    // Renewed a few times, and so that energy flows when it dies.
    const until = system.clock.mono() + 120_000
    while (taken < 4 || board.position() !== 'closed') {
      if (system.clock.mono() > until) throw new Error(`never held: ${talk.slice(-5).join(' | ')}`)
      await turn()
    }
    child.kill('SIGKILL')
    const killedAt = board.now()
    const ended = await child.ended
    assert.is(ended.signal, 'SIGKILL')
    const watchMs = declared === 'stays' ? WATCHED_MS : 2 * declared! + 1_000
    let openedAt: number | undefined
    while (board.now() < killedAt + watchMs) {
      await turn()
      if (board.position() === 'open') openedAt ??= board.now()
      else if (openedAt !== undefined) throw new Error('closed again without an agent')
    }
    const from = Math.max(killedAt, board.heardAt())
    return { declared: declared!, openAfterMs: openedAt === undefined ? undefined : openedAt - from }
  } finally {
    child.kill('SIGKILL')
    await child.ended
    await board.stop()
    rmSync(folder, { recursive: true })
  }
}

/** The driver, what it declares in milliseconds, and a board. */
const ROWS: readonly (readonly [driver: string, declared: number | 'stays', board: () => Promise<Board>])[] = [
  ['modbus-coils register-ms', 1_000, () => coils('register-ms', 'timed: 1s')],
  ['modbus-coils waveshare', 1_000, () => coils('waveshare', 'board: waveshare, timed: 1050ms')],
  ['modbus-coils r421a', 2_000, () => coils('r421a', 'board: r421a, timed: 2s')],
  ['modbus-coils ryn4', 2_000, () => coils('ryn4', 'board: ryn4, timed: 2s')],
  ['modbus-coils plain', 'stays', () => coils('plain', 'board: plain, allow_unsupervised: true')],
  ['firmata tieline', 507, () => firmata(OUR_HEX, 'firmware: tieline')],
  ['firmata standard', 'stays', () => firmata(STANDARD_HEX, 'firmware: standard, allow_unsupervised: true')],
  ['lcus', 'stays', lcus],
  ['shelly toggle_after', 2_000, () => shelly('timed: 2900ms')],
  ['shelly without a time', 'stays', () => shelly('allow_unsupervised: true')],
]

/** So many at a time: they mostly wait. */
const AT_ONCE = 5
let free = AT_ONCE
const queue: (() => void)[] = []
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (free === 0) await new Promise<void>(resolve => queue.push(resolve))
  else free--
  try {
    return await work()
  } finally {
    const next = queue.shift()
    if (next === undefined) free++
    else next()
  }
}

const missing = (driver: string) => (driver === 'firmata standard' ? noStandardFirmata : undefined)
const runs = ROWS.map(([driver, , make]) =>
  missing(driver) === undefined ? inTurn(async () => killHolding(await make())) : undefined,
)
// Each is awaited by its own test; until then a failure is nobody's.
for (const run of runs) run?.catch(() => {})

const table: string[] = []
for (const [n, [driver, declared]] of ROWS.entries())
  test.skipIf(
    missing(driver),
    `${driver}: declared ${declared}, and so it is`,
    async () => {
      const seen = (await runs[n])!
      const { openAfterMs } = seen
      const shown =
        openAfterMs === undefined ? `closed after ${WATCHED_MS} ms` : `open after ${Math.ceil(openAfterMs)} ms`
      table.push(`${driver.padEnd(26)} ${String(declared).padStart(6)}   ${shown}`)
      assert.is(seen.declared, declared)
      if (declared === 'stays') assert.is(openAfterMs, undefined)
      // The board looks at its own timer after its step of the clock.
      else assert.ok(openAfterMs !== undefined && openAfterMs <= declared + STEP_MS, `${openAfterMs} ms`)
    },
    240_000,
  )

test('GPIO lines have no timer of their own, and say so', async () => {
  const { timers } = createSimTime(0, drainPromises)
  const bank = createSimGpioBank({ name: 'gpiochip0', lines: [{ name: 'GPIO17', pull: 0 }], timers })
  const contacts = [{ name: 'L1.line', output: 'GPIO17', closedLevel: 1 }] as const
  assert.not.ok((await openGpioRelays({ bank, contacts })).ok)
  const [relay] = must(await openGpioRelays({ bank, contacts, allowUnsupervised: true }))
  assert.equal(relay!.onAgentDeath, { kind: 'stays', allowUnsupervised: true })
})

test('the table is shown', () => {
  console.log(['driver                     declared ms   seen', ...table].join('\n'))
  assert.is(table.length, runs.filter(run => run !== undefined).length)
})

test.run()
