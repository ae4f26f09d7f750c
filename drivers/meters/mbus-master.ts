/**
 * The master of one wired M-Bus line (EN 13757-2): one exchange at a time, the answer times of the standard, and no answer
 * that could belong to an earlier question.
 */
import { concat, equalBytes } from '../../protocol/bytes.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { decodeMbusFrame, type MbusFrame } from '../../protocol/telegram/mbus-frame.ts'
import { later, type Mono, mono } from '../../protocol/time.ts'
import { keepOpen } from '../line/keep-open.ts'
import type { Clock, Line, Log, Timers } from '../ports.ts'

export interface MbusMasterParts {
  /** Opened at `baud` with 8 data bits and even parity. */
  readonly line: Line
  readonly clock: Clock
  readonly timers: Timers
  /** 2400 is what every meter speaks. */
  readonly baud?: number
  readonly log?: Log
}

export interface MbusAnswer {
  readonly frame: MbusFrame
  readonly raw: Uint8Array
  /** When the request began to be sent. */
  readonly began: Mono
}

/** The line in the hands of whoever runs on it. */
export interface MbusExchange {
  /**
   * Sends and waits for a frame. `mbus.silent` where nothing came; `mbus.garbled` where what came was no frame: noise, or
   * several meters that spoke at once.
   */
  ask(request: Uint8Array): Promise<Result<MbusAnswer>>
}

export interface MbusMaster {
  /** Opens the line; when that fails it is tried again until `close`. */
  open(): Promise<Result<void>>
  /** Runs a task that has the line to itself; tasks wait for each other. */
  run<T>(task: (bus: MbusExchange) => Promise<Result<T>>): Promise<Result<T>>
  close(): Promise<void>
}

const BAUD = 2_400
/** Eight data bits, even parity, start and stop. */
const BITS = 11
/** A meter begins to answer within 330 bit times and 50 ms (EN 13757-2, clause 5.7.2.2.1). */
const ANSWER_BITS = 330
const ANSWER_MS = 50
/** What adapters and this machine add: a USB adapter's 16 ms, a busy event loop, a serial server's packet. */
const LATENCY_MS = 100
/** 68 L L 68, 255 bytes, CS 16. */
const LONGEST_FRAME = 261

export function createMbusMaster(parts: MbusMasterParts): MbusMaster {
  const { line, clock, timers, log, baud = BAUD } = parts
  const answerMs = (ANSWER_BITS * 1000) / baud + ANSWER_MS + LATENCY_MS
  const characterMs = (BITS * 1000) / baud
  const longestMs = LONGEST_FRAME * characterMs + LATENCY_MS
  let hear: (chunk: Uint8Array, at: Mono) => void = () => {}
  let abort: (fault: Fault) => void = () => {}
  let lastHeard = mono(Number.NEGATIVE_INFINITY)
  /** Until the line has been quiet, what comes may answer a question that was given up. */
  let quietSince: Mono | undefined
  let last: Promise<unknown> = Promise.resolve()

  const link = keepOpen(line, timers, {
    bytes: (chunk, at) => {
      lastHeard = at
      hear(chunk, at)
    },
    up: () => log?.('info', 'meters', `${line.name} is up`),
    down: fault => {
      log?.('warn', 'meters', `${line.name} is down`, fault)
      abort(fault)
    },
  })

  /** After an answer that stayed out or was none: nothing heard for as long as a meter may take to begin one. */
  async function untilQuiet(): Promise<Fault | undefined> {
    if (quietSince === undefined) return undefined
    const giveUp = later(clock.mono(), 20 * answerMs)
    for (;;) {
      const since = Math.max(quietSince, lastHeard)
      const left = since + answerMs - clock.mono()
      if (left <= 0) break
      if (clock.mono() >= giveUp) return { code: 'mbus.never-quiet', line: line.name }
      await timers.sleep(left)
    }
    quietSince = undefined
    return undefined
  }

  async function ask(request: Uint8Array): Promise<Result<MbusAnswer>> {
    const down = link.fault() ?? (await untilQuiet())
    if (down !== undefined) return fail(down)
    const flushed = await line.flush()
    if (!flushed.ok) return flushed
    return new Promise(resolve => {
      const began = clock.mono()
      let held: Uint8Array = new Uint8Array(0)
      let heard = 0
      let junk: Fault | undefined
      // A meter waits 11 bit times at least: what comes while this sends is somebody else's, or an echo.
      let sentAt: number = Number.POSITIVE_INFINITY
      let cancel = (): void => {}

      function settle(result: Result<MbusAnswer>): void {
        cancel()
        hear = () => {}
        abort = () => {}
        if (!result.ok) quietSince = clock.mono()
        resolve(result)
      }
      function expire(ms: number): void {
        cancel()
        // Noise without end must not keep the line for ever.
        const left = Math.max(0, sentAt + answerMs + longestMs - clock.mono())
        cancel = timers.after(Math.min(ms, left), () =>
          settle(
            fail(
              heard === 0
                ? { code: 'mbus.silent', line: line.name, afterMs: Math.round(answerMs) }
                : { code: 'mbus.garbled', line: line.name, heard, because: junk?.code ?? 'mbus.cut' },
            ),
          ),
        )
      }
      hear = (chunk, at) => {
        if (at < sentAt) return
        heard += chunk.length
        held = concat(held, chunk)
        while (held.length > 0) {
          const pull = decodeMbusFrame(held)
          if (pull.kind === 'need') break
          const raw = held.slice(0, pull.kind === 'frame' ? pull.used : pull.skip)
          held = held.slice(raw.length)
          if (pull.kind === 'junk') junk ??= pull.fault
          // A level converter may echo.
          else if (equalBytes(raw, request)) heard -= raw.length
          // What comes with other bytes around it is not one meter's answer.
          else if (junk === undefined && held.length === 0) {
            settle(ok({ frame: pull.value, raw, began }))
            return
          } else junk ??= { code: 'mbus.garbled' }
        }
        // Within a frame no character waits for the next; after junk the line has to come to rest; after an echo nothing came.
        expire(heard === 0 ? answerMs : LATENCY_MS + 3 * characterMs)
      }
      abort = fault => settle(fail(fault))
      void line.write(request).then(async written => {
        if (!written.ok) return settle(written)
        // Adapters say that they are done when the bytes are in their own memory.
        const left = began + request.length * line.characterMs - clock.mono()
        if (left > 0) await timers.sleep(left)
        sentAt = clock.mono()
        expire(answerMs)
      })
    })
  }

  return {
    open: link.open,
    run: task => {
      const turn = last.then(() => task({ ask }))
      last = turn
      return turn
    },
    close: link.close,
  }
}
