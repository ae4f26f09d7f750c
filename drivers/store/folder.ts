/** Folders: made where missing, temporary ones removed with everything in them. */
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { lchown, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { done, fail, ok, type Result } from '../../protocol/result.ts'

const errnoOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown'

const HINTS: Readonly<Record<string, string>> = {
  EROFS: 'the file system is mounted read-only: mount it for writing, or name a folder elsewhere',
  ENOSPC: 'the file system is full',
  EEXIST: 'a file has the name of the folder: move it away',
  ENOTDIR: 'a file has the name of a folder above: move it away',
}

/** Why nothing can be made below the nearest folder that is there: making several at once says ENOENT of whatever kept it from the first. */
function errnoAbove(path: string): string | undefined {
  let missing = resolve(path)
  while (!existsSync(dirname(missing))) missing = dirname(missing)
  try {
    accessSync(dirname(missing), constants.W_OK)
    // A file system without room says so only when one is made alone.
    mkdirSync(missing)
    rmdirSync(missing)
    return undefined
  } catch (error) {
    return errnoOf(error)
  }
}

function faultOf(path: string, error: unknown) {
  const errno = (errnoOf(error) === 'ENOENT' ? errnoAbove(path) : undefined) ?? errnoOf(error)
  const hint = HINTS[errno] ?? 'check that the folder above exists and that this user may write there'
  return fail({ code: 'folder.not-made', path, errno, hint })
}

/** Makes a folder and those above it; fine where it exists. Only its owner may look inside: journals name people's lives. */
export async function makeFolder(path: string): Promise<Result<void>> {
  try {
    const first = await mkdir(path, { recursive: true, mode: 0o700 })
    // Each new one is lost with its entry in the one above.
    const least = first === undefined ? Number.POSITIVE_INFINITY : resolve(first).length
    for (let made = resolve(path); made.length >= least; made = dirname(made)) await syncFolder(dirname(made))
    return done
  } catch (error) {
    return faultOf(path, error)
  }
}

/** Moves a file or folder to a name that nothing has, on the same file system; durable when it is done. `folder.taken` where something has it. */
export async function moveTo(from: string, to: string): Promise<Result<void>> {
  try {
    if (existsSync(to)) return fail({ code: 'folder.taken', path: to })
    await rename(from, to)
    await syncFolder(dirname(to))
    return done
  } catch (error) {
    return fail({ code: 'folder.not-moved', path: from, errno: errnoOf(error) })
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Removes a file, or a folder with everything in it; fine where it is not there. Durable when it is done. */
export async function removeAll(path: string): Promise<Result<void>> {
  if (!existsSync(path)) return done
  try {
    await rm(path, { recursive: true, force: true })
    await syncFolder(dirname(path))
    return done
  } catch (error) {
    return fail({ code: 'folder.not-removed', path, errno: errnoOf(error) })
  }
}

/** Names in a folder; none where it is not there. */
export async function namesIn(path: string): Promise<Result<readonly string[]>> {
  try {
    return ok(await readdir(path))
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? ok([]) : fail({ code: 'folder.unknown', path, errno: errnoOf(error) })
  }
}

/** Gives a file, or a folder with everything in it, to whoever owns another: what root puts in place is for others to use. */
export async function ownLike(path: string, other: string): Promise<Result<void>> {
  if (process.getuid?.() !== 0) return done
  try {
    const { uid, gid } = statSync(other)
    const inside = statSync(path).isDirectory() ? await readdir(path, { recursive: true }) : []
    for (const name of ['', ...inside]) await lchown(join(path, name), uid, gid)
    return done
  } catch (error) {
    return fail({ code: 'folder.not-given', path, errno: errnoOf(error) })
  }
}

/** Whether a folder is there; whatever else is wrong with a path, whoever opens it says. */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** Whether the name is taken, by whatever. */
export async function isThere(path: string): Promise<boolean> {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch {
    return true
  }
}

/** A new folder under the system's place for temporary files. */
export function makeTemporaryFolder(prefix: string): Result<string> {
  const under = join(tmpdir(), prefix)
  try {
    return ok(mkdtempSync(under))
  } catch (error) {
    return faultOf(under, error)
  }
}

/** With everything in it and its modes; `to` is not there yet. */
export function copyFolder(from: string, to: string): Result<void> {
  try {
    cpSync(from, to, { recursive: true, errorOnExist: true, force: false })
    return done
  } catch (error) {
    return faultOf(to, error)
  }
}

/** Puts a finished folder in the place of another, which is given back under the name that it has from now on. */
export function replaceFolder(finished: string, place: string): Result<string | undefined> {
  try {
    let before: string | undefined
    if (existsSync(place)) {
      for (let n = 1; before === undefined; n++) if (!existsSync(`${place}.${n}.bak`)) before = `${place}.${n}.bak`
      renameSync(place, before)
    }
    renameSync(finished, place)
    return ok(before)
  } catch (error) {
    return faultOf(place, error)
  }
}

export const removeFolder = (path: string): void => rmSync(path, { recursive: true, force: true })

/** A second name for a device, as udev makes them under /dev/serial/by-id: it goes with the device. */
export function makeLink(device: string, path: string): Result<void> {
  try {
    symlinkSync(device, path)
    return done
  } catch (error) {
    return faultOf(path, error)
  }
}

export const removeLink = (path: string): void => rmSync(path, { force: true })
