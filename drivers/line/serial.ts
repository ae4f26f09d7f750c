/**
 * A serial device as a Line. The package's promises are not relied on: after an unplug it closes twice, or not at all, and
 * writes never call back; so every operation has a deadline of ours, and `down` is told once.
 */
import { SerialPort } from 'serialport'
import { done, type Fault, fail, type Result } from '../../protocol/result.ts'
import type { Clock, Line, LineListener, Log, Timers } from '../ports.ts'
import { damageCounter, isPseudoTerminal, type Rs485, setLowLatency, setRs485 } from './serial-driver.ts'

export interface SerialSettings {
  /** A device path; prefer /dev/serial/by-id/..., which names the same adapter after a replug. */
  readonly path: string
  readonly baudRate: number
  readonly dataBits?: 7 | 8
  readonly parity?: 'none' | 'even' | 'odd'
  readonly stopBits?: 1 | 2
  /** For a UART that switches an RS-485 transceiver (Linux). */
  readonly rs485?: Rs485
}

/**
 * Opening, flushing and closing a healthy device takes milliseconds; some USB adapters take half a second to open. Pass the
 * machine's own timers even where virtual time runs faster: the device does not.
 */
const OPERATION_DEADLINE_MS = 2_000

/** Why a device is not opened, by what the package says: a person can do something about these. */
const REFUSALS = [
  {
    said: /inappropriate ioctl|ENOTTY|is a directory|EISDIR|is not defined/i,
    code: 'serial.no-serial-device',
    hint: 'this is no serial device',
  },
  {
    said: /permission|EACCES/i,
    code: 'serial.permission',
    hint: 'allow this user to use serial devices, as by membership in the group dialout',
  },
  { said: /lock|busy/i, code: 'serial.busy', hint: 'another program has this device open' },
  {
    said: /no such (file|device)|ENOENT|ENXIO|ENODEV|cannot open/i,
    code: 'serial.missing',
    hint: 'check the path and that the adapter is plugged in',
  },
] as const

