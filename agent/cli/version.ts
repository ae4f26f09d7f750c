/** `--version`, of every program: the package's version, and with --json what exactly runs. */
import { hashSoftware } from '../../drivers/store/software-hash.ts'
import { readVersion } from '../../drivers/version.ts'
import { toHex } from '../../protocol/bytes.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { jsonLine } from './json-line.ts'
import type { Terminal } from './terminal.ts'

/**
 * Undefined where something else was asked. With --json: {program, version, software, node}; `software` is the SHA-256 that stands in
 * every context record that this software signs.
 */
export function sayVersion(program: string, args: readonly string[], terminal: Terminal): ExitCode | undefined {
  const [first, second, ...more] = args
  const json = second === '--json'
  if (first !== '--version' || more.length > 0 || (second !== undefined && !json)) return undefined
  const version = readVersion()
  terminal.out(
    json
      ? jsonLine({ program, version, software: toHex(hashSoftware()), node: process.versions.node })
      : `${program} ${version}\n`,
  )
  return EXIT.ok
}
