import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { createMbusMaster } from '../../../drivers/meters/mbus-master.ts'
import { createMbusMeter, type MbusAddress } from '../../../drivers/meters/mbus-meter.ts'
import type { Log, MeterReading } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { type MbusSlaveOptions, startMbusSlaves } from '../../../hw/sim/mbus-slave.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { concat, hex } from '../../../protocol/bytes.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { findValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { follow } from '../followed-bytes.ts'

const test = suite('m-bus meter')

const CHARACTER_MS = 11_000 / 2_400
const A = hex('78 56 34 12 8e 51 01 02')
const B = hex('79 56 34 12 8e 51 01 02')

/** 04 03: 32 bits, Wh. */
const energyRecord = (wh: number) => Uint8Array.of(4, 3, wh & 255, (wh >> 8) & 255, (wh >> 16) & 255, 0)

interface Bench {
  readonly slaves?: readonly MbusSlaveOptions[]
  readonly echo?: boolean
  readonly log?: Log
}

function makeBench({ slaves, echo = false, log }: Bench = {}) {
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  const wire = createMemoryLine({ name: 'm-bus', characterMs: CHARACTER_MS, clock, timers })
  const energy = { now: 5_000, asked: 0 }
  const bus = startMbusSlaves({
    end: wire.device,
    slaves: slaves ?? [
      {
        address: 1,
        identity: A,
        telegrams: () => {
          energy.asked++
          return [energyRecord(energy.now)]
        },
      },
      { address: 2, identity: B, telegrams: () => [energyRecord(777)] },
    ],
    baud: 2_400,
    paced: false,
    echo,
    timers,
    random: seededRandom(4),
  })
  const master = createMbusMaster({ line: wire.port, clock, timers })
  const meterAt = (address: MbusAddress, meterId?: string) =>
    createMbusMeter({ master, address, clock, ...(meterId && { meterId }), ...(log && { log }) })
  async function settle(read: Promise<Result<MeterReading>>) {
    let result: Result<MeterReading> | undefined
    void read.then(value => {
      result = value
    })
    while (result === undefined) await advance(20)
    return result
  }
  const read = (address: MbusAddress, meterId?: string) => settle(meterAt(address, meterId).read())
  return { clock, timers, advance, wire, master, meterAt, settle, read, energy, slaves: bus.slaves }
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
const imported = (result: Result<MeterReading>) => findValue(must(result).values, OBIS.energyImport)?.value

for (const [name, address] of [
  ['primary address', { primary: 1 }],
  ['secondary address', { id: '12345678', maker: 'TLN', version: 1, medium: 2 }],
  ['secondary address with wildcards', { id: 'FFFF5678' }],
] as const)
  for (const echo of [false, true])
    test(`by ${name}${echo ? ', with an echo on the line' : ''}: two answers that agree are a reading, taken after the call`, async () => {
      const bench = makeBench({ echo })
      must(await bench.master.open())
      await bench.advance(5_000)
      const began = bench.clock.mono()
      const result = await bench.read(address)
      assert.is(imported(result), 5_000n)
      assert.is(must(result).meterId, '12345678-TLN-01-02')
      assert.ok(must(result).takenMono >= began)
      assert.is(bench.energy.asked, 2)
      await bench.master.close()
    })

test('meters on one line are read one after the other, and each gives its own', async () => {
  const bench = makeBench()
  must(await bench.master.open())
  const [a, b] = [bench.meterAt({ primary: 1 }).read(), bench.meterAt({ primary: 2 }).read()]
  assert.is(imported(await bench.settle(a)), 5_000n)
  assert.is(imported(await bench.settle(b)), 777n)
})

test('an answer in several telegrams is put together, and one that never ends is a fault', async () => {
  const more = Uint8Array.of(0x1f)
  // Energy of tariff 1, then of tariff 2, then power.
  const parts = ['84 10 03 01 00 00 00', '84 20 03 02 00 00 00', '02 2b 05 00'].map(hex)
  const telegrams = () => parts.map((part, i) => (i < 2 ? concat(part, more) : part))
  const bench = makeBench({
    slaves: [
      { address: 1, identity: A, telegrams },
      { address: 2, identity: B, telegrams: () => [concat(energyRecord(1), more)] },
    ],
  })
  must(await bench.master.open())
  assert.equal(
    must(await bench.read({ primary: 1 })).values.map(({ obis, value }) => [obis, value]),
    [
      ['1-0:1.8.1', 1n],
      ['1-0:1.8.2', 2n],
      ['1-0:1.7.0', 5n],
    ],
  )
  assert.is(codeOf(await bench.read({ primary: 2 })), 'mbus.endless')
})

test('a counter that runs on is read from between two others', async () => {
  let wh = 5_000
  const bench = makeBench({
    slaves: [{ address: 1, identity: A, telegrams: () => [energyRecord(wh++)] }],
  })
  must(await bench.master.open())
  assert.is(imported(await bench.read({ primary: 1 })), 5_001n)
})

test('silence, a meter that is not there, the wrong meter, two at once, a line that goes down: each is a fault by name', async () => {
  const bench = makeBench()
  assert.is(codeOf(await bench.read({ primary: 1 })), 'line.closed')
  must(await bench.master.open())
  assert.is(codeOf(await bench.read({ primary: 9 })), 'mbus.silent')
  assert.is(codeOf(await bench.read({ id: '99999999' })), 'mbus.not-selected')
  assert.is(codeOf(await bench.read({ primary: 1 }, '12345679-TLN-01-02')), 'meter.identity')
  // Both confirm the selection in one voice, and then garble each other.
  assert.is(codeOf(await bench.read({ id: '1234567F' })), 'mbus.garbled')
  assert.is(codeOf(await bench.read({ primary: 254 })), 'mbus.garbled')
  assert.is(imported(await bench.read({ primary: 1 })), 5_000n)
  const read = bench.meterAt({ primary: 1 }).read()
  await bench.advance(60)
  bench.wire.device.unplug()
  assert.is(codeOf(await bench.settle(read)), 'line.unplugged')
  bench.wire.device.plug()
  await bench.advance(3_000)
  bench.slaves[0]!.faults.unconfirming = true
  assert.is(imported(await bench.read({ primary: 1 })), 5_000n)
})

test('an answer under another address, or of a meter that was not selected, is refused', async () => {
  const bench = makeBench({ slaves: [{ address: 1, identity: A, telegrams: () => [energyRecord(1)] }] })
  must(await bench.master.open())
  // The slave answers to 254 as well, under its own address: that is what 254 is for.
  assert.is(codeOf(await bench.read({ primary: 254 })), 'ok')
  // One that answers for address 3 with another's bytes: what a late answer of another meter looks like.
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const wire = createMemoryLine({ name: 'm-bus', characterMs: CHARACTER_MS, clock, timers })
  const master = createMbusMaster({ line: wire.port, clock, timers })
  must(await master.open())
  wire.device.onBytes(chunk => {
    const reset = chunk[1] === 0x40
    // Address 2 answers where 3 was asked: 68 15 15 68 08 02 72 header record CS 16, CS by hand.
    const inner = concat(hex('08 02 72'), A, hex('00 00 00 00'), energyRecord(1))
    const sum = inner.reduce((total, byte) => (total + byte) & 255, 0)
    const long = concat(Uint8Array.of(0x68, inner.length, inner.length, 0x68), inner, Uint8Array.of(sum, 0x16))
    timers.after(20, () => wire.device.write(reset ? hex('e5') : long))
  })
  const read = async (address: MbusAddress) => {
    const result = createMbusMeter({ master, address, clock }).read()
    await advance(5_000)
    return codeOf(await result)
  }
  assert.is(await read({ primary: 3 }), 'mbus.other-meter')
  assert.is(await read({ primary: 2 }), 'ok')
  // A selection is confirmed by a long frame here.
  assert.is(await read({ id: '99999999' }), 'mbus.not-confirmed')
})

test('answers later than any timeout, of this meter and of its neighbour: never another meter, never a value from before the call', async () => {
  const bench = makeBench()
  must(await bench.master.open())
  const [mine, neighbour] = bench.slaves
  const meters = [bench.meterAt({ primary: 1 }), bench.meterAt({ primary: 2 })]
  let right = 0
  for (let i = 0; i < 300; i++) {
    mine!.faults.lateMs = i % 3 === 0 ? 250 + 37 * i : 0
    neighbour!.faults.lateMs = i % 5 === 0 ? 250 + 53 * i : 0
    bench.energy.now = 10_000 + 10 * i
    const result = await bench.settle(meters[i % 2]!.read())
    if (!result.ok) continue
    right++
    const wanted = i % 2 === 0 ? bench.energy.now : 777
    assert.is(findValue(result.value.values, OBIS.energyImport)?.value, BigInt(wanted), `read ${i}`)
    assert.is(result.value.meterId, i % 2 === 0 ? '12345678-TLN-01-02' : '12345679-TLN-01-02')
  }
  assert.ok(right > 120, `${right}`)
})

test('bits flip and bytes are lost on the line: many readings, not one wrong', async () => {
  const bench = makeBench()
  must(await bench.master.open())
  bench.slaves[0]!.faults.flippedBits = 0.001
  bench.slaves[0]!.faults.lostBytes = 0.001
  const meter = bench.meterAt({ primary: 1 })
  let right = 0
  for (let i = 0; i < 300; i++) {
    bench.energy.now = 10_000 + i
    const result = await bench.settle(meter.read())
    if (!result.ok) continue
    right++
    assert.is(findValue(result.value.values, OBIS.energyImport)?.value, BigInt(bench.energy.now))
    assert.is(result.value.meterId, '12345678-TLN-01-02')
  }
  assert.ok(right > 150, `${right}`)
})

test('endless noise on the line ends in a fault', async () => {
  const bench = makeBench()
  must(await bench.master.open())
  const stop = bench.timers.every(40, () => bench.wire.device.write(hex('00 68 55')))
  const code = codeOf(await bench.read({ primary: 1 }))
  assert.ok(code === 'mbus.garbled' || code === 'mbus.never-quiet', code)
  stop()
})

test('errors in the status are told', async () => {
  const told: unknown[] = []
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const wire = createMemoryLine({ name: 'm-bus', characterMs: CHARACTER_MS, clock, timers })
  const master = createMbusMaster({ line: wire.port, clock, timers })
  must(await master.open())
  wire.device.onBytes(chunk => {
    const inner = concat(hex('08 01 72'), A, hex('00 08 00 00'), energyRecord(1))
    const sum = inner.reduce((total, byte) => (total + byte) & 255, 0)
    const long = concat(Uint8Array.of(0x68, inner.length, inner.length, 0x68), inner, Uint8Array.of(sum, 0x16))
    timers.after(20, () => wire.device.write(chunk[1] === 0x40 ? hex('e5') : long))
  })
  const read = createMbusMeter({
    master,
    address: { primary: 1 },
    clock,
    log: (_level, _room, _text, fault) => told.push(fault?.['status']),
  }).read()
  await advance(5_000)
  assert.is(codeOf(await read), 'ok')
  assert.equal(told, [8, 8])
})

test('on a real pseudo-terminal', async () => {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const followed = follow()
  const pty = must(await openPty())
  const bus = startMbusSlaves({
    end: followed.device(pty),
    slaves: [{ address: 1, identity: A, telegrams: () => [energyRecord(5_000)] }],
    baud: 9_600,
    paced: true,
    timers,
    random: seededRandom(1),
  })
  const serial = createSerialLine({ path: pty.path, baudRate: 9_600, parity: 'even' }, clock, createSystemTime().timers)
  const line = followed.line(serial)
  const master = createMbusMaster({ line, clock, timers, baud: 9_600 })
  must(await followed.settled(advance, master.open()))
  const result = await followed.settled(advance, createMbusMeter({ master, address: { primary: 1 }, clock }).read())
  await followed.settled(advance, master.close())
  bus.stop()
  await pty.close()
  assert.is(imported(result), 5_000n)
})

test.run()
