/** The commands of a dispute, which need no site: what they understand, and which function carries each out. */
import { createSystemTime } from '../../../drivers/clock.ts'
import { type Command, program } from '../commander.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import type { ExportOptions } from './journal-export.ts'
import type { RepairOptions } from './journal-repair.ts'
import type { VerifyOptions } from './verify.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

const several = (value: string, before: readonly string[]): readonly string[] => [...before, value]

export function addEvidence(add: Add, terminal: Terminal, leave: (exit: ExitCode) => void): void {
  add('verify', 'Say what signed evidence proves: who signed, when, what is missing, and every rule that it breaks.', [
    'tieline verify readings.jsonl --key 6f1a...',
    'tieline verify /var/lib/tieline/journal --key 6f1a...',
    'tieline verify /var/lib/tieline/journal --key METERING --key ACCOUNT --head head-from-neighbour.cbor',
    'tieline verify session.xml',
    'tieline verify receipt.ocmf --key 3059301306...',
    'tieline verify deal-3fa9c1.json --trust 1200:9ab1... --key SELLER --key BUYER',
    'tieline verify snapshot.bin --key 3059301306... --json | jq .ok',
  ])
    .argument(
      '<file>',
      'signed readings, a journal folder, the records of a deal, OCMF or ALFEN as text or XML, a BSM snapshot; - for standard input',
    )
    .option(
      '--key <key>',
      'a public key that may have signed (hex, base64 or PEM); may be given several times',
      several,
      [],
    )
    .option('--head <file>', 'heads of the journal that neighbours or the ledger hold: shows what was cut off its end')
    .option(
      '--trust <block>',
      'for the records of a deal: HEIGHT:HASH of a block that is known to be of its chain; over the grid one of each chain',
      several,
      [],
    )
    .option('--json', 'one JSON object')
    .addHelpText('after', VERIFY_JSON)
    .action(async (file: string, options: VerifyOptions) => {
      const { verify } = await import('./verify.ts')
      leave(await verify(file, options, terminal))
    })
  addJournal(add, terminal, leave)
}

function addJournal(add: Add, terminal: Terminal, leave: (exit: ExitCode) => void): void {
  const journal = add(
    'journal',
    'What a journal folder holds: give it out, check it, or save what is left of a damaged one.',
    [
      'tieline journal export /var/lib/tieline/journal --since 7d > readings.jsonl',
      'tieline journal check /var/lib/tieline/journal',
      'tieline journal repair /var/lib/tieline/journal --dry-run',
    ],
  )
  const part = (name: string, description: string, examples: readonly string[]): Command => {
    const command = program(name, terminal, 'tieline journal ')
      .description(description)
      .argument('<folder>', 'the folder of the journal, or a copy of it; it is only read')
      .addHelpText('after', `\nExamples:\n${examples.map(example => `  ${example}\n`).join('')}`)
    journal.addCommand(command)
    return command
  }
  part('export', 'Give out what was signed, each reading behind its context, so that others can verify it.', [
    'tieline journal export /var/lib/tieline/journal --since 7d > readings.jsonl',
    'tieline journal export journal --since 2026-11-01 --until 2026-12-01 --meter 19041234',
    'tieline journal export journal --format senml',
    'tieline journal export journal --format ocmf > sessions.xml',
  ])
    .option('--since <moment>', 'from then on: 2026-11-01, 2026-11-01T10:00 (UTC), or 7d for so long ago')
    .option('--until <moment>', 'before then')
    .option('--meter <serial>', 'of this meter only')
    .option('--format <form>', 'jsonl, senml, or ocmf: the records that were given out as such, in XML', 'jsonl')
    .action(async (folder: string, options: ExportOptions) => {
      const { exportJournal } = await import('./journal-export.ts')
      leave(await exportJournal(folder, options, createSystemTime().clock.now(), terminal))
    })
  part(
    'check',
    'Say whether every frame is as it was written, and name every place that is not; signatures are for verify.',
    ['tieline journal check /var/lib/tieline/journal', 'tieline journal check journal --json | jq .broken'],
  )
    .option('--json', 'one JSON object')
    .action(async (folder: string, options: { json?: true }) => {
      const { checkJournal } = await import('./journal.ts')
      leave(await checkJournal(folder, options.json === true, terminal))
    })
  part('repair', 'Save what stands before the first broken place into a new folder. The damaged one stays as it is.', [
    'tieline journal repair /var/lib/tieline/journal --dry-run',
    'tieline journal repair /var/lib/tieline/journal --into /var/lib/tieline/journal-saved',
  ])
    .option('--dry-run', 'say what could be saved; nothing is written')
    .option('--into <folder>', 'a new folder for what can be saved')
    .option('--json', 'one JSON object')
    .action(async (folder: string, options: RepairOptions) => {
      const { repairJournal } = await import('./journal-repair.ts')
      leave(await repairJournal(folder, options, terminal))
    })
}

const VERIFY_JSON = `
The exit code is 0 where every rule holds, else 1. With --json: {"ok":BOOLEAN,"file":NAME,"what":KIND,"signers":[...],...,
"notes":[...],"broken":[{"where":PLACE,"code":WHY,...}],"unlisted":N}; what cannot be judged at all is
{"ok":false,"file":NAME,"fault":{"code":WHY,...}}.
`
