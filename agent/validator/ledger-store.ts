/**
 * The ledger's state on disk: a whole image now and then (ledger-image.ts), and a log of what each block since has changed.
 *
 *     image, piece-*       the state after some block, and the hashes of all headers up to it
 *     changes-*.seg        one record a block: height u64, epoch u32, header hash and app hash of 32 bytes, changes
 */
import type { Clock, Disk } from '../../drivers/ports.ts'
import { type Log, openLog } from '../../drivers/store/log.ts'
import { openPieces } from '../../drivers/store/pieces.ts'
import { concat, equalBytes, toHex } from '../../protocol/bytes.ts'
import type { Change } from '../../protocol/chain/smt.ts'
import { type LedgerApp, resumeApp, type SavedState } from '../../protocol/ledger/app.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { encodeChanges, isChanges } from './change-bytes.ts'
import {
  appendHashes,
  type Image,
  loadEntries,
  loadHashes,
  mergeIntoPieces,
  readImage,
  writeList,
  writePieces,
} from './ledger-image.ts'
import { placeChanges } from './placed-changes.ts'

/** A whole state after a block. */
export interface SavedLedger {
  readonly height: bigint
  /** Root of the state; the AppHash in the next header. */
  readonly appHash: Uint8Array
  readonly state: SavedState
}

/** What a block did to the state. */
export interface CommittedBlock {
  readonly height: bigint
  /** Of its header. */
  readonly hash: Uint8Array
  readonly appHash: Uint8Array
  readonly changes: readonly Change[]
}

export interface LedgerStore {
  /** Everything verified against its checksums. Undefined where nothing was saved yet. */
  load(): Promise<Result<SavedLedger | undefined>>
  /** Resolves once the block's changes are on the disk. Throws where there is no state yet or the height does not follow. */
  commit(block: CommittedBlock): Promise<Result<void>>
  /** Saves a whole state in place of everything: genesis at first, later what a snapshot brought. Not beside a commit. */
  replaceWith(saved: SavedLedger): Promise<Result<void>>
  /** Why the newest image could not be written; commits go on without it. */
  health(): Fault | undefined
  /** Bytes handed to the disk since opening, images apart. */
  stats(): { readonly logBytes: number; readonly imageBytes: number; readonly images: number }
  close(): Promise<void>
}

export interface LedgerStoreOptions {
  /** A folder of its own. */
  readonly disk: Disk
  readonly clock: Clock
  /** Bytes of changes after which a new image is written; a test takes less. */
  readonly imageAfter?: (imageBytes: number) => number
  readonly segmentBytes?: number
}

/** Reading one while a new image is made takes a few milliseconds. */
const SEGMENT_BYTES = 4 << 20
/** As much as the image itself, so that writing costs twice the changes; at most what loads in a second and fits in memory twice. */
const IMAGE_AFTER = (imageBytes: number): number => Math.min(64 << 20, Math.max(16 << 20, imageBytes))

const HASH_BYTES = 32
const HASH_AT = 12
const CHANGES_AT = HASH_AT + 2 * HASH_BYTES

export async function openLedgerStore(options: LedgerStoreOptions): Promise<Result<LedgerStore>> {
  const { disk, clock, segmentBytes = SEGMENT_BYTES, imageAfter = IMAGE_AFTER } = options
  const opened = await openLog({ disk, clock, name: 'changes', segmentBytes })
  if (!opened.ok) return opened
  const store = await openOn(disk, opened.value, imageAfter)
  if (!store.ok) await opened.value.close()
  return store
}

/** What the store knows of the newest block. */
interface Newest {
  readonly height: bigint
  readonly appHash: Uint8Array
}

