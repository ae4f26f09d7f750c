/** What a start opens at the same time, with keys that take their time and a meter on a simulated wire. */
import { loadConfig } from '../../agent/config/load.ts'
import { openAtOnce } from '../../agent/open-at-once.ts'
import { keysFromSeed, type World } from '../../agent/world.ts'
import { drainPromises } from '../../drivers/drain.ts'
import { PAGES } from '../../drivers/meters/catalogue.ts'
import type { Disk } from '../../drivers/ports.ts'
import { holdJournal } from '../../drivers/store/journal.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { createSimDisk } from '../../hw/sim/disk.ts'
import { createHomeMeter } from '../../hw/sim/home-meter.ts'
import { createMemoryLine } from '../../hw/sim/memory-line.ts'
import { createUnit, serveModbus } from '../../hw/sim/modbus-slave.ts'
import { createPageBank } from '../../hw/sim/page-bank.ts'
import { seededRandom } from '../../hw/sim/random.ts'
import { type Fault, fail, must, ok, type Result } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'

const test = suite('what a start opens at once')

const SERIAL = '41000101'
/** A derivation on a slow board. */
const KEYS_MS = 5000
const SITE = `version: 1
site: maple
role: household
data: data
keys: {account: a, metering: m, sealing: s}
ledger: {chain: c, trust: {height: 1, hash: ${'ab'.repeat(32)}}, primary: 'http://127.0.0.1:9', witnesses: []}
brokers: ['mqtt://127.0.0.1:9']
lines: {rs485: {serial: /dev/ttyUSB0, baud: 9600}}
meters:
  one: {line: rs485, protocol: modbus-rtu, page: eastron-sdm630, unit: 1}
trade: {slot: 60s, energy: 1kWh}
`

function newBench(keyFault?: Fault) {
  const { clock, timers, advance } = createSimTime(1_795_000_000_000, drainPromises)
  const wire = createMemoryLine({ name: 'rs485', characterMs: 10_000 / 9600, clock, timers })
  const bank = createPageBank({
    page: PAGES.get('eastron-sdm630')!,
    serial: SERIAL,
    measure: createHomeMeter(1, clock),
  })
  const timing = { turnaroundMs: 5, characterMs: 10_000 / 9600, clock, timers, random: seededRandom(1) }
  serveModbus(wire.device, new Map([[1, createUnit(must(bank))]]), { ...timing, framing: 'rtu' })
  const sims = new Map<string, Disk>()
  const lines = { opened: 0, closed: 0 }
  let keysAt: number | undefined
  const world = {
    ...{ clock, timers, log: () => {}, answerFloorMs: undefined },
    openLine: () => ({
      ...wire.port,
      open: (listener: Parameters<typeof wire.port.open>[0]) => {
        lines.opened++
        return wire.port.open(listener)
      },
      close: () => {
        lines.closed++
        return wire.port.close()
      },
    }),
    openDisk: async (folder: string) => {
      const disk = sims.get(folder) ?? createSimDisk({ random: seededRandom(3) }).mount()
      sims.set(folder, disk)
      return ok(disk)
    },
    openKeys: async () => {
      await timers.sleep(KEYS_MS)
      keysAt = clock.mono()
      return keyFault === undefined ? ok(keysFromSeed(new Uint8Array(32))) : fail(keyFault)
    },
  } as unknown as World
  const loaded = loadConfig(SITE, 'site.yaml')
  assert.ok(loaded.ok)
  const { value: config } = loaded
  const closers: (() => unknown)[] = []

  async function run<T>(work: Promise<T>): Promise<T> {
    let found: { readonly value: T } | undefined
    void work.then(value => {
      found = { value }
    })
    for (let ms = 0; ms < 2 * KEYS_MS && found === undefined; ms += 10) await advance(10)
    assert.ok(found !== undefined, 'it does not come to an end')
    return found!.value
  }

  return {
    ...{ lines, run },
    journal: async () => must(await world.openDisk(`${config.data}/journal`)),
    keysAt: () => keysAt,
    open: () => run(openAtOnce(config, world, { health: () => {}, closing: close => void closers.push(close) })),
    close: () =>
      run(
        (async () => {
          for (const close of closers.reverse()) await close()
        })(),
      ),
  }
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

test('a meter has answered before the keys are derived', async () => {
  const bench = newBench()
  const { begun, keys } = must(await bench.open())
  const reading = must(await bench.run(begun.get('one')!.reading))
  assert.is(reading.meterId, SERIAL)
  assert.ok(begun.get('one')!.at <= reading.takenMono)
  assert.ok(reading.takenMono + 1000 < bench.keysAt()!, `taken at ${reading.takenMono}, keys at ${bench.keysAt()}`)
  assert.is(keys.account.alg, 'EdDSA')
  await bench.close()
  assert.equal(bench.lines, { opened: 1, closed: 1 })
})

test('where another agent has the folder no line is opened: both would talk at once', async () => {
  const bench = newBench()
  const release = must(await holdJournal(await bench.journal()))
  assert.is(codeOf(await bench.open()), 'disk.held')
  await bench.close()
  assert.equal(bench.lines, { opened: 0, closed: 0 })
  await release()
  const { held } = must(await bench.open())
  assert.is(bench.lines.opened, 1)
  assert.is(codeOf(await holdJournal(await bench.journal())), 'disk.held')
  await held()
  await bench.close()
})

test('with keys that do not open, the journal is untouched, and lines and folder are let go', async () => {
  const bench = newBench({ code: 'keys.wrong-passphrase', file: 'account.key' })
  assert.is(codeOf(await bench.open()), 'keys.wrong-passphrase')
  await bench.close()
  assert.equal(bench.lines, { opened: 1, closed: 1 })
  assert.equal(must(await (await bench.journal()).list()), [])
  const release = must(await holdJournal(await bench.journal()))
  await release()
})

test.run()
