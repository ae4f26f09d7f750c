/**
 * What a serial device's own driver is asked for beyond baud rate and parity, on Linux: to hand over bytes as they come, and to
 * switch the direction of an RS-485 transceiver; and whether there is a wire behind it at all.
 */
import { realpath } from 'node:fs/promises'
import { done, type Fault, fail, type Result } from '../../protocol/result.ts'
import { type LibcFault, loadLibc } from '../native/libc.ts'

/** How a UART's RTS output switches the transceiver; adapters that do it themselves need none of this. */
export interface Rs485 {
  /** RTS is high while sending; false: low while sending. */
  readonly rtsOnSend: boolean
  /** Whole milliseconds between switching and the first bit, and between the last bit and switching back. */
  readonly delayBeforeMs: number
  readonly delayAfterMs: number
}

/** asm-generic/ioctls.h */
const TIOCGSERIAL = 0x541e
const TIOCSSERIAL = 0x541f
const TIOCSRS485 = 0x542f
const TIOCGICOUNT = 0x545d
/** linux/serial.h: struct serial_struct takes 72 bytes at the most; its flags are the fifth int. */
const SERIAL_STRUCT_BYTES = 128
const FLAGS_AT = 16
/** linux/tty_flags.h */
const ASYNC_LOW_LATENCY = 1 << 13
/** linux/serial.h: flags, delay before and after, five words of padding. */
const SERIAL_RS485_BYTES = 32
const SER_RS485_ENABLED = 1
const SER_RS485_RTS_ON_SEND = 2
const SER_RS485_RTS_AFTER_SEND = 4

/** linux/serial.h: struct serial_icounter_struct is twenty ints, the seventh counts framing errors, the ninth parity errors. */
const ICOUNTER_BYTES = 80
const FRAMING_ERRORS_AT = 24
const PARITY_ERRORS_AT = 32

/** What a pseudo-terminal is called on Linux and the BSDs, and on macOS. Links to one, as socat makes them, are followed. */
const PSEUDO_TERMINAL = /^\/dev\/(pts\/|ttys)\d+$/

/** A device without a wire: what is written to it has arrived, at any baud rate. */
export const isPseudoTerminal = async (path: string): Promise<boolean> =>
  PSEUDO_TERMINAL.test(await realpath(path).catch(() => path))

/** Whether this machine puts the low byte of a word first. */
const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/**
 * Asks for every byte as it comes: an FTDI adapter otherwise keeps them for up to 16 ms. A fault only says that this device
 * goes on without.
 */
export async function setLowLatency(path: string, fd: number): Promise<Result<void>> {
  const libc = await loadLibc()
  if (!libc.ok) return libc
  const struct = new Uint8Array(SERIAL_STRUCT_BYTES)
  const flags = new DataView(struct.buffer)
  const read = libc.value.ioctlBytes(fd, TIOCGSERIAL, struct)
  if (!read.ok) return fail(latencyFault(path, read.fault))
  flags.setUint32(FLAGS_AT, flags.getUint32(FLAGS_AT, LITTLE) | ASYNC_LOW_LATENCY, LITTLE)
  const written = libc.value.ioctlBytes(fd, TIOCSSERIAL, struct)
  return written.ok ? done : fail(latencyFault(path, written.fault))
}

const latencyFault = (path: string, fault: LibcFault): Fault => ({ ...fault, code: 'serial.latency', path })

/** struct serial_rs485 as this machine lays it out. */
export function rs485Struct({ rtsOnSend, delayBeforeMs, delayAfterMs }: Rs485): Uint8Array {
  for (const ms of [delayBeforeMs, delayAfterMs])
    if (!(Number.isInteger(ms) && ms >= 0)) throw new RangeError(`rs485 delays are whole milliseconds, not ${ms}`)
  const struct = new Uint8Array(SERIAL_RS485_BYTES)
  const view = new DataView(struct.buffer)
  view.setUint32(0, SER_RS485_ENABLED | (rtsOnSend ? SER_RS485_RTS_ON_SEND : SER_RS485_RTS_AFTER_SEND), LITTLE)
  view.setUint32(4, delayBeforeMs, LITTLE)
  view.setUint32(8, delayAfterMs, LITTLE)
  return struct
}

/** Has the UART switch the transceiver. Without it nothing that is sent reaches the wire, so that a refusal is the line's fault. */
export async function setRs485(path: string, fd: number, rs485: Rs485): Promise<Result<void>> {
  const libc = await loadLibc()
  if (!libc.ok) return libc
  const set = libc.value.ioctlBytes(fd, TIOCSRS485, rs485Struct(rs485))
  return set.ok ? done : fail({ ...set.fault, code: 'serial.rs485', path, hint: RS485_HINT })
}

const RS485_HINT =
  "this device's driver cannot switch an RS-485 transceiver: leave rs485 out where the adapter does it by itself, else enable it in the device tree"

/** Bytes that came damaged, out of struct serial_icounter_struct. */
export function damagedBytes(struct: Uint8Array): number {
  const view = new DataView(struct.buffer, struct.byteOffset)
  return view.getUint32(FRAMING_ERRORS_AT, LITTLE) + view.getUint32(PARITY_ERRORS_AT, LITTLE)
}

/**
 * Counts the bytes whose parity or stop bit was wrong, since some time in the past. They are dropped before anybody reads them,
 * so that on a line of the wrong baud rate or parity nothing else tells of them. Undefined where this device does not count.
 */
export async function damageCounter(fd: number): Promise<() => number | undefined> {
  const libc = await loadLibc()
  return () => {
    const struct = new Uint8Array(ICOUNTER_BYTES)
    return libc.ok && libc.value.ioctlBytes(fd, TIOCGICOUNT, struct).ok ? damagedBytes(struct) : undefined
  }
}
