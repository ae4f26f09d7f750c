/** A site's relay banks through the composition that the agent itself uses: opened, missing, and back. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RelayBankConfig } from '../../agent/config/relay-config.ts'
import type { SiteConfig } from '../../agent/config/site-config.ts'
import { openRelays } from '../../agent/open-relays.ts'
import type { World } from '../../agent/world.ts'
import { drainPromises } from '../../drivers/drain.ts'
import { createModbusMaster } from '../../drivers/modbus/master.ts'
import { createSimBroker, createSimBus } from '../../hw/sim/bus.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { createCoilBoard } from '../../hw/sim/coil-board.ts'
import { createSimGpioBank } from '../../hw/sim/gpio-bank.ts'
import { createLcusBoard } from '../../hw/sim/lcus-board.ts'
import { createMemoryLine } from '../../hw/sim/memory-line.ts'
import { serveModbus } from '../../hw/sim/modbus-slave.ts'
import { startShellyPlug } from '../../hw/sim/shelly-plug.ts'
import { type Fault, fail, must, ok } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'

const test = suite('open-relays')

/** A world in memory: a coil board on `rs485`, an LCUS board on `usb`, a GPIO chip, a Shelly behind the brokers. */
async function world(relays: Readonly<Record<string, RelayBankConfig>>, board?: string) {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const line = (name: string) => createMemoryLine({ name, characterMs: 10_000 / 9600, clock, timers })
  const lines = { rs485: line('rs485'), usb: line('usb') }
  const random = () => 0.5
  const coils = createCoilBoard({ channels: 4, moved: () => {}, clock, timers })
  const timing = { characterMs: 0, clock, timers }
  serveModbus(lines.rs485.device, new Map([[9, coils.unit]]), { framing: 'rtu', turnaroundMs: 5, random, ...timing })
  const lcus = createLcusBoard({ end: lines.usb.device, channels: 4, reply: 'text', ...timing })
  const broker = createSimBroker(timers, random)
  const plug = must(await startShellyPlug({ bus: createSimBus([broker]), device: 'plug', channels: 1, clock, timers }))
  const gpio = createSimGpioBank({ name: 'gpiochip0', lines: [{ name: 'GPIO17', pull: 0 }], timers })
  const missing = { chip: undefined as Fault | undefined, broker: false, brokerMs: 0 }
  const health = new Map<string, string>()
  const config = {
    ...{ relays, board },
    brokers: ['mqtt://sim'],
    lines: { rs485: 'rs485', usb: 'usb' },
    directLines: Object.keys(relays).map(bank => ({ contacts: { line: { bank, channel: 1 } } })),
  } as unknown as SiteConfig
  const sim = {
    ...{ clock, timers, log: () => {}, entropy: { bytes: (count: number) => new Uint8Array(count) } },
    openLine: (name: unknown) => lines[name as 'usb'].port,
    openBus: async () => {
      if (missing.brokerMs > 0) await timers.sleep(missing.brokerMs)
      return missing.broker ? fail({ code: 'bus.unreachable' }) : ok(createSimBus([broker]))
    },
    openGpioChip: async () => (missing.chip === undefined ? ok(gpio) : fail(missing.chip)),
    openGpioBank: (bank: string) => fail({ code: 'gpio.no-bank', bank }),
  } as unknown as World
  const around = {
    masterOn: async (name: string) => {
      const master = createModbusMaster({ line: lines[name as 'usb'].port, clock, timers, framing: 'rtu' })
      must(await master.open())
      return { master }
    },
    health: (name: string, fault: Fault | undefined) =>
      void (fault === undefined ? health.delete(name) : health.set(name, fault.code)),
  }
  const after = async <T>(work: Promise<T>, ms = 900): Promise<T> => {
    await advance(ms)
    return work
  }
  const open = () => openRelays(config, sim, around)
  return { open, advance, after, health, missing, coils, lcus, plug, gpio, lines }
}

const COILS = { driver: 'modbus-coils', line: 'rs485', unit: 9, board: 'register-ms', timedMs: 1000 } as const
const LCUS = { driver: 'lcus', line: 'usb', channels: 4, allowUnsupervised: true } as const
const SHELLY = { driver: 'shelly', device: 'plug', timedMs: 2900, allowUnsupervised: false } as const
const GPIO = { driver: 'gpio', contacts: [{ output: 'GPIO17', closedLevel: 1 }], allowUnsupervised: true } as const
const ALL = { coils: { ...COILS, allowUnsupervised: false }, lcus: LCUS, shelly: SHELLY, gpio: GPIO } as const

test('each bank is opened with its driver, and says what becomes of a contact when the agent dies', async () => {
  const { open, after, coils, lcus, plug, gpio, health } = await world(ALL)
  const banks = await open()
  const relays = Object.keys(ALL).map(bank => banks.relay({ bank, channel: 1 }))
  assert.equal(
    relays.map(({ name, onAgentDeath: death }) => [name, death.kind === 'opens' ? death.withinMs : 'stays']),
    [
      ['coils.1', 1000],
      ['lcus.1', 'stays'],
      ['shelly.1', 2000],
      ['gpio.1', 'stays'],
    ],
  )
  const closed = await after(Promise.all(relays.map(relay => relay.command('closed'))), 500)
  assert.ok(closed.every(result => result.ok))
  const positions = () => [coils.position(0), lcus.position(0), plug.position(0), gpio.level('GPIO17')]
  assert.equal(positions(), ['closed', 'closed', 'closed', 1])
  await after(banks.close(), 2_000)
  assert.equal(positions(), ['open', 'open', 'open', 0])
  assert.equal([...health], [])
})

