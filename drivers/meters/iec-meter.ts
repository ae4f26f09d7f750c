/**
 * A meter read through IEC 62056-21 modes A, B and C: an optical head, a current loop or RS-485, one meter at a time. Mode D
 * meters speak unasked and are telegram meters.
 *
 * The check characters are too weak to believe one readout, so a read takes two, and a third where a counter ran on between
 * them (see agreement.ts). At 300 baud that takes minutes: ask seldom.
 */
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Parity } from '../../protocol/telegram/iec62056.ts'
import {
  SIGN_ON_IDLE,
  type SignOnAction,
  type SignOnInput,
  type SignOnPlan,
  stepSignOn,
} from '../../protocol/telegram/iec62056-session.ts'
import { keepOpen } from '../line/keep-open.ts'
import type { Cancel, Clock, Line, Log, Meter, Timers } from '../ports.ts'
import { createAgreedReader, type Heard } from './agreed-reading.ts'

export interface IecMeterParts {
  /** Opened at `openingBaud`, with 7 data bits and even parity, or with 8 and none where `parity` is `even-in-bit-7`. */
  readonly line: Line
  readonly clock: Clock
  readonly timers: Timers
  /** The device address, where several meters share the line; it is the identity of a meter that gives no serial number and has no `meterId`. */
  readonly address?: string
  readonly parity?: Parity
  readonly openingBaud?: number
  /** The identity that this meter must have, or of one that gives none; without one, the first seen is pinned until restart. */
  readonly meterId?: string
  /** How long one readout may take, with its attempts. */
  readonly deadlineMs?: number
  readonly log?: Log
}

export interface IecMeter extends Meter {
  /** Opens the line; when that fails it is tried again until `close`. */
  open(): Promise<Result<void>>
}

const PAGE = 'iec62056'
const NAMELESS = 'its readout does not say which meter it is: configure the number on its nameplate as its id'
const OPENING_BAUD = 300
/** The highest rate that the standard knows. */
const HIGHEST_BAUD = 19_200
const ATTEMPTS = 3
/** 4,000 characters at 300 baud take 134 s. */
const DEADLINE_MS = 180_000
/** Seven data bits with parity, or eight without, between start and stop bit. */
const BITS = 10

export function createIecMeter(parts: IecMeterParts): IecMeter {
  const { line, clock, timers, log, openingBaud = OPENING_BAUD, deadlineMs = DEADLINE_MS } = parts
  const plan: SignOnPlan = {
    ...(parts.address === undefined ? {} : { address: parts.address }),
    parity: parts.parity ?? 'none',
    openingBaud,
    highestBaud: line.setBaud === undefined ? openingBaud : HIGHEST_BAUD,
    attempts: ATTEMPTS,
  }
  let baud = openingBaud
  /** What the readout under way makes of bytes and of the line's end. */
  let hear: (bytes: Uint8Array) => void = () => {}
  let abort: (fault: Fault) => void = () => {}
  /** The read under way: the line carries one at a time. */
  let last: Promise<unknown> = Promise.resolve()

  const link = keepOpen(line, timers, {
    bytes: chunk => hear(chunk),
    up: () => {
      baud = openingBaud
      log?.('info', 'meters', `${line.name} is up`)
    },
    down: fault => {
      log?.('warn', 'meters', `${line.name} is down`, fault)
      abort(fault)
    },
  })

  function readout(): Promise<Result<Heard>> {
    return new Promise(resolve => {
      let state = SIGN_ON_IDLE
      let cancelWait: Cancel = () => {}
      let live = true
      let began = clock.mono()
      const cancelDeadline = timers.after(deadlineMs, () => settle(fail({ code: 'iec62056.deadline', deadlineMs })))

      function settle(result: Result<Heard>): void {
        if (!live) return
        live = false
        cancelDeadline()
        cancelWait()
        hear = () => {}
        abort = () => {}
        resolve(result)
      }
      function feed(input: SignOnInput): void {
        if (!live) return
        const step = stepSignOn(plan, state, input)
        state = step.state
        void perform(step.actions)
      }
      async function perform(actions: readonly SignOnAction[]): Promise<void> {
        for (const action of actions) {
          if (!live) return
          const fault = await act(action)
          if (fault !== undefined) return settle(fail(fault))
        }
      }
      /** No two lists of actions are under way at once: after a `send` or `baud` comes only what they lead to. */
      async function act(action: SignOnAction): Promise<Fault | undefined> {
        switch (action.do) {
          case 'wait':
            cancelWait()
            cancelWait = timers.after(action.ms, () => feed({ kind: 'timeout' }))
            return undefined
          case 'baud':
            return changeBaud(action.baud)
          case 'send': {
            cancelWait()
            began = clock.mono()
            const leaves = began + (action.bytes.length * BITS * 1000) / baud
            const written = await line.write(action.bytes)
            if (!written.ok) return written.fault
            // Adapters say that they are done when the bytes are in their own memory; a change of rate must not catch them there.
            const left = leaves - clock.mono()
            if (left > 0) await timers.sleep(left)
            feed({ kind: 'sent' })
            return undefined
          }
          case 'done': {
            const { equipmentId = parts.meterId ?? parts.address, values, error } = action.readout
            if (error !== undefined)
              log?.('warn', 'meters', `${line.name}: the meter's error register is not zero`, {
                code: 'meter.error-register',
                error,
              })
            if (equipmentId === undefined) return { code: 'meter.needs-id', page: PAGE, hint: NAMELESS }
            settle(ok({ meterId: equipmentId, values, raw: action.raw, began }))
            return undefined
          }
          case 'fail':
            return action.fault
        }
      }

      hear = bytes => feed({ kind: 'bytes', bytes })
      abort = fault => settle(fail(fault))
      feed({ kind: 'start' })
    })
  }

  async function changeBaud(wanted: number): Promise<Fault | undefined> {
    if (wanted === baud) return undefined
    const changed = (await line.setBaud?.(wanted)) ?? fail({ code: 'line.baud', line: line.name, wanted })
    if (!changed.ok) return changed.fault
    baud = wanted
    return undefined
  }

  const agreed = createAgreedReader({
    page: PAGE,
    clock,
    ...(parts.meterId === undefined ? {} : { meterId: parts.meterId }),
    ...(log && { log }),
  })
  const read = () =>
    agreed(async () => {
      const down = link.fault()
      if (down !== undefined) return fail(down)
      const flushed = await line.flush()
      return flushed.ok ? readout() : flushed
    })

  return {
    page: PAGE,
    open: link.open,
    read: () => {
      const turn = last.then(read)
      last = turn
      return turn
    },
    close: link.close,
  }
}
