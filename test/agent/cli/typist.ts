/** A person at a real terminal (a pseudo-terminal), before one of our programs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { openPty } from '../../../drivers/line/pty.ts'
import { must } from '../../../protocol/result.ts'

const MAIN = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url))
export const ENTER = '\r'
export const ESC = '\u001b'
export const DOWN = '\u001b[B'
export const CTRL_C = '\u0003'

export interface Typist {
  /** Waits until these words stand on the screen, not before those that were waited for last. */
  sees(words: string): Promise<void>
  types(keys: string): void
  /** Everything on the screen so far, without colours and cursor movements. */
  screen(): string
  /** As it was sent. */
  raw(): string
  kill(): Promise<void>
  /** The terminal is closed. */
  hangUp(): Promise<void>
  readonly ended: Promise<{ readonly code: number | null; readonly out: string }>
}

export async function sitDown(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  program = MAIN,
): Promise<Typist> {
  const pty = must(await openPty())
  let raw = ''
  let seen = 0
  let heard = () => {}
  pty.onBytes(bytes => {
    raw += Buffer.from(bytes).toString('latin1')
    heard()
  })
  const fd = openSync(pty.path, constants.O_RDWR | constants.O_NOCTTY)
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    stdio: [fd, 'pipe', fd],
    env: { ...process.env, TERM: 'xterm', ...env },
  })
  closeSync(fd)
  let out = ''
  child.stdout!.on('data', (chunk: Buffer) => {
    out += chunk
  })
  let running = true
  const ended = new Promise<{ code: number | null; out: string }>(resolve =>
    child.once('close', code => {
      running = false
      heard()
      resolve({ code, out })
    }),
  )
  void ended.then(() => pty.close())
  const screen = () => plain(Buffer.from(raw, 'latin1').toString('utf8'))
  return {
    screen,
    raw: () => raw,
    ended,
    types: keys => pty.write(Buffer.from(keys)),
    sees: words =>
      new Promise((resolve, reject) => {
        const look = () => {
          const at = screen().indexOf(words, seen)
          if (at >= 0) {
            seen = at
            heard = () => {}
            resolve()
          } else if (!running) reject(new Error(`ended before "${words}":\n${screen()}`))
        }
        heard = look
        look()
      }),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    async hangUp() {
      pty.unplug()
      await ended
    },
  }
}

/** ECMA-48 control sequences out; what a terminal draws again and again stays as often as it was drawn. */
const plain = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  text.replace(/\u001b\[[0-9;?]*[A-Za-z]|\u001b[()][A-Z0-9]|\r/g, '')
