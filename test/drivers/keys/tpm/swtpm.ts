/** swtpm, a TPM 2.0 in software by IBM, in a temporary folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSystemTime } from '../../../../drivers/clock.ts'
import { openTpm, type Tpm } from '../../../../drivers/keys/tpm/tpm.ts'
import { must } from '../../../../protocol/result.ts'
import { without } from '../../../programs.ts'

export const noSwtpm = without('no-swtpm', 'swtpm', '--version')

export const time = createSystemTime()

export interface Swtpm {
  readonly folder: string
  /** For `openTpm`. */
  readonly where: string
  readonly tpm: Tpm
  /** SIGKILL: no warning, no state written. */
  kill(): Promise<void>
  /** Stops it where it is, as a TPM that hangs, or lets it go on. */
  freeze(frozen: boolean): void
  /** Again, on the same state; nobody sends it TPM2_Startup. */
  start(): Promise<void>
  end(): Promise<void>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export async function startSwtpm({ tcp }: { readonly tcp?: number } = {}): Promise<Swtpm> {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-tpm-'))
  const socket = join(folder, 'socket')
  const server = tcp === undefined ? `type=unixio,path=${socket}` : `type=tcp,port=${tcp}`
  const where = tcp === undefined ? `unix:${socket}` : `tcp:127.0.0.1:${tcp}`
  let child: ChildProcess | undefined
  const args = ['socket', '--tpm2', '--server', server, '--tpmstate', `dir=${folder}`, '--flags', 'not-need-init']

  async function start(): Promise<void> {
    rmSync(socket, { force: true })
    const starting = spawn('swtpm', [...args, '--pid', `file=${folder}/pid`], { stdio: 'ignore' })
    child = starting
    running.add(starting)
    starting.once('exit', () => running.delete(starting))
    // The pid file is written once it listens.
    for (let n = 0; n < 6_000 && !existsSync(`${folder}/pid`); n++) await sleep(10)
    rmSync(`${folder}/pid`)
  }

  async function kill(): Promise<void> {
    const killing = child
    child = undefined
    if (killing === undefined) return
    const gone = once(killing, 'exit')
    killing.kill('SIGKILL')
    await gone
  }

  await start()
  const tpm = must(openTpm(where, time))
  return {
    folder,
    where,
    tpm,
    kill,
    freeze: frozen => void child?.kill(frozen ? 'SIGSTOP' : 'SIGCONT'),
    start,
    end: async () => {
      await tpm.close()
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
