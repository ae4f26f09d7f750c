/**
 * What a power cut leaves of the files below one folder, after each call that this process made: real calls on real files,
 * followed here in a model of what the disk then has. A name is on the disk once its folder was synced after the call that made
 * or removed it; the two ends of a move between folders are two names. Bytes are on the disk once their file was synced. What
 * is not may be there or not, each by itself, and a write may leave garbage.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import fs, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join, resolve } from 'node:path'

type Call = (...args: never[]) => Promise<unknown>

interface FileNode {
  readonly kind: 'file'
  durable: Uint8Array
  /** Since the last sync. */
  writes: { readonly at: number; readonly bytes: Uint8Array }[]
}
interface FolderNode {
  readonly kind: 'folder'
  readonly names: Map<string, Node>
  durable: Map<string, Node>
  /** Changes since the last sync, each of them whole. */
  pending: (readonly (readonly [name: string, node: Node | undefined])[])[]
}
type Node = FileNode | FolderNode

/** All that is not synced is lost, or nothing is, as where only the process dies; or each of it as the generator says. */
export type Cut = 'all' | 'none' | (() => number)
type Watcher = (call: number, leave: (into: string, cut: Cut) => void) => Promise<void>

interface PowerCutFiles {
  /** Calls so far. */
  calls(): number
  /** Asked before each call, which waits for it; `leave` writes into a new folder what a cut at this point leaves. */
  watch(before: Watcher): void
  leave(into: string, cut: Cut): void
  /** Puts the functions of Node back. */
  end(): void
}

const newFile = (): FileNode => ({ kind: 'file', durable: new Uint8Array(0), writes: [] })
const newFolder = (): FolderNode => ({ kind: 'folder', names: new Map(), durable: new Map(), pending: [] })

/** What stands there at the beginning is on the disk. With `lyingSync` nothing else ever is: the control. */
export async function followFiles(root: string, lyingSync = false): Promise<PowerCutFiles> {
  let count = 0
  let watching: Watcher | undefined
  const undo: (() => void)[] = []
  const nodes = new WeakMap<object, Node>()
  const top = readNode(root) as FolderNode

  const partsOf = (path: unknown): string[] | undefined => {
    const whole = resolve(String(path))
    return whole === root ? [] : whole.startsWith(`${root}/`) ? whole.slice(root.length + 1).split('/') : undefined
  }
  const find = (parts: readonly string[]): Node | undefined =>
    parts.reduce<Node | undefined>((node, name) => (node?.kind === 'folder' ? node.names.get(name) : undefined), top)
  function change(parts: readonly string[], node: Node | undefined): FolderNode['pending'][number][number] {
    const folder = find(parts.slice(0, -1)) as FolderNode
    const name = parts.at(-1)!
    if (node === undefined) folder.names.delete(name)
    else folder.names.set(name, node)
    return [name, node]
  }
  const note = (parts: readonly string[], node: Node | undefined) =>
    (find(parts.slice(0, -1)) as FolderNode).pending.push([change(parts, node)])

  const followed: Readonly<Record<string, (args: readonly unknown[], made: unknown, self: object) => void>> = {
    open([path, flags = 'r'], made) {
      const parts = partsOf(path)
      if (parts === undefined) return
      let node = find(parts)
      if (node === undefined) {
        node = newFile()
        note(parts, node)
      } else if (flags === 'w' && node.kind === 'file') {
        // Cut to nothing and written again in place: until it is synced both may be torn.
        const emptied = newFile()
        note(parts, emptied)
        node = emptied
      }
      nodes.set(made as object, node)
    },
    rename([from, to]) {
      const [source, target] = [partsOf(from), partsOf(to)]
      if (source === undefined || target === undefined) return
      const node = find(source)
      const folder = find(source.slice(0, -1)) as FolderNode
      if (folder === find(target.slice(0, -1))) folder.pending.push([change(source, undefined), change(target, node)])
      else {
        note(source, undefined)
        note(target, node)
      }
    },
    unlink: ([path]) => removed(path),
    rm: ([path]) => removed(path),
    mkdir([path]) {
      const parts = partsOf(path) ?? []
      for (const [i] of parts.entries()) {
        const upTo = parts.slice(0, i + 1)
        if (find(upTo) === undefined) note(upTo, newFolder())
      }
    },
    write([bytes, offset = 0, length, at], _, self) {
      const file = nodes.get(self)
      const from = bytes as Uint8Array
      const end = Number(offset) + Number(length ?? from.length)
      if (file?.kind === 'file') file.writes.push({ at: Number(at), bytes: from.slice(Number(offset), end) })
    },
    writeFile([data], _, self) {
      const file = nodes.get(self)
      if (file?.kind !== 'file') return
      const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : (data as Uint8Array).slice()
      // From the handle's own place on: what was written before, through it.
      file.writes.push({ at: sizeOf(file), bytes })
    },
    sync: (_, __, self) => synced(self),
    datasync: (_, __, self) => synced(self),
  }

  function removed(path: unknown): void {
    const parts = partsOf(path)
    if (parts !== undefined && find(parts) !== undefined) note(parts, undefined)
  }

  function synced(self: object): void {
    const node = nodes.get(self)
    if (node === undefined || lyingSync) return
    if (node.kind === 'folder') {
      node.durable = new Map(node.names)
      node.pending = []
    } else {
      node.durable = contentOf(node, () => true)
      node.writes = []
    }
  }

  function follow(owner: object, name: string): void {
    const methods = owner as Record<string, Call>
    const real = methods[name]!
    methods[name] = async function (this: object, ...args: never[]) {
      const asked = watching
      // What is called meanwhile is of whoever watches.
      watching = undefined
      await asked?.(count++, (into, cut) => leave(top, into, cut))
      watching ??= asked
      const made = await real.apply(this, args)
      followed[name]!(args, made, this)
      return made
    }
    undo.push(() => {
      methods[name] = real
    })
  }

  const any: FileHandle = await fs.open('/dev/null')
  const handles = Object.getPrototypeOf(any) as object
  await any.close()
  for (const name of ['write', 'writeFile', 'sync', 'datasync']) follow(handles, name)
  for (const name of ['open', 'rename', 'unlink', 'rm', 'mkdir']) follow(fs, name)
  syncBuiltinESMExports()
  return {
    calls: () => count,
    watch: before => {
      watching = before
    },
    leave: (into, cut) => leave(top, into, cut),
    end: () => {
      for (const each of undo) each()
      syncBuiltinESMExports()
    },
  }
}

