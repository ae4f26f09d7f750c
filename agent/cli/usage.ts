/** Mistakes in what was typed: one line that says what was meant, and exit code 2. */
import { nearest } from '../config/nearest.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

export function misused(command: string, what: string, terminal: Terminal): ExitCode {
  terminal.err(`tieline ${command}: ${what}; --help shows how\n`)
  return EXIT.usage
}

/** `unknown page "eastron-sdm360", did you mean "eastron-sdm630"?`, or all that is known where nothing is near. */
export function unknownName(kind: string, name: string, known: readonly string[]): string {
  const meant = nearest(name, known)
  const help = meant === undefined ? `known: ${known.join(', ')}` : `did you mean "${meant}"?`
  return `unknown ${kind} "${name.slice(0, 48)}", ${help}`
}
