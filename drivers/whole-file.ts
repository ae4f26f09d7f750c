/**
 * Replaces a file that a person wrote, as a configuration: whole or not at all, whenever the power goes. The new text is
 * written beside it, brought to the disk and moved into place; mode and owner stay as they were.
 */
import { constants } from 'node:fs'
import * as system from 'node:fs/promises'
import { dirname } from 'node:path'
import { done, fail, type Result } from '../protocol/result.ts'

export type WholeFileFault = {
  readonly code: 'file.permission' | 'file.read-only' | 'file.full' | 'file.unwritten'
  readonly file: string
  readonly why?: string
  readonly hint?: string
}

interface Opened {
  writeFile(text: string): Promise<void>
  chmod(mode: number): Promise<void>
  chown(user: number, group: number): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** What is asked of the file system, as node:fs/promises has it. */
export interface Files {
  realpath(file: string): Promise<string>
  stat(file: string): Promise<{ readonly mode: number; readonly uid: number; readonly gid: number }>
  open(file: string, flags: 'wx' | 'r', mode?: number): Promise<Opened>
  rename(from: string, to: string): Promise<void>
  unlink(file: string): Promise<void>
}

/** A new file is its owner's, and its group's to read: settings, not secrets. */
const NEW_MODE = 0o640

/** The place of a symbolic link is kept: what it points to is replaced. */
export async function writeWholeFile(
  file: string,
  text: string,
  files: Files = system,
): Promise<Result<void, WholeFileFault>> {
  try {
    const path = await unlessMissing(files.realpath(file), file)
    const before = await unlessMissing(files.stat(path), undefined)
    const unfinished = `${path}.unfinished`
    try {
      await write(files, unfinished, text, before)
      await files.rename(unfinished, path)
    } catch (error) {
      // A full disk wants the space back; that this fails too changes nothing about the answer.
      await files.unlink(unfinished).catch(() => {})
      throw error
    }
    await syncFolder(files, dirname(path))
    return done
  } catch (error) {
    return fail(faultOf(file, error))
  }
}

/** Whether `writeWholeFile` may: it needs the folder, not the file. */
export async function mayWrite(file: string): Promise<boolean> {
  try {
    await system.access(dirname(await unlessMissing(system.realpath(file), file)), constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function write(
  files: Files,
  path: string,
  text: string,
  before: Awaited<ReturnType<Files['stat']>> | undefined,
): Promise<void> {
  // Made anew and never through a link: somebody else who may write in the folder must not choose what root writes to.
  await unlessMissing(files.unlink(path), undefined)
  const handle = await files.open(path, 'wx', NEW_MODE)
  try {
    if (before !== undefined) {
      // Only root gives a file away. An agent keeps the group at least, by which it was let in.
      const kept = await handle.chown(before.uid, before.gid).then(
        () => true,
        () => false,
      )
      if (!kept) await handle.chown(-1, before.gid).catch(() => {})
      await handle.chmod(before.mode & 0o7777)
    }
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes the new name durable. */
async function syncFolder(files: Files, folder: string): Promise<void> {
  const handle = await files.open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function unlessMissing<T, U>(asked: Promise<T>, otherwise: U): Promise<T | U> {
  try {
    return await asked
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return otherwise
    throw error
  }
}

function faultOf(file: string, error: unknown): WholeFileFault {
  const why = (error as NodeJS.ErrnoException).code
  // Without an errno it is no answer of the file system but a bug of ours.
  if (why === undefined || why.startsWith('ERR_')) throw error
  if (why === 'EACCES' || why === 'EPERM')
    return { code: 'file.permission', file, hint: 'run as a user who may write in its folder' }
  if (why === 'EROFS') return { code: 'file.read-only', file, hint: 'its file system is mounted read-only' }
  if (why === 'ENOSPC' || why === 'EDQUOT') return { code: 'file.full', file, hint: 'free some space' }
  return { code: 'file.unwritten', file, why }
}
