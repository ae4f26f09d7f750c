/** Mistakes in what was typed: one line that says what was meant, and exit code 2. */
import { nearest } from '../config/nearest.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

export function misused(command: string, what: string, terminal: Terminal): ExitCode {
  terminal.err(`tieline ${command}: ${what}; --help shows how\n`)
  return EXIT.usage
}

/** More names than this are no help in one line. */
const NAMES_MOST = 12

/** `unknown page "eastron-sdm360", did you mean "eastron-sdm630"?`, or what is known where nothing is near. */
export function unknownName(kind: string, name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  const holding = known.filter(one => name.length > 2 && one.includes(name.toLowerCase()))
  const meant = near === undefined ? holding : [near]
  const help =
    meant.length > 0 && meant.length <= NAMES_MOST
      ? `did you mean "${meant.join('" or "')}"?`
      : `known: ${known.slice(0, NAMES_MOST).join(', ')}${known.length > NAMES_MOST ? ', and more: tieline pages lists them' : ''}`
  return `unknown ${kind} "${name.slice(0, 48)}", ${help}`
}
