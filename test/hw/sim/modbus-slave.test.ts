import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, type ModbusSlaveOptions, type ModbusUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { concat, hex, toHex } from '../../../protocol/bytes.ts'
import { crc16 } from '../../../protocol/modbus/crc.ts'
import { encodeRtu, encodeTcp } from '../../../protocol/modbus/frame.ts'
import { encodeRequest, type ModbusRequest } from '../../../protocol/modbus/pdu.ts'
import { assert, suite } from '../../harness.ts'
import { dice } from '../../protocol/telegram/mutate.ts'

const test = suite('modbus slave')

/** Eight registers from 0x10 on, each its own address plus an offset that a test may move; coils 0 to 3. */
function device() {
  const state = { offset: 0, coils: [false, true, false, false], written: [] as string[] }
  const unit = createUnit({
    registers: () => {
      const { offset } = state
      return (table, address) =>
        table === 'holding' && address >= 0x10 && address < 0x18 ? address + offset : undefined
    },
    writeRegister: (address, value) => {
      state.written.push(`${address}=${value}`)
      return address < 0x20
    },
    coil: address => state.coils[address],
    writeCoil: (address, on) => {
      if (address >= state.coils.length) return false
      state.coils[address] = on
      return true
    },
    refuse: (_, __, count) => (count > 6 ? 3 : undefined),
  })
  return { unit, state }
}

async function bench(units: ReadonlyMap<number, ModbusUnit>, options: Partial<ModbusSlaveOptions> = {}) {
  const time = createSimTime(0, drainPromises)
  const { clock, timers } = time
  // The line keeps no pace: the slave does, as on a pseudo-terminal.
  const { port, device: end } = createMemoryLine({ name: 'bus', characterMs: 0, clock, timers })
  const roll = dice(3)
  const random = () => roll(1 << 30) / 2 ** 30
  const stop = serveModbus(end, units, {
    framing: 'rtu',
    characterMs: 1,
    turnaroundMs: 5,
    clock,
    timers,
    random,
    ...options,
  })
  const heard: { at: number; hex: string }[] = []
  await port.open({ bytes: (chunk, at) => void heard.push({ at, hex: toHex(chunk) }), down: () => {} })
  const say = (bytes: Uint8Array) => void port.write(bytes)
  const ask = async (bytes: Uint8Array): Promise<string> => {
    heard.length = 0
    say(bytes)
    await time.advance(1000)
    return heard.map(chunk => chunk.hex).join('')
  }
  return { time, heard, say, ask, stop }
}

const rtu = (unit: number, request: ModbusRequest) => encodeRtu(unit, encodeRequest(request))
const READ: ModbusRequest = { fn: 3, address: 0x10, count: 2 }
const framed = (body: string): string => {
  const bytes = hex(body)
  const crc = crc16(bytes)
  return toHex(concat(bytes, Uint8Array.of(crc, crc >> 8)))
}

test('reads and writes what the bank holds', async () => {
  const { unit, state } = device()
  const { ask } = await bench(new Map([[7, unit]]))
  //                                                                     id fn len data
  assert.is(await ask(rtu(7, READ)), framed('                            07 03 04  0010 0011'))
  assert.is(await ask(rtu(7, { fn: 1, address: 0, count: 4 })), framed(' 07 01 01  02'))
  assert.is(await ask(rtu(7, { fn: 5, address: 3, on: true })), framed(' 07 05     0003 ff00'))
  assert.is(await ask(rtu(7, { fn: 15, address: 0, bits: [true, false] })), framed('07 0f 0000 0002'))
  assert.equal(state.coils, [true, false, false, true])
  assert.is(await ask(rtu(7, { fn: 16, address: 1, values: [8, 9] })), framed('07 10 0001 0002'))
  assert.equal(state.written, ['1=8', '2=9'])
})

test('wrong requests earn the exceptions of the specification', async () => {
  const { unit } = device()
  const { ask } = await bench(new Map([[7, unit]]))
  assert.is(await ask(rtu(7, { fn: 3, address: 0x17, count: 2 })), framed('07 83 02'))
  assert.is(await ask(rtu(7, { fn: 4, address: 0x10, count: 1 })), framed('07 84 02'))
  assert.is(await ask(rtu(7, { fn: 3, address: 0x10, count: 7 })), framed('07 83 03'))
  assert.is(await ask(rtu(7, { fn: 2, address: 0, count: 1 })), framed(' 07 82 01'))
  assert.is(await ask(rtu(7, { fn: 6, address: 0x30, value: 1 })), framed('07 86 02'))
  //          a sound frame that asks for no register at all
  assert.is(await ask(hex(framed('07 03 0010 0000'))), framed('          07 83 03'))
})

test('bad checksums, other units and the dead are met with silence, and the next request is heard', async () => {
  const { unit } = device()
  const { ask } = await bench(new Map([[7, unit]]))
  const good = rtu(7, READ)
  for (let bit = 0; bit < 8 * good.length; bit++) {
    const bad = Uint8Array.from(good)
    bad[bit >> 3]! ^= 1 << (bit & 7)
    assert.is(await ask(bad), '', `bit ${bit}`)
    assert.ok((await ask(good)).length > 0, `after bit ${bit}`)
  }
  assert.is(await ask(rtu(8, READ)), '')
  unit.faults.dead = true
  assert.is(await ask(good), '')
  assert.is(await ask(rtu(7, { fn: 5, address: 0, on: true })), '')
  unit.faults.dead = false
  assert.is(await ask(rtu(7, { fn: 1, address: 0, count: 1 })), framed('07 01 01 00'))
})

