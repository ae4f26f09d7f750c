/**
 * The snapshots that this node offers, each a few files in a folder of their own:
 *
 *     snapshot-<height>.<chunk>     one chunk
 *     snapshot-<height>.offer       what it is offered as; written last, so a snapshot is whole or not there
 */
import type { Disk } from '../../drivers/ports.ts'
import { decode, encode } from '../../protocol/cbor.ts'
import type { AbciSnapshot } from '../../protocol/chain/abci-request.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { isSoundOffer, MAX_CHUNKS, SNAPSHOT_FORMAT, snapshotOf } from './snapshot-form.ts'

export interface SnapshotStore {
  /** Newest first. */
  list(): readonly AbciSnapshot[]
  /** Undefined where there is no such chunk, or the disk does not give it. */
  chunk(height: bigint, format: number, chunk: number): Promise<Uint8Array | undefined>
  /**
   * Keeps a snapshot, each chunk on the disk before the next is asked for; the oldest gives way. Where it cannot be kept, or
   * `chunks` throws, nothing of it is left.
   */
  keep(height: bigint, chunks: Iterable<Uint8Array>): Promise<Result<void>>
}

/**
 * A fresh node looks around for some seconds before it chooses, then fetches; meanwhile newer snapshots are made. Four give it
 * three intervals.
 */
const KEPT = 4
const OFFER_LIMIT = 64 + MAX_CHUNKS * 32
const NAME = /^snapshot-([1-9]\d{0,18})\.(\d{1,5}|offer)$/

const chunkName = (height: bigint, chunk: number): string => `snapshot-${height}.${chunk}`
const offerName = (height: bigint): string => `snapshot-${height}.offer`

/** `disk` is a folder of its own. What a crash left unfinished is removed. */
export async function openSnapshots(disk: Disk, kept: number = KEPT): Promise<Result<SnapshotStore>> {
  const offers = new Map<bigint, AbciSnapshot>()
  const names = await disk.list()
  if (!names.ok) return names
  for (const name of names.value.filter(name => name.endsWith('.offer'))) {
    const read = await readOffer(name)
    if (!read.ok) return read
    if (read.value !== undefined) offers.set(read.value.height, read.value)
  }
  for (const name of names.value) {
    const match = NAME.exec(name)
    if (match !== null && !offers.has(BigInt(match[1]!))) {
      const removed = await disk.remove(name)
      if (!removed.ok) return removed
    }
  }

  /** Undefined where it is none, as a disk that lost what it had synced would make it. */
  async function readOffer(name: string): Promise<Result<AbciSnapshot | undefined>> {
    const bytes = await disk.read(name)
    if (!bytes.ok) return bytes
    const item = decode(bytes.value, OFFER_LIMIT)
    const [height, metadata] = item.ok && Array.isArray(item.value) ? item.value : []
    const at = NAME.exec(name)?.[1]
    if (at === undefined || String(height) !== at || !(metadata instanceof Uint8Array)) return ok(undefined)
    const chunks = metadata.length / 32
    const offer = { height: BigInt(at), format: SNAPSHOT_FORMAT, chunks, hash: sha256(metadata), metadata }
    return ok(Number.isInteger(chunks) && isSoundOffer(offer) ? offer : undefined)
  }

  /** The offer goes first: without it the rest is removed at the next opening. */
  async function forget(height: bigint, chunks: number): Promise<Result<void>> {
    offers.delete(height)
    const names = [offerName(height), ...Array.from({ length: chunks }, (_, i) => chunkName(height, i))]
    for (const name of names) {
      const removed = await disk.remove(name)
      if (!removed.ok && removed.fault.code !== 'disk.missing') return removed
    }
    return done
  }

  return ok({
    list: () => [...offers.values()].sort((a, b) => (a.height > b.height ? -1 : 1)),
    async chunk(height, format, chunk) {
      const offer = offers.get(height)
      if (offer === undefined || format !== SNAPSHOT_FORMAT || chunk >= offer.chunks) return undefined
      const bytes = await disk.read(chunkName(height, chunk))
      return bytes.ok ? bytes.value : undefined
    },
    async keep(height, chunks) {
      const hashes: Uint8Array[] = []
      try {
        for (const chunk of chunks) {
          if (hashes.length >= MAX_CHUNKS) {
            return fail({ code: 'snapshot.too-large', height, limit: MAX_CHUNKS })
          }
          const written = await disk.replace(chunkName(height, hashes.length), chunk)
          if (!written.ok) return written
          hashes.push(sha256(chunk))
        }
        const offer = snapshotOf(height, hashes)
        const written = await disk.replace(offerName(height), encode([height, offer.metadata]))
        if (!written.ok) return written
        offers.set(height, offer)
      } finally {
        // The ledger itself may need the space.
        if (!offers.has(height)) await forget(height, hashes.length)
      }
      const old = [...offers.values()].sort((a, b) => (a.height > b.height ? -1 : 1)).slice(kept)
      for (const oldest of old) {
        const forgotten = await forget(oldest.height, oldest.chunks)
        if (!forgotten.ok) return forgotten
      }
      return done
    },
  })
}
