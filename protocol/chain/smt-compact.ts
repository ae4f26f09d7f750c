/**
 * The transport form of a proof in the state tree: what its reader knows already is left out. `expandProof` gives back
 * the ICS-23 bytes, so whoever verifies needs no second verifier.
 *
 *     existence  01 | steps                                   the key and value are the question and its answer
 *     absence    02 | left? | right?                          02 left, 04 right, 06 both
 *     neighbour  key length (varint) | key | value length (varint) | value | steps
 *     steps      number (varint) | bitmap | siblings          from the root down
 *
 * A step goes to the side that the bit of the hashed key says, so only its sibling is sent: 32 bytes, or none where the
 * bitmap (bit 0x80 of the first byte for the step at the root) has 0: empty. The right neighbour of an absence shares the
 * steps above the one where its way parts from the left one's: it sends only those from there down.
 */
import { concat, equalBytes, toHex } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { fail, ok, type Result } from '../result.ts'
import {
  decodeCommitmentProof,
  type ExistenceProof,
  encodeCommitmentProof,
  type InnerOp,
  type ProofFault,
  SMT_SPEC,
} from './ics23.ts'
import { varint } from './proto.ts'
import { bitAt } from './smt-read.ts'

const EXISTENCE = 1
const LEFT = 2
const RIGHT = 4
const HASH_BYTES = 32
const NO_SIBLING = new Uint8Array(HASH_BYTES)

export type CompactFault =
  /** Bytes that `compactProof` does not write. */
  | { readonly code: 'smt.compact'; readonly reason: string; readonly at: number }
  /** The proof is about another key, or about a value where there is none. */
  | { readonly code: 'smt.compact-question'; readonly reason: string; readonly key: string }

/** The compact form of a proof about `key`; a fault where the proof is none that the state tree makes. */
export function compactProof(proof: Uint8Array, key: Uint8Array): Result<Uint8Array, ProofFault> {
  const decoded = decodeCommitmentProof(proof)
  if (!decoded.ok) return decoded
  const form = (reason: string) => fail({ code: 'ics23.form', reason } as const)
  const about = decoded.value.kind === 'exist' ? decoded.value.exist.key : decoded.value.nonexist.key
  if (!equalBytes(about, key)) return fail({ code: 'ics23.key', expected: toHex(key), received: toHex(about) })
  if (decoded.value.kind === 'exist') {
    const siblings = siblingsOf(decoded.value.exist)
    return typeof siblings === 'string' ? form(siblings) : ok(concat(Uint8Array.of(EXISTENCE), writeSteps(siblings, 0)))
  }
  const { left, right } = decoded.value.nonexist
  if (left === undefined && right === undefined) return form('an absence without neighbours')
  const parts: Uint8Array[] = [Uint8Array.of((left === undefined ? 0 : LEFT) | (right === undefined ? 0 : RIGHT))]
  let above: readonly Uint8Array[] = []
  for (const neighbour of [left, right]) {
    if (neighbour === undefined) continue
    const siblings = siblingsOf(neighbour)
    if (typeof siblings === 'string') return form(siblings)
    const shared = neighbour === right && left !== undefined ? sharedBits(left.key, right.key) : 0
    if (shared > 0 && (shared >= above.length || shared >= siblings.length)) return form('neighbours that never part')
    if (!siblings.slice(0, shared).every((sibling, i) => equalBytes(sibling, above[i]!)))
      return form('neighbours of different trees')
    const { key: own, value } = neighbour
    parts.push(varint(own.length), own, varint(value.length), value, writeSteps(siblings, shared))
    above = siblings
  }
  return ok(concat(...parts))
}

/** The ICS-23 bytes of a compact proof that `key` has `value`, or none where that is undefined. Nothing is verified yet. */
export function expandProof(
  compact: Uint8Array,
  key: Uint8Array,
  value: Uint8Array | undefined,
): Result<Uint8Array, CompactFault> {
  const reader = readCompact(compact)
  const kind = compact[0]
  if ((kind === EXISTENCE) !== (value !== undefined)) {
    const reason = value === undefined ? 'no proof of absence' : 'no proof of existence'
    return fail({ code: 'smt.compact-question', reason, key: toHex(key) })
  }
  if (value !== undefined) {
    const siblings = reader.steps([])
    return reader.end() ?? ok(encodeCommitmentProof({ kind: 'exist', exist: existenceOf(key, value, siblings) }))
  }
  const isAbsence = kind === LEFT || kind === RIGHT || kind === (LEFT | RIGHT)
  if (!isAbsence) return fail({ code: 'smt.compact', reason: 'neither existence nor absence', at: 0 })
  let above: readonly Uint8Array[] = []
  let left: ExistenceProof | undefined
  let right: ExistenceProof | undefined
  for (const side of [LEFT, RIGHT]) {
    if ((kind & side) === 0) continue
    const [own, its] = [reader.bytes(), reader.bytes()]
    const shared = left === undefined ? 0 : sharedBits(left.key, own)
    if (shared > 0 && shared >= above.length) reader.refuse('neighbours that never part')
    above = reader.steps(above.slice(0, shared))
    const proven = existenceOf(own, its, above)
    if (side === LEFT) left = proven
    else right = proven
  }
  return reader.end() ?? ok(encodeCommitmentProof({ kind: 'nonexist', nonexist: { key, left, right } }))
}

