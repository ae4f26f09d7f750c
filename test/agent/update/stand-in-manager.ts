/**
 * A service manager of a few lines, by sd_notify(3) and systemd.service(5): Restart=always but for some exit codes, a watchdog that is
 * armed by READY=1 and kills.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { listenTo } from '../../drivers/process/notify-listener.ts'

const LEFT_ALONE = [2, 77, 78]
/** Long, for a machine that stands still for seconds while the program would feed. */
const WATCHDOG_MS = 10_000
const RESTART_MS = 20

export interface Lived {
  /** What the releases said, in order. */
  readonly said: readonly string[]
  /** Of each that ended by itself or by the watchdog. */
  readonly exits: readonly (number | string | null)[]
  readonly leftAlone: boolean
}

/** Runs a program as a service until it has said something, or is left alone; `kills` are by SIGKILL, in ms after a start. */
export async function serve(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  socket: string,
  until: (said: string) => boolean,
  kills: number[] = [],
): Promise<Lived> {
  // What an earlier one left of it.
  rmSync(socket, { force: true })
  const ear = await listenTo(socket)
  const said: string[] = []
  const exits: (number | string | null)[] = []
  let child: ChildProcess | undefined
  let fed = 0
  let ended = false
  const hear = async () => {
    for (;;) {
      const word = await ear.next()
      if (/READY=1|WATCHDOG=1/.test(word)) fed = performance.now()
    }
  }
  hear().catch(() => {})
  const watch = setInterval(() => {
    if (fed > 0 && performance.now() - fed > WATCHDOG_MS) child?.kill('SIGKILL')
  }, 100)
  try {
    while (!ended) {
      fed = 0
      child = spawn(process.execPath, args, {
        env: { ...process.env, ...env, NOTIFY_SOCKET: socket, WATCHDOG_USEC: String(WATCHDOG_MS * 1000) },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const one = child
      const exit = new Promise<number | string | null>(resolve => one.once('exit', (code, by) => resolve(code ?? by)))
      const closed = new Promise<void>(resolve => one.once('close', () => resolve()))
      const kill = kills.shift()
      if (kill !== undefined) setTimeout(() => one.kill('SIGKILL'), kill)
      for (const stream of [one.stdout!, one.stderr!]) {
        createInterface({ input: stream }).on('line', line => {
          said.push(line)
          if (kill !== undefined || ended || !until(line)) return
          ended = true
          one.kill('SIGTERM')
        })
      }
      const code = await exit
      await closed
      if (ended) break
      exits.push(code)
      if (typeof code === 'number' && LEFT_ALONE.includes(code)) return { said, exits, leftAlone: true }
      await sleep(RESTART_MS)
    }
    return { said, exits, leftAlone: false }
  } finally {
    clearInterval(watch)
    child?.kill('SIGKILL')
    await ear.close()
  }
}
