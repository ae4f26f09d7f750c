/**
 * The hash tree of RFC 6962 section 2.1 as CometBFT uses it: SHA-256, a leaf is prefixed with 0x00 and an inner node with
 * 0x01 so that neither can pass for the other, n leaves split at the largest power of two below n, no leaves is sha256('').
 */
import { equalBytes } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'

const EMPTY_ROOT = sha256(new Uint8Array(0))

export function leafHash(leaf: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + leaf.length)
  bytes.set(leaf, 1)
  return sha256(bytes)
}

export function innerHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(65)
  bytes[0] = 1
  bytes.set(left, 1)
  bytes.set(right, 33)
  return sha256(bytes)
}

/** Largest power of two below `n`, for n >= 2. */
function split(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}

/** The root over leaves that are hashed already. */
export function rootOfHashes(hashes: readonly Uint8Array[], from = 0, to = hashes.length): Uint8Array {
  if (to === from) return EMPTY_ROOT
  if (to - from === 1) return hashes[from]!
  const middle = from + split(to - from)
  return innerHash(rootOfHashes(hashes, from, middle), rootOfHashes(hashes, middle, to))
}

export const merkleRoot = (leaves: readonly Uint8Array[]): Uint8Array => rootOfHashes(leaves.map(leafHash))

/** CometBFT's `crypto.Proof`: the siblings from the leaf up. */
export interface MerkleProof {
  readonly total: number
  readonly index: number
  readonly leafHash: Uint8Array
  readonly aunts: readonly Uint8Array[]
}

/** Proof that leaf `index` of `leaves` is under their root. Throws on an index that is none: our own bug. */
export function merkleProof(leaves: readonly Uint8Array[], index: number): MerkleProof {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length)
    throw new RangeError(`no leaf ${index} of ${leaves.length}`)
  const hashes = leaves.map(leafHash)
  const aunts: Uint8Array[] = []
  let from = 0
  let to = leaves.length
  while (to - from > 1) {
    const middle = from + split(to - from)
    if (index < middle) {
      aunts.push(rootOfHashes(hashes, middle, to))
      to = middle
    } else {
      aunts.push(rootOfHashes(hashes, from, middle))
      from = middle
    }
  }
  return { total: leaves.length, index, leafHash: hashes[index]!, aunts: aunts.reverse() }
}

/** Whether `proof` shows that `leaf` stands at its index under `root`. Any shape of proof is answered, none throws. */
export function verifyMerkleProof(root: Uint8Array, leaf: Uint8Array, proof: MerkleProof): boolean {
  const { total, index, aunts } = proof
  if (!Number.isSafeInteger(total) || !Number.isSafeInteger(index) || index < 0 || index >= total) return false
  if (aunts.some(aunt => aunt.length !== 32)) return false
  const hash = leafHash(leaf)
  if (!equalBytes(hash, proof.leafHash)) return false

  // Left or right at each level, from the root down; the aunts are listed from the leaf up.
  const leftward: boolean[] = []
  let at = index
  let size = total
  while (size > 1) {
    const k = split(size)
    leftward.push(at < k)
    if (at < k) size = k
    else {
      at -= k
      size -= k
    }
  }
  if (leftward.length !== aunts.length) return false
  const rebuilt = aunts.reduce(
    (node, aunt, level) => (leftward[leftward.length - 1 - level] ? innerHash(node, aunt) : innerHash(aunt, node)),
    hash,
  )
  return equalBytes(rebuilt, root)
}
