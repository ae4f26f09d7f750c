/** A Mosquitto of its own for a test: the Debian package's program on a free port of this machine. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'

/** Debian's folder for it is in root's PATH only. */
const PROGRAM = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto', '/usr/local/sbin/mosquitto'].find(existsSync)

export const noMosquitto: string | undefined = PROGRAM === undefined ? 'no-mosquitto' : undefined

export interface RealMosquitto {
  readonly port: number
  readonly pid: number
  /** Ends it in order (SIGTERM), its persistence written. */
  close(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** What it has said so far. */
  log(): string
}

/**
 * Resolves once it listens; throws with its log where it ends instead. `conf` are lines of mosquitto.conf: the port of their
 * `listener` is replaced by the free one, and where they have none, `listener PORT 127.0.0.1` stands before them. With `port`
 * (a broker that comes back) that one is taken.
 */
export async function startMosquitto(options: {
  readonly conf: readonly string[]
  /** Its mosquitto.conf is written there, and relative paths of the lines start there. */
  readonly folder: string
  readonly port?: number
}): Promise<RealMosquitto> {
  // Between the search for a free port and its use somebody else may take it.
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort())
    try {
      return await start(options.conf, options.folder, port)
    } catch (error) {
      if (attempt === 50 || !String(error).includes('Address already in use')) throw error
      if (options.port !== undefined) await new Promise(resolve => setTimeout(resolve, 200))
    }
  }
}

async function start(conf: readonly string[], folder: string, port: number): Promise<RealMosquitto> {
  mkdirSync(folder, { recursive: true })
  const says = (word: string) => conf.some(line => line.startsWith(`${word} `))
  const lines = [
    'log_dest stderr',
    ...(says('log_type') ? [] : ['log_type all']),
    // Run by root it would become the user mosquitto, who may not read a test's folder.
    ...(process.getuid?.() === 0 && !says('user') ? ['user root'] : []),
    ...(says('listener') ? [] : [`listener ${port} 127.0.0.1`]),
    ...conf
      .filter(line => !line.startsWith('log_dest '))
      .map(line => line.replace(/^listener \d+/, `listener ${port}`)),
  ]
  const file = join(folder, 'mosquitto.test.conf')
  writeFileSync(file, `${lines.join('\n')}\n`)
  const child = spawn(PROGRAM!, ['-c', file], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  const atExit = () => child.kill('SIGKILL')
  process.once('exit', atExit)
  let said = ''
  const ended = new Promise<void>(resolve =>
    child.once('close', () => {
      process.removeListener('exit', atExit)
      resolve()
    }),
  )
  const listens = new Promise<void>(resolve =>
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk
      if (/mosquitto version \S+ running/.test(said)) resolve()
    }),
  )
  const up = await Promise.race([listens.then(() => true), ended.then(() => false)])
  if (!up) throw new Error(`mosquitto ended:\n${said}`)
  const end = (signal: 'SIGTERM' | 'SIGKILL') => async () => {
    child.kill(signal)
    await ended
  }
  return { port, pid: child.pid!, close: end('SIGTERM'), kill: end('SIGKILL'), log: () => said }
}
