/**
 * A folder with folders in it, for what is installed beside the agent: paths are relative, with slashes, and never lead out of
 * it or through a link. What was written is durable once it and the folder that names it are synced.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Release } from '../ports.ts'
import { announceHolder } from './hold.ts'

export interface TreeEntry {
  readonly name: string
  /** `other` is a link, a device, a pipe: nothing that was written here. */
  readonly kind: 'file' | 'folder' | 'other'
}

export interface Tree {
  /** Sorted by name, whatever it is called: a name need not be a path that the other calls take. */
  list(folder: string): Promise<Result<readonly TreeEntry[]>>
  /** A whole file of at most so many bytes. */
  read(path: string, most: number): Promise<Result<Uint8Array>>
  /** SHA-256 and length of a file, however long. */
  hash(path: string): Promise<Result<{ readonly sha256: Uint8Array; readonly size: number }>>
  /** Fine where it is there. */
  makeFolder(path: string): Promise<Result<void>>
  /** A new file, its bytes synced; its name not yet. A piece that is a fault ends it, and is the answer. */
  write(path: string, pieces: AsyncIterable<Result<Uint8Array>>): Promise<Result<void>>
  /** Makes the names in a folder durable. */
  sync(folder: string): Promise<Result<void>>
  /** Within one folder, whole or not at all; what has that name already must not be a folder. */
  rename(from: string, to: string): Promise<Result<void>>
  /** With everything in it; fine where it is not there. */
  remove(path: string): Promise<Result<void>>
  /** As `Disk.hold`, in a folder. */
  hold(folder: string, name: string): Promise<Result<Release>>
}

const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
const PIECE_BYTES = 1 << 18
const HASH_BYTES = 1 << 16
/** Without following a link, and without waiting for the other end of a pipe. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

async function trying<T>(path: string, work: () => Promise<T>): Promise<Result<T>> {
  try {
    return ok(await work())
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code
    // Without an errno it is no answer of the file system but a bug of ours.
    if (errno === undefined || errno.startsWith('ERR_')) throw error
    if (errno === 'ENOENT') return fail({ code: 'disk.missing', name: path })
    if (errno === 'ENOSPC' || errno === 'EDQUOT')
      return fail({ code: 'disk.full', name: path, hint: 'free some space' })
    if (errno === 'EACCES' || errno === 'EPERM') {
      return fail({ code: 'disk.permission', name: path, hint: 'run as the user of the agent' })
    }
    if (errno === 'EROFS') return fail({ code: 'disk.io', name: path, errno, hint: 'the file system is read-only' })
    return fail({ code: 'disk.io', name: path, errno })
  }
}

/** Pieces of an open file from `from` on, until it ends or `most` bytes were given. */
async function* piecesOf(handle: FileHandle, from: number, most: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < most; ) {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, most - at))
    const { bytesRead } = await handle.read(piece, 0, piece.length, from + at)
    if (bytesRead === 0) return
    at += bytesRead
    yield piece.subarray(0, bytesRead)
  }
}

/** SHA-256 and length of the same, in one buffer: a release is looked at by a program that lives on for months. */
async function hashOf(handle: FileHandle, from: number, most: number) {
  const hash = createHash('sha256')
  const buffer = new Uint8Array(HASH_BYTES)
  let size = 0
  while (size < most) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, most - size), from + size)
    if (bytesRead === 0) break
    hash.update(buffer.subarray(0, bytesRead))
    size += bytesRead
  }
  return { sha256: new Uint8Array(hash.digest()), size }
}

/** A path as it is, and no other than one of ours: a bug throws. */
export function treePath(path: string): string {
  if (path === '' || /^[A-Za-z0-9_][\w.-]*(\/[A-Za-z0-9_][\w.-]*)*$/.test(path)) return path
  throw new RangeError(`not a path of ours: ${path}`)
}

