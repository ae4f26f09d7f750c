/**
 * Energy counters never go back, and rise no faster than the wires carry. One that goes back was reset, replaced or misread:
 * it is left out, and stays out until it has passed its highest believed value again or a person restarts the meter's
 * driver. One that leaps was misread (one frame in 65,536 damaged ones passes its CRC) or the line was driven harder than its
 * page knows: it is left out until a second reading goes on from where it leapt to. None is below zero. One that is first seen
 * at zero may be that of a meter that still starts, after a power cut that stopped both: it is left out for a while.
 */
import { atScaler, type MeterValue, type Obis } from '../../protocol/telegram/obis.ts'
import type { Mono } from '../../protocol/time.ts'
import type { Log } from '../ports.ts'

/** Comparing in millionths keeps every digit that any meter gives. */
const FINEST = -6
/** Three phases of 100 A at 250 V: more than any meter without current transformers carries. */
const DIRECT_MOST_W = 75_000
/** A meter may write its counters down once a minute only, so that the first rise seen holds more than the time between. */
const REFRESH_MS = 60_000
/** Within this a meter that was switched on has found its counters. */
const START_MS = 10_000
/** What a counter's last digit may add to a rise: it is rounded at both ends. */
const STEPS = 2n
const MS_AN_HOUR = 3_600_000n

export interface CounterWatch {
  /** `values`, taken at `at`, without the counters that are not to be believed. */
  keepRising(values: readonly MeterValue[], at: Mono): readonly MeterValue[]
}

/** A counter as it stood, since when. */
interface Stand {
  readonly value: bigint
  readonly since: Mono
}

export function createCounterWatch(meter: string, log?: Log, maxPowerW = DIRECT_MOST_W): CounterWatch {
  const believed = new Map<Obis, Stand>()
  const leapt = new Map<Obis, Stand>()
  /** Since when a counter has stood at zero without ever having been seen elsewhere. */
  const zeros = new Map<Obis, Mono>()

  /** Whether a counter can have come from `stand` to `now` meanwhile. */
  function canRise(stand: Stand, now: bigint, at: Mono, step: bigint): boolean {
    const elapsed = BigInt(Math.ceil(at - stand.since) + REFRESH_MS)
    const most = (BigInt(maxPowerW) * 10n ** BigInt(-FINEST) * elapsed) / MS_AN_HOUR + STEPS * step
    return now >= stand.value && now - stand.value <= most
  }

  /** Whether a counter that nobody has seen elsewhere than at zero stands there for less than a meter takes to start. */
  function isFresh(obis: Obis, at: Mono): boolean {
    const since = zeros.get(obis)
    if (since !== undefined) return at - since < START_MS
    zeros.set(obis, at)
    log?.('info', 'meters', `${meter} gives a counter at zero; it is believed once it has stood there`, {
      code: 'meter.counter-zero',
      obis,
    })
    return true
  }

  function isCredible(value: MeterValue, at: Mono): boolean {
    const { obis } = value
    const now = atScaler(value, FINEST)
    if (value.unit !== 'Wh' || now === undefined) return true
    const before = believed.get(obis)
    if (now < 0n) {
      log?.('warn', 'meters', `${meter} gave a counter below zero`, {
        code: 'meter.counter-negative',
        obis,
        received: now,
      })
      return false
    }
    if (before === undefined && now === 0n && isFresh(obis, at)) return false
    const doubted = leapt.get(obis)
    const step = 10n ** BigInt(Math.max(0, value.scaler - FINEST))
    if (
      before === undefined ||
      canRise(before, now, at, step) ||
      (now >= before.value && doubted !== undefined && canRise(doubted, now, at, step))
    ) {
      leapt.delete(obis)
      // A counter that stands still has stood since it was first seen there.
      if (before?.value !== now) believed.set(obis, { value: now, since: at })
      return true
    }
    const back = now < before.value
    if (!back) leapt.set(obis, { value: now, since: at })
    log?.('warn', 'meters', `${meter} gave a counter that ${back ? 'went back' : 'leapt'}`, {
      code: back ? 'meter.counter-back' : 'meter.counter-leap',
      obis,
      believed: before.value,
      received: now,
      scaler: FINEST,
      sinceMs: at - before.since,
    })
    return false
  }

  return { keepRising: (values, at) => values.filter(value => isCredible(value, at)) }
}
