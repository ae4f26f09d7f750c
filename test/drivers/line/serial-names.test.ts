/** A machine's serial devices under folders of the test's own, in the form that Linux keeps them. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createSystemTime } from '../../../drivers/clock.ts'
import { keepOpen } from '../../../drivers/line/keep-open.ts'
import { openPty, type Pty } from '../../../drivers/line/pty.ts'
import { createReplugLine } from '../../../drivers/line/replug.ts'
import { adapterAt, listSerialDevices, locate } from '../../../drivers/line/serial-names.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const root = mkdtempSync(join(tmpdir(), 'tieline-serial-'))
process.on('exit', () => rmSync(root, { recursive: true, force: true }))
const { clock, timers } = createSystemTime()
let machines = 0

/** A machine of its own: /dev, and the kernel's tree of devices. */
function machine() {
  const at = join(root, String(machines++))
  const places = { dev: join(at, 'dev'), classTty: join(at, 'class/tty') }
  const file = (path: string, text: string) => {
    mkdirSync(dirname(join(at, path)), { recursive: true })
    writeFileSync(join(at, path), `${text}\n`)
  }
  mkdirSync(places.dev, { recursive: true })
  mkdirSync(places.classTty, { recursive: true })
  return {
    places,
    file,
    /** Plugs an adapter with `ports` ports into a socket; the first gets the name. */
    plug(name: string, socket: string, usb: { serial?: string; id?: string; port?: string }, target?: string) {
      const device = `devices/usb1/${socket}`
      const port = usb.port ?? '00'
      const [vendor, product] = (usb.id ?? '0403:6001').split(':')
      file(`${device}/idVendor`, vendor!)
      file(`${device}/idProduct`, product!)
      file(`${device}/manufacturer`, 'FTDI')
      if (usb.serial !== undefined) file(`${device}/serial`, usb.serial)
      file(`${device}/${socket}:1.${Number(port)}/bInterfaceNumber`, port)
      file(`${device}/${socket}:1.${Number(port)}/${name}/port_number`, '0')
      mkdirSync(join(places.classTty, name), { recursive: true })
      symlinkSync(join(at, device, `${socket}:1.${Number(port)}`, name), join(places.classTty, name, 'device'))
      if (target === undefined) writeFileSync(join(places.dev, name), '')
      else symlinkSync(target, join(places.dev, name))
    },
    unplug(name: string, socket: string) {
      rmSync(join(places.classTty, name), { recursive: true })
      rmSync(join(places.dev, name))
      rmSync(join(at, 'devices/usb1', socket), { recursive: true })
    },
  }
}

const openDescriptors = () => readdirSync('/proc/self/fd').length

const test = suite('serial names')

test('devices have the name that stays with them, else that of the kernel; consoles and missing UARTs are left out', async () => {
  const { places, file, plug } = machine()
  plug('ttyUSB10', '1-2', { serial: 'A2' })
  plug('ttyUSB9', '1-1', { serial: 'A1' })
  file('class/tty/ttyS0/type', '4') // a 16550A
  file('class/tty/ttyS1/type', '0') // none
  file('class/tty/ttyS2/type', '4')
  file('class/tty/console/active', 'tty0 ttyS2')
  mkdirSync(join(places.dev, 'serial/by-id'), { recursive: true })
  symlinkSync('../../ttyUSB9', join(places.dev, 'serial/by-id/usb-FTDI_A1-if00-port0'))
  const usb = { maker: 'FTDI', usb: '0403:6001' }
  assert.equal(await listSerialDevices(places), [
    { path: `${places.dev}/ttyS0`, device: `${places.dev}/ttyS0`, maker: undefined, usb: undefined },
    { path: `${places.dev}/serial/by-id/usb-FTDI_A1-if00-port0`, device: `${places.dev}/ttyUSB9`, ...usb },
    { path: `${places.dev}/ttyUSB10`, device: `${places.dev}/ttyUSB10`, ...usb },
  ])
})

