import { drainPromises } from '../../../drivers/drain.ts'
import { createTelegramMeter, type TelegramMeterParts } from '../../../drivers/meters/telegram-meter.ts'
import { decodeDsmrTelegram, decodeSmlTelegram } from '../../../drivers/meters/telegrams.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { startP1Meter, startSmlMeter } from '../../../hw/sim/telegram-meters.ts'
import { hex } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { must, type Pull, type Result } from '../../../protocol/result.ts'
import { findValue, OBIS } from '../../../protocol/telegram/obis.ts'
import type { Telegram } from '../../../protocol/telegram/telegram.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('telegram meter')

const CHARACTER_MS = 10_000 / 9_600

/** `#` then meter, three digits of Wh, `1` or `0` for checked: the smallest telegram that has it all. */
function decodeTiny(bytes: Uint8Array): Pull<Telegram> {
  if (bytes[0] !== 0x23) return { kind: 'junk', skip: 1, fault: { code: 'tiny.junk' } }
  if (bytes.length < 6) return { kind: 'need', bytes: 6 - bytes.length }
  const [, meter, a, b, c, checked] = [...bytes].map(byte => String.fromCharCode(byte))
  const value = BigInt(`${a}${b}${c}`)
  const values = [{ obis: OBIS.energyImport, value, scaler: 0, unit: 'Wh' as const }]
  return {
    kind: 'frame',
    used: 6,
    value: { meterId: meter === '-' ? undefined : meter, values, checked: checked === '1' },
  }
}

const ascii = (text: string) => Uint8Array.from(text, char => char.charCodeAt(0))

function makeMeter(more: Partial<TelegramMeterParts> = {}) {
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  const wire = createMemoryLine({ name: 'p1', characterMs: CHARACTER_MS, clock, timers })
  const meter = createTelegramMeter({ page: 'tiny', line: wire.port, decode: decodeTiny, clock, timers, ...more })
  return { clock, timers, advance, wire, meter }
}

