/** `tieline-bench scenario`: the districts in virtual time, each judged by its wires, its ledgers and its journals. */
import { program } from '../../agent/cli/commander.ts'
import { EXIT, type ExitCode } from '../../agent/cli/exit-codes.ts'
import type { Terminal } from '../../agent/cli/terminal.ts'
import { unknownName } from '../../agent/cli/usage.ts'
import { createLog } from '../../agent/log.ts'
import { readFlags, whole } from '../bench/flags.ts'
import type { BenchSurroundings } from '../bench/surroundings.ts'
import { drawScenario } from './draw.ts'
import type { Scenario } from './scenario.ts'
import { SCENARIOS } from './scenarios.ts'

interface Options {
  readonly seed: number
  readonly realSigner?: true
  readonly json?: true
  readonly verbose?: true
}

const EXAMPLES = `
Exit code 0 if everything held, 1 if not. The same seed gives the same result.

Examples:
  tieline-bench scenario                     what there is
  tieline-bench scenario feeder              model B with a distributor, an hour of it
  tieline-bench scenario storage --json      one JSON object
`

export async function benchScenario(args: readonly string[], { terminal }: BenchSurroundings): Promise<ExitCode> {
  let given: { name: string | undefined; options: Options } | undefined
  const command = program('tieline-bench scenario', terminal)
    .description('A district of full agents in virtual time: simulated meters, wires, brokers and disks, real ledgers.')
    .argument('[name]', 'which; left out, they are listed')
    .option('--seed <n>', 'of keys, loads, weather and delays', whole('--seed', 0, 999_999_999), 1)
    .option('--real-signer', 'sign with Ed25519 in place of the stub')
    .option('--json', 'one JSON object on stdout')
    .option('--verbose', 'the logs of all agents on stderr')
    .addHelpText('after', EXAMPLES)
    .action((name: string | undefined, options: Options) => {
      given = { name, options }
    })
  const exit = await readFlags(command, args, terminal)
  if (given === undefined) return exit ?? EXIT.ok
  const { name, options } = given
  if (name === undefined) {
    for (const { name, what } of SCENARIOS) terminal.out(`${name.padEnd(14)} ${what}\n`)
    return EXIT.ok
  }
  const scenario = SCENARIOS.find(one => one.name === name)
  if (scenario === undefined) {
    const known = SCENARIOS.map(one => one.name)
    terminal.err(`tieline-bench scenario: ${unknownName('scenario', name, known)}\n`)
    return EXIT.usage
  }
  const result = await runScenario(scenario, options, terminal)
  terminal.out(options.json === true ? `${JSON.stringify(result)}\n` : drawScenario(result))
  return result.ok ? EXIT.ok : EXIT.no
}

const runScenario = (scenario: Scenario, { seed, realSigner, verbose }: Options, terminal: Terminal) =>
  scenario.run({
    seed,
    realSigner: realSigner === true,
    onProgress: text => terminal.err(`${text}\n`),
    ...(verbose === true
      ? {
          logOf: site => {
            const write = (line: string) => terminal.err(`${site.padEnd(8)} ${line}`)
            return createLog({ write, least: 'debug', journal: false, colour: terminal.colour })
          },
        }
      : {}),
  })
