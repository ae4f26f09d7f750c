import type { Writable } from 'node:stream'
import { hasKeyboard } from '../../drivers/process/standard-input.ts'
import { askHidden } from './keys/ask.ts'

/** Where a command speaks: data on stdout, talk on stderr. Text is written as it is, so lines end with `\n`. */
export interface Terminal {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Escape codes are wanted: stderr is a terminal and NO_COLOR (no-color.org) is unset or empty. */
  readonly colour: boolean
  /** Asks the person for a secret, which is not shown; undefined where none is given. Absent where nobody is there to ask. */
  readonly ask?: (question: string) => Promise<string | undefined>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Resolves when whoever read stdout has gone, as `head` does. */
  readonly unread?: Promise<void>
  /**
   * Resolves once whoever reads stdout has taken what was written, or has gone; undefined where it can take more at once. For
   * what may be longer than the memory.
   */
  readonly room?: () => Promise<void> | undefined
}

/** The terminal of this process. A reader that has seen enough (`tieline --help | head`) is no fault. */
export function processTerminal(): Terminal {
  const goneFrom = (stream: NodeJS.WriteStream) =>
    new Promise<void>(resolve => {
      stream.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPIPE') throw error
        resolve()
      })
    })
  void goneFrom(process.stderr)
  const unread = goneFrom(process.stdout)
  return {
    unread,
    room: roomIn(process.stdout, unread),
    out: text => process.stdout.write(text),
    err: text => process.stderr.write(text),
    ...(hasKeyboard()
      ? { ask: (question: string) => askHidden(question, process.stdin, text => process.stderr.write(text)) }
      : {}),
    colour: process.stderr.isTTY === true && !process.env['NO_COLOR'],
    env: process.env,
  }
}

/** `Terminal.room` of a stream, until whoever reads it has gone. */
export function roomIn(stream: Writable, gone: Promise<void>): NonNullable<Terminal['room']> {
  let waiting: (() => void)[] = []
  let isGone = false
  const wake = () => {
    const woken = waiting
    waiting = []
    for (const each of woken) each()
  }
  stream.on('drain', wake)
  void gone.then(() => {
    isGone = true
    wake()
  })
  return () => (stream.writableNeedDrain && !isGone ? new Promise(resolve => void waiting.push(resolve)) : undefined)
}

const SGR = { red: 31, yellow: 33, dim: 2, bold: 1 } as const

export const paint = (text: string, style: keyof typeof SGR, colour: boolean): string =>
  colour ? `\u001b[${SGR[style]}m${text}\u001b[0m` : text