/** Bits that the paths of two keys have in common; 256 for one and the same. */
function sharedBits(a: Uint8Array, b: Uint8Array): number {
  const [one, other] = [sha256(a), sha256(b)]
  for (let bit = 0; bit < 256; bit++) if (bitAt(one, bit) !== bitAt(other, bit)) return bit
  return 256
}

/** The siblings of a proof from the root down, or why it is not in the form of the state tree. */
function siblingsOf({ key, leaf, path }: ExistenceProof): readonly Uint8Array[] | string {
  const own = SMT_SPEC.leafSpec
  const asOurs =
    leaf.hash === own.hash &&
    leaf.prehashKey === own.prehashKey &&
    leaf.prehashValue === own.prehashValue &&
    leaf.length === own.length &&
    equalBytes(leaf.prefix, own.prefix)
  if (!asOurs) return 'a leaf of another tree'
  if (path.length > SMT_SPEC.maxDepth) return `${path.length} steps, deeper than ${SMT_SPEC.maxDepth}`
  const keyPath = sha256(key)
  const siblings: Uint8Array[] = []
  for (const [depth, { hash, prefix, suffix }] of path.toReversed().entries()) {
    const goesLeft = bitAt(keyPath, depth) === 0
    const sized = goesLeft
      ? prefix.length === 1 && suffix.length === HASH_BYTES
      : prefix.length === 1 + HASH_BYTES && suffix.length === 0
    if (!sized || prefix[0] !== 1 || hash !== SMT_SPEC.innerSpec.hash) return 'a step of another tree'
    siblings.push(goesLeft ? suffix : prefix.subarray(1))
  }
  return siblings
}

/** The other way: the proof of a key whose siblings are known from the root down. */
function existenceOf(key: Uint8Array, value: Uint8Array, siblings: readonly Uint8Array[]): ExistenceProof {
  const keyPath = sha256(key)
  const { hash } = SMT_SPEC.innerSpec
  const path = siblings.map(
    (sibling, depth): InnerOp =>
      bitAt(keyPath, depth) === 0
        ? { hash, prefix: Uint8Array.of(1), suffix: sibling }
        : { hash, prefix: concat(Uint8Array.of(1), sibling), suffix: new Uint8Array(0) },
  )
  return { key, value, leaf: SMT_SPEC.leafSpec, path: path.reverse() }
}

function writeSteps(siblings: readonly Uint8Array[], shared: number): Uint8Array {
  const own = siblings.slice(shared)
  const bitmap = new Uint8Array(Math.ceil(own.length / 8))
  const sent = own.filter((sibling, i) => {
    const isThere = !equalBytes(sibling, NO_SIBLING)
    if (isThere) bitmap[i >> 3]! |= 0x80 >> (i & 7)
    return isThere
  })
  return concat(varint(own.length), bitmap, ...sent)
}

/**
 * A reader of compact bytes after their first one. The first thing wrong is kept, everything after it reads as empty, and `end`
 * says what it was: no allocation is larger than the bytes themselves but for at most 256 empty siblings.
 */
function readCompact(compact: Uint8Array) {
  let at = 1
  let fault: CompactFault | undefined
  const refuse = (reason: string) => {
    fault ??= { code: 'smt.compact', reason, at }
    at = compact.length
  }
  function take(length: number): Uint8Array {
    if (length > compact.length - at) {
      refuse('ends too early')
      return new Uint8Array(0)
    }
    at += length
    return compact.subarray(at - length, at)
  }
  /** A number below 2^28 in its shortest form: longer than any proof, and inside 32-bit arithmetic. */
  function number(): number {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = take(1)[0]
      if (byte === undefined) return 0
      value |= (byte & 0x7f) << shift
      if (byte >= 0x80) continue
      if (byte === 0 && shift > 0) refuse('a number not in its shortest form')
      return value
    }
    refuse('a number of 28 bits or more')
    return 0
  }
  return {
    refuse,
    bytes: () => take(number()),
    /** All siblings from the root down, of which the first are known. */
    steps(known: readonly Uint8Array[]): readonly Uint8Array[] {
      const count = number()
      if (count + known.length > SMT_SPEC.maxDepth) {
        refuse(`deeper than ${SMT_SPEC.maxDepth}`)
        return []
      }
      // Ways that part, part at a step that both have.
      if (known.length > 0 && count === 0) refuse('neighbours that never part')
      const bitmap = take(Math.ceil(count / 8))
      if (fault !== undefined) return []
      if (count % 8 !== 0 && (bitmap.at(-1)! & (0xff >> (count % 8))) !== 0) refuse('bits beyond the last step')
      const siblings = [...known]
      for (let i = 0; i < count; i++) {
        const isSent = (bitmap[i >> 3]! & (0x80 >> (i & 7))) !== 0
        const sibling = isSent ? take(HASH_BYTES) : NO_SIBLING
        if (isSent && equalBytes(sibling, NO_SIBLING)) refuse('an empty sibling that was sent')
        siblings.push(sibling)
      }
      return siblings
    },
    end() {
      if (fault === undefined && at !== compact.length) refuse('goes on behind its end')
      return fault === undefined ? undefined : fail(fault)
    },
  }
}
