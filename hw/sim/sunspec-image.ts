/** A SunSpec device: the marker, models one behind the other, the end model. What stands in a model is the caller's own affair. */
import type { ModbusBank } from './modbus-slave.ts'

export interface SunspecModel {
  readonly id: number
  /** The registers behind the length register, which says how many they are. */
  readonly words: readonly number[]
}

export interface SunspecOptions {
  /** Where the marker stands; 40000 unless told. */
  readonly base?: number
  /** Asked at each read. */
  readonly models: () => readonly SunspecModel[]
}

const MARKER = [0x5375, 0x6e53]
const END = [0xffff, 0]

/** A text in registers: two characters each, the first in the high byte, zeros behind it. */
export const sunspecText = (text: string, registers: number): readonly number[] =>
  Array.from({ length: registers }, (_, i) => {
    const code = (at: number): number => (at < text.length ? text.charCodeAt(at) : 0)
    return (code(2 * i) << 8) | code(2 * i + 1)
  })

export const sunspecBank = ({ base = 40_000, models }: SunspecOptions): ModbusBank => ({
  registers: () => {
    const words = [...MARKER, ...models().flatMap(({ id, words }) => [id, words.length, ...words]), ...END]
    return (table, address) => (table === 'holding' ? words[address - base] : undefined)
  },
})
