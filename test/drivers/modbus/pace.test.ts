import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { concat, hex } from '../../../protocol/bytes.ts'
import { encodeRtu } from '../../../protocol/modbus/frame.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { follow } from '../followed-bytes.ts'
import { CHARACTER_MS, codeOf, makeBus, settled } from './bus.ts'

const test = suite('modbus master, the pace of a wire')

const READ = encodeRtu(1, hex('04 00 20 00 02'))
const ANSWER = encodeRtu(1, hex('04 04 de ad be ef'))

async function dead(more: Parameters<typeof makeBus>[0] = {}) {
  const bus = makeBus(more)
  must(await settled(bus, bus.master.open()))
  bus.units.get(1)!.faults.dead = true
  return bus
}

/** A line of 9,600 baud that carries what the device says in no time. */
const atOnce = async (unpaced: boolean) => {
  const bus = makeBus({ characterMs: 0 })
  bus.units.get(1)!.faults.dead = true
  const line = { ...bus.wire.port, characterMs: CHARACTER_MS, unpaced: () => unpaced }
  const master = createModbusMaster({ line, clock: bus.clock, timers: bus.timers, framing: 'rtu' })
  must(await settled(bus, master.open()))
  return { ...bus, master }
}

test('on a pseudo-terminal, which has no pace, a slave that answers at once is read at any baud rate', async () => {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const followed = follow()
  const pty = must(await openPty())
  const device = followed.device(pty)
  device.onBytes(chunk => {
    if (chunk.length === READ.length) device.write(chunk[1] === 4 ? ANSWER : chunk)
  })
  for (const baudRate of [300, 9_600, 115_200]) {
    const line = followed.line(createSerialLine({ path: pty.path, baudRate }, clock, createSystemTime().timers))
    const master = createModbusMaster({ line, clock, timers, framing: 'rtu' })
    must(await followed.settled(advance, master.open()))
    const block = await followed.settled(advance, master.readRegisters(1, 'input', 0x20, 2, { deadlineMs: 10_000 }))
    assert.equal(block.ok && block.value.bytes, hex('de ad be ef'), `${baudRate} baud: ${codeOf(block)}`)
    assert.is(codeOf(await followed.settled(advance, master.writeCoil(1, 0, true))), 'ok')
    await followed.settled(advance, master.close())
  }
  await pty.close()
})

test('without a pace what was heard before the request is still no answer to it', async () => {
  const bus = await atOnce(true)
  bus.wire.device.write(ANSWER)
  await bus.advance(1)
  const read = bus.master.readRegisters(1, 'input', 0x20, 2)
  assert.is(codeOf(await settled(bus, read)), 'modbus.timeout')
})

test('a line that is quicker than its baud rate, and is no pseudo-terminal, says so', async () => {
  // While the request of 8.3 ms is on the wire, and so soon after it that its 9.4 ms began before.
  for (const afterMs of [6, 15]) {
    const bus = await atOnce(false)
    const read = bus.master.readRegisters(1, 'input', 0x20, 2)
    await bus.advance(afterMs)
    bus.wire.device.write(ANSWER)
    const early = await settled(bus, read)
    assert.equal(!early.ok && [early.fault.code, early.fault['bytes']], ['modbus.early', 9], `${afterMs} ms`)
  }
})

test('a wire that is three hundredths faster than its nominal rate is believed, also behind a long request', async () => {
  const bus = await atOnce(false)
  const values = Array.from({ length: 123 }, (_, i) => i)
  const write = bus.master.writeRegisters(1, 0, values)
  // Silence, 255 characters there, 2 ms of turnaround, 8 characters back.
  await bus.advance(0.97 * 255 * CHARACTER_MS + 2 + 0.97 * 8 * CHARACTER_MS + 3.5 * CHARACTER_MS)
  bus.wire.device.write(encodeRtu(1, hex('10 00 00 00 7b')))
  assert.is(codeOf(await settled(bus, write)), 'ok')
})

test('an adapter that hears itself does not confirm the first command on its line', async () => {
  for (const isDead of [false, true]) {
    const bus = makeBus()
    must(await settled(bus, bus.master.open()))
    bus.units.get(1)!.faults.dead = isDead
    const { write } = bus.wire.port
    // The copy comes 16 ms after the last byte, as adapters hand over what they heard.
    const port = {
      ...bus.wire.port,
      write: (bytes: Uint8Array) => {
        const copy = bytes.slice()
        bus.timers.after(bytes.length * CHARACTER_MS + 16, () => bus.wire.device.write(copy))
        return write(bytes)
      },
    }
    await bus.master.close()
    const master = createModbusMaster({ line: port, clock: bus.clock, timers: bus.timers, framing: 'rtu' })
    must(await settled(bus, master.open()))
    // A board too slow to talk into the copy.
    const command = master.writeCoil(1, 2, true, { priority: 'relay' })
    assert.is.not(codeOf(await settled(bus, command)), 'ok', isDead ? 'dead' : 'its answer and the copy collide')
    await master.close()
  }
})

test('the first command on a line waits for one question, and not for an answer to it', async () => {
  for (const isDead of [false, true]) {
    const bus = makeBus()
    must(await settled(bus, bus.master.open()))
    bus.units.get(1)!.faults.dead = isDead
    const begun = bus.clock.mono()
    const command = bus.master.writeCoil(1, 2, true, { priority: 'relay' })
    assert.is(codeOf(await settled(bus, command)), isDead ? 'modbus.timeout' : 'ok')
    assert.ok(bus.clock.mono() - begun < (isDead ? 1_100 : 70))
  }
})

test('a slave that dribbles holds a relay command up for half a second and the time of one answer', async () => {
  const bus = await dead({ units: [1, 2] })
  const read = bus.master.readRegisters(1, 'input', 0, 125, { deadlineMs: 60_000 })
  await bus.advance(300)
  // 255 bytes that promise to be an answer, one every 45 ms: eleven seconds.
  const dribble = encodeRtu(1, concat(hex('04 fa'), new Uint8Array(250)))
  for (const [i, byte] of dribble.entries()) bus.timers.after(45 * i, () => bus.wire.device.write(Uint8Array.of(byte)))
  await settled(bus, bus.master.writeRegisters(2, 0, [1], { priority: 'relay' }))
  assert.is(bus.written.get(0), 1)
  assert.ok(bus.clock.mono() < 1_600, `${bus.clock.mono()}`)
  assert.is(codeOf(await settled(bus, read)), 'modbus.garbled')
})

test.run()
