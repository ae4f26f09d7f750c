/** From a configuration to signed readings over a pseudo-terminal that is pulled out, in real time. */
import { mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../../agent/config/load.ts'
import { openDevices } from '../../../agent/devices.ts'
import { openSystemLine } from '../../../agent/lines.ts'
import type { World } from '../../../agent/world.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { openPty, type Pty } from '../../../drivers/line/pty.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { createHomeMeter } from '../../../hw/sim/home-meter.ts'
import { createUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { createPageBank } from '../../../hw/sim/page-bank.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { verifyChain } from '../../../protocol/reading/chain.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { boot, chainIn, fakeMeter, type Site } from './site.ts'

const test = suite('metering and a replug')

const folder = mkdtempSync(join(tmpdir(), 'tieline-replug-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const { clock, timers } = createSystemTime(undefined, () => 'synchronised')
const log = () => {}
/** What a test has open, to be closed however it ends. */
let closers: (() => Promise<unknown>)[] = []
const PERIOD_MS = 200
const GAP_MS = 1_500
/** Between two readings there is a period and the time that one takes. */
const AGAIN_MS = 2_000
/** Another program has this machine to itself no longer than that. */
const BUSY_MS = 60_000
/** So often in a row it is not the machine that is late. */
const TRIES = 10

const siteOn = (path: string) => `version: 1
site: maple
role: household
data: data
keys: {account: a, metering: m, sealing: s}
ledger: {chain: c, trust: {height: 1, hash: ${'ab'.repeat(32)}}, primary: 'http://127.0.0.1:9', witnesses: []}
brokers: ['mqtt://127.0.0.1:9']
lines: {rs485: {serial: ${path}, baud: 38400}}
meters: {grid: {line: rs485, protocol: modbus-rtu, page: eastron-sdm630, unit: 1}}
trade: {slot: 60s, energy: 1kWh}
`

const openDescriptors = () => readdirSync('/proc/self/fd').length

/**
 * How often something was plugged in: each time under a name of its own, because the number of a pseudo-terminal that is gone is
 * soon another program's, whose device nobody here must open.
 */
let plugs = 0

/** A meter on an adapter that has one name for as long as it lasts, which the kernel gives anew at every plug. */
async function plugged() {
  const page = PAGES.get('eastron-sdm630')!
  const bank = must(createPageBank({ page, serial: '41000101', measure: createHomeMeter(1, clock) }))
  const units = new Map([[1, createUnit(bank)]])
  const timing = { turnaroundMs: 5, characterMs: 10_000 / 38_400, clock, timers, random: seededRandom(1) }
  const link = join(folder, 'usb-adapter-port0')
  const kernelName = () => join(folder, `ttyUSB${plugs}`)
  let pty: Pty
  let stop: () => void
  const plug = (next: Pty) => {
    pty = next
    plugs++
    stop = serveModbus(pty, units, { ...timing, framing: 'rtu' })
    symlinkSync(pty.path, kernelName())
    symlinkSync(kernelName(), `${link}.new`)
    renameSync(`${link}.new`, link)
  }
  plug(must(await openPty()))
  closers.push(() => {
    stop()
    return pty.close()
  })
  return {
    link,
    path: kernelName,
    /** Out for so long, and in again under another name; says when. */
    async replug(outMs: number): Promise<number> {
      // Made while the old one is there, so that it cannot have its number.
      const next = must(await openPty())
      stop()
      unlinkSync(link)
      unlinkSync(kernelName())
      pty.unplug()
      await pty.close()
      await timers.sleep(outMs)
      plug(next)
      return clock.mono()
    },
  }
}

/** The agent's own way from a configuration to signed readings, with a serial line by this name. */
async function meteringOn(path: string) {
  const loaded = loadConfig(siteOn(path), 'site.yaml')
  assert.ok(loaded.ok)
  const openLine: World['openLine'] = line => openSystemLine(line, clock, timers, log)
  const devices = must(await openDevices(loaded.value, { clock, timers, log, openLine } as unknown as World, {}))
  const meter = devices.meters.get('grid')!
  // Real time: nothing here steps it.
  const time = { clock, timers } as Site['time']
  const sim = createSimDisk({ random: seededRandom(5) })
  const site = await boot(
    { time, sim, meter: fakeMeter(time), health: new Map() },
    {
      meters: [{ name: 'grid', meter, periodMs: PERIOD_MS, staleMs: 1_000 }],
      signEveryMs: 300,
      gapMs: GAP_MS,
    },
  )
  closers.push(
    () => site.journal.close(),
    devices.close,
    () => site.metering.stop(),
  )
  let heard: () => void = () => {}
  site.metering.onReading(() => heard())
  return {
    ...site,
    /** Whether one more is read within so long. */
    reads: (withinMs: number): Promise<boolean> =>
      new Promise(resolve => {
        const cancel = timers.after(withinMs, () => resolve(false))
        heard = () => {
          cancel()
          resolve(true)
        }
      }),
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const begun = clock.mono()
  while (!holds()) {
    if (clock.mono() - begun > BUSY_MS) throw new Error(`never: ${what}`)
    await timers.sleep(20)
  }
}

/** `test`, and everything closed behind it. */
const closing = (name: string, body: () => Promise<void>) =>
  test(name, async () => {
    try {
      await body()
    } finally {
      for (const close of closers.reverse()) await close()
      closers = []
    }
  }, 180_000)

closing(
  'an adapter that comes back under another name is read again within two seconds, and a long absence is one signed gap',
  async () => {
    const adapter = await plugged()
    const site = await meteringOn(adapter.link)
    assert.ok(await site.reads(BUSY_MS))
    await until('signed', () => site.metering.stats().signed > 0)
    const before = openDescriptors()
    const names = [adapter.path()]
    for (const outMs of [0, 100, 400, 3 * GAP_MS, 100]) {
      let tookMs = Number.POSITIVE_INFINITY
      for (let n = 0; n < TRIES && tookMs >= AGAIN_MS; n++) {
        const back = await adapter.replug(outMs)
        names.push(adapter.path())
        assert.ok(await site.reads(BUSY_MS), `out for ${outMs} ms`)
        tookMs = clock.mono() - back
        const { signed } = site.metering.stats()
        await until('signed', () => site.metering.stats().signed > signed)
      }
      assert.ok(tookMs < AGAIN_MS, `out for ${outMs} ms: ${tookMs} ms`)
      await until('well', () => site.health.size === 0)
    }
    assert.ok(
      names.every((name, i) => name !== names[i - 1]),
      names.join(' '),
    )
    // What is open for a moment, then or now, is no leak: that would be one for each absence.
    await until('no descriptor more', () => openDescriptors() <= before + 2)
    await site.metering.stop()
    const chain = await chainIn(site.journal)
    assert.equal(verifyChain(chain), [])
    const told = chain.map(({ reading: { reason, status } }) => [reason, ...status].join(' '))
    const gaps = [...told.keys()].filter(at => told[at] === 'gap')
    assert.is(gaps.length, site.metering.stats().gaps)
    const spanOf = (at: number) => chain[at + 1]!.reading.time - chain[at - 1]!.reading.time
    // However slow the machine was: no other absence is a gap than one that was long, and a long one is one gap.
    for (const at of gaps) {
      assert.equal(chain[at]!.reading.registers, [])
      assert.equal([told[at - 1] === 'gap', told[at + 1]], [false, 'periodic gap-before'])
      assert.ok(spanOf(at) >= GAP_MS, `${spanOf(at)} ms`)
    }
    assert.is(told.filter(each => each.includes('gap-before')).length, gaps.length, told.join())
    assert.ok(gaps.some(at => spanOf(at) > 3 * GAP_MS))
    for (const at of told.keys())
      if (at > 0 && told[at] === 'periodic') {
        const apartMs = chain[at]!.reading.time - chain[at - 1]!.reading.time
        assert.ok(apartMs < 3 * GAP_MS, `${apartMs} ms and no gap`)
      }
  },
)

closing('by the name that the kernel gave it at first, an adapter that has another one now is not read', async () => {
  const adapter = await plugged()
  const site = await meteringOn(adapter.path())
  assert.ok(await site.reads(BUSY_MS))
  await adapter.replug(0)
  assert.not.ok(await site.reads(AGAIN_MS))
  await until('told', () => site.health.get('meter.grid.unreadable')?.code === 'metering.unreadable')
})

test.run()
