/** Programs of a test network: started, killed, seen to end; none outlives this one. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'

const running = new Set<ChildProcess>()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Waits until something holds; throws, with its name, when it does not within the time. */
export async function until(what: string, ms: number, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + ms
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms / 1000} s: ${what}`)
    await sleep(100)
  }
}

export class Program {
  private child: ChildProcess | undefined
  private ended: Promise<void> = Promise.resolve()
  private log: WriteStream | undefined
  private readonly command: string
  private readonly args: readonly string[]
  private readonly logFile: string

  constructor(command: string, args: readonly string[], logFile: string) {
    this.command = command
    this.args = args
    this.logFile = logFile
  }

  get alive(): boolean {
    return this.child !== undefined
  }

  /** Resolves once it has written the text that says it is ready, or has ended. */
  async start(ready = ''): Promise<void> {
    if (this.child !== undefined) throw new Error(`${this.command} runs already`)
    const child = spawn(this.command, this.args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.log ??= createWriteStream(this.logFile, { flags: 'a' })
    child.stdout.pipe(this.log, { end: false })
    child.stderr.pipe(this.log, { end: false })
    running.add(child)
    this.child = child
    this.ended = new Promise(resolve =>
      child.once('close', () => {
        running.delete(child)
        if (this.child === child) this.child = undefined
        resolve()
      }),
    )
    if (ready === '') return
    let said = ''
    const hears = new Promise<void>(resolve =>
      child.stdout.on('data', chunk => {
        if (!said.includes(ready)) said += chunk
        if (said.includes(ready)) resolve()
      }),
    )
    await Promise.race([hears, this.ended])
  }

  /** A line of our own among its output. */
  mark(line: string): void {
    this.log?.write(`== ${line}\n`)
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    this.child?.kill(signal)
    await this.ended
  }

  /** It ends by itself; if it does not within the time it is killed. */
  async end(ms: number): Promise<void> {
    await Promise.race([this.ended, sleep(ms)])
    await this.kill()
  }
}
