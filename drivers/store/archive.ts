/**
 * Archives for people to keep elsewhere: a tar of plain files under gzip. Written whole or not at all, for its owner only; read
 * with suspicion, entry by entry, because whoever had it in his hands may have changed it. The one file that knows modern-tar.
 */
import { createReadStream } from 'node:fs'
import { access, type FileHandle, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { createTarDecoder, createTarPacker, type ParsedTarEntry } from 'modern-tar'
import { concat } from '../../protocol/bytes.ts'
import { done, type Fault, fail, type Result } from '../../protocol/result.ts'

export type ArchiveFault =
  | { readonly code: 'archive.exists'; readonly file: string; readonly hint: string }
  | { readonly code: 'archive.missing'; readonly file: string }
  | { readonly code: 'archive.io'; readonly file: string; readonly errno: string }
  | { readonly code: 'archive.truncated'; readonly file: string }
  | { readonly code: 'archive.damaged'; readonly file: string; readonly why: string }
  | { readonly code: 'archive.not-a-file'; readonly entry: string; readonly type: string }
  | { readonly code: 'archive.name'; readonly entry: string }
  | { readonly code: 'archive.duplicate'; readonly entry: string }
  | { readonly code: 'archive.too-large'; readonly entry: string; readonly bytes: number; readonly limit: number }
  | { readonly code: 'archive.too-many'; readonly file: string; readonly limit: number }

export interface ArchiveLimits {
  /** Of one entry and of all together, unpacked; an entry is held in memory whole. */
  readonly entryBytes: number
  readonly totalBytes: number
  /** Each is remembered by its name. */
  readonly entries: number
}

/** Of a tar, for the header and the padding of an entry; and for its end, which tar rounds up to 10 KiB. */
const BESIDE_ENTRY = 4096
const BESIDE_ALL = 64 * 1024
const UNFINISHED = '.unfinished'
const MODE = 0o600

/**
 * `fill` adds the entries, one after the other. What it answers is answered, and nothing is left behind where that is a fault.
 * A file of that name is not replaced.
 */
export async function writeArchive(
  file: string,
  fill: (add: (name: string, bytes: Uint8Array) => Promise<void>) => Promise<Result<unknown>>,
): Promise<Result<void, ArchiveFault | Fault>> {
  const unfinished = file + UNFINISHED
  try {
    if (await isThere(file))
      return fail({ code: 'archive.exists', file, hint: 'nothing is overwritten: name another file' })
    const handle = await open(unfinished, 'w', MODE)
    try {
      const filled = await pack(handle, fill)
      if (filled.ok) await handle.sync()
      await handle.close()
      if (filled.ok) await rename(unfinished, file)
      else await unlink(unfinished)
      if (filled.ok) await syncFolder(dirname(file))
      return filled.ok ? done : filled
    } catch (error) {
      await handle.close().catch(() => {})
      await unlink(unfinished).catch(() => {})
      throw error
    }
  } catch (error) {
    return fail(faultOf(file, error))
  }
}

async function pack(handle: FileHandle, fill: Parameters<typeof writeArchive>[1]): Promise<Result<unknown>> {
  const { readable, controller } = createTarPacker()
  const written = pipeline(
    Readable.fromWeb(readable as Parameters<typeof Readable.fromWeb>[0]),
    createGzip(),
    async source => {
      for await (const chunk of source) await handle.writeFile(chunk as Uint8Array)
    },
  )
  // Heard below; while entries are added it may fail already.
  written.catch(() => {})
  const gone = written.then(
    () => new Promise<never>(() => {}),
    error => Promise.reject(error),
  )
  gone.catch(() => {})
  const filled = await fill(async (name, bytes) => {
    const stream = controller.add({ name, size: bytes.length, type: 'file', mode: MODE }).getWriter()
    // A disk that is full takes nothing more, and no write would ever end.
    await Promise.race([stream.write(bytes).then(() => stream.close()), gone])
  })
  if (filled.ok) controller.finalize()
  else controller.error(new Error('given up'))
  if (filled.ok) await written
  else await written.catch(() => {})
  return filled
}

/** Hands over each entry whose name `isName` knows, in their order; anything else in the archive ends it with a fault. */
export async function readArchive(
  file: string,
  isName: (name: string) => boolean,
  limits: ArchiveLimits,
  take: (name: string, bytes: Uint8Array) => Promise<Result<unknown>>,
): Promise<Result<void, ArchiveFault | Fault>> {
  const seen = new Set<string>()
  let total = 0
  const source = createReadStream(file)
  // Also what is no entry costs time, and a gzip of nothing but zeros unpacks to a thousand times its length.
  const plain = noMoreThan(limits.totalBytes + limits.entries * BESIDE_ENTRY + BESIDE_ALL)
  const unpacking = pipeline(source, createGunzip(), plain)
  unpacking.catch(() => {})
  try {
    const web = Readable.toWeb(plain) as unknown as ReadableStream<Uint8Array>
    const entries = web.pipeThrough(createTarDecoder({ strict: true }))
    for await (const entry of entries as unknown as AsyncIterable<ParsedTarEntry>) {
      const { name, type = 'file', size } = entry.header
      if (type !== 'file') return fail({ code: 'archive.not-a-file', entry: shown(name), type })
      if (!isName(name)) return fail({ code: 'archive.name', entry: shown(name) })
      if (seen.has(name)) return fail({ code: 'archive.duplicate', entry: name })
      seen.add(name)
      if (seen.size > limits.entries) return fail({ code: 'archive.too-many', file, limit: limits.entries })
      total += size
      if (!(size <= limits.entryBytes))
        return fail({ code: 'archive.too-large', entry: name, bytes: size, limit: limits.entryBytes })
      if (total > limits.totalBytes)
        return fail({ code: 'archive.too-large', entry: name, bytes: total, limit: limits.totalBytes })
      const chunks: Uint8Array[] = []
      for await (const chunk of entry.body as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk)
      const bytes = concat(...chunks)
      if (bytes.length !== size) return fail({ code: 'archive.truncated', file })
      const taken = await take(name, bytes)
      if (!taken.ok) return taken
    }
    // Also its end has to be there, with the checksum over everything.
    await unpacking
    return done
  } catch (error) {
    return fail(faultOf(file, error))
  } finally {
    source.destroy()
    plain.destroy()
  }
}

function noMoreThan(limit: number): Transform {
  let bytes = 0
  return new Transform({
    transform(chunk: Uint8Array, _encoding, handOn) {
      bytes += chunk.length
      if (bytes > limit) handOn(new Error(`unpacks to more than ${limit} bytes`))
      else handOn(null, chunk)
    },
  })
}

const shown = (name: string): string => JSON.stringify(name.slice(0, 100))

async function isThere(file: string): Promise<boolean> {
  try {
    await access(file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function faultOf(file: string, error: unknown): ArchiveFault {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return { code: 'archive.missing', file }
  if (code === 'Z_BUF_ERROR' || /end of|truncated/i.test(message)) return { code: 'archive.truncated', file }
  // The system's codes are E and capitals; zlib's and the tar reader's own words are about what is read.
  if (code !== undefined && /^E[A-Z]+$/.test(code)) return { code: 'archive.io', file, errno: code }
  return { code: 'archive.damaged', file, why: message }
}
