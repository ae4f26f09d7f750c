import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { equalBytes } from '../../../protocol/bytes.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import { verifyChain } from '../../../protocol/reading/chain.ts'
import { verifyReading } from '../../../protocol/reading/verify.ts'
import { must } from '../../../protocol/result.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { boot, chainIn, codeOf, fakeMeter, newSite, settle, signer, verifier, watt } from './site.ts'

const test = suite('metering')

test('a meter is read on its period and signed every quarter of a minute into a whole chain', async () => {
  const site = await newSite()
  for (let minute = 0; minute < 3; minute++) {
    await site.time.advance(60_000)
    site.meter.energyWh += 7n
  }
  assert.is(site.meter.asked, 181)
  assert.equal(site.metering.stats(), { read: 180, failed: 0, refused: 0, signed: 11, gaps: 0 })
  await site.journal.close()
  const chain = await chainIn(site.journal)
  assert.is(chain.length, 12)
  assert.equal(verifyChain(chain), [])
  assert.equal(
    chain.map(({ reading }) => reading.sequence),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  )
  assert.equal([...new Set(chain.map(({ reading }) => reading.reason))], ['periodic'])
  assert.equal(chain[0]!.context.boot, 1)
  assert.equal(chain[0]!.reading.status, [])
})

test('a reading that was under way before the start is the first, at its own time, and a fresh one follows at once', async () => {
  const time = createSimTime(1_795_000_000_000, drainPromises)
  const meter = fakeMeter(time)
  const asked = time.clock.now()
  const begun = { at: time.clock.mono(), reading: meter.read() }
  // Keys and journal take their time meanwhile.
  await time.advance(700)
  const meters = [{ name: 'L1', meter, periodMs: 1000, staleMs: 3000, begun }]
  const place = { time, sim: createSimDisk({ random: seededRandom(5) }), meter, health: new Map() }
  const site = await boot(place, { signAtStart: true, meters })
  await time.advance(100)
  const [first] = await chainIn(site.journal)
  assert.is(first!.reading.time, asked + 50)
  assert.is(meter.asked, 2)
  assert.is(site.metering.latest('L1')?.reading.taken, asked + 750)
  assert.is(meter.mostAtOnce, 1)
  assert.equal(site.metering.stats(), { read: 2, failed: 0, refused: 0, signed: 1, gaps: 0 })
})

test('one that is older than its question is refused before the start, too', async () => {
  const time = createSimTime(1_795_000_000_000, drainPromises)
  const meter = fakeMeter(time)
  const asked = time.clock.now()
  const early = meter.read()
  await time.advance(100)
  const meters = [
    { name: 'L1', meter, periodMs: 1000, staleMs: 3000, begun: { at: time.clock.mono(), reading: early } },
  ]
  const place = { time, sim: createSimDisk({ random: seededRandom(5) }), meter, health: new Map() }
  const site = await boot(place, { signAtStart: true, meters })
  await time.advance(100)
  assert.equal(site.metering.stats(), { read: 1, failed: 0, refused: 1, signed: 1, gaps: 0 })
  const [first] = await chainIn(site.journal)
  assert.ok(first!.reading.time > asked + 100)
})

test('begin and end are taken anew, name their session, and are on the disk before they are answered', async () => {
  const site = await newSite()
  await site.time.advance(10_400)
  site.meter.energyWh = 1234n
  const session = { contract: new Uint8Array(32).fill(9), line: 'L1', direction: 'import' } as const
  const asked = site.time.clock.now()
  const signed = must(await settle(site, site.metering.sign('L1', 'begin', session), 200))
  assert.ok(signed.reading.time >= asked, 'a value from before the request')
  assert.is(signed.reading.registers[0]!.value, 1234n)
  assert.equal(signed.reading.session, session)
  const verified = must(verifyReading(signed.envelope, signed.context, signer.publicKey, verifier))
  assert.equal(verified.hash, signed.hash)
  // The power goes: what was answered is there.
  site.sim.cut()
  const again = await boot(site, {})
  assert.ok(equalBytes((await chainIn(again.journal)).at(-1)!.hash, signed.hash))
})

test('an urgent reading does not wait for the group of a periodic one before it', async () => {
  const site = await newSite()
  // A periodic reading was handed to the journal a moment ago, and its group ends in a second.
  await site.time.advance(15_010)
  const begin = settle(site, site.metering.sign('L1', 'begin'), 200)
  assert.is(must(await begin).reading.sequence, 2)
})

test('after a power cut the chain goes on where the journal ends, under a new context of the next boot', async () => {
  let site = await newSite()
  for (let run = 0; run < 4; run++) {
    await site.time.advance(47_300)
    site.meter.energyWh += 3n
    await site.metering.stop()
    site.sim.cut()
    site = await boot(site, {})
  }
  await site.time.advance(31_000)
  await site.journal.close()
  const chain = await chainIn(site.journal)
  assert.equal(verifyChain(chain), [])
  assert.is(chain.at(-1)!.context.boot, 5)
  const restarts = chain.filter(({ reading }) => reading.status.includes('restarted'))
  assert.equal(
    restarts.map(({ context }) => context.boot),
    [2, 3, 4, 5],
  )
})

