/** A new text file that grows while somebody watches, as a capture does; each piece is the kernel's when `append` returns. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { done, fail, ok, type Result } from '../protocol/result.ts'

export interface TextAppender {
  append(text: string): Result<void>
  /** Safe to call more than once. */
  close(): void
}

/** Makes the file; one that is there is left as it is. */
export function createTextAppender(file: string): Result<TextAppender> {
  const faultOf = (code: 'file.uncreated' | 'file.unwritten', error: unknown) => {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    if (why === 'EEXIST') return fail({ code: 'file.exists', file, hint: 'nothing is overwritten: name another file' })
    if (why === 'EACCES' || why === 'EPERM')
      return fail({ code: 'file.permission', file, hint: 'run as a user who may write there' })
    return fail({ code, file, why })
  }
  let open: number | undefined
  try {
    open = openSync(file, 'wx', 0o600)
  } catch (error) {
    return faultOf('file.uncreated', error)
  }
  return ok({
    append: text => {
      if (open === undefined) return fail({ code: 'file.closed', file })
      try {
        const bytes = Buffer.from(text)
        for (let from = 0; from < bytes.length; ) from += writeSync(open, bytes, from)
        return done
      } catch (error) {
        return faultOf('file.unwritten', error)
      }
    },
    close: () => {
      if (open !== undefined) closeSync(open)
      open = undefined
    },
  })
}
