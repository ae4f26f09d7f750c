/** Writes what dsmr.ts reads: the v5 telegram that a meter simulator sends. */
import { concat, toHex, utf8 } from '../bytes.ts'
import { crcArc } from './crc16.ts'
import { type MeterValue, towardZeroAt } from './obis.ts'

export interface DsmrTelegram {
  /** Identification line without its slash, as in `TLN5\253769484_A`. */
  readonly model: string
  /** Serial number in ASCII; sent as hex. */
  readonly equipmentId: string
  /** YYMMDDhhmmss and S or W. */
  readonly timestamp: string
  readonly values: readonly MeterValue[]
}

/** How v5.0.2 writes each unit (table 6-6): printed unit, its power of ten, digits before and behind the point. */
const FORMATS: Readonly<Record<string, readonly [text: string, prefix: number, whole: number, fraction: number]>> = {
  Wh: ['kWh', 3, 6, 3],
  W: ['kW', 3, 2, 3],
  V: ['V', 0, 3, 1],
  A: ['A', 0, 3, 0],
}

/** The telegram's bytes. A digit that the format has no room for is cut off, as a meter's display does. */
export function encodeDsmr(telegram: DsmrTelegram): Uint8Array {
  const { model, equipmentId, timestamp, values } = telegram
  const head = utf8(
    [
      `/${model}`,
      '',
      '1-3:0.2.8(50)',
      `0-0:1.0.0(${timestamp})`,
      `0-0:96.1.1(${toHex(utf8(equipmentId)).toUpperCase()})`,
      ...values.map(dataLine),
      '!',
    ].join('\r\n'),
  )
  return concat(head, utf8(`${crcArc(head).toString(16).toUpperCase().padStart(4, '0')}\r\n`))
}

function dataLine(value: MeterValue): string {
  const format = FORMATS[value.unit]
  if (format === undefined || value.value < 0n) throw new Error(`P1 has no form for ${value.obis} in ${value.unit}`)
  const [text, prefix, whole, fraction] = format
  const digits = towardZeroAt(value, prefix - fraction)
    .toString()
    .padStart(whole + fraction, '0')
  if (digits.length > whole + fraction) throw new Error(`${value.obis} does not fit ${whole} digits`)
  const point = fraction === 0 ? '' : `.${digits.slice(whole)}`
  return `${value.obis}(${digits.slice(0, whole)}${point}*${text})`
}