test('a bank that cannot be opened is raised and tried again, and the others work meanwhile', async () => {
  const { open, after, advance, health, missing, gpio, coils } = await world(ALL)
  missing.chip = { code: 'gpio.permission', chip: 'gpiochip0' }
  missing.broker = true
  const banks = await open()
  assert.equal([...health].sort(), [
    ['relays.gpio', 'gpio.permission'],
    ['relays.shelly', 'bus.unreachable'],
  ])
  const relay = banks.relay({ bank: 'gpio', channel: 1 })
  const [commanded, seen] = [await relay.command('closed'), await relay.observe()]
  assert.equal(commanded, { ok: false, fault: missing.chip })
  assert.equal(seen, { seen: 'unknown', why: missing.chip })
  assert.ok((await after(banks.relay({ bank: 'coils', channel: 1 }).command('closed'), 300)).ok)
  assert.is(coils.position(0), 'closed')
  // Its time is declared before it is there: nobody renews it too late.
  const shelly = banks.relay({ bank: 'shelly', channel: 1 })
  assert.equal(shelly.onAgentDeath.kind === 'opens' && shelly.onAgentDeath.withinMs, 2000)
  missing.chip = undefined
  missing.broker = false
  await advance(6_000)
  assert.equal([...health], [])
  assert.is(gpio.level('GPIO17'), 0)
  assert.ok((await relay.command('closed')).ok)
  assert.is(gpio.level('GPIO17'), 1)
  assert.ok((await after(shelly.command('closed'), 300)).ok)
  await after(banks.close(), 2_000)
})

test('a board file with a mistake is raised with its place, its contacts answer with that, and the others work', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-board-'))
  const file = join(folder, 'board.yaml')
  const shipped = new URL('../../hw/boards/raspberry-pi-4.yaml', import.meta.url)
  writeFileSync(file, readFileSync(shipped, 'utf8').replace('pin: 11', 'pni: 11'))
  const { open, after, health, coils } = await world({ coils: ALL.coils, gpio: GPIO }, file)
  const banks = await open()
  assert.equal([...health], [['relays.gpio', 'board.form']])
  const relay = banks.relay({ bank: 'gpio', channel: 1 })
  const [commanded, seen] = [await relay.command('closed'), await relay.observe()]
  assert.match(JSON.stringify(commanded), /board\.yaml:\d+:\d+: unknown key \\"pni\\" \(did you mean \\"pin\\"\?\)/)
  assert.is(seen.seen, 'unknown')
  assert.ok((await after(banks.relay({ bank: 'coils', channel: 1 }).command('closed'), 300)).ok)
  assert.is(coils.position(0), 'closed')
  await after(banks.close(), 2_000)
  rmSync(folder, { recursive: true })
})

test('what was left closed is opened with its bank, before anybody commands it', async () => {
  const { open, after, advance, missing, plug } = await world({ shelly: SHELLY })
  plug.press(0)
  await after(open(), 100)
  assert.is(plug.position(0), 'open')
  plug.press(0)
  missing.broker = true
  await open()
  assert.is(plug.position(0), 'closed')
  missing.broker = false
  await advance(6_000)
  assert.is(plug.position(0), 'open')
})

test('a bank that takes long is raised, holds up no other, and is there when it is there', async () => {
  const { open, after, advance, health, missing, gpio, plug } = await world(ALL)
  missing.brokerMs = 4_000
  const banks = await after(open(), 1_000)
  assert.equal([...health], [['relays.shelly', 'relays.not-open']])
  assert.ok((await banks.relay({ bank: 'gpio', channel: 1 }).command('open')).ok)
  assert.is(gpio.level('GPIO17'), 0)
  const shelly = banks.relay({ bank: 'shelly', channel: 1 })
  assert.equal(await shelly.command('closed'), { ok: false, fault: { code: 'relays.not-open', bank: 'shelly' } })
  await advance(4_000)
  assert.equal([...health], [])
  assert.ok((await after(shelly.command('closed'), 300)).ok)
  assert.is(plug.position(0), 'closed')
  await after(banks.close(), 2_000)
  assert.is(plug.position(0), 'open')
})

test('an Arduino that is slow to start declares what it will, by its line', async () => {
  const contacts = [{ pin: 7, closedLevel: 1 }] as const
  const uno = { driver: 'firmata', line: 'usb', firmware: 'tieline', deadManMs: 500, contacts } as const
  const { open, after, health } = await world({ uno: { ...uno, allowUnsupervised: false } })
  const banks = await after(open(), 1_000)
  assert.equal([...health], [['relays.uno', 'relays.not-open']])
  const death = banks.relay({ bank: 'uno', channel: 1 }).onAgentDeath
  // 500 ms by a resonator that is 0.5 % slow, a look every 2 ms, and twelve characters at 9,600 baud.
  assert.is(death.kind === 'opens' && death.withinMs, 517)
  await after(banks.close(), 20_000)
})

test('a bank that is still missing when the agent stops is not opened any more', async () => {
  const { open, advance, missing, health } = await world({ gpio: GPIO })
  missing.chip = { code: 'gpio.busy' }
  const banks = await open()
  await banks.close()
  missing.chip = undefined
  await advance(20_000)
  assert.equal([...health], [['relays.gpio', 'gpio.busy']])
  assert.is((await banks.relay({ bank: 'gpio', channel: 1 }).observe()).seen, 'unknown')
})

test.run()
