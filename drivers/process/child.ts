/** Another Node program, started by this one and watched from outside. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fail, ok, type Result } from '../../protocol/result.ts'

export interface ChildOptions {
  /** The program's file; it is run as this program is, from source or built. */
  readonly entry: string
  readonly args: readonly string[]
  /** Beside what this process has. */
  readonly env?: Readonly<Record<string, string>>
  readonly onOut?: (line: string) => void
  readonly onErr?: (line: string) => void
}

/** How a process ended: by an exit code of its own or by a signal. */
export interface Ended {
  readonly code: number | undefined
  readonly signal: string | undefined
}

export interface Child {
  readonly pid: number
  /** No effect on one that has ended. */
  kill(signal: 'SIGTERM' | 'SIGKILL' | 'SIGINT'): void
  /** Resolves once it is gone and every line it wrote was heard. */
  readonly ended: Promise<Ended>
}

/**
 * A child with this in its environment ends when its standard input does: with its parent, however that died. One that
 * went on would hold on to serial devices whose names are given to others.
 */
export const ENDS_WITH_PARENT = 'TIELINE_ENDS_WITH_PARENT'

/** A child does not outlive this program. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export async function startChild(options: ChildOptions): Promise<Result<Child>> {
  const child = spawn(process.execPath, [...process.execArgv, options.entry, ...options.args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, [ENDS_WITH_PARENT]: '1', ...options.env },
  })
  const ended = new Promise<Ended>(resolve =>
    child.once('close', (code, signal) => {
      running.delete(child)
      resolve({ code: code ?? undefined, signal: signal ?? undefined })
    }),
  )
  const hear = (stream: Readable, listener: (line: string) => void = () => {}) =>
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', listener)
  hear(child.stdout, options.onOut)
  hear(child.stderr, options.onErr)
  const refused = await new Promise<Error | undefined>(resolve => {
    child.once('spawn', () => resolve(undefined))
    child.once('error', resolve)
  })
  if (refused !== undefined) return fail({ code: 'child.not-started', entry: options.entry, why: refused.message })
  running.add(child)
  return ok({ pid: child.pid!, kill: signal => void child.kill(signal), ended })
}