async function settled<T>(bus: { advance(ms: number): Promise<void> }, promise: Promise<T>): Promise<T> {
  let result: { value: T } | undefined
  void promise.then(value => {
    result = { value }
  })
  while (result === undefined) await bus.advance(10)
  return result.value
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

test('a read waits for a telegram that began after it, never one that had begun', async () => {
  const bus = makeMeter()
  must(await bus.meter.open())
  bus.wire.device.write(ascii('#A001'))
  await bus.advance(100)
  const read = bus.meter.read()
  await bus.advance(100)
  // The end of the old one, then a new one.
  bus.wire.device.write(ascii('1'))
  await bus.advance(100)
  const began = bus.clock.mono()
  bus.wire.device.write(ascii('#A0021'))
  const reading = must(await settled(bus, read))
  assert.is(findValue(reading.values, OBIS.energyImport)?.value, 2n)
  assert.equal(reading.rawHash, sha256(ascii('#A0021')))
  assert.ok(reading.takenMono >= began)
  assert.is(reading.taken - 1_700_000_000_000, reading.takenMono)
  await bus.meter.close()
})

test('junk before, inside and behind does not hide the next telegram', async () => {
  const bus = makeMeter()
  must(await bus.meter.open())
  const read = bus.meter.read()
  await bus.advance(1)
  bus.wire.device.write(ascii('zz?#A'))
  bus.wire.device.write(ascii('0421??'))
  const reading = must(await settled(bus, read))
  assert.is(reading.values[0]?.value, 42n)
})

test('a silent meter, a nameless one, another one, and a line that is down are faults by name', async () => {
  const bus = makeMeter({ meterId: 'A', deadlineMs: 3_000 })
  assert.is(codeOf(await bus.meter.read()), 'line.closed')
  must(await bus.meter.open())
  assert.is(codeOf(await settled(bus, bus.meter.read())), 'meter.silent')
  const say = async (text: string) => {
    const read = bus.meter.read()
    await bus.advance(1)
    bus.wire.device.write(ascii(text))
    return codeOf(await settled(bus, read))
  }
  assert.is(await say('#-0011'), 'meter.no-identity')
  // Some meters say who they are in every fourth telegram only.
  assert.is(await say('#-0011#A0011'), 'ok')
  assert.is(await say('#B0011'), 'meter.identity')
  assert.is(await say('#A0011'), 'ok')
  const read = bus.meter.read()
  await bus.advance(1)
  bus.wire.device.unplug()
  assert.is(codeOf(await settled(bus, read)), 'line.unplugged')
  bus.wire.device.plug()
  await bus.advance(2_000)
  assert.is(await say('#A0021'), 'ok')
})

test('without a checksum a value is believed only when the telegram before bears it out', async () => {
  const bus = makeMeter()
  must(await bus.meter.open())
  const hear = async (text: string) => {
    const read = bus.meter.read()
    await bus.advance(1)
    bus.wire.device.write(ascii(text))
    await bus.advance(50)
    bus.wire.device.write(ascii('#A9991'))
    return must(await settled(bus, read)).values[0]?.value
  }
  // The first alone is not believed: the checked telegram that follows answers.
  const alone = makeMeter()
  must(await alone.meter.open())
  const read = alone.meter.read()
  await alone.advance(1)
  for (const text of ['#A1000', '#A9000', '#A9000']) alone.wire.device.write(ascii(text))
  assert.is(must(await settled(alone, read)).values[0]?.value, 900n)
  assert.is(await hear('#A1000#A1050'), 105n)
})

/** The tiny telegram with its last character as the frame counter. */
function decodeCounted(bytes: Uint8Array): Pull<Telegram> {
  const pull = decodeTiny(bytes)
  return pull.kind === 'frame' ? { ...pull, value: { ...pull.value, checked: true, counter: bytes[5]! - 0x30 } } : pull
}

test('a telegram whose frame counter is not above the last was sent before, heard by a read or not', async () => {
  const hear = async (decode: typeof decodeTiny) => {
    const bus = makeMeter({ decode, meterId: 'A' })
    must(await bus.meter.open())
    const seen: string[] = []
    for (const telegram of ['#A0015', '-#A0027', '#A0017', '#A0015', '#A0038', '#B0049', '#A0049']) {
      // A hyphen: nobody reads meanwhile.
      const read = telegram.startsWith('-') ? undefined : bus.meter.read()
      await bus.advance(1)
      bus.wire.device.write(ascii(telegram.replace('-', '')))
      await bus.advance(50)
      if (read !== undefined) seen.push(codeOf(await settled(bus, read)))
    }
    await bus.meter.close()
    return seen
  }
  // The counter of another meter means nothing for this one.
  assert.equal(await hear(decodeCounted), ['ok', 'meter.replayed', 'meter.replayed', 'ok', 'meter.identity', 'ok'])
  // Without counters the same telegrams are all new.
  const withoutCounter: typeof decodeTiny = bytes => {
    const pull = decodeTiny(bytes)
    return pull.kind === 'frame' ? { ...pull, value: { ...pull.value, checked: true } } : pull
  }
  assert.equal(await hear(withoutCounter), ['ok', 'ok', 'ok', 'ok', 'meter.identity', 'ok'])
})

test('a reading has values of now only, without what was written for people', async () => {
  const decode = (bytes: Uint8Array): Pull<Telegram> => {
    const pull = decodeTiny(bytes)
    if (pull.kind !== 'frame') return pull
    const [energy] = pull.value.values
    const gas = { obis: '0-1:24.2.1', value: 5n, scaler: 0, unit: 'm3', at: '170102161005W' } as const
    return { ...pull, value: { ...pull.value, values: [{ ...energy!, written: 'kWh' }, gas] } }
  }
  const bus = makeMeter({ decode })
  must(await bus.meter.open())
  const read = bus.meter.read()
  await bus.advance(1)
  bus.wire.device.write(ascii('#A0011'))
  const { values } = must(await settled(bus, read))
  assert.equal(values, [{ obis: OBIS.energyImport, value: 1n, scaler: 0, unit: 'Wh' }])
  await bus.meter.close()
})

test('a line that is open and says nothing is opened anew', async () => {
  const downs: string[] = []
  const bus = makeMeter({ deadlineMs: 1_000, log: (_l, _r, _t, fault) => fault && downs.push(fault.code) })
  must(await bus.meter.open())
  for (let i = 0; i < 3; i++) await settled(bus, bus.meter.read())
  assert.equal(downs, ['meter.line-deaf'])
  await bus.advance(500)
  assert.is(codeOf(await settled(bus, bus.meter.read())), 'meter.silent')
})

test('endless noise and a telegram that never ends are held in bounded memory', async () => {
  let longest = 0
  const bus = makeMeter({
    decode: bytes => {
      longest = Math.max(longest, bytes.length)
      return { kind: 'need', bytes: 1 }
    },
  })
  must(await bus.meter.open())
  for (let i = 0; i < 300; i++) bus.wire.device.write(new Uint8Array(1_000))
  await bus.advance(400_000)
  assert.ok(longest <= 33_768, `${longest}`)
})

for (const [name, start] of [
  ['SML', startSmlMeter],
  ['P1', startP1Meter],
] as const) {
  test(`${name}: a reading a second while bits flip on the wire, and not one wrong value`, async () => {
    const bus = makeMeter({ decode: name === 'SML' ? decodeSmlTelegram : decodeDsmrTelegram })
    must(await bus.meter.open())
    let imported = 1_000_000n
    const speaking = start({
      end: bus.wire.device,
      measure: () => ({
        voltageMv: 230_000,
        currentMa: 1_000,
        powerMw: 230_000,
        frequencyMhz: 50_000,
        imported,
        exported: 7_000n,
      }),
      characterMs: 0,
      clock: bus.clock,
      timers: bus.timers,
      random: seededRandom(5),
      serverId: hex('0a 01 54 4c 4e 00 0a 2f 01'),
      maker: 'TLN',
      equipmentId: 'E0041007626',
      model: 'TLN5-SIM',
    })
    // About one telegram in five is damaged.
    speaking.faults.flippedBits = 0.00005
    let right = 0
    for (let i = 0; i < 200; i++) {
      imported += 3_000n
      const before = imported
      const reading = await settled(bus, bus.meter.read())
      if (!reading.ok) continue
      right++
      assert.is(
        findValue(reading.value.values, OBIS.energyImport)?.value,
        name === 'SML' ? before / 100n : before / 1000n,
      )
      assert.is(reading.value.meterId, name === 'SML' ? '0a01544c4e000a2f01' : 'E0041007626')
    }
    speaking.stop()
    await bus.meter.close()
    assert.ok(right > 150, `${right}`)
  })
}

test.run()
