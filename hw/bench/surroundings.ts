/** What a bench command is given by the program that it runs in: types only. */
import type { Terminal } from '../../agent/cli/terminal.ts'

export interface BenchSurroundings {
  readonly terminal: Terminal
  /** Columns of the screen behind stderr; undefined where that is no screen. */
  readonly columns: () => number | undefined
  /** From here on the program ends in order when somebody asks it to, which resolves this. */
  readonly interruption: () => Promise<void>
}
