/**
 * The state tree: a compact sparse Merkle tree in exactly the ICS-23 SmtSpec layout, kept for the newest versions.
 *
 *     leaf   H(00 || H(key) || H(value))          a leaf stands at the shortest prefix of H(key) that is its own
 *     inner  H(01 || left || right)               bit 0 (the most significant) of H(key) decides at the root
 *     empty  32 zero bytes
 *
 * Versions share what did not change: a write copies the path to what it changes. History is a line, so a node that one
 * version dropped is in no later one, and each version's lists of what it made and dropped are enough to free memory:
 *
 *     the oldest expires     what the next one dropped is seen by nobody any more
 *     the newest is undone   what it made is seen by nobody any more
 */
import { compareBytes, equalBytes } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { createNodes, EMPTY, isLeaf, type NodeRef, type Nodes, type TreeMemory } from './smt-nodes.ts'
import { bitAt, leavesUnder, proveUnder, valueUnder } from './smt-read.ts'

/** New value of a key; undefined removes it. */
export type Change = readonly [key: Uint8Array, value: Uint8Array | undefined]

/** The state after one version. Asking a version that is no longer kept is a bug of the caller's, and throws. */
export interface Snapshot {
  /** 32 bytes. */
  readonly root: Uint8Array
  /** A copy of the value. */
  get(key: Uint8Array): Uint8Array | undefined
  /** A protobuf ics23.CommitmentProof: existence where the key has a value, else its absence. */
  prove(key: Uint8Array): Uint8Array
  /**
   * Copies of every key and value, in the order of the hashed keys, or of those behind the place of one key, whether it is
   * there or not. Throws once the version has expired on the way.
   */
  entries(after?: Uint8Array): IterableIterator<readonly [key: Uint8Array, value: Uint8Array]>
}

export interface StateTree {
  /** Fills a tree that has no version yet, in bounded memory beside the tree; the next commit makes it a version. */
  fill(entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): void
  /**
   * Writes a new version on top of the newest and returns its root; where a key repeats, the last change counts.
   * Throws unless the version is above the newest.
   */
  commit(version: bigint, changes: readonly Change[]): Uint8Array
  /** Forgets the newest version; the one before is the newest again. */
  revert(): void
  /** A version that is still kept. A busy ledger keeps fewer than it may, to bound memory. */
  at(version: bigint): Snapshot | undefined
  readonly memory: TreeMemory
  /** Nodes in all versions kept. */
  readonly count: { readonly leaves: number; readonly inner: number }
}

/**
 * A light client asks for the height below the newest header that it has verified. A minute of blocks, one a second, lets
 * the slowest line answer; beyond that the client has newer headers anyway, and each version costs the nodes it changed.
 */
export const KEPT_VERSIONS = 64

/**
 * Nodes that older versions may hold beside the newest, of some 60 bytes each with records and lists: 30 MB. Blocks of 2,000
 * transfers among a million accounts replace 45,000 each, and then a dozen versions are kept.
 */
const REPLACED_LIMIT = 2 ** 19

/** Kept however much they hold: what the slowest of the clients still asks for on a busy ledger. */
const LEAST_VERSIONS = 8

/** Entries that a fill sorts and merges at once: one or two MB, and the nodes at the top are hashed once for all of them. */
const FILL_BATCH = 4096

interface PathChange {
  readonly path: Uint8Array
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
}

/** Changes by path, each path once. */
function sortChanges(changes: readonly Change[]): readonly PathChange[] {
  const byKey = changes.map(([key, value]): PathChange => ({ path: sha256(key), key, value }))
  // Array sort is stable, so the last of equal paths is the last change of that key.
  byKey.sort((a, b) => compareBytes(a.path, b.path))
  return byKey.filter((c, i) => i + 1 === byKey.length || !equalBytes(c.path, byKey[i + 1]!.path))
}

/** The tree under `root` with the changes applied. Each inner node that changes is made, and so hashed, once. */
function applyChanges(
  nodes: Nodes,
  root: NodeRef,
  changes: readonly PathChange[],
  made: NodeRef[],
  dropped: NodeRef[],
) {
  const make = (node: NodeRef): NodeRef => {
    made.push(node)
    return node
  }

  /** A change of the only key in a subtree, where `node` is that key's leaf or nothing. */
  function replace(node: NodeRef, { path, key, value }: PathChange): NodeRef {
    if (node !== EMPTY) {
      if (value !== undefined && nodes.hasValue(node, value)) return node
      dropped.push(node)
    }
    return value === undefined ? EMPTY : make(nodes.leaf(path, key, value))
  }

  /** The subtree at `depth` with changes[from..to) applied. `path` is that of `node` where it is a leaf and it is known. */
  function merge(node: NodeRef, depth: number, from: number, to: number, path?: Uint8Array): NodeRef {
    if (from === to) return node
    const splits = node !== EMPTY && !isLeaf(node)
    if (to - from === 1 && !splits) {
      const change = changes[from]!
      if (node === EMPTY || nodes.hasKey(node, change.key)) return replace(node, change)
      if (change.value === undefined) return node
    }
    let [left, right] = splits ? [nodes.left(node), nodes.right(node)] : [EMPTY, EMPTY]
    let ownPath = path
    if (!splits && node !== EMPTY) {
      ownPath ??= sha256(nodes.key(node))
      if (bitAt(ownPath, depth) === 0) left = node
      else right = node
    }
    let middle = from
    while (middle < to && bitAt(changes[middle]!.path, depth) === 0) middle++
    const newLeft = merge(left, depth + 1, from, middle, ownPath)
    const newRight = merge(right, depth + 1, middle, to, ownPath)
    if (splits) {
      if (newLeft === left && newRight === right) return node
      dropped.push(node)
    }
    // A lone leaf rises, because it stands at the shortest prefix that is its own.
    if (newLeft === EMPTY && (newRight === EMPTY || isLeaf(newRight))) return newRight
    if (newRight === EMPTY && isLeaf(newLeft)) return newLeft
    return make(nodes.inner(newLeft, newRight))
  }

  return merge(root, 0, 0, changes.length)
}

