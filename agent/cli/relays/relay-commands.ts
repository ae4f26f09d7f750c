/** The commands about a running agent's relays: what they understand, and which function carries each out. */
import { type Command, program } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'
import type { RelayOptions } from './relay.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

export function addRelays(add: Add, terminal: Terminal, configFile: string, leave: (exit: ExitCode) => void): void {
  const relay = add('relay', "Where a running agent's contacts are, why, and what a person may do with them.", [
    'tieline relay status',
    'tieline relay why L1.line',
    'tieline relay open L1',
    'tieline relay manual on',
  ]).addHelpText('after', RELAY_HELP)
  const sub = (name: string, description: string, examples: readonly string[]): Command => {
    const command = program(name, terminal, 'tieline relay ')
      .description(description)
      .addHelpText('after', `\nExamples:\n${examples.map(example => `  ${example}\n`).join('')}`)
      .option('--config <file>', 'the configuration of the agent that runs', configFile)
      .option('--json', 'one JSON object')
    relay.addCommand(command)
    return command
  }

  sub('status', 'Show each contact as it is commanded and as it is seen, and what is wrong with it.', [
    'tieline relay status',
    "tieline relay status --json | jq '.lines[].contacts[]'",
  ]).action(async (options: RelayOptions) => {
    const { showRelays } = await import('./relay.ts')
    leave(await showRelays(options, terminal))
  })

  sub('why', 'Say whether a contact may be closed now, and every condition that it lacks.', [
    'tieline relay why',
    'tieline relay why L1',
    'tieline relay why L1.line --json | jq .contacts[0].because',
  ])
    .argument('[name]', 'a line or a contact; all of them when left out')
    .action(async (name: string | undefined, options: RelayOptions) => {
      const { explainRelays } = await import('./relay.ts')
      leave(await explainRelays(name, options, terminal))
    })

  sub('open', 'Open every contact of a line now, and end what kept it closed.', [
    'tieline relay open L1 --dry-run',
    'tieline relay open L1',
  ])
    .argument('<line>', 'a direct line of this site')
    .option('--dry-run', 'say what would open; nothing is commanded')
    .action(async (line: string, options: RelayOptions & { dryRun?: true }) => {
      const { openLine } = await import('./relay.ts')
      leave(await openLine(line, options, terminal))
    })

  sub('manual', 'Take the contacts over, so that all open and stay open, or give them back.', [
    'tieline relay manual on',
    'tieline relay manual off',
  ])
    .argument('<on|off>', 'on opens everything')
    .action(async (to: string, options: RelayOptions) => {
      if (to !== 'on' && to !== 'off') return leave(misused('relay manual', `${to} is neither on nor off`, terminal))
      const { setManual } = await import('./relay.ts')
      leave(await setManual(to === 'on', options, terminal))
    })

  sub('clear-weld', 'Say that a person has been at a welded contact and that it opens again.', [
    'tieline relay clear-weld L1.line',
  ])
    .argument('<contact>', 'as relay status names it')
    .action(async (contact: string, options: RelayOptions) => {
      const { clearWeld } = await import('./relay.ts')
      leave(await clearWeld(contact, options, terminal))
    })
}

const RELAY_HELP = `
No command closes a contact: only a deal whose payment is proven does. The agent is asked on this machine, at the page's
address in the configuration. The exit code is 1 where the answer is no, and 69 where no agent answers.
`
