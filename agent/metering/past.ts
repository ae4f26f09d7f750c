/** What the journal says of the time before this start, as far as metering goes on from it. */
import type { JournalRecord } from '../../drivers/store/journal-block.ts'
import type { MeterValue } from '../../protocol/telegram/obis.ts'
import type { Instant } from '../../protocol/time.ts'
import type { LastRecords } from './chain.ts'
import { KNOWN_TIME, LOST, METERING_KINDS, readKnownTime, readLost, readMeteringRecord } from './journal-form.ts'

export interface Past {
  /** Takes its own kinds of record out of the journal's replay, in order. */
  take(record: JournalRecord): void
  /** The newest records of each meter, by its serial. */
  readonly ends: ReadonlyMap<string, LastRecords>
  /** The meter that was last seen under each name. */
  readonly pins: ReadonlyMap<string, string>
  /** Counters that each meter had and did not give any more. */
  readonly lost: ReadonlyMap<string, readonly MeterValue[]>
  /** The last time that was known, where readings of an unknown one may have come since. */
  knownTime(): Instant | undefined
  /** The kind of the first record that makes no sense. */
  bad(): string | undefined
}

export function createPast(): Past {
  const ends = new Map<string, LastRecords>()
  const pins = new Map<string, string>()
  const lost = new Map<string, readonly MeterValue[]>()
  let knownTime: Instant | undefined
  let bad: string | undefined

  /** Whether the record makes sense, if it is metering's. */
  function takes({ kind, bytes }: JournalRecord): boolean {
    if (kind === KNOWN_TIME) {
      knownTime = readKnownTime(bytes)
      return knownTime !== undefined
    }
    const metering = METERING_KINDS.find(each => each === kind)
    if (metering === undefined && kind !== LOST) return true
    const record = readMeteringRecord(bytes)
    if (record === undefined) return false
    const { name, meterId, envelope } = record
    if (metering === undefined) {
      const values = readLost(envelope)
      if (values !== undefined) lost.set(meterId, values)
      return values !== undefined
    }
    ends.set(meterId, { ...ends.get(meterId), [metering]: envelope })
    pins.set(name, meterId)
    return true
  }

  return {
    take: record => {
      if (!takes(record)) bad ??= record.kind
    },
    ends,
    pins,
    lost,
    knownTime: () => knownTime,
    bad: () => bad,
  }
}
