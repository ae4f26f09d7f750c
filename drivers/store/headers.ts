/**
 * The light client's verified blocks, and the mark that its chain diverged: what a restart goes on from.
 *
 * Kept are the first block (the anchor), the newest, and between them so many that BLOCKS_KEPT is not exceeded, the further
 * apart the older they are: of the others the one goes whose neighbours, seen from the newest, are the closest together.
 *
 * All of it is a log (log.ts). When that has grown, what is kept is written again at its end and the rest dropped.
 *
 *     1  hash (32 bytes)  light block (protobuf)
 *     2  height u64 little-endian  chain id length u8  chain id  evidence file      the chain diverged
 *     3                                                                             everything before is forgotten
 */
import { concat, equalBytes, fromUtf8, toHex, utf8 } from '../../protocol/bytes.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import { decodeLightBlock, encodeLightBlock } from '../../protocol/chain/light-block-proto.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Clock, Disk } from '../ports.ts'
import { openLog } from './log.ts'

export interface KeptHeader {
  readonly block: LightBlock
  readonly hash: Uint8Array
}

export interface Divergence {
  readonly height: bigint
  /** The file that proves it. */
  readonly evidence: string
}

export interface HeaderStore {
  newest(): KeptHeader | undefined
  /** Where trust began. */
  first(): KeptHeader | undefined
  at(height: bigint): KeptHeader | undefined
  /** The highest that is kept at a height or below. */
  nearestBelow(height: bigint): KeptHeader | undefined
  diverged(): Divergence | undefined
  /** Keeps a verified block, durable on return; `headers.conflict` where another block is kept at its height. */
  save(block: LightBlock, hash: Uint8Array): Promise<Result<void>>
  /** Remembers for every restart that validators signed two chains. */
  markDiverged(height: bigint, evidence: string): Promise<Result<void>>
  /** Forgets everything, the divergence too, and begins with a new anchor. */
  beginAnew(block: LightBlock, hash: Uint8Array): Promise<Result<void>>
  /** Bytes handed to the disk since opening. */
  bytesWritten(): number
  close(): Promise<void>
}

export interface HeaderStoreOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly chainId: string
  /** Whole blocks of 4 kB, two or more. */
  readonly segmentBytes?: number
}

/** A ladder over a year of blocks, one a second, each rung about twice as far back as the next; 20 kB each with 100 validators. */
export const BLOCKS_KEPT = 32
/** Two days and more of a save each quarter of an hour; twice this and a bit is what the store takes on the disk. */
const SEGMENT_BYTES = 1 << 20
const SEGMENTS_MAX = 2

const BLOCK = 1
const DIVERGED = 2
const ANEW = 3
const HASH_BYTES = 32

