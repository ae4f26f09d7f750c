/**
 * The state tree as objects: what the one in flat memory is compared with. Nodes are never altered, versions share what did
 * not change, and the garbage collector frees what no version sees.
 */
import { compareBytes, equalBytes } from '../../../protocol/bytes.ts'
import { type ExistenceProof, encodeCommitmentProof, type InnerOp, SMT_SPEC } from '../../../protocol/chain/ics23.ts'
import type { Change } from '../../../protocol/chain/smt.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'

interface Snapshot {
  readonly root: Uint8Array
  get(key: Uint8Array): Uint8Array | undefined
  prove(key: Uint8Array): Uint8Array
  entries(): IterableIterator<readonly [key: Uint8Array, value: Uint8Array]>
}

const EMPTY = new Uint8Array(32)

interface Leaf {
  readonly path: Uint8Array
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly hash: Uint8Array
}
interface Inner {
  readonly left: Node
  readonly right: Node
  readonly hash: Uint8Array
}
type Node = Leaf | Inner | undefined

interface PathChange {
  readonly path: Uint8Array
  readonly leaf: Leaf | undefined
}

const isLeaf = (node: Leaf | Inner): node is Leaf => 'path' in node
const hashOf = (node: Node): Uint8Array => node?.hash ?? EMPTY
const bitAt = (path: Uint8Array, depth: number): number => (path[depth >> 3]! >> (7 - (depth & 7))) & 1

const scratch = new Uint8Array(65)
function hashPair(prefix: 0 | 1, a: Uint8Array, b: Uint8Array): Uint8Array {
  scratch[0] = prefix
  scratch.set(a, 1)
  scratch.set(b, 33)
  return sha256(scratch)
}

function leafOf(path: Uint8Array, key: Uint8Array, value: Uint8Array): Leaf {
  return { path, key, value, hash: hashPair(0, path, sha256(value)) }
}

/** A parent of two children; a lone leaf rises, because it stands at the shortest prefix that is its own. */
function join(left: Node, right: Node): Node {
  if (left === undefined && (right === undefined || isLeaf(right))) return right
  if (right === undefined && left !== undefined && isLeaf(left)) return left
  return { left, right, hash: hashPair(1, hashOf(left), hashOf(right)) }
}

/** The subtree at `depth` with changes[from..to) applied; they are sorted by path, each path once. */
function merge(node: Node, depth: number, changes: readonly PathChange[], from: number, to: number): Node {
  if (from === to) return node
  if (to - from === 1 && (node === undefined || isLeaf(node))) {
    const { path, leaf } = changes[from]!
    if (node === undefined || equalBytes(node.path, path)) return leaf
    if (leaf === undefined) return node
  }
  let left: Node
  let right: Node
  if (node !== undefined && !isLeaf(node)) [left, right] = [node.left, node.right]
  else if (node !== undefined && bitAt(node.path, depth) === 0) left = node
  else right = node
  let middle = from
  while (middle < to && bitAt(changes[middle]!.path, depth) === 0) middle++
  const newLeft = merge(left, depth + 1, changes, from, middle)
  const newRight = merge(right, depth + 1, changes, middle, to)
  const same = node !== undefined && !isLeaf(node) && newLeft === left && newRight === right
  return same ? node : join(newLeft, newRight)
}

/** The leaf where `path` ends, and the roots of the nearest subtrees to its left and right. */
function descend(root: Node, path: Uint8Array): { end: Leaf | undefined; before: Node; after: Node } {
  let node = root
  let before: Node
  let after: Node
  for (let depth = 0; node !== undefined && !isLeaf(node); depth++) {
    if (bitAt(path, depth) === 0) {
      after = node.right ?? after
      node = node.left
    } else {
      before = node.left ?? before
      node = node.right
    }
  }
  return { end: node, before, after }
}

function edgeLeaf(node: Node, side: 'left' | 'right'): Leaf | undefined {
  let at = node
  while (at !== undefined && !isLeaf(at)) at = at[side] ?? at[side === 'left' ? 'right' : 'left']
  return at
}

