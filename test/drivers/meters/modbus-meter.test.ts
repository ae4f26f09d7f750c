import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { createTcpLine } from '../../../drivers/line/tcp.ts'
import { openTcpServer } from '../../../drivers/line/tcp-server.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { createModbusMeter } from '../../../drivers/meters/modbus-meter.ts'
import { type Channel, holding, type MeterPage, steps, V } from '../../../drivers/meters/page.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import type { MeterReading } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { sdm120Bank, sdm630Bank } from '../../../hw/sim/eastron-image.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { createUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { shellyPro3emBank } from '../../../hw/sim/shelly-image.ts'
import { must } from '../../../protocol/result.ts'
import { findValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { codeOf, MEASURED, makeStreetLine, settled } from './street-line.ts'

const test = suite('modbus meter')

const SDM120 = PAGES.get('eastron-sdm120')!
const SDM630 = PAGES.get('eastron-sdm630')!
const SHELLY = PAGES.get('shelly-pro-3em')!

const shown = (reading: MeterReading, obis: string) => {
  const value = findValue(reading.values, obis)
  return value === undefined ? undefined : `${value.value}e${value.scaler} ${value.unit}`
}

test('every quantity of an SDM630 comes as an exact decimal with its name', async () => {
  const bus = makeStreetLine([sdm630Bank({ serial: 41_000_001, measure: () => MEASURED })])
  await bus.master.open()
  const began = bus.clock.mono()
  const reading = must(await settled(bus, bus.meter(SDM630).read()))
  assert.is(reading.meterId, '41000001')
  assert.equal(
    reading.values.map(({ obis, value, scaler, unit }) => `${obis} ${value}e${scaler} ${unit}`),
    [
      '1-0:32.7.0 23020e-2 V',
      '1-0:52.7.0 23020e-2 V',
      '1-0:72.7.0 23020e-2 V',
      '1-0:31.7.0 8339e-3 A',
      '1-0:51.7.0 0e-3 A',
      '1-0:71.7.0 0e-3 A',
      '1-0:16.7.0 -19197e-1 W',
      '1-0:14.7.0 4995e-2 Hz',
      '1-0:1.8.0 1551374e0 Wh',
      '1-0:2.8.0 1335693e0 Wh',
      '1-0:36.7.0 -19197e-1 W',
      '1-0:56.7.0 0e-1 W',
      '1-0:76.7.0 0e-1 W',
      '1-0:3.7.0 0e-1 var',
      // 230.2 V times 8.339 A is 1,919.6 VA, rounded from 1,919.638.
      '1-0:9.7.0 19196e-1 VA',
      '1-0:13.7.0 -1000e-3 1',
      '1-0:3.8.0 0e0 varh',
      '1-0:4.8.0 0e0 varh',
    ],
  )
  assert.ok(reading.takenMono > began && reading.takenMono < bus.clock.mono())
  assert.is(reading.taken - 1_700_000_000_000, reading.takenMono)
  // The same frames give the same hash, any other gives another.
  const again = must(await settled(bus, bus.meter(SDM630).read()))
  assert.equal(again.rawHash, reading.rawHash)
  const fewer = must(await settled(bus, bus.meter(SDM630, { channels: ['power'] }).read()))
  assert.not.equal(fewer.rawHash, reading.rawHash)
  assert.is(fewer.values.length, 1)
})

test('a reading whose answer was late, or lay unread, is as old as what it shows', async () => {
  let now = () => 0
  let shownAt: number[] = []
  const measure = () => {
    shownAt.push(now())
    return MEASURED
  }
  const bus = makeStreetLine([sdm120Bank({ serial: 41_000_001, measure })])
  now = bus.clock.mono
  await bus.master.open()
  const meter = bus.meter(SDM120, { channels: ['currentL1'] })
  must(await settled(bus, meter.read()))
  for (const lateMs of [0, 60, 110]) {
    Object.assign(bus.units.get(1)!.faults, { lateNext: 9, lateMs })
    shownAt = []
    const began = bus.clock.mono()
    const { takenMono } = must(await settled(bus, meter.read()))
    // A contact that was opened after this was measured was still closed then: the weld rule goes by this time.
    // The last request is the one for the current; before it the meter was asked who it is.
    assert.ok(takenMono >= began && takenMono <= shownAt.at(-1)!, `${lateMs}: ${takenMono} of ${shownAt}`)
  }
})

test('a Shelly on TCP: low word first, its MAC for a name, counters of 0.01 Wh', async () => {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const wire = createMemoryLine({ name: 'tcp', characterMs: 0, latencyMs: 1, clock, timers })
  const unit = createUnit(shellyPro3emBank({ mac: 'C8F09E87A5B4', measure: () => MEASURED }))
  const random = seededRandom(1)
  serveModbus(wire.device, new Map([[1, unit]]), {
    framing: 'tcp',
    characterMs: 0,
    turnaroundMs: 2,
    clock,
    timers,
    random,
  })
  const master = createModbusMaster({ line: wire.port, clock, timers, framing: 'tcp' })
  await master.open()
  const meter = createModbusMeter({ master, page: SHELLY, unit: 1, clock, characterMs: 0 })
  const reading = must(await settled({ advance }, meter.read()))
  assert.is(reading.meterId, 'C8F09E87A5B4')
  assert.is(shown(reading, OBIS.energyImport), '155137400e-2 Wh')
  assert.is(shown(reading, OBIS.power), '-19197e-1 W')
  assert.is(shown(reading, OBIS.voltageL3), '2302e-1 V')
})

test('what the meter does not have is absent, not 0', async () => {
  const bus = makeStreetLine([
    {
      registers: () => (table, address) => {
        if (table === 'holding') return [0x0271, 0x9c41][address - 0xfc00]
        // Voltage is not a number, current infinite, the rest 0.
        return { 0: 0x7fc0, 6: 0x7f80 }[address] ?? 0
      },
    },
  ])
  await bus.master.open()
  const reading = must(await settled(bus, bus.meter(SDM120).read()))
  assert.is(shown(reading, OBIS.voltageL1), undefined)
  assert.is(shown(reading, OBIS.currentL1), undefined)
  assert.is(shown(reading, OBIS.power), '0e-1 W')
})

test('a hole that the meter refuses is learned, and a register that it does not have stays absent', async () => {
  const has = [
    [0x00, 2],
    [0x06, 2],
    [0x0c, 2],
    [0x46, 2],
    [0x48, 2],
  ] as const
  const bus = makeStreetLine([
    {
      registers: () => (table, address) =>
        table === 'holding'
          ? [0x0271, 0x9c41][address - 0xfc00]
          : has.some(([from, count]) => address >= from && address < from + count)
            ? 0x4000
            : undefined,
    },
  ])
  await bus.master.open()
  const meter = bus.meter(SDM120, { channels: ['voltageL1', 'currentL1', 'power', 'frequency', 'energyImported'] })
  const first = must(await settled(bus, meter.read()))
  assert.is(first.values.length, 5)
  const sent = bus.master.health().counts.sent
  const second = must(await settled(bus, meter.read()))
  assert.is(second.values.length, 5)
  // Identity, three lone registers, and frequency with energy: nothing was refused any more.
  assert.is(bus.master.health().counts.sent - sent, 5)
  const all = must(await settled(bus, bus.meter(SDM120, { channels: ['frequency', 'energyExported'] }).read()))
  assert.equal(
    all.values.map(value => value.obis),
    [OBIS.frequency],
  )
})

test('a page may forbid holes and count in integers', async () => {
  const page: MeterPage = {
    ...SDM120,
    holes: 'forbidden',
    registers: {
      voltageL1: holding(0x10, 'u16', steps(-1, V)),
      voltageL2: holding(0x12, 'i32', V, { sentinels: [0x8000_0000n] }),
    },
  }
  const bus = makeStreetLine([
    {
      registers: () => (_table, address) => ({ 16: 2302, 18: 0x8000, 19: 0, 64512: 0x0271, 64513: 0x9c41 })[address],
    },
  ])
  await bus.master.open()
  const reading = must(await settled(bus, bus.meter(page).read()))
  assert.equal(
    reading.values.map(({ obis, value, scaler }) => [obis, value, scaler]),
    [[OBIS.voltageL1, 2302n, -1]],
  )
})

test('a meter that is not the pinned one is refused by name', async () => {
  let serial = 41_000_001
  const bus = makeStreetLine([{ registers: () => sdm120Bank({ serial, measure: () => MEASURED }).registers!() }])
  await bus.master.open()
  assert.is(codeOf(await settled(bus, bus.meter(SDM120, { meterId: '41000009' }).read())), 'meter.identity')
  const meter = bus.meter(SDM120)
  assert.is(codeOf(await settled(bus, meter.read())), 'ok')
  serial = 41_000_002
  assert.is(codeOf(await settled(bus, meter.read())), 'meter.identity')
  serial = 0
  assert.is(codeOf(await settled(bus, meter.read())), 'meter.no-identity')
})

test('a counter that goes back is left out until it has passed its highest again', async () => {
  let imported = MEASURED.imported
  const bus = makeStreetLine([sdm120Bank({ serial: 1, measure: () => ({ ...MEASURED, imported }) })])
  await bus.master.open()
  const faults: string[] = []
  const meter = bus.meter(SDM120, { log: (_level, _room, _text, fault) => fault && faults.push(fault.code) })
  const read = async () => shown(must(await settled(bus, meter.read())), OBIS.energyImport)
  assert.is(await read(), '1551374e0 Wh')
  imported -= 1_000n
  assert.is(await read(), undefined)
  assert.equal(faults, ['meter.counter-back'])
  imported += 2_000n
  assert.is(await read(), '1551375e0 Wh')
})

test('late answers: readings are right or absent, and most seconds have one', async () => {
  let imported = 0n
  const bus = makeStreetLine([
    sdm120Bank({ serial: 7, measure: () => ({ ...MEASURED, imported, exported: imported + 500_000n }) }),
  ])
  await bus.master.open()
  const meter = bus.meter(SDM120)
  const { faults } = bus.units.get(1)!
  faults.lateShare = 0.04
  let right = 0
  let absent = 0
  for (let second = 0; second < 600; second++) {
    // From one and a half to twenty timeouts.
    faults.lateMs = 150 + 3 * second
    faults.lateQueued = second % 20 < 10
    imported += 10_000n
    const before = imported
    const started = bus.clock.mono()
    const reading = await settled(bus, meter.read())
    await bus.advance(1_000 - ((bus.clock.mono() - started) % 1_000))
    if (!reading.ok) {
      absent++
      continue
    }
    const energy = findValue(reading.value.values, OBIS.energyImport)
    const exported = findValue(reading.value.values, OBIS.energyExport)
    if (energy === undefined) absent++
    else {
      right++
      assert.is(energy.value, before / 1000n)
    }
    if (exported !== undefined) assert.is(exported.value, before / 1000n + 500n)
  }
  console.log(`one answer in 25 late: ${right} right, 0 wrong, ${absent} absent of 600 readings`)
  assert.ok(right > 480, `${right} right, ${absent} absent`)
}, 60_000)

test('a line at 9,600 baud carries three line meters once a second and relay commands between', async () => {
  const lineMeter: readonly Channel[] = [
    'voltageL1',
    'currentL1',
    'power',
    'frequency',
    'energyImported',
    'energyExported',
  ]
  const banks = [1, 2, 3].map(serial => sdm120Bank({ serial, measure: () => MEASURED }))
  const bus = makeStreetLine([...banks, { coil: () => false, writeCoil: () => true }])
  await bus.master.open()
  const meters = [1, 2, 3].map(unit => bus.meter(SDM120, { unit, channels: lineMeter }))
  let slowestBatch = 0
  let slowestRelay = 0
  for (let second = 0; second < 60; second++) {
    const started = bus.clock.mono()
    const batch = Promise.all(meters.map(meter => meter.read())).then(readings => {
      slowestBatch = Math.max(slowestBatch, bus.clock.mono() - started)
      return readings
    })
    for (let i = 0; i < 4; i++) {
      const asked = bus.clock.mono()
      const relay = bus.master.writeCoil(4, i, true, { priority: 'relay' }).then(result => {
        slowestRelay = Math.max(slowestRelay, bus.clock.mono() - asked)
        return result
      })
      assert.ok((await settled(bus, relay)).ok)
      await bus.advance(100)
    }
    for (const reading of await settled(bus, batch)) assert.is(must(reading).values.length, 6)
    await bus.advance(1_000)
  }
  console.log(`three meters at 9,600 baud: ${slowestBatch} ms; relay command: ${slowestRelay} ms at most`)
  assert.ok(slowestBatch <= 700, `${slowestBatch}`)
  assert.ok(slowestRelay <= 100, `${slowestRelay}`)
})

test('on a real serial device and a real TCP connection the same meters read the same', async () => {
  const { clock, timers } = createSystemTime()
  const random = seededRandom(1)
  const pty = must(await openPty())
  const stopSerial = serveModbus(pty, new Map([[1, createUnit(sdm120Bank({ serial: 5, measure: () => MEASURED }))]]), {
    framing: 'rtu',
    characterMs: 10_000 / 115_200,
    turnaroundMs: 2,
    clock,
    timers,
    random,
  })
  const shelly = createUnit(shellyPro3emBank({ mac: 'C8F09E87A5B4', measure: () => MEASURED }))
  const server = must(
    await openTcpServer({ host: '127.0.0.1', port: 0 }, end => {
      serveModbus(end, new Map([[1, shelly]]), {
        framing: 'tcp',
        characterMs: 0,
        turnaroundMs: 1,
        clock,
        timers,
        random,
      })
    }),
  )
  // No answer is late here, however busy this machine is.
  const answers = { floorMs: 5_000, ceilingMs: 5_000 }
  const serial = createSerialLine({ path: pty.path, baudRate: 115_200 }, clock, timers)
  const rtu = createModbusMaster({ line: serial, clock, timers, framing: 'rtu', answers })
  const tcpLine = createTcpLine(server.host, server.port, clock, timers)
  const tcp = createModbusMaster({ line: tcpLine, clock, timers, framing: 'tcp', answers })
  try {
    must(await rtu.open())
    must(await tcp.open())
    const overSerial = createModbusMeter({ master: rtu, page: SDM120, unit: 1, clock, characterMs: serial.characterMs })
    const overTcp = createModbusMeter({ master: tcp, page: SHELLY, unit: 1, clock, characterMs: 0 })
    for (let i = 0; i < 20; i++) {
      const [one, other] = await Promise.all([overSerial.read(), overTcp.read()])
      assert.is(shown(must(one), OBIS.energyImport), '1551374e0 Wh')
      assert.is(shown(must(other), OBIS.energyImport), '155137400e-2 Wh')
    }
    assert.is(rtu.health().counts.junk, 0)
    pty.unplug()
    assert.not.ok((await overSerial.read()).ok)
    assert.is.not(rtu.health().line, undefined)
  } finally {
    await Promise.all([rtu.close(), tcp.close()])
    stopSerial()
    await Promise.all([pty.close(), server.close()])
  }
})

test.run()
