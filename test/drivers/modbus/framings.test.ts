import { createModbusMaster, type ModbusMasterParts } from '../../../drivers/modbus/master.ts'
import { hex } from '../../../protocol/bytes.ts'
import { encodeAscii, encodeRtu } from '../../../protocol/modbus/frame.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { type Bus, CHARACTER_MS, codeOf, makeBus, settled } from './bus.ts'

const test = suite('modbus master, each framing')

type Setup = Pick<ModbusMasterParts, 'framing'> & { readonly characterMs: number }

const FRAMINGS: Readonly<Record<string, Setup>> = {
  rtu: { framing: 'rtu', characterMs: CHARACTER_MS },
  'rtu over tcp': { framing: 'rtu', characterMs: 0 },
  ascii: { framing: 'ascii', characterMs: CHARACTER_MS },
  tcp: { framing: 'tcp', characterMs: 0 },
}

async function opened(more: Parameters<typeof makeBus>[0]): Promise<Bus> {
  const bus = makeBus(more)
  must(await settled(bus, bus.master.open()))
  return bus
}

const got = async <T>(bus: Bus, promise: Promise<Result<T>>): Promise<T> => must(await settled(bus, promise))

for (const [name, setup] of Object.entries(FRAMINGS)) {
  test(`${name}: every function reads or writes what it should`, async () => {
    const bus = await opened(setup)
    const { master, coils, written } = bus
    assert.equal((await got(bus, master.readRegisters(1, 'holding', 0x10, 2))).bytes, hex('00 10 00 11'))
    assert.equal((await got(bus, master.readRegisters(1, 'input', 0xff, 1))).bytes, hex('00 ff'))
    await got(bus, master.writeCoil(1, 2, true))
    await got(bus, master.writeCoils(1, 0, [true, false]))
    assert.equal(coils, [true, false, true, false])
    assert.equal(await got(bus, master.readCoils(1, 0, 4)), coils)
    assert.equal(await got(bus, master.readDiscreteInputs(1, 1, 3)), [false, false, true])
    await got(bus, master.writeRegister(1, 7, 0xabcd))
    await got(bus, master.writeRegisters(1, 8, [1, 0xffff]))
    const block = await got(
      bus,
      master.exchangeRegisters(1, { address: 20, values: [5, 6] }, { address: 0x100, count: 1 }),
    )
    assert.equal(block.bytes, hex('01 00'))
    assert.equal(
      [...written],
      [
        [7, 0xabcd],
        [8, 1],
        [9, 0xffff],
        [20, 5],
        [21, 6],
      ],
    )
    const { objects, next } = await got(bus, master.readIdentification(1, 1, 0))
    assert.equal(
      [next, ...objects.map(({ bytes }) => new TextDecoder().decode(bytes))],
      [undefined, 'Tieline', 'B', ''],
    )
    const refusals: readonly Promise<Result<unknown>>[] = [
      master.readRegisters(1, 'input', 0x1000, 2),
      master.readDiscreteInputs(1, 16, 1),
      master.writeCoil(1, 4, true),
    ]
    for (const refused of refusals) assert.is(codeOf(await settled(bus, refused)), 'modbus.exception')
    assert.equal(master.health().counts.junk, 0)
  })

  test(`${name}: one dead slave of five leaves the others nine tenths of their rate`, async () => {
    async function rate(dead: boolean): Promise<number> {
      const bus = await opened({ ...setup, units: [1, 2, 3, 4, 5] })
      let answered = 0
      bus.units.get(3)!.faults.dead = dead
      let running = true
      const poll = async (unit: number) => {
        while (running) {
          const result = await bus.master.readRegisters(unit, 'input', 0, 10)
          if (result.ok && unit !== 3) answered++
          if (!result.ok) await bus.timers.sleep(20)
        }
      }
      for (const unit of dead ? [1, 2, 3, 4, 5] : [1, 2, 4, 5]) void poll(unit)
      await bus.advance(60_000)
      running = false
      await bus.master.close()
      return answered
    }
    const [four, withDead] = [await rate(false), await rate(true)]
    console.log(`${name}: one dead slave of five: ${((100 * withDead) / four).toFixed(1)} % of the others' rate`)
    assert.ok(withDead >= 0.9 * four, `${withDead} of ${four}`)
  }, 60_000)

  test(`${name}: what was asked before an unplug does not answer what is asked after it`, async () => {
    const bus = await opened({ ...setup, answers: { initialMs: 300, floorMs: 300, ceilingMs: 300 } })
    Object.assign(bus.units.get(1)!.faults, { lateNext: 1, lateMs: 1_000 })
    const read = bus.master.readRegisters(1, 'input', 0x55, 2)
    await bus.advance(50)
    bus.wire.device.unplug()
    assert.is(codeOf(await settled(bus, read)), 'line.unplugged')
    bus.wire.device.plug()
    await bus.advance(500)
    // The old answer comes over the new connection.
    bus.units.get(1)!.faults.dead = true
    const after = bus.master.readRegisters(1, 'input', 0, 2)
    await bus.advance(1_000)
    assert.is(codeOf(await settled(bus, after)), 'modbus.quarantined')
    assert.is(bus.master.health().counts.late, 1)
  })
}

