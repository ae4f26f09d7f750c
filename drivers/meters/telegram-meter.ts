/**
 * A meter that speaks unasked (SML, P1): a read waits for the next telegram that began after the call, so that nothing old
 * is ever taken for new, however late this process came to look.
 */
import { concat } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { type Fault, fail, ok, type Pull, type Result } from '../../protocol/result.ts'
import type { MeterValue } from '../../protocol/telegram/obis.ts'
import type { Telegram } from '../../protocol/telegram/telegram.ts'
import { later, type Mono } from '../../protocol/time.ts'
import { keepOpen } from '../line/keep-open.ts'
import type { Clock, Line, Log, Meter, MeterReading, Timers } from '../ports.ts'
import { createCounterWatch } from './counters.ts'

export interface TelegramMeterParts {
  /** What interprets it, as in `sml`. */
  readonly page: string
  readonly line: Line
  readonly decode: (bytes: Uint8Array) => Pull<Telegram>
  readonly clock: Clock
  readonly timers: Timers
  /** The identity that this meter must have; without one, the first seen is pinned until restart. */
  readonly meterId?: string
  /** How long a read waits. */
  readonly deadlineMs?: number
  readonly log?: Log
}

export interface TelegramMeter extends Meter {
  /** Opens the line; when that fails it is tried again until `close`. */
  open(): Promise<Result<void>>
}

/** Meters speak every second (P1 v5, most SML) to every ten (P1 to v4, encrypted P1, most DLMS lists); two more to be late. */
const DEADLINE_MS = 12_000
/** At least twice the longest frame that any of our decoders waits for; they bound themselves, this bounds them. */
const BUFFER_MOST = 32_768
/** A line that was open and silent for so many reads is opened anew: some adapters hang up without a word. */
const DEAF_READS = 3
/** The most that a counter can rise between two telegrams ten seconds apart: 3 x 25 A at 230 V, rounded up. */
const STEP_MOST_WH = 50n

interface Waiter {
  /** Position in the stream from which on a telegram may begin. */
  readonly from: number
  readonly settle: (result: Result<MeterReading>) => void
}

