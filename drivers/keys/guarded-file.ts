/** Files that hold secrets: whether anybody but their owner could have read or changed them. */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { fromUtf8 } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Disk } from '../ports.ts'
import { openDisk } from '../store/disk.ts'
import { type FileFault, unreadFault } from '../text-file.ts'

export type ExposedFault = {
  readonly code: 'keys.exposed'
  readonly file: string
  readonly why: string
  readonly hint: string
}

type EmptyFault = { readonly code: 'keys.empty'; readonly file: string; readonly hint: string }

const SECRET_HINT = 'write the passphrase or PIN on its first line, and chmod 600'

/** Any access by others, any access by the group, and that of others alone. */
const BEYOND_OWNER = 0o077
const OTHERS = 0o007

/** Held while a file is made. */
const MAKING = 'keys'
/** Far above a sealed key or a passphrase: a file that grew, or another one, must not fill the memory. */
const SECRET_MAX = 4096

/**
 * Why a file is no place for a secret; undefined where it is one, or is not there. It must belong to this process's user
 * or to root and be open to nobody else. In a file of root's the group's bits are let pass for another user: systemd lends
 * credentials by an access list, whose mask stands in those bits (systemd.exec(5), LoadCredential).
 */
export async function exposureOf(file: string): Promise<ExposedFault | undefined> {
  const seen = await stat(file).catch(() => undefined)
  return seen === undefined ? undefined : exposureIn(file, seen)
}

function exposureIn(file: string, seen: Stats): ExposedFault | undefined {
  const user = process.getuid?.()
  // Where there are no users, modes say nothing.
  if (user === undefined) return undefined
  if (seen.uid !== user && seen.uid !== 0) {
    const hint = 'take it over: chown it to the user that runs the agent'
    return { code: 'keys.exposed', file, why: `it belongs to user ${seen.uid}, not to ${user}`, hint }
  }
  const lent = seen.uid === 0 && user !== 0
  if ((seen.mode & (lent ? OTHERS : BEYOND_OWNER)) === 0) return undefined
  const mode = (seen.mode & 0o777).toString(8).padStart(3, '0')
  return { code: 'keys.exposed', file, why: `its mode is ${mode}`, hint: 'others can read this key: chmod 600' }
}

/** A guarded file of at most 4 kB. What is looked at is what is read, though its name be given to another meanwhile. */
export async function readGuarded(file: string): Promise<Result<Uint8Array, FileFault | ExposedFault>> {
  let handle: FileHandle | undefined
  try {
    // A pipe that nobody writes to must not hold up the start.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const seen = await handle.stat()
    if (!seen.isFile()) return fail({ code: 'file.unreadable', file, why: 'not a plain file' })
    const exposed = exposureIn(file, seen)
    if (exposed !== undefined) return fail(exposed)
    const bytes = new Uint8Array(SECRET_MAX + 1)
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0)
    if (bytesRead > SECRET_MAX) return fail({ code: 'file.unreadable', file, why: `more than ${SECRET_MAX} bytes` })
    return ok(bytes.subarray(0, bytesRead))
  } catch (error) {
    return fail(unreadFault(file, error))
  } finally {
    await handle?.close()
  }
}

/**
 * Has `make` put a new file into its folder, which is made where missing, while nobody else makes one there: two at once must
 * not both find the place empty. The disk writes a file whole or not at all, for its owner alone.
 */
export async function makeGuarded<T>(
  file: string,
  make: (disk: Disk, name: string) => Promise<Result<T>>,
): Promise<Result<T>> {
  const name = basename(file)
  if (!/^[a-z0-9][a-z0-9._-]{0,99}$/.test(name)) {
    return fail({ code: 'keys.file-name', file, hint: 'lower-case letters, digits, dots and dashes' })
  }
  const disk = await openDisk(dirname(file))
  if (!disk.ok) return fail({ ...disk.fault, file })
  const held = await disk.value.hold(MAKING)
  if (!held.ok) return fail({ ...held.fault, file })
  const made = await make(disk.value, name)
  await held.value()
  await disk.value.close()
  return made.ok ? made : fail({ ...made.fault, file })
}

/** The first line of a guarded file: a passphrase or a PIN. No fault repeats what the file holds. */
export async function readSecretLine(file: string): Promise<Result<string, FileFault | ExposedFault | EmptyFault>> {
  const read = await readGuarded(file)
  if (!read.ok) return read.fault.code === 'file.missing' ? fail({ ...read.fault, hint: SECRET_HINT }) : read
  const line = fromUtf8(read.value)?.split(/\r?\n/)[0]
  read.value.fill(0)
  if (line === undefined) return fail({ code: 'file.unreadable', file, why: 'not UTF-8 text' })
  return line === '' ? fail({ code: 'keys.empty', file, hint: SECRET_HINT }) : ok(line)
}
