/**
 * Commands of RAPI on a serial line, one after the other. Each carries a number that its answer repeats, so that an answer
 * that comes late is none to the next command.
 */
import { concat } from '../../protocol/bytes.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { keepOpen } from '../line/keep-open.ts'
import type { Line, Timers } from '../ports.ts'
import { decodeRapi, encodeRapi } from './rapi-frame.ts'

export interface RapiAnswer {
  readonly accepted: boolean
  readonly words: readonly string[]
}

export interface Rapi {
  /** Resolves with the answer, `$NK` too. To be called when the one before has resolved. */
  ask(...words: readonly string[]): Promise<Result<RapiAnswer>>
  close(): Promise<void>
}

/** The controller answers within milliseconds, except while it writes its screen. */
const ANSWER_MS = 500
const SEQUENCES = 255
const ANSWERS: readonly (string | undefined)[] = ['OK', 'NK']

interface Waiting {
  readonly sequence: number
  readonly settle: (answer: Result<RapiAnswer>) => void
}

/** The line is opened at the first command. */
export function createRapi(line: Line, timers: Timers): Rapi {
  let buffer: Uint8Array = new Uint8Array(0)
  let sequence = 0
  let waiting: Waiting | undefined
  let opened: Promise<unknown> | undefined

  const settle = (answer: Result<RapiAnswer>): void => {
    const { settle: tell } = waiting ?? {}
    waiting = undefined
    tell?.(answer)
  }

  const link = keepOpen(line, timers, {
    bytes: chunk => {
      buffer = concat(buffer, chunk)
      for (;;) {
        const pull = decodeRapi(buffer)
        if (pull.kind === 'need') return
        buffer = buffer.subarray(pull.kind === 'frame' ? pull.used : pull.skip)
        if (pull.kind === 'junk') continue
        const { words, sequence: answered } = pull.value
        if (answered !== waiting?.sequence || !ANSWERS.includes(words[0])) continue
        settle(ok({ accepted: words[0] === 'OK', words: words.slice(1) }))
      }
    },
    up: () => {},
    down: (fault: Fault) => {
      buffer = new Uint8Array(0)
      settle(fail(fault))
    },
  })

  async function send(bytes: Uint8Array): Promise<Result<void>> {
    opened ??= link.open()
    await opened
    const down = link.fault()
    return down === undefined ? line.write(bytes) : fail(down)
  }

  return {
    async ask(...words) {
      sequence = (sequence % SEQUENCES) + 1
      const mine = sequence
      const answer = new Promise<Result<RapiAnswer>>(tell => {
        waiting = { sequence: mine, settle: tell }
      })
      const sent = await send(encodeRapi(words, mine))
      if (!sent.ok) {
        waiting = undefined
        return sent
      }
      const cancel = timers.after(ANSWER_MS, () => {
        if (waiting?.sequence === mine)
          settle(fail({ code: 'rapi.timeout', line: line.name, command: words[0] ?? '', waitedMs: ANSWER_MS }))
      })
      const result = await answer
      cancel()
      return result
    },
    close: link.close,
  }
}
