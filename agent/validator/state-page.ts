/** The whole state of a ledger in pages, as `/state` answers them: canonical CBOR [[key, value], ...]. */
import { encode } from '../../protocol/cbor.ts'

type Entries = Iterable<readonly [key: Uint8Array, value: Uint8Array]>

/**
 * Far below what a node takes from its application (100 MiB) and what our own client takes from a node; large enough that a
 * million entries are some hundred pages.
 */
const PAGE_BYTES = 1024 * 1024

/** The first of these entries, as many as a page holds. An empty page is the end. */
export function pageState(entries: Entries): Uint8Array {
  const page: [Uint8Array, Uint8Array][] = []
  let bytes = 0
  for (const [key, value] of entries) {
    bytes += key.length + value.length
    if (bytes > PAGE_BYTES && page.length > 0) break
    page.push([key, value])
  }
  return encode(page)
}
