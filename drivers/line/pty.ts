/**
 * A serial device without hardware: a pseudo-terminal (Linux). The gateway opens `path` as it opens any serial device; the
 * simulator holds the other end.
 *
 * The kernel keeps no pace, parity or 7-bit characters on a pseudo-terminal: whoever writes into it makes up for that.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { type Libc, loadLibc } from '../native/libc.ts'
import type { DeviceEnd } from './device-end.ts'

export interface Pty extends DeviceEnd {
  /** The device to open: `/dev/pts/N`. */
  readonly path: string
}

/** asm-generic/ioctls.h: unlock the other end; ask for its number. */
const TIOCSPTLCK = 0x40045431
const TIOCGPTN = 0x80045430

const noPty = (reason: string, hint: string): Fault => ({ code: 'line.no-pty', reason, hint })
const HINT =
  'pseudo-terminals are not allowed here: mount devpts on /dev/pts, or run the simulated street (npm run sim)'

export async function openPty(): Promise<Result<Pty>> {
  const libc = await loadLibc()
  if (!libc.ok) {
    const { fault } = libc
    return fail(noPty(fault.code, fault.code === 'native.missing' ? fault.hint : HINT))
  }
  const flags = constants.O_RDWR | constants.O_NOCTTY
  const opened: number[] = []
  try {
    const master = openSync('/dev/ptmx', flags | constants.O_NONBLOCK)
    opened.push(master)
    const path = prepare(libc.value, master)
    if (!path.ok) throw new Error(`${path.fault.code} ${path.fault['call']} errno ${path.fault['errno']}`)
    // As long as this end has a slave descriptor of its own, the gateway may close and open the device without a hang-up.
    const slave = openSync(path.value, flags)
    opened.push(slave)
    // Raw before the first byte: the line discipline would echo and translate what came earlier.
    const raw = libc.value.makeRaw(slave)
    if (!raw.ok) throw new Error(`${raw.fault.code} tcsetattr`)
    const end = deviceEnd(master, slave)
    opened.length = 0
    return ok({ path: path.value, ...end })
  } catch (error) {
    return fail(noPty(error instanceof Error ? error.message : String(error), HINT))
  } finally {
    for (const fd of opened) closeSync(fd)
  }
}

function prepare(libc: Libc, master: number): Result<string> {
  const unlocked = libc.ioctlInt(master, TIOCSPTLCK, 0)
  if (!unlocked.ok) return unlocked
  const number = libc.ioctlInt(master, TIOCGPTN, 0)
  return number.ok ? ok(`/dev/pts/${number.value}`) : number
}

function deviceEnd(master: number, slave: number): DeviceEnd {
  let hear: (chunk: Uint8Array) => void = () => {}
  let plugged = true
  const stream = new ReadStream(master)
  const closed = new Promise<void>(resolve => stream.once('close', () => resolve()))
  stream.on('data', (chunk: Buffer) => hear(new Uint8Array(chunk)))
  // A terminal that both sides left answers EIO; there is nobody to tell.
  stream.on('error', () => unplug())

  function unplug(): void {
    if (!plugged) return
    plugged = false
    closeSync(slave)
    stream.destroy()
  }

  return {
    write: bytes => {
      if (!plugged) return
      try {
        // Not through the stream, which waits for a reader and the whole program with it (libuv writes to a terminal's
        // master so). What the kernel does not take is lost, as on a wire that nobody listens to.
        writeSync(master, bytes)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code !== 'EAGAIN' && code !== 'EIO') throw error
      }
    },
    onBytes: listener => {
      hear = listener
    },
    unplug,
    close: async () => {
      unplug()
      await closed
    },
  }
}