test('a slow meter is never asked twice at once, whoever asks; those who come late share the next answer', async () => {
  const site = await newSite()
  await site.time.advance(1500)
  site.meter.delayMs = 4000
  await site.time.advance(1000)
  const signed = [1, 2, 3].map(() => site.metering.sign('L1', 'periodic'))
  const before = site.meter.asked
  const results = await settle(site, Promise.all(signed), 20_000)
  assert.ok(results.every(result => result.ok))
  assert.ok(site.meter.asked <= before + 2, 'one for all three, and perhaps the poll after it')
  assert.is(site.meter.mostAtOnce, 1)
  assert.is(new Set(results.map(result => must(result).reading.time)).size, 1)
  assert.equal(
    results.map(result => must(result).reading.sequence),
    [1, 2, 3],
  )
})

test('the wall clock set by an hour: a new context counts it, the next reading is marked, the chain is whole', async () => {
  const site = await newSite()
  await site.time.advance(20_000)
  site.time.stepWall(-3_600_000)
  await site.time.advance(40_000)
  await site.journal.close()
  const chain = await chainIn(site.journal)
  assert.equal(verifyChain(chain), [])
  assert.equal(
    chain.slice(0, 3).map(({ context, reading }) => [context.clockSets, reading.status.join()]),
    [
      [0, ''],
      [1, 'clock-set'],
      [1, ''],
    ],
  )
})

test('the context says where the time comes from, anew when that changes, and the chain goes on', async () => {
  let source = 'system'
  const device = ueidOf(signer.publicKey)
  const site = await newSite({
    identity: { device, software: new Uint8Array(32), trust: 'software', timeSource: () => source },
  })
  await site.time.advance(20_000)
  source = 'ntp'
  await site.time.advance(40_000)
  await site.journal.close()
  const chain = await chainIn(site.journal)
  assert.equal(verifyChain(chain), [])
  assert.equal([...new Set(chain.map(({ context }) => context.timeSource))], ['system', 'ntp'])
})

test('what a meter does not give is absent: no power, no voltage, and nothing to sign without a counter', async () => {
  const site = await newSite()
  await site.time.advance(1500)
  const bare = site.metering.latest('L1')!
  assert.is(bare.power, undefined)
  assert.is(bare.voltage, undefined)
  site.meter.values = energy => [
    ...energy,
    watt(OBIS.powerImport, 300n),
    watt(OBIS.powerExport, 1200n),
    { obis: OBIS.voltageL2, value: 2301n, scaler: -1, unit: 'V' },
    { obis: OBIS.voltageL1, value: 12n, scaler: -1, unit: 'V' },
  ]
  await site.time.advance(1000)
  assert.is(site.metering.latest('L1')!.power, -900_000)
  assert.is(site.metering.latest('L1')!.voltage, 230_100)
  site.meter.values = () => [watt(OBIS.powerImport, 300n)]
  await site.time.advance(1000)
  assert.is(site.metering.latest('L1')!.power, undefined)
  assert.is(codeOf(await settle(site, site.metering.sign('L1', 'begin'))), 'metering.no-counter')
})

test('listeners hear believed readings only, and signed ones once they are durable', async () => {
  const site = await newSite()
  const heard: string[] = []
  site.metering.onReading(name => heard.push(name))
  site.metering.onSigned((name, { reading }) => heard.push(`${name} ${reading.sequence}`))
  await site.time.advance(2100)
  site.meter.id = 'stranger'
  await site.time.advance(2000)
  assert.equal(heard, ['L1', 'L1', 'L1'])
  await site.time.advance(15_000)
  assert.equal(heard.slice(3), ['L1 1'])
})

test('an unknown name, and a metering that was stopped, answer with a fault', async () => {
  const site = await newSite()
  assert.is(codeOf(await site.metering.sign('L9', 'begin')), 'metering.unknown-meter')
  assert.is(site.metering.latest('L9'), undefined)
  await site.metering.stop()
  assert.is(codeOf(await site.metering.sign('L1', 'begin')), 'metering.stopped')
  const { asked } = site.meter
  await site.time.advance(10_000)
  assert.is(site.meter.asked, asked)
})

test('a meter at rest is read at its rest period, and at once when it is woken; no gap is signed for that', async () => {
  const time = createSimTime(1_795_000_000_000, drainPromises)
  const meter = fakeMeter(time)
  const meters = [{ name: 'L1', meter, periodMs: 1000, restMs: 90_000, staleMs: 450_000 }]
  const sim = createSimDisk({ random: seededRandom(5) })
  const { metering } = await boot({ time, sim, meter, health: new Map() }, { meters })
  await time.advance(10_500)
  assert.is(meter.asked, 11)
  metering.rest('L1', true)
  await time.advance(900_000)
  assert.is(meter.asked, 21)
  await time.advance(85_000)
  metering.rest('L1', false)
  await time.advance(100)
  assert.is(meter.asked, 22, 'woken, it is read at once')
  await time.advance(10_000)
  assert.is(meter.asked, 32)
  assert.is(metering.stats().gaps, 0)
  metering.rest('L1', true)
  meter.failing = { code: 'meter.silent' }
  await time.advance(300_000)
  assert.is(metering.stats().gaps, 1, 'a meter that is silent for two rest periods has a gap')
})

test('a meter read every two minutes has no gap between two readings', async () => {
  const time = createSimTime(1_795_000_000_000, drainPromises)
  const meter = fakeMeter(time)
  const meters = [{ name: 'L1', meter, periodMs: 120_000, staleMs: 600_000 }]
  const sim = createSimDisk({ random: seededRandom(5) })
  const { metering } = await boot({ time, sim, meter, health: new Map() }, { meters })
  await time.advance(3_600_000)
  assert.equal(metering.stats(), { read: 30, failed: 0, refused: 0, signed: 30, gaps: 0 })
})

test.run()