export function createSerialLine(settings: SerialSettings, clock: Clock, timers: Timers, log?: Log): Line {
  const { path, baudRate, dataBits = 8, parity = 'none', stopBits = 1 } = settings
  const characterMs = ((1 + dataBits + (parity === 'none' ? 0 : 1) + stopBits) * 1000) / baudRate
  let port: SerialPort | undefined
  let down: (fault: Fault) => void = () => {}
  /** What this device goes on without. */
  let without: Fault | undefined
  let damaged: () => number | undefined = () => undefined
  let unpaced = false

  /** A callback of the package as a result, with a deadline of our own: it may never come. */
  function within(
    operation: string,
    deadlineMs: number,
    start: (callback: (error?: Error | null) => void) => void,
  ): Promise<Result<void>> {
    return new Promise(resolve => {
      const settle = (result: Result<void>) => {
        cancel()
        resolve(result)
      }
      const cancel = timers.after(deadlineMs, () =>
        settle(fail({ code: 'serial.no-answer', path, operation, afterMs: deadlineMs })),
      )
      try {
        start(error => settle(error ? fail(faultOf(operation, error)) : done))
      } catch (error) {
        settle(fail(faultOf(operation, error)))
      }
    })
  }

  function faultOf(operation: string, error: unknown): Fault {
    const message = error instanceof Error ? error.message : String(error)
    // Less the path, which may hold any word.
    const why = path === '' ? message : message.replaceAll(path, '')
    const known = operation === 'open' ? REFUSALS.find(({ said }) => said.test(why)) : undefined
    return known === undefined
      ? { code: `serial.${operation}`, path, message }
      : { code: known.code, path, message, hint: known.hint }
  }

  /**
   * An operation on the open device. One that fails means that the device is gone: after some unplugs the package reads on
   * without end and says nothing, and this is the only sign.
   */
  async function use(
    operation: string,
    deadlineMs: number,
    start: (open: SerialPort, callback: (error?: Error | null) => void) => void,
  ): Promise<Result<void>> {
    const open = port
    if (open === undefined) return fail({ code: 'serial.closed', path })
    const result = await within(operation, deadlineMs, callback => start(open, callback))
    if (!result.ok && port === open) down(result.fault)
    return result
  }

  /** What the device's own driver is asked for, once it is open. */
  async function prepare(open: SerialPort): Promise<Result<void>> {
    const fd = descriptorOf(open)
    unpaced = await isPseudoTerminal(path)
    if (process.platform !== 'linux' || fd === undefined)
      return settings.rs485 === undefined
        ? done
        : fail({ code: 'serial.rs485', path, hint: 'only Linux switches RS-485' })
    const quick = await setLowLatency(path, fd)
    if (!quick.ok && without === undefined) {
      without = quick.fault
      log?.('info', 'lines', `${path} hands bytes over in its own time`, without)
    }
    damaged = await damageCounter(fd)
    return settings.rs485 === undefined ? done : setRs485(path, fd, settings.rs485)
  }

  async function shut(closing: SerialPort): Promise<void> {
    closing.removeAllListeners()
    // A late error of a device that is gone must not end the process.
    closing.on('error', () => {})
    if (closing.isOpen) await within('close', OPERATION_DEADLINE_MS, callback => closing.close(callback))
  }

  return {
    name: path,
    characterMs,
    without: () => without,
    unpaced: () => unpaced,
    damaged: () => (port?.isOpen ? damaged() : undefined),
    open: async (listener: LineListener) => {
      if (port !== undefined) return fail({ code: 'serial.already-open', path })
      let opening: SerialPort
      try {
        opening = new SerialPort({ path, baudRate, dataBits, parity, stopBits, autoOpen: false })
      } catch (error) {
        return fail(faultOf('open', error))
      }
      port = opening
      opening.on('error', () => {})
      let opened = await within('open', OPERATION_DEADLINE_MS, callback => opening.open(callback))
      if (opened.ok && port === opening) opened = await prepare(opening)
      if (opened.ok && !opening.isOpen) opened = fail(faultOf('gone', new Error('device closed')))
      if (!opened.ok || port !== opening) {
        if (port === opening) port = undefined
        // An open that comes after its deadline must not leave a descriptor behind.
        opening.once('open', () => void shut(opening))
        await shut(opening)
        return opened.ok ? fail({ code: 'serial.closed', path }) : opened
      }
      down = fault => {
        if (port !== opening) return
        port = undefined
        void shut(opening)
        listener.down(fault)
      }
      opening.on('data', (chunk: Uint8Array) => {
        if (port === opening) listener.bytes(chunk, clock.mono())
      })
      opening.on('close', (error?: Error | null) => down(faultOf('gone', error ?? new Error('device closed'))))
      opening.on('error', (error: Error) => down(faultOf('gone', error)))
      opening.on('end', () => down(faultOf('gone', new Error('end of input'))))
      return done
    },
    write: bytes =>
      use('write', OPERATION_DEADLINE_MS + bytes.length * characterMs, (open, callback) => {
        open.write(bytes, error => {
          if (error) callback(error)
        })
        open.drain(callback)
      }),
    flush: () => use('flush', OPERATION_DEADLINE_MS, (open, callback) => open.flush(callback)),
    setBaud: baud => use('baud', OPERATION_DEADLINE_MS, (open, callback) => open.update({ baudRate: baud }, callback)),
    close: async () => {
      const closing = port
      port = undefined
      if (closing !== undefined) await shut(closing)
    },
  }
}

/** The package does not name it in its types, but has it on every system but Windows. */
function descriptorOf(open: SerialPort): number | undefined {
  const fd = (open.port as { readonly fd?: unknown } | undefined)?.fd
  return typeof fd === 'number' ? fd : undefined
}
