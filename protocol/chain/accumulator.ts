/**
 * The header accumulator: the hashes of all headers so far as the leaves of an append-only hash tree (RFC 6962 section 2.1;
 * header 1 is leaf 0). Its size and root are a record of the state, so any old header is proven from the newest AppHash.
 *
 *     level 7      .           kept, as every level above
 *     level 6    .   .         kept: one hash for 64 headers
 *     1 to 5                   computed from at most 32 header hashes when a proof asks
 *     headers  ............    kept: 32 bytes each, 33 with everything above
 */
import { sha256 } from '../crypto/hash.ts'
import { big, bytes, record } from '../record.ts'
import { innerHash, leafHash, type MerkleProof, rootOfHashes } from './merkle.ts'

/** Where the record stands in the state. */
export const HEADERS_KEY = 'headers'

/** The accumulator as the state keeps it. */
export const accumulatedCodec = record({
  /** Headers in it: 1 to the height of the state. */
  size: [1, big(0n, BigInt(Number.MAX_SAFE_INTEGER))],
  root: [2, bytes(32)],
})

export interface Accumulator {
  readonly size: number
  append(headerHash: Uint8Array): void
  /** Forgets all but the first `size`. */
  truncate(size: number): void
  /** Of the first `size` headers, or of all. */
  root(size?: number): Uint8Array
  /** That a header hash is leaf `index` under the root of the first `size`: see `verifyMerkleProof`. */
  prove(index: number, size: number): MerkleProof
  /** The first `size` header hashes. */
  hashes(size: number): IterableIterator<Uint8Array>
  /** Bytes of memory held. */
  readonly memory: number
}

/** The lowest level kept: below it a hash costs memory for every header and saves at most 64 hashes in a proof. */
const KEPT_LEVEL = 6

const PAGE_HASHES = 2048

/** Hashes in pages of flat memory. */
function createHashes() {
  const pages: Uint8Array[] = []
  let length = 0
  return {
    get memory() {
      return pages.length * PAGE_HASHES * 32
    },
    push(hash: Uint8Array): void {
      if (length === pages.length * PAGE_HASHES) pages.push(new Uint8Array(PAGE_HASHES * 32))
      pages[pages.length - 1]!.set(hash, (length % PAGE_HASHES) * 32)
      length++
    },
    /** A copy. */
    get(index: number): Uint8Array {
      const at = (index % PAGE_HASHES) * 32
      return pages[Math.floor(index / PAGE_HASHES)]!.slice(at, at + 32)
    },
    truncate(to: number): void {
      length = Math.min(length, to)
      pages.length = Math.ceil(length / PAGE_HASHES)
    },
  }
}

export function createAccumulator(): Accumulator {
  const headers = createHashes()
  /** Roots of full subtrees, from KEPT_LEVEL up. */
  const levels: ReturnType<typeof createHashes>[] = []
  /** Roots of the full subtrees that the headers so far fall into, the largest first. */
  let peaks: Uint8Array[] = []
  let size = 0

  /** The root of the full subtree number `index` of 2^level headers. */
  function node(level: number, index: number): Uint8Array {
    if (level >= KEPT_LEVEL) return levels[level - KEPT_LEVEL]!.get(index)
    const span = 2 ** level
    return rootOfHashes(Array.from({ length: span }, (_, i) => leafHash(headers.get(index * span + i))))
  }

  /** The full subtrees that headers from..to) fall into; `from` is a multiple of the largest. */
  function peaksOf(from: number, to: number): Uint8Array[] {
    const found: Uint8Array[] = []
    let at = from
    for (let level = Math.floor(Math.log2(to - from)) + 1; level >= 0; level--) {
      const span = 2 ** level
      if (to - at < span) continue
      found.push(node(level, at / span))
      at += span
    }
    return found
  }

  const bag = (tops: readonly Uint8Array[]): Uint8Array =>
    tops.length === 0 ? sha256(new Uint8Array(0)) : tops.reduceRight((right, left) => innerHash(left, right))

  const check = (wanted: number, what: string) => {
    if (!Number.isSafeInteger(wanted) || wanted < 0 || wanted > size)
      throw new RangeError(`${what} ${wanted} of ${size} headers`)
  }

  return {
    get size() {
      return size
    },
    append(headerHash) {
      if (headerHash.length !== 32) throw new RangeError(`a header hash of ${headerHash.length} bytes`)
      headers.push(headerHash)
      let top = leafHash(headerHash)
      let level = 0
      for (let full = size; full % 2 === 1; full = (full - 1) / 2) {
        top = innerHash(peaks.pop()!, top)
        level++
        if (level < KEPT_LEVEL) continue
        levels[level - KEPT_LEVEL] ??= createHashes()
        levels[level - KEPT_LEVEL]!.push(top)
      }
      peaks.push(top)
      size++
    },
    truncate(to) {
      check(to, 'the first')
      if (to === size) return
      peaks = peaksOf(0, to)
      headers.truncate(to)
      for (const [i, level] of levels.entries()) level.truncate(Math.floor(to / 2 ** (i + KEPT_LEVEL)))
      size = to
    },
    root(of = size) {
      check(of, 'the first')
      return bag(of === size ? peaks : peaksOf(0, of))
    },
    prove(index, of) {
      check(of, 'the first')
      if (!Number.isSafeInteger(index) || index < 0 || index >= of) throw new RangeError(`header ${index} of ${of}`)
      const aunts: Uint8Array[] = []
      let from = 0
      let to = of
      while (to - from > 1) {
        let half = 1
        while (half * 2 < to - from) half *= 2
        const middle = from + half
        if (index < middle) {
          aunts.push(bag(peaksOf(middle, to)))
          to = middle
        } else {
          aunts.push(bag(peaksOf(from, middle)))
          from = middle
        }
      }
      return { total: of, index, leafHash: leafHash(headers.get(index)), aunts: aunts.reverse() }
    },
    *hashes(of) {
      check(of, 'the first')
      for (let i = 0; i < of; i++) yield headers.get(i)
    },
    get memory() {
      return [headers, ...levels].reduce((sum, { memory }) => sum + memory, 0)
    },
  }
}