test('bytes that fit no frame at the time of an answer are told from silence', async () => {
  const bus = await opened(FRAMINGS['rtu']!)
  bus.units.get(1)!.faults.dead = true
  const read = bus.master.readRegisters(1, 'input', 0, 2)
  await bus.advance(20)
  // What 9 characters at another baud rate look like.
  bus.wire.device.write(hex('78 00 f8 80 78 00 f8'))
  const garbled = await settled(bus, read)
  assert.not.ok(garbled.ok)
  if (garbled.ok) return
  assert.equal([garbled.fault.code, garbled.fault['bytes']], ['modbus.garbled', 7])
  assert.match(garbled.fault.hint!, /baud rate or parity/)
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 4))), 'modbus.timeout')
  assert.is(bus.master.health().counts.timeouts, 2)
})

test("a sound answer of another unit is told from noise, and is nobody's value", async () => {
  for (const framing of ['rtu', 'ascii'] as const) {
    const bus = makeBus({ framing, units: [3] })
    must(await bus.master.open())
    bus.units.get(3)!.faults.wrongUnitShare = 1
    const answer = await settled(bus, bus.master.readRegisters(3, 'holding', 0x10, 2))
    assert.equal(!answer.ok && [answer.fault.code, answer.fault['unit'], answer.fault['received']], [
      'modbus.other-unit',
      3,
      4,
    ])
    await bus.master.close()
  }
})

test('bytes that the device dropped for their parity are told from silence', async () => {
  let dropped = 40
  const bus = await opened(FRAMINGS['rtu']!)
  bus.units.get(1)!.faults.dead = true
  const line = { ...bus.wire.port, damaged: () => dropped }
  const master = createModbusMaster({ line, clock: bus.clock, timers: bus.timers, framing: 'rtu' })
  await bus.master.close()
  must(await settled(bus, master.open()))
  const read = master.readRegisters(1, 'input', 0, 2)
  await bus.advance(20)
  dropped += 9
  const garbled = await settled(bus, read)
  assert.equal(!garbled.ok && [garbled.fault.code, garbled.fault['bytes']], ['modbus.garbled', 9])
  assert.is(codeOf(await settled(bus, master.readRegisters(1, 'input', 0, 4))), 'modbus.timeout')
})

test('an answer that ends sooner than its own length after the request began before the request ended', async () => {
  for (const lateAnswerDefence of [true, false]) {
    const bus = await opened({ ...FRAMINGS['rtu']!, lateAnswerDefence })
    bus.units.get(1)!.faults.dead = true
    const read = bus.master.readRegisters(1, 'input', 0, 20)
    // 45 characters that begin after the fifth of our eight: most of them come when ours are out.
    await bus.advance(5)
    bus.wire.device.write(encodeRtu(1, hex(`04 28 ${'be ef '.repeat(20)}`)))
    assert.is(codeOf(await settled(bus, read)), lateAnswerDefence ? 'modbus.early' : 'ok')
  }
})

test('an adapter that hears itself does not confirm its own commands', async () => {
  for (const dead of [false, true]) {
    const bus = await opened(FRAMINGS['rtu']!)
    const echo = (frame: Uint8Array) => bus.wire.device.write(frame)
    const read = bus.master.readRegisters(1, 'input', 0x20, 2)
    await bus.advance(4)
    echo(encodeRtu(1, hex('04 00 20 00 02')))
    assert.is(codeOf(await settled(bus, read)), 'ok')
    bus.units.get(1)!.faults.dead = dead
    const command = bus.master.writeCoil(1, 2, true)
    // Late enough to look like an answer: adapters hand over what they heard when they please.
    await bus.advance(14)
    echo(encodeRtu(1, hex('05 00 02 ff 00')))
    assert.is(codeOf(await settled(bus, command)), dead ? 'modbus.timeout' : 'ok')
  }
})

test('an answer that has begun in time is heard to its end, and one that stops in the middle is given up', async () => {
  const answer = encodeRtu(1, hex('04 04 de ad be ef'))
  for (const [gapMs, outcome] of [
    [40, 'ok'],
    [60, 'modbus.garbled'],
  ] as const) {
    const bus = await opened({ ...FRAMINGS['rtu']!, answers: { initialMs: 100 } })
    bus.units.get(1)!.faults.dead = true
    const read = bus.master.readRegisters(1, 'input', 0, 2)
    // 8.3 ms of request, 109.4 ms of waiting.
    await bus.advance(105)
    for (const slice of [answer.subarray(0, 3), answer.subarray(3, 6), answer.subarray(6)]) {
      bus.wire.device.write(slice)
      await bus.advance(gapMs)
    }
    assert.is(codeOf(await settled(bus, read)), outcome)
  }
})

test('a short answer behind a glitch of the transceiver is found', async () => {
  const bus = await opened(FRAMINGS['rtu']!)
  bus.units.get(1)!.faults.dead = true
  const read = bus.master.readCoils(1, 0, 4)
  await bus.advance(20)
  // Seven bytes: with the 0x01 behind it the glitch could begin a request of unit 0.
  bus.wire.device.write(Uint8Array.of(0, ...encodeRtu(1, hex('01 01 05'))))
  assert.equal(await got(bus, read), [true, false, true, false])
})

