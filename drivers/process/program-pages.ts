/**
 * The pages of program files that are mapped and not used: Node's own start, its compiler and its tables touch some 30 MB of its file that a
 * running agent never looks at again.
 */
import { readFile } from 'node:fs/promises'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { loadLibc } from '../native/libc.ts'

export interface Mapping {
  readonly address: number
  readonly bytes: number
}

/**
 * Of smaps (proc(5)): mappings of files that cannot be written to, and of which no page was changed since it was read, as a page is
 * that holds an address which the linker filled in.
 */
export function cleanMappings(smaps: string): readonly Mapping[] {
  return smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/).flatMap(block => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) r-[-x]p \S+ \S+ [1-9]\d* +\//.exec(block) ?? []
    const changed = /^Anonymous: +(\d+) kB$/m.exec(block)?.[1]
    if (from === undefined || to === undefined || changed !== '0') return []
    const address = Number.parseInt(from, 16)
    return [{ address, bytes: Number.parseInt(to, 16) - address }]
  })
}

/** Unmaps them all; what is used is mapped again at once, from the page cache. Fails where the system is no Linux. */
export async function unmapUnusedProgram(): Promise<Result<void>> {
  const libc = await loadLibc()
  if (!libc.ok) return libc
  let smaps: string
  try {
    smaps = await readFile('/proc/self/smaps', 'utf8')
  } catch (error) {
    return fail({ code: 'process.no-smaps', errno: (error as NodeJS.ErrnoException).code ?? 'unknown' })
  }
  for (const { address, bytes } of cleanMappings(smaps)) {
    const unmapped = libc.value.unmapClean(address, bytes)
    if (!unmapped.ok) return unmapped
  }
  return ok(undefined)
}
