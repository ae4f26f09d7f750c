/** The commands about releases on this gateway: what they understand, and which function carries each out. */
import { type Command, program } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import type { InstallOptions, UpdateOptions } from './update.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

export function addUpdates(add: Add, terminal: Terminal, configFile: string, leave: (exit: ExitCode) => void): void {
  const update = add('update', 'Install a signed release beside the one that runs, and go back to the one before.', [
    'tieline update status',
    'tieline update verify tieline-0.2.0-arm64.update',
    'runuser -u tieline -- tieline update install tieline-0.2.0-arm64.update',
    'runuser -u tieline -- tieline update rollback',
  ]).addHelpText('after', UPDATE_HELP)
  const sub = (name: string, description: string, examples: readonly string[]): Command => {
    const command = program(name, terminal, 'tieline update ')
      .description(description)
      .addHelpText('after', `\nExamples:\n${examples.map(example => `  ${example}\n`).join('')}`)
      .option('--config <file>', 'the configuration of the agent that runs', configFile)
      .option('--json', 'one JSON object')
    update.addCommand(command)
    return command
  }
  const stopping = (command: Command): Command =>
    command
      .option('--now', 'restart the agent even where that interrupts a deal or a charging session, and say which')
      .option('--later', 'leave the restart to somebody else')
      .option('--wait <minutes>', 'wait so long for a pause in deals and sessions', '15')

  sub('status', 'Show which release runs, which are kept, and what became of the last one that was tried.', [
    'tieline update status',
    'tieline update status --json | jq .good',
  ]).action(async (options: UpdateOptions) => {
    const { showReleases } = await import('./update.ts')
    leave(await showReleases(options, terminal))
  })

  sub('verify', 'Hold every byte of an update against its signature, and say whether it may be installed here.', [
    'tieline update verify tieline-0.2.0-arm64.update',
  ])
    .argument('<file>', 'an update')
    .action(async (file: string, options: UpdateOptions) => {
      const { verifyFile } = await import('./update.ts')
      leave(await verifyFile(file, options, terminal))
    })

  stopping(
    sub(
      'install',
      'Install an update and restart the agent with it once nothing is running that this would interrupt.',
      [
        'tieline update install tieline-0.2.0-arm64.update',
        'tieline update install tieline-0.2.0-arm64.update --later',
        'tieline update install tieline-0.2.0-arm64.update --now --json',
      ],
    ),
  )
    .argument('<file>', 'an update')
    .action(async (file: string, options: InstallOptions) => {
      const { installFile } = await import('./update.ts')
      leave(await installFile(file, options, terminal))
    })

  stopping(
    sub('rollback', 'Give up the release that is tried, or leave the newest for the one before it.', [
      'tieline update rollback',
      'tieline update rollback --now',
    ]),
  ).action(async (options: InstallOptions) => {
    const { rollBack } = await import('./update.ts')
    leave(await rollBack(options, terminal))
  })
}

const UPDATE_HELP = `
A release is taken that is signed by the keys of /etc/tieline-update-keys, made for this processor, and newer than all that were
found good here. It is tried: if it does not read every meter that was read before within some minutes, or does not live, the one
before it starts again by itself. Relays open at each restart. The exit code is 1 where an update is refused, and 75 where
something still runs that a restart would interrupt.
`
