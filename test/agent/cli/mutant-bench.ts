/** What the tests of wrong configurations share: a relay board that counts what it hears, and the program as a process. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { createSystemTime } from '../../../drivers/clock.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createCoilBoard } from '../../../hw/sim/coil-board.ts'
import { createSlaveStats, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { must } from '../../../protocol/result.ts'
import { assert } from '../../harness.ts'
import { COMMENTED } from '../config/commented-site.ts'
import type { Mutant } from './mutants.ts'

const MAIN = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url))
const EXAMPLES = fileURLToPath(new URL('../../../hw/examples/', import.meta.url))

/** A board of four contacts behind a real serial device, which counts what it hears; closed whatever `work` finds. */
export async function withBoard(work: (board: Awaited<ReturnType<typeof openBoard>>) => Promise<void>): Promise<void> {
  const board = await openBoard()
  try {
    await work(board)
  } finally {
    await board.close()
  }
}

async function openBoard() {
  const { clock, timers } = createSystemTime()
  const pty = must(await openPty())
  const heard = { bytes: 0, moved: 0 }
  const end = {
    ...pty,
    onBytes: (hear: Parameters<typeof pty.onBytes>[0]) =>
      pty.onBytes(chunk => {
        heard.bytes += chunk.length
        hear(chunk)
      }),
  }
  const coils = createCoilBoard({ channels: 4, moved: () => heard.moved++, clock, timers })
  const stats = createSlaveStats()
  const timing = { characterMs: 10_000 / 115_200, turnaroundMs: 5, clock, timers, random: () => 0.5 }
  const stop = serveModbus(end, new Map([[20, coils.unit]]), { framing: 'rtu', stats, ...timing })
  return {
    ...{ path: pty.path, heard, stats },
    close: async () => {
      stop()
      await pty.close()
    },
  }
}

/** Every base has the board's device for its serial lines. */
export function bases(device: string): ReadonlyMap<string, string> {
  const examples = readdirSync(EXAMPLES).map(name => [name, readFileSync(EXAMPLES + name, 'utf8')] as const)
  return new Map(
    [['commented', COMMENTED] as const, ...examples].map(([name, text]) => [
      name,
      text.replace(/serial: \/dev\/\S+/g, `serial: ${device}`),
    ]),
  )
}

export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/tieline-mutants-`)
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export const asProcess = (args: readonly string[]) =>
  new Promise<{ readonly exit: number | null; readonly out: string; readonly err: string }>(resolve => {
    const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args])
    let [out, err] = ['', '']
    child.stdout.on('data', chunk => {
      out += chunk
    })
    child.stderr.on('data', chunk => {
      err += chunk
    })
    child.on('close', exit => resolve({ exit, out, err }))
  })

/** Each line names the file, a line and a column in it, and says something. */
export function told(file: string, { what }: Mutant, said: string): void {
  const lines = said.trimEnd().split('\n')
  for (const line of lines) {
    assert.ok(line.startsWith(`${file}:`), `${what}: ${line}`)
    assert.match(line.slice(file.length), /^:[1-9]\d*:[1-9]\d*: \S.{5,}$/, what)
  }
}
