/** A terminal that keeps what was said to it. */
import type { Terminal } from '../agent/cli/terminal.ts'

export interface KeptTerminal {
  readonly terminal: Terminal
  out(): string
  err(): string
}

export function keepTerminal(env: Terminal['env'] = {}): KeptTerminal {
  let out = ''
  let err = ''
  const terminal: Terminal = {
    out: text => {
      out += text
    },
    err: text => {
      err += text
    },
    colour: false,
    env,
  }
  return { terminal, out: () => out, err: () => err }
}
