/** The `tieline` command: what it understands, and which function carries each part out. */
import { check } from './check.ts'
import { type Command, carryOut, program } from './commander.ts'
import { addEvidence } from './evidence/evidence-commands.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { addKeys } from './keys/key-commands.ts'
import { addMetering } from './meters/metering-commands.ts'
import { defaultConfigFile } from './site-file.ts'
import type { Terminal } from './terminal.ts'

const EXIT_HELP = `
Exit codes: 0 done, 1 the answer is no, 2 usage, 69 unavailable, 74 input or output failed,
75 try again later, 77 no permission, 78 configuration.
`

/**
 * From the call of `interruption` on the program ends in order when somebody wants it to, which resolves it; a command that has
 * nothing to put in order does not call it, and ends at once.
 */
export async function tieline(
  args: readonly string[],
  terminal: Terminal,
  interruption: () => Promise<void>,
): Promise<ExitCode> {
  let exit: ExitCode = EXIT.ok
  const root = program('tieline', terminal)
    .description('The agent on a meter gateway: trades energy with neighbours, and closes no relay without proof.')
    .addHelpText('after', EXIT_HELP)
  const add = (name: string, description: string, examples: readonly string[]): Command => {
    const command = program(name, terminal, 'tieline ')
      .description(description)
      .addHelpText('after', `\nExamples:\n${examples.map(example => `  ${example}\n`).join('')}`)
    root.addCommand(command)
    return command
  }

  const configFile = defaultConfigFile(terminal.env)
  add('run', 'Run the agent of one site, with its page, until it is told to stop.', [
    'tieline run',
    'tieline run --config site.yaml',
  ])
    .option('--config <file>', 'the configuration', configFile)
    .option('--json', 'one JSON object on stdout once the site is up')
    .action(async (options: { config: string; json?: true }) => {
      const interrupted = interruption()
      // Only now: the other commands start without the drivers.
      const { run } = await import('./run.ts')
      exit = await run(options.config, options.json === true, terminal, interrupted)
    })

  add('check', 'Read a configuration and name every mistake in it; nothing is started or changed.', [
    'tieline check /etc/tieline/config.yaml',
    'tieline check site.yaml --json | jq .mistakes',
  ])
    .argument('[file]', 'the configuration', configFile)
    .option('--json', 'one JSON object on stdout')
    .action(async (file: string, options: { json?: true }) => {
      exit = await check(file, options.json === true, terminal)
    })

  const leave = (code: ExitCode) => {
    exit = code
  }
  addKeys(add, terminal, configFile, leave)
  addMetering(add, terminal, interruption, leave)
  addEvidence(add, terminal, leave)

  if (args.length === 0) {
    terminal.err(root.helpInformation())
    return EXIT.usage
  }
  return (await carryOut(root, args)) ?? exit
}
