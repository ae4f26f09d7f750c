/** One site of the street as a process of its own, seen from outside: its configuration is a file, its talk is stderr. */
import { fileURLToPath } from 'node:url'
import { type Ended, startChild } from '../../drivers/process/child.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Bench } from './bench.ts'

/** In real time: Node, the sources, the journal and the first verified header, on a machine that runs a street beside it. */
const READY_WITHIN_MS = 30_000

/** The program `tieline`, built or from source as this file is. */
const PROGRAM = fileURLToPath(new URL(`../../agent/main.${import.meta.url.split('.').at(-1)}`, import.meta.url))

export interface ChildSite {
  readonly pid: number
  /** This start of the site's journal, counted from 1. */
  readonly boot: number
  /** Asks it to end in order. */
  stop(): Promise<Ended>
  /** SIGKILL: it gets no word in. */
  kill(): Promise<Ended>
  readonly ended: Promise<Ended>
}

/**
 * Resolves once the agent is up. The bench must have been opened with this site among `childSites`, and the site must not drive its
 * contacts through the bench's own GPIO bank.
 */
export async function startChildSite(
  { running, ports, data }: Bench,
  site: string,
  onTalk: (line: string) => void = () => {},
): Promise<Result<ChildSite>> {
  const config = running.configs.get(site)
  if (config === undefined) return fail({ code: 'street.no-site', site })
  const disk = await openDisk(data)
  if (!disk.ok) return disk
  const written = await disk.value.replace(`${site}.yaml`, utf8(config.text))
  await disk.value.close?.()
  if (!written.ok) return written

  let hearReady: (boot: number) => void
  const ready = new Promise<number>(resolve => {
    hearReady = resolve
  })
  let lastWord = ''
  const started = await startChild({
    entry: PROGRAM,
    args: ['run', '--json', '--config', `${data}/${site}.yaml`],
    onOut: line => hearReady((JSON.parse(line) as { boot: number }).boot),
    onErr: line => {
      lastWord = line
      onTalk(line)
    },
  })
  if (!started.ok) return started
  const child = started.value
  const late = new Promise<undefined>(resolve => {
    const cancel = running.timers.after(READY_WITHIN_MS * ports.scale.speed, () => resolve(undefined))
    void Promise.race([ready, child.ended]).then(cancel)
  })
  const boot = await Promise.race([ready, late, child.ended.then(() => undefined)])
  if (boot === undefined) {
    child.kill('SIGKILL')
    const { code } = await child.ended
    return fail({ code: 'street.child-not-up', site, exit: code, lastWord })
  }
  const endBy = (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal)
    return child.ended
  }
  return ok({
    pid: child.pid,
    boot,
    stop: () => endBy('SIGTERM'),
    kill: () => endBy('SIGKILL'),
    ended: child.ended,
  })
}
