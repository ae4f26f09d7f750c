/** What a ledger keeps of grid meters: in which windows they have contracts, and what was counted of each. */
import type { Energy } from '../quantity.ts'
import { big, type Codec, flag, integer, list, record } from '../record.ts'
import { energy, hash32, time } from './fields.ts'
import type { Table } from './table.ts'

/** Contracts of one meter in one window: a record is bounded, and the settlement of a window is too. */
export const MAX_WINDOW_DEALS = 16

/** Windows of one meter that are open, a week of quarter hours as for bookings. */
export const MAX_METER_WINDOWS = 672

/** 4.6 PWh, in mWh: no meter's register stands higher. */
export const MAX_REGISTER_MWH = 2n ** 62n

const register = big<Energy>(0n, MAX_REGISTER_MWH)

const gridMeter = record(
  {
    /** By rising start. A closed one stays while one before it is open: its counts bound what that one may count. */
    windows: [
      1,
      list(
        record(
          { start: [1, time], end: [2, time], selling: [3, flag], closed: [4, flag] },
          {
            /** From the least to the highest register that a receipt of this window counted, mWh. */
            from: [5, register],
            to: [6, register],
          },
        ),
        0,
        MAX_METER_WINDOWS,
      ),
    ],
  },
  {
    /** Highest registers that windows before all of these counted to. */
    exported: [2, register],
    imported: [3, register],
  },
)

const meterWindow = record(
  {
    end: [1, time],
    selling: [2, flag],
    /** The same for all contracts of the window. */
    receiptBy: [3, time],
    settleBy: [4, time],
    /** Every contract that was committed for this meter and window. */
    deals: [5, list(record({ deal: [1, hash32], energy: [2, energy] }), 1, MAX_WINDOW_DEALS)],
    /** Of these, how many are not closed yet. */
    open: [6, integer(1, MAX_WINDOW_DEALS)],
  },
  {
    /** The least that a receipt of the meter counted in this window, and the block time of the first receipt. */
    counted: [7, record({ energy: [1, energy], since: [2, time] })],
  },
)

type ValueOf<C> = C extends Codec<infer T> ? T : never
export type GridMeter = ValueOf<typeof gridMeter>
export type MeterWindow = ValueOf<typeof meterWindow>

/** By meter, from its first contract over the grid on. */
export const GRID_METERS: Table<GridMeter> = { prefix: 'grid/meter/', codec: gridMeter }
/** Under `grid/window/<meter>/<start>`, until its last contract is closed. */
export const METER_WINDOWS: Table<MeterWindow> = { prefix: 'grid/window/', codec: meterWindow }

export const windowId = (meterId: string, start: number): string => `${meterId}/${start}`