test('a request in pieces is one; a piece without the rest is forgotten', async () => {
  const { unit } = device()
  const { say, ask, time, heard } = await bench(new Map([[7, unit]]))
  const request = rtu(7, READ)
  say(request.subarray(0, 3))
  await time.advance(20)
  say(request.subarray(3))
  await time.advance(1000)
  assert.is(heard.map(chunk => chunk.hex).join(''), framed('07 03 04 0010 0011'))
  //       the head of a write of 123 registers: 248 bytes are to come, and do not
  say(hex('07 10 0000 007b f6'))
  await time.advance(200)
  assert.is(await ask(request), framed('07 03 04 0010 0011'))
})

test('a broadcast write reaches every unit and nobody answers', async () => {
  const [a, b] = [device(), device()]
  const { ask } = await bench(
    new Map([
      [1, a.unit],
      [2, b.unit],
    ]),
  )
  assert.is(await ask(rtu(0, { fn: 5, address: 0, on: true })), '')
  assert.is(a.state.coils[0], true)
  assert.is(b.state.coils[0], true)
})

test('an answer takes the time of the wire: request, turnaround, then byte after byte', async () => {
  const { unit } = device()
  const { say, time, heard } = await bench(new Map([[7, unit]]))
  say(rtu(7, { fn: 3, address: 0x10, count: 6 }))
  await time.advance(1000)
  // 8 characters of request, 5 ms, then 17 of answer in slices of 16 ms.
  assert.equal(
    heard.map(({ at, hex }) => [at, hex.length / 2]),
    [
      [8 + 5 + 16, 16],
      [8 + 5 + 17, 1],
    ],
  )
})

test('late answers come later by what was set, overtaken or holding up those behind them', async () => {
  for (const queued of [false, true]) {
    const { unit } = device()
    const { say, time, heard } = await bench(new Map([[7, unit]]))
    Object.assign(unit.faults, { lateNext: 1, lateMs: 400, lateQueued: queued })
    say(rtu(7, READ))
    await time.advance(100)
    say(rtu(7, { fn: 3, address: 0x10, count: 1 }))
    await time.advance(2000)
    const [late, prompt] = [13 + 400 + 9, 100 + 13 + 7]
    const long = framed('07 03 04 0010 0011')
    const short = framed('07 03 02 0010')
    assert.equal(
      heard,
      queued
        ? [
            { at: late, hex: long },
            { at: 13 + 400 + 5 + 7 + 4, hex: short },
          ]
        : [
            { at: prompt, hex: short },
            { at: late, hex: long },
          ],
    )
  }
})

test('a late answer tells of the moment when it was made', async () => {
  const { unit, state } = device()
  const { say, time, heard } = await bench(new Map([[7, unit]]))
  Object.assign(unit.faults, { lateNext: 1, lateMs: 400 })
  say(rtu(7, READ))
  await time.advance(100)
  state.offset = 0x100
  await time.advance(1000)
  assert.is(heard[0]!.hex, framed('07 03 04 0010 0011'))
})

test('frozen it repeats itself, wrong of unit it names the next one, noisy it is damaged: each by its share', async () => {
  const { unit, state } = device()
  const { ask } = await bench(new Map([[7, unit]]))
  unit.faults.frozen = true
  const before = await ask(rtu(7, READ))
  state.offset = 5
  assert.is(await ask(rtu(7, READ)), before)
  unit.faults.frozen = false
  assert.is(await ask(rtu(7, READ)), framed('07 03 04 0015 0016'))
  unit.faults.wrongUnitShare = 1
  assert.is(await ask(rtu(7, READ)), framed('08 03 04 0015 0016'))
  unit.faults.wrongUnitShare = 0
  unit.faults.flippedBits = 0.02
  let damaged = 0
  for (let n = 0; n < 100; n++) if ((await ask(rtu(7, READ))) !== framed('07 03 04 0015 0016')) damaged++
  // 72 bits a frame: all of them come through in 23 % of frames.
  assert.ok(damaged > 60 && damaged < 90, `${damaged} of 100 damaged`)
  unit.faults.flippedBits = 0
  unit.faults.lostBytes = 1
  assert.is(await ask(rtu(7, READ)), '')
})

test('TCP requests in one chunk are answered in order, each by its transaction', async () => {
  const { unit } = device()
  const { ask } = await bench(new Map([[1, unit]]), { framing: 'tcp', characterMs: 0 })
  const requests = [READ, { fn: 4, address: 0x10, count: 1 } as const].map((request, i) =>
    encodeTcp(0x1230 + i, 1, encodeRequest(request)),
  )
  const unknown = encodeTcp(0x1232, 1, hex('65 00'))
  const answers = await ask(concat(...requests, unknown))
  //                                 trans proto len  id pdu
  assert.is(
    answers,
    toHex(
      hex(`     1230  0000  0007 01 03040010 0011
                                     1231  0000  0003 01 8402
                                     1232  0000  0003 01 e501`),
    ),
  )
})

test('stopped, it says and does nothing more', async () => {
  const { unit, state } = device()
  const { say, ask, time, heard, stop } = await bench(new Map([[7, unit]]))
  say(rtu(7, READ))
  await time.advance(14)
  stop()
  await time.advance(1000)
  assert.equal(heard, [])
  assert.is(await ask(rtu(7, { fn: 5, address: 0, on: true })), '')
  assert.is(state.coils[0], false)
})

test.run()
