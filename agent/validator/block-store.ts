/** Blocks on disk: each appended once, read by height, the oldest dropped when they are no longer wanted. */
import type { Clock, Disk } from '../../drivers/ports.ts'
import { openLog } from '../../drivers/store/log.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { decodeStoredBlock, encodeStoredBlock, type StoredBlock } from './block-record.ts'

export interface BlockStore {
  /** Heights; 0 where no block is kept. */
  readonly oldest: bigint
  readonly newest: bigint
  /** Resolves once the block is on the disk. Throws on a height that does not follow `newest` (any, when empty). */
  append(block: StoredBlock): Promise<Result<void>>
  /** Undefined for a height that is not kept. */
  read(height: bigint): Promise<Result<StoredBlock | undefined>>
  /** Forgets blocks below a height, as far as whole files can go: some older ones may stay. */
  prune(before: bigint): Promise<Result<void>>
  close(): Promise<void>
}

/** An hour of blocks of a second; a card writes it in a tenth of a second. */
const SEGMENT_BYTES = 16 << 20

/** `disk` is a folder of its own. */
export async function openBlockStore(ports: {
  readonly disk: Disk
  readonly clock: Clock
}): Promise<Result<BlockStore>> {
  const opened = await openLog({ ...ports, name: 'blocks', segmentBytes: SEGMENT_BYTES })
  if (!opened.ok) return opened
  const log = opened.value
  /** Height of a block less its record's number. */
  let base: bigint | undefined
  if (log.next > log.first) {
    const first = await log.read(log.first)
    if (!first.ok) return first
    const block = decodeStoredBlock(first.value!)
    if (!block.ok) return block
    base = block.value.header.height - log.first
  }
  return ok({
    get oldest() {
      return base === undefined ? 0n : log.first + base
    },
    get newest() {
      return base === undefined ? 0n : log.next - 1n + base
    },
    async append(block) {
      const { height } = block.header
      if (base !== undefined && height !== log.next + base) throw new RangeError(`block ${height} out of order`)
      const appended = await log.append(encodeStoredBlock(block))
      if (!appended.ok) return appended
      base ??= height - appended.value
      return done
    },
    async read(height) {
      if (base === undefined) return ok(undefined)
      const bytes = await log.read(height - base)
      if (!bytes.ok || bytes.value === undefined) return bytes.ok ? ok(undefined) : bytes
      const block = decodeStoredBlock(bytes.value)
      if (!block.ok) return block
      if (block.value.header.height !== height)
        return fail({ code: 'block.height', height, found: block.value.header.height })
      return block
    },
    prune: async before => (base === undefined ? done : log.dropBefore(before - base)),
    close: () => log.close(),
  })
}
