/**
 * The Index port on LevelDB: the one file that knows it. An index is worked out from the journal and worth less than it: so
 * it is not synced, what cannot be read is set aside and begun anew, and nothing of it is ever repaired.
 *
 *     <folder>/00000001/   LevelDB's own files; the highest number is in use, lower ones are left from before
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Index, KeyRange } from '../ports.ts'
import { makeFolder, removeFolder } from './folder.ts'

type Level = ClassicLevel<string, Uint8Array>

/** A site's index is a few megabytes: the 8 MiB and 4 MiB that LevelDB takes by itself are more than all of it. */
const CACHE_BYTES = 1 << 20
const WRITE_BUFFER_BYTES = 1 << 20

/** `index.held` where another process has it open, `index.io` where no new one can be made. */
export async function openLevelIndex(folder: string): Promise<Result<Index>> {
  const made = await makeFolder(folder)
  if (!made.ok) return made
  const numbers = listNumbers(folder)
  if (!numbers.ok) return numbers
  let number = numbers.value.at(-1) ?? 0
  let lost: Fault | undefined
  let level: Level | undefined
  if (number > 0) {
    const opened = await openLevel(pathOf(folder, number))
    if (opened.ok) level = opened.value
    else if (opened.fault.code === 'index.held') return opened
    else lost = opened.fault
  }

  async function beginAnew(): Promise<Result<void>> {
    const opened = await openLevel(pathOf(folder, number + 1))
    if (!opened.ok) return opened
    number++
    level = opened.value
    return done
  }
  if (level === undefined) {
    const begun = await beginAnew()
    if (!begun.ok) return begun
  }

  /** What LevelDB answers; whatever it throws is a fault. */
  async function ask<T>(question: (level: Level) => Promise<T>): Promise<Result<T>> {
    if (level === undefined) return fail({ code: 'index.closed' })
    try {
      return ok(await question(level))
    } catch (error) {
      return fail(faultOf(error))
    }
  }

  return ok({
    get lost() {
      return lost
    },
    get: key => ask(async level => plain(await level.get(key))),
    range: ({ from, to, reverse = false, limit = -1 }: KeyRange) =>
      ask(async level => {
        const found = await level.iterator({ gte: from, lt: to, reverse, limit }).all()
        return found.map(([key, value]) => [key, plain(value)] as const)
      }),
    write: entries =>
      ask(level =>
        level.batch(
          entries.map(([key, value]) =>
            value === undefined ? ({ type: 'del', key } as const) : ({ type: 'put', key, value } as const),
          ),
        ),
      ),
    renew: async () => {
      await level?.close()
      level = undefined
      return beginAnew()
    },
    settle: async () => {
      const found = listNumbers(folder)
      for (const old of found.ok ? found.value : []) if (old < number) removeFolder(pathOf(folder, old))
    },
    close: async () => {
      const closing = level
      level = undefined
      await closing?.close()
    },
  })
}

/** LevelDB answers with Node's own Buffers. */
function plain<T extends Uint8Array | undefined>(value: T): T {
  return (value && new Uint8Array(value)) as T
}

const pathOf = (folder: string, number: number): string => join(folder, String(number).padStart(8, '0'))

function listNumbers(folder: string): Result<readonly number[]> {
  try {
    const names = readdirSync(folder).filter(name => /^\d{8}$/.test(name))
    return ok(names.map(Number).sort((a, b) => a - b))
  } catch (error) {
    return fail({ code: 'index.io', cause: (error as NodeJS.ErrnoException).code ?? 'unknown' })
  }
}

async function openLevel(path: string): Promise<Result<Level>> {
  const level: Level = new ClassicLevel(path, {
    valueEncoding: 'view',
    cacheSize: CACHE_BYTES,
    writeBufferSize: WRITE_BUFFER_BYTES,
  })
  try {
    await level.open()
    return ok(level)
  } catch (error) {
    return fail(faultOf(error))
  }
}

/** By the codes of abstract-level, of which the cause's is the one that says something. */
function faultOf(error: unknown): Fault {
  const { code, cause } = error as { readonly code?: string; readonly cause?: { readonly code?: string } }
  const said = cause?.code ?? code ?? 'unknown'
  if (said === 'LEVEL_LOCKED') return { code: 'index.held', hint: 'another process has this index open' }
  return { code: said === 'LEVEL_CORRUPTION' ? 'index.damaged' : 'index.io', cause: said }
}
