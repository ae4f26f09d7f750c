/**
 * What lives on in the agent's process once everything that can be collected has been: a leak is what a full collection leaves. Told
 * apart are objects, which must not grow, and what V8 has compiled, which grows for hours while one function after the other runs often
 * enough to be compiled and ends with the last of them.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { Sample } from './soak-verdict.ts'

const EVERY_MS = 60_000
const MEGA = 1e6

/** For `node --import`: a line of JSON each minute. */
export const heapTold = (file: string) =>
  `data:text/javascript,${encodeURIComponent(`
import { appendFileSync } from 'node:fs'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')
setInterval(() => {
  collect()
  const spaces = getHeapSpaceStatistics().map(({ space_name, space_used_size }) => [space_name, space_used_size])
  const { external, arrayBuffers } = process.memoryUsage()
  appendFileSync(${JSON.stringify(file)}, JSON.stringify({ ms: performance.now(), spaces, external, arrayBuffers }) + '\\n')
}, ${EVERY_MS}).unref()
`)}`

interface Told {
  readonly ms: number
  readonly spaces: readonly (readonly [name: string, used: number])[]
  readonly external: number
}

export interface Heap {
  /** Objects, and the bytes outside of the heap that they hold. */
  readonly objects: readonly Sample[]
  readonly code: readonly Sample[]
}

/** Of the minutes from `fromMs` after the start on. */
export function readHeap(file: string, fromMs: number): Heap {
  if (!existsSync(file)) return { objects: [], code: [] }
  const told = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Told)
  const late = told.filter(({ ms }) => ms >= fromMs)
  const used = ({ spaces }: Told, compiled: boolean) =>
    spaces.filter(([name]) => name.startsWith('code') === compiled).reduce((sum, [, bytes]) => sum + bytes, 0)
  const samples = (of: (one: Told) => number) => late.map(one => ({ hours: one.ms / 3_600_000, mb: of(one) / MEGA }))
  return { objects: samples(one => used(one, false) + one.external), code: samples(one => used(one, true)) }
}
