/**
 * A bank of GPIO lines with a hardware watchdog, simulated: outputs that drive relay coils, inputs that auxiliary contacts
 * drive. What a line really does is told at once, so that wires can follow it.
 */
import type { Timers } from '../../drivers/ports.ts'
import type { GpioBank, Level } from '../../drivers/relays/gpio-bank.ts'
import { done, type Fault, fail, ok } from '../../protocol/result.ts'

export interface SimGpioLine {
  readonly name: string
  /** What the board's pull makes of the line when nothing drives it. */
  readonly pull: Level
}

export interface SimGpioOptions {
  readonly name: string
  readonly lines: readonly SimGpioLine[]
  readonly timers: Timers
  /** An output that was not set for this long is let go; undefined is a bank without a watchdog. */
  readonly watchdogMs?: number
  /** The level of a line changed, by whomever. */
  readonly onLevel?: (line: string, level: Level) => void
}

export interface SimGpioBank extends GpioBank {
  /** Drives a line from outside, as an auxiliary contact does; undefined lets it go to its pull. */
  drive(line: string, level: Level | undefined): void
  /** Makes every call on a line fail until it is undefined again. */
  fail(line: string, fault: Fault | undefined): void
  level(line: string): Level
}

interface LineState {
  readonly pull: Level
  output: Level | undefined
  outside: Level | undefined
  broken: Fault | undefined
  level: Level
  release: (() => void) | undefined
}

export function createSimGpioBank(options: SimGpioOptions): SimGpioBank {
  const { name, timers, watchdogMs, onLevel } = options
  const lines = new Map<string, LineState>(
    options.lines.map(line => [
      line.name,
      {
        pull: line.pull,
        output: undefined,
        outside: undefined,
        broken: undefined,
        level: line.pull,
        release: undefined,
      },
    ]),
  )
  let closed = false

  function known(line: string): LineState {
    const state = lines.get(line)
    if (state === undefined) throw new Error(`${name} has no line ${line}`)
    return state
  }

  function settle(line: string, state: LineState): void {
    const level = state.output ?? state.outside ?? state.pull
    if (level === state.level) return
    state.level = level
    onLevel?.(line, level)
  }

  function letGo(line: string, state: LineState): void {
    state.release?.()
    state.release = undefined
    state.output = undefined
    settle(line, state)
  }

  const troubleOf = (line: string): Fault | undefined => {
    if (closed) return { code: 'gpio.closed', bank: name }
    const state = lines.get(line)
    return state === undefined ? { code: 'gpio.no-such-line', bank: name, line } : state.broken
  }

  return {
    name,
    lines: options.lines.map(line => line.name),
    watchdogMs,
    setOutput(line, level) {
      const trouble = troubleOf(line)
      if (trouble !== undefined) return fail(trouble)
      const state = known(line)
      state.release?.()
      state.release = watchdogMs === undefined ? undefined : timers.after(watchdogMs, () => letGo(line, state))
      state.output = level
      settle(line, state)
      return done
    },
    setInput(line) {
      const trouble = troubleOf(line)
      if (trouble !== undefined) return fail(trouble)
      letGo(line, known(line))
      return done
    },
    read(line) {
      const trouble = troubleOf(line)
      return trouble === undefined ? ok(known(line).level) : fail(trouble)
    },
    close() {
      closed = true
      for (const [line, state] of lines) letGo(line, state)
    },
    drive(line, level) {
      const state = known(line)
      state.outside = level
      settle(line, state)
    },
    fail(line, fault) {
      known(line).broken = fault
    },
    level: line => known(line).level,
  }
}