export function createTelegramMeter(parts: TelegramMeterParts): TelegramMeter {
  const { page, line, decode, clock, timers, log, deadlineMs = DEADLINE_MS } = parts
  const counters = createCounterWatch(page, log)
  let pinned = parts.meterId
  let buffer: Uint8Array = new Uint8Array(0)
  /** Position in the stream of the buffer's first byte. */
  let base = 0
  /** Bytes that the decoder asked for before it wants to be asked again. */
  let wanted = 1
  /** When the byte at a position, and those after it, arrived. */
  let arrivals: { readonly position: number; readonly at: Mono }[] = []
  let waiters: readonly Waiter[] = []
  let before: Telegram | undefined
  /** The highest frame counter of the pinned meter; it outlasts a line that goes down. */
  let lastCounter: number | undefined
  let lastJunk: Fault | undefined
  /** Why whole telegrams that came were no answer, where a person can change that: keys, or a meter without a name. */
  let obstacle: Fault | undefined
  let silentReads = 0

  const link = keepOpen(line, timers, {
    bytes: hear,
    up: () => log?.('info', 'meters', `${line.name} is up`),
    down: fault => {
      log?.('warn', 'meters', `${line.name} is down`, fault)
      drop(buffer.length)
      before = undefined
      for (const waiter of waiters) waiter.settle(fail(fault))
    },
  })

  function drop(count: number): void {
    buffer = buffer.subarray(count)
    base += count
    wanted = 1
  }

  /** When the first byte of the buffer arrived. */
  function arrival(): Mono {
    while (arrivals.length > 1 && arrivals[1]!.position <= base) arrivals.shift()
    return arrivals[0]!.at
  }

  function hear(chunk: Uint8Array, at: Mono): void {
    silentReads = 0
    arrivals.push({ position: base + buffer.length, at })
    buffer = concat(buffer, chunk)
    while (buffer.length >= wanted) {
      const pull = decode(buffer)
      if (pull.kind === 'need') {
        wanted = buffer.length + Math.max(1, pull.bytes)
        break
      }
      if (pull.kind === 'frame') {
        finish(pull.value, buffer.slice(0, pull.used))
        drop(pull.used)
      } else {
        lastJunk = pull.fault
        if (pull.fault.hint !== undefined) obstacle = pull.fault
        before = undefined
        drop(pull.skip)
      }
      if (buffer.length === 0) break
    }
    if (buffer.length > BUFFER_MOST) drop(buffer.length)
    if (buffer.length === 0) arrivals = []
  }

  function finish(heardTelegram: Telegram, frame: Uint8Array): void {
    const telegram = { ...heardTelegram, values: heardTelegram.values.flatMap(ofNow) }
    const replayed = judgeCounter(telegram)
    const agreed = telegram.checked ? telegram.values : agreeing(before, telegram)
    before = telegram
    const heard = waiters.filter(waiter => waiter.from <= base)
    if (heard.length === 0) return
    const result = replayed ?? judge(telegram, agreed, frame)
    // A telegram that says nothing certain is no answer yet: the next one may be.
    if (result !== undefined) for (const waiter of heard) waiter.settle(result)
  }

  /** Refuses a telegram that was sent before, whether or not a read waited for it then. */
  function judgeCounter({ meterId, counter, checked }: Telegram): Result<never> | undefined {
    if (counter === undefined) return undefined
    if (lastCounter !== undefined && counter <= lastCounter)
      return fail({ code: 'meter.replayed', page, last: lastCounter, received: counter })
    if (checked && (pinned ?? meterId) === meterId) lastCounter = counter
    return undefined
  }

  function judge(
    telegram: Telegram,
    agreed: readonly MeterValue[],
    frame: Uint8Array,
  ): Result<MeterReading> | undefined {
    const { meterId } = telegram
    if (meterId === undefined) {
      // Some meters say who they are in every fourth telegram only.
      obstacle = { code: 'meter.no-identity', page }
      return undefined
    }
    obstacle = undefined
    pinned ??= meterId
    if (meterId !== pinned) return fail({ code: 'meter.identity', page, expected: pinned, received: meterId })
    const takenMono = arrival()
    const values = counters.keepRising(agreed, takenMono)
    if (values.length === 0) return undefined
    return ok({
      meterId,
      taken: later(clock.now(), takenMono - clock.mono()),
      takenMono,
      values,
      rawHash: sha256(frame),
    })
  }

  async function read(): Promise<Result<MeterReading>> {
    const down = link.fault()
    if (down !== undefined) return fail(down)
    // What waits in the machine is older than this call, however long this process was busy.
    const flushed = await line.flush()
    if (!flushed.ok) return flushed
    return new Promise(resolve => {
      const waiter: Waiter = {
        from: base + buffer.length,
        settle: result => {
          cancel()
          waiters = waiters.filter(one => one !== waiter)
          resolve(result)
        },
      }
      const cancel = timers.after(deadlineMs, () => {
        const silent = { code: 'meter.silent', page, line: line.name, afterMs: deadlineMs, lastJunk: lastJunk?.code }
        waiter.settle(fail(obstacle ?? silent))
        lastJunk = undefined
        obstacle = undefined
        silentReads++
        if (silentReads < DEAF_READS) return
        silentReads = 0
        link.restart({ code: 'meter.line-deaf', line: line.name, reads: DEAF_READS })
      })
      waiters = [...waiters, waiter]
    })
  }

  return { page, open: link.open, read, close: link.close }
}

/**
 * A value as a reading has it: name, number and unit. One that carries an older time of its own has no place in a reading,
 * whose values are all of the moment in which the telegram began.
 */
const ofNow = ({ obis, value, scaler, unit, at }: MeterValue): readonly MeterValue[] =>
  at === undefined ? [{ obis, value, scaler, unit }] : []

/** The values of an unchecked telegram that the one before it bears out: the same, or a counter a little further. */
function agreeing(before: Telegram | undefined, { meterId, values }: Telegram): readonly MeterValue[] {
  if (before === undefined || before.meterId !== meterId) return []
  return values.filter(value => {
    const earlier = before.values.find(one => one.obis === value.obis)
    if (earlier === undefined || earlier.unit !== value.unit || earlier.scaler !== value.scaler) return false
    if (earlier.value === value.value) return true
    const step = (value.value - earlier.value) * 10n ** BigInt(9 + value.scaler)
    return value.unit === 'Wh' && step > 0n && step <= STEP_MOST_WH * 10n ** 9n
  })
}
