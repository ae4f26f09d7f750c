/** Writes values into Modbus registers the way a meter's maker lays them out. */
import type { Registers, RegisterTable } from './modbus-bank.ts'

/** What flows on one conductor: power import-positive. */
export interface Phase {
  readonly voltageMv: number
  readonly currentMa: number
  readonly powerMw: number
}

/** Energies in milliwatt-hours or their like: milli-var-hours. */
export interface Counted {
  readonly imported: bigint
  readonly exported: bigint
}

/** What a simulated meter measures, as the wires see it: power import-positive, energies in milliwatt-hours. */
export interface Measured extends Phase, Counted {
  readonly frequencyMhz: number
  /** L1 to L3; left out, all of it flows on the first, and the others have its voltage and carry nothing. */
  readonly phases?: readonly [Phase, Phase, Phase]
  /** Inductive positive; left out, there is none. */
  readonly reactiveMvar?: number
  readonly reactive?: Counted
  /** Of the energies, what the first of two tariffs counted; left out, the second counted all. */
  readonly firstTariff?: Counted
}

export type Words = readonly number[]

/** An IEEE 754 single in two registers, high word first; the nearest one, as a meter's own arithmetic gives. */
export function f32(value: number): Words {
  const view = new DataView(new ArrayBuffer(4))
  view.setFloat32(0, value)
  return [view.getUint16(0), view.getUint16(2)]
}

export const u32 = (value: number): Words => [value >>> 16, value & 0xffff]

export const lowWordFirst = ([high = 0, low = 0]: Words): Words => [low, high]

/** Kilowatt-hours of a counter that shows whole watt-hours. */
export const kWh = (energy: bigint): number => Number(energy / 1000n) / 1000

/** One run of registers and what stands in it. */
export interface Field {
  readonly table: RegisterTable
  readonly address: number
  readonly words: (measured: Measured) => Words
}

/** Shows how many registers a field has. */
const NOTHING: Measured = { voltageMv: 0, currentMa: 0, powerMw: 0, frequencyMhz: 0, imported: 0n, exported: 0n }

/** The registers of these fields. `hole` is what a register between them reads, undefined for an exception. */
export function registersOf(fields: readonly Field[], measure: () => Measured, hole: Registers): () => Registers {
  const at = new Map<string, readonly [field: Field, offset: number]>()
  for (const field of fields)
    field.words(NOTHING).forEach((_, offset) => {
      const key = `${field.table} ${field.address + offset}`
      if (at.has(key)) throw new Error(`two fields at ${key}`)
      at.set(key, [field, offset])
    })
  return () => {
    const measured = measure()
    return (table, address) => {
      const found = at.get(`${table} ${address}`)
      return found === undefined ? hole(table, address) : found[0].words(measured)[found[1]]
    }
  }
}
