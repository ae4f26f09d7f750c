import { createModbusMaster, type ModbusMaster } from '../../../drivers/modbus/master.ts'
import { hex } from '../../../protocol/bytes.ts'
import { encodeRtu } from '../../../protocol/modbus/frame.ts'
import { faultLine } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { CHARACTER_MS, codeOf, makeBus, settled } from './bus.ts'

const test = suite('modbus master')

test('registers, coils and identification are read and written', async () => {
  const bus = makeBus()
  const { master } = bus
  assert.ok((await settled(bus, master.open())).ok)
  const block = await settled(bus, master.readRegisters(1, 'holding', 0x10, 2))
  assert.equal(block.ok && block.value.bytes, hex('00 10 00 11'))
  assert.equal(block.ok && block.value.frame, encodeRtu(1, hex('03 04 00 10 00 11')))
  assert.is(codeOf(await settled(bus, master.writeCoil(1, 2, true))), 'ok')
  assert.is(codeOf(await settled(bus, master.writeCoils(1, 0, [true, false]))), 'ok')
  const coils = await settled(bus, master.readCoils(1, 0, 4))
  assert.equal(coils.ok && coils.value, [true, false, true, false])
  assert.is(codeOf(await settled(bus, master.writeRegister(1, 7, 1))), 'ok')
  assert.is(codeOf(await settled(bus, master.writeRegisters(1, 7, [1, 2]))), 'ok')
  assert.is(codeOf(await settled(bus, master.readRegisters(1, 'input', 0x1000, 2))), 'modbus.exception')
  await master.close()
  assert.is(codeOf(await master.readCoils(1, 0, 1)), 'line.closed')
})

test('before every request the wire is silent for 3.5 characters', async () => {
  const bus = makeBus()
  await bus.master.open()
  const reads = Array.from({ length: 50 }, (_, i) => bus.master.readRegisters(1, 'input', i, 1 + (i % 5)))
  assert.ok((await settled(bus, Promise.all(reads))).every(result => result.ok))
  assert.is(bus.toDevice.length, 50)
  for (const [i, answer] of bus.toGateway.slice(0, -1).entries()) {
    const gap = bus.toDevice[i + 1]!.at - (answer.at + answer.length * CHARACTER_MS)
    assert.ok(Math.abs(gap - 3.5 * CHARACTER_MS) < 0.001, `gap ${gap}`)
  }
})

test('a request that is taken back before it goes out is never sent, and one that is out is answered', async () => {
  const bus = makeBus()
  await bus.master.open()
  const [out, queued] = [new AbortController(), new AbortController()]
  const reads = Promise.all([
    bus.master.readRegisters(1, 'input', 0, 1, { signal: out.signal }),
    bus.master.readRegisters(1, 'input', 0, 2, { signal: queued.signal }),
    bus.master.readRegisters(1, 'input', 0, 3),
  ])
  await bus.advance(1)
  out.abort()
  queued.abort()
  assert.equal((await settled(bus, reads)).map(codeOf), ['ok', 'modbus.withdrawn', 'ok'])
  const late = bus.master.readRegisters(1, 'input', 0, 4, { signal: queued.signal })
  assert.is(codeOf(await settled(bus, late)), 'modbus.withdrawn')
  assert.is(bus.toDevice.length, 2)
})

test('a late answer is recognised when it comes, and teaches the timeout', async () => {
  const bus = makeBus({ answers: { initialMs: 100, floorMs: 50, ceilingMs: 1_000 } })
  await bus.master.open()
  const { faults } = bus.units.get(1)!
  Object.assign(faults, { lateNext: 1, lateMs: 300 })
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 2))), 'modbus.timeout')
  assert.ok(bus.master.isQuarantined(1, 'input', 2))
  assert.not.ok(bus.master.isQuarantined(1, 'input', 4))
  assert.not.ok(bus.master.isQuarantined(1, 'holding', 2))
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 2))), 'modbus.quarantined')
  await bus.advance(400)
  assert.not.ok(bus.master.isQuarantined(1, 'input', 2))
  assert.is(bus.master.health().counts.late, 1)
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 2))), 'ok')
  // The next answer as late as that is waited for.
  Object.assign(faults, { lateNext: 1, lateMs: 300 })
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 8, 2))), 'ok')
})

test('after a timeout a slave with a canary is believed only when it has answered it', async () => {
  const bus = makeBus()
  await bus.master.open()
  const { faults } = bus.units.get(1)!
  const canary = () => bus.master.readRegisters(1, 'holding', 0x100, 4, { canary: 'alone' })
  assert.is(codeOf(await settled(bus, canary())), 'ok')
  faults.dead = true
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 2))), 'modbus.timeout')
  faults.dead = false
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 6))), 'modbus.tainted')
  assert.is(codeOf(await settled(bus, canary())), 'ok')
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 6))), 'ok')
  // The lost answer's own length stays feared until it can no longer come.
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 2))), 'modbus.quarantined')
  await bus.advance(30_000)
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 2))), 'ok')
})

