/** The whole state of a ledger in pages, as `/state` answers them: canonical CBOR [[key, value], ...]. */
import { equalBytes } from '../../protocol/bytes.ts'
import { encode } from '../../protocol/cbor.ts'

type Entries = Iterable<readonly [key: Uint8Array, value: Uint8Array]>

/**
 * Far below what a node takes from its application (100 MiB) and what our own client takes from a node; large enough that a
 * million entries are some hundred pages.
 */
const PAGE_BYTES = 1024 * 1024

/**
 * The entries after the one with this key, as many as a page holds; from the first for no key. An empty page is the end, and is
 * also what a key that is not in the state gets.
 */
export function pageState(entries: Entries, after: Uint8Array, pageBytes: number = PAGE_BYTES): Uint8Array {
  const page: [Uint8Array, Uint8Array][] = []
  let bytes = 0
  let found = after.length === 0
  for (const [key, value] of entries) {
    if (found) {
      bytes += key.length + value.length
      if (bytes > pageBytes && page.length > 0) break
      page.push([key, value])
    } else found = equalBytes(key, after)
  }
  return encode(page)
}
