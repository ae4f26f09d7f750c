/** The flags of `npm start`, and what is wrong with them in one line. */

import { type Command, program } from '../../agent/cli/commander.ts'
import { EXIT, type ExitCode } from '../../agent/cli/exit-codes.ts'
import type { Terminal } from '../../agent/cli/terminal.ts'
import { collect, faultName, readFlags, UsageError, whole } from './flags.ts'
import { FAULT_NAMES, type FaultName } from './result.ts'

export interface BenchOptions {
  readonly once: boolean
  readonly json: boolean
  /** Virtual seconds in a real one. */
  readonly speed: number
  /** Virtual seconds that --once runs before it winds down. */
  readonly seconds: number
  readonly seed: number
  readonly port: number
  /** In-process brokers, where none are named. */
  readonly brokers: number
  readonly brokerUrls: readonly string[]
  readonly profiles: string | undefined
  readonly faults: readonly FaultName[]
  readonly verbose: boolean
}

/** Five: a lease of one virtual second is 200 ms then, which a busy 2-core machine keeps; at ten it now and then does not. */
const DEFAULT_SPEED = 5
const MAX_SPEED = 20
/** Four minutes: each line closes two deals or more. */
const DEFAULT_SECONDS = 240
const MAX_SECONDS = 86_400

function brokerUrl(text: string): string {
  if (/^mqtts?:\/\/[^/\s]+$/.test(text)) return text
  throw new UsageError(`--broker must be an address such as mqtt://127.0.0.1:1883, not "${text}"`)
}

const EXAMPLES = `
Examples:
  npm start                                      the street, until Ctrl-C; page at http://127.0.0.1:8480
  npm start -- --once --json                     four virtual minutes, one JSON object, exit 0 if all held
  npm start -- --once --fault relay-welded       the same with a welded contact
  npm start -- --broker mqtt://127.0.0.1:1883    on a Mosquitto of yours

Other commands, each with a --help of its own:
  tieline-bench meter    a simulated meter on a serial device or on TCP
  tieline-bench record   a live line into a capture file
  tieline-bench play     a capture on a serial device or on TCP
  tieline-bench scenario a district in virtual time: feeder, microgrid, storage, ... ; lists them
  tieline-bench compare  the paper's Table 1, measured
  tieline-bench rows     the paper row by row, and the command that shows each
  tieline-bench attacks  everything that a cheat may try, tried
  tieline-bench privacy  how well orders hide, and what each observer of a trade learns

Faults: ${FAULT_NAMES.join(', ')}
`

/** The options, or the code to exit with: everything that had to be said has been said. */
export async function readOptions(
  args: readonly string[],
  terminal: Terminal,
): Promise<{ readonly options: BenchOptions } | { readonly exit: ExitCode }> {
  let options: BenchOptions | undefined
  const command: Command = program('tieline-bench', terminal)
    .description('A street of five that trades: simulated meters, relays and wires; everything else is the real thing.')
    .option('--once', 'run a fixed stretch of virtual time and exit')
    .option('--json', 'with --once: one JSON object on stdout')
    .option('--speed <n>', 'virtual time runs n times faster', whole('--speed', 1, MAX_SPEED), DEFAULT_SPEED)
    .option('--seconds <n>', 'virtual seconds of --once', whole('--seconds', 60, MAX_SECONDS), DEFAULT_SECONDS)
    .option('--seed <n>', 'of keys, loads and weather', whole('--seed', 0, 999_999_999), 1)
    .option('--port <n>', 'of the page', whole('--port', 1, 65_535), 8480)
    .option('--brokers <n>', 'in-process MQTT brokers', whole('--brokers', 1, 4), 1)
    .option('--broker <url>', 'an MQTT broker of yours instead; repeat for several', collect(brokerUrl), [])
    .option('--profiles <dir>', 'loads and generation from CSV files, one a site: maple.csv, birch.csv, ...')
    .option('--fault <name>', 'strike a fault while energy flows; repeat for several', collect(faultName), [])
    .option('--verbose', "the agents' logs on stderr")
    .addHelpText('after', EXAMPLES)
    .action(raw => {
      if (raw.json === true && raw.once !== true) throw new UsageError('--json goes with --once')
      options = {
        once: raw.once === true,
        json: raw.json === true,
        speed: raw.speed,
        seconds: raw.seconds,
        seed: raw.seed,
        port: raw.port,
        brokers: raw.brokers,
        brokerUrls: raw.broker,
        profiles: raw.profiles,
        faults: raw.fault,
        verbose: raw.verbose === true,
      }
    })
  const exit = await readFlags(command, args, terminal)
  return options === undefined ? { exit: exit ?? EXIT.ok } : { options }
}
