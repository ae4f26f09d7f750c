/**
 * What is too large for one file, in files that are written once: each whole or not there, known by its number and hash.
 * Whoever keeps the list of them (in a file of its own, replaced as a whole) says which of them count.
 */
import { createHash } from 'node:crypto'
import { equalBytes } from '../../protocol/bytes.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import type { Disk } from '../ports.ts'

export interface Piece {
  readonly file: number
  readonly bytes: number
  /** SHA-256. */
  readonly hash: Uint8Array
}

export interface Pieces {
  write(bytes: Uint8Array): Promise<Result<Piece>>
  /** `pieces.corrupt` where it is not as it was written, `pieces.missing` where it is gone. */
  read(piece: Piece): Promise<Result<Uint8Array>>
  /** Removes every piece but these. */
  keepOnly(pieces: Iterable<Piece>): Promise<Result<void>>
}

/** `name` is what the names of the files begin with. */
export async function openPieces(disk: Disk, name: string): Promise<Result<Pieces>> {
  const fileName = (file: number) => `${name}-${String(file).padStart(10, '0')}`
  async function files(): Promise<Result<readonly number[]>> {
    const listed = await disk.list()
    if (!listed.ok) return listed
    return ok(
      listed.value.flatMap(each => {
        const file = Number(/-(\d{10})$/.exec(each)?.[1])
        return each === fileName(file) ? [file] : []
      }),
    )
  }
  const there = await files()
  if (!there.ok) return there
  let next = there.value.reduce((most, file) => Math.max(most, file), 0) + 1

  return ok({
    async write(bytes) {
      const file = next++
      const hash = sha256(bytes)
      const written = await disk.replace(fileName(file), bytes)
      return written.ok ? ok({ file, bytes: bytes.length, hash }) : written
    },
    async read({ file, hash }) {
      const bytes = await disk.read(fileName(file))
      if (!bytes.ok) {
        return bytes.fault.code === 'disk.missing'
          ? fail({ code: 'pieces.missing', file: fileName(file), hint: HINT })
          : bytes
      }
      return equalBytes(sha256(bytes.value), hash)
        ? bytes
        : fail({ code: 'pieces.corrupt', file: fileName(file), bytes: bytes.value.length, hint: HINT })
    },
    async keepOnly(pieces) {
      const kept = new Set([...pieces].map(piece => piece.file))
      const all = await files()
      if (!all.ok) return all
      for (const file of all.value) {
        const removed = kept.has(file) ? done : await disk.remove(fileName(file))
        if (!removed.ok) return removed
      }
      return done
    },
  })
}

const HINT = 'set the folder aside and restore it from a copy'

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest())