interface Version {
  readonly root: NodeRef
  /** Nodes that the version before did not have; undefined in the oldest, which has nothing to go back to. */
  made: Uint32Array | undefined
  /** Nodes of the version before that this one does not have. */
  dropped: Uint32Array | undefined
  kept: boolean
  readonly snapshot: Snapshot
}

function snapshotOf(nodes: Nodes, root: NodeRef, version: bigint, isKept: () => boolean): Snapshot {
  const hold = () => {
    if (!isKept()) throw new RangeError(`version ${version} of the state is no longer kept`)
  }
  return {
    root: nodes.hash(root),
    get(key) {
      hold()
      return valueUnder(nodes, root, key)
    },
    prove(key) {
      hold()
      return proveUnder(nodes, root, key)
    },
    *entries(after) {
      hold()
      for (const leaf of leavesUnder(nodes, root, after && sha256(after))) {
        yield [nodes.key(leaf), nodes.value(leaf)] as const
        hold()
      }
    },
  }
}

/** An empty tree that answers for its newest `kept` versions, or fewer where those hold more than `limit` replaced nodes. */
export function createStateTree(kept: number = KEPT_VERSIONS, limit: number = REPLACED_LIMIT): StateTree {
  /** Oldest first. */
  const versions = new Map<bigint, Version>()
  let nodes = createNodes()
  let newest = EMPTY
  let newestVersion: bigint | undefined
  /** Nodes that only versions before the newest see. */
  let replaced = 0

  const free = (list: Iterable<NodeRef>) => {
    for (const node of list) nodes.free(node)
  }

  function expireOldest(): void {
    const [[number, oldest], second] = [...versions.entries()].slice(0, 2) as [[bigint, Version], [bigint, Version]]
    oldest.kept = false
    versions.delete(number)
    const next = second[1]
    free(next.dropped!)
    replaced -= next.dropped!.length
    next.made = next.dropped = undefined
  }

  return {
    get memory() {
      return nodes.memory
    },
    get count() {
      return nodes.count
    },
    fill(entries) {
      if (newestVersion !== undefined) throw new Error('a tree with a version is not filled')
      let batch: Change[] = []
      const merge = () => {
        const dropped: NodeRef[] = []
        newest = applyChanges(nodes, newest, sortChanges(batch), [], dropped)
        free(dropped)
        batch = []
      }
      for (const entry of entries) if (batch.push(entry) === FILL_BATCH) merge()
      merge()
    },
    commit(version, changes) {
      if (newestVersion !== undefined && version <= newestVersion)
        throw new RangeError(`version ${version} after version ${newestVersion}`)
      const made: NodeRef[] = []
      const dropped: NodeRef[] = []
      newest = applyChanges(nodes, newest, sortChanges(changes), made, dropped)
      const isFirst = versions.size === 0
      if (isFirst) free(dropped)
      const entry: Version = {
        root: newest,
        made: isFirst ? undefined : Uint32Array.from(made),
        dropped: isFirst ? undefined : Uint32Array.from(dropped),
        kept: true,
        snapshot: snapshotOf(nodes, newest, version, () => entry.kept),
      }
      versions.set(version, entry)
      newestVersion = version
      if (!isFirst) replaced += dropped.length
      while (versions.size > kept || (replaced > limit && versions.size > LEAST_VERSIONS)) expireOldest()
      return entry.snapshot.root
    },
    revert() {
      if (newestVersion === undefined) throw new RangeError('no version to forget')
      const last = versions.get(newestVersion)!
      last.kept = false
      versions.delete(newestVersion)
      newestVersion = [...versions.keys()].at(-1)
      if (newestVersion === undefined) {
        nodes = createNodes()
        newest = EMPTY
      } else {
        free(last.made!)
        replaced -= last.dropped!.length
        newest = versions.get(newestVersion)!.root
      }
    },
    at: version => versions.get(version)?.snapshot,
  }
}
