/** What the package behind a serial line is known to get wrong, and the faults that a person can do something about. */
import { createSystemTime } from '../../../drivers/clock.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { damagedBytes, rs485Struct } from '../../../drivers/line/serial-driver.ts'
import { hex } from '../../../protocol/bytes.ts'
import { type Fault, must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('serial line')
const { clock, timers } = createSystemTime()

test('an unplug in the middle of reading is told once each time, at the latest by the next use, and leaves nothing open', async () => {
  const told: number[] = []
  for (let i = 0; i < 20; i++) {
    const pty = must(await openPty())
    const line = createSerialLine({ path: pty.path, baudRate: 9600 }, clock, timers)
    const downs: Fault[] = []
    must(await line.open({ bytes: () => {}, down: fault => downs.push(fault) }))
    const stop = timers.every(1, () => pty.write(new Uint8Array(64)))
    await timers.sleep(10 + (i % 7))
    pty.unplug()
    stop()
    await timers.sleep(20)
    // Where the hang-up meets a read under way the package reads on without end and tells nobody.
    if (downs.length === 0) assert.not.ok((await line.flush()).ok)
    while (downs.length === 0) await timers.sleep(1)
    await timers.sleep(10)
    told.push(downs.length)
    await line.close()
    await pty.close()
  }
  assert.equal(told, Array(20).fill(1))
  const before = process.cpuUsage()
  await timers.sleep(300)
  const { user, system } = process.cpuUsage(before)
  assert.ok(user + system < 150_000, `${user + system} us of 300 ms: something still reads`)
})

test('a character takes its start, parity and stop bits as well', () => {
  const ms = (settings: Partial<Parameters<typeof createSerialLine>[0]>) =>
    createSerialLine({ path: '/dev/null', baudRate: 1_000, ...settings }, clock, timers).characterMs
  assert.is(ms({}), 10)
  assert.is(ms({ parity: 'even' }), 11)
  assert.is(ms({ stopBits: 2 }), 11)
  assert.is(ms({ dataBits: 7, parity: 'even' }), 10)
})

test('a device that is not there, and one that is no serial device, are faults', async () => {
  const ear = { bytes: () => {}, down: () => {} }
  const missing = createSerialLine({ path: '/dev/tieline-missing', baudRate: 9600 }, clock, timers)
  const opened = await missing.open(ear)
  assert.is(opened.ok, false)
  if (!opened.ok) {
    assert.is(opened.fault.code, 'serial.missing')
    assert.match(opened.fault.hint!, /plugged in/)
  }
  assert.not.ok((await createSerialLine({ path: '/dev/null', baudRate: 9600 }, clock, timers).open(ear)).ok)
  // A refused open leaves the line ready for the next try.
  assert.not.ok((await missing.open(ear)).ok)
  await missing.close()
})

test('a second program is told that the device is in use', async () => {
  const pty = must(await openPty())
  const ear = { bytes: () => {}, down: () => {} }
  const first = createSerialLine({ path: pty.path, baudRate: 9600 }, clock, timers)
  const second = createSerialLine({ path: pty.path, baudRate: 9600 }, clock, timers)
  must(await first.open(ear))
  const refused = await second.open(ear)
  assert.match(refused.ok ? 'opened' : (refused.fault.hint ?? refused.fault.code), /another program/)
  await first.close()
  must(await second.open(ear))
  await second.close()
  await pty.close()
})

/** asm-generic/errno-base.h: a pseudo-terminal has no UART behind it. */
const ENOTTY = 25

test('a device that cannot hand over bytes at once goes on without, which is told once', async () => {
  const pty = must(await openPty())
  const told: string[] = []
  const log = (level: string, _room: string, text: string) => told.push(`${level} ${text}`)
  const line = createSerialLine({ path: pty.path, baudRate: 9600 }, clock, timers, log)
  for (let i = 0; i < 3; i++) {
    must(await line.open({ bytes: () => {}, down: () => {} }))
    await line.close()
  }
  assert.equal([line.without!()?.code, line.without!()?.['errno']], ['serial.latency', ENOTTY])
  assert.equal(told, [`info ${pty.path} hands bytes over in its own time`])
  await pty.close()
})

test('a device that switches no RS-485 transceiver is refused where that is asked for, and says what to do', async () => {
  const pty = must(await openPty())
  const ear = { bytes: () => {}, down: () => {} }
  const rs485 = { rtsOnSend: true, delayBeforeMs: 1, delayAfterMs: 0 }
  const refused = await createSerialLine({ path: pty.path, baudRate: 9600, rs485 }, clock, timers).open(ear)
  assert.not.ok(refused.ok)
  if (!refused.ok) {
    assert.equal([refused.fault.code, refused.fault['errno']], ['serial.rs485', ENOTTY])
    assert.match(refused.fault.hint!, /leave rs485 out/)
  }
  // Nothing stays open of it.
  const plain = createSerialLine({ path: pty.path, baudRate: 9600 }, clock, timers)
  must(await plain.open(ear))
  await plain.close()
  await pty.close()
})

test('RS-485 is asked for as linux/serial.h lays it out', () => {
  const rest = '00 '.repeat(20)
  //                enabled, on send    before      after
  assert.equal(
    rs485Struct({ rtsOnSend: true, delayBeforeMs: 1, delayAfterMs: 300 }),
    hex(`03 00 00 00 01 00 00 00 2c 01 00 00 ${rest}`),
  )
  //                enabled, after send
  assert.equal(
    rs485Struct({ rtsOnSend: false, delayBeforeMs: 0, delayAfterMs: 2 }),
    hex(`05 00 00 00 00 00 00 00 02 00 00 00 ${rest}`),
  )
  assert.throws(() => rs485Struct({ rtsOnSend: true, delayBeforeMs: 0.5, delayAfterMs: 0 }), /whole milliseconds/)
})

test('damaged bytes are counted as linux/serial.h lays them out, and a pseudo-terminal counts none', async () => {
  //                cts dsr rng dcd rx tx frame overrun parity brk buf_overrun, and nine for later
  const counters = [1, 2, 3, 4, 5, 6, 300, 8, 70_000, 10, 11, ...Array(9).fill(0)]
  assert.is(damagedBytes(new Uint8Array(Int32Array.from(counters).buffer)), 70_300)
  const pty = must(await openPty())
  const line = createSerialLine({ path: pty.path, baudRate: 9600 }, clock, timers)
  must(await line.open({ bytes: () => {}, down: () => {} }))
  assert.is(line.damaged!(), undefined)
  await line.close()
  assert.is(line.damaged!(), undefined)
  await pty.close()
})

test.run()
