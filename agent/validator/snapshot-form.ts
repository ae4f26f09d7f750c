/**
 * A state as it travels to a node that starts fresh (CometBFT's state sync), format 1.
 *
 *     snapshot = chunks of at most 1 MiB; metadata = their SHA-256 one after the other; hash = SHA-256 of the metadata
 *     chunk    = canonical CBOR [0, [[key, value], ...]]     entries, in the order of the state tree
 *              | canonical CBOR [1, hashes]                  of the headers from 1 up, 32 bytes each
 *
 * All nodes cut the same state alike, so any of them can give any chunk. The hash proves nothing: whoever offers a snapshot
 * made it. What counts is that the state it adds up to has the AppHash that a light client verified.
 */
import { compareBytes, concat, equalBytes } from '../../protocol/bytes.ts'
import { type Cbor, decode, encode } from '../../protocol/cbor.ts'
import type { AbciSnapshot } from '../../protocol/chain/abci-request.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { SavedState } from '../../protocol/ledger/app.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'

export const SNAPSHOT_FORMAT = 1
export const MAX_CHUNK_BYTES = 1024 * 1024
/** A gigabyte, some million accounts and deals; a peer may offer more, and we would hold it before we know that it lies. */
export const MAX_CHUNKS = 1024
const HASH_BYTES = 32
/** CBOR heads of an entry's list, its key and its value; of a chunk's lists. */
const ENTRY_HEADS = 11
const CHUNK_HEADS = 16
const HASHES_A_CHUNK = Math.floor((MAX_CHUNK_BYTES - CHUNK_HEADS) / HASH_BYTES)

const ENTRIES = 0
const HASHES = 1

type Entry = readonly [key: Uint8Array, value: Uint8Array]

export type SnapshotFault =
  | { readonly code: 'snapshot.chunk'; readonly chunk: number; readonly reason: string }
  | { readonly code: 'snapshot.order'; readonly chunk: number }

/** Each chunk is made when it is asked for. */
export function* cutState({ entries, headerHashes }: SavedState): Generator<Uint8Array> {
  let page: Entry[] = []
  let bytes = CHUNK_HEADS
  for (const entry of entries) {
    const size = entry[0].length + entry[1].length + ENTRY_HEADS
    if (bytes + size > MAX_CHUNK_BYTES && page.length > 0) {
      yield encode([ENTRIES, page])
      page = []
      bytes = CHUNK_HEADS
    }
    page.push(entry)
    bytes += size
  }
  yield encode([ENTRIES, page])
  let row: Uint8Array[] = []
  for (const hash of headerHashes) {
    row.push(hash)
    if (row.length < HASHES_A_CHUNK) continue
    yield encode([HASHES, concat(...row)])
    row = []
  }
  if (row.length > 0) yield encode([HASHES, concat(...row)])
}

/** What a snapshot of these chunks is offered as. */
export function snapshotOf(height: bigint, chunkHashes: readonly Uint8Array[]): AbciSnapshot {
  const metadata = new Uint8Array(chunkHashes.length * HASH_BYTES)
  for (const [i, hash] of chunkHashes.entries()) metadata.set(hash, i * HASH_BYTES)
  return { height, format: SNAPSHOT_FORMAT, chunks: chunkHashes.length, hash: sha256(metadata), metadata }
}

/** Whether an offer of our format hangs together. */
export const isSoundOffer = ({ height, chunks, hash, metadata }: AbciSnapshot): boolean =>
  height > 0n &&
  chunks > 0 &&
  chunks <= MAX_CHUNKS &&
  metadata.length === chunks * HASH_BYTES &&
  equalBytes(hash, sha256(metadata))

/** Whether this is chunk `index` of a sound offer. */
export const isItsChunk = ({ metadata }: AbciSnapshot, index: number, chunk: Uint8Array): boolean =>
  chunk.length <= MAX_CHUNK_BYTES &&
  equalBytes(sha256(chunk), metadata.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES))

/**
 * The state that chunks add up to. That it has this form and order is checked, a chunk at a time; what its records say is not.
 * Entries are decoded again whenever they are read: a liar's gigabyte of the smallest would take a hundred in memory.
 */
export function joinState(chunks: readonly Uint8Array[]): Result<SavedState, SnapshotFault> {
  const headerHashes: Uint8Array[] = []
  let last: Uint8Array = new Uint8Array(0)
  let pages = 0
  for (const [chunk, bytes] of chunks.entries()) {
    const bad = (reason: string) => fail({ code: 'snapshot.chunk', chunk, reason } as const)
    const content = readChunk(bytes)
    if (typeof content === 'string') return bad(content)
    if (content instanceof Uint8Array) {
      for (let at = 0; at < content.length; at += HASH_BYTES) headerHashes.push(content.subarray(at, at + HASH_BYTES))
      continue
    }
    if (headerHashes.length > 0) return fail({ code: 'snapshot.order', chunk })
    pages++
    for (const pair of content) {
      if (!isEntry(pair)) return bad('an entry is not a pair of bytes')
      const place = sha256(pair[0])
      if (compareBytes(place, last) <= 0) return fail({ code: 'snapshot.order', chunk })
      last = place
    }
  }
  const entries = {
    *[Symbol.iterator]() {
      for (const bytes of chunks.slice(0, pages)) yield* readChunk(bytes) as readonly Entry[]
    },
  }
  return ok({ entries, headerHashes })
}

const isEntry = (item: Cbor): item is [Uint8Array, Uint8Array] =>
  Array.isArray(item) && item.length === 2 && item.every(one => one instanceof Uint8Array)

/** The list of entries in a chunk, or its row of hashes, or why it is neither. */
function readChunk(bytes: Uint8Array): readonly Cbor[] | Uint8Array | string {
  const item = decode(bytes, MAX_CHUNK_BYTES)
  if (!item.ok) return item.fault.code
  if (!Array.isArray(item.value) || item.value.length !== 2) return 'is not a pair'
  const [kind, content] = item.value
  if (kind === ENTRIES && Array.isArray(content)) return content
  if (kind === HASHES && content instanceof Uint8Array && content.length % HASH_BYTES === 0) return content
  return 'is neither entries nor hashes'
}
