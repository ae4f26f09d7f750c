/**
 * A whole state on disk: pieces of entries in the order of their hashed keys, pieces of header hashes, and the list of
 * them, which is replaced last. A new image is the old one with changes merged in; pieces without a change stay, so that
 * nothing but the changes and one piece is ever in memory, and the old image counts until the new list stands.
 *
 *     list    "TLI1"  SHA-256 of the rest  protobuf
 *               1 height   2 app_hash   3 epoch   4 entries {1 file  2 bytes  3 hash  4 first path}
 *               5 hashes {1 file  2 bytes  3 hash}
 *     piece   entries as in change-bytes.ts, none removed; or header hashes of 32 bytes
 */
import { drainPromises } from '../../drivers/drain.ts'
import type { Disk } from '../../drivers/ports.ts'
import type { Piece, Pieces } from '../../drivers/store/pieces.ts'
import { compareBytes, concat, equalBytes, utf8 } from '../../protocol/bytes.ts'
import { bytesField, messageField, readMessage, varintField } from '../../protocol/chain/proto.ts'
import type { Change } from '../../protocol/chain/smt.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { SavedState } from '../../protocol/ledger/app.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { changeBytes, decodeChanges, encodeChanges } from './change-bytes.ts'

interface EntryPiece extends Piece {
  /** SHA-256 of its first key. */
  readonly from: Uint8Array
}

export interface Image {
  readonly height: bigint
  readonly appHash: Uint8Array
  /** Only changes of this epoch go on from here: it rises when a whole state takes the place of all before. */
  readonly epoch: number
  readonly entries: readonly EntryPiece[]
  /** Each but the last is full. */
  readonly hashes: readonly Piece[]
}

/** A change with the place of its key in the order of the tree. */
export interface PlacedChange {
  /** SHA-256 of the key. */
  readonly path: Uint8Array
  readonly change: Change
}

const LIST = 'image'
const MAGIC = utf8('TLI1')
const HASH_BYTES = 32

/** Hashing and encoding this much takes a few milliseconds, and a million keys are a few hundred files of it. */
const PIECE_BYTES = 512 * 1024
/** A piece that grows to this is cut; one that would be smaller than the other is joined with the next. */
const PIECE_MAX = 1024 * 1024
const PIECE_MIN = 128 * 1024
const HASHES_PER_PIECE = PIECE_BYTES / HASH_BYTES
/** Changes hashed or sorted before others get a turn: about five milliseconds. */
const STEP = 4096

const corrupt = (file: string, reason: string) =>
  fail({ code: 'ledger.image-corrupt', file, reason, hint: 'set the folder aside and restore it from a copy' })

/** Undefined where there is none yet. */
export async function readImage(disk: Disk): Promise<Result<Image | undefined>> {
  const bytes = await disk.read(LIST)
  if (!bytes.ok) return bytes.fault.code === 'disk.missing' ? ok(undefined) : bytes
  const bodyAt = MAGIC.length + HASH_BYTES
  const body = bytes.value.subarray(bodyAt)
  if (!equalBytes(bytes.value.subarray(0, bodyAt), concat(MAGIC, sha256(body)))) return corrupt(LIST, 'checksum')
  const fields = readMessage(body, { 1: 'varint', 2: 'bytes', 3: 'varint', 4: 'messages', 5: 'messages' })
  if (!fields.ok) return corrupt(LIST, fields.fault.reason)
  const { 1: height, 2: appHash, 3: epoch, 4: entries, 5: hashes } = fields.value
  const readPiece = (message: Uint8Array): EntryPiece | undefined => {
    const piece = readMessage(message, { 1: 'varint', 2: 'varint', 3: 'bytes', 4: 'bytes' })
    if (!piece.ok) return undefined
    return { file: Number(piece.value[1]), bytes: Number(piece.value[2]), hash: piece.value[3], from: piece.value[4] }
  }
  const pieces = entries.map(readPiece)
  const hashPieces = hashes.map(readPiece)
  // The checksum was right, so that this is another program's form.
  if ([...pieces, ...hashPieces].includes(undefined)) return corrupt(LIST, 'a piece of no known form')
  return ok({
    height,
    appHash,
    epoch: Number(epoch),
    entries: pieces.map(one => one!),
    hashes: hashPieces.map(one => one!),
  })
}

