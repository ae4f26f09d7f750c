/** The firmware of hw/firmata on a model of its processor, spoken to byte by byte: judged by the processor's pins and cycles. */
import { readFileSync } from 'node:fs'
import { type PinUse, RELAY_COMMAND, type RelayReport, readReport } from '../../../drivers/relays/relay-firmware.ts'
import { AVR_HZ, type AvrBoard, createAvrBoard, type PinDrive } from '../../../hw/sim/avr-board.ts'
import { must } from '../../../protocol/result.ts'

export const CYCLES_MS = AVR_HZ / 1000
/** Ten bits at 57,600 baud, as the part rounds it: 16 MHz / 8 / 35. */
export const CHARACTER_CYCLES = 10 * 8 * 35

export const relayHex = (): string => readFileSync('hw/firmata/relay.hex', 'utf8')

export interface PinEvent {
  readonly pin: number
  readonly drive: PinDrive
  readonly cycle: number
}

export interface FirmwareBench {
  readonly board: AvrBoard
  /** What the part did to its pins, from the first cycle on. */
  readonly events: PinEvent[]
  /** Puts these bytes on the line, one character after the other. */
  say(...bytes: readonly number[]): void
  run(ms: number): void
  /** All that the board has sent since this was called last. */
  heard(): number[]
  /** What the board answers to our own messages within some milliseconds. */
  ask(message: readonly number[], ms?: number): RelayReport | undefined
}

export const sysex = (data: readonly number[]): readonly number[] => [0xf0, ...data, 0xf7]

export function firmwareBench(hex = relayHex(), bootMs = 20): FirmwareBench {
  const events: PinEvent[] = []
  let sent: number[] = []
  let put: (chunk: Uint8Array) => void = () => {}
  const end = {
    write: (bytes: Uint8Array) => void sent.push(...bytes),
    onBytes: (hear: (chunk: Uint8Array) => void) => {
      put = hear
    },
    unplug: () => {},
    close: async () => {},
  }
  const board = must(createAvrBoard({ hex, end, onPin: (pin, drive, cycle) => events.push({ pin, drive, cycle }) }))
  const bench: FirmwareBench = {
    board,
    events,
    say: (...bytes) => put(Uint8Array.from(bytes)),
    run: ms => board.run(ms * CYCLES_MS),
    heard() {
      const all = sent
      sent = []
      return all
    },
    ask(message, ms = 15) {
      bench.heard()
      bench.say(...sysex(message))
      bench.run(ms)
      return lastReport(bench.heard())
    },
  }
  bench.run(bootMs)
  return bench
}

/** The last whole report among these bytes. */
export function lastReport(bytes: readonly number[]): RelayReport | undefined {
  for (let at = bytes.length - 1; at >= 0; at--) {
    if (bytes[at] !== 0xf0 || bytes[at + 1] !== RELAY_COMMAND) continue
    const report = readReport(bytes.slice(at + 2, bytes.indexOf(0xf7, at)))
    if (report.ok) return report.value
  }
  return undefined
}

/** Contacts of the tests: two that close at the low level and two that close at the high one, on all three ports. */
export const PINS: readonly { readonly pin: number; readonly use: PinUse }[] = [
  { pin: 4, use: 'closed-low' },
  { pin: 7, use: 'closed-high' },
  { pin: 8, use: 'closed-low' },
  { pin: 15, use: 'closed-high' },
]

/** Pins at the level that closes their contact. */
export const closedPins = ({ board }: FirmwareBench): readonly number[] =>
  PINS.filter(({ pin, use }) => board.pin(pin) === (use === 'closed-high' ? 'high' : 'low')).map(({ pin }) => pin)
