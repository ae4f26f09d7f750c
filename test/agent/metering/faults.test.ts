import { createMetering } from '../../../agent/metering/run.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { verifyChain } from '../../../protocol/reading/chain.ts'
import { fail, ok } from '../../../protocol/result.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { boot, chainIn, codeOf, fakeMeter, newSite, settle, signer } from './site.ts'

const test = suite('metering under faults')

test('another meter under the same name is refused, also after a restart, until it is the first one again', async () => {
  let site = await newSite()
  await site.time.advance(20_000)
  site.meter.id = '0815'
  await site.time.advance(2000)
  assert.is(site.health.get('meter.L1.refused')?.code, 'metering.other-meter')
  assert.is(codeOf(await settle(site, site.metering.sign('L1', 'begin'))), 'metering.other-meter')
  assert.not.ok(JSON.stringify([...site.health.values()]).includes('0815'), 'a serial number in a fault')
  await site.metering.stop()
  site = await boot(site, {})
  await site.time.advance(4000)
  assert.is(site.metering.latest('L1'), undefined)
  assert.is(site.health.get('meter.L1.refused')?.code, 'metering.other-meter')
  site.meter.id = '4711'
  await site.time.advance(2000)
  assert.equal([...site.health], [])
  assert.is(site.metering.latest('L1')?.reading.meterId, '4711')
})

test('a configured serial is the only one, and one meter under two names is refused for the second', async () => {
  const site = await newSite()
  const { meter } = site
  const two = await boot(site, {
    meters: [
      { name: 'L1', meter, periodMs: 1000, staleMs: 3000, meterId: 'other' },
      { name: 'grid', meter, periodMs: 700, staleMs: 3000 },
      { name: 'copy', meter, periodMs: 900, staleMs: 3000 },
    ],
  })
  await two.time.advance(5000)
  assert.is(two.health.get('meter.L1.refused')?.code, 'metering.other-meter')
  assert.is(two.health.get('meter.copy.refused')?.code, 'metering.same-meter-twice')
  assert.ok(two.metering.latest('grid') !== undefined)
})

test('a counter that falls is refused and not signed, also across a restart, and cleared when it is right again', async () => {
  let site = await newSite()
  await site.time.advance(20_000)
  site.meter.energyWh = 999n
  await site.time.advance(20_000)
  assert.is(site.health.get('meter.L1.refused')?.code, 'metering.counter-fell')
  assert.is(site.metering.latest('L1'), undefined)
  await site.metering.stop()
  await site.journal.close()
  site = await boot(site, {})
  await site.time.advance(2000)
  assert.is(site.health.get('meter.L1.refused')?.code, 'metering.counter-fell')
  site.meter.energyWh = 1001n
  await site.time.advance(20_000)
  assert.equal([...site.health], [])
  await site.journal.close()
  assert.equal(verifyChain(await chainIn(site.journal)), [])
})

test('with the judgement switched off the fallen counter would be in the chain, and the chain rules find it', async () => {
  const site = await newSite()
  await site.time.advance(20_000)
  site.meter.energyWh = 999n
  // A new journal and a new boot know nothing of before: the same meter signs what it says now.
  const other = await boot({ ...site, sim: createSimDisk({ random: seededRandom(6) }) }, {})
  await other.time.advance(20_000)
  await site.journal.close()
  await other.journal.close()
  const codes = verifyChain([...(await chainIn(site.journal)), ...(await chainIn(other.journal))]).map(it => it.code)
  assert.ok(codes.includes('chain.counter-fell'))
})

test('a silent meter: health after a while, one gap record after a minute, and the next reading says so', async () => {
  const site = await newSite()
  await site.time.advance(20_000)
  site.meter.failing = { code: 'modbus.timeout' }
  await site.time.advance(2000)
  assert.equal([...site.health], [])
  await site.time.advance(2000)
  const raised = site.health.get('meter.L1.unreadable')
  assert.is(raised?.code, 'metering.unreadable')
  assert.is(raised?.['cause'], 'modbus.timeout')
  assert.is(site.metering.latest('L1'), undefined)
  await site.time.advance(300_000)
  assert.is(site.metering.stats().gaps, 1)
  site.meter.failing = undefined
  await site.time.advance(20_000)
  assert.equal([...site.health], [])
  await site.journal.close()
  const chain = await chainIn(site.journal)
  assert.equal(verifyChain(chain), [])
  const gap = chain.findIndex(({ reading }) => reading.reason === 'gap')
  assert.ok(gap > 0)
  assert.equal(chain[gap]!.reading.registers, [])
  assert.equal(chain[gap + 1]!.reading.status, ['gap-before'])
})

test('what was read before a gap and could not be signed then is not signed behind it, as if it were from after', async () => {
  let hangs = false
  const site = await newSite({
    signer: {
      ...signer,
      sign: async message => {
        while (hangs) await site.time.timers.sleep(1000)
        return signer.sign(message)
      },
    },
  })
  await site.time.advance(20_000)
  hangs = true
  await site.time.advance(30_000)
  site.meter.failing = { code: 'modbus.timeout' }
  await site.time.advance(70_000)
  hangs = false
  await site.time.advance(60_000)
  site.meter.failing = undefined
  await site.time.advance(20_000)
  await site.journal.close()
  const chain = await chainIn(site.journal)
  assert.equal(verifyChain(chain), [])
  assert.equal(
    chain.map(({ reading }) => [reading.reason, reading.status]),
    [
      ['periodic', []],
      ['periodic', []],
      ['gap', []],
      ['periodic', ['gap-before']],
    ],
  )
})

