/** Blocks on disk: each appended once, read by height, the oldest dropped when they are no longer wanted. */
import type { Clock, Disk } from '../../drivers/ports.ts'
import { type Log, openLog } from '../../drivers/store/log.ts'
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

export interface BlockStoreOptions {
  /** A folder of its own. */
  readonly disk: Disk
  readonly clock: Clock
  readonly segmentBytes?: number
}

export async function openBlockStore(options: BlockStoreOptions): Promise<Result<BlockStore>> {
  const { disk, clock, segmentBytes = SEGMENT_BYTES } = options
  const opened = await openLog({ disk, clock, name: 'blocks', segmentBytes })
  if (!opened.ok) return opened
  const log = opened.value
  const base = await findBase(log)
  if (base.ok) return ok(storeOn(log, base.value))
  await log.close()
  return base
}

/** Height of a block less its record's number; undefined where there is no block. */
async function findBase(log: Log): Promise<Result<bigint | undefined>> {
  const first = await log.read(log.first)
  if (!first.ok) return first
  if (first.value === undefined) return ok(undefined)
  const block = decodeStoredBlock(first.value)
  return block.ok ? ok(block.value.header.height - log.first) : block
}

function storeOn(log: Log, found: bigint | undefined): BlockStore {
  let base = found
  return {
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
      if (!block.ok || block.value.header.height === height) return block
      return fail({ code: 'blocks.other-height', height, found: block.value.header.height })
    },
    prune: async before => (base === undefined ? done : log.dropBefore(before - base)),
    close: () => log.close(),
  }
}
