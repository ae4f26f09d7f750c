import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { createIecMeter, type IecMeterParts } from '../../../drivers/meters/iec-meter.ts'
import { createTelegramMeter } from '../../../drivers/meters/telegram-meter.ts'
import { decodeIecTelegram } from '../../../drivers/meters/telegrams.ts'
import type { Line } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { type IecMeterSimOptions, startIecMeter } from '../../../hw/sim/iec-meter-sim.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { done, must, type Result } from '../../../protocol/result.ts'
import { pushedText } from '../../../protocol/telegram/iec62056-write.ts'
import { findValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { follow } from '../followed-bytes.ts'

const test = suite('iec meter')

const LINES = (energy: string) => [
  'F.F(00)',
  'C.1.0(47110815)',
  `1.8.0(${energy}*kWh)`,
  '2.8.0(000007.5*kWh)',
  '32.7.0(230.1*V)',
]

/** What the six characters of the reader's choice take at 300 baud: the line here hands them over at once. */
const CHOICE_MS = 200

interface Bench {
  readonly meter?: Partial<IecMeterParts>
  readonly sim?: Partial<IecMeterSimOptions>
  /** A line that cannot change its rate. */
  readonly fixed?: boolean
  readonly disturb?: (bytes: Uint8Array) => Uint8Array
}

/** A meter on a line in simulated time: what is sent at one rate and heard at another is garbage. */
function makeBench({ meter = {}, sim = {}, fixed = false, disturb = bytes => bytes }: Bench = {}) {
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  let heardAt = 300
  const bauds: number[] = []
  const energy = { now: '012345.678', readouts: 0 }
  const wire = createMemoryLine({
    name: 'head',
    characterMs: 0,
    disturb: (bytes, towards) => {
      // From the STX on, with its parity bit or without.
      inData = towards === 'gateway' && (inData || bytes.some(byte => (byte & 0x7f) === 0x02))
      const sentAt = inData ? simulated.dataBaud() : 300
      return towards === 'gateway' && sentAt !== heardAt ? bytes.map(byte => byte ^ 0x55) : disturb(bytes)
    },
    clock,
    timers,
  })
  let inData = false
  const line: Line = fixed
    ? wire.port
    : {
        ...wire.port,
        setBaud: async baud => {
          heardAt = baud
          bauds.push(baud)
          return done
        },
      }
  const simulated = startIecMeter({
    end: wire.device,
    identification: 'TLN5model-1',
    lines: () => {
      energy.readouts++
      return LINES(energy.now)
    },
    parity: meter.parity ?? 'none',
    paced: true,
    timers,
    random: seededRandom(3),
    ...sim,
  })
  const reader = createIecMeter({ line, clock, timers, ...meter })
  async function read() {
    let result: Awaited<ReturnType<typeof reader.read>> | undefined
    void reader.read().then(value => {
      result = value
    })
    while (result === undefined) await advance(50)
    return result
  }
  return { clock, timers, advance, wire, simulated, meter: reader, read, bauds, energy }
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
const imported = (result: Awaited<ReturnType<ReturnType<typeof makeBench>['read']>>) =>
  findValue(must(result).values, OBIS.energyImport)?.value

for (const [mode, identification, bauds] of [
  ['A', 'TLN model-1', []],
  ['B', 'TLNCmodel-1', [2400, 300, 2400]],
  ['C at 9,600', 'TLN5model-1', [9600, 300, 9600]],
  ['C at 300', 'TLN0model-1', []],
  ['C, fast', 'TLn6model-1', [19_200, 300, 19_200]],
] as const) {
  test(`mode ${mode}: two readouts that agree are a reading, of a time after the call`, async () => {
    const bench = makeBench({ sim: { identification, ...(mode === 'C, fast' ? { reactionMs: CHOICE_MS + 20 } : {}) } })
    must(await bench.meter.open())
    await bench.advance(10_000)
    const began = bench.clock.mono()
    const result = await bench.read()
    assert.is(imported(result), 12_345_678n)
    assert.is(must(result).meterId, '47110815')
    assert.ok(must(result).takenMono >= began)
    assert.is(must(result).values.length, 3)
    // How the meter wrote its unit (kWh) is for people only.
    for (const value of must(result).values) assert.equal(Object.keys(value), ['obis', 'value', 'scaler', 'unit'])
    assert.equal(bench.bauds, bauds)
    assert.is(bench.energy.readouts, 2)
    await bench.meter.close()
  })
}

test('a line that cannot change its rate reads mode C at 300 baud, and refuses mode B by name', async () => {
  const c = makeBench({ fixed: true })
  must(await c.meter.open())
  assert.is(imported(await c.read()), 12_345_678n)
  assert.is(c.simulated.dataBaud(), 300)
  const b = makeBench({ fixed: true, sim: { identification: 'TLNEmodel-1' } })
  must(await b.meter.open())
  assert.is(codeOf(await b.read()), 'iec62056.baud')
})

test('a line that refuses the rate is a fault, not a garbled readout', async () => {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const wire = createMemoryLine({ name: 'head', characterMs: 0, clock, timers })
  const line: Line = { ...wire.port, setBaud: async () => ({ ok: false, fault: { code: 'serial.baud' } }) }
  startIecMeter({
    end: wire.device,
    identification: 'TLN5x',
    lines: () => LINES('1.0'),
    parity: 'none',
    paced: false,
    timers,
    random: seededRandom(1),
  })
  const meter = createIecMeter({ line, clock, timers })
  must(await meter.open())
  const read = meter.read()
  await advance(5_000)
  assert.is(codeOf(await read), 'serial.baud')
})

test('with parity in bit 7, an echo, an address and junk before the answer it reads the same', async () => {
  const bench = makeBench({
    meter: { parity: 'even-in-bit-7', address: '4711' },
    sim: { address: '4711' },
    disturb: bytes => (bytes[0] === 0xaf ? Uint8Array.from([0x00, 0xff, ...bytes]) : bytes),
  })
  bench.simulated.faults.echo = true
  must(await bench.meter.open())
  assert.is(imported(await bench.read()), 12_345_678n)
})

test('a counter that runs on is read from between two others, a value that fluctuates is absent', async () => {
  let readouts = 0
  const bench = makeBench({
    sim: {
      lines: () => {
        readouts++
        return [...LINES(`012345.68${readouts}`), `1.7.0(0.73${readouts}*kW)`]
      },
    },
  })
  must(await bench.meter.open())
  const result = await bench.read()
  assert.is(readouts, 3)
  assert.is(imported(result), 12_345_682n)
  assert.equal(
    must(result).values.map(({ obis }) => obis),
    ['1-0:1.8.0', '1-0:2.8.0', '1-0:32.7.0'],
  )
})

test('silence, half an answer, the wrong meter, another address, a line that goes down: each is a fault by name', async () => {
  const bench = makeBench({ meter: { meterId: '47110815' } })
  assert.is(codeOf(await bench.read()), 'line.closed')
  must(await bench.meter.open())
  bench.simulated.faults.silent = true
  const silent = await bench.read()
  assert.is(codeOf(silent), 'iec62056.silent')
  assert.is(!silent.ok && silent.fault['phase'], 'identifying')
  bench.simulated.faults.silent = false
  bench.simulated.faults.mute = true
  const mute = await bench.read()
  assert.is(!mute.ok && mute.fault['phase'], 'reading')
  bench.simulated.faults.mute = false
  assert.is(codeOf(await bench.read()), 'ok')
  const read = bench.read()
  await bench.advance(300)
  bench.wire.device.unplug()
  assert.is(codeOf(await read), 'line.unplugged')
  bench.wire.device.plug()
  await bench.advance(3_000)
  assert.is(codeOf(await bench.read()), 'ok')

  const other = makeBench({ meter: { meterId: '1' } })
  must(await other.meter.open())
  assert.is(codeOf(await other.read()), 'meter.identity')
  const elsewhere = makeBench({ meter: { address: '2' }, sim: { address: '1' } })
  must(await elsewhere.meter.open())
  assert.is(codeOf(await elsewhere.read()), 'iec62056.silent')
  const nameless = makeBench({ sim: { lines: () => ['1.8.0(1.0*kWh)'] } })
  must(await nameless.meter.open())
  assert.is(codeOf(await nameless.read()), 'meter.needs-id')
  const configured = makeBench({
    meter: { meterId: '4711', address: '1' },
    sim: { address: '1', lines: () => ['1.8.0(1.0*kWh)'] },
  })
  must(await configured.meter.open())
  assert.is(must(await configured.read()).meterId, '4711')
  const slow = makeBench({ meter: { deadlineMs: 1_000 } })
  must(await slow.meter.open())
  assert.is(codeOf(await slow.read()), 'iec62056.deadline')
})

test('an error register that is not zero is told', async () => {
  const told: unknown[] = []
  const bench = makeBench({
    meter: { log: (_level, _room, _text, fault) => fault && told.push(fault['error']) },
    sim: { lines: () => [...LINES('1.0').slice(1), 'F.F(00000040)'] },
  })
  must(await bench.meter.open())
  assert.is(codeOf(await bench.read()), 'ok')
  assert.equal(told, ['00000040', '00000040'])
})

for (const identification of ['TLN model-1', 'TLN5model-1'])
  test(`answers later than any timeout, ${identification[3] === '5' ? 'mode C' : 'mode A'}: never a readout from before the call`, async () => {
    const bench = makeBench({ sim: { identification } })
    must(await bench.meter.open())
    let right = 0
    for (let i = 0; i < 60; i++) {
      // Every third read meets answers that come 2 to 10 s late, and leaves some of them to the next.
      bench.simulated.faults.lateMs = i % 3 === 0 ? 2_000 + 137 * i : 0
      bench.energy.now = `0${20_000 + i}.000`
      const result = await bench.read()
      if (!result.ok) continue
      right++
      assert.is(
        findValue(result.value.values, OBIS.energyImport)?.value ?? BigInt(20_000_000 + 1000 * i),
        BigInt(20_000_000 + 1000 * i),
      )
    }
    assert.ok(right >= 20, `${right}`)
  })

test('bits flip and bytes are lost on the line: many readings, not one wrong', async () => {
  for (const parity of ['none', 'even-in-bit-7'] as const) {
    const bench = makeBench({ meter: { parity } })
    must(await bench.meter.open())
    bench.simulated.faults.flippedBits = 0.0002
    bench.simulated.faults.lostBytes = 0.0005
    let right = 0
    for (let i = 0; i < 60; i++) {
      const now = 30_000_000n + BigInt(i)
      bench.energy.now = `0${now / 1000n}.${String(now % 1000n).padStart(3, '0')}`
      const result = await bench.read()
      if (!result.ok) continue
      const seen = findValue(result.value.values, OBIS.energyImport)?.value
      assert.ok(seen === undefined || seen === now, `${seen} for ${now}`)
      assert.is(result.value.meterId, '47110815')
      if (seen !== undefined) right++
    }
    assert.ok(right > 30, `${right}`)
  }
})

test('a mode D meter speaks unasked: the second telegram bears out the first, one cut short bears out nothing', async () => {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const wire = createMemoryLine({ name: 'head', characterMs: 0, clock, timers })
  const meter = createTelegramMeter({
    page: 'iec62056',
    line: wire.port,
    decode: decodeIecTelegram,
    clock,
    timers,
    deadlineMs: 5_000,
  })
  must(await meter.open())
  const telegram = utf8(pushedText('TLN3pushes', LINES('012345.678')))
  const read = async (...chunks: readonly Uint8Array[]) => {
    const result = meter.read()
    await advance(1)
    for (const chunk of chunks) wire.device.write(chunk)
    // Twice the deadline: a telegram that came is waited on for the one that bears it out.
    await advance(11_000)
    return result
  }
  assert.is(codeOf(await read(telegram.subarray(0, 60), telegram)), 'meter.silent')
  assert.is(imported(await read(telegram)), 12_345_678n)
  await meter.close()
})

test('on a real pseudo-terminal, with its change of rate', async () => {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const followed = follow()
  const pty = must(await openPty())
  const simulated = startIecMeter({
    end: followed.device(pty),
    identification: 'TLn6model-1',
    lines: () => LINES('012345.678'),
    parity: 'even-in-bit-7',
    paced: false,
    reactionMs: CHOICE_MS + 30,
    timers,
    random: seededRandom(1),
  })
  const line = followed.line(createSerialLine({ path: pty.path, baudRate: 300 }, clock, createSystemTime().timers))
  const meter = createIecMeter({ line, clock, timers, parity: 'even-in-bit-7' })
  must(await followed.settled(advance, meter.open()))
  const result = await followed.settled(advance, meter.read())
  assert.is(imported(result), 12_345_678n)
  assert.is(simulated.dataBaud(), 19_200)
  await followed.settled(advance, meter.close())
  assert.is(codeOf(await line.setBaud!(9600)), 'serial.closed')
  simulated.stop()
  await pty.close()
})

test.run()
