/**
 * A Linux GPIO chip as a bank: lines by the kernel's names, through the character device's version 2 requests. An output is
 * asked for together with its first level, so that no pin drives what nobody chose. Linux has no watchdog here: an output
 * stays driven after this process dies on kernels that keep it so, hence `watchdogMs` is undefined. Not tried on hardware.
 */
import { closeSync, constants, openSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Libc } from '../native/libc.ts'
import type { GpioBank, Level } from './gpio-bank.ts'
import {
  askLineInfo,
  GPIO_IOCTL,
  lineConfig,
  lineRequest,
  lineValues,
  readChipInfo,
  readLineInfo,
  readValue,
  requestedFd,
  SIZE,
} from './gpio-structs.ts'

/** The calls that a chip is reached by. */
export interface ChipCalls extends Pick<Libc, 'ioctlBytes'> {
  open(path: string): Result<number>
  close(fd: number): void
}

interface GpioChipOptions {
  /** As in `/dev/gpiochip0`. */
  readonly path: string
  readonly calls: ChipCalls
}

/** The system's own calls; `libc` is loaded by whoever opens chips. */
export const systemCalls = (libc: Libc): ChipCalls => ({
  ioctlBytes: libc.ioctlBytes,
  open(path) {
    try {
      return ok(openSync(path, constants.O_RDWR))
    } catch (error) {
      return fail({ code: 'gpio.open', errno: (error as NodeJS.ErrnoException).code ?? String(error) })
    }
  },
  close: closeSync,
})

const CONSUMER = 'tieline'
/** The largest chips have a few hundred lines; a number beyond is no chip. */
const LINES_MOST = 4096

export interface GpioChip extends GpioBank {
  /** What the kernel calls the chip: `pinctrl-bcm2711`. */
  readonly label: string
  /** What the line at this offset goes by here, whether the kernel has a name for it or not. */
  lineAt(offset: number): string | undefined
}

/** Faults: `gpio.no-chip`, `gpio.permission`, `gpio.not-a-chip`, `gpio.io`; of lines `gpio.no-such-line`, `gpio.busy`. */
export function openGpioChip({ path, calls }: GpioChipOptions): Result<GpioChip> {
  const opened = calls.open(path)
  if (!opened.ok) return fail(openFault(path, opened.fault))
  const chip = opened.value
  const known = readLines(path, chip, calls)
  if (!known.ok) {
    calls.close(chip)
    return known
  }
  const { label, names, offsets } = known.value
  /** Open requests by line. */
  const held = new Map<string, { readonly fd: number; output: boolean }>()
  let closed = false

  const lineFault = (line: string, errno: number): Fault => {
    const name = errnoName(errno)
    if (name !== 'EBUSY') return { code: 'gpio.io', chip: path, line, errno: name }
    const info = askLineInfo(offsets.get(line)!)
    const by = calls.ioctlBytes(chip, GPIO_IOCTL.lineInfo, info).ok ? readLineInfo(info) : undefined
    const whose = by === undefined ? {} : { by: by.consumer, output: by.output }
    return { code: 'gpio.busy', chip: path, line, ...whose, hint: 'another program or driver holds this line' }
  }

  /** A call on a line's own descriptor. */
  const call = (line: string, fd: number, request: number, bytes: Uint8Array): Result<void> => {
    const result = calls.ioctlBytes(fd, request, bytes)
    return result.ok ? done : fail(lineFault(line, 'errno' in result.fault ? result.fault.errno : 0))
  }

  function request(line: string, level: Level | undefined): Result<void> {
    const bytes = lineRequest(offsets.get(line)!, CONSUMER, level)
    const asked = call(line, chip, GPIO_IOCTL.getLine, bytes)
    if (asked.ok) held.set(line, { fd: requestedFd(bytes), output: level !== undefined })
    return asked
  }

  const trouble = (line: string): Fault | undefined => {
    if (closed) return { code: 'gpio.closed', chip: path }
    return offsets.has(line) ? undefined : { code: 'gpio.no-such-line', chip: path, line }
  }

  return ok({
    name: path,
    lines: [...names.keys()],
    label,
    lineAt: offset => [...offsets].find(([, at]) => at === offset)?.[0],
    watchdogMs: undefined,
    setOutput(line, level) {
      const wrong = trouble(line)
      if (wrong !== undefined) return fail(wrong)
      const known = held.get(line)
      if (known === undefined) return request(line, level)
      if (known.output) return call(line, known.fd, GPIO_IOCTL.setValues, lineValues(level))
      const turned = call(line, known.fd, GPIO_IOCTL.setConfig, lineConfig(level))
      if (turned.ok) known.output = true
      return turned
    },
    setInput(line) {
      const wrong = trouble(line)
      if (wrong !== undefined) return fail(wrong)
      const known = held.get(line)
      if (known === undefined) return request(line, undefined)
      const turned = call(line, known.fd, GPIO_IOCTL.setConfig, lineConfig(undefined))
      if (turned.ok) known.output = false
      return turned
    },
    read(line) {
      const wrong = trouble(line)
      if (wrong !== undefined) return fail(wrong)
      const known = held.get(line)
      if (known === undefined) return fail({ code: 'gpio.not-requested', chip: path, line })
      const bytes = lineValues(0)
      const read = call(line, known.fd, GPIO_IOCTL.getValues, bytes)
      return read.ok ? ok(readValue(bytes)) : read
    },
    close() {
      if (closed) return
      closed = true
      for (const { fd } of held.values()) calls.close(fd)
      calls.close(chip)
    },
  })
}

