/**
 * The serial devices of this machine and what they are called (Linux): the names that udev keeps under /dev/serial/by-id, and
 * where there are none, what the kernel says of the USB device behind a name. The kernel numbers adapters as they come, so
 * that ttyUSB0 may be another one after every replug.
 */
import { readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { fail, ok, type Result } from '../../protocol/result.ts'

export interface SerialDevice {
  /** The name that stays with the adapter, where it has one; else the kernel's. */
  readonly path: string
  /** The kernel's name of it: /dev/ttyUSB0. */
  readonly device: string
  readonly maker: string | undefined
  /** USB vendor and product, as in `0403:6001`. */
  readonly usb: string | undefined
}

/** Where the machine keeps them; other folders under test. */
export interface SerialPlaces {
  readonly dev: string
  readonly classTty: string
}

export const SERIAL_PLACES: SerialPlaces = { dev: '/dev', classTty: '/sys/class/tty' }

/** Serial ports by the kernel's drivers: USB, modems, the UARTs of PCs and of the usual boards. */
const PORT_NAME = /^tty(USB|ACM|AMA|S|mxc|O|SC|THS|SAC|PS|UL|XRUSB|STM|HS|LP)\d+$/
/** serial_core.h, PORT_UNKNOWN: the driver keeps a name ready for a UART that is not there. */
const NO_UART = '0'

/** In the order of their names. A UART that carries the machine's console is no meter line and is left out. */
export async function listSerialDevices(places = SERIAL_PLACES): Promise<readonly SerialDevice[]> {
  const byId = await linksIn(`${places.dev}/serial/by-id`)
  const consoles = ((await textOf(`${places.classTty}/console/active`)) ?? '').split(' ')
  const devices: SerialDevice[] = []
  for (const name of (await namesIn(places.classTty)).filter(one => PORT_NAME.test(one) && !consoles.includes(one))) {
    const usb = await usbOf(name, places)
    if (usb === undefined && ((await textOf(`${places.classTty}/${name}/type`)) ?? NO_UART) === NO_UART) continue
    const device = `${places.dev}/${name}`
    const ids = usb && `${usb.vendor}:${usb.product}`
    devices.push({ path: byId.get(device) ?? device, device, maker: usb?.maker, usb: ids })
  }
  return devices
}

/** What tells one adapter from all others, whatever its name: undefined of a device that is none on USB. */
export async function adapterAt(path: string, places = SERIAL_PLACES): Promise<string | undefined> {
  const usb = (await usbOf(basename(path), places)) ?? (await usbOf(basename(await realPath(path)), places))
  if (usb === undefined) return undefined
  // Cheap adapters have no serial number; then it is the socket that they are plugged into that counts.
  return `${usb.vendor}:${usb.product} ${usb.serial ?? `at ${usb.socket}`} ${usb.interface}`
}

/**
 * Where the device of a configured path is now. A path under /dev/serial is followed by the kernel itself. A plain one is
 * followed by the adapter that was first opened there: it may have another name by now, and its name another adapter.
 */
export async function locate(
  path: string,
  adapter: string | undefined,
  places = SERIAL_PLACES,
): Promise<Result<string>> {
  if (adapter === undefined || path.startsWith(`${places.dev}/serial/`)) return ok(path)
  const here = await adapterAt(path, places)
  if (here === adapter) return ok(path)
  for (const name of await namesIn(places.classTty)) {
    const device = `${places.dev}/${name}`
    if (PORT_NAME.test(name) && (await adapterAt(device, places)) === adapter) return ok(device)
  }
  return here === undefined
    ? ok(path)
    : fail({
        code: 'serial.other-device',
        path,
        expected: adapter,
        received: here,
        hint: 'another adapter has taken this name: plug the right one in, or configure its name under /dev/serial/by-id',
      })
}

interface Usb {
  readonly vendor: string
  readonly product: string
  readonly serial: string | undefined
  readonly maker: string | undefined
  /** Of a device with several ports: which. */
  readonly interface: string
  /** Bus and chain of sockets: `1-1.4`. */
  readonly socket: string
}

/** The USB device above a port in the kernel's tree: the port, an interface, the device. */
async function usbOf(name: string, { classTty }: SerialPlaces): Promise<Usb | undefined> {
  let at = await realpath(`${classTty}/${name}/device`).catch(() => undefined)
  let port = ''
  for (let levels = 0; at !== undefined && levels < 4; levels++, at = dirname(at)) {
    port ||= (await textOf(`${at}/bInterfaceNumber`)) ?? ''
    const vendor = await textOf(`${at}/idVendor`)
    if (vendor === undefined) continue
    const [product = '', serial, maker] = await Promise.all(
      ['idProduct', 'serial', 'manufacturer'].map(file => textOf(`${at}/${file}`)),
    )
    return { vendor, product, serial: serial || undefined, maker, interface: port, socket: basename(at) }
  }
  return undefined
}

const realPath = (path: string): Promise<string> => realpath(path).catch(() => path)

/** What each link in a folder stands for, by the device that it names. */
async function linksIn(folder: string): Promise<ReadonlyMap<string, string>> {
  const links = new Map<string, string>()
  for (const name of await namesIn(folder)) {
    const target = await readlink(`${folder}/${name}`).catch(() => undefined)
    if (target !== undefined) links.set(resolve(folder, target), `${folder}/${name}`)
  }
  return links
}

/** No such folder is one without names: a machine without USB serial devices has no /dev/serial. */
const namesIn = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder).catch(() => [])).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))

/** The one line of a file of the kernel's; undefined where there is none. */
const textOf = async (file: string): Promise<string | undefined> =>
  (await readFile(file, 'utf8').catch(() => undefined))?.trim()
