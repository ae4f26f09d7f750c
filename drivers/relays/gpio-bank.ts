/**
 * A bank of digital lines by name, as the Linux GPIO character device offers them: level and direction are set in one
 * request, so a line never drives a level that nobody chose. Calls are quick system calls, hence synchronous.
 */
import type { Result } from '../../protocol/result.ts'

export type Level = 0 | 1

export interface GpioBank {
  readonly name: string
  /** Names of its lines, as the board labels them: `GPIO17`. */
  readonly lines: readonly string[]
  /**
   * A hardware watchdog lets an output fall back to its idle level when it was not set for this long; undefined where the
   * bank has none, and an output stays driven after this process dies.
   */
  readonly watchdogMs: number | undefined
  /** Makes the line an output that drives `level` from its first moment, or sets the level of an output. */
  setOutput(line: string, level: Level): Result<void>
  /** Makes the line an input, with the board's pull. */
  setInput(line: string): Result<void>
  /** The level on the pin now, whoever drives it. */
  read(line: string): Result<Level>
  /** Lets every line go. Safe to call more than once. */
  close(): void
}
