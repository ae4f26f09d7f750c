/**
 * A whole state on disk: pieces of entries in the order of their places (placed-changes.ts), pieces of header hashes, and
 * the list of them, which is replaced last. A new image is the old one with changes merged in; pieces without a change stay
 * as they are, only the changes and one piece are ever in memory, and the old image counts until the new list stands.
 *
 *     list    "TLI1"  SHA-256 of the rest  protobuf
 *               1 height   2 app_hash   3 epoch   4 entries {1 file  2 bytes  3 hash  4 place of its first}
 *               5 hashes {1 file  2 bytes  3 hash}
 *     piece   entries: the place, 8 bytes big-endian, and a change (change-bytes.ts); or header hashes of 32 bytes
 */
import type { Disk } from '../../drivers/ports.ts'
import type { Piece, Pieces } from '../../drivers/store/pieces.ts'
import { concat, equalBytes, utf8 } from '../../protocol/bytes.ts'
import { bytesField, messageField, readMessage, varintField } from '../../protocol/chain/proto.ts'
import type { Change } from '../../protocol/chain/smt.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { SavedState } from '../../protocol/ledger/app.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { compareKeys, endOf, isChanges, isRemoved, keyAt, putChange, sizeOf, valueAt } from './change-bytes.ts'
import { type PlacedChanges, placeList, word } from './placed-changes.ts'

interface EntryPiece extends Piece {
  /** Place of its first entry. */
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

const LIST = 'image'
const MAGIC = utf8('TLI1')
const HASH_BYTES = 32
const PLACE_BYTES = 8

/** Merging and hashing this much takes a few milliseconds, and a million keys are a few hundred files of it. */
const PIECE_BYTES = 512 * 1024
/** A piece that grows to this is cut; one that would be smaller than the other is joined with the next. */
const PIECE_MAX = 1024 * 1024
const PIECE_MIN = 128 * 1024
const HASHES_PER_PIECE = PIECE_BYTES / HASH_BYTES

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

/** A piece and the changes that fall to it: those from `from` up to `until`. Without pieces one stretch has all changes. */
interface Stretch {
  readonly piece: EntryPiece | undefined
  readonly from: number
  readonly until: number
}

const comparePlaces = (highA: number, lowA: number, highB: number, lowB: number): number => highA - highB || lowA - lowB

function* stretches(pieces: readonly EntryPiece[], changes: PlacedChanges): Iterable<Stretch> {
  let from = 0
  for (const [i, piece] of (pieces.length === 0 ? [undefined] : pieces).entries()) {
    const end = pieces[i + 1]?.from
    let until = end === undefined ? changes.count : from
    if (end !== undefined) {
      const [high, low] = [word(end, 0), word(end, 4)]
      while (until < changes.count && comparePlaces(changes.high[until]!, changes.low[until]!, high, low) < 0) until++
    }
    yield { piece, from, until }
    from = until
  }
}

/** Where an entry's change stands, and its place. One object is handed out again and again. */
interface Cursor {
  high: number
  low: number
  bytes: Uint8Array
  at: number
}

/** A piece's entries with the changes of its stretch, in order; what a change removes or replaces is left out. */
function* mergeEntries(bytes: Uint8Array, changes: PlacedChanges, { from, until }: Stretch): Iterable<Cursor> {
  const cursor: Cursor = { high: 0, low: 0, bytes, at: 0 }
  let index = from
  const changeAt = (i: number): Cursor => {
    cursor.high = changes.high[i]!
    cursor.low = changes.low[i]!
    cursor.bytes = changes.bytes(i)
    cursor.at = changes.at(i)
    return cursor
  }
  for (let entry = 0; entry < bytes.length; entry = endOf(bytes, entry + PLACE_BYTES)) {
    const [high, low] = [word(bytes, entry), word(bytes, entry + 4)]
    const at = entry + PLACE_BYTES
    let order = -1
    while (index < until && order < 0) {
      order = comparePlaces(changes.high[index]!, changes.low[index]!, high, low)
      if (order === 0) order = compareKeys(changes.bytes(index), changes.at(index), bytes, at)
      if (order > 0) break
      changeAt(index++)
      if (!isRemoved(cursor.bytes, cursor.at)) yield cursor
    }
    if (order === 0) continue
    cursor.high = high
    cursor.low = low
    cursor.bytes = bytes
    cursor.at = at
    yield cursor
  }
  for (; index < until; index++) if (!isRemoved(changes.bytes(index), changes.at(index))) yield changeAt(index)
}

/** Gathers entries in order and writes them as pieces. */
function createPacker(pieces: Pieces) {
  const made: EntryPiece[] = []
  let out = new Uint8Array(2 * PIECE_MAX)
  let size = 0
  let last = 0
  /** Where the gathered entries may be cut: no two of the same place fall to different pieces. */
  let middle = 0

  /** Room for one more entry behind the others; its place is written. */
  function begin(high: number, low: number, changeBytes: number): number {
    const needed = size + PLACE_BYTES + changeBytes
    if (needed > out.length) {
      const larger = new Uint8Array(2 * needed)
      larger.set(out.subarray(0, size))
      out = larger
    }
    if (middle === 0 && size >= PIECE_BYTES && (word(out, last) !== high || word(out, last + 4) !== low)) middle = size
    last = size
    for (let i = 0; i < 4; i++) {
      out[size + i] = (high >>> (24 - 8 * i)) & 255
      out[size + 4 + i] = (low >>> (24 - 8 * i)) & 255
    }
    size = needed
    return last + PLACE_BYTES
  }

  async function write(bytes: number): Promise<Result<void>> {
    if (bytes === 0) return done
    const taken = out.slice(0, bytes)
    const written = await pieces.write(taken)
    if (!written.ok) return written
    made.push({ ...written.value, from: taken.slice(0, PLACE_BYTES) })
    out.copyWithin(0, bytes, size)
    size -= bytes
    last -= bytes
    middle = 0
    return done
  }

  return {
    made,
    bytes: () => size,
    add({ high, low, bytes, at }: Cursor): void {
      const end = endOf(bytes, at)
      out.set(bytes.subarray(at, end), begin(high, low, end - at))
    },
    addChange(high: number, low: number, change: Change): void {
      const at = begin(high, low, sizeOf(change))
      putChange(out, at, change)
    },
    /** To be awaited, before more is added, once this is true. */
    isFull: () => size >= PIECE_MAX && middle > 0,
    cut: () => write(middle),
    flush: () => write(size),
  }
}

/** Pieces of the same entries with changes merged in; those without a change are taken over as they are. */
export async function mergeIntoPieces(
  pieces: Pieces,
  old: readonly EntryPiece[],
  changes: PlacedChanges,
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
    const bytes = await readPieceOf(pieces, stretch)
    if (!bytes.ok) return bytes
    for (const entry of mergeEntries(bytes.value, changes, stretch)) {
      packer.add(entry)
      const cut = packer.isFull() ? await packer.cut() : done
      if (!cut.ok) return cut
    }
  }
  const flushed = await packer.flush()
  return flushed.ok ? ok(packer.made) : flushed
}

