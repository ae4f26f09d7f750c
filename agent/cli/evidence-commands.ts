/** The commands of a dispute, which need no site: what they understand, and which function carries each out. */
import type { Command } from './commander.ts'
import type { ExitCode } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'
import type { VerifyOptions } from './verify.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

const several = (value: string, before: readonly string[]): readonly string[] => [...before, value]

export function addEvidence(add: Add, terminal: Terminal, leave: (exit: ExitCode) => void): void {
  add('verify', 'Say what signed evidence proves: who signed, when, what is missing, and every rule that it breaks.', [
    'tieline verify readings.jsonl --key 6f1a...',
    'tieline verify /var/lib/tieline/journal --key 6f1a...',
    'tieline verify session.xml',
    'tieline verify receipt.ocmf --key 3059301306...',
    'tieline verify snapshot.bin --key 3059301306... --json | jq .ok',
  ])
    .argument(
      '<file>',
      'signed readings, a journal folder, OCMF or ALFEN as text or XML, a BSM snapshot; - for standard input',
    )
    .option(
      '--key <key>',
      'a public key that may have signed (hex, base64 or PEM); may be given several times',
      several,
      [],
    )
    .option('--json', 'one JSON object')
    .addHelpText('after', VERIFY_JSON)
    .action(async (file: string, options: VerifyOptions) => {
      const { verify } = await import('./verify.ts')
      leave(await verify(file, options, terminal))
    })
}

const VERIFY_JSON = `
The exit code is 0 where every rule holds, else 1. With --json: {"ok":BOOLEAN,"file":NAME,"what":KIND,"signers":[...],...,
"notes":[...],"broken":[{"where":PLACE,"code":WHY,...}],"unlisted":N}; what cannot be judged at all is
{"ok":false,"file":NAME,"fault":{"code":WHY,...}}.
`
