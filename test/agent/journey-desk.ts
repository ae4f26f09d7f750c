/** The desk of a newcomer: commands run as the README or the program before them has printed them, by programs as `npm run build` makes them. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildAll } from '../../hw/image/build.ts'
import type { Later } from '../closing.ts'
import { assert } from '../harness.ts'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export interface Answered {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Started {
  readonly child: ChildProcess
  /** Resolves with all that it has said as soon as it says this; it ending before is an error. */
  says(words: RegExp): Promise<string>
}

export interface Desk {
  run(command: string): Promise<Answered>
  /** Of a command that ends well: what it says. */
  done(command: string): Promise<string>
  start(command: string): Started
  /** Starts a simulated SDM630: the flags by which it says that `tieline read` finds it. */
  meter(flags: string): Promise<string>
}

/** A folder for the length of a test. */
export function ownFolder(later: Later, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `tieline-${name}-`))
  later(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * Builds the programs beside the packages that they need. `state` is where answers of a wizard that is broken off go. In the end
 * what was started is ended, last first, and the programs are removed.
 */
export async function openDesk(later: Later, state: string): Promise<Desk> {
  const built = `${ROOT}dist/journey-${process.pid}`
  const programs: Readonly<Record<string, string>> = {
    tieline: `${built}/agent/main.js`,
    'tieline-ledger': `${built}/agent/validator/main.js`,
    'tieline-bench': `${built}/hw/bench/main.js`,
  }
  later(() => rmSync(built, { recursive: true, force: true }))
  assert.is(await buildAll(built), 0, 'npm run build')
  // The version is read from there, which in a checkout is the folder above `dist`.
  copyFileSync(`${ROOT}package.json`, `${built}/package.json`)

  /** Of words without blanks or in single quotes. */
  function wordsOf(command: string): readonly [string, readonly string[]] {
    const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!)
    const [program = '', ...args] = words
    const ours = programs[program]
    return ours === undefined ? [program, args] : [process.execPath, [ours, ...args]]
  }

  const run = (command: string) =>
    new Promise<Answered>(resolve => {
      const [program, args] = wordsOf(command)
      execFile(program, args, { cwd: ROOT, env: { ...process.env, XDG_STATE_HOME: state } }, (error, out, err) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out, err }),
      )
    })

  function start(command: string): Started {
    const [program, args] = wordsOf(command)
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    later(() => end(child))
    let said = ''
    let ended = false
    const waiting = new Set<() => void>()
    const wake = () => {
      for (const look of waiting) look()
    }
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', chunk => {
        said += chunk
        wake()
      })
    child.once('close', () => {
      ended = true
      wake()
    })
    return {
      child,
      says: words =>
        new Promise((resolve, reject) => {
          const look = () => {
            const found = words.test(said)
            if (!found && !ended) return
            waiting.delete(look)
            if (found) resolve(said)
            else reject(new Error(`${command} ended:\n${said}`))
          }
          waiting.add(look)
          look()
        }),
    }
  }

  return {
    run,
    async done(command) {
      const { code, out, err } = await run(command)
      assert.is(code, 0, `${command}: ${err}`)
      return out
    },
    start,
    async meter(flags) {
      const bench = start(`tieline-bench meter --page eastron-sdm630${flags}`)
      return lineOf(await bench.says(/^tieline read .*$/m), 'tieline read').replace('tieline read ', '')
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = new Promise(resolve => child.once('close', resolve))
  child.kill('SIGTERM')
  await closed
}

/** The one line of an output that begins so. */
export function lineOf(out: string, start: string): string {
  const line = out
    .split('\n')
    .map(one => one.trim())
    .find(one => one.startsWith(start))
  assert.ok(line !== undefined, `${start} was not printed: ${out}`)
  return line!
}
