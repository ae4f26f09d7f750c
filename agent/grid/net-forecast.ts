/**
 * What the grid meter will count in the quarters of an hour to come, by what it counted in earlier days: its import as load,
 * its export as generation (protocol/forecast). Made anew each quarter; until there is an earlier day there is none.
 */
import type { Cancel, Clock, Timers } from '../../drivers/ports.ts'
import { weekendClass } from '../../protocol/forecast/forecast.ts'
import { forecastNet } from '../../protocol/forecast/net.ts'
import { seriesOf } from '../../protocol/forecast/series.ts'
import type { OffsetAt } from '../../protocol/reading/calendar.ts'
import { fail, type Result } from '../../protocol/result.ts'
import { OBIS } from '../../protocol/telegram/obis.ts'
import { instant } from '../../protocol/time.ts'
import type { History } from '../metering/history.ts'
import type { Window } from './decide.ts'

const SLOT_MS = 900_000
/** As far back as one answer of the history reaches. */
const BACK_MS = 33 * 86_400_000
/** A day, and a few slots that have begun. */
const SLOTS = 104
/** By then the last quarter is in the history. */
const LAG_MS = 60_000
const MWH_PER_WH = 1000n

export interface NetForecastOptions {
  readonly history: Pick<History, 'energy'>
  readonly meter: string
  readonly clock: Pick<Clock, 'now'>
  readonly timers: Pick<Timers, 'every'>
  readonly offsetAt: OffsetAt
}

export interface NetForecast {
  /** Median of import less export, whole watt-hours towards 0; undefined unless each quarter of the window is forecast. */
  net(window: Window): bigint | undefined
  stop: Cancel
}

export function createNetForecast({ history, meter, clock, timers, offsetAt }: NetForecastOptions): NetForecast {
  /** mWh by the start of the quarter. */
  let medians: ReadonlyMap<number, bigint> = new Map()
  let madeFor = 0
  let busy = false

  async function make(quarter: number): Promise<Result<ReadonlyMap<number, bigint>>> {
    const asked = { meter, from: instant(quarter - BACK_MS), to: instant(quarter), period: 'quarter' as const }
    const [imported, exported] = await Promise.all([
      history.energy({ ...asked, obis: OBIS.energyImport }),
      history.energy({ ...asked, obis: OBIS.energyExport }),
    ])
    if (!imported.ok) return imported
    const load = seriesOf(imported.value.buckets, SLOT_MS)
    if (!load.ok) return load
    const sent = exported.ok ? seriesOf(exported.value.buckets, SLOT_MS) : exported
    // A meter without a register of export sends nothing; one that counts zero makes a generation of zero.
    const counted = sent.ok && sent.value.energies.some(energy => energy !== undefined)
    const said = forecastNet(
      { load: load.value, ...(counted ? { generation: sent.value } : {}) },
      {
        ...{ from: instant(quarter), slots: SLOTS, now: clock.now(), permilles: [500], offsetAt },
        classAt: weekendClass(offsetAt),
      },
    )
    if (!said.ok) return said
    const found = said.value.slots.flatMap(slot =>
      'energies' in slot ? [[slot.start as number, slot.energies[0]! as bigint] as const] : [],
    )
    return found.length === 0 ? fail({ code: 'forecast.no-history' }) : { ok: true, value: new Map(found) }
  }

  async function look(): Promise<void> {
    const now = clock.now()
    const quarter = Math.floor(now / SLOT_MS) * SLOT_MS
    if (busy || quarter === madeFor || now - quarter < LAG_MS) return
    busy = true
    madeFor = quarter
    const made = await make(quarter)
    // What is not known any more is absent, and never what was thought before.
    medians = made.ok ? made.value : new Map()
    busy = false
  }

  const stop = timers.every(LAG_MS, () => void look())
  return {
    net({ start, end }) {
      if (start % SLOT_MS !== 0 || end % SLOT_MS !== 0 || end <= start) return undefined
      let sum = 0n
      for (let at: number = start; at < end; at += SLOT_MS) {
        const median = medians.get(at)
        if (median === undefined) return undefined
        sum += median
      }
      return sum / MWH_PER_WH
    },
    stop,
  }
}
