/**
 * The files of this process fail: the nth call that could change something answers with an error, as the kernel's would, or
 * takes only part of what it was given first. Below everything of ours, so that the real Disk is what is tried.
 */
import { existsSync } from 'node:fs'
import fs, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'

/**
 * - EIO, ENOSPC: nothing happens but the error
 * - late: it happens, and the answer is EIO all the same
 * - short: a write takes half of its bytes, and the next one finds the disk full; another call finds it full at once
 */
export type Failure = 'EIO' | 'ENOSPC' | 'late' | 'short'

export interface FailingFiles {
  /** Calls so far. */
  calls(): number
  /** From now on the nth call fails, counted from 0; `times` calls from there on, one unless said otherwise. */
  fail(nth: number, failure: Failure, times?: number): void
  heal(): void
  /** Puts the functions of Node back. */
  end(): void
}

type Call = (...args: unknown[]) => Promise<unknown>

const errorOf = (code: 'EIO' | 'ENOSPC', call: string) =>
  Object.assign(new Error(`${code}: made to fail, ${call}`), { code, syscall: call })

/** Where files cost no wait for a disk: what becomes of a process or of a call is the same there. Else the temporary folder. */
export const memoryFolder = (): string => (existsSync('/dev/shm') ? '/dev/shm' : tmpdir())

/** With `all`, also what writes whole files, makes and removes folders, and gives files away. */
export async function failFiles(all = false): Promise<FailingFiles> {
  let count = 0
  let struck: { readonly from: number; readonly until: number; readonly failure: Failure } | undefined
  const undo: (() => void)[] = []

  function replace(owner: object, name: string): void {
    const methods = owner as Record<string, Call>
    const real = methods[name]!
    methods[name] = async function (this: unknown, ...args: unknown[]) {
      const number = count++
      if (struck === undefined || number < struck.from || number >= struck.until) return real.apply(this, args)
      const { failure, from } = struck
      if (failure === 'short' && name === 'write' && number === from) {
        struck = { ...struck, until: struck.until + 1 }
        const [buffer, offset, length, position] = args as [Uint8Array, number, number, number]
        return real.call(this, buffer, offset, Math.floor(length / 2), position)
      }
      if (failure === 'short' && name === 'writeFile') {
        const whole = args[0] as string | Uint8Array
        await real.call(this, whole.slice(0, Math.floor(whole.length / 2)))
      }
      if (failure === 'late') {
        const made = await real.apply(this, args)
        // Nobody else would close it.
        if (name === 'open') await (made as FileHandle).close()
      }
      throw errorOf(failure === 'EIO' || failure === 'late' ? 'EIO' : 'ENOSPC', name)
    }
    undo.push(() => {
      methods[name] = real
    })
  }

  const any: FileHandle = await fs.open('/dev/null')
  const handles = Object.getPrototypeOf(any) as object
  await any.close()
  for (const name of ['write', 'sync', 'datasync']) replace(handles, name)
  for (const name of ['open', 'rename', 'unlink']) replace(fs, name)
  if (all) {
    replace(handles, 'writeFile')
    for (const name of ['mkdir', 'rm', 'lchown']) replace(fs, name)
  }
  syncBuiltinESMExports()

  return {
    calls: () => count,
    fail: (nth, failure, times = 1) => {
      struck = { from: nth, until: nth + times, failure }
    },
    heal: () => {
      struck = undefined
    },
    end: () => {
      for (const each of undo) each()
      syncBuiltinESMExports()
    },
  }
}
