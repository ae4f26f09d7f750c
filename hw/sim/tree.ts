/**
 * A tree of folders that loses power. Names and bytes that were not synced may be there afterwards or not: of the names in
 * each folder some changes, of each unsynced file nothing, a part, or garbage, as the seeded generator says.
 */
import { type Tree, type TreeEntry, treePath } from '../../drivers/store/tree.ts'
import { concat } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'

export type TreeStrike = 'io' | 'full' | 'cut' | 'kill'
/** `piece` is one that is written to a file, `flush` the end of such a write. */
export type TreeOperation =
  | 'list'
  | 'read'
  | 'hash'
  | 'makeFolder'
  | 'piece'
  | 'flush'
  | 'sync'
  | 'rename'
  | 'remove'
  | 'open'

export interface SimTreeOptions {
  readonly random: () => number
  /** Asked before each operation with its number from 0. */
  readonly strike?: (operation: TreeOperation, path: string, count: number) => TreeStrike | undefined
  readonly capacityBytes?: number
  /** The control: a disk that says synced and is not. */
  readonly lyingSync?: boolean
}

export interface SimTree {
  /** As one process sees it; what an earlier one still asks is answered with `disk.off`. */
  mount(): Tree
  /** The power goes now. */
  cut(): void
  operations(): number
  /** A file's bytes, to be looked at or damaged. */
  file(path: string): Uint8Array | undefined
}

interface FileNode {
  readonly kind: 'file'
  bytes: Uint8Array
  synced: boolean
}
interface FolderNode {
  readonly kind: 'folder'
  names: Map<string, Node>
  durable: Map<string, Node>
  /** Changes of names since the last sync, each of them whole. */
  pending: (readonly (readonly [name: string, node: Node | undefined])[])[]
}
type Node = FileNode | FolderNode

const newFolder = (): FolderNode => ({ kind: 'folder', names: new Map(), durable: new Map(), pending: [] })
const splitPath = (path: string): readonly [folder: string, name: string] => {
  const at = path.lastIndexOf('/')
  return [path.slice(0, Math.max(at, 0)), path.slice(at + 1)]
}