test('an answer that began before the request ended is not taken', async () => {
  const bus = makeBus()
  await bus.master.open()
  bus.units.get(1)!.faults.dead = true
  const read = bus.master.readRegisters(1, 'input', 0, 1)
  // Seven characters end before the eight of the request do.
  bus.wire.device.write(encodeRtu(1, hex('04 02 be ef')))
  assert.is(codeOf(await settled(bus, read)), 'modbus.early')
})

test('while another master asks on the line nothing is believed, and reading goes on when it is gone', async () => {
  const bus = makeBus({ units: [1, 2] })
  await bus.master.open()
  const { device } = bus.wire
  const foreign = encodeRtu(1, hex('04 00 20 00 02'))
  // Its request in an idle moment.
  device.write(foreign)
  await bus.advance(20)
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 2))), 'modbus.second-master')
  assert.is(codeOf(await settled(bus, bus.master.writeCoil(2, 0, true, { priority: 'relay' }))), 'ok')
  await bus.advance(11_000)
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 2))), 'ok')
  // Its request while ours waits, and an answer to it that fits ours.
  bus.units.get(1)!.faults.dead = true
  const read = bus.master.readRegisters(1, 'input', 0, 2)
  await bus.advance(20)
  device.write(foreign)
  device.write(encodeRtu(1, hex('04 04 de ad be ef')))
  assert.is(codeOf(await settled(bus, read)), 'modbus.second-master')
  assert.is(bus.master.health().counts.stranger, 2)
})

test('an adapter that hears itself is no second master', async () => {
  const bus = makeBus()
  await bus.master.open()
  const read = bus.master.readRegisters(1, 'input', 0x20, 2)
  await bus.advance(4)
  bus.wire.device.write(encodeRtu(1, hex('04 00 20 00 02')))
  assert.is(codeOf(await settled(bus, read)), 'ok')
})

test('what was asked before an unplug cannot answer what is asked after it', async () => {
  const bus = makeBus()
  await bus.master.open()
  bus.units.get(1)!.faults.dead = true
  const read = bus.master.readRegisters(1, 'input', 0, 2)
  await bus.advance(20)
  bus.wire.device.unplug()
  await settled(bus, read)
  bus.wire.device.plug()
  await bus.advance(500)
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 8, 2))), 'modbus.quarantined')
})

test('a unit that cannot be is our own bug', async () => {
  const bus = makeBus()
  await bus.master.open()
  for (const unit of [0, 248, Number.NaN]) {
    const thrown = await bus.master.readCoils(unit, 0, 1).catch(error => String(error))
    assert.match(String(thrown), /RangeError: modbus unit/)
  }
})

test('an answer behind a glitch is found, and line noise never makes a value', async () => {
  const bus = makeBus({ flippedBits: 0.002 })
  await bus.master.open()
  let right = 0
  for (let i = 0; i < 400; i++) {
    const address = i % 64
    const lengths = [2, 4, 6, 8].filter(length => !bus.master.isQuarantined(1, 'input', length))
    const block = await settled(bus, bus.master.readRegisters(1, 'input', address, lengths[0] ?? 10))
    if (!block.ok) {
      await bus.advance(1_000)
      continue
    }
    right++
    assert.equal([...block.value.bytes.subarray(0, 2)], [0, address])
  }
  assert.ok(right > 200, `${right} right`)
}, 60_000)

test('a relay command goes before the reads that wait, and is tried on a slave at rest', async () => {
  const bus = makeBus({ units: [1, 2] })
  await bus.master.open()
  const order: string[] = []
  const reads = Array.from({ length: 20 }, () =>
    bus.master.readRegisters(1, 'input', 0, 10, { deadlineMs: 60_000 }).then(() => order.push('read')),
  )
  const relay = bus.master.writeCoil(2, 0, true, { priority: 'relay' }).then(() => order.push('relay'))
  await settled(bus, Promise.all([...reads, relay]))
  assert.is(order.indexOf('relay'), 1)

  bus.units.get(2)!.faults.dead = true
  for (let i = 0; i < 3; i++) await settled(bus, bus.master.readCoils(2, 0, 1 + 8 * i))
  assert.is(codeOf(await settled(bus, bus.master.readCoils(2, 0, 40))), 'modbus.silent')
  bus.units.get(2)!.faults.dead = false
  assert.is(codeOf(await settled(bus, bus.master.writeCoil(2, 0, false, { priority: 'relay' }))), 'ok')
  assert.is(bus.coils[0], false)
})

