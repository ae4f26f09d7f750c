/** The commands that have to do with meters and need no site: what they understand, and which function carries each out. */
import type { Command } from './commander.ts'
import type { DecodeOptions } from './decode.ts'
import type { ExitCode } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

type Add = (name: string, description: string, examples: readonly string[]) => Command

export function addMetering(add: Add, terminal: Terminal, leave: (exit: ExitCode) => void): void {
  add('pages', 'List the meters that can be read, and how far the knowledge of each goes; or show one.', [
    'tieline pages',
    'tieline pages eastron-sdm630',
    'tieline pages --json | jq -r .name',
  ])
    .argument('[name]', 'a page or a kind of telegram')
    .option('--json', 'one JSON object a line')
    .action(async (name: string | undefined, options: { json?: true }) => {
      const { pages } = await import('./pages.ts')
      leave(pages(name, options.json === true, terminal))
    })

  keyOptions(
    add('decode', 'Say what a recording of telegrams (sml, dsmr, ...) or of a Modbus RTU line holds.', [
      'tieline decode sml meter.bin',
      'tieline decode dsmr telegram.txt --json | jq .values',
      'tieline decode dlms push.log --key-file meter.key --auth-key-file meter.gak',
      'stty -F /dev/ttyUSB0 9600 raw; head -c 2000 /dev/ttyUSB0 | tieline decode sml -',
    ])
      .argument('<kind>', 'a kind of telegram, or modbus')
      .argument('<file>', 'bytes, hex text, or a capture of tieline-bench; - for standard input')
      .option('--json', 'one JSON object a line: a frame, or a stretch that makes none'),
  ).action(async (kind: string, file: string, options: DecodeOptions) => {
    const { decode } = await import('./decode.ts')
    leave(await decode(kind, file, options, terminal))
  })
}

const keyOptions = (command: Command): Command =>
  command
    .option('--key <hex>', 'encryption key (GUEK), 32 hex digits; better in a file or in TIELINE_KEY')
    .option('--key-file <file>', 'a file that holds it')
    .option('--auth-key <hex>', 'authentication key (GAK); better in a file or in TIELINE_AUTH_KEY')
    .option('--auth-key-file <file>', 'a file that holds it')