async function openOn(disk: Disk, log: Log, imageAfter: (imageBytes: number) => number): Promise<Result<LedgerStore>> {
  const read = await readImage(disk)
  if (!read.ok) return read
  let image = read.value
  const found = await openPieces(disk, 'piece')
  if (!found.ok) return found
  const pieces = found.value
  const last = image === undefined ? ok(undefined) : await findNewest(image, log)
  if (!last.ok) return last
  let newest = last.value
  let sinceImage = 0
  let tryAt = 0
  let imaging: Promise<void> | undefined
  let trouble: Fault | undefined
  /** Why it is not known which of two whole states is on the disk. */
  let replacing: Fault | undefined
  const counts = { imageBytes: 0, images: 0 }

  const piecesOf = (one: Image | undefined) => [...(one?.entries ?? []), ...(one?.hashes ?? [])]

  /**
   * Makes an image the one that counts; what it replaces is removed now, or after the next one where that fails. After a fault
   * either may count, so that nothing is removed.
   */
  async function turnTo(next: Image, logFrom: bigint): Promise<Result<void>> {
    const listed = await writeList(disk, next)
    if (!listed.ok) return listed
    const old = new Set(piecesOf(image).map(piece => piece.file))
    for (const piece of piecesOf(next)) if (!old.has(piece.file)) counts.imageBytes += piece.bytes
    counts.images++
    image = next
    const dropped = await log.dropBefore(logFrom)
    const removed = await pieces.keepOnly(piecesOf(next))
    trouble = !dropped.ok ? dropped.fault : removed.ok ? undefined : removed.fault
    return done
  }

  /** Merges the changes up to a block into the pieces of a new image. */
  async function mergeChanges(old: Image, { height, appHash }: Newest): Promise<Result<Image>> {
    const changed = await readChanges(old, log, height)
    if (!changed.ok) return changed
    const entries = await mergeIntoPieces(pieces, old.entries, await placeChanges(changed.value.lists))
    if (!entries.ok) return entries
    const hashes = await appendHashes(pieces, old.hashes, changed.value.hashes)
    if (!hashes.ok) return hashes
    return ok({ height, appHash, epoch: old.epoch, entries: entries.value, hashes: hashes.value })
  }

  async function imageInBackground(old: Image, at: Newest): Promise<void> {
    const merging = sinceImage
    const logFrom = log.next
    const next = await mergeChanges(old, at)
    // A full disk wants the space of half an image back.
    if (!next.ok) await pieces.keepOnly(piecesOf(old))
    const turned = next.ok ? await turnTo(next.value, logFrom) : next
    if (turned.ok) sinceImage -= merging
    else trouble = turned.fault
    tryAt = turned.ok ? 0 : sinceImage + merging / RETRY_SHARE
    imaging = undefined
  }

  return ok({
    async load() {
      if (image === undefined || newest === undefined) return ok(undefined)
      const changed = await readChanges(image, log, newest.height)
      if (!changed.ok) return changed
      sinceImage = changed.value.bytes
      const entries = await loadEntries(pieces, image, await placeChanges(changed.value.lists))
      if (!entries.ok) return entries
      const hashes = await loadHashes(pieces, image)
      if (!hashes.ok) return hashes
      const { height, appHash } = newest
      return ok({
        height,
        appHash,
        state: { entries: entries.value, headerHashes: [...hashes.value, ...changed.value.hashes] },
      })
    },

    async commit(block) {
      if (image === undefined || newest?.height !== block.height - 1n) {
        throw new RangeError(`block ${block.height} after ${newest?.height ?? 'nothing'}`)
      }
      // The changes would stand behind one state or the other.
      if (replacing !== undefined) return fail({ code: 'ledger.half-replaced', cause: replacing.code })
      const record = encodeBlock(block, image.epoch)
      const appended = await log.append(record)
      if (!appended.ok) return appended
      newest = { height: block.height, appHash: block.appHash }
      sinceImage += record.length
      const size = piecesOf(image).reduce((sum, piece) => sum + piece.bytes, 0)
      if (sinceImage >= Math.max(tryAt, imageAfter(size))) imaging ??= imageInBackground(image, newest)
      return done
    },

    async replaceWith({ height, appHash, state }) {
      await imaging
      const entries = await writePieces(pieces, state.entries)
      if (!entries.ok) return entries
      const hashes = await appendHashes(pieces, [], state.headerHashes)
      if (!hashes.ok) return hashes
      const next = { height, appHash, epoch: (image?.epoch ?? 0) + 1, entries: entries.value, hashes: hashes.value }
      const turned = await turnTo(next, log.next)
      replacing = turned.ok ? undefined : turned.fault
      if (!turned.ok) return turned
      newest = { height, appHash }
      sinceImage = 0
      return done
    },

    health: () => trouble ?? log.health(),
    stats: () => ({ logBytes: log.stats().bytesWritten, ...counts }),

    async close() {
      await imaging
      await log.close()
    },
  })
}

