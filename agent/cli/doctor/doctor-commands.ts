/** `tieline doctor`: what it understands. */
import type { Command } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import type { DoctorOptions } from './doctor.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

export function addDoctor(add: Add, terminal: Terminal, configFile: string, leave: (exit: ExitCode) => void): void {
  add('doctor', 'Look at everything that a site needs, and say what to do where something is wrong.', [
    'sudo tieline doctor',
    'tieline doctor --json | jq \'.findings[] | select(.verdict != "pass")\'',
  ])
    .option('--config <file>', 'the configuration', configFile)
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nNothing is changed, and no serial line is opened. The exit code is 1 where anything fails.\n',
    )
    .action(async (options: DoctorOptions) => {
      const { doctor } = await import('./doctor.ts')
      leave(await doctor(options, terminal))
    })
}
