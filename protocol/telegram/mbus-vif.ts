/**
 * Value information of M-Bus records (EN 13757-3:2013, clause 6.4): which quantity a record is, in which unit and to which
 * power of ten, by its VIF and VIFEs. What is not in these tables has no quantity here, and gives no value.
 */
import type { UnitName } from './obis.ts'

export type Quantity =
  | 'energy'
  | 'volume'
  | 'power'
  | 'flow'
  | 'flow temperature'
  | 'return temperature'
  | 'external temperature'
  | 'voltage'
  | 'current'
  | 'frequency'
  | 'reactive energy'
  | 'reactive power'
  | 'apparent power'

/** What a record measures, when every byte of its value information is understood. */
export interface Measured {
  readonly quantity: Quantity
  readonly unit: UnitName
  /** Factor of the record's number besides its power of ten: minutes and seconds as parts of an hour. */
  readonly times: bigint
  readonly scaler: number
  /** Accumulated, or counted, in the one direction only. */
  readonly direction: 'both' | 'forward' | 'backward'
  /** 0 for the sum, 1 to 3 for a phase against neutral. */
  readonly phase: 0 | 1 | 2 | 3
}

/** First and last code, quantity, unit, power of ten of the first, factor. */
type Row = readonly [first: number, last: number, Quantity, UnitName, power: number, times?: bigint]

/** Table 10, primary VIFs. */
const PRIMARY: readonly Row[] = [
  [0x00, 0x07, 'energy', 'Wh', -3],
  [0x08, 0x0f, 'energy', 'J', 0],
  [0x10, 0x17, 'volume', 'm3', -6],
  [0x28, 0x2f, 'power', 'W', -3],
  [0x38, 0x3f, 'flow', 'm3/h', -6],
  [0x40, 0x47, 'flow', 'm3/h', -7, 60n],
  [0x48, 0x4f, 'flow', 'm3/h', -9, 3600n],
  [0x58, 0x5b, 'flow temperature', 'degC', -3],
  [0x5c, 0x5f, 'return temperature', 'degC', -3],
  [0x64, 0x67, 'external temperature', 'degC', -3],
]
/** Table 14, after FB. */
const AFTER_FB: readonly Row[] = [
  [0x00, 0x01, 'energy', 'Wh', 5],
  [0x02, 0x03, 'reactive energy', 'varh', 3],
  [0x08, 0x09, 'energy', 'J', 8],
  [0x10, 0x11, 'volume', 'm3', 2],
  [0x14, 0x17, 'reactive power', 'var', 0],
  [0x28, 0x29, 'power', 'W', 5],
  [0x2c, 0x2f, 'frequency', 'Hz', -3],
  [0x34, 0x37, 'apparent power', 'VA', 0],
]
/** Table 12, after FD. */
const AFTER_FD: readonly Row[] = [
  [0x40, 0x4f, 'voltage', 'V', -9],
  [0x50, 0x5f, 'current', 'A', -12],
]

const EXTENSION_FB = 0xfb
const EXTENSION_FD = 0xfd
const MORE = 0x80
/** Combinable VIFEs, table 15: no error; forward only; backward only; times 10^(n-6); times 1,000; a second table follows. */
const NO_ERROR = 0x00
const FORWARD = 0x3b
const BACKWARD = 0x3c
const TIMES_FIRST = 0x70
const TIMES_LAST = 0x77
const TIMES_1000 = 0x7d
const SECOND_TABLE = 0x7c

/** What the bytes of one record's value information say; undefined where any of them is not understood. */
export function measuredBy(vib: Uint8Array): Measured | undefined {
  const [first = 0, second = 0] = vib
  const extended = first === EXTENSION_FB || first === EXTENSION_FD
  const table = first === EXTENSION_FB ? AFTER_FB : first === EXTENSION_FD ? AFTER_FD : PRIMARY
  const code = (extended ? second : first) & ~MORE
  const row = table.find(([from, to]) => code >= from && code <= to)
  if (row === undefined) return undefined
  const [from, , quantity, unit, power, times = 1n] = row
  const said = combine(vib.subarray(extended ? 2 : 1))
  if (said === undefined) return undefined
  const { exponent, direction, phase } = said
  return { quantity, unit, times, scaler: power + code - from + exponent, direction, phase }
}

interface Combined {
  exponent: number
  direction: Measured['direction']
  phase: Measured['phase']
}

/** Limits, averages, corrections by an offset, values to come, errors and all that a maker may mean by them are not combined. */
function combine(vifes: Uint8Array): Combined | undefined {
  const said: Combined = { exponent: 0, direction: 'both', phase: 0 }
  for (let i = 0; i < vifes.length; i++) {
    const code = vifes[i]! & ~MORE
    if (code >= TIMES_FIRST && code <= TIMES_LAST) said.exponent += code - TIMES_FIRST - 6
    else if (code === TIMES_1000) said.exponent += 3
    else if (code === FORWARD && said.direction === 'both') said.direction = 'forward'
    else if (code === BACKWARD && said.direction === 'both') said.direction = 'backward'
    else if (code === SECOND_TABLE && said.phase === 0) {
      const phase = (vifes[++i] ?? 0) & ~MORE
      if (phase !== 1 && phase !== 2 && phase !== 3) return undefined
      said.phase = phase
    } else if (code !== NO_ERROR) return undefined
  }
  return said
}
