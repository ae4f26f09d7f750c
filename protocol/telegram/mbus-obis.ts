/**
 * OBIS names for the records of an M-Bus meter: electricity by IEC 62056-61, other media by EN 13757-1 as OMS (volume 2,
 * annex A) uses it. Only what a meter says of now, of itself as a whole, and in a way that leaves one meaning, has a name.
 */
import type { MbusRecord } from './mbus-record.ts'
import type { Measured, Quantity } from './mbus-vif.ts'
import type { MeterValue, Obis } from './obis.ts'

const ELECTRICITY = 2

/** Media by their code in the header, with the group A of their names: outlet and inlet, cold and unstated, warm and hot. */
const MEDIA: ReadonlyMap<number, number> = new Map([
  [ELECTRICITY, 1],
  [3, 7],
  [4, 6],
  [6, 9],
  [7, 8],
  [0x0a, 5],
  [0x0b, 5],
  [0x0c, 6],
  [0x15, 9],
  [0x16, 8],
])
const THERMAL: Partial<Record<Quantity, string>> = {
  energy: '1.0.0',
  volume: '2.0.0',
  power: '8.0.0',
  flow: '9.0.0',
  'flow temperature': '10.0.0',
  'return temperature': '11.0.0',
}
const GAS: Partial<Record<Quantity, string>> = { volume: '3.0.0' }
const WATER: Partial<Record<Quantity, string>> = { volume: '1.0.0', flow: '2.0.0' }
const BY_GROUP: ReadonlyMap<number, Partial<Record<Quantity, string>>> = new Map([
  [5, THERMAL],
  [6, THERMAL],
  [7, GAS],
  [8, WATER],
  [9, WATER],
])

/** Group C of import and export, for the sum of the phases; each phase is 20 further. */
const DIRECTIONAL: Partial<Record<Quantity, readonly [forward: number, backward: number]>> = {
  energy: [1, 2],
  power: [1, 2],
  'reactive energy': [3, 4],
  'reactive power': [3, 4],
  'apparent power': [9, 10],
}
const PLAIN: Partial<Record<Quantity, number>> = { current: 11, voltage: 12, frequency: 14 }
const SIGNED_POWER = 16
const PHASE_STEP = 20
/** Rates of group E (IEC 62056-61, clause 5.5). */
const TARIFF_MOST = 63

/** The values of a meter's records; a name that two records give differently is left out. */
export function mbusValues(medium: number, records: readonly MbusRecord[]): readonly MeterValue[] {
  const values = new Map<Obis, MeterValue | undefined>()
  for (const { storage, kind, subunit, tariff, measured, number } of records) {
    if (storage !== 0 || kind !== 'instantaneous' || subunit !== 0) continue
    if (measured === undefined || number === undefined) continue
    const obis = nameOf(medium, measured, tariff, number.value)
    if (obis === undefined) continue
    const value: MeterValue = { obis, ...number, unit: measured.unit }
    const before = values.get(obis)
    const same = before?.value === value.value && before.scaler === value.scaler && before.unit === value.unit
    values.set(obis, values.has(obis) && !same ? undefined : value)
  }
  return [...values.values()].filter(value => value !== undefined)
}

function nameOf(medium: number, measured: Measured, tariff: number, value: bigint): Obis | undefined {
  const group = MEDIA.get(medium)
  if (group === undefined) return undefined
  if (medium === ELECTRICITY) return electricityName(measured, tariff, value)
  const rest = BY_GROUP.get(group)?.[measured.quantity]
  const plain = measured.direction === 'both' && measured.phase === 0 && tariff === 0
  // Counters of water and heat that are below zero are the all-ones of "not available".
  const counted = measured.quantity === 'energy' || measured.quantity === 'volume'
  return rest === undefined || !plain || (counted && value < 0n) ? undefined : `${group}-0:${rest}`
}

function electricityName(measured: Measured, tariff: number, value: bigint): Obis | undefined {
  const { quantity, unit, direction, phase } = measured
  const plain = PLAIN[quantity]
  if (plain !== undefined) {
    if (direction !== 'both' || tariff !== 0 || value < 0n) return undefined
    return `1-0:${plain + PHASE_STEP * phase}.7.0`
  }
  const pair = DIRECTIONAL[quantity]
  if (pair === undefined || unit === 'J') return undefined
  const c = (direction === 'backward' ? pair[1] : pair[0]) + PHASE_STEP * phase
  if (quantity.endsWith('energy')) return value < 0n || tariff > TARIFF_MOST ? undefined : `1-0:${c}.8.${tariff}`
  if (tariff !== 0) return undefined
  if (value >= 0n) return `1-0:${c}.7.0`
  // A power below zero, of no direction, can only be the signed one; the reactive sum is signed under its own name.
  if (direction !== 'both') return undefined
  if (quantity === 'power') return `1-0:${SIGNED_POWER + PHASE_STEP * phase}.7.0`
  return quantity === 'reactive power' ? `1-0:${c}.7.0` : undefined
}
