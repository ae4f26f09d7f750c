/** What `tieline doctor` asks of the machine. Nothing is opened for long, and nothing is changed. */
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { constants } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:net'

export interface FileFacts {
  readonly kind: 'file' | 'folder' | 'device' | 'other'
  /** Permission bits. */
  readonly mode: number
  readonly mayRead: boolean
  readonly mayWrite: boolean
}

/** Undefined where nothing is there, or nobody may look. */
export async function readFileFacts(path: string): Promise<FileFacts | undefined> {
  try {
    const found = await stat(path)
    const may = (mode: number) =>
      access(path, mode).then(
        () => true,
        () => false,
      )
    return {
      kind: found.isFile() ? 'file' : found.isDirectory() ? 'folder' : found.isCharacterDevice() ? 'device' : 'other',
      mode: found.mode & 0o7777,
      mayRead: await may(constants.R_OK),
      mayWrite: await may(constants.W_OK),
    }
  } catch {
    return undefined
  }
}

/** Whether a server could listen there now: `free`, or the system's word for why not, as EADDRINUSE. */
export function tryPort(host: string, port: number): Promise<string> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve('free')))
  })
}

/** When the certificates of a PEM file are valid, each as its own dates say; undefined where none can be read. */
export async function readValidity(
  file: string,
): Promise<readonly { readonly subject: string; readonly from: number; readonly to: number }[] | undefined> {
  try {
    const text = await readFile(file, 'utf8')
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
    return blocks.map(block => {
      const { subject, validFrom, validTo } = new X509Certificate(block)
      return { subject: subject.replaceAll('\n', ', '), from: Date.parse(validFrom), to: Date.parse(validTo) }
    })
  } catch {
    return undefined
  }
}

/** Properties of a systemd unit; undefined without systemd, or without the unit. */
export function readUnit(unit: string): Promise<Readonly<Record<string, string>> | undefined> {
  const asked = ['show', unit, '--property=LoadState,ActiveState,SubState,WatchdogUSec,UnitFileState,NRestarts']
  return new Promise(resolve => {
    execFile('systemctl', asked, { timeout: 5000 }, (error, out) => {
      const said = Object.fromEntries(
        out.split('\n').flatMap(line => {
          const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? []
          return name === undefined ? [] : [[name, value!]]
        }),
      ) as Readonly<Record<string, string>>
      resolve(error !== null || said['LoadState'] !== 'loaded' ? undefined : said)
    })
  })
}

/**
 * Whether the kernel lets a GPIO line go when the process that drove it dies. A Raspberry Pi's own kernel keeps outputs as they
 * were, unless `persist_gpio_outputs` of the driver of its pins is off, as dtparam=strict_gpiod has it: pinctrl-rp1 on a
 * Raspberry Pi 5 (bcm2712), pinctrl-bcm2835 on those before (raspberrypi/linux, pull requests 6117 and 6150, and its
 * overlays/README). Undefined where the driver has no such parameter. Not tried on hardware.
 */
export async function releasesGpio(root = ''): Promise<boolean | undefined> {
  const board = await readFile(`${root}/proc/device-tree/compatible`, 'latin1').catch(() => '')
  const driver = board.split('\0').includes('brcm,bcm2712') ? 'pinctrl_rp1' : 'pinctrl_bcm2835'
  try {
    return (await readFile(`${root}/sys/module/${driver}/parameters/persist_gpio_outputs`, 'utf8')).trim() === 'N'
  } catch {
    return undefined
  }
}