/** A folder that is there, or that `makeFolder` makes. */
export function openTree(root: string): Tree {
  const at = (path: string) => join(root, treePath(path))
  const reading = async <T>(path: string, work: (handle: FileHandle, size: number) => Promise<Result<T>>) => {
    const done = await trying(path, async () => {
      const handle = await open(at(path), READ)
      try {
        const seen = await handle.stat()
        return seen.isFile() ? await work(handle, seen.size) : fail({ code: 'disk.not-a-file', name: path })
      } finally {
        await handle.close()
      }
    })
    return done.ok ? done.value : done
  }
  return {
    list: folder =>
      trying(folder, async () =>
        (await readdir(at(folder), { withFileTypes: true }))
          .map((entry): TreeEntry => {
            const kind = entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'other'
            return { name: entry.name, kind }
          })
          .sort((a, b) => (a.name < b.name ? -1 : 1)),
      ),

    read: (path, most) =>
      reading(path, async (handle, size) => {
        if (size > most) return fail({ code: 'disk.too-large', name: path, bytes: size, limit: most })
        const parts: Uint8Array[] = []
        for await (const piece of piecesOf(handle, 0, most)) parts.push(piece)
        return ok(new Uint8Array(Buffer.concat(parts)))
      }),

    hash: path => reading(path, async (handle, size) => ok(await hashOf(handle, 0, size))),

    makeFolder: path =>
      trying(path, async () => {
        await mkdir(at(path), { recursive: true, mode: FOLDER_MODE })
      }),

    write: async (path, pieces) => {
      const written = await trying(path, async (): Promise<Result<void>> => {
        const handle = await open(at(path), 'wx', FILE_MODE)
        try {
          for await (const piece of pieces) {
            if (!piece.ok) return piece
            for (let done = 0; done < piece.value.length; ) {
              done += (await handle.write(piece.value, done, piece.value.length - done)).bytesWritten
            }
          }
          // By the descriptor that wrote: it hears of every failed write-back.
          await handle.sync()
          return ok(undefined)
        } finally {
          await handle.close()
        }
      })
      return written.ok ? written.value : written
    },

    sync: folder =>
      trying(folder, async () => {
        const handle = await open(at(folder), constants.O_RDONLY | constants.O_DIRECTORY)
        try {
          await handle.sync()
        } finally {
          await handle.close()
        }
      }),

    rename: (from, to) => trying(from, () => rename(at(from), at(to))),
    remove: path => trying(path, () => rm(at(path), { recursive: true, force: true })),
    hold: async (folder, name) => {
      const held = await trying(folder, () => announceHolder(at(folder), name))
      return held.ok ? held.value : held
    },
  }
}

export interface PieceSource {
  readonly size: number
  /** Bytes of the file; fewer where it ends before. */
  pieces(from: number, most: number): AsyncIterable<Result<Uint8Array>>
  /** SHA-256 of the same. */
  hash(from: number, most: number): Promise<Result<Uint8Array>>
  close(): Promise<void>
}

/** A file that is read in order and never held whole. */
export async function openPieces(file: string): Promise<Result<PieceSource>> {
  const opened = await trying(file, async () => {
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const seen = await handle.stat()
    if (seen.isFile()) return { handle, size: seen.size }
    await handle.close()
    return undefined
  })
  if (!opened.ok) return opened
  if (opened.value === undefined) return fail({ code: 'disk.not-a-file', name: file })
  const { handle, size } = opened.value
  return ok({
    size,
    close: () => handle.close(),
    hash: (from, most) => trying(file, async () => (await hashOf(handle, from, most)).sha256),
    async *pieces(from, most) {
      const parts = piecesOf(handle, from, most)
      for (;;) {
        const next = await trying(file, () => parts.next())
        if (!next.ok) return yield next
        if (next.value.done) return
        yield ok(next.value.value)
      }
    },
  })
}

/** Whether what this user writes into a folder is its owner's own: root would leave files there that its owner cannot read. */
export async function ownsFolder(folder: string): Promise<Result<boolean>> {
  return trying(folder, async () => (await stat(folder)).uid === process.getuid?.())
}
