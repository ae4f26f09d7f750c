/** How much room the file system of a folder has. */
import { statfs } from 'node:fs/promises'
import { fail, ok, type Result } from '../../protocol/result.ts'

export interface DiskSpace {
  /** What this user may still write. */
  readonly freeBytes: number
  readonly totalBytes: number
}

export async function readDiskSpace(folder: string): Promise<Result<DiskSpace>> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder)
    return ok({ freeBytes: bavail * bsize, totalBytes: blocks * bsize })
  } catch (error) {
    return fail({ code: 'folder.unknown', path: folder, errno: (error as NodeJS.ErrnoException).code ?? 'unknown' })
  }
}
