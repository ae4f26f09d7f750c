/** A broker in a process of its own for the benches of a whole site: Mosquitto where it is there. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../free-port.ts'

const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

export interface BrokerProcess {
  readonly url: string
  readonly port: number
  readonly kind: 'mosquitto' | 'aedes'
  readonly pid: () => number
  stop(): Promise<void>
  start(): Promise<void>
}

/** Mosquitto as Debian ships it where it is there, else the bench's own broker in a process of its own. */
export async function openBroker(folder: string): Promise<BrokerProcess> {
  const port = await freePort()
  const file = join(folder, 'mosquitto.conf')
  writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n`)
  let child: ChildProcess | undefined
  let kind: 'mosquitto' | 'aedes' = 'mosquitto'
  async function launch(command: string, args: readonly string[]): Promise<boolean> {
    const started = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    const spawned = await new Promise<boolean>(resolve => {
      started.once('spawn', () => resolve(true))
      started.once('error', () => resolve(false))
    })
    if (spawned) child = started
    return spawned
  }
  async function start(): Promise<void> {
    if (kind === 'mosquitto' && !(await launch('mosquitto', ['-c', file]))) kind = 'aedes'
    if (kind === 'aedes') {
      const broker = fileURLToPath(new URL('./footprint-broker.ts', import.meta.url))
      await launch(process.execPath, ['--import', 'tsx', broker, String(port)])
    }
    await pause(kind === 'mosquitto' ? 300 : 1500)
  }
  await start()
  return {
    ...{ url: `mqtt://127.0.0.1:${port}`, port, kind, start },
    pid: () => child!.pid!,
    async stop() {
      const last = child
      if (last === undefined) return
      child = undefined
      const over = once(last, 'exit')
      last.kill('SIGTERM')
      await over
    },
  }
}