/** An image that failed is tried again after this part of its changes more. */
const RETRY_SHARE = 4

function encodeBlock({ height, hash, appHash, changes }: CommittedBlock, epoch: number): Uint8Array {
  if (hash.length !== HASH_BYTES || appHash.length !== HASH_BYTES) throw new RangeError('a hash has 32 bytes')
  const head = new Uint8Array(HASH_AT)
  const view = new DataView(head.buffer)
  view.setBigUint64(0, height, true)
  view.setUint32(8, epoch, true)
  return concat(head, hash, appHash, encodeChanges(changes))
}

/** Height and epoch of a record; undefined where it is too short for one. */
function headOf(record: Uint8Array): { readonly height: bigint; readonly epoch: number } | undefined {
  if (record.length < CHANGES_AT) return undefined
  const view = new DataView(record.buffer, record.byteOffset)
  return { height: view.getBigUint64(0, true), epoch: view.getUint32(8, true) }
}

const corrupt = (number: bigint, reason: string) =>
  fail({
    code: 'ledger.changes-corrupt',
    record: number,
    reason,
    hint: 'set the folder aside and restore it from a copy',
  } as const)

/** The newest block of all: that of the log's last record, or the image's where none goes on from it. */
async function findNewest(image: Image, log: Log): Promise<Result<Newest>> {
  const number = log.next - 1n
  const record = await log.read(number)
  if (!record.ok) return record
  if (record.value === undefined) return ok(image)
  const head = headOf(record.value)
  if (head === undefined) return corrupt(number, 'too short')
  if (head.epoch !== image.epoch || head.height <= image.height) return ok(image)
  return ok({ height: head.height, appHash: record.value.slice(HASH_AT + HASH_BYTES, CHANGES_AT) })
}

interface Changed {
  /** Of each block (change-bytes.ts). */
  readonly lists: readonly Uint8Array[]
  readonly hashes: readonly Uint8Array[]
  readonly bytes: number
}

/** What the blocks after an image changed, up to a height. */
async function readChanges(image: Image, log: Log, until: bigint): Promise<Result<Changed>> {
  const lists: Uint8Array[] = []
  const hashes: Uint8Array[] = []
  let bytes = 0
  let bad: Result<never> | undefined
  const visited = await log.visit(log.first, (record, number) => {
    const head = headOf(record)
    const changes = record.subarray(CHANGES_AT)
    const expected = image.height + BigInt(hashes.length) + 1n
    if (head === undefined || !isChanges(changes)) bad ??= corrupt(number, 'not the changes of a block')
    // What the image has already, or what it took the place of, is there until its segment is dropped.
    else if (head.epoch !== image.epoch || head.height <= image.height || head.height > until) return
    else if (head.height !== expected) bad ??= corrupt(number, `block ${head.height} instead of ${expected}`)
    else {
      lists.push(changes)
      hashes.push(record.subarray(HASH_AT, HASH_AT + HASH_BYTES))
      bytes += record.length
    }
  })
  if (!visited.ok) return visited
  const missing = until - image.height - BigInt(hashes.length)
  return bad ?? (missing === 0n ? ok({ lists, hashes, bytes }) : corrupt(log.first, `${missing} blocks are missing`))
}

/** The ledger as it was saved, its state hashed again: undefined where nothing was saved. */
export async function resumeLedger(store: LedgerStore): Promise<Result<LedgerApp | undefined>> {
  const saved = await store.load()
  if (!saved.ok || saved.value === undefined) return saved.ok ? ok(undefined) : saved
  const { height, appHash, state } = saved.value
  const app = resumeApp(state)
  if (!app.ok) return app
  if (app.value.height !== height || !equalBytes(app.value.appHash, appHash)) {
    return fail({
      code: 'ledger.app-hash',
      height,
      expected: toHex(appHash),
      found: toHex(app.value.appHash),
      hint: 'the saved state is not the one that the chain agreed on: set the folder aside and let the node sync again',
    })
  }
  return app
}
