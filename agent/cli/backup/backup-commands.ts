/** `tieline backup` and `restore`: what they understand, and which function carries each out. */
import type { Command } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import type { BackupCommand } from './backup.ts'
import type { RestoreCommand } from './restore.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

export function addBackup(add: Add, terminal: Terminal, configFile: string, leave: (exit: ExitCode) => void): void {
  add('backup', 'Put the configuration, the sealed keys, the journal and the state of a site into one file.', [
    'tieline backup',
    'tieline backup --out /media/usb/maple.tar.gz',
  ])
    .option('--config <file>', 'the configuration', configFile)
    .option('--out <file>', 'the file to write; SITE-DATE.tieline-backup.tar.gz here when left out')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      `
The agent may run meanwhile. The file is for its owner only; plain keys, passphrases and PINs are never in it, so keep the
passphrase of the sealed keys elsewhere. Keys of a token or a TPM cannot be copied.
`,
    )
    .action(async (options: BackupCommand) => {
      const { backup } = await import('./backup.ts')
      leave(await backup(options, terminal))
    })

  add('restore', 'Put a backup back in place; the agent has to be stopped.', [
    'tieline restore maple.tar.gz --dry-run',
    'tieline restore maple.tar.gz',
    'tieline restore maple.tar.gz --into /srv/maple',
  ])
    .argument('<file>', 'as tieline backup wrote it')
    .option('--config <file>', 'where the configuration is to stand', configFile)
    .option('--into <folder>', 'everything below one folder, as config.yaml, data and keys')
    .option('--replace', 'move aside what stands there; nothing is removed')
    .option('--trust-clock', 'a person has seen that the clock of this machine is right')
    .option('--dry-run', 'say what would be put where; nothing is changed')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      `
What was signed after the backup is never signed again as something else: the agent counts its boots on from the clock, and
begins a new journal beside the one of the backup. Its contacts stay open until tieline relay manual off. Never run the
machine that the backup was made on beside the one it is restored to: both have the same keys.
`,
    )
    .action(async (file: string, options: RestoreCommand) => {
      const { restoreSite } = await import('./restore.ts')
      leave(await restoreSite(file, options, terminal))
    })
}