/** Existence proof of a leaf that is in the tree; ICS-23 lists the inner steps from the leaf up. */
function existence(root: Node, leaf: Leaf): ExistenceProof {
  const path: InnerOp[] = []
  let node = root
  for (let depth = 0; node !== undefined && !isLeaf(node); depth++) {
    const goesLeft = bitAt(leaf.path, depth) === 0
    const prefix = new Uint8Array(goesLeft ? 1 : 33)
    prefix[0] = 1
    if (!goesLeft) prefix.set(hashOf(node.left), 1)
    path.push({ hash: SMT_SPEC.innerSpec.hash, prefix, suffix: goesLeft ? hashOf(node.right) : new Uint8Array(0) })
    node = goesLeft ? node.left : node.right
  }
  return { key: leaf.key, value: leaf.value, leaf: SMT_SPEC.leafSpec, path: path.reverse() }
}

function prove(root: Node, key: Uint8Array): Uint8Array {
  if (root === undefined) throw new RangeError('an empty tree has no neighbours to prove an absence by')
  const path = sha256(key)
  const { end, before, after } = descend(root, path)
  const order = end === undefined ? 0 : compareBytes(end.path, path)
  if (end !== undefined && order === 0) return encodeCommitmentProof({ kind: 'exist', exist: existence(root, end) })
  const left = order < 0 ? end : edgeLeaf(before, 'right')
  const right = order > 0 ? end : edgeLeaf(after, 'left')
  return encodeCommitmentProof({
    kind: 'nonexist',
    nonexist: {
      key,
      left: left === undefined ? undefined : existence(root, left),
      right: right === undefined ? undefined : existence(root, right),
    },
  })
}

function* leaves(node: Node): IterableIterator<readonly [Uint8Array, Uint8Array]> {
  if (node === undefined) return
  if (isLeaf(node)) yield [node.key, node.value]
  else {
    yield* leaves(node.left)
    yield* leaves(node.right)
  }
}

function snapshot(node: Node): Snapshot {
  return {
    root: hashOf(node),
    get(key) {
      const path = sha256(key)
      const { end } = descend(node, path)
      return end !== undefined && equalBytes(end.path, path) ? end.value : undefined
    },
    prove: key => prove(node, key),
    entries: () => leaves(node),
  }
}

/** An empty tree that answers for its newest `kept` versions. */
export function createObjectTree(kept: number) {
  const versions = new Map<bigint, { readonly node: Node; readonly snapshot: Snapshot }>()
  let newest: Node
  return {
    commit(version: bigint, changes: readonly Change[]): Uint8Array {
      const byKey = changes.map(([key, value]): PathChange => {
        const path = sha256(key)
        return { path, leaf: value === undefined ? undefined : leafOf(path, key, value) }
      })
      // Array sort is stable, so the last of equal paths is the last change of that key.
      byKey.sort((a, b) => compareBytes(a.path, b.path))
      const sorted = byKey.filter((c, i) => i + 1 === byKey.length || !equalBytes(c.path, byKey[i + 1]!.path))
      newest = merge(newest, 0, sorted, 0, sorted.length)
      const made = snapshot(newest)
      versions.delete(version)
      versions.set(version, { node: newest, snapshot: made })
      for (const old of versions.keys()) {
        if (versions.size <= kept) break
        versions.delete(old)
      }
      return made.root
    },
    revert() {
      const last = [...versions.keys()].at(-1)
      if (last === undefined) throw new RangeError('no version to forget')
      versions.delete(last)
      newest = [...versions.values()].at(-1)?.node
    },
    at: (version: bigint): Snapshot | undefined => versions.get(version)?.snapshot,
    /** Distinct nodes in all versions kept. */
    count() {
      const seen = new Set<Leaf | Inner>()
      const visit = (node: Node): void => {
        if (node === undefined || seen.has(node)) return
        seen.add(node)
        if (isLeaf(node)) return
        visit(node.left)
        visit(node.right)
      }
      for (const { node } of versions.values()) visit(node)
      const leaves = [...seen].filter(isLeaf).length
      return { leaves, inner: seen.size - leaves }
    },
  }
}
