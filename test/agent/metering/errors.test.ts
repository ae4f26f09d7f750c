import { errorsOf, learn, nothingKnown } from '../../../agent/metering/decide.ts'
import type { MeteringOptions } from '../../../agent/metering/run.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { verifyChain } from '../../../protocol/reading/chain.ts'
import type { What } from '../../../protocol/reading/event.ts'
import { must } from '../../../protocol/result.ts'
import { type MeterValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { instant, mono, type TimeQuality } from '../../../protocol/time.ts'
import { dealEnergy } from '../../../protocol/trade/receipt.ts'
import { assert, suite } from '../../harness.ts'
import { boot, chainIn, codeOf, fakeMeter, newSite, type Site, settle } from './site.ts'

const test = suite('what is wrong with a reading')

const NOW = 1_795_000_000_000

/** A site whose clock is worth what the test says, and what is to go on record of it. */
async function siteAt(
  origin: number,
  quality: () => TimeQuality,
): Promise<{ site: Site; told: What[]; again(): Promise<Site> }> {
  const time = createSimTime(origin, drainPromises)
  const told: What[] = []
  const options: Partial<MeteringOptions> = {
    clock: { ...time.clock, quality },
    onEvent: what => void told.push(what),
  }
  const parts = { time, sim: createSimDisk({ random: seededRandom(5) }), meter: fakeMeter(time), health: new Map() }
  return { site: await boot(parts, options), told, again: () => boot(parts, options) }
}

const signedBy = async (site: Site) => must(await settle(site, site.metering.sign('L1', 'periodic'))).reading

test('until the clock was synchronised for the first time each reading says so, and what its time is worth', async () => {
  let quality: TimeQuality = 'informative'
  const { site, told } = await siteAt(NOW, () => quality)
  await site.time.advance(32_000)
  quality = 'synchronised'
  await site.time.advance(15_000)
  quality = 'relative'
  await site.time.advance(15_000)
  await site.journal.close()
  const chain = await chainIn(site.journal)
  assert.equal(verifyChain(chain), [])
  assert.equal(
    chain.map(({ reading }) => [reading.quality, reading.status, reading.errors]),
    [
      ['informative', ['before-sync'], []],
      ['informative', ['before-sync'], []],
      ['synchronised', [], []],
      ['relative', [], []],
    ],
  )
  assert.equal(told, [
    { kind: 'clock-quality', from: 'informative', to: 'synchronised' },
    { kind: 'clock-quality', from: 'synchronised', to: 'relative' },
  ])
})

test('a clock in 1970: metering starts, says it in one line, marks its readings, and none of them can be settled on', async () => {
  let quality: TimeQuality = 'unknown'
  const { site, told } = await siteAt(3000, () => quality)
  await site.time.advance(20_000)
  const raised = site.health.get('clock')
  assert.is(raised?.code, 'clock.not-set')
  assert.match(String(raised?.['now']), /^1970-01-01T00:00:/)
  const early = await signedBy(site)
  assert.equal([early.quality, early.status, early.errors], ['unknown', ['before-sync'], ['time']])
  const judged = dealEnergy(early, 'buyer')
  assert.equal(judged, { ok: false, fault: { code: 'receipt.errors', sequence: early.sequence, errors: ['time'] } })

  // NTP reaches it: the clock is set, 56 years on.
  const before = site.time.clock.now()
  site.time.stepWall(NOW)
  quality = 'synchronised'
  await site.time.advance(1000)
  assert.is(site.health.get('clock'), undefined)
  const [step, gained] = told
  assert.is(told.length, 2)
  assert.is(step?.kind, 'clock-step')
  if (step?.kind === 'clock-step') {
    assert.ok(step.from >= before && step.from <= before + 1000, `${step.from}`)
    assert.is(step.to - step.from, NOW)
  }
  assert.equal(gained, { kind: 'clock-quality', from: 'unknown', to: 'synchronised' })
  const late = await signedBy(site)
  assert.equal([late.quality, late.status, late.errors], ['synchronised', ['clock-set'], []])
  assert.ok(dealEnergy(late, 'buyer').ok)
  await site.journal.close()
  const chain = await chainIn(site.journal)
  assert.equal(verifyChain(chain), [])
  assert.equal([...new Set(chain.map(({ context }) => context.clockSets))], [0, 1])
})

test('a reading stamped before the clock was set and signed after it does not pass for a synchronised one', async () => {
  let quality: TimeQuality = 'informative'
  const { site } = await siteAt(NOW, () => quality)
  await site.time.advance(5000)
  // The meter has stamped its answer and takes half a second to hand it over; meanwhile the clock is set.
  const { meter } = site
  const answer = meter.read
  meter.read = async () => {
    const found = await answer()
    await site.time.timers.sleep(500)
    return found
  }
  const signing = site.metering.sign('L1', 'periodic')
  await site.time.advance(300)
  quality = 'synchronised'
  site.time.stepWall(3_600_000)
  const { reading } = must(await settle(site, signing))
  assert.equal([reading.quality, reading.errors], ['unknown', ['time']])
  assert.ok(reading.time < NOW + 60_000)
})

test('after a restart a clock behind the last signed time is unknown, until it is synchronised or has come that far', async () => {
  let quality: TimeQuality = 'synchronised'
  const { site, again } = await siteAt(NOW, () => quality)
  await site.time.advance(20_000)
  await site.metering.stop()
  await site.journal.close()
  quality = 'informative'
  site.time.stepWall(-60_000)
  const second = await again()
  await second.time.advance(2000)
  assert.is(second.health.get('clock')?.code, 'clock.not-set')
  assert.equal((await signedBy(second)).errors, ['time'])
  // Events are signed by the same judgement.
  assert.is(second.metering.timeQuality(), 'unknown')
  await second.time.advance(60_000)
  assert.is(second.metering.timeQuality(), 'informative')
  assert.is(second.health.get('clock'), undefined)
  assert.equal((await signedBy(second)).errors, [])
})

test('a clock behind the last signed time is unknown after any number of restarts, not only after the first', async () => {
  let quality: TimeQuality = 'informative'
  const { site, again } = await siteAt(NOW, () => quality)
  const stopped = async ({ metering, journal }: Site) => {
    await metering.stop()
    await journal.close()
  }
  await site.time.advance(20_000)
  await stopped(site)
  site.time.stepWall(-86_400_000)
  for (let i = 0; i < 3; i++) {
    const next = await again()
    await next.time.advance(20_000)
    assert.equal((await signedBy(next)).errors, ['time'], `restart ${i + 1}`)
    await stopped(next)
  }
  // A source that is in control may say that the old time was wrong; from then on it is no bound any more.
  quality = 'synchronised'
  const set = await again()
  assert.equal((await signedBy(set)).errors, [])
  await stopped(set)
  quality = 'informative'
  const last = await again()
  assert.equal((await signedBy(last)).errors, [])
  await stopped(last)
})

test('a clock that flaps for hours is told of now and then, whole, and counted every time', async () => {
  let quality: TimeQuality = 'synchronised'
  const { site, told } = await siteAt(NOW, () => quality)
  await site.time.advance(1000)
  // An hour there and a little less back, every second, and its source with it.
  for (let i = 0; i < 5000; i++) {
    site.time.stepWall(i % 2 === 0 ? 3_600_000 : -3_597_000)
    quality = i % 2 === 0 ? 'informative' : 'synchronised'
    await site.time.advance(1000)
  }
  assert.ok(told.length >= 20 && told.length <= 40, `${told.length}`)
  await site.time.advance(3_600_000)
  const steps = told.flatMap(what => (what.kind === 'clock-step' ? [what.to - what.from] : []))
  assert.is(
    steps.reduce((sum, ms) => sum + ms, 0),
    2500 * 3000,
  )
  const qualities = told.flatMap(what => (what.kind === 'clock-quality' ? [[what.from, what.to]] : []))
  for (const [i, [from]] of qualities.entries()) assert.is(from, i === 0 ? 'synchronised' : qualities[i - 1]![1])
  assert.is(qualities.at(-1)![1], 'synchronised')
  await signedBy(site)
  await site.journal.close()
  assert.is((await chainIn(site.journal)).at(-1)!.context.clockSets, 5000)
})

test('what a meter gave and was refused is told by the next signed reading, and by that one only', async () => {
  const site = await newSite()
  await site.time.advance(5000)
  assert.equal((await signedBy(site)).errors, [])
  site.meter.energyWh = 999n
  await site.time.advance(2000)
  site.meter.energyWh = 1001n
  const flagged = must(await settle(site, site.metering.sign('L1', 'begin'))).reading
  assert.equal(flagged.errors, ['energy'])
  assert.is(codeOf(dealEnergy(flagged, 'buyer')), 'receipt.errors')
  assert.equal((await signedBy(site)).errors, [])
  site.meter.id = '0815'
  await site.time.advance(2000)
  site.meter.id = '4711'
  assert.equal((await signedBy(site)).errors, ['energy'])
  site.meter.values = energy => energy.map(value => ({ ...value, unit: 'varh' }))
  await site.time.advance(2000)
  site.meter.values = undefined
  assert.equal((await signedBy(site)).errors, ['energy'])
  assert.equal((await signedBy(site)).errors, [])
})

test('a refusal is not forgotten when the reading that tells of it cannot be written', async () => {
  let full = false
  const site = await newSite({}, operation => (full && operation !== 'read' ? 'full' : undefined))
  await site.time.advance(5000)
  await signedBy(site)
  site.meter.energyWh = 999n
  await site.time.advance(2000)
  site.meter.energyWh = 1001n
  full = true
  assert.not.ok((await settle(site, site.metering.sign('L1', 'begin'))).ok)
  full = false
  await site.time.advance(60_000)
  await site.journal.close()
  const told = (await chainIn(site.journal)).filter(({ reading }) => reading.errors.includes('energy'))
  assert.is(told.length, 1)
})

test('a register that the meter had and no longer gives is told for as long as it is missing', async () => {
  const site = await newSite()
  await site.time.advance(5000)
  site.meter.values = energy => energy.slice(0, 1)
  for (let i = 0; i < 2; i++) {
    const reading = await signedBy(site)
    assert.equal([reading.registers.length, reading.errors], [1, ['energy']])
  }
  site.meter.values = undefined
  assert.equal((await signedBy(site)).errors, [])
})

test('a register that was lost is not taken lower when it comes back, whatever restarts lie between', async () => {
  let site = await newSite()
  const restart = async () => {
    await site.metering.stop()
    await site.journal.close()
    site = await boot(site, {})
  }
  await site.time.advance(20_000)
  site.meter.values = energy => energy.slice(0, 1)
  await site.time.advance(20_000)
  for (let i = 0; i < 2; i++) {
    await restart()
    await site.time.advance(20_000)
  }
  site.meter.values = ([energy, exported]) => [energy!, { ...exported!, value: 4n }]
  assert.is(codeOf(await settle(site, site.metering.sign('L1', 'begin'))), 'metering.counter-fell')
  site.meter.values = undefined
  assert.equal((await signedBy(site)).errors, ['energy'])
  assert.equal((await signedBy(site)).errors, [])
  await site.journal.close()
  assert.equal(verifyChain(await chainIn(site.journal)), [])
})

test('only active energy counts as lost: a meter may stop giving its reactive registers', () => {
  const energy: MeterValue = { obis: OBIS.energyImport, value: 5n, scaler: 0, unit: 'Wh' }
  const reactive: MeterValue = { obis: '1-0:3.8.0', value: 5n, scaler: 0, unit: 'varh' }
  const reading = { meterId: 'x', taken: instant(NOW), takenMono: mono(1), rawHash: new Uint8Array(32) }
  const known = learn(nothingKnown(undefined), { ...reading, values: [energy, reactive] })
  assert.equal(errorsOf(known, [energy, reactive], false, 'synchronised'), [])
  assert.equal(errorsOf(known, [energy], false, 'informative'), [])
  assert.equal(errorsOf(known, [reactive], false, 'relative'), ['energy'])
  assert.equal(errorsOf(known, [energy], true, 'unknown'), ['energy', 'time'])
  assert.equal(errorsOf(nothingKnown(undefined), [], false, 'unknown'), ['time'])
})

test.run()
