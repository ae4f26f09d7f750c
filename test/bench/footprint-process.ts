/** What a process costs, as Linux counts it (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs'

interface Memory {
  readonly residentBytes: number
  /** The most that was resident. */
  readonly peakBytes: number
  /** Pages that other processes map too count in proportion. */
  readonly proportionalBytes: number
  readonly privateBytes: number
  /** Of it what was written to: no file can give it back. */
  readonly dirtyBytes: number
}

const kilobytes = (text: string, name: string): number =>
  1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN)

export function readMemory(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  return {
    residentBytes: kilobytes(rollup, 'Rss'),
    peakBytes: kilobytes(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmHWM'),
    proportionalBytes: kilobytes(rollup, 'Pss'),
    privateBytes: kilobytes(rollup, 'Private_Clean') + kilobytes(rollup, 'Private_Dirty'),
    dirtyBytes: kilobytes(rollup, 'Private_Dirty'),
  }
}

interface Cost {
  readonly cpuMs: number
  /** Pages that became dirty, in whole folios: where a file system has large ones, a block in one counts as all of it. */
  readonly writtenBytes: number
  readonly descriptors: number
  readonly threads: number
}

/** sysconf(_SC_CLK_TCK) is 100 on every Linux that Node runs on. */
const TICK_MS = 10

export function readCost(pid: number): Cost {
  // The name in parentheses may hold blanks.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
    .map(Number)
  return {
    cpuMs: (fields[11]! + fields[12]!) * TICK_MS,
    writtenBytes: Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: fields[17]!,
  }
}
