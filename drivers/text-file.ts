/** Text files that a person wrote: configuration and profiles. What the agent itself keeps goes through the Disk port. */
import { readFile } from 'node:fs/promises'
import { fromUtf8 } from '../protocol/bytes.ts'
import { fail, ok, type Result } from '../protocol/result.ts'

export type FileFault = {
  readonly code: 'file.missing' | 'file.permission' | 'file.unreadable'
  readonly file: string
  readonly why?: string
  readonly hint?: string
}

export async function readTextFile(file: string): Promise<Result<string, FileFault>> {
  try {
    const text = fromUtf8(await readFile(file))
    return text === undefined ? fail({ code: 'file.unreadable', file, why: 'not UTF-8 text' }) : ok(text)
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    if (why === 'ENOENT' || why === 'ENOTDIR') return fail({ code: 'file.missing', file })
    if (why === 'EACCES' || why === 'EPERM') {
      return fail({ code: 'file.permission', file, hint: 'run as a user who may read it' })
    }
    return fail({ code: 'file.unreadable', file, why })
  }
}
