/** What this process takes of its machine. What cannot be asked is absent. */
import { readdirSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

export interface Usage {
  readonly residentBytes: number
  /** Of user and system time together. */
  readonly cpuMicroseconds: number
  readonly openDescriptors?: number
  /** Unix milliseconds. */
  readonly startedMs: number
}

export function readUsage(): Usage {
  const { user, system } = process.cpuUsage()
  const open = openDescriptors()
  return {
    residentBytes: process.memoryUsage.rss(),
    cpuMicroseconds: user + system,
    ...(open === undefined ? {} : { openDescriptors: open }),
    startedMs: Math.round(performance.timeOrigin),
  }
}

/** Linux only; the one that reads the folder is none of them. */
function openDescriptors(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length - 1
  } catch {
    return undefined
  }
}
