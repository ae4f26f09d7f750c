/**
 * Keys and values of the state tree in flat memory: one slot a record, in sizes that waste little.
 *
 *     record     key length (4) | value length (4) | key | value
 *     reference  size class (7 bits) | slot of that class (25 bits)
 */
import { createSlots, type Slots } from './smt-slots.ts'

export interface Records {
  /** Bytes of memory held. */
  readonly bytes: number
  /** A reference to a copy of both. */
  put(key: Uint8Array, value: Uint8Array): number
  free(record: number): void
  /** A copy: the memory is used again when the record is freed. */
  key(record: number): Uint8Array
  /** A copy. */
  value(record: number): Uint8Array
  hasKey(record: number, key: Uint8Array): boolean
  hasValue(record: number, value: Uint8Array): boolean
}

const HEAD = 8
/** Records up to here come in steps of 8 bytes; most are accounts of about a hundred. */
const SMALL = 256
const SMALL_STEP = 8
const SMALL_CLASSES = SMALL / SMALL_STEP
const SLOT_BITS = 25
const SLOT_MASK = 2 ** SLOT_BITS - 1

/** The size class of so many bytes, and the bytes of its slots: above 256 four steps a doubling, up to 2^31. */
export function sizeClass(bytes: number): readonly [number: number, size: number] {
  if (bytes <= SMALL) {
    const steps = Math.ceil(bytes / SMALL_STEP)
    return [steps - 1, steps * SMALL_STEP]
  }
  if (bytes > 2 ** 31) throw new RangeError(`a record of ${bytes} bytes`)
  const doubling = 31 - Math.clz32(bytes - 1)
  const step = 2 ** (doubling - 2)
  const quarters = Math.ceil(bytes / step)
  return [SMALL_CLASSES + (doubling - 8) * 4 + quarters - 5, quarters * step]
}

export function createRecords(): Records {
  const classes: (Slots | undefined)[] = []

  const slotsOf = (record: number): Slots => classes[record >>> SLOT_BITS]!
  /** The bytes of a record's page, and where its key begins, its value begins and it ends. */
  function place(record: number) {
    const slots = slotsOf(record)
    const slot = record & SLOT_MASK
    const { bytes, words } = slots.memory(slot)
    const head = slots.offset(slot)
    const key = head + HEAD
    const value = key + words[head >> 2]!
    return { bytes, key, value, end: value + words[(head >> 2) + 1]! }
  }

  return {
    get bytes() {
      return classes.reduce((sum, slots) => sum + (slots?.bytes ?? 0), 0)
    },
    put(key, value) {
      const [number, size] = sizeClass(HEAD + key.length + value.length)
      classes[number] ??= createSlots(size)
      const slots = classes[number]!
      const slot = slots.take()
      if (slot > SLOT_MASK) throw new RangeError(`more than ${SLOT_MASK} records of ${size} bytes`)
      const { bytes, words } = slots.memory(slot)
      const head = slots.offset(slot)
      words[head >> 2] = key.length
      words[(head >> 2) + 1] = value.length
      bytes.set(key, head + HEAD)
      bytes.set(value, head + HEAD + key.length)
      return ((number << SLOT_BITS) | slot) >>> 0
    },
    free: record => slotsOf(record).give(record & SLOT_MASK),
    key(record) {
      const { bytes, key, value } = place(record)
      return bytes.slice(key, value)
    },
    value(record) {
      const { bytes, value, end } = place(record)
      return bytes.slice(value, end)
    },
    hasKey(record, wanted) {
      const { bytes, key, value } = place(record)
      return equalAt(bytes, key, value, wanted)
    },
    hasValue(record, wanted) {
      const { bytes, value, end } = place(record)
      return equalAt(bytes, value, end, wanted)
    },
  }
}

function equalAt(bytes: Uint8Array, from: number, to: number, wanted: Uint8Array): boolean {
  if (to - from !== wanted.length) return false
  for (let i = 0; i < wanted.length; i++) if (bytes[from + i] !== wanted[i]) return false
  return true
}
