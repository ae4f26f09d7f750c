/**
 * A disk that loses power. What was written but not synced is dropped, kept, torn or turned to garbage, sector by sector,
 * as the seeded generator says; what was synced stays. After a failed sync the pages count as clean and their bytes as
 * lost, as on Linux: the next sync says that all is well and nothing is on the disk.
 */

import type { Disk, Timers } from '../../drivers/ports.ts'
import type { DiskFault } from '../../drivers/store/disk.ts'
import { HELD_HINT } from '../../drivers/store/hold.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'

export type DiskOperation = 'list' | 'read' | 'create' | 'write' | 'sync' | 'replace' | 'remove'

/**
 * What befalls an operation: it fails, the disk is full, it is full after part of a write was taken, the power goes while it
 * runs, or the process dies before it.
 */
export type Strike = 'io' | 'full' | 'short' | 'cut' | 'kill'

export interface SimDiskOptions {
  /** A number in [0, 1) from the run's seeded generator. */
  readonly random: () => number
  /** Asked before each operation with its number from 0; no answer means that nothing happens to it. */
  readonly strike?: (operation: DiskOperation, name: string, count: number) => Strike | undefined
  /** All files together. */
  readonly capacityBytes?: number
  /** The control: a disk that says synced and is not. */
  readonly lyingSync?: boolean
  /** How long each operation takes; absent means that it is done in the call. */
  readonly latency?: { readonly timers: Timers; readonly ms: () => number }
}

export interface SimDisk {
  /** The disk as one process sees it. What an earlier process still asks is answered with `disk.off`. */
  mount(): Disk
  /** The power goes now; `mount` again to see what is left. */
  cut(): void
  /** The bytes that are on the platter, to be looked at or damaged. */
  platter(name: string): Uint8Array | undefined
  /** Operations begun so far, over all mounts. */
  operations(): number
}

type OffFault = DiskFault | { readonly code: 'disk.off'; readonly name: string }

interface File {
  /** What a power cut leaves. */
  durable: Uint8Array
  /** What readers see. */
  cached: Uint8Array
  /** Sectors written since the last sync. */
  readonly dirty: Set<number>
}

/** What a disk writes whole or not at all. A block of 4 kB is eight of them, so it can tear. */
const SECTOR = 512

export function createSimDisk(options: SimDiskOptions): SimDisk {
  const { random, strike, capacityBytes = Number.POSITIVE_INFINITY, lyingSync = false, latency } = options
  const files = new Map<string, File>()
  let mounted = 0
  let count = 0

  const used = () => [...files.values()].reduce((sum, file) => sum + file.durable.length, 0)
  const newFile = (bytes: Uint8Array): File => ({ durable: bytes, cached: bytes.slice(), dirty: new Set() })

  function cut(): void {
    mounted++
    for (const file of files.values()) {
      for (const sector of file.dirty) settleSector(file, sector)
      file.dirty.clear()
      file.cached = file.durable.slice()
    }
  }

  function settleSector({ durable, cached }: File, sector: number): void {
    const [from, to] = [sector * SECTOR, Math.min((sector + 1) * SECTOR, durable.length)]
    const chance = random()
    // A third each: lost, arrived, garbage. A frame of several sectors is torn by their mixture.
    if (chance < 1 / 3) return
    if (chance < 2 / 3) durable.set(cached.subarray(from, to), from)
    else for (let at = from; at < to; at++) durable[at] = Math.floor(random() * 256)
  }

  function keepSectors(file: File, work: (from: number, to: number) => void): void {
    for (const sector of file.dirty) work(sector * SECTOR, (sector + 1) * SECTOR)
    file.dirty.clear()
  }

  /** One operation: its delay, what strikes it, its effect. A cut happens before or after the effect. */
  async function operate<T>(
    epoch: number,
    operation: DiskOperation,
    name: string,
    effect: (part?: number) => Result<T, DiskFault>,
  ): Promise<Result<T, OffFault>> {
    const off = fail({ code: 'disk.off', name } as const)
    if (epoch !== mounted) return off
    const number = count++
    const blow = strike?.(operation, name, number)
    if (latency !== undefined) {
      await latency.timers.sleep(latency.ms())
      if (epoch !== mounted) return off
    }
    if (blow === 'cut') {
      if (random() < 0.5) effect()
      cut()
      return off
    }
    if (blow === 'kill') {
      // The page cache outlives the process: the next one reads what was never synced.
      mounted++
      return off
    }
    if (blow === 'short' && operation === 'write') effect(random())
    if (blow === 'full' || blow === 'short') return fail({ code: 'disk.full', name, hint: 'free some space' })
    if (blow === 'io') {
      const file = files.get(name)
      // The kernel gave the pages up; readers still see them.
      if (operation === 'sync' && file !== undefined) keepSectors(file, () => {})
      return fail({ code: 'disk.io', name, errno: 'EIO' })
    }
    return effect()
  }

  function mount(): Disk {
    const epoch = ++mounted
    const held = new Set<string>()
    const missing = (name: string) => fail({ code: 'disk.missing', name } as const)
    const full = (name: string) => fail({ code: 'disk.full', name, hint: 'free some space' } as const)
    return {
      list: () => operate(epoch, 'list', '', () => ok([...files.keys()].sort())),

      read: (name, from = 0, bytes = Number.POSITIVE_INFINITY) =>
        operate(epoch, 'read', name, () => {
          const file = files.get(name)
          return file === undefined ? missing(name) : ok(file.cached.slice(from, from + bytes))
        }),

      create: (name, size) =>
        operate(epoch, 'create', name, () => {
          if (files.has(name)) return fail({ code: 'disk.exists', name })
          if (used() + size > capacityBytes) return full(name)
          files.set(name, newFile(new Uint8Array(size)))
          return done
        }),

      write: (name, offset, bytes) =>
        operate(epoch, 'write', name, (part = 1) => {
          const file = files.get(name)
          if (file === undefined) return missing(name)
          const end = offset + bytes.length
          if (end > file.cached.length) return fail({ code: 'disk.beyond-end', name, end, size: file.cached.length })
          const taken = Math.floor(bytes.length * part)
          file.cached.set(bytes.subarray(0, taken), offset)
          for (let at = Math.floor(offset / SECTOR); at * SECTOR < offset + taken; at++) file.dirty.add(at)
          return done
        }),

      sync: name =>
        operate(epoch, 'sync', name, () => {
          const file = files.get(name)
          if (file === undefined) return missing(name)
          if (!lyingSync) keepSectors(file, (from, to) => file.durable.set(file.cached.subarray(from, to), from))
          return done
        }),

      replace: (name, bytes) =>
        operate(epoch, 'replace', name, () => {
          if (used() - (files.get(name)?.durable.length ?? 0) + bytes.length > capacityBytes) return full(name)
          files.set(name, newFile(bytes.slice()))
          return done
        }),

      remove: name => operate(epoch, 'remove', name, () => (files.delete(name) ? done : missing(name))),

      // No operation of the disk but of the kernel, which forgets the holds of a process that died.
      hold: async name => {
        if (epoch !== mounted) return fail({ code: 'disk.off', name })
        if (held.has(name)) return fail({ code: 'disk.held', name, hint: HELD_HINT })
        held.add(name)
        return ok(async () => void held.delete(name))
      },
    }
  }

  return { mount, cut, platter: name => files.get(name)?.durable, operations: () => count }
}
