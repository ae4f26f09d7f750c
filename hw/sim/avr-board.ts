/**
 * An Arduino board with an ATmega328P at 16 MHz, running real firmware on a model of the processor (avr8js). Its serial port
 * is a device's end of any line. Time is the processor's own: it passes only in `run`, in cycles.
 *
 * Pins are numbered as the Uno's: 0-7 port D, 8-13 port B, 14-19 port C.
 */
import {
  AVRClock,
  AVRIOPort,
  AVRTimer,
  AVRUSART,
  AVRWatchdog,
  avrInstruction,
  CPU,
  clockConfig,
  PinState,
  portBConfig,
  portCConfig,
  portDConfig,
  timer0Config,
  timer1Config,
  timer2Config,
  usart0Config,
  watchdogConfig,
} from 'avr8js'
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Level } from '../../drivers/relays/gpio-bank.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'

export const AVR_HZ = 16_000_000

const FLASH_BYTES = 32 * 1024
const SRAM_BYTES = 2048
/** Data addresses below are registers; the model leaves them as they were over a reset, the part does not. */
const SRAM_FROM = 0x100
const PINS = 20

/** MCUSR: why the part was reset. */
const EXTERNAL_RESET = 2
const WATCHDOG_RESET = 8
/** WDTCSR: change enable, watchdog enable. */
const WDCE = 0x10
const WDE = 0x08
const RXC = 0x80
/** Of the instruction set manual; the model takes `sleep` for no operation. */
const SLEEP = 0x9588
/** `rjmp .`: for ever. */
const JUMP_TO_ITSELF = 0xcfff

/** What the part does to a pin. */
export type PinDrive = 'high' | 'low' | 'input' | 'pulled-up'

export interface AvrBoardOptions {
  /** Intel HEX. */
  readonly hex: string
  readonly end: DeviceEnd
  /** Each change of what the part does to a pin, with the cycle in which it came. */
  readonly onPin?: (pin: number, drive: PinDrive, cycle: number) => void
}

export interface AvrBoard {
  /** Runs at least so many cycles; bytes that the part sent meanwhile leave at the end. */
  run(cycles: number): void
  /** Since power came on, over all resets. */
  cycles(): number
  /** The cycle in which the last byte from the line had arrived. */
  heardAt(): number
  pin(pin: number): PinDrive
  /** The level that something outside gives to a pin, seen while the part does not drive it. */
  drive(pin: number, level: Level): void
  pressReset(): void
  resets(): number
  /** The program stands still where it is, while its interrupts go on. Returns what mends it, for after a reset. */
  stick(): () => void
}

/** The words of a program, by Intel HEX: `:` count, address, type, data, sum. */
export function readIntelHex(text: string): Result<Uint8Array> {
  const flash = new Uint8Array(FLASH_BYTES).fill(0xff)
  let base = 0
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === '') continue
    const bytes = /^:(?:[0-9a-f]{2})+$/i.test(line) ? (line.slice(1).match(/../g) ?? []).map(x => parseInt(x, 16)) : []
    const [count = -1, high = 0, low = 0, type] = bytes
    const data = bytes.slice(4, -1)
    if (data.length !== count || bytes.reduce((sum, byte) => sum + byte, 0) % 256 !== 0)
      return fail({ code: 'hex.line', line: index + 1 })
    if (type === 1) return ok(flash)
    if (type === 2 || type === 4) base = (data[0]! * 256 + data[1]!) * (type === 2 ? 16 : 65_536)
    if (type !== 0) continue
    const address = base + high * 256 + low
    if (address + count > FLASH_BYTES) return fail({ code: 'hex.address', line: index + 1, address, most: FLASH_BYTES })
    flash.set(data, address)
  }
  return fail({ code: 'hex.end', hint: 'the file has no end record' })
}

/** The part from one reset to the next. */
interface Chip {
  readonly cpu: CPU
  readonly usart: AVRUSART
  readonly ports: readonly AVRIOPort[]
  resetBy: number | undefined
}

const portOf = (pin: number): number => (pin < 8 ? 0 : pin < 14 ? 1 : 2)
const bitOf = (pin: number): number => (pin < 8 ? pin : pin < 14 ? pin - 8 : pin - 14)

