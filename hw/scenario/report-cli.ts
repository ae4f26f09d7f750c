/** `tieline-bench attacks`, and whatever else is a report without settings. */
import { program } from '../../agent/cli/commander.ts'
import { EXIT, type ExitCode } from '../../agent/cli/exit-codes.ts'
import { readFlags } from '../bench/flags.ts'
import type { BenchSurroundings } from '../bench/surroundings.ts'
import { drawScenario } from './draw.ts'
import type { ScenarioResult } from './scenario.ts'

interface Report {
  readonly name: string
  readonly what: string
  run(onProgress: (text: string) => void): Promise<ScenarioResult>
  /** Where a list of fields is not what a person wants to see. */
  draw?(result: ScenarioResult): string
}

/** A command that runs one report and prints it. */
export const reportCommand =
  ({ name, what, run, draw = drawScenario }: Report) =>
  async (args: readonly string[], { terminal }: BenchSurroundings): Promise<ExitCode> => {
    let given: { readonly json?: true } | undefined
    const command = program(`tieline-bench ${name}`, terminal)
      .description(what)
      .option('--json', 'one JSON object on stdout')
      .addHelpText('after', `\nExit code 0 if everything held, 1 if not.\n\nExample:\n  tieline-bench ${name} --json\n`)
      .action((options: { readonly json?: true }) => {
        given = options
      })
    const exit = await readFlags(command, args, terminal)
    if (given === undefined) return exit ?? EXIT.ok
    const result = await run(text => terminal.err(`${text}\n`))
    terminal.out(given.json === true ? `${JSON.stringify(result)}\n` : draw(result))
    return result.ok ? EXIT.ok : EXIT.no
  }
