/**
 * What a disk was asked, in order, and what a power cut at any point of that leaves.
 *
 * A write that no sync has settled meets its own fate: kept, dropped, torn at 512 bytes, or turned to garbage in whole
 * blocks of 4 kB; fates are drawn apart, so that a later write may be there and an earlier one not. A sync settles what was
 * written before it began. What a failed sync covered is settled by no later one, as on Linux. Names: what `create` and
 * `replace` answered stays; while they run, or after they failed, the old or the new may be found. The port promises
 * nothing of the kind for `remove`: the last removes may be undone, until a later `create` or `replace` took the folder along.
 */
import type { Disk } from '../../../drivers/ports.ts'
import { equalBytes } from '../../../protocol/bytes.ts'
import { done } from '../../../protocol/result.ts'

const SECTOR = 512
const BLOCK = 4096

type Operation =
  | { readonly kind: 'create'; readonly name: string; readonly size: number }
  | { readonly kind: 'write'; readonly name: string; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'sync'; readonly name: string }
  | { readonly kind: 'replace'; readonly name: string; readonly bytes: Uint8Array }
  | { readonly kind: 'remove'; readonly name: string }

/** `T` is what the caller was told meanwhile: a cut after it must not make it untrue. */
export type TraceEvent<T> =
  | { readonly kind: 'begin'; readonly operation: Operation }
  | { readonly kind: 'end'; readonly operation: Operation; readonly ok: boolean }
  | { readonly kind: 'told'; readonly told: T }

export function traceDisk<T>(inner: Disk): { readonly disk: Disk; readonly events: TraceEvent<T>[] } {
  const events: TraceEvent<T>[] = []
  async function trace<R extends { readonly ok: boolean }>(operation: Operation, work: () => Promise<R>): Promise<R> {
    events.push({ kind: 'begin', operation })
    const result = await work()
    events.push({ kind: 'end', operation, ok: result.ok })
    return result
  }
  const disk: Disk = {
    ...inner,
    create: (name, size) => trace({ kind: 'create', name, size }, () => inner.create(name, size)),
    write: (name, offset, bytes) =>
      trace({ kind: 'write', name, offset, bytes: bytes.slice() }, () => inner.write(name, offset, bytes)),
    sync: name => trace({ kind: 'sync', name }, () => inner.sync(name)),
    replace: (name, bytes) => trace({ kind: 'replace', name, bytes: bytes.slice() }, () => inner.replace(name, bytes)),
    remove: name => trace({ kind: 'remove', name }, () => inner.remove(name)),
  }
  return { disk, events }
}

/** The control: says synced and does nothing. */
export const withoutSync = (disk: Disk): Disk => ({ ...disk, sync: async () => done })

export interface CrashState {
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Writes that no sync had settled. */
  readonly unsettled: number
  /** Those of which neither the bytes before nor the bytes written are left, but some of each or none. */
  readonly damaged: number
  /** Removes that are undone. */
  readonly undone: number
}

/** Every point just before the disk is asked or answers, and the end: there most has been promised of what is on the disk. */
export const crashPoints = (events: readonly TraceEvent<unknown>[]): number[] =>
  Array.from({ length: events.length }, (_, i) => i + 1).filter(i => events[i]?.kind !== 'told')

interface Write {
  readonly offset: number
  readonly bytes: Uint8Array
  ended: boolean
  /** A failed sync gave its pages up. */
  lost: boolean
  /** Sectors that something newer and settled stands in. */
  readonly stale: Set<number>
}

interface File {
  settled: Uint8Array
  writes: Write[]
}