test('a repeated relay command whose echo could be the earlier one is carried out, but its echo is not believed', async () => {
  const bus = makeBus()
  await bus.master.open()
  const close = () => bus.master.writeCoil(1, 0, true, { priority: 'relay' })
  assert.is(codeOf(await settled(bus, bus.master.readCoils(1, 0, 4))), 'ok')
  Object.assign(bus.units.get(1)!.faults, { lateNext: 1, lateMs: 5_000 })
  assert.is(codeOf(await settled(bus, close())), 'modbus.timeout')
  assert.is(codeOf(await settled(bus, close())), 'modbus.ambiguous')
  assert.is(bus.coils[0], true)
})

test('unplugged, requests end at once; plugged in again, reading goes on within two seconds', async () => {
  const bus = makeBus()
  await bus.master.open()
  const reads = [0, 1, 2].map(at => bus.master.readRegisters(1, 'input', at, 2))
  await bus.advance(5)
  bus.wire.device.unplug()
  await bus.advance(1)
  assert.equal((await settled(bus, Promise.all(reads))).map(codeOf), Array(3).fill('line.unplugged'))
  assert.is(codeOf(await bus.master.readRegisters(1, 'input', 0, 2)), 'line.unplugged')
  await bus.advance(20_000)
  assert.is(bus.master.health().line?.code, 'line.unplugged')
  bus.wire.device.plug()
  await bus.advance(1_500)
  assert.is(bus.master.health().line, undefined)
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 6))), 'ok')
})

test('a line that does not open is tried until it does', async () => {
  const bus = makeBus()
  bus.wire.device.unplug()
  assert.is(codeOf(await settled(bus, bus.master.open())), 'line.unplugged')
  bus.wire.device.plug()
  await bus.advance(1_500)
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 2))), 'ok')
})

test('a request that waited too long is not sent, and a full queue says so', async () => {
  const bus = makeBus()
  await bus.master.open()
  const reads = Array.from({ length: 80 }, () => bus.master.readRegisters(1, 'input', 0, 100, { deadlineMs: 1_000 }))
  const codes = (await settled(bus, Promise.all(reads))).map(codeOf)
  const many = (code: string) => codes.filter(one => one === code).length
  assert.ok(many('ok') >= 3 && many('modbus.deadline') >= 50 && many('modbus.busy') >= 10, codes.join(' '))
})

test('over TCP late answers are told by their number, and depth keeps several under way', async () => {
  const bus = makeBus({ framing: 'tcp', depth: 4, answers: { initialMs: 100, floorMs: 100, ceilingMs: 100 } })
  await bus.master.open()
  Object.assign(bus.units.get(1)!.faults, { lateShare: 0.2, lateMs: 150 })
  let right = 0
  for (let i = 0; i < 100; i++) {
    const addresses = [0, 1, 2, 3].map(n => (4 * i + n) % 1024)
    const blocks = await settled(
      bus,
      Promise.all(addresses.map(address => bus.master.readRegisters(1, 'input', address, 1))),
    )
    for (const [n, block] of blocks.entries()) {
      if (!block.ok) continue
      right++
      assert.equal(block.value.bytes, Uint8Array.of(addresses[n]! >> 8, addresses[n]! & 0xff))
    }
    await bus.advance(200)
  }
  assert.ok(right > 100, `${right}`)
  assert.ok(bus.master.health().counts.late > 20)
})

test('a TCP stream that lost its place is opened anew', async () => {
  const bus = makeBus({ framing: 'tcp' })
  await bus.master.open()
  bus.wire.device.write(hex('00 01 be ef 00 03 01'))
  await bus.advance(1)
  assert.is(bus.master.health().line?.code, 'modbus.header')
  await bus.advance(1_000)
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 2))), 'ok')
  // An answer of another unit under the right number is refused.
  bus.units.get(1)!.faults.wrongUnitShare = 1
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 2))), 'modbus.unit')
})

test('an open line on which nothing is heard any more is opened anew', async () => {
  const bus = makeBus()
  const seen: string[] = []
  const master: ModbusMaster = createModbusMaster({
    line: bus.wire.port,
    clock: bus.clock,
    timers: bus.timers,
    framing: 'rtu',
    log: (_level, _room, text, fault) => seen.push(fault === undefined ? text : faultLine(fault)),
  })
  await master.open()
  bus.units.get(1)!.faults.dead = true
  for (let i = 0; i < 40; i++) {
    await settled(bus, master.readRegisters(1, 'input', 0, 1 + i))
    await bus.advance(1_000)
  }
  assert.ok(
    seen.some(line => line.includes('modbus.line-deaf')),
    seen.join('\n'),
  )
  assert.is(master.health().line, undefined)
  await master.close()
})

test.run()
