/** `tieline-bench rows`: the paper row by row, as README has it. */
import { program } from '../../agent/cli/commander.ts'
import { EXIT, type ExitCode } from '../../agent/cli/exit-codes.ts'
import { readFlags } from '../bench/flags.ts'
import type { BenchSurroundings } from '../bench/surroundings.ts'
import { commandOf, drawRows } from './row-check.ts'
import { ROWS } from './rows.ts'

const EXAMPLES = `
A row holds where the named field of its command's JSON is what the last column says.

Examples:
  tieline-bench rows           a table in Markdown
  tieline-bench rows --json    the same as one JSON array
`

export async function benchRows(args: readonly string[], { terminal }: BenchSurroundings): Promise<ExitCode> {
  let given: { readonly json?: true } | undefined
  const command = program('tieline-bench rows', terminal)
    .description('Every system, layer, entity and open issue that the paper names, with the command that shows it.')
    .option('--json', 'one JSON array on stdout')
    .addHelpText('after', EXAMPLES)
    .action((options: { readonly json?: true }) => {
      given = options
    })
  const exit = await readFlags(command, args, terminal)
  if (given === undefined) return exit ?? EXIT.ok
  const rows = ROWS.map(row => ({ ...row, command: commandOf(row) }))
  terminal.out(given.json === true ? `${JSON.stringify(rows)}\n` : drawRows())
  return EXIT.ok
}
