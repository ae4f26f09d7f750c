/** Files that a person wrote or recorded: configuration, profiles, captures. What the agent itself keeps goes through the Disk port. */
import { createReadStream, existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { concat, fromUtf8 } from '../protocol/bytes.ts'
import { done, fail, ok, type Result } from '../protocol/result.ts'

export type FileFault = {
  readonly code: 'file.missing' | 'file.permission' | 'file.unreadable'
  readonly file: string
  readonly why?: string
  readonly hint?: string
}

export type NewFileFault = {
  readonly code: 'file.exists' | 'file.permission' | 'file.unwritten'
  readonly file: string
  readonly why?: string
  readonly hint?: string
}

const STANDARD_INPUT = 0
/** Days of telegrams, one a second. A device that is read like a file has no end of its own. */
const MIB_MOST = 256
const MIB = 1024 * 1024

export async function readTextFile(file: string): Promise<Result<string, FileFault>> {
  const read = await readBytes(file)
  if (!read.ok) return read
  const text = fromUtf8(read.value)
  return text === undefined ? fail({ code: 'file.unreadable', file, why: 'not UTF-8 text' }) : ok(text)
}

/** A whole file of at most 256 MiB; `-` is what is handed to this program's standard input. */
export async function readBytes(file: string): Promise<Result<Uint8Array, FileFault>> {
  try {
    const from = file === '-' ? { fd: STANDARD_INPUT, autoClose: false } : {}
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of createReadStream(file, { ...from, highWaterMark: MIB })) {
      bytes += chunk.length
      if (bytes > MIB_MOST * MIB) return fail({ code: 'file.unreadable', file, why: `more than ${MIB_MOST} MiB` })
      chunks.push(chunk)
    }
    return ok(concat(...chunks))
  } catch (error) {
    return fail(unreadFault(file, error))
  }
}

/** What the system threw when a file was opened or read. */
export function unreadFault(file: string, error: unknown): FileFault {
  const why = (error as NodeJS.ErrnoException).code ?? String(error)
  if (why === 'ENOENT' || why === 'ENOTDIR') return { code: 'file.missing', file }
  if (why === 'EACCES' || why === 'EPERM') {
    return { code: 'file.permission', file, hint: 'run as a user who may read it' }
  }
  return { code: 'file.unreadable', file, why }
}

/**
 * Writes a file that is not there yet, for its owner only, and the folders above it. One that is there is left as it is.
 * Text that is too long for one string comes in pieces.
 */
export async function writeNewTextFile(
  file: string,
  text: string | Iterable<string>,
): Promise<Result<void, NewFileFault>> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(file, text, { flag: 'wx', mode: 0o600 })
    return done
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    if (why === 'EEXIST') return fileExists(file)
    if (why === 'EACCES' || why === 'EPERM') {
      return fail({ code: 'file.permission', file, hint: 'run as a user who may write there' })
    }
    return fail({ code: 'file.unwritten', file, why })
  }
}

const fileExists = (file: string) =>
  fail<NewFileFault>({ code: 'file.exists', file, hint: 'nothing is overwritten: name another folder' })

/** The same with several, by their paths: where one is there already, none of the others is written. */
export async function writeNewTextFiles(texts: ReadonlyMap<string, string>): Promise<Result<void, NewFileFault>> {
  for (const file of texts.keys()) if (existsSync(file)) return fileExists(file)
  for (const [file, text] of texts) {
    const written = await writeNewTextFile(file, text)
    if (!written.ok) return written
  }
  return done
}
