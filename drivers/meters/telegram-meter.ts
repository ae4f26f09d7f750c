/**
 * A meter that speaks unasked (SML, P1): a read waits for the next telegram that began after the call, so that nothing old
 * is ever taken for new, however late this process came to look. Telegrams without a checksum bear each other out, as in
 * agreement.ts: a counter that runs is certain one telegram later.
 *
 * Frame counters go in and out: without `lastCounter`, what was sent before this process began may be sent again after.
 */
import { concat } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { type Fault, fail, ok, type Pull, type Result } from '../../protocol/result.ts'
import { agreedThrice, agreedTwice, ofNow, ranOn, type Said } from '../../protocol/telegram/agreement.ts'
import type { Telegram } from '../../protocol/telegram/telegram.ts'
import { later, type Mono } from '../../protocol/time.ts'
import { keepOpen } from '../line/keep-open.ts'
import type { Clock, Line, Log, Meter, MeterReading, Timers } from '../ports.ts'
import { createCounterWatch } from './counters.ts'

/** The highest frame counter heard, and whose. */
export interface FrameCounter {
  readonly meterId: string
  readonly counter: number
}

export interface TelegramMeterParts {
  /** What interprets it, as in `sml`. */
  readonly page: string
  readonly line: Line
  readonly decode: (bytes: Uint8Array) => Pull<Telegram>
  readonly clock: Clock
  readonly timers: Timers
  /**
   * The identity that this meter must have; without one, the first seen is pinned until restart. Telegrams that name no meter
   * are this one's, and without one nobody's.
   */
  readonly meterId?: string
  /** How long a read waits. */
  readonly deadlineMs?: number
  /** From before a restart, with the same keys. */
  readonly lastCounter?: FrameCounter
  readonly onCounter?: (last: FrameCounter) => void
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
/**
 * No telegram pauses for so long, whatever holds its bytes back on the way. What came before the pause lost its end, or never
 * was a beginning; the end of a later telegram would fit it only too well where a meter numbers no segments.
 */
const PAUSE_MOST_MS = 3_000
/** A line that was open and silent for so many reads is opened anew: some adapters hang up without a word. */
const DEAF_READS = 3
/** Telegrams further apart do not bear each other out: three of the slowest meters'. A counter may be wrong by what flowed meanwhile. */
const APART_MOST_MS = 30_000

const NAMELESS = 'its telegrams do not say which meter it is: configure the number on its nameplate as its id'

/** A telegram as it was heard. */
interface Heard extends Said {
  readonly frame: Uint8Array
  /** Where in the stream it began, and when that byte arrived. */
  readonly from: number
  readonly began: Mono
}

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
  let lastHeard = clock.mono()
  /** When the byte at a position, and those after it, arrived. */
  let arrivals: { readonly position: number; readonly at: Mono }[] = []
  let waiters: readonly Waiter[] = []
  /** Who spoke last by name on this line, if it is not the configured meter: telegrams without a name may be his. */
  let stranger: string | undefined
  /** The last two telegrams without a checksum. */
  let unproven: readonly Heard[] = []
  /** It outlasts a line that goes down. */
  let lastCounter = parts.lastCounter
  let lastJunk: Fault | undefined
  /** Why whole telegrams that came were no answer: keys, a meter without a name or another one, a telegram sent again. */
  let obstacle: Fault | undefined
  let silentReads = 0

  const link = keepOpen(line, timers, {
    bytes: hear,
    up: () => log?.('info', 'meters', `${line.name} is up`),
    down: fault => {
      log?.('warn', 'meters', `${line.name} is down`, fault)
      drop(buffer.length)
      unproven = []
      stranger = undefined
      for (const waiter of waiters) waiter.settle(fail(fault))
    },
  })

  function drop(count: number): void {
    buffer = buffer.subarray(count)
    base += count
    wanted = 1
    while (arrivals.length > 1 && arrivals[1]!.position <= base) arrivals.shift()
  }