/** What a cut behind the first `point` events leaves, the fates drawn from `random`. */
export function crashAt<T>(events: readonly TraceEvent<T>[], point: number, random: () => number): CrashState {
  const files = new Map<string, File>()
  const covered = new Map<Operation, readonly Write[]>()
  const flights = new Map<Operation, Write>()
  /** Of each create and replace that is under way or failed, and each remove under way: what its name may lead to instead. */
  let open = new Map<Operation, Uint8Array | undefined>()
  let removed: { readonly name: string; readonly file: File }[] = []
  const newFile = (settled: Uint8Array): File => ({ settled, writes: [] })

  function begin(operation: Operation): void {
    const file = files.get(operation.name)
    if (operation.kind === 'write') {
      const write: Write = { ...operation, ended: false, lost: false, stale: new Set() }
      flights.set(operation, write)
      file?.writes.push(write)
    } else if (operation.kind === 'sync') covered.set(operation, file?.writes.filter(write => write.ended) ?? [])
    else if (operation.kind === 'create') open.set(operation, new Uint8Array(operation.size))
    else if (operation.kind === 'replace') open.set(operation, operation.bytes)
    else if (file !== undefined) open.set(operation, undefined)
  }

  function end(operation: Operation, ok: boolean): void {
    const { name } = operation
    const file = files.get(name)
    if (operation.kind === 'write') flights.get(operation)!.ended = true
    else if (operation.kind === 'sync') settle(file, covered.get(operation)!, ok)
    // What can be seen to be there still, was not removed.
    else if (!ok && operation.kind === 'remove') open.delete(operation)
    else if (ok) {
      // Whatever was in doubt about this name is so no longer.
      open = new Map([...open].filter(([other]) => other.name !== name))
      if (operation.kind === 'remove') {
        if (file !== undefined) removed.push({ name, file })
        files.delete(name)
        return
      }
      removed = []
      files.set(name, newFile(operation.kind === 'create' ? new Uint8Array(operation.size) : operation.bytes.slice()))
    }
  }

  function settle(file: File | undefined, writes: readonly Write[], ok: boolean): void {
    if (file === undefined) return
    for (const write of writes.filter(each => !each.lost && file.writes.includes(each))) {
      if (!ok) {
        write.lost = true
        continue
      }
      const older = file.writes.slice(0, file.writes.indexOf(write))
      for (const sector of sectorsOf(write)) {
        put(file.settled, write, sector)
        for (const each of older) each.stale.add(sector)
      }
      file.writes = file.writes.filter(each => each !== write)
    }
  }

  for (const event of events.slice(0, point)) {
    if (event.kind === 'begin') begin(event.operation)
    else if (event.kind === 'end') end(event.operation, event.ok)
  }

  // A remove under way is the last of them: where it is done, so are those before.
  const last = [...open.keys()].findLast(operation => operation.kind === 'remove')
  const undone = Math.floor(random() * (removed.length + 1))
  for (const { name, file } of removed.slice(removed.length - undone)) if (!files.has(name)) files.set(name, file)
  for (const [operation, bytes] of open) {
    if (random() < 0.5 || (operation === last && undone > 0)) continue
    if (bytes === undefined) files.delete(operation.name)
    else if (operation.kind === 'replace' || !files.has(operation.name))
      files.set(operation.name, newFile(bytes.slice()))
  }

  let [unsettled, damaged] = [0, 0]
  const left = new Map<string, Uint8Array>()
  for (const [name, { settled, writes }] of files) {
    const before = settled.slice()
    for (const write of writes) meet(settled, write, random)
    unsettled += writes.length
    for (const { offset, bytes } of writes) {
      const region = (of: Uint8Array) => of.subarray(offset, offset + bytes.length)
      if (!equalBytes(region(settled), region(before)) && !equalBytes(region(settled), bytes)) damaged++
    }
    left.set(name, settled)
  }
  return { files: left, unsettled, damaged, undone }
}

function meet(into: Uint8Array, write: Write, random: () => number): void {
  const fate = (['kept', 'dropped', 'torn', 'garbage'] as const)[Math.floor(random() * 4)]!
  if (fate === 'dropped') return
  for (const sector of sectorsOf(write)) if (fate === 'kept' || random() < 0.5) put(into, write, sector)
  if (fate !== 'garbage') return
  const blocks = [...new Set(sectorsOf(write).map(sector => Math.floor((sector * SECTOR) / BLOCK)))]
  const certain = Math.floor(random() * blocks.length)
  for (const [i, block] of blocks.entries()) {
    if (i !== certain && random() < 0.5) continue
    const end = Math.min((block + 1) * BLOCK, into.length)
    for (let at = block * BLOCK; at < end; at++) into[at] = Math.floor(random() * 256)
  }
}

/** Those that something newer is not settled in. */
function sectorsOf({ offset, bytes, stale }: Write): number[] {
  const first = Math.floor(offset / SECTOR)
  const count = Math.ceil((offset + bytes.length) / SECTOR) - first
  return Array.from({ length: count }, (_, i) => first + i).filter(sector => !stale.has(sector))
}

/** The part of a write that falls into a sector. */
function put(into: Uint8Array, { offset, bytes }: Write, sector: number): void {
  const from = Math.max(sector * SECTOR, offset)
  const to = Math.min((sector + 1) * SECTOR, offset + bytes.length, into.length)
  if (from < to) into.set(bytes.subarray(from - offset, to - offset), from)
}
