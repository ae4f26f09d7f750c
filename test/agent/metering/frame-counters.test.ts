import { createFrameCounters } from '../../../agent/metering/frame-counters.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createTelegramMeter } from '../../../drivers/meters/telegram-meter.ts'
import { TELEGRAMS } from '../../../drivers/meters/telegrams.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk } from '../../../hw/sim/disk.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { encodeDsmr } from '../../../protocol/telegram/dsmr-write.ts'
import { assert, suite } from '../../harness.ts'
import { P1_KEYS, sealP1 } from '../../protocol/telegram/seal-p1.ts'

const test = suite('frame counters')

const VALUES = [{ obis: '1-0:1.8.0', value: 1_000n, scaler: 0, unit: 'Wh' }] as const
const [FIRST, SECOND] = [1_000, 1_001].map(counter =>
  sealP1(encodeDsmr({ model: 'TLN5', equipmentId: 'E0041', timestamp: '170102192000W', values: VALUES }), counter),
) as [Uint8Array, Uint8Array]

/** One life of the agent on a disk, in which a meter with these keys hears telegrams; ended in order unless it is cut. */
async function life(
  disk: SimDisk,
  telegrams: readonly Uint8Array[],
  { keep = true, keys = P1_KEYS, cutAfterMs = 0 } = {},
) {
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  const wire = createMemoryLine({ name: 'p1', characterMs: 0.09, clock, timers })
  const counters = createFrameCounters(disk.mount(), timers, () => {})
  const kept = keep ? await counters.of('grid', keys) : {}
  const decode = TELEGRAMS.get('dsmr')!(P1_KEYS)
  const meter = createTelegramMeter({ page: 'dsmr', line: wire.port, decode, clock, timers, ...kept })
  must(await meter.open())
  const seen: string[] = []
  for (const sent of telegrams) {
    const read = meter.read()
    await advance(1)
    wire.device.write(sent)
    await advance(13_000)
    const result = await read
    seen.push(result.ok ? 'read' : result.fault.code)
  }
  await meter.close()
  await advance(cutAfterMs)
  if (cutAfterMs === 0) await counters.close()
  else disk.cut()
  return seen
}

const newDisk = () => createSimDisk({ random: seededRandom(5) })

test('a telegram from before a restart is refused after it, and the next one is read', async () => {
  const disk = newDisk()
  assert.equal(await life(disk, [FIRST]), ['read'])
  assert.equal(await life(disk, [FIRST, SECOND]), ['meter.replayed', 'read'])
  assert.equal(await life(disk, [SECOND]), ['meter.replayed'])
})

test('without what was kept it would be read again, and so it is of a meter with new keys, which counts anew', async () => {
  const disk = newDisk()
  await life(disk, [FIRST])
  assert.equal(await life(disk, [FIRST], { keep: false }), ['read'])
  const keys = { ...P1_KEYS, encryption: new Uint8Array(16) }
  assert.equal(await life(disk, [FIRST], { keys }), ['read'])
})

test('a power cut a minute later finds it on the disk', async () => {
  const disk = newDisk()
  await life(disk, [FIRST], { cutAfterMs: 61_000 })
  assert.equal(await life(disk, [FIRST]), ['meter.replayed'])
})

test.run()
