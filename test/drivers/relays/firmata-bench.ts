/** A Firmata board with its real firmware on a model of its processor, and our driver, on one simulated clock. */
import { readFileSync } from 'node:fs'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Position, Relay } from '../../../drivers/ports.ts'
import { type FirmataRelayOptions, openFirmataRelays } from '../../../drivers/relays/firmata.ts'
import type { FirmataContact } from '../../../drivers/relays/firmata-contact.ts'
import { AVR_HZ, type AvrBoard, createAvrBoard, type PinDrive } from '../../../hw/sim/avr-board.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { type Fault, must, type Result } from '../../../protocol/result.ts'

export const OUR_HEX = readFileSync('hw/firmata/relay.hex', 'utf8')

const CYCLES_MS = AVR_HZ / 1000
/** 57,600 baud, 8N1. */
const CHARACTER_MS = 10 / 57.6

export interface PinEvent {
  readonly pin: number
  readonly drive: PinDrive
  readonly cycle: number
}

export interface FirmataBench {
  readonly board: AvrBoard
  readonly clock: ReturnType<typeof createSimTime>['clock']
  readonly timers: ReturnType<typeof createSimTime>['timers']
  readonly line: ReturnType<typeof createMemoryLine>
  readonly events: readonly PinEvent[]
  readonly logged: string[]
  pass(ms: number): Promise<void>
  /** The board passes no more byte in either direction, and nobody is told. */
  mute(on: boolean): void
  open(options: Partial<FirmataRelayOptions> & Pick<FirmataRelayOptions, 'contacts'>): Promise<Result<readonly Relay[]>>
  /** Mends the line, closes all relays that were opened and forgets what was logged: for a board that several tests use. */
  quiet(): Promise<void>
  /** Where a relay on that pin holds its contact: an input leaves that to the wiring's pull, which opens. */
  contact(contact: Pick<FirmataContact, 'pin' | 'closedLevel'>): Position
}

/** `slowness`: how many times slower than real the processor runs. `noise`: what the line makes of bytes. */
export function firmataBench(hex: string, slowness = 1, noise = (bytes: Uint8Array) => bytes): FirmataBench {
  const { clock, timers, advance } = createSimTime(1_800_000_000_000, drainPromises)
  const events: PinEvent[] = []
  const logged: string[] = []
  let muted = false
  const line = createMemoryLine({
    name: 'uno',
    characterMs: CHARACTER_MS,
    disturb: bytes => (muted ? new Uint8Array(0) : noise(bytes)),
    clock,
    timers,
  })
  const onPin = (pin: number, drive: PinDrive, cycle: number) => events.push({ pin, drive, cycle })
  const board = must(createAvrBoard({ hex, end: line.device, onPin }))
  timers.every(1, () => board.run(CYCLES_MS / slowness))
  const log = (_level: string, _room: string, _text: string, fault?: Fault) => {
    if (fault !== undefined) logged.push(fault.code)
  }
  const opened: Relay[] = []
  return {
    board,
    clock,
    timers,
    line,
    events,
    logged,
    pass: advance,
    mute: on => {
      muted = on
    },
    async open(options) {
      const opening = openFirmataRelays({ line: line.port, clock, timers, firmware: 'tieline', log, ...options })
      let settled = false
      void opening.then(result => {
        settled = true
        if (result.ok) opened.push(...result.value)
      })
      const until = clock.mono() + 30_000
      await advance(0)
      while (!settled && clock.mono() < until) await advance(10)
      return opening
    },
    async quiet() {
      muted = false
      line.device.plug()
      const closed = Promise.all(opened.splice(0).map(relay => relay.close()))
      await advance(2000)
      await closed
      await line.port.close()
      logged.length = 0
    },
    contact: ({ pin, closedLevel }) => (board.pin(pin) === (closedLevel === 1 ? 'high' : 'low') ? 'closed' : 'open'),
  }
}
