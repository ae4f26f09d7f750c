/** The flags of `npm run sim`, and what is wrong with them in one line. */

import { type Command, program } from '../../agent/cli/commander.ts'
import { EXIT, type ExitCode } from '../../agent/cli/exit-codes.ts'
import type { Terminal } from '../../agent/cli/terminal.ts'
import { collect, faultName, readFlags, UsageError, whole } from '../bench/flags.ts'
import type { FaultName } from '../bench/result.ts'

export interface SimOptions {
  readonly seed: number
  readonly homes: number
  readonly virtualMs: number
  /** Random faults from the seed. */
  readonly faults: boolean
  /** Named faults, each struck and judged as on the bench. */
  readonly named: readonly FaultName[]
  readonly realSigner: boolean | undefined
  readonly json: boolean
  readonly verbose: boolean
}

const MOST_HOMES = 99
const MOST_DAYS = 30
const MOST_SECONDS = 86_400
const DAY_MS = 86_400_000

const EXAMPLES = `
Prints the transcript's hash, then the result as one JSON object. The same flags give the same hash.

Examples:
  npm run sim -- --seed 7 --homes 5 --days 1    a day of the street
  npm run sim -- --seed 7 --seconds 210 --faults
                                                one of the runs of the tests: random faults, then calm
  npm run sim -- --seed 7 --fault relay-welded --json
                                                a named fault, judged as on the bench
`

/** Beside a named fault an ordinary stretch is enough; a day of it takes --days. */
const FAULT_RUN_MS = 240_000

/** The options, or the code to exit with: everything that had to be said has been said. */
export async function readSimOptions(
  args: readonly string[],
  terminal: Terminal,
): Promise<{ readonly options: SimOptions } | { readonly exit: ExitCode }> {
  let options: SimOptions | undefined
  const command: Command = program('tieline-sim', terminal)
    .description('The street in virtual time, every port simulated: one seed, one transcript.')
    .option('--seed <n>', 'of keys, loads, weather, delays and faults', whole('--seed', 0, 999_999_999), 1)
    .option('--homes <n>', 'sites of the street: 5, or an odd number above', whole('--homes', 5, MOST_HOMES), 5)
    .option('--days <n>', 'virtual days to run (default 1, with --fault four minutes)', whole('--days', 1, MOST_DAYS))
    .option('--seconds <n>', 'virtual seconds to run instead', whole('--seconds', 60, MOST_SECONDS))
    .option('--faults', 'random faults from the seed, healed before the last two and a half minutes')
    .option(
      '--fault <name>',
      'a named fault, on a street of five of its own; repeat for several',
      collect(faultName),
      [],
    )
    .option('--real-signer', 'sign with Ed25519 in place of the stub, as one seed in a hundred does by itself')
    .option('--json', 'the JSON object alone, the hash in it as `transcript`')
    .option('--verbose', 'the transcript and the logs of all agents on stderr')
    .addHelpText('after', EXAMPLES)
    .action(raw => {
      if (raw.homes % 2 === 0) throw new UsageError(`--homes must be odd: homes come in pairs, not "${raw.homes}"`)
      if (raw.days !== undefined && raw.seconds !== undefined) throw new UsageError('--days or --seconds, not both')
      options = {
        seed: raw.seed,
        homes: raw.homes,
        virtualMs:
          raw.seconds !== undefined
            ? raw.seconds * 1000
            : raw.fault.length > 0
              ? FAULT_RUN_MS
              : (raw.days ?? 1) * DAY_MS,
        named: raw.fault,
        faults: raw.faults === true,
        realSigner: raw.realSigner === true ? true : undefined,
        json: raw.json === true,
        verbose: raw.verbose === true,
      }
    })
  const exit = await readFlags(command, args, terminal)
  return options === undefined ? { exit: exit ?? EXIT.ok } : { options }
}