test('an answer that was on its way when the gap was signed is behind it, and no step of the clock', async () => {
  const site = await newSite()
  await site.time.advance(20_000)
  const { meter, time } = site
  // Stamped early, handed over after seven seconds.
  meter.read = async () => {
    await time.timers.sleep(2500)
    const values = [{ obis: OBIS.energyImport, value: meter.energyWh, scaler: 0, unit: 'Wh' as const }]
    const [taken, takenMono] = [time.clock.now(), time.clock.mono()]
    await time.timers.sleep(4500)
    if (meter.failing !== undefined) return fail(meter.failing)
    return ok({ meterId: meter.id, taken, takenMono, values, rawHash: new Uint8Array(32) })
  }
  meter.failing = { code: 'modbus.timeout' }
  while (site.metering.stats().gaps === 0) {
    // The gap comes a minute after the last answer, while a read is under way.
    meter.failing = site.time.clock.mono() > 78_000 ? undefined : meter.failing
    await time.advance(250)
  }
  meter.failing = undefined
  await time.advance(30_000)
  await site.journal.close()
  const chain = await chainIn(site.journal)
  assert.equal(verifyChain(chain), [])
  const gap = chain.findIndex(({ reading }) => reading.reason === 'gap')
  assert.equal(chain[gap + 1]!.reading.status, ['gap-before'])
  assert.ok(chain[gap + 1]!.reading.time >= chain[gap]!.reading.time)
})

test('a gap that spans a restart is still told by the reading after it', async () => {
  let site = await newSite()
  await site.time.advance(20_000)
  site.meter.failing = { code: 'modbus.timeout' }
  await site.time.advance(70_000)
  site.sim.cut()
  site = await boot(site, {})
  await site.time.advance(5000)
  site.meter.failing = undefined
  await site.time.advance(20_000)
  await site.journal.close()
  const last = (await chainIn(site.journal)).at(-1)!
  assert.equal(last.reading.status, ['restarted', 'gap-before'])
})

test('a meter whose driver never answers is answered for in time, and does not hold up the others', async () => {
  const time = createSimTime(1_795_000_000_000, drainPromises)
  const [stuck, good] = [fakeMeter(time, 'A'), fakeMeter(time, 'B')]
  stuck.delayMs = 1e12
  const site = await boot(
    { time, sim: createSimDisk({ random: seededRandom(5) }), meter: good, health: new Map() },
    {
      meters: [
        { name: 'stuck', meter: stuck, periodMs: 1000, staleMs: 3000 },
        { name: 'good', meter: good, periodMs: 1000, staleMs: 3000 },
      ],
    },
  )
  assert.is(codeOf(await settle(site, site.metering.sign('stuck', 'begin'), 40_000)), 'metering.no-answer')
  assert.is(site.health.get('meter.stuck.unreadable')?.['cause'], 'metering.no-answer')
  assert.is(stuck.asked, 1)
  assert.ok(site.metering.latest('good') !== undefined)
})

test('a serial or a value that no stranger would accept in a reading is not signed', async () => {
  const site = await newSite()
  site.meter.id = 'x'.repeat(65)
  assert.is(codeOf(await settle(site, site.metering.sign('L1', 'begin'))), 'record.shape')
  const other = await newSite()
  other.meter.energyWh = 2n ** 63n
  assert.is(codeOf(await settle(other, other.metering.sign('L1', 'begin'))), 'record.shape')
})

test('with a full disk nothing is acknowledged, health is raised, and the chain is whole when it goes on', async () => {
  let full = false
  const site = await newSite({}, operation => (full && operation !== 'read' ? 'full' : undefined))
  await site.time.advance(20_000)
  full = true
  const refused = await settle(site, site.metering.sign('L1', 'begin'))
  assert.not.ok(refused.ok)
  assert.ok(site.health.has('meter.L1.journal'))
  const { signed } = site.metering.stats()
  await site.time.advance(60_000)
  assert.is(site.metering.stats().signed, signed)
  full = false
  await site.time.advance(60_000)
  assert.not.ok(site.health.has('meter.L1.journal'))
  assert.ok(site.metering.stats().signed > signed)
  await site.journal.close()
  assert.equal(verifyChain(await chainIn(site.journal)), [])
})

test('a record of ours that makes no sense stops the start instead of beginning a second chain', async () => {
  const site = await newSite()
  for (const bytes of [new Uint8Array(0), Uint8Array.of(3, 65), Uint8Array.of(1, 65, 1, 66, 0xff)]) {
    const metering = createMetering({
      meters: [],
      signer,
      identity: { device: new Uint8Array(17), software: new Uint8Array(32), trust: 'software', timeSource: () => 'x' },
      journal: site.journal,
      clock: site.time.clock,
      timers: site.time.timers,
      log: () => {},
      health: () => {},
    })
    metering.restore({ kind: 'context', bytes })
    assert.not.ok(metering.start().ok)
  }
})

test.run()
