/**
 * The Disk port on a folder of the file system. Files and folder are for their owner only: they hold the journal and
 * sealed keys.
 *
 * A write and the sync after it go through the same open file, because Linux reports a failed write-back once, to the
 * descriptors that were open then: a sync on a fresh one would say that all is well.
 */
import { constants } from 'node:fs'
import { access, type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Disk } from '../ports.ts'
import { announceHolder, type HoldFault } from './hold.ts'

export type DiskFault =
  | { readonly code: 'disk.missing'; readonly name: string }
  | { readonly code: 'disk.exists'; readonly name: string }
  | { readonly code: 'disk.full'; readonly name: string; readonly hint: string }
  | { readonly code: 'disk.beyond-end'; readonly name: string; readonly end: number; readonly size: number }
  | { readonly code: 'disk.io'; readonly name: string; readonly errno: string }
  /** A pipe, a device or a folder: reading it may never end. */
  | { readonly code: 'disk.not-a-file'; readonly name: string }
  | { readonly code: 'disk.too-large'; readonly name: string; readonly bytes: number; readonly limit: number }
  | HoldFault

export interface FolderDisk extends Disk {
  /** Closes what is open; a later call opens it again. */
  close(): Promise<void>
}

interface OpenFile {
  readonly handle: FileHandle
  readonly size: number
}

/** What is being made; never listed, and written over by the next attempt. */
const UNFINISHED = '.unfinished'
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
/** Zeros are written this many bytes at a time. */
const FILL_BYTES = 1 << 20

/** A segment, the longest of our files, has 16 MiB: what somebody else put there must not take all memory. */
const MAX_READ_BYTES = 256 << 20

type ReadableFolder = Pick<Disk, 'list' | 'read'>

function pathIn(folder: string, name: string): string {
  if (!/^[a-z0-9][a-z0-9._-]{0,99}$/.test(name) || name.endsWith(UNFINISHED)) {
    throw new RangeError(`not a file name of ours: ${name}`)
  }
  return join(folder, name)
}

async function trying<T>(name: string, work: () => Promise<T>): Promise<Result<T, DiskFault>> {
  try {
    return ok(await work())
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code
    // Without an errno it is no answer of the file system but a bug of ours.
    if (errno === undefined || errno.startsWith('ERR_')) throw error
    if (errno === 'ENOENT') return fail({ code: 'disk.missing', name })
    if (errno === 'EEXIST') return fail({ code: 'disk.exists', name })
    if (errno === 'ENOSPC' || errno === 'EDQUOT') return fail({ code: 'disk.full', name, hint: 'free some space' })
    return fail({ code: 'disk.io', name, errno })
  }
}

const folderReader = (folder: string): ReadableFolder => ({
  list: () =>
    trying(folder, async () => {
      const names = await readdir(folder)
      return names.filter(name => !name.endsWith(UNFINISHED) && !name.startsWith('.')).sort()
    }),

  read: async (name, from = 0, bytes) => {
    // Without waiting, as opening a pipe would, for somebody to write.
    const opened = await trying(name, () => open(pathIn(folder, name), constants.O_RDONLY | constants.O_NONBLOCK))
    if (!opened.ok) return opened
    const handle = opened.value
    try {
      const stat = await trying(name, () => handle.stat())
      if (!stat.ok) return stat
      if (!stat.value.isFile()) return fail({ code: 'disk.not-a-file', name })
      const wanted = bytes ?? Math.max(0, stat.value.size - from)
      if (wanted > MAX_READ_BYTES) return fail({ code: 'disk.too-large', name, bytes: wanted, limit: MAX_READ_BYTES })
      return await trying(name, () => readUpTo(handle, from, wanted))
    } finally {
      await handle.close()
    }
  },
})

/** A folder as it is, to read only: it may be a copy on a medium that nobody can write to. `disk.missing` where it is not. */
export async function openFolder(folder: string): Promise<Result<ReadableFolder>> {
  const reading = folderReader(folder)
  const listed = await reading.list()
  return listed.ok ? ok(reading) : listed
}

export async function openDisk(folder: string): Promise<Result<FolderDisk, DiskFault>> {
  const files = new Map<string, Promise<OpenFile>>()

  const pathOf = (name: string) => pathIn(folder, name)

  /** Makes names durable: a new or replaced file is lost with its folder's entry. */
  async function syncFolder(): Promise<void> {
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  async function forget(name: string): Promise<void> {
    const file = files.get(name)
    files.delete(name)
    await (await file)?.handle.close()
  }

  /** Writes a file under its unfinished name and moves it into place, so that it is whole or not there. */
  async function place(name: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
    const path = pathOf(name)
    const unfinished = path + UNFINISHED
    try {
      const handle = await open(unfinished, 'w', FILE_MODE)
      try {
        await write(handle)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await forget(name)
      await rename(unfinished, path)
    } catch (error) {
      // A full disk wants the space back; that this fails too changes nothing about the answer.
      await unlink(unfinished).catch(() => {})
      throw error
    }
    await syncFolder()
  }

  /** The one open file of that name; two calls at once wait for the same opening. */
  function fileOf(name: string): Promise<OpenFile> {
    const known = files.get(name)
    if (known !== undefined) return known
    const opening = open(pathOf(name), 'r+').then(async handle => ({ handle, size: (await handle.stat()).size }))
    files.set(name, opening)
    opening.catch(() => files.delete(name))
    return opening
  }

  const made = await trying(folder, async () => {
    await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  })
  if (!made.ok) return made

  return ok({
    ...folderReader(folder),

    create: async (name, size) => {
      const path = pathOf(name)
      const there = await trying(name, () => access(path))
      if (there.ok) return fail({ code: 'disk.exists', name })
      return trying(name, () =>
        place(name, async handle => {
          const zeros = new Uint8Array(Math.min(size, FILL_BYTES))
          for (let at = 0; at < size; at += FILL_BYTES) await writeAll(handle, zeros.subarray(0, size - at), at)
        }),
      )
    },

    write: async (name, offset, bytes) => {
      const file = await trying(name, () => fileOf(name))
      if (!file.ok) return file
      const { handle, size } = file.value
      const end = offset + bytes.length
      if (end > size) return fail({ code: 'disk.beyond-end', name, end, size })
      return trying(name, () => writeAll(handle, bytes, offset))
    },

    sync: async name => {
      const file = await trying(name, () => fileOf(name))
      return file.ok ? trying(name, () => file.value.handle.datasync()) : file
    },

    replace: (name, bytes) => trying(name, () => place(name, handle => writeAll(handle, bytes, 0))),

    remove: name =>
      trying(name, async () => {
        await forget(name)
        await unlink(pathOf(name))
        await syncFolder()
      }),

    hold: async name => {
      pathOf(name)
      const held = await trying(name, () => announceHolder(folder, name))
      return held.ok ? held.value : held
    },

    close: async () => {
      for (const name of [...files.keys()]) await forget(name)
    },
  })
}

/** One read call may give only part of the bytes. */
async function readUpTo(handle: FileHandle, from: number, bytes: number): Promise<Uint8Array> {
  const out = new Uint8Array(bytes)
  let at = 0
  while (at < bytes) {
    const { bytesRead } = await handle.read(out, at, bytes - at, from + at)
    if (bytesRead === 0) break
    at += bytesRead
  }
  return out.subarray(0, at)
}

/** One write call may take only part of the bytes. */
async function writeAll(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await handle.write(bytes, at, bytes.length - at, offset + at)).bytesWritten
  }
}
