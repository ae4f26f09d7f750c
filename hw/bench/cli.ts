/** The `tieline-bench` command and `npm start`: the street until somebody ends it, or once; and single meters. */
import { EXIT, type ExitCode, exitOf } from '../../agent/cli/exit-codes.ts'
import type { Terminal } from '../../agent/cli/terminal.ts'
import { unknownName } from '../../agent/cli/usage.ts'
import { sayVersion } from '../../agent/cli/version.ts'
import { createLog } from '../../agent/log.ts'
import { createLogTail, logInto } from '../../agent/web/agent-view.ts'
import { createWeb } from '../../agent/web/server.ts'
import type { Snapshot } from '../../agent/web/snapshot.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import type { Cancel, Clock, Log, Timers } from '../../drivers/ports.ts'
import { type Fault, faultLine, ok } from '../../protocol/result.ts'
import { pageFiles } from '../image/page-files.ts'
import type { SiteProfile } from '../sim/profile.ts'
import { type Street, streetOf } from '../sim/street.ts'
import { openBench } from './bench.ts'
import { type BenchOptions, readOptions } from './options.ts'
import { readProfiles } from './profiles.ts'
import { createStreetView } from './street-view.ts'
import { drawLine, drawResult, drawTable } from './summary.ts'
import type { BenchSurroundings } from './surroundings.ts'

const LOG_LINES = 200
/** A person's eye follows once a second, whatever the speed of the street. */
const DRAW_MS = 1_000
/** Virtual milliseconds between two lines in a log. */
const LINE_MS = 10_000

/** Commands beside the street, each read when it is wanted. */
const COMMANDS: Readonly<
  Record<string, () => Promise<(args: readonly string[], around: BenchSurroundings) => Promise<ExitCode>>>
> = {
  meter: async () => (await import('./meter.ts')).benchMeter,
  charger: async () => (await import('./charger.ts')).benchCharger,
  relays: async () => (await import('./relays.ts')).benchRelays,
  record: async () => (await import('./captures.ts')).benchRecord,
  play: async () => (await import('./captures.ts')).benchPlay,
  scenario: async () => (await import('../scenario/cli.ts')).benchScenario,
  compare: async () => (await import('../scenario/compare-command.ts')).benchCompare,
  rows: async () => (await import('../scenario/rows-command.ts')).benchRows,
  privacy: async () => (await import('../scenario/privacy-command.ts')).benchPrivacy,
  attacks: async () => (await import('../scenario/attack-command.ts')).benchAttacks,
}

export async function tielineBench(args: readonly string[], around: BenchSurroundings): Promise<ExitCode> {
  const version = sayVersion('tieline-bench', args, around.terminal)
  if (version !== undefined) return version
  const [name = '', ...rest] = args
  if (Object.hasOwn(COMMANDS, name)) return (await COMMANDS[name]!())(rest, around)
  if (name !== '' && !name.startsWith('-')) {
    around.terminal.err(`tieline-bench: ${unknownName('command', name, Object.keys(COMMANDS))}\n`)
    return EXIT.usage
  }
  const read = await readOptions(args, around.terminal)
  if ('exit' in read) return read.exit
  const { options } = read
  const street = streetOf(5)
  const profiles =
    options.profiles === undefined
      ? ok(new Map())
      : await readProfiles(
          options.profiles,
          street.sites.map(({ name }) => name),
        )
  if (!profiles.ok) return refuse(profiles.fault, around.terminal)
  return options.once
    ? once(options, profiles.value, around.terminal)
    : untilEnded(options, profiles.value, street, around)
}

type Profiles = ReadonlyMap<string, SiteProfile>

async function once(options: BenchOptions, profiles: Profiles, terminal: Terminal): Promise<ExitCode> {
  // Only now: a street to look at needs no judge.
  const { runOnce } = await import('./once.ts')
  const logOf = (site: string) => (options.verbose ? printer(site, terminal) : () => {})
  const result = await runOnce({
    ...options,
    profiles,
    logOf,
    onBug: tellBug(terminal),
    onProgress: text => terminal.err(`${text}\n`),
  })
  if (!result.ok) return refuse(result.fault, terminal)
  terminal.out(options.json ? `${JSON.stringify(result.value)}\n` : drawResult(result.value))
  return result.value.ok ? EXIT.ok : EXIT.no
}

async function untilEnded(
  options: BenchOptions,
  profiles: Profiles,
  street: Street,
  around: BenchSurroundings,
): Promise<ExitCode> {
  const { terminal } = around
  const interrupted = around.interruption()
  const tail = createLogTail(LOG_LINES)
  const onBug = tellBug(terminal)
  const view = createStreetView(street, options.speed, tail.lines)
  const { timers } = createSystemTime()
  // Before the street: a busy port is told at once, and a browser finds the page while the street opens.
  const web = await createWeb({
    serve: serveHttp,
    host: '127.0.0.1',
    port: options.port,
    page: await pageFiles(),
    snapshot: view.snapshot,
    everyMs: DRAW_MS,
    timers,
    onBug,
  })
  if (!web.ok) return refuse(web.fault, terminal)
  terminal.err(`page at ${web.value.url}; the street opens\n`)

  const logOf = (site: string, clock: Clock) =>
    logInto(tail, site, clock.now, options.verbose ? printer(site, terminal) : () => {})
  const opened = await openBench({ ...options, profiles, logOf, onBug })
  if (!opened.ok) {
    await web.value.close()
    return refuse(opened.fault, terminal)
  }
  const bench = opened.value
  const unfollow = view.follow(bench.running)
  const stopDrawing = draw(view.snapshot, web.value.url, options, around, timers, bench.running.timers)
  await interrupted
  stopDrawing()
  terminal.err(`${drawLine(view.snapshot())}\nstopping: contacts open, journals close; again to end at once\n`)
  unfollow()
  await web.value.close()
  await bench.close()
  return EXIT.ok
}

function draw(
  snapshot: () => Snapshot,
  url: string,
  { verbose }: BenchOptions,
  { terminal, columns }: BenchSurroundings,
  timers: Timers,
  streetTimers: Timers,
): Cancel {
  if (verbose || columns() === undefined) {
    return streetTimers.every(LINE_MS, () => terminal.err(`${drawLine(snapshot())}\n`))
  }
  let drawn = 0
  return timers.every(DRAW_MS, () => {
    const lines = drawTable(snapshot(), url, columns() ?? 80, terminal.colour)
    // Up to where the last table began, and clear from there (ECMA-48 CUU, ED).
    const back = drawn === 0 ? '' : `\u001b[${drawn}A\u001b[J`
    terminal.err(`${back}${lines.join('\n')}\n`)
    drawn = lines.length
  })
}

const tellBug =
  (terminal: Terminal) =>
  (error: unknown): void =>
    terminal.err(`${error instanceof Error ? error.stack : String(error)}\n`)

/** The lines of all sites, each with its site. */
function printer(site: string, terminal: Terminal): Log {
  const write = (line: string) => terminal.err(`${site.padEnd(6)} ${line}`)
  return createLog({ write, least: 'info', journal: false, colour: terminal.colour })
}

/** One line that says what to do. */
function refuse(fault: Fault, terminal: Terminal): ExitCode {
  const { code, hint } = fault
  const line =
    code === 'http.port-busy'
      ? `port ${String(fault['port'])} is busy; stop the program that listens there, or choose another with --port`
      : code.startsWith('profile.') && fault['at'] !== undefined
        ? `${String(fault['at'])}: ${hint}`
        : faultLine(fault)
  terminal.err(`${line}\n`)
  return exitOf(fault)
}