export function createSimTree(options: SimTreeOptions): SimTree {
  const { random, strike, capacityBytes = Number.POSITIVE_INFINITY, lyingSync = false } = options
  let root = newFolder()
  let mounted = 0
  let count = 0
  const held = new Set<string>()

  const find = (path: string): Node | undefined =>
    path === ''
      ? root
      : path.split('/').reduce<Node | undefined>((node, name) => {
          return node?.kind === 'folder' ? node.names.get(name) : undefined
        }, root)
  const used = (node: Node = root): number =>
    node.kind === 'file' ? node.bytes.length : [...node.names.values()].reduce((sum, each) => sum + used(each), 0)

  function change(folder: FolderNode, changes: FolderNode['pending'][number]): void {
    for (const [name, node] of changes) node === undefined ? folder.names.delete(name) : folder.names.set(name, node)
    folder.pending.push(changes)
  }

  function settle(node: Node): Node {
    if (node.kind === 'file') {
      if (node.synced) return node
      const chance = random()
      const kept = node.bytes.slice(0, Math.floor(random() * (node.bytes.length + 1)))
      const bytes = chance < 1 / 3 ? new Uint8Array(0) : chance < 2 / 3 ? kept : node.bytes.map(() => random() * 256)
      return { kind: 'file', bytes, synced: true }
    }
    // A journal keeps them in order; a file system without one need not.
    const inOrder = random() < 0.5 ? Math.floor(random() * (node.pending.length + 1)) : undefined
    const durable = new Map(node.durable)
    for (const [at, changes] of node.pending.entries()) {
      if (inOrder === undefined ? random() < 0.5 : at >= inOrder) continue
      for (const [name, each] of changes) each === undefined ? durable.delete(name) : durable.set(name, each)
    }
    const names = new Map([...durable].map(([name, each]) => [name, settle(each)]))
    return { kind: 'folder', names, durable: new Map(names), pending: [] }
  }

  function cut(): void {
    mounted++
    held.clear()
    root = settle(root) as FolderNode
  }

  async function operate<T>(
    epoch: number,
    operation: TreeOperation,
    path: string,
    effect: () => Result<T>,
  ): Promise<Result<T>> {
    // An await, as with a real disk: others run between two operations.
    await undefined
    const off = fail<Fault>({ code: 'disk.off', name: treePath(path) })
    if (epoch !== mounted) return off
    const blow = strike?.(operation, path, count++)
    if (blow === 'cut') {
      if (random() < 0.5) effect()
      cut()
      return off
    }
    if (blow === 'kill') {
      mounted++
      held.clear()
      return off
    }
    if (blow === 'full' && /piece|makeFolder|open|rename/.test(operation))
      return fail({ code: 'disk.full', name: path })
    if (blow === 'io') return fail({ code: 'disk.io', name: path, errno: 'EIO' })
    return effect()
  }

  function mount(): Tree {
    const epoch = ++mounted
    held.clear()
    const missing = (path: string) => fail<Fault>({ code: 'disk.missing', name: path })
    const fileAt = (path: string): Result<FileNode> => {
      const node = find(path)
      if (node?.kind === 'folder') return fail({ code: 'disk.not-a-file', name: path })
      return node === undefined ? missing(path) : ok(node)
    }
    const parentOf = (path: string): Result<readonly [FolderNode, string]> => {
      const [folder, name] = splitPath(path)
      const node = find(folder)
      return node?.kind === 'folder' ? ok([node, name] as const) : missing(path)
    }
    return {
      list: folder =>
        operate(epoch, 'list', folder, () => {
          const node = find(folder)
          if (node?.kind !== 'folder') return missing(folder)
          return ok(
            [...node.names]
              .map(([name, { kind }]): TreeEntry => ({ name, kind }))
              .sort((a, b) => (a.name < b.name ? -1 : 1)),
          )
        }),
      read: (path, most) =>
        operate(epoch, 'read', path, () => {
          const file = fileAt(path)
          if (!file.ok) return file
          return file.value.bytes.length > most
            ? fail({ code: 'disk.too-large', name: path })
            : ok(file.value.bytes.slice())
        }),
      hash: path =>
        operate(epoch, 'hash', path, () => {
          const file = fileAt(path)
          return file.ok ? ok({ sha256: sha256(file.value.bytes), size: file.value.bytes.length }) : file
        }),
      makeFolder: path =>
        operate(epoch, 'makeFolder', path, () => {
          let folder = root
          for (const name of path.split('/')) {
            const next = folder.names.get(name) ?? newFolder()
            if (next.kind !== 'folder') return fail({ code: 'disk.io', name: path, errno: 'ENOTDIR' })
            if (!folder.names.has(name)) change(folder, [[name, next]])
            folder = next
          }
          return done
        }),
      write: async (path, pieces) => {
        const file: FileNode = { kind: 'file', bytes: new Uint8Array(0), synced: false }
        const opened = await operate(epoch, 'open', path, () => {
          const parent = parentOf(path)
          if (!parent.ok) return parent
          const [folder, name] = parent.value
          if (folder.names.has(name)) return fail({ code: 'disk.io', name: path, errno: 'EEXIST' })
          change(folder, [[name, file]])
          return done
        })
        if (!opened.ok) return opened
        for await (const piece of pieces) {
          if (!piece.ok) return piece
          const taken = await operate(epoch, 'piece', path, () => {
            if (used() + piece.value.length > capacityBytes) return fail({ code: 'disk.full', name: path })
            file.bytes = concat(file.bytes, piece.value)
            return done
          })
          if (!taken.ok) return taken
        }
        return operate(epoch, 'flush', path, () => {
          if (!lyingSync) file.synced = true
          return done
        })
      },
      sync: folder =>
        operate(epoch, 'sync', folder, () => {
          const node = find(folder)
          if (node?.kind !== 'folder') return missing(folder)
          if (lyingSync) return done
          node.durable = new Map(node.names)
          node.pending = []
          return done
        }),
      rename: (from, to) =>
        operate(epoch, 'rename', from, () => {
          const [source, target] = [parentOf(from), parentOf(to)]
          if (!source.ok) return source
          if (!target.ok) return target
          if (source.value[0] !== target.value[0]) throw new RangeError('a rename within one folder')
          const node = source.value[0].names.get(source.value[1])
          if (node === undefined) return missing(from)
          change(source.value[0], [
            [source.value[1], undefined],
            [target.value[1], node],
          ])
          return done
        }),
      remove: path =>
        operate(epoch, 'remove', path, () => {
          const parent = parentOf(path)
          if (parent.ok && parent.value[0].names.has(parent.value[1])) {
            change(parent.value[0], [[parent.value[1], undefined]])
          }
          return done
        }),
      hold: async (folder, name) => {
        const key = `${folder}/${name}`
        if (epoch !== mounted) return fail({ code: 'disk.off', name })
        if (find(folder)?.kind !== 'folder') return missing(folder)
        if (held.has(key)) return fail({ code: 'disk.held', name })
        held.add(key)
        return ok(async () => void held.delete(key))
      },
    }
  }

  return {
    mount,
    cut,
    operations: () => count,
    file: path => {
      const node = find(path)
      return node?.kind === 'file' ? node.bytes : undefined
    },
  }
}
