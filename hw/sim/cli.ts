/** `npm run sim`: one run of the simulated street, its hash and its result. */
import { EXIT, type ExitCode } from '../../agent/cli/exit-codes.ts'
import type { Terminal } from '../../agent/cli/terminal.ts'
import { createLog } from '../../agent/log.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import type { FaultName, FaultOutcome, StreetResult } from '../bench/result.ts'
import { runFault } from './fault-run.ts'
import { readSimOptions } from './options.ts'
import { runSeed } from './run-seed.ts'

/** Progress is told this often, in virtual minutes. */
const TELL_MINUTES = 60

export async function tielineSim(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const read = await readSimOptions(args, terminal)
  if ('exit' in read) return read.exit
  const { json, verbose, faults, named, realSigner, ...settings } = read.options
  const wall = createSystemTime().clock
  const run = await runSeed({
    ...settings,
    ...(faults ? { faults: 'random' } : {}),
    ...(realSigner === undefined ? {} : { realSigner }),
    wallMs: wall.mono,
    onMinute: minutes => {
      if (minutes % TELL_MINUTES === 0) terminal.err(`${minutes / TELL_MINUTES} virtual hours\n`)
    },
    ...(verbose ? talk(terminal) : {}),
  })
  for (const fault of run.faults) terminal.err(`fault ${JSON.stringify(fault)}\n`)
  const { hash } = run
  const result = await withNamed(run.result, named, settings.seed, terminal)
  const rate = result.wall_s > 0 ? Math.round(run.events / result.wall_s) : 0
  terminal.err(`${run.events} events in ${result.wall_s} s, ${rate} a second\n`)
  if (json) terminal.out(`${JSON.stringify({ ...result, transcript: hash })}\n`)
  else terminal.out(`transcript ${hash}\n${JSON.stringify(result)}\n`)
  return result.ok ? EXIT.ok : EXIT.no
}

/** Each named fault on a street of its own, so that none hides behind another. */
async function withNamed(
  plain: StreetResult,
  names: readonly FaultName[],
  seed: number,
  terminal: Terminal,
): Promise<StreetResult> {
  const faults: FaultOutcome[] = []
  for (const name of names) {
    terminal.err(`${name}: struck\n`)
    faults.push(await runFault({ name, seed, defenceOff: false }))
  }
  const problems = faults.filter(one => !one.as_expected).map(({ name, outcome }) => `${name}: ${outcome}`)
  return { ...plain, ok: plain.ok && problems.length === 0, faults, problems: [...plain.problems, ...problems] }
}

const talk = (terminal: Terminal) => ({
  listen: (line: string) => terminal.err(`${line}\n`),
  logOf: (site: string, mono: () => number) =>
    createLog({
      write: line => terminal.err(`${mono()} ${site} ${line}`),
      least: 'debug',
      journal: false,
      colour: terminal.colour,
    }),
})
