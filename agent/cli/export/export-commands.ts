/** `tieline export`: what it understands. */
import type { Command } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import type { ExportOptions } from './export.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

export function addExport(add: Add, terminal: Terminal, configFile: string, leave: (exit: ExitCode) => void): void {
  add('export', "Write a site's signed readings, its deals or its bill as CSV, or as JSON, one a line.", [
    'tieline export --what readings --meter grid --since 7d > readings.csv',
    'tieline export --what deals --since 2026-11-01 --json | jq .state',
    'tieline export --what bill --period month --since 2026-01-01 > bill.csv',
  ])
    .requiredOption('--what <kind>', 'readings, deals or bill')
    .option(
      '--since <moment>',
      'from then on, as in 2026-11-01 (UTC) or 7d; all that is kept when left out, of bills the running one',
    )
    .option('--meter <name>', 'of readings: this meter only')
    .option('--period <length>', 'of bills: day, week or month; day when left out')
    .option('--config <file>', 'the configuration', configFile)
    .option('--json', 'one JSON object a line instead of CSV')
    .addHelpText(
      'after',
      `
Numbers are exact. Readings and deals are read from the journal as it stands on the disk; the agent may run meanwhile.
Bills are asked of the running agent: without --since the running one, else all from then on. Money is negative where the
site pays. What is not known is named under missing, with its reason, and is in no sum but for what its settled contracts
cost and brought; a period of which nothing is known has no sums. expected_rest is what the rest of the running day is
expected to come to, and is in no other number.
`,
    )
    .action(async (options: ExportOptions) => {
      const { exportSite } = await import('./export.ts')
      leave(await exportSite(options, terminal))
    })
}