const errnoName = (errno: number): string => (errno > 0 ? getSystemErrorName(-errno) : 'unknown')

function openFault(path: string, fault: Fault): Fault {
  const { errno } = fault
  if (errno === 'ENOENT' || errno === 'ENXIO' || errno === 'ENODEV') {
    return { code: 'gpio.no-chip', chip: path, hint: 'look which there are with ls /dev/gpiochip*' }
  }
  if (errno === 'EACCES' || errno === 'EPERM') {
    const hint = 'add the user of the agent to the group that owns the device, gpio on most boards'
    return { code: 'gpio.permission', chip: path, errno, hint }
  }
  return { code: 'gpio.io', chip: path, errno }
}

interface ChipLines {
  readonly label: string
  /** Offsets by name; a name that several lines have, or none, names no line. */
  readonly names: ReadonlyMap<string, number>
  /** The same, and every other line as its number, `#17`. */
  readonly offsets: ReadonlyMap<string, number>
}

function readLines(path: string, chip: number, calls: ChipCalls): Result<ChipLines> {
  const bytes = new Uint8Array(SIZE.chipInfo)
  const asked = calls.ioctlBytes(chip, GPIO_IOCTL.chipInfo, bytes)
  const { label, lines } = readChipInfo(bytes)
  if (!asked.ok || lines > LINES_MOST) {
    const errno = asked.ok ? undefined : errnoName('errno' in asked.fault ? asked.fault.errno : 0)
    return fail({ code: 'gpio.not-a-chip', chip: path, ...(errno === undefined ? { lines } : { errno }) })
  }
  const names = new Map<string, number>()
  const twice = new Set<string>()
  for (let offset = 0; offset < lines; offset++) {
    const info = askLineInfo(offset)
    if (!calls.ioctlBytes(chip, GPIO_IOCTL.lineInfo, info).ok) continue
    const { name } = readLineInfo(info)
    if (name === '') continue
    if (names.has(name)) twice.add(name)
    else names.set(name, offset)
  }
  for (const name of twice) names.delete(name)
  const named = new Set(names.values())
  const others = Array.from({ length: lines }, (_, offset) => offset).filter(offset => !named.has(offset))
  return ok({ label, names, offsets: new Map([...others.map(at => [`#${at}`, at] as const), ...names]) })
}