async function readPieceOf(pieces: Pieces, { piece }: Stretch): Promise<Result<Uint8Array>> {
  const bytes = piece === undefined ? ok(new Uint8Array(0)) : await pieces.read(piece)
  if (!bytes.ok || isChanges(bytes.value, PLACE_BYTES)) return bytes
  return corrupt(`piece ${piece?.file}`, 'not a list of entries')
}

/** Pieces of a whole state. Entries come in the order of the state tree; what does not is merged in afterwards. */
export async function writePieces(
  pieces: Pieces,
  entries: SavedState['entries'],
): Promise<Result<readonly EntryPiece[]>> {
  const packer = createPacker(pieces)
  const late: Change[] = []
  let [highest, lowest] = [-1, -1]
  for (const change of entries) {
    const path = sha256(change[0])
    const [high, low] = [word(path, 0), word(path, 4)]
    if (comparePlaces(high, low, highest, lowest) <= 0) {
      late.push(change)
      continue
    }
    highest = high
    lowest = low
    packer.addChange(high, low, change)
    const cut = packer.isFull() ? await packer.cut() : done
    if (!cut.ok) return cut
  }
  const flushed = await packer.flush()
  if (!flushed.ok) return flushed
  return late.length === 0 ? ok(packer.made) : mergeIntoPieces(pieces, packer.made, await placeList(late))
}

/** Every entry of an image with changes merged in; the answer may be iterated again. */
export async function loadEntries(
  pieces: Pieces,
  image: Image,
  changes: PlacedChanges,
): Promise<Result<SavedState['entries']>> {
  const loaded: { readonly bytes: Uint8Array; readonly stretch: Stretch }[] = []
  for (const stretch of stretches(image.entries, changes)) {
    const bytes = await readPieceOf(pieces, stretch)
    if (!bytes.ok) return bytes
    loaded.push({ bytes: bytes.value, stretch })
  }
  return ok({
    *[Symbol.iterator]() {
      for (const piece of loaded) {
        for (const { bytes, at } of mergeEntries(piece.bytes, changes, piece.stretch)) {
          yield [keyAt(bytes, at), valueAt(bytes, at)] as const
        }
      }
    },
  })
}

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
