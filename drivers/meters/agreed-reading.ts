/**
 * One reading from the two or three readouts that bear it out, for meters whose checksums are too weak to believe one readout
 * alone. The identity is one of the things that they have to agree on.
 */
import { sha256 } from '../../protocol/crypto/hash.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { agreedThrice, agreedTwice, ofNow, ranOn, type Said } from '../../protocol/telegram/agreement.ts'
import { later, type Mono } from '../../protocol/time.ts'
import type { Clock, Log, MeterReading } from '../ports.ts'
import { createCounterWatch } from './counters.ts'

/** What one readout said. */
export interface Heard extends Said {
  readonly raw: Uint8Array
  /** When it began: nothing in it is older. */
  readonly began: Mono
}

export interface AgreedParts {
  readonly page: string
  readonly clock: Clock
  /** The identity that the meter must have; without one, the first that two readouts gave is pinned until restart. */
  readonly meterId?: string
  readonly log?: Log
}

const READOUTS_MOST = 3

/** Reads out until two readouts, or three, agree; the first fault of a readout is the answer. */
export function createAgreedReader(
  parts: AgreedParts,
): (readout: () => Promise<Result<Heard>>) => Promise<Result<MeterReading>> {
  const { page, clock, log } = parts
  const counters = createCounterWatch(page, log)
  let pinned = parts.meterId

  return async readout => {
    const heard: Heard[] = []
    while (heard.length < READOUTS_MOST) {
      const one = await readout()
      if (!one.ok) return one
      heard.push({ ...one.value, values: ofNow(one.value.values) })
      const [a, b, c] = heard
      if (a === undefined || b === undefined || (c === undefined && ranOn(a, b))) continue
      // One readout alone may have the identity wrong as well.
      if (a.meterId !== b.meterId) break
      const { meterId, began, raw } = b
      pinned ??= meterId
      if (meterId !== pinned) return fail({ code: 'meter.identity', page, expected: pinned, received: meterId })
      const values = counters.keepRising(c === undefined ? agreedTwice(a, b) : agreedThrice(a, b, c), began)
      if (values.length === 0) break
      return ok({
        meterId,
        taken: later(clock.now(), began - clock.mono()),
        takenMono: began,
        values,
        rawHash: sha256(raw),
      })
    }
    return fail({ code: 'meter.nothing-certain', page, readouts: heard.length })
  }
}
