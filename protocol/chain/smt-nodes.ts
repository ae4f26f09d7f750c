/**
 * Nodes of the state tree in flat memory.
 *
 *     leaf       hash (32) | record (4)                 its path is not kept: it is the hash of the record's key
 *     inner      hash (32) | left (4) | right (4)
 *     reference  slot (31 bits) | 1 for a leaf, 0 for an inner node; 0 is the empty subtree
 *
 * A leaf owns its record; nodes are never altered.
 */
import { sha256 } from '../crypto/hash.ts'
import { createRecords } from './smt-records.ts'
import { createSlots } from './smt-slots.ts'

/** A reference to a node. */
export type NodeRef = number

export const EMPTY: NodeRef = 0
export const isLeaf = (node: NodeRef): boolean => (node & 1) === 1

/** Memory held, in bytes. */
export interface TreeMemory {
  /** Hashes and references. */
  readonly nodes: number
  /** Keys and values with their lengths. */
  readonly records: number
}

export interface Nodes {
  leaf(path: Uint8Array, key: Uint8Array, value: Uint8Array): NodeRef
  inner(left: NodeRef, right: NodeRef): NodeRef
  /** Of a node that no version sees any more; a leaf goes with its record. */
  free(node: NodeRef): void
  /** A copy. */
  hash(node: NodeRef): Uint8Array
  left(inner: NodeRef): NodeRef
  right(inner: NodeRef): NodeRef
  /** Copies of a leaf's key and value. */
  key(leaf: NodeRef): Uint8Array
  value(leaf: NodeRef): Uint8Array
  hasKey(leaf: NodeRef, key: Uint8Array): boolean
  hasValue(leaf: NodeRef, value: Uint8Array): boolean
  readonly memory: TreeMemory
  readonly count: { readonly leaves: number; readonly inner: number }
}

const HASH = 32

export function createNodes(): Nodes {
  const leaves = createSlots(HASH + 4)
  const inners = createSlots(HASH + 8)
  const records = createRecords()
  // Inner node 0 would have the reference of the empty subtree.
  inners.take()
  /** prefix (1) | a (32) | b (32) */
  const scratch = new Uint8Array(1 + 2 * HASH)

  const slotsOf = (node: NodeRef) => (isLeaf(node) ? leaves : inners)

  function copyHash(node: NodeRef, to: Uint8Array, at: number): void {
    if (node === EMPTY) {
      to.fill(0, at, at + HASH)
      return
    }
    const slots = slotsOf(node)
    const { bytes } = slots.memory(node >>> 1)
    const from = slots.offset(node >>> 1)
    for (let i = 0; i < HASH; i++) to[at + i] = bytes[from + i]!
  }

  /** The word after a node's hash, or the next one. */
  function word(node: NodeRef, index: number): number {
    const slots = slotsOf(node)
    return slots.memory(node >>> 1).words[(slots.offset(node >>> 1) + HASH + 4 * index) >> 2]!
  }
  const recordOf = (leaf: NodeRef): number => word(leaf, 0)

  return {
    leaf(path, key, value) {
      scratch[0] = 0
      scratch.set(path, 1)
      scratch.set(sha256(value), 1 + HASH)
      const slot = leaves.take()
      const { bytes, words } = leaves.memory(slot)
      const at = leaves.offset(slot)
      bytes.set(sha256(scratch), at)
      words[(at + HASH) >> 2] = records.put(key, value)
      return (slot << 1) | 1
    },
    inner(left, right) {
      scratch[0] = 1
      copyHash(left, scratch, 1)
      copyHash(right, scratch, 1 + HASH)
      const slot = inners.take()
      const { bytes, words } = inners.memory(slot)
      const at = inners.offset(slot)
      bytes.set(sha256(scratch), at)
      words[(at + HASH) >> 2] = left
      words[(at + HASH + 4) >> 2] = right
      return slot << 1
    },
    free(node) {
      if (isLeaf(node)) records.free(recordOf(node))
      slotsOf(node).give(node >>> 1)
    },
    hash(node) {
      const out = new Uint8Array(HASH)
      copyHash(node, out, 0)
      return out
    },
    left: inner => word(inner, 0),
    right: inner => word(inner, 1),
    key: leaf => records.key(recordOf(leaf)),
    value: leaf => records.value(recordOf(leaf)),
    hasKey: (leaf, key) => records.hasKey(recordOf(leaf), key),
    hasValue: (leaf, value) => records.hasValue(recordOf(leaf), value),
    get memory() {
      return { nodes: leaves.bytes + inners.bytes, records: records.bytes }
    },
    get count() {
      return { leaves: leaves.used, inner: inners.used - 1 }
    },
  }
}
