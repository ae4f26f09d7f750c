/** A program of the bench that answers, started and ended by it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface SlaveProcess<T> {
  /** Its first line, read as JSON. */
  readonly told: T
  /** Asks with one line, is answered with one. */
  ask<A>(line: string): Promise<A>
  /** Ends its input, and waits for its end. */
  close(): Promise<void>
}

/** The programs, by their paths from here. */
const PROGRAMS = {
  wire: './wire-slave.ts',
  tcp: './tcp-slave.ts',
  control: './control-agent.ts',
  chargers: './control-charger-agent.ts',
} as const

export async function startSlave<T>(program: keyof typeof PROGRAMS, task: object): Promise<SlaveProcess<T>> {
  const path = fileURLToPath(new URL(PROGRAMS[program], import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', path, JSON.stringify(task)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`${PROGRAMS[program]} ended`)
    return JSON.parse(value)
  }
  return {
    told: await next(),
    ask: line => {
      child.stdin.write(`${line}\n`)
      return next()
    },
    close: async () => {
      child.stdin.end()
      await ended
    },
  }
}
