/** The commands that ask the running agent how it stands: what they understand, and which function carries each out. */
import type { AskOptions } from '../ask-agent.ts'
import type { Command } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import type { DealsOptions } from './deals.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

export function addAgent(add: Add, terminal: Terminal, configFile: string, leave: (exit: ExitCode) => void): void {
  const asking = (name: string, description: string, examples: readonly string[]): Command =>
    add(name, description, examples)
      .option('--config <file>', 'the configuration of the agent that runs', configFile)
      .option('--json', 'one JSON object')

  asking('status', 'Show on one screen how this site stands: meters, contacts, ledger, money, deals, disk.', [
    'tieline status',
    'tieline status --json | jq .health',
    'tieline status > /dev/null || echo needs an eye',
  ])
    .addHelpText('after', '\nThe exit code is 1 where something needs a person, and 69 where no agent answers.\n')
    .action(async (options: AskOptions) => {
      const { showStatus } = await import('./status.ts')
      leave(await showStatus(options, terminal))
    })

  asking('deals', "Show this site's deals: their states, their proofs, what was metered and paid.", [
    'tieline deals',
    'tieline deals 3fa9',
    'tieline deals 3fa9 --records deal.json && tieline verify deal.json --trust 1200:9ab1...',
    'tieline deals --since 2026-10-01 --limit 200',
    'tieline deals --json | jq \'.deals[] | select(.state == "started")\'',
  ])
    .argument('[id]', 'a deal, by the first digits of its id; all of them when left out')
    .option('--records <file>', 'write what the deal rests on into a new file, for `tieline verify`; it needs an id')
    .option(
      '--since <moment>',
      'whose windows began then or later: 2026-10-01, 2026-10-01T10:00 (UTC), or 7d for so long ago',
    )
    .option('--limit <count>', 'so many at most, the newest first; 50 when left out, 200 at most')
    .addHelpText('after', '\nAll that the journal keeps, however many: tieline export --what deals\n')
    .action(async (id: string | undefined, options: DealsOptions) => {
      const { showDeals } = await import('./deals.ts')
      leave(await showDeals(id, options, terminal))
    })

  asking('wallet', "Show this site's money on its ledger, as it was last proven.", [
    'tieline wallet',
    'tieline wallet --json | jq -r .balanceMicro',
  ]).action(async (options: AskOptions) => {
    const { showWallet } = await import('./wallet.ts')
    leave(await showWallet(options, terminal))
  })

  asking('light', 'Show what the light client believes of the ledger, and on whose word.', [
    'tieline light',
    "tieline light --json | jq '.sources[]'",
  ])
    .addHelpText('after', '\nThe exit code is 1 where the ledger is not believed now.\n')
    .action(async (options: AskOptions) => {
      const { showLight } = await import('./light.ts')
      leave(await showLight(options, terminal))
    })
}