test('a stream that lost its place finds it again by the check value', async () => {
  const bus = await opened(FRAMINGS['rtu over tcp']!)
  for (const glitch of ['ff', '01 04', '01 04 04 00', '01 84']) {
    const read = bus.master.readRegisters(1, 'input', 0x30, 2)
    bus.wire.device.write(hex(glitch))
    const block = await settled(bus, read)
    assert.equal(block.ok && block.value.bytes, hex('00 30 00 31'), glitch)
  }
})

test('once an answer has come twice, the second of each is waited for before as long a read is sent', async () => {
  const bus = await opened({ ...FRAMINGS['rtu over tcp']!, units: [] })
  let sent = 0
  const repeatMs = 40
  // The register counts the requests; each answer comes again when the next request would be under way.
  bus.wire.device.onBytes(request => {
    sent++
    const count = request[5]!
    const frame = encodeRtu(1, Uint8Array.of(4, 2 * count, ...Array.from({ length: count }, () => [0, sent]).flat()))
    bus.timers.after(20, () => bus.wire.device.write(frame))
    bus.timers.after(20 + repeatMs, () => bus.wire.device.write(frame))
  })
  const read = async (count: number) => {
    const block = await settled(bus, bus.master.readRegisters(1, 'input', 0, count), 1)
    return block.ok ? block.value.bytes[1]! - sent : block.fault.code
  }
  assert.equal([await read(2), await read(4), await read(6)], [0, 0, 0])
  await bus.advance(100)
  assert.equal([await read(2), await read(2), await read(4)], [0, 'modbus.quarantined', 0])
  await bus.advance(100)
  assert.equal([await read(2), await read(4)], [0, 0])
})

test('a slow gateway behind a stream is waited for as long as its wire takes', async () => {
  const bus = await opened({ ...FRAMINGS['rtu over tcp']!, answers: { initialMs: 100 } })
  // The answer to 125 registers takes 266 ms at 9,600 baud, and its request 8.
  Object.assign(bus.units.get(1)!.faults, { lateShare: 1, lateMs: 280 })
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 125))), 'ok')
})

test('ascii: a second of silence inside a frame ends it', async () => {
  const bus = await opened({ ...FRAMINGS['ascii']!, answers: { initialMs: 3_000, ceilingMs: 3_000 } })
  bus.units.get(1)!.faults.dead = true
  const answer = encodeAscii(1, hex('04 02 be ef'))
  const inTwo = async (gapMs: number) => {
    const read = bus.master.readRegisters(1, 'input', 0, 1)
    await bus.advance(30)
    bus.wire.device.write(answer.subarray(0, 6))
    await bus.advance(gapMs)
    bus.wire.device.write(answer.subarray(6))
    return codeOf(await settled(bus, read))
  }
  assert.is(await inTwo(900), 'ok')
  assert.is(await inTwo(1_100), 'modbus.garbled')
})

test('ascii frames stand on the wire as the specification draws them', async () => {
  const bus = await opened(FRAMINGS['ascii']!)
  const block = await got(bus, bus.master.readRegisters(1, 'holding', 0x10, 2))
  assert.is(new TextDecoder().decode(block.frame), ':01030400100011D7\r\n')
  // Units of a serial line, not those of TCP.
  assert.match(String(await bus.master.readCoils(248, 0, 1).catch(String)), /must be 1 to 247/)
})

test('over TCP answers in any order, doubled or with numbers of earlier requests never give a wrong value', async () => {
  const bus = await opened({ ...FRAMINGS['tcp']!, depth: 8, units: [] })
  const asked: Uint8Array[] = []
  bus.wire.device.onBytes(chunk => {
    for (let at = 0; at < chunk.length; at += 12) asked.push(chunk.slice(at, at + 12))
  })
  // Each register holds its own address; `number` is the transaction's.
  const answer = (request: Uint8Array, number = request.subarray(0, 2)) =>
    Uint8Array.of(...number, 0, 0, 0, 5, 1, 4, 2, request[8]!, request[9]!)
  for (let round = 0; round < 50; round++) {
    const reads = Array.from({ length: 8 }, (_, i) => bus.master.readRegisters(1, 'input', 8 * round + i, 1))
    await bus.advance(1)
    const now = asked.splice(0)
    assert.is(now.length, 8)
    const reversed = now.toReversed()
    for (const request of reversed) {
      // The value of the round before under a number that was answered, then this one twice.
      const old = (((request[0]! << 8) | request[1]!) - 8) & 0xffff
      bus.wire.device.write(answer(request, Uint8Array.of(old >> 8, old & 0xff)))
      bus.wire.device.write(answer(request))
      bus.wire.device.write(answer(request))
    }
    for (const [i, block] of (await settled(bus, Promise.all(reads), 1)).entries()) {
      const address = 8 * round + i
      assert.equal(must(block).bytes, Uint8Array.of(address >> 8, address & 0xff))
    }
  }
})

test.run()