/** `headers.other-chain` where the folder is of another chain; what is damaged is `log.corrupt` or `headers.corrupt`. */
export async function openHeaderStore(options: HeaderStoreOptions): Promise<Result<HeaderStore>> {
  const { disk, clock, chainId, segmentBytes = SEGMENT_BYTES } = options
  const opened = await openLog({ disk, clock, name: 'headers', segmentBytes })
  if (!opened.ok) return opened
  const log = opened.value
  /** Records by height, ascending. */
  let kept: { readonly height: bigint; readonly record: Uint8Array }[] = []
  let mark: Divergence | undefined

  function keep(height: bigint, record: Uint8Array): void {
    const after = kept.findIndex(one => one.height >= height)
    const at = after < 0 ? kept.length : after
    kept.splice(at, kept[at]?.height === height ? 1 : 0, { height, record })
    if (kept.length > BLOCKS_KEPT) kept.splice(superfluous(kept.map(one => one.height)), 1)
  }

  function apply(record: Uint8Array): Fault | undefined {
    const found = readRecord(record)
    if (found === undefined) return { code: 'headers.corrupt', reason: 'a record of no known form' }
    if (found.kind !== ANEW && found.chainId !== chainId) {
      return {
        code: 'headers.other-chain',
        expected: chainId,
        found: found.chainId,
        hint: 'give each chain its own folder',
      }
    }
    if (found.kind === BLOCK) keep(found.height, record)
    else if (found.kind === DIVERGED) mark = { height: found.height, evidence: found.evidence }
    else {
      kept = []
      mark = undefined
    }
    return undefined
  }

  let bad: Fault | undefined
  const visited = await log.visit(log.first, record => {
    bad ??= apply(record)
  })
  const fault = visited.ok ? bad : visited.fault
  if (fault !== undefined) {
    await log.close()
    return fail(fault)
  }

  /** Appends in one commit where they fit, takes effect once they are durable. */
  async function write(...records: readonly Uint8Array[]): Promise<Result<void>> {
    const appended = await Promise.all(records.map(record => log.append(record)))
    for (const [i, each] of appended.entries()) {
      if (!each.ok) return each
      apply(records[i]!)
    }
    if (log.stats().segments > SEGMENTS_MAX) await shorten()
    return done
  }

  /** Writes what is kept behind everything else, and drops that. Where it fails, the next save tries again. */
  async function shorten(): Promise<void> {
    const from = log.next
    const marks = mark === undefined ? [] : [divergedRecord(chainId, mark)]
    const appended = await Promise.all([...kept.map(one => one.record), ...marks].map(record => log.append(record)))
    if (appended.every(each => each.ok)) await log.dropBefore(from)
  }

  const show = (one: { readonly record: Uint8Array } | undefined): KeptHeader | undefined => {
    const found = one === undefined ? undefined : readRecord(one.record)
    return found?.kind === BLOCK ? { block: found.block, hash: found.hash } : undefined
  }

  return ok({
    newest: () => show(kept.at(-1)),
    first: () => show(kept[0]),
    at: height => show(kept.find(one => one.height === height)),
    nearestBelow: height => show(kept.findLast(one => one.height <= height)),
    diverged: () => mark,
    async save(block, hash) {
      const { height } = block.header
      const there = show(kept.find(one => one.height === height))
      if (there === undefined) return write(blockRecord(block, hash))
      if (equalBytes(there.hash, hash)) return done
      return fail({ code: 'headers.conflict', height, kept: toHex(there.hash), given: toHex(hash) })
    },
    async markDiverged(height, evidence) {
      const record = divergedRecord(chainId, { height, evidence })
      const once = await write(record)
      // The last commit of a log is the one whose damage looks like a power cut; this one must not be lost so.
      return once.ok ? write(record) : once
    },
    beginAnew: (block, hash) => write(Uint8Array.of(ANEW), blockRecord(block, hash)),
    bytesWritten: () => log.stats().bytesWritten,
    close: () => log.close(),
  })
}

const blockRecord = (block: LightBlock, hash: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(BLOCK), hash, encodeLightBlock(block))

function divergedRecord(chainId: string, { height, evidence }: Divergence): Uint8Array {
  const head = new Uint8Array(10)
  const chain = utf8(chainId)
  const view = new DataView(head.buffer)
  view.setUint8(0, DIVERGED)
  view.setBigUint64(1, height, true)
  view.setUint8(9, chain.length)
  return concat(head, chain, utf8(evidence))
}

type Read =
  | { readonly kind: typeof ANEW }
  | { readonly kind: typeof DIVERGED; readonly height: bigint; readonly chainId: string; readonly evidence: string }
  | {
      readonly kind: typeof BLOCK
      readonly height: bigint
      readonly chainId: string
      readonly block: LightBlock
      readonly hash: Uint8Array
    }

function readRecord(record: Uint8Array): Read | undefined {
  if (record[0] === ANEW && record.length === 1) return { kind: ANEW }
  if (record[0] === BLOCK) {
    const block = decodeLightBlock(record.subarray(1 + HASH_BYTES))
    if (!block.ok) return undefined
    const { height, chainId } = block.value.header
    return { kind: BLOCK, height, chainId, block: block.value, hash: record.slice(1, 1 + HASH_BYTES) }
  }
  if (record[0] !== DIVERGED || record.length < 10) return undefined
  const view = new DataView(record.buffer, record.byteOffset)
  const end = 10 + view.getUint8(9)
  const chainId = fromUtf8(record.subarray(10, end))
  const evidence = fromUtf8(record.subarray(end))
  if (chainId === undefined || evidence === undefined || end > record.length) return undefined
  return { kind: DIVERGED, height: view.getBigUint64(1, true), chainId, evidence }
}

/** Place of the height, neither the first nor the last, whose gap between its neighbours is the smallest part of its age. */
function superfluous(heights: readonly bigint[]): number {
  const newest = heights.at(-1)!
  const gap = (i: number) => heights[i + 1]! - heights[i - 1]!
  const age = (i: number) => newest - heights[i - 1]!
  let least = 1
  for (let i = 2; i < heights.length - 1; i++) if (gap(i) * age(least) < gap(least) * age(i)) least = i
  return least
}