test('a machine without any serial device has an empty list, and this one has some list', async () => {
  assert.equal(await listSerialDevices(machine().places), [])
  for (const { path } of await listSerialDevices()) assert.match(path, /^\/dev\//)
})

test('an adapter is known by its serial number and port, and without one by its socket', async () => {
  const { places, plug } = machine()
  plug('ttyUSB0', '1-1', { serial: 'A1' })
  plug('ttyUSB1', '1-2', { serial: 'A1', port: '01' })
  plug('ttyUSB2', '1-3', {})
  plug('ttyUSB3', '1-4', {})
  const known = await Promise.all([0, 1, 2, 3].map(n => adapterAt(`${places.dev}/ttyUSB${n}`, places)))
  assert.equal(known, ['0403:6001 A1 00', '0403:6001 A1 01', '0403:6001 at 1-3 00', '0403:6001 at 1-4 00'])
  assert.is(await adapterAt('/dev/null', places), undefined)
})

test('an adapter that comes back under another name is found, and a stranger under its name is not taken for it', async () => {
  const { places, plug, unplug } = machine()
  const path = `${places.dev}/ttyUSB0`
  plug('ttyUSB0', '1-1', { serial: 'A1' })
  const adapter = await adapterAt(path, places)
  assert.equal(await locate(path, adapter, places), { ok: true, value: path })
  unplug('ttyUSB0', '1-1')
  // Gone: whoever opens the path is told so by the kernel.
  assert.equal(await locate(path, adapter, places), { ok: true, value: path })
  plug('ttyUSB0', '1-2', { serial: 'B2' })
  const stranger = await locate(path, adapter, places)
  assert.is(stranger.ok ? '' : stranger.fault.code, 'serial.other-device')
  plug('ttyUSB1', '1-1', { serial: 'A1' })
  assert.equal(await locate(path, adapter, places), { ok: true, value: `${places.dev}/ttyUSB1` })
  // What is configured by a name of udev is the kernel's to follow, whatever is plugged in there.
  const byId = `${places.dev}/serial/by-id/x`
  assert.equal(await locate(byId, adapter, places), { ok: true, value: byId })
})

/** A kept line over `path`; `heard` resolves with the time until the next byte is heard. */
function keptOver(path: string, places: { dev: string; classTty: string }) {
  let hear: () => void = () => {}
  const downs: string[] = []
  const line = createReplugLine({ path, baudRate: 115_200 }, clock, timers, undefined, places)
  const kept = keepOpen(line, timers, {
    bytes: () => hear(),
    up: () => {},
    down: fault => downs.push(fault.code),
  })
  return {
    line,
    kept,
    downs,
    /** Milliseconds until a byte that `from` keeps sending is heard. */
    async heardFrom(from: Pty): Promise<number> {
      const begun = clock.mono()
      const stop = timers.every(10, () => from.write(Uint8Array.of(0x55)))
      await new Promise<void>(resolve => {
        hear = resolve
      })
      stop()
      return clock.mono() - begun
    },
  }
}

/** The pauses between attempts are judged in virtual time; this machine may have other work. */
const BUSY_MACHINE_MS = 60_000

test('a link that is pointed to another device after an unplug: heard again, nothing left open', async () => {
  const link = join(root, 'by-id-name')
  const point = (pty: Pty) => {
    symlinkSync(pty.path, `${link}.new`)
    renameSync(`${link}.new`, link)
  }
  let pty = must(await openPty())
  point(pty)
  const { kept, line, heardFrom } = keptOver(link, machine().places)
  must(await kept.open())
  await heardFrom(pty)
  const before = openDescriptors()
  let longest = 0
  for (let i = 0; i < 50; i++) {
    pty.unplug()
    unlinkSync(link)
    const closing = pty.close()
    const next = must(await openPty())
    // The kernel may hand the number of the old one to the new one only once that is closed.
    await closing
    // As a master does before each request; not every unplug shows by itself.
    await line.flush()
    point(next)
    longest = Math.max(longest, await heardFrom(next))
    pty = next
  }
  assert.ok(longest < BUSY_MACHINE_MS, `${longest} ms`)
  // One or two may be open for a moment, then or now; fifty replugs that leave something leave fifty.
  while (openDescriptors() > before + 2) await timers.sleep(20)
  await kept.close()
  await pty.close()
}, 180_000)

test('a plain path is followed to the name under which the same adapter came back', async () => {
  const { places, plug, unplug } = machine()
  const first = must(await openPty())
  plug('ttyUSB0', '1-1', { serial: 'A1' }, first.path)
  const { kept, line, downs, heardFrom } = keptOver(`${places.dev}/ttyUSB0`, places)
  must(await kept.open())
  await heardFrom(first)
  await timers.sleep(20)
  first.unplug()
  unplug('ttyUSB0', '1-1')
  await line.flush()
  const second = must(await openPty())
  const stranger = must(await openPty())
  plug('ttyUSB0', '1-2', { serial: 'B2' }, stranger.path)
  while (kept.fault()?.code !== 'serial.other-device') await timers.sleep(20)
  plug('ttyUSB1', '1-3', { serial: 'A1' }, second.path)
  const took = await heardFrom(second)
  assert.ok(took < BUSY_MACHINE_MS, `${took} ms`)
  assert.is(downs.length, 1)
  await kept.close()
  for (const pty of [first, second, stranger]) await pty.close()
})

test.run()
