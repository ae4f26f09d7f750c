/** `npm run sim`: one run of the simulated street, its hash and its result. */
import { EXIT, type ExitCode } from '../../agent/cli/exit-codes.ts'
import type { Terminal } from '../../agent/cli/terminal.ts'
import { createLog } from '../../agent/log.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { readSimOptions } from './options.ts'
import { runSeed } from './run-seed.ts'

/** Progress is told this often, in virtual minutes. */
const TELL_MINUTES = 60

export async function tielineSim(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const read = await readSimOptions(args, terminal)
  if ('exit' in read) return read.exit
  const { json, verbose, faults, realSigner, ...settings } = read.options
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
  const { result, hash } = run
  const rate = result.wall_s > 0 ? Math.round(run.events / result.wall_s) : 0
  terminal.err(`${run.events} events in ${result.wall_s} s, ${rate} a second\n`)
  if (json) terminal.out(`${JSON.stringify({ ...result, transcript: hash })}\n`)
  else terminal.out(`transcript ${hash}\n${JSON.stringify(result)}\n`)
  return result.ok ? EXIT.ok : EXIT.no
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
