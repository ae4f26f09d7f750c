import { drainPromises } from '../../../drivers/drain.ts'
import { createTelegramMeter, type TelegramMeterParts } from '../../../drivers/meters/telegram-meter.ts'
import { decodeDsmrTelegram, decodeSmlTelegram } from '../../../drivers/meters/telegrams.ts'
import type { MeterReading } from '../../../drivers/ports.ts'
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
import { dice } from '../../protocol/telegram/mutate.ts'

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

test('a meter that never says who it is is read by its configured id, unless another one has spoken on the line', async () => {
  const say = (bus: ReturnType<typeof makeMeter>) => async (text: string) => {
    const read = bus.meter.read()
    await bus.advance(1)
    bus.wire.device.write(ascii(text))
    return settled(bus, read)
  }
  const named = makeMeter({ meterId: 'A', deadlineMs: 3_000 })
  must(await named.meter.open())
  const to = say(named)
  assert.is(must(await to('#-0011')).meterId, 'A')
  assert.is(codeOf(await to('#B0021')), 'meter.identity')
  assert.is(codeOf(await to('#-0021')), 'meter.identity', 'whose this is nobody knows')
  assert.is(must(await to('#A0021')).meterId, 'A')
  assert.is(must(await to('#-0031')).meterId, 'A')

  const anyone = makeMeter({ deadlineMs: 3_000 })
  must(await anyone.meter.open())
  assert.is(codeOf(await say(anyone)('#-0011')), 'meter.needs-id')
  assert.is(must(await say(anyone)('#C0011')).meterId, 'C')
  // That the next one is C's as well is likely, and no more than that.
  assert.is(codeOf(await say(anyone)('#-0021')), 'meter.needs-id')
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
  assert.is(await say('#A0011'), 'ok')
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

/** What the reads say of telegrams `#A1230` that come a second apart. */
async function hearUnchecked(...telegrams: readonly string[]): Promise<readonly string[]> {
  const bus = makeMeter({ deadlineMs: 20_000 })
  must(await bus.meter.open())
  const seen: string[] = []
  let live = true
  void (async () => {
    while (live) {
      const reading = await bus.meter.read()
      if (!reading.ok) return
      seen.push(
        `${reading.value.meterId} ${reading.value.values[0]?.value} after ${Math.floor(reading.value.takenMono / 1_000)} s`,
      )
    }
  })()
  for (const telegram of telegrams) {
    await bus.advance(1)
    bus.wire.device.write(ascii(telegram))
    await bus.advance(999)
  }
  live = false
  await bus.meter.close()
  return seen
}

test('without a checksum a value is believed when two telegrams say it, a counter that runs when three go on', async () => {
  assert.equal(await hearUnchecked('#A1000'), [])
  assert.equal(await hearUnchecked('#A1000', '#A9000', '#A9000'), ['A 900 after 2 s'])
  // The one in the middle is the reading, at its own time: what comes after it bears it out.
  assert.equal(await hearUnchecked('#A1000', '#A1010', '#A1020'), ['A 101 after 1 s'])
  assert.equal(await hearUnchecked('#A1000', '#A1000', '#A1010', '#A1010'), ['A 100 after 1 s', 'A 101 after 3 s'])
})

test('a counter without a checksum that is a little too high once, or too low once, is never a reading', async () => {
  //                                        "0" with a bit flipped: 4 Wh too much
  assert.equal(await hearUnchecked('#A1000', '#A1040', '#A1000'), [])
  assert.equal(await hearUnchecked('#A1000', '#A1010', '#A1050', '#A1030', '#A1040', '#A1050'), [
    'A 101 after 1 s',
    'A 104 after 4 s',
  ])
})

test('a damaged identity without a checksum is not the one that is pinned', async () => {
  assert.equal(await hearUnchecked('#C1000', '#A1000', '#A1000', '#C1000', '#A1000', '#A1000'), [
    'A 100 after 2 s',
    'A 100 after 5 s',
  ])
})

test('noise between two telegrams without a checksum keeps neither from bearing out the other, half a minute does', async () => {
  assert.equal(await hearUnchecked('#A1000?', '?#A1000'), ['A 100 after 1 s'])
  const pause = Array<string>(30).fill('')
  assert.equal(await hearUnchecked('#A1000', ...pause, '#A1000'), [])
})

/** Readings of 600 telegrams of an old P1 meter, of which every fifth has a bit of its counter flipped. */
async function hearDamaged(
  decode: TelegramMeterParts['decode'],
): Promise<{ running: number; wrong: readonly bigint[] }> {
  const bus = makeMeter({ decode, deadlineMs: 20_000 })
  must(await bus.meter.open())
  const roll = dice(11)
  const truths = [4_426n]
  const readings: MeterReading[] = []
  let live = true
  void (async () => {
    while (live) {
      const reading = await bus.meter.read()
      if (reading.ok) readings.push(reading.value)
    }
  })()
  for (let i = 0; i < 600; i++) {
    const truth = truths.at(-1)! + BigInt(roll(4))
    truths.push(truth)
    const kilo = String(truth).padStart(8, '0')
    const lines = ['/TLN5old', '', '0-0:96.1.1(4530)', `1-0:1.8.1(${kilo.slice(0, 5)}.${kilo.slice(5)}*kWh)`]
    const bytes = ascii([...lines, '1-0:2.8.1(00002.444*kWh)', '!', ''].join('\r\n'))
    // Digits and point of the counter stand at 40 to 48.
    if (roll(5) === 0) bytes[40 + roll(9)]! ^= 1 << roll(4)
    bus.wire.device.write(bytes)
    await bus.advance(10_000)
  }
  live = false
  await bus.meter.close()
  const heard = readings.flatMap(({ values, takenMono }) => {
    const value = findValue(values, '1-0:1.8.1')?.value
    return value === undefined ? [] : [{ value, at: Math.floor(takenMono / 10_000) + 1 }]
  })
  // No further off than what flowed between the telegrams before and behind.
  const wrong = heard.filter(({ value, at }) => value < truths[at - 1]! || value > (truths[at + 1] ?? value))
  return { running: heard.length, wrong: wrong.map(({ value }) => value) }
}

test('an old P1 meter, every fifth telegram damaged: no wrong counter; believing each telegram alone, many', async () => {
  const { running, wrong } = await hearDamaged(decodeDsmrTelegram)
  assert.equal(wrong, [])
  assert.ok(running > 200, `${running}`)
  const alone = await hearDamaged(bytes => {
    const pull = decodeDsmrTelegram(bytes)
    return pull.kind === 'frame' ? { ...pull, value: { ...pull.value, checked: true } } : pull
  })
  assert.ok(alone.wrong.length > 5, `${alone.wrong.length} of ${alone.running}`)
})

/** The tiny telegram with its last character as the frame counter. */
function decodeCounted(bytes: Uint8Array): Pull<Telegram> {
  const pull = decodeTiny(bytes)
  return pull.kind === 'frame' ? { ...pull, value: { ...pull.value, checked: true, counter: bytes[5]! - 0x30 } } : pull
}

const ALL = ['#A0015', '-#A0027', '#A0017', '#A0015', '#A0038', '#B0049', '#A0049']

test('a telegram whose frame counter is not above the last was sent before, heard by a read or not', async () => {
  const hear = async (decode: typeof decodeTiny, telegrams = ALL) => {
    const bus = makeMeter({ decode, meterId: 'A' })
    must(await bus.meter.open())
    const seen: string[] = []
    for (const telegram of telegrams) {
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
  // Another meter with a lower counter is another meter, not one that repeats itself.
  assert.equal(await hear(decodeCounted, ['#A0019', '#B0042']), ['ok', 'meter.identity'])
  // So is one whose telegrams have no checksum of their own: the counter is part of what opened them.
  const weak: typeof decodeTiny = bytes => {
    const pull = decodeCounted(bytes)
    return pull.kind === 'frame' ? { ...pull, value: { ...pull.value, checked: false } } : pull
  }
  assert.equal(await hear(weak, ['-#A0012', '#A0013', '#A0011', '#A0012']), ['ok', 'meter.replayed', 'meter.replayed'])
  // Without counters the same telegrams are all new.
  const withoutCounter: typeof decodeTiny = bytes => {
    const pull = decodeTiny(bytes)
    return pull.kind === 'frame' ? { ...pull, value: { ...pull.value, checked: true } } : pull
  }
  assert.equal(await hear(withoutCounter), ['ok', 'ok', 'ok', 'ok', 'meter.identity', 'ok'])
})

test('a telegram that is sent twice, and another meter on the line, do not end the read that waits for a new one', async () => {
  const bus = makeMeter({ decode: decodeCounted, meterId: 'A' })
  must(await bus.meter.open())
  bus.wire.device.write(ascii('#A0015'))
  await bus.advance(50)
  const read = bus.meter.read()
  await bus.advance(1)
  bus.wire.device.write(ascii('#A0015#B0029#A0026'))
  assert.is(must(await settled(bus, read)).values[0]?.value, 2n)
  await bus.meter.close()
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

test('a telegram does not pause: its beginning and the end of a later one are no telegram', async () => {
  const hear = async (pauseMs: number) => {
    const bus = makeMeter()
    must(await bus.meter.open())
    const read = bus.meter.read()
    await bus.advance(1)
    bus.wire.device.write(ascii('#A0'))
    await bus.advance(pauseMs)
    bus.wire.device.write(ascii('991#A1231'))
    const value = must(await settled(bus, read)).values[0]?.value
    await bus.meter.close()
    return value
  }
  assert.is(await hear(1_000), 99n)
  assert.is(await hear(4_000), 123n)
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