export function createAvrBoard({ hex, end, onPin }: AvrBoardOptions): Result<AvrBoard> {
  const flash = readIntelHex(hex)
  if (!flash.ok) return flash
  const program = new Uint16Array(flash.value.buffer)
  const outside: Level[] = new Array<Level>(PINS).fill(0)
  const shown: PinDrive[] = new Array<PinDrive>(PINS).fill('input')
  const arriving: number[] = []
  let sent: number[] = []
  let before = 0
  let heardAt = 0
  let resets = 0
  let chip = powerOn(1, undefined)

  function powerOn(cause: number, memory: Uint8Array | undefined): Chip {
    const cpu = new CPU(program, SRAM_BYTES)
    // Memory outlives a reset, registers do not.
    if (memory !== undefined) cpu.data.set(memory.subarray(SRAM_FROM), SRAM_FROM)
    const usart = new AVRUSART(cpu, usart0Config, AVR_HZ)
    const ports = [portDConfig, portBConfig, portCConfig].map(config => new AVRIOPort(cpu, config))
    for (const timer of [timer0Config, timer1Config, timer2Config]) new AVRTimer(cpu, timer)
    new AVRWatchdog(cpu, watchdogConfig, new AVRClock(cpu, AVR_HZ, clockConfig))
    const made: Chip = { cpu, usart, ports, resetBy: undefined }
    cpu.data[watchdogConfig.MCUSR] = cause
    // The part comes out of a watchdog's reset with the watchdog running on its shortest time.
    if (cause === WATCHDOG_RESET) for (const value of [WDCE | WDE, WDE]) cpu.writeData(watchdogConfig.WDTCSR, value)
    // The model restarts the program and nothing else, so a reset of its own makes a new part here.
    cpu.reset = () => {
      made.resetBy = WATCHDOG_RESET
    }
    keepReceived(cpu)
    usart.onByteTransmit = byte => sent.push(byte)
    usart.onRxComplete = () => {
      heardAt = before + cpu.cycles
    }
    for (const port of ports) port.addListener(() => show(made))
    for (const [pin, level] of outside.entries()) ports[portOf(pin)]!.setPin(bitOf(pin), level === 1)
    return made
  }

  /** The model forgets a byte that came in when the port's control register is written; the part does not. */
  function keepReceived(cpu: CPU): void {
    const { UCSRA, UCSRB, rxCompleteInterrupt } = usart0Config
    const write = cpu.writeHooks[UCSRB]!
    cpu.writeHooks[UCSRB] = (value, old, address, mask) => {
      const waiting = (cpu.data[UCSRA]! & RXC) !== 0
      const handled = write(value, old, address, mask)
      if (waiting)
        cpu.setInterruptFlag({
          address: rxCompleteInterrupt,
          flagRegister: UCSRA,
          flagMask: RXC,
          enableRegister: UCSRB,
          enableMask: RXC,
          constant: true,
        })
      return handled
    }
  }

  function driveOf({ ports }: Chip, pin: number): PinDrive {
    const state = ports[portOf(pin)]!.pinState(bitOf(pin))
    if (state === PinState.Input) return 'input'
    return state === PinState.High ? 'high' : state === PinState.Low ? 'low' : 'pulled-up'
  }

  function show(of: Chip): void {
    for (let pin = 0; pin < PINS; pin++) {
      const drive = driveOf(of, pin)
      if (drive === shown[pin]) continue
      shown[pin] = drive
      onPin?.(pin, drive, before + of.cpu.cycles)
    }
  }

  function reset(cause: number): void {
    before += chip.cpu.cycles
    resets++
    chip = powerOn(cause, chip.cpu.data)
    show(chip)
  }

  /** An asleep processor goes to its next event at once, and on from there only if that one interrupts it. */
  function sleepOn(cpu: CPU, limit: number): void {
    const { nextClockEvent } = cpu as unknown as { readonly nextClockEvent: { readonly cycles: number } | null }
    cpu.cycles = Math.max(cpu.cycles + 1, Math.min(limit, nextClockEvent?.cycles ?? limit))
    const asleepAt = cpu.pc++
    cpu.tick()
    if (cpu.pc === asleepAt + 1) cpu.pc = asleepAt
  }

  /** Up to `limit` of this part's cycles, or to its reset. */
  function runPart(part: Chip, limit: number): void {
    const { cpu, usart } = part
    const { data } = cpu
    while (cpu.cycles < limit && part.resetBy === undefined) {
      if (arriving.length > 0 && !usart.rxBusy && (data[usart0Config.UCSRA]! & RXC) === 0 && usart.rxEnable)
        usart.writeByte(arriving.shift()!)
      if (program[cpu.pc] === SLEEP && cpu.nextInterrupt < 0) sleepOn(cpu, limit)
      else {
        avrInstruction(cpu)
        cpu.tick()
      }
    }
  }

  end.onBytes(chunk => arriving.push(...chunk))

  return ok({
    run(cycles) {
      const until = before + chip.cpu.cycles + cycles
      while (before + chip.cpu.cycles < until) {
        runPart(chip, until - before)
        if (chip.resetBy !== undefined) reset(chip.resetBy)
      }
      if (sent.length === 0) return
      const leaving = Uint8Array.from(sent)
      sent = []
      end.write(leaving)
    },
    cycles: () => before + chip.cpu.cycles,
    heardAt: () => heardAt,
    pin: pin => driveOf(chip, pin),
    drive(pin, level) {
      outside[pin] = level
      chip.ports[portOf(pin)]!.setPin(bitOf(pin), level === 1)
    },
    pressReset: () => reset(EXTERNAL_RESET),
    resets: () => resets,
    stick() {
      const { pc } = chip.cpu
      const word = program[pc]!
      program[pc] = JUMP_TO_ITSELF
      return () => {
        program[pc] = word
      }
    },
  })
}
