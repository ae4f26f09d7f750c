/** The records of a trial: their bytes are drawn from number and size, so that none is taken for another. */
import type { Keeping } from '../../../drivers/store/journal-state.ts'

const HEADER = 12
/** So that nothing else looks like one. */
const MARK = 0x7265_6364
/** Of this kind a restart needs the newest. */
export const KEPT = 'k'

export const isKept = (number: number): boolean => number % 7 === 0
export const kindOf = (number: number): string => (isKept(number) ? KEPT : 'r')
export const keeping: Keeping = ({ kind }) => (kind === KEPT ? { as: KEPT } : undefined)

/** A mark, its number and size, then `size` bytes. */
export function recordOf(number: number, size: number): Uint8Array {
  const bytes = new Uint8Array(HEADER + size).map((_, i) => number * 31 + size * 7 + i + (i >> 8))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MARK)
  view.setUint32(4, number)
  view.setUint32(8, size)
  return bytes
}

export const numberOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(4)
