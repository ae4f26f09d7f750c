/**
 * Slots of one size in pages of flat memory: what the state tree is made of, because a million small objects cost ten times
 * their bytes and every garbage collection walks them.
 *
 *     page    slot 0 | slot 1 | ... | slot 2^n - 1        a free slot begins with the number of the next free one
 *
 * A page without a used slot gives its memory back.
 */

/** A page's memory, as bytes and as 32-bit words (of the machine's byte order: they never leave it). */
export interface Memory {
  readonly bytes: Uint8Array
  readonly words: Uint32Array
}

export interface Slots {
  /** Bytes of memory held. */
  readonly bytes: number
  /** Slots in use. */
  readonly used: number
  /** A slot with whatever was in it before. */
  take(): number
  give(slot: number): void
  memory(slot: number): Memory
  /** Where the slot begins in its page's bytes; a multiple of four. */
  offset(slot: number): number
}

/** Large enough that a page's own objects (some 400 bytes) do not count, small enough for a tree of ten leaves. */
const PAGE_BYTES = 64 * 1024
/** A reference holds 30 bits of slot number, so that it stays a small integer of the engine with two bits beside it. */
const MAX_SLOTS = 2 ** 30

interface Page {
  memory: Memory | undefined
  used: number
  /** Slots before this one have been used since the page got its memory. */
  fresh: number
  /** One more than the first free slot below `fresh`, 0 where there is none. */
  free: number
}

/** Slots of `size` bytes, a multiple of four. */
export function createSlots(size: number): Slots {
  const shift = Math.max(0, 31 - Math.clz32(Math.floor(PAGE_BYTES / size)))
  const perPage = 1 << shift
  const mask = perPage - 1
  const words = size >> 2
  const pages: Page[] = []
  /** The pages with a free slot, each once. */
  const roomy: number[] = []
  let held = 0
  let used = 0

  function hold(page: Page): Memory {
    const buffer = new ArrayBuffer(size * perPage)
    page.memory = { bytes: new Uint8Array(buffer), words: new Uint32Array(buffer) }
    held += buffer.byteLength
    return page.memory
  }

  return {
    get bytes() {
      return held
    },
    get used() {
      return used
    },
    take() {
      if (roomy.length === 0) {
        if ((pages.length + 1) * perPage > MAX_SLOTS) throw new RangeError(`more than ${MAX_SLOTS} slots`)
        roomy.push(pages.length)
        pages.push({ memory: undefined, used: 0, fresh: 0, free: 0 })
      }
      const number = roomy[roomy.length - 1]!
      const page = pages[number]!
      const memory = page.memory ?? hold(page)
      let slot = page.fresh
      if (page.free === 0) page.fresh++
      else {
        slot = page.free - 1
        page.free = memory.words[slot * words]!
      }
      used++
      if (++page.used === perPage) roomy.pop()
      return number * perPage + slot
    },
    give(slot) {
      const number = slot >>> shift
      const page = pages[number]!
      if (page.used === perPage) roomy.push(number)
      used--
      if (--page.used === 0) {
        page.memory = undefined
        page.fresh = page.free = 0
        held -= size * perPage
        return
      }
      page.memory!.words[(slot & mask) * words] = page.free
      page.free = (slot & mask) + 1
    },
    memory: slot => pages[slot >>> shift]!.memory!,
    offset: slot => (slot & mask) * size,
  }
}
