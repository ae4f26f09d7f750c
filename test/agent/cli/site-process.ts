/** `tieline run` as a process of its own: its meter and its relay board on one pseudo-terminal, its wall clock set from outside. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { openPty } from '../../../drivers/line/pty.ts'
import { createCoilBoard } from '../../../hw/sim/coil-board.ts'
import { createSlaveStats, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { must } from '../../../protocol/result.ts'
import { clock, TIMING, timers, unitOf } from './sdm630-sim.ts'

const MAIN = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url))
const SHIFTED = fileURLToPath(new URL('./shifted-date.ts', import.meta.url))
/** A busy machine takes many seconds to start a process; what has not come by then never will. */
const PATIENCE_MS = 90_000

/** An SDM630 as unit 1 and a board of four contacts as unit 20, at 115,200 baud. */
export async function meterAndBoard() {
  const pty = must(await openPty())
  const heard = { moved: 0 }
  const coils = createCoilBoard({ channels: 4, moved: () => heard.moved++, clock, timers })
  const units = new Map([
    [1, unitOf()],
    [20, coils.unit],
  ])
  const stats = createSlaveStats()
  const stop = serveModbus(pty, units, { ...TIMING, stats, characterMs: 10_000 / 115_200, framing: 'rtu' })
  return {
    ...{ path: pty.path, heard, requests: () => stats.requests },
    close: async () => {
      stop()
      await pty.close()
    },
  }
}

/** A site that reads one meter; `rest` are more sections. */
export const siteText = (device: string, rest = ''): string => `version: 1
site: maple
role: household
bench: true
data: data
keys: {seed: ${'12'.repeat(32)}}
lines: {bus: {serial: ${device}, baud: 115200}}
meters: {grid: {line: bus, protocol: modbus-rtu, page: eastron-sdm630, unit: 1, every: 200ms}}
${rest}`

export interface Ran {
  readonly exit: number | null
  readonly signal: string | null
  readonly out: string
  readonly err: string
}

export interface RunningTieline {
  readonly child: ChildProcess
  /** What it said on stderr until now, and on stdout. */
  said(): string
  out(): string
  readonly ended: Promise<Ran>
  /** Waits for something to hold while it runs; that it ended is an error with all that it said. */
  until(holds: () => boolean | Promise<boolean>): Promise<void>
  end(signal?: NodeJS.Signals): Promise<Ran>
  /** Sets its wall clock so far off this machine's; only where it was started with one. */
  setClock(shiftMs: number): void
}

/**
 * The program as a process, behind the words of `before` where it is started by another. With `shiftMs` its wall clock is that far
 * off this machine's from the first.
 */
export function startTieline(
  args: readonly string[],
  { shiftMs, before = [] }: { readonly shiftMs?: number; readonly before?: readonly string[] } = {},
): RunningTieline {
  const shifted = shiftMs === undefined ? [] : ['--import', SHIFTED]
  const [program, ...given] = [...before, process.execPath, '--import', 'tsx', ...shifted, MAIN, ...args]
  const child = spawn(program!, given, {
    stdio: shiftMs === undefined ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, SHIFTED_DATE_MS: String(shiftMs ?? 0) },
  })
  let [out, err] = ['', '']
  child.stdout!.on('data', chunk => {
    out += chunk
  })
  child.stderr!.on('data', chunk => {
    err += chunk
  })
  const late = setTimeout(() => child.kill('SIGKILL'), 4 * PATIENCE_MS)
  const ended = new Promise<Ran>(resolve => {
    child.once('close', (exit, signal) => {
      clearTimeout(late)
      resolve({ exit, signal, out, err })
    })
  })
  return {
    ...{ child, ended, said: () => err, out: () => out },
    async until(holds) {
      const late = clock.mono() + PATIENCE_MS
      while (!(await holds())) {
        if (clock.mono() > late || child.exitCode !== null || child.signalCode !== null)
          throw new Error(`waited in vain for ${holds}; it said: ${err}`)
        await timers.sleep(50)
      }
    },
    async end(signal = 'SIGTERM') {
      child.kill(signal)
      return ended
    },
    setClock(shift) {
      child.send({ shiftMs: shift })
    },
  }
}

/** What the program says of something, in a process of its own that must end well. */
export function asked(...args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', MAIN, ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  if (status !== 0) throw new Error(`${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}