function readNode(path: string): Node {
  const folder = newFolder()
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const node: Node | undefined = entry.isDirectory()
      ? readNode(join(path, entry.name))
      : entry.isFile()
        ? { kind: 'file', durable: new Uint8Array(readFileSync(join(path, entry.name))), writes: [] }
        : undefined
    if (node === undefined) continue
    folder.names.set(entry.name, node)
    folder.durable.set(entry.name, node)
  }
  return folder
}

const sizeOf = ({ durable, writes }: Pick<FileNode, 'durable' | 'writes'>): number =>
  Math.max(durable.length, ...writes.map(({ at, bytes }) => at + bytes.length))

function contentOf(
  { durable, writes }: Pick<FileNode, 'durable' | 'writes'>,
  isThere: () => boolean,
  garbage?: () => number,
): Uint8Array {
  const content = new Uint8Array(sizeOf({ durable, writes }))
  content.set(durable)
  for (const { at, bytes } of writes) {
    if (!isThere()) continue
    content.set(bytes, at)
    if (garbage !== undefined && garbage() < 1 / 3) content.fill(Math.floor(garbage() * 256), at, at + bytes.length)
  }
  return content
}

function leave(folder: FolderNode, into: string, cut: Cut): void {
  mkdirSync(into, { recursive: true })
  const names = new Map(cut === 'none' ? folder.names : folder.durable)
  if (typeof cut === 'function') {
    // A journal keeps them in order; a file system without one need not.
    const inOrder = cut() < 0.5 ? Math.floor(cut() * (folder.pending.length + 1)) : undefined
    for (const [at, changes] of folder.pending.entries()) {
      if (inOrder === undefined ? cut() < 0.5 : at >= inOrder) continue
      for (const [name, node] of changes) node === undefined ? names.delete(name) : names.set(name, node)
    }
  }
  for (const [name, node] of names) {
    const path = join(into, name)
    if (node.kind === 'folder') leave(node, path, cut)
    else if (typeof cut === 'function')
      writeFileSync(
        path,
        contentOf(node, () => cut() < 0.5, cut),
      )
    else writeFileSync(path, cut === 'all' ? node.durable : contentOf(node, () => true))
  }
}
