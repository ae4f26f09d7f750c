/** Reading the state tree from one root: values, ICS-23 proofs, everything in order. */
import { compareBytes } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { type ExistenceProof, encodeCommitmentProof, type InnerOp, SMT_SPEC } from './ics23.ts'
import { EMPTY, isLeaf, type NodeRef, type Nodes } from './smt-nodes.ts'

/** Bit `depth` of a path, the most significant first: 0 goes left. */
export const bitAt = (path: Uint8Array, depth: number): number => (path[depth >> 3]! >> (7 - (depth & 7))) & 1

/** The leaf where `path` ends, and the roots of the nearest subtrees to its left and right. */
function descend(nodes: Nodes, root: NodeRef, path: Uint8Array) {
  let node = root
  let before = EMPTY
  let after = EMPTY
  for (let depth = 0; node !== EMPTY && !isLeaf(node); depth++) {
    const [left, right] = [nodes.left(node), nodes.right(node)]
    if (bitAt(path, depth) === 0) {
      if (right !== EMPTY) after = right
      node = left
    } else {
      if (left !== EMPTY) before = left
      node = right
    }
  }
  return { end: node, before, after }
}

export function valueUnder(nodes: Nodes, root: NodeRef, key: Uint8Array): Uint8Array | undefined {
  const { end } = descend(nodes, root, sha256(key))
  return end !== EMPTY && nodes.hasKey(end, key) ? nodes.value(end) : undefined
}

/** The outermost leaf of a subtree on one side. */
function edgeLeaf(nodes: Nodes, node: NodeRef, side: 'left' | 'right'): NodeRef {
  let at = node
  while (at !== EMPTY && !isLeaf(at)) {
    const [left, right] = [nodes.left(at), nodes.right(at)]
    const [near, far] = side === 'left' ? [left, right] : [right, left]
    at = near === EMPTY ? far : near
  }
  return at
}

const NOTHING = new Uint8Array(0)

/** Existence proof of a leaf that is in the tree; ICS-23 lists the inner steps from the leaf up. */
function existence(nodes: Nodes, root: NodeRef, leaf: NodeRef): ExistenceProof {
  const key = nodes.key(leaf)
  const leafPath = sha256(key)
  const path: InnerOp[] = []
  let node = root
  for (let depth = 0; !isLeaf(node); depth++) {
    const goesLeft = bitAt(leafPath, depth) === 0
    const [left, right] = [nodes.left(node), nodes.right(node)]
    const prefix = new Uint8Array(goesLeft ? 1 : 33)
    prefix[0] = 1
    if (!goesLeft) prefix.set(nodes.hash(left), 1)
    path.push({ hash: SMT_SPEC.innerSpec.hash, prefix, suffix: goesLeft ? nodes.hash(right) : NOTHING })
    node = goesLeft ? left : right
  }
  return { key, value: nodes.value(leaf), leaf: SMT_SPEC.leafSpec, path: path.reverse() }
}

/** A protobuf ics23.CommitmentProof: existence where the key has a value, else its absence. */
export function proveUnder(nodes: Nodes, root: NodeRef, key: Uint8Array): Uint8Array {
  if (root === EMPTY) throw new RangeError('an empty tree has no neighbours to prove an absence by')
  const path = sha256(key)
  const { end, before, after } = descend(nodes, root, path)
  const order = end === EMPTY ? 0 : compareBytes(sha256(nodes.key(end)), path)
  if (end !== EMPTY && order === 0) return encodeCommitmentProof({ kind: 'exist', exist: existence(nodes, root, end) })
  const left = order < 0 ? end : edgeLeaf(nodes, before, 'right')
  const right = order > 0 ? end : edgeLeaf(nodes, after, 'left')
  return encodeCommitmentProof({
    kind: 'nonexist',
    nonexist: {
      key,
      left: left === EMPTY ? undefined : existence(nodes, root, left),
      right: right === EMPTY ? undefined : existence(nodes, root, right),
    },
  })
}

/** What lies to the right of a path, in subtrees, the nearest last. */
function rightOf(nodes: Nodes, root: NodeRef, path: Uint8Array): NodeRef[] {
  const found: NodeRef[] = []
  let node = root
  for (let depth = 0; node !== EMPTY && !isLeaf(node); depth++) {
    const goesLeft = bitAt(path, depth) === 0
    if (goesLeft) found.push(nodes.right(node))
    node = goesLeft ? nodes.left(node) : nodes.right(node)
  }
  if (node !== EMPTY && compareBytes(sha256(nodes.key(node)), path) > 0) found.push(node)
  return found
}

/** Every leaf from left to right, or those to the right of a path. */
export function* leavesUnder(nodes: Nodes, root: NodeRef, after?: Uint8Array): IterableIterator<NodeRef> {
  const open = after === undefined ? [root] : rightOf(nodes, root, after)
  while (open.length > 0) {
    const node = open.pop()!
    if (node === EMPTY) continue
    if (isLeaf(node)) yield node
    else open.push(nodes.right(node), nodes.left(node))
  }
}
