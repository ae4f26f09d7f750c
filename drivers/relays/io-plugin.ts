/**
 * An IO plugin for johnny-five over a `GpioBank`. The library asks for a direction before it writes a level; this plugin
 * makes an output only together with the level that is wanted on it, so no pin is driven by accident. The library's calls
 * return nothing: what went wrong on a pin is kept here for whoever gave the command.
 */
import { EventEmitter } from 'node:events'
import { done, type Fault, type Result } from '../../protocol/result.ts'
import type { GpioBank, Level } from './gpio-bank.ts'

/** Pin modes by the numbers that johnny-five uses for them. */
const MODES = { INPUT: 0, OUTPUT: 1 } as const

export interface IoPin {
  readonly name: string
  readonly supportedModes: readonly number[]
  mode: number
  value: number
}

export class GpioIo extends EventEmitter {
  readonly name = 'Tieline GPIO'
  readonly isReady = true
  readonly MODES = MODES
  readonly HIGH = 1
  readonly LOW = 0
  readonly pins: IoPin[]
  readonly #bank: GpioBank
  /** The level that each output starts with; a pin without one is no output here. */
  readonly #safe: ReadonlyMap<string, Level>
  readonly #outcomes = new Map<string, Result<void>>()

  constructor(bank: GpioBank, safeLevels: ReadonlyMap<string, Level>) {
    super()
    this.#bank = bank
    this.#safe = safeLevels
    this.pins = bank.lines.map(name => ({
      name,
      supportedModes: [MODES.INPUT, MODES.OUTPUT],
      mode: MODES.INPUT,
      value: 0,
    }))
  }

  pinMode(pin: string, mode: number): void {
    const safe = this.#safe.get(pin)
    if (mode !== MODES.OUTPUT) this.#keep(pin, mode, 0, this.#bank.setInput(pin))
    else if (safe === undefined) throw new Error(`${pin} of ${this.#bank.name} was not declared as an output`)
    else this.#keep(pin, mode, safe, this.#bank.setOutput(pin, safe))
  }

  digitalWrite(pin: string, value: number): void {
    const level: Level = value === 0 ? 0 : 1
    this.#keep(pin, MODES.OUTPUT, level, this.#bank.setOutput(pin, level))
  }

  /** How the last call on this pin went. */
  outcome(pin: string): Result<void, Fault> {
    return this.#outcomes.get(pin) ?? done
  }

  #keep(name: string, mode: number, value: number, outcome: Result<void>): void {
    this.#outcomes.set(name, outcome)
    const pin = this.pins.find(candidate => candidate.name === name)
    if (pin !== undefined) Object.assign(pin, { mode, value })
  }
}