export function writeList(disk: Disk, image: Image): Promise<Result<void>> {
  const pieceFields = ({ file, bytes, hash }: Piece) =>
    concat(varintField(1, file), varintField(2, bytes), bytesField(3, hash))
  const body = concat(
    varintField(1, image.height),
    bytesField(2, image.appHash),
    varintField(3, image.epoch),
    ...image.entries.map(piece => messageField(4, concat(pieceFields(piece), bytesField(4, piece.from)))),
    ...image.hashes.map(piece => messageField(5, pieceFields(piece))),
  )
  return disk.replace(LIST, concat(MAGIC, sha256(body), body))
}

/** In the order of their paths, the last change of each key. Others get their turn meanwhile. */
export async function sortChanges(lists: Iterable<readonly Change[]>): Promise<readonly PlacedChange[]> {
  const buckets: PlacedChange[][] = Array.from({ length: 256 }, () => [])
  let steps = 0
  for (const changes of lists) {
    for (const change of changes) {
      const path = sha256(change[0])
      buckets[path[0]!]!.push({ path, change })
      if (++steps % STEP === 0) await drainPromises()
    }
  }
  const sorted: PlacedChange[] = []
  for (const bucket of buckets) {
    // Array sort is stable, so the last of equal paths is the last change of that key.
    bucket.sort((a, b) => compareBytes(a.path, b.path))
    for (const [i, one] of bucket.entries()) {
      const next = bucket[i + 1]
      if (next === undefined || compareBytes(one.path, next.path) !== 0) sorted.push(one)
    }
    steps += bucket.length
    if (steps > STEP) {
      steps = 0
      await drainPromises()
    }
  }
  return sorted
}

/** A piece and the changes that fall to it: those from `from` up to `until`. Without pieces one stretch has all changes. */
interface Stretch {
  readonly piece: EntryPiece | undefined
  readonly from: number
  readonly until: number
}

function* stretches(pieces: readonly EntryPiece[], changes: readonly PlacedChange[]): Iterable<Stretch> {
  let from = 0
  for (const [i, piece] of (pieces.length === 0 ? [undefined] : pieces).entries()) {
    const end = pieces[i + 1]?.from
    let until = from
    while (until < changes.length && (end === undefined || compareBytes(changes[until]!.path, end) < 0)) until++
    yield { piece, from, until }
    from = until
  }
}

/** Entries with the changes of their stretch, in order; what a change removes or replaces is left out. */
function* mergeEntries(
  entries: readonly Change[],
  changes: readonly PlacedChange[],
  { from, until }: Stretch,
): Iterable<PlacedChange> {
  let at = from
  for (const change of entries) {
    const path = sha256(change[0])
    let order = 1
    while (at < until && order > 0) {
      order = compareBytes(path, changes[at]!.path)
      if (order < 0) break
      const one = changes[at++]!
      if (one.change[1] !== undefined) yield one
    }
    if (order !== 0) yield { path, change }
  }
  for (; at < until; at++) if (changes[at]!.change[1] !== undefined) yield changes[at]!
}

/** Gathers entries in order and writes them as pieces. */
function createPacker(pieces: Pieces) {
  const made: EntryPiece[] = []
  let pending: PlacedChange[] = []
  let bytes = 0

  async function write(count: number): Promise<Result<void>> {
    const [first] = pending
    if (first === undefined) return done
    const taken = pending.slice(0, count).map(one => one.change)
    const encoded = encodeChanges(taken)
    const written = await pieces.write(encoded)
    if (!written.ok) return written
    made.push({ ...written.value, from: first.path })
    pending = pending.slice(count)
    bytes -= encoded.length
    return done
  }

  return {
    made,
    bytes: () => bytes,
    /** Takes one; true when `cut` has to be awaited before the next. */
    add(entry: PlacedChange): boolean {
      pending.push(entry)
      bytes += changeBytes(entry.change)
      return bytes >= PIECE_MAX
    },
    cut(): Promise<Result<void>> {
      let [count, size] = [0, 0]
      while (size < PIECE_BYTES) size += changeBytes(pending[count++]!.change)
      return write(count)
    },
    flush: (): Promise<Result<void>> => write(pending.length),
  }
}

