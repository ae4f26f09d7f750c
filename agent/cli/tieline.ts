/** The `tieline` command: what it understands, and which function carries each part out. */
import { addAccess } from './access/access-commands.ts'
import { addAgent } from './agent/agent-commands.ts'
import { addBackup } from './backup/backup-commands.ts'
import { type CheckOptions, checkAs } from './check.ts'
import { type Command, carryOut, program } from './commander.ts'
import { addDoctor } from './doctor/doctor-commands.ts'
import { addEvidence } from './evidence/evidence-commands.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { addExport } from './export/export-commands.ts'
import { addInit } from './init/init-commands.ts'
import { addKeys } from './keys/key-commands.ts'
import { addMetering } from './meters/metering-commands.ts'
import { addPeers } from './peers/peer-commands.ts'
import { addRelays } from './relays/relay-commands.ts'
import { defaultConfigFile } from './site-file.ts'
import type { Terminal } from './terminal.ts'
import { addUpdates } from './update/update-commands.ts'
import { sayVersion } from './version.ts'

const EXIT_HELP = `
Exit codes: 0 done, 1 the answer is no, 2 usage, 69 unavailable, 74 input or output failed,
75 try again later, 77 no permission, 78 configuration.
`

/** Of the commands in `tieline --help`; a command that is in none stands there under Commands. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'A site:': ['run', 'init', 'check', 'peer', 'status', 'relay'],
  'Meters:': ['pages', 'detect', 'read', 'decode'],
  'Evidence:': ['verify', 'journal', 'export'],
  'Money and deals:': ['deals', 'wallet', 'light'],
  'Keys and access:': ['key', 'password', 'token'],
  'Care:': ['doctor', 'backup', 'restore', 'update'],
}
const groupOf = (name: string): string =>
  Object.keys(GROUPS).find(group => GROUPS[group]!.includes(name)) ?? 'Commands:'

/**
 * From the call of `interruption` on the program ends in order when somebody wants it to, which resolves it; a command that has
 * nothing to put in order does not call it, and ends at once.
 */
export async function tieline(
  args: readonly string[],
  terminal: Terminal,
  interruption: () => Promise<void>,
): Promise<ExitCode> {
  const version = sayVersion('tieline', args, terminal)
  if (version !== undefined) return version
  let exit: ExitCode = EXIT.ok
  const root = program('tieline', terminal)
    .description('The agent on a meter gateway: trades energy with neighbours, and closes no relay without proof.')
    .option('--version', 'say which version this is; with --json also what exactly runs')
    .addHelpText('after', EXIT_HELP)
  const add = (name: string, description: string, examples: readonly string[]): Command => {
    const command = program(name, terminal, 'tieline ')
      .description(description)
      .helpGroup(groupOf(name))
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
    'tieline check --explain',
    'tieline check --schema > tieline.schema.json',
    'tieline check --migrate site.yaml',
  ])
    .argument('[file]', 'the configuration', configFile)
    .option('--json', 'one JSON object on stdout')
    .option('--explain', 'every setting in force, where it comes from, and what it is')
    .option('--schema', 'print the JSON Schema of the configuration')
    .option('--migrate', 'write a file of an older version in the present form, and keep the old one beside it')
    .action(async (file: string, options: CheckOptions) => {
      exit = await checkAs(file, options, terminal)
    })

  const leave = (code: ExitCode) => {
    exit = code
  }
  addInit(add, terminal, configFile, leave)
  addKeys(add, terminal, configFile, leave)
  addPeers(add, terminal, configFile, leave)
  addMetering(add, terminal, interruption, leave)
  addEvidence(add, terminal, leave)
  addRelays(add, terminal, configFile, leave)
  addAccess(add, terminal, leave)
  addUpdates(add, terminal, configFile, leave)
  addAgent(add, terminal, configFile, leave)
  addBackup(add, terminal, configFile, leave)
  addDoctor(add, terminal, configFile, leave)
  addExport(add, terminal, configFile, leave)

  if (args.length === 0) {
    terminal.err(root.helpInformation())
    return EXIT.usage
  }
  return (await carryOut(root, args)) ?? exit
}