  function hear(chunk: Uint8Array, at: Mono): void {
    if (chunk.length === 0) return
    silentReads = 0
    if (at - lastHeard > PAUSE_MOST_MS) drop(buffer.length)
    lastHeard = at
    if (buffer.length === 0) arrivals = []
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
        drop(pull.skip)
      }
      if (buffer.length === 0) break
    }
    if (buffer.length > BUFFER_MOST) drop(buffer.length)
  }

  function finish({ meterId: named, values, checked, counter }: Telegram, frame: Uint8Array): void {
    if (named !== undefined) stranger = named === parts.meterId ? undefined : named
    const meterId = named ?? (stranger === undefined ? parts.meterId : undefined)
    if (meterId === undefined) {
      // Some meters say who they are in every fourth telegram only.
      obstacle =
        parts.meterId === undefined
          ? { code: 'meter.needs-id', page, hint: NAMELESS }
          : { code: 'meter.identity', page, expected: parts.meterId, received: stranger }
      return
    }
    if (isReplayed(meterId, counter)) return
    const heard: Heard = { meterId, values: ofNow(values), frame, from: base, began: arrivals[0]!.at }
    const certain = checked ? heard : borneOut(heard)
    // A telegram that says nothing certain is no answer yet: the next one may be.
    if (certain === undefined || certain.values.length === 0) return
    const asked = waiters.filter(waiter => waiter.from <= certain.from)
    const result = asked.length === 0 ? undefined : judge(certain)
    if (result !== undefined) for (const waiter of asked) waiter.settle(result)
  }

  /** Whether a telegram was sent before, heard by a read or not. A counter that was damaged would not have opened the rest. */
  function isReplayed(meterId: string, counter: number | undefined): boolean {
    if (counter === undefined || (pinned ?? meterId) !== meterId) return false
    if (lastCounter?.meterId === meterId && counter <= lastCounter.counter) {
      const hint =
        'a meter counts anew with new keys only: configure them, or remove cached frame counters while nothing reads it'
      obstacle = { code: 'meter.replayed', page, last: lastCounter.counter, received: counter, hint }
      return true
    }
    lastCounter = { meterId, counter }
    parts.onCounter?.(lastCounter)
    return false
  }

  /** What of the last telegrams without a checksum is certain now: of this one, or of the one before where counters ran on. */
  function borneOut(last: Heard): Heard | undefined {
    const [before, middle] = unproven.length === 2 ? unproven : [undefined, unproven[0]]
    unproven = [...unproven, last].slice(-2)
    if (middle === undefined || last.began - middle.began > APART_MOST_MS) return undefined
    if (!ranOn(middle, last)) return { ...last, values: agreedTwice(middle, last) }
    if (before === undefined || middle.began - before.began > APART_MOST_MS) return undefined
    return { ...middle, values: agreedThrice(before, middle, last) }
  }

  function judge({ meterId, values, frame, began }: Heard): Result<MeterReading> | undefined {
    pinned ??= meterId
    if (meterId !== pinned) {
      obstacle = { code: 'meter.identity', page, expected: pinned, received: meterId }
      return undefined
    }
    const rising = counters.keepRising(values, began)
    if (rising.length === 0) return undefined
    obstacle = undefined
    return ok({
      meterId,
      taken: later(clock.now(), began - clock.mono()),
      takenMono: began,
      values: rising,
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
      let cancel = timers.after(deadlineMs, () => {
        // The telegram that was waited for has come, and the one that bears it out is on its way.
        if (unproven.some(one => one.from >= waiter.from)) cancel = timers.after(deadlineMs, giveUp)
        else giveUp()
      })
      function giveUp(): void {
        const silent = { code: 'meter.silent', page, line: line.name, afterMs: deadlineMs, lastJunk: lastJunk?.code }
        waiter.settle(fail(obstacle ?? silent))
        lastJunk = undefined
        obstacle = undefined
        silentReads++
        if (silentReads < DEAF_READS) return
        silentReads = 0
        link.restart({ code: 'meter.line-deaf', line: line.name, reads: DEAF_READS })
      }
      waiters = [...waiters, waiter]
    })
  }

  return { page, open: link.open, read, close: link.close }
}