/** Pieces of the same entries with changes merged in; those without a change are taken over as they are. */
export async function mergeIntoPieces(
  pieces: Pieces,
  old: readonly EntryPiece[],
  changes: readonly PlacedChange[],
): Promise<Result<readonly EntryPiece[]>> {
  const packer = createPacker(pieces)
  for (const stretch of stretches(old, changes)) {
    const { piece, from, until } = stretch
    if (piece !== undefined && from === until && (packer.bytes() === 0 || packer.bytes() >= PIECE_MIN)) {
      const flushed = await packer.flush()
      if (!flushed.ok) return flushed
      packer.made.push(piece)
      continue
    }
    const bytes = piece === undefined ? ok(new Uint8Array(0)) : await pieces.read(piece)
    if (!bytes.ok) return bytes
    const entries = decodeChanges(bytes.value)
    if (entries === undefined) return corrupt(`piece ${piece?.file}`, NO_ENTRIES)
    for (const entry of mergeEntries(entries, changes, stretch)) {
      const cut = packer.add(entry) ? await packer.cut() : done
      if (!cut.ok) return cut
    }
  }
  const flushed = await packer.flush()
  return flushed.ok ? ok(packer.made) : flushed
}

/** Pieces of a whole state. Entries come in the order of their paths; what does not is merged in afterwards. */
export async function writePieces(
  pieces: Pieces,
  entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>,
): Promise<Result<readonly EntryPiece[]>> {
  const packer = createPacker(pieces)
  const late: Change[] = []
  let last: Uint8Array | undefined
  for (const change of entries) {
    const path = sha256(change[0])
    if (last !== undefined && compareBytes(path, last) <= 0) {
      late.push(change)
      continue
    }
    last = path
    const cut = packer.add({ path, change }) ? await packer.cut() : done
    if (!cut.ok) return cut
  }
  const flushed = await packer.flush()
  if (!flushed.ok) return flushed
  return late.length === 0 ? ok(packer.made) : mergeIntoPieces(pieces, packer.made, await sortChanges([late]))
}

/** Every entry of an image with changes merged in; the answer may be iterated again. */
export async function loadEntries(
  pieces: Pieces,
  image: Image,
  changes: readonly PlacedChange[],
): Promise<Result<SavedState['entries']>> {
  const loaded: { readonly bytes: Uint8Array; readonly stretch: Stretch }[] = []
  for (const stretch of stretches(image.entries, changes)) {
    const { piece } = stretch
    const bytes = piece === undefined ? ok(new Uint8Array(0)) : await pieces.read(piece)
    if (!bytes.ok) return bytes
    if (decodeChanges(bytes.value) === undefined) return corrupt(`piece ${piece?.file}`, NO_ENTRIES)
    loaded.push({ bytes: bytes.value, stretch })
  }
  return ok({
    *[Symbol.iterator]() {
      for (const { bytes, stretch } of loaded) {
        const entries = decodeChanges(bytes)!
        // Only where something changed do the entries have to be placed.
        if (stretch.from === stretch.until) yield* entries as Iterable<readonly [Uint8Array, Uint8Array]>
        else {
          for (const { change } of mergeEntries(entries, changes, stretch)) yield [change[0], change[1]!] as const
        }
      }
    },
  })
}

const NO_ENTRIES = 'not a list of entries'

/** Every header hash of an image, in order. */
export async function loadHashes(pieces: Pieces, image: Image): Promise<Result<readonly Uint8Array[]>> {
  const hashes: Uint8Array[] = []
  for (const piece of image.hashes) {
    const bytes = await pieces.read(piece)
    if (!bytes.ok) return bytes
    for (let at = 0; at < bytes.value.length; at += HASH_BYTES) hashes.push(bytes.value.subarray(at, at + HASH_BYTES))
  }
  return ok(hashes)
}

/** Pieces of header hashes with more behind them. */
export async function appendHashes(
  pieces: Pieces,
  old: readonly Piece[],
  hashes: Iterable<Uint8Array>,
): Promise<Result<readonly Piece[]>> {
  const last = old.at(-1)
  const isOpen = last !== undefined && last.bytes < HASHES_PER_PIECE * HASH_BYTES
  const made = isOpen ? old.slice(0, -1) : [...old]
  const begun = isOpen ? await pieces.read(last) : ok(new Uint8Array(0))
  if (!begun.ok) return begun
  let pending = [begun.value]
  let count = begun.value.length / HASH_BYTES
  const write = async (): Promise<Result<void>> => {
    const written = await pieces.write(concat(...pending))
    if (!written.ok) return written
    made.push(written.value)
    pending = []
    count = 0
    return done
  }
  for (const hash of hashes) {
    pending.push(hash)
    const written = ++count === HASHES_PER_PIECE ? await write() : done
    if (!written.ok) return written
  }
  const written = count > 0 ? await write() : done
  return written.ok ? ok(made) : written
}
