/** Folders: made where missing, temporary ones removed with everything in them. */
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { done, fail, ok, type Result } from '../../protocol/result.ts'

const faultOf = (path: string, error: unknown) =>
  fail({
    code: 'folder.not-made',
    path,
    errno: (error as NodeJS.ErrnoException).code ?? 'unknown',
    hint: 'check that the folder above exists and that this user may write there',
  })

/** Makes a folder and those above it; fine where it exists. Only its owner may look inside: journals name people's lives. */
export async function makeFolder(path: string): Promise<Result<void>> {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return done
  } catch (error) {
    return faultOf(path, error)
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

/** A new folder under the system's place for temporary files. */
export function makeTemporaryFolder(prefix: string): Result<string> {
  const under = join(tmpdir(), prefix)
  try {
    return ok(mkdtempSync(under))
  } catch (error) {
    return faultOf(under, error)
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
