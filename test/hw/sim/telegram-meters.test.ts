import { drainPromises } from '../../../drivers/drain.ts'
import { decodeDsmrTelegram, decodeSmlTelegram } from '../../../drivers/meters/telegrams.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import type { Measured } from '../../../hw/sim/register-image.ts'
import { startP1Meter, startSmlMeter, type TelegramMeterOptions } from '../../../hw/sim/telegram-meters.ts'
import { hex } from '../../../protocol/bytes.ts'
import { decodeDsmr, withTotals } from '../../../protocol/telegram/dsmr.ts'
import { findValue, type MeterValue, OBIS, type Obis } from '../../../protocol/telegram/obis.ts'
import { decodeSml } from '../../../protocol/telegram/sml.ts'
import { assert, suite } from '../../harness.ts'
import { Gather } from '../../protocol/telegram/gather.ts'
import { dice } from '../../protocol/telegram/mutate.ts'

const test = suite('telegram meters')

const SUMMER_2026_MS = Date.UTC(2026, 5, 21, 23, 30)

async function bench(characterMs: number) {
  const time = createSimTime(SUMMER_2026_MS, drainPromises)
  const { clock, timers } = time
  const { port, device } = createMemoryLine({ name: 'grid', characterMs: 0, clock, timers })
  const state: { -readonly [K in keyof Measured]: Measured[K] } = {
    voltageMv: 230_450,
    currentMa: 4_349,
    powerMw: 1_002_260,
    frequencyMhz: 50_020,
    imported: 7_000_999n,
    exported: 0n,
  }
  const heard: { at: number; bytes: Uint8Array }[] = []
  await port.open({ bytes: (bytes, at) => void heard.push({ at, bytes }), down: () => {} })
  const roll = dice(5)
  const options: TelegramMeterOptions = {
    end: device,
    measure: () => ({ ...state }),
    characterMs,
    clock,
    timers,
    random: () => roll(1 << 30) / 2 ** 30,
  }
  return { time, state, heard, options }
}

const SML = { serverId: hex('0a01544c4e000a2f01'), maker: 'TLN' }
const P1 = { equipmentId: 'E0041007626', model: 'TLN5\\street' }

const show = (values: readonly MeterValue[], obis: Obis): string | undefined => {
  const value = findValue(values, obis)
  return value && `${value.value}e${value.scaler} ${value.unit}`
}

test('an SML meter speaks every second of what flows then, at the pace of 9,600 baud', async () => {
  const { time, state, heard, options } = await bench(10 / 9.6)
  const meter = startSmlMeter({ ...options, ...SML })
  const gather = new Gather(decodeSml)
  await time.advance(1999)
  const first = heard.flatMap(({ bytes }) => gather.push(bytes).frames)
  assert.is(first.length, 1)
  const { values, serverId } = first[0]!.value
  assert.equal(serverId, SML.serverId)
  assert.is(show(values, OBIS.energyImport), '70009e-1 Wh')
  assert.is(show(values, OBIS.power), '10022e-1 W')
  assert.is(show(values, OBIS.voltageL1), '2304e-1 V')
  assert.is(show(values, OBIS.currentL1), '434e-2 A')
  const took = heard.at(-1)!.at - 1000
  const wire = (first[0]!.raw.length * 10) / 9.6
  assert.ok(Math.abs(took - wire) <= 1, `${first[0]!.raw.length} bytes in ${took} ms, ${wire} on the wire`)
  assert.ok(heard.length > 5, 'it comes in slices')
  state.powerMw = -3_000_000
  await time.advance(1000)
  const second = heard.flatMap(({ bytes }) => new Gather(decodeSml).push(bytes).frames)
  assert.is(second.length, 0, 'slices are no frames')
  const all = new Gather(decodeSml)
  const frames = heard.flatMap(({ bytes }) => all.push(bytes).frames)
  assert.is(show(frames[1]!.value.values, OBIS.power), '-30000e-1 W')
  meter.stop()
})

test('a P1 meter speaks v5: two tariffs, two directions, the time of its country', async () => {
  const { time, state, heard, options } = await bench(0)
  const meter = startP1Meter({ ...options, ...P1 })
  const gather = new Gather(decodeDsmr)
  await time.advance(1000)
  state.powerMw = -3_000_000
  await time.advance(1000)
  const frames = heard.flatMap(({ bytes }) => gather.push(bytes).frames)
  const [before, after] = frames.map(frame => frame.value)
  assert.is(before!.checked, true)
  assert.is(before!.equipmentId, P1.equipmentId)
  assert.is(before!.timestamp, '260622003001W')
  assert.is(show(before!.values, '1-0:1.8.2'), '7000e0 Wh')
  assert.is(show(before!.values, OBIS.powerImport), '1002e0 W')
  assert.is(show(withTotals(before!.values), OBIS.energyImport), '7000e0 Wh')
  assert.is(show(after!.values, OBIS.powerImport), '0e0 W')
  assert.is(show(withTotals(after!.values), OBIS.power), '-3000e0 W')
  meter.stop()
})

test('what they say is what the telegram meter of the gateway understands', async () => {
  const { time, heard, options } = await bench(0)
  startSmlMeter({ ...options, ...SML })
  startP1Meter({ ...options, ...P1 })
  await time.advance(1000)
  const [sml, p1] = heard.map(({ bytes }) => bytes)
  const [a, b] = [decodeSmlTelegram(sml!), decodeDsmrTelegram(p1!)]
  assert.is(a.kind === 'frame' && a.value.meterId, '0a01544c4e000a2f01')
  assert.is(b.kind === 'frame' && b.value.meterId, P1.equipmentId)
})

test('silent it says nothing, frozen it repeats itself, noisy it gives no wrong value, stopped it ends', async () => {
  const { time, state, heard, options } = await bench(0)
  const meter = startSmlMeter({ ...options, ...SML })
  const frames = () => {
    const gather = new Gather(decodeSml)
    return heard.splice(0).flatMap(({ bytes }) => gather.push(bytes).frames)
  }
  await time.advance(1000)
  meter.faults.frozen = true
  state.powerMw = 5_000
  await time.advance(2000)
  assert.equal(
    frames().map(({ value }) => show(value.values, OBIS.power)),
    ['10022e-1 W', '10022e-1 W', '10022e-1 W'],
  )
  meter.faults.frozen = false
  meter.faults.silent = true
  await time.advance(3000)
  assert.equal(heard, [])
  meter.faults.silent = false
  meter.faults.flippedBits = 0.0005
  await time.advance(200_000)
  const noisy = frames()
  assert.ok(noisy.length > 20 && noisy.length < 180, `${noisy.length} of 200 came through`)
  for (const { value } of noisy) assert.is(show(value.values, OBIS.power), '50e-1 W')
  meter.stop()
  await time.advance(5000)
  assert.equal(heard, [])
})

test.run()
