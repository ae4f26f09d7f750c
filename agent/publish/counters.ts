/** Carries rising.ts out: counters out of signed readings and the journal, told once what they rest on is durable. */
import type { Log } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { type MeterValue, towardZeroAt } from '../../protocol/telegram/obis.ts'
import { PART } from '../keeping.ts'
import { meterOf, readingOf } from '../metering/history-form.ts'
import { readMeteringRecord } from '../metering/journal-form.ts'
import type { Metering } from '../metering/run.ts'
import { registerName } from './registers.ts'
import { type Risen, type RisenByName, readRisen, rise, risenText } from './rising.ts'

/** Registers are told to a thousandth of their unit, as finely as any meter counts. */
export const COUNTER_SCALER = -3
/** Every base, whenever one changed. */
const KIND = `${PART}published`

export interface Counters {
  /** In COUNTER_SCALER; undefined while nothing of it is signed, its base is not durable, or it shows less than it did. */
  told(meter: string, register: string): bigint | undefined
}

export interface CountersOptions {
  readonly journal: Pick<Journal, 'kept' | 'append'>
  readonly metering: Pick<Metering, 'onSigned'>
  readonly log: Log
}

export function createCounters({ journal, metering, log }: CountersOptions): Counters {
  let risen: Record<string, Risen> = {}
  /** What stands in the journal: by it a restart goes on. */
  let durable: RisenByName = {}
  const shown = new Map<string, bigint>()
  const exchanged = new Set<string>()
  let writing = false

  const isDurable = (key: string): boolean => {
    const [now, then] = [risen[key]!, durable[key]]
    // A first meter has no base, and needs no record of it.
    return then === undefined ? !exchanged.has(key) : then.meterId === now.meterId && then.base === now.base
  }

  /** Of counters that another meter has in `after`, nothing is taken. */
  function take(meter: string, meterId: string, registers: readonly MeterValue[], after: RisenByName = {}): void {
    for (const value of registers) {
      const name = registerName(value.obis)
      if (name?.kind !== 'counter' || value.unit !== name.unit) continue
      const key = `${meter} ${name.id}`
      if (after[key] !== undefined && after[key].meterId !== meterId) continue
      const next = rise(risen[key], meterId, towardZeroAt(value, COUNTER_SCALER))
      if (next === undefined) {
        shown.delete(key)
        continue
      }
      if (risen[key] !== undefined && risen[key].meterId !== meterId) exchanged.add(key)
      risen[key] = next.risen
      shown.set(key, next.told)
    }
  }

  async function keep(): Promise<void> {
    if (writing || Object.keys(risen).every(isDurable)) return
    writing = true
    const now = { ...risen }
    const written = await journal.append(KIND, utf8(risenText(now)), { urgent: true })
    writing = false
    // Tried again with the next reading; until then the counter is not told.
    if (written.ok) durable = now
    else log('warn', 'publish', 'a counter of an exchanged meter is not told: its base is not kept', written.fault)
  }

  const kept = journal.kept()
  const at = kept.findIndex(({ kind }) => kind === KIND)
  if (at !== -1) {
    const read = readRisen(fromUtf8(kept[at]!.bytes) ?? '')
    if (read === undefined) log('warn', 'publish', 'what was kept of the counters makes no sense')
    durable = read ?? {}
    risen = { ...durable }
    for (const [key, { base, last }] of Object.entries(durable)) shown.set(key, base + last)
  }
  for (const [i, { kind, bytes }] of kept.entries()) {
    const record = kind === 'reading' ? readMeteringRecord(bytes) : undefined
    const reading = record && readingOf(record.envelope)
    // The last readings of meters that were gone when the bases were kept say nothing new.
    if (reading !== undefined) take(record!.name, record!.meterId, reading.registers, i < at ? durable : {})
  }
  void keep()
  metering.onSigned((meter, { context, reading }) => {
    const meterId = meterOf(context)
    if (meterId === undefined) return
    take(meter, meterId, reading.registers)
    void keep()
  })
  return {
    told(meter, register) {
      const key = `${meter} ${register}`
      return risen[key] !== undefined && isDurable(key) ? shown.get(key) : undefined
    },
  }
}
