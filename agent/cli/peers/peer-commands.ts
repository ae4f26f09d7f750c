/** `peer`: what it understands; peer.ts carries it out. */
import type { Command } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import type { PeerOptions } from './peer.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

export function addPeers(add: Add, terminal: Terminal, configFile: string, leave: (exit: ExitCode) => void): void {
  add('peer', "Write a neighbour's public keys into the configuration, which keeps its comments.", [
    'tieline peer elm --account 6f1a... --sealing 23d3... --metering 90c4...',
    'tieline key show --peer      prints this line, at the neighbour',
  ])
    .argument('<name>', "the neighbour's site")
    .requiredOption('--account <key>', 'its key for payments')
    .requiredOption('--sealing <key>', 'its key by which messages to it are sealed')
    .requiredOption('--metering <key>', 'the key of its readings')
    .option('--replace', 'take them also where the neighbour stands there with other keys')
    .option('--config <file>', 'the configuration', configFile)
    .option('--json', 'one JSON object')
    .action(async (name: string, options: PeerOptions) => {
      const { writePeer } = await import('./peer.ts')
      leave(await writePeer(name, options, terminal))
    })
}
