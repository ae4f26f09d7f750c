import { readMeteringRecord } from '../../../agent/metering/journal-form.ts'
import { createMetering, type Metering, type MeteringOptions } from '../../../agent/metering/run.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Meter, MeterReading } from '../../../drivers/ports.ts'
import type { Journal } from '../../../drivers/store/journal.ts'
import { openJournal } from '../../../drivers/store/journal.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type Strike } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { equalBytes } from '../../../protocol/bytes.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import { verifyChain } from '../../../protocol/reading/chain.ts'
import {
  type VerifiedContext,
  type VerifiedReading,
  verifyContext,
  verifyReading,
  verifyReadingIn,
} from '../../../protocol/reading/verify.ts'
import { type Fault, fail, must, ok, type Result } from '../../../protocol/result.ts'
import { type MeterValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('metering')

const signer = createSigner(new Uint8Array(32).fill(3))
const verifier = createVerifier()

/** A meter on a bench: its register is what the test says, it answers after `delayMs`, and it counts who asks. */
interface FakeMeter extends Meter {
  id: string
  energyWh: bigint
  delayMs: number
  failing: Fault | undefined
  values: ((energy: MeterValue[]) => MeterValue[]) | undefined
  asked: number
  atOnce: number
  mostAtOnce: number
}

interface Site {
  readonly time: ReturnType<typeof createSimTime>
  readonly sim: SimDisk
  readonly meter: FakeMeter
  readonly health: Map<string, Fault>
  journal: Journal
  metering: Metering
}

function fakeMeter(time: Site['time'], id = '4711'): FakeMeter {
  const meter: FakeMeter = {
    page: 'fake-meter',
    id,
    energyWh: 1000n,
    delayMs: 50,
    failing: undefined,
    values: undefined,
    asked: 0,
    atOnce: 0,
    mostAtOnce: 0,
    read: async () => {
      meter.asked++
      meter.mostAtOnce = Math.max(meter.mostAtOnce, ++meter.atOnce)
      await time.timers.sleep(meter.delayMs)
      meter.atOnce--
      if (meter.failing !== undefined) return fail(meter.failing)
      const energy: MeterValue[] = [
        { obis: OBIS.energyImport, value: meter.energyWh, scaler: 0, unit: 'Wh' },
        { obis: OBIS.energyExport, value: 5n, scaler: 3, unit: 'Wh' },
      ]
      const values = meter.values === undefined ? energy : meter.values(energy)
      const reading: MeterReading = {
        meterId: meter.id,
        taken: time.clock.now(),
        takenMono: time.clock.mono(),
        values,
        rawHash: new Uint8Array(32),
      }
      return ok(reading)
    },
    close: async () => {},
  }
  return meter
}

/** Opens the journal as it is and starts metering on it, as a boot does. */
async function boot(site: Omit<Site, 'journal' | 'metering'>, options: Partial<MeteringOptions>): Promise<Site> {
  const { clock, timers } = site.time
  const journal = must(await openJournal({ disk: site.sim.mount(), clock, timers, segmentBytes: 64 * 4096 }))
  const metering = createMetering({
    meters: [{ name: 'L1', meter: site.meter, periodMs: 1000, staleMs: 3000 }],
    signer,
    identity: {
      device: ueidOf(signer.publicKey),
      software: new Uint8Array(32).fill(1),
      trust: 'software',
      timeSource: 'simulated',
    },
    journal,
    clock,
    timers,
    log: () => {},
    health: (what, fault) => void (fault === undefined ? site.health.delete(what) : site.health.set(what, fault)),
    ...options,
  })
  must(await journal.replay(record => metering.restore(record)))
  must(metering.start())
  return { ...site, journal, metering }
}

async function newSite(
  options: Partial<MeteringOptions> = {},
  strike?: (operation: string) => Strike | undefined,
): Promise<Site> {
  const time = createSimTime(1_795_000_000_000, drainPromises)
  const sim = createSimDisk({ random: seededRandom(5), ...(strike === undefined ? {} : { strike }) })
  return boot({ time, sim, meter: fakeMeter(time), health: new Map() }, options)
}

/** Runs virtual time until a promise settles. */
async function settle<T>(site: Site, promise: Promise<T>, ms = 5000): Promise<T> {
  let found: { value: T } | undefined
  void promise.then(value => {
    found = { value }
  })
  for (let t = 0; t < ms && found === undefined; t += 10) await site.time.advance(10)
  if (found === undefined) throw new Error(`not settled after ${ms} ms`)
  return found.value
}

/** Every reading in the journal, verified as a stranger would. */
async function chainIn(journal: Journal): Promise<VerifiedReading[]> {
  const contexts: VerifiedContext[] = []
  const readings: VerifiedReading[] = []
  must(
    await journal.replay(({ kind, bytes }) => {
      const { envelope } = readMeteringRecord(bytes)!
      if (kind === 'context') contexts.push(must(verifyContext(envelope, signer.publicKey, verifier)))
      else readings.push(must(verifyReadingIn(contexts.at(-1)!, envelope, verifier)))
    }),
  )
  return readings
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
const watt = (obis: string, value: bigint): MeterValue => ({ obis, value, scaler: 0, unit: 'W' })

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

test('a record of ours that makes no sense stops the start instead of beginning a second chain', async () => {
  const site = await newSite()
  for (const bytes of [new Uint8Array(0), Uint8Array.of(3, 65), Uint8Array.of(1, 65, 1, 66, 0xff)]) {
    const metering = createMetering({
      meters: [],
      signer,
      identity: { device: new Uint8Array(17), software: new Uint8Array(32), trust: 'software', timeSource: 'x' },
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
