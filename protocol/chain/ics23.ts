/**
 * ICS-23 commitment proofs (cosmos/ics23, `cosmos.ics23.v1`): that a key has a value under a root, or has none, in one of three
 * trees. An existence proof is a leaf and the inner steps up to the root; an absence is shown by the neighbours to the
 * left and right that leave no room between them.
 *
 *     CommitmentProof    { 1 exist | 2 nonexist }                  batch and compressed forms are refused
 *     ExistenceProof     { 1 key, 2 value, 3 leaf, 4 path... }
 *     NonExistenceProof  { 1 key, 2 left?, 3 right? }
 *     LeafOp             { 1 hash, 2 prehash key, 3 prehash value, 4 length, 5 prefix }
 *     InnerOp            { 1 hash, 2 prefix, 3 suffix }            hash(prefix || child || suffix)
 *
 * Everything in a proof but the hashes is the prover's choice, so each step is held to the tree's own form more tightly than
 * the specification asks: a leaf prefix is exact (a longer one could swallow the head of another key), and a step is the
 * left or the right child of its parent and nothing else.
 */
import { compareBytes, concat, equalBytes, toHex } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { done, fail, ok, type Result } from '../result.ts'
import { bytesField, type Fields, messageField, type ProtoFault, readMessage, varint, varintField } from './proto.ts'

/** HashOp: only the two that our trees use. */
const NO_HASH = 0
const SHA256 = 1
type HashOp = typeof NO_HASH | typeof SHA256

/** LengthOp. */
const NO_PREFIX = 0
const VAR_PROTO = 1
type LengthOp = typeof NO_PREFIX | typeof VAR_PROTO

export interface LeafOp {
  readonly hash: HashOp
  readonly prehashKey: HashOp
  readonly prehashValue: HashOp
  readonly length: LengthOp
  readonly prefix: Uint8Array
}

export interface InnerOp {
  readonly hash: HashOp
  readonly prefix: Uint8Array
  readonly suffix: Uint8Array
}

export interface ExistenceProof {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly leaf: LeafOp
  /** From the leaf up. */
  readonly path: readonly InnerOp[]
}

export interface NonExistenceProof {
  readonly key: Uint8Array
  readonly left: ExistenceProof | undefined
  readonly right: ExistenceProof | undefined
}

export type CommitmentProof =
  | { readonly kind: 'exist'; readonly exist: ExistenceProof }
  | { readonly kind: 'nonexist'; readonly nonexist: NonExistenceProof }

/** A binary tree that proofs can be checked in. */
export interface ProofSpec {
  readonly name: 'smt' | 'tendermint' | 'iavl'
  readonly leafSpec: LeafOp
  readonly innerSpec: {
    readonly hash: HashOp
    /** Bytes of a child's hash as it stands in its parent. */
    readonly childBytes: number
    readonly minPrefix: number
    readonly maxPrefix: number
    /** What stands where a child is missing; undefined where every node has two children. */
    readonly emptyChild: Uint8Array | undefined
  }
  readonly maxDepth: number
  /** Keys are ordered by their hash. */
  readonly ordersByHash: boolean
}

/** Our own state tree (smt.ts). */
export const SMT_SPEC: ProofSpec = {
  name: 'smt',
  leafSpec: { hash: SHA256, prehashKey: SHA256, prehashValue: SHA256, length: NO_PREFIX, prefix: Uint8Array.of(0) },
  innerSpec: { hash: SHA256, childBytes: 32, minPrefix: 1, maxPrefix: 1, emptyChild: new Uint8Array(32) },
  maxDepth: 256,
  ordersByHash: true,
}

/** A map in an RFC 6962 tree. A tree deeper than 64 would have more than 2^64 leaves. */
export const TENDERMINT_SPEC: ProofSpec = {
  name: 'tendermint',
  leafSpec: { hash: SHA256, prehashKey: NO_HASH, prehashValue: SHA256, length: VAR_PROTO, prefix: Uint8Array.of(0) },
  innerSpec: { hash: SHA256, childBytes: 32, minPrefix: 1, maxPrefix: 1, emptyChild: undefined },
  maxDepth: 64,
  ordersByHash: false,
}

/** The balanced tree of the Cosmos SDK; prefixes carry height, size and version, a child's hash its length. */
export const IAVL_SPEC: ProofSpec = {
  name: 'iavl',
  leafSpec: { hash: SHA256, prehashKey: NO_HASH, prehashValue: SHA256, length: VAR_PROTO, prefix: Uint8Array.of(0) },
  innerSpec: { hash: SHA256, childBytes: 33, minPrefix: 4, maxPrefix: 12, emptyChild: undefined },
  // A node names its height in one zigzag byte: 63 at most.
  maxDepth: 63,
  ordersByHash: false,
}

export type ProofFault =
  | ProtoFault
  | { readonly code: 'ics23.form'; readonly reason: string }
  | { readonly code: 'ics23.step'; readonly step: number; readonly reason: string }
  | { readonly code: 'ics23.key'; readonly expected: string; readonly received: string }
  | { readonly code: 'ics23.value'; readonly expected: string; readonly received: string }
  | { readonly code: 'ics23.root'; readonly expected: string; readonly computed: string }
  | { readonly code: 'ics23.order'; readonly neighbour: 'left' | 'right'; readonly key: string }
  | { readonly code: 'ics23.gap'; readonly reason: string }

/** Refuses unless `proof` shows that `key` has exactly `value` under `root`. */
export function verifyMembership(
  spec: ProofSpec,
  root: Uint8Array,
  proof: Uint8Array,
  key: Uint8Array,
  value: Uint8Array,
): Result<undefined, ProofFault> {
  const decoded = decodeCommitmentProof(proof)
  if (!decoded.ok) return decoded
  if (decoded.value.kind !== 'exist') return form('a proof of absence where one of existence is asked')
  const { exist } = decoded.value
  if (!equalBytes(exist.key, key)) return fail({ code: 'ics23.key', expected: toHex(key), received: toHex(exist.key) })
  if (!equalBytes(exist.value, value))
    return fail({ code: 'ics23.value', expected: toHex(value), received: toHex(exist.value) })
  const fault = existenceFault(spec, root, exist)
  return fault === undefined ? done : fail(fault)
}

/** Refuses unless `proof` shows that `key` has no value under `root`. */
export function verifyNonMembership(
  spec: ProofSpec,
  root: Uint8Array,
  proof: Uint8Array,
  key: Uint8Array,
): Result<undefined, ProofFault> {
  const decoded = decodeCommitmentProof(proof)
  if (!decoded.ok) return decoded
  if (decoded.value.kind !== 'nonexist') return form('a proof of existence where one of absence is asked')
  // The key that the proof itself names is the prover's word (some name its hash): what counts is where `key` would stand.
  const { left, right } = decoded.value.nonexist
  const place = (k: Uint8Array) => (spec.ordersByHash ? sha256(k) : k)
  for (const [neighbour, proven, sign] of [
    ['left', left, -1],
    ['right', right, 1],
  ] as const) {
    if (proven === undefined) continue
    const fault = existenceFault(spec, root, proven)
    if (fault !== undefined) return fail(fault)
    if (compareBytes(place(proven.key), place(key)) * sign <= 0)
      return fail({ code: 'ics23.order', neighbour, key: toHex(proven.key) })
  }
  if (left === undefined && right === undefined) return form('an absence without neighbours')
  if (left === undefined)
    return atEdge(spec, right!.path, 'left') ? done : gap('the right neighbour is not the first leaf')
  if (right === undefined)
    return atEdge(spec, left.path, 'right') ? done : gap('the left neighbour is not the last leaf')
  return areNeighbours(spec, left.path, right.path) ? done : gap('the neighbours leave room between them')
}

const form = (reason: string) => fail<ProofFault>({ code: 'ics23.form', reason })
const gap = (reason: string) => fail<ProofFault>({ code: 'ics23.gap', reason })

type Side = 'left' | 'right'

/** Which child of its parent a step comes from; undefined where the step has neither form. */
function sideOf(spec: ProofSpec, { prefix, suffix }: InnerOp): Side | undefined {
  const { childBytes, minPrefix, maxPrefix } = spec.innerSpec
  const fits = (bytes: number) => bytes >= minPrefix && bytes <= maxPrefix
  if (suffix.length === childBytes && fits(prefix.length)) return 'left'
  if (suffix.length === 0 && fits(prefix.length - childBytes)) return 'right'
  return undefined
}

/** Why a proof does not show that its key has its value under `root`. */
function existenceFault(spec: ProofSpec, root: Uint8Array, proof: ExistenceProof): ProofFault | undefined {
  const { leaf, path, key, value } = proof
  const malformed = (reason: string): ProofFault => ({ code: 'ics23.form', reason })
  if (key.length === 0) return malformed('an empty key')
  if (value.length === 0) return malformed('an empty value')
  if (path.length > spec.maxDepth) return malformed(`${path.length} steps, deeper than ${spec.maxDepth}`)
  const own = spec.leafSpec
  const asSpecified =
    leaf.hash === own.hash &&
    leaf.prehashKey === own.prehashKey &&
    leaf.prehashValue === own.prehashValue &&
    leaf.length === own.length
  if (!asSpecified) return malformed('the leaf is hashed in another way')
  if (spec.name === 'iavl' ? !isIavlPrefix(leaf.prefix, 0) : !equalBytes(leaf.prefix, own.prefix))
    return malformed(`a leaf does not begin with ${toHex(leaf.prefix)}`)

  const part = (prehash: HashOp, bytes: Uint8Array) => {
    const data = prehash === SHA256 ? sha256(bytes) : bytes
    return leaf.length === VAR_PROTO ? concat(varint(data.length), data) : data
  }
  let node = sha256(concat(leaf.prefix, part(leaf.prehashKey, key), part(leaf.prehashValue, value)))
  for (const [index, inner] of path.entries()) {
    const bad = (reason: string): ProofFault => ({ code: 'ics23.step', step: index, reason })
    if (inner.hash !== spec.innerSpec.hash) return bad('hashed in another way')
    // Else a leaf could be passed off as an inner node.
    if (inner.prefix[0] === own.prefix[0]) return bad('an inner node that begins like a leaf')
    if (sideOf(spec, inner) === undefined) return bad('neither a left nor a right child')
    if (spec.name === 'iavl' && !isIavlPrefix(inner.prefix, index + 1)) return bad('not the head of an IAVL node')
    node = sha256(concat(inner.prefix, node, inner.suffix))
  }
  return equalBytes(node, root) ? undefined : { code: 'ics23.root', expected: toHex(root), computed: toHex(node) }
}

/**
 * An IAVL node begins with height, size and version as zigzag varints, none negative, the height at least `layer` (0 is
 * a leaf). An inner node goes on with the length of its left child's hash (0x20), and before a right child
 * with that whole hash and the right one's length.
 */
function isIavlPrefix(prefix: Uint8Array, layer: number): boolean {
  let at = 0
  for (let i = 0; i < 3; i++) {
    const start = at
    while ((prefix[at] ?? 0) >= 0x80) at++
    // Zigzag: the lowest bit of the first byte is the sign.
    if (at >= prefix.length || at - start > 8 || prefix[start]! % 2 !== 0) return false
    at++
    if (i === 0) {
      // Heights fit one byte (zigzag 0..63) in any tree that fits the world, so a longer one is made up.
      const height = prefix[start]! / 2
      if (at - start !== 1 || height < layer || (layer === 0 && height !== 0)) return false
    }
  }
  const rest = prefix.length - at
  if (layer === 0) return rest === 0
  return prefix[at] === 32 && (rest === 1 || (rest === 34 && prefix[at + 33] === 32))
}

/** Whether nothing stands further out than this path on one side: each step is that child, or its sibling there is empty. */
function atEdge(spec: ProofSpec, path: readonly InnerOp[], edge: Side): boolean {
  const { childBytes, emptyChild } = spec.innerSpec
  return path.every(step => {
    if (sideOf(spec, step) === edge) return true
    if (emptyChild === undefined) return false
    const sibling = edge === 'left' ? step.prefix.subarray(step.prefix.length - childBytes) : step.suffix
    return equalBytes(sibling, emptyChild)
  })
}

/** Whether two paths part at one node, to its left and right child, and run along the edges that face each other below it. */
function areNeighbours(spec: ProofSpec, left: readonly InnerOp[], right: readonly InnerOp[]): boolean {
  let l = left.length - 1
  let r = right.length - 1
  while (l >= 0 && r >= 0 && sameStep(left[l]!, right[r]!)) {
    l--
    r--
  }
  if (l < 0 || r < 0) return false
  return (
    sideOf(spec, left[l]!) === 'left' &&
    sideOf(spec, right[r]!) === 'right' &&
    atEdge(spec, left.slice(0, l), 'right') &&
    atEdge(spec, right.slice(0, r), 'left')
  )
}

const sameStep = (a: InnerOp, b: InnerOp): boolean => equalBytes(a.prefix, b.prefix) && equalBytes(a.suffix, b.suffix)

const COMMITMENT = { 1: 'message', 2: 'message' } as const
const EXISTENCE = { 1: 'bytes', 2: 'bytes', 3: 'message', 4: 'messages' } as const
const NON_EXISTENCE = { 1: 'bytes', 2: 'message', 3: 'message' } as const
const LEAF = { 1: 'varint', 2: 'varint', 3: 'varint', 4: 'varint', 5: 'bytes' } as const
const INNER = { 1: 'varint', 2: 'bytes', 3: 'bytes' } as const

export function decodeCommitmentProof(bytes: Uint8Array): Result<CommitmentProof, ProofFault> {
  const fields = readMessage(bytes, COMMITMENT)
  if (!fields.ok) return fields
  const { 1: exist, 2: nonexist } = fields.value
  if (exist !== undefined && nonexist === undefined) {
    const proof = decodeExistence(exist)
    return proof.ok ? ok({ kind: 'exist', exist: proof.value }) : proof
  }
  if (nonexist === undefined || exist !== undefined) return form('neither one existence nor one absence')
  const outer = readMessage(nonexist, NON_EXISTENCE)
  if (!outer.ok) return outer
  const left = outer.value[2] === undefined ? ok(undefined) : decodeExistence(outer.value[2])
  if (!left.ok) return left
  const right = outer.value[3] === undefined ? ok(undefined) : decodeExistence(outer.value[3])
  if (!right.ok) return right
  return ok({ kind: 'nonexist', nonexist: { key: outer.value[1], left: left.value, right: right.value } })
}

function decodeExistence(bytes: Uint8Array): Result<ExistenceProof, ProofFault> {
  const fields = readMessage(bytes, EXISTENCE)
  if (!fields.ok) return fields
  const { 1: key, 2: value, 3: leafBytes, 4: steps } = fields.value
  if (leafBytes === undefined) return form('no leaf')
  const leaf = readMessage(leafBytes, LEAF)
  if (!leaf.ok) return leaf
  const leafOp = leafOpOf(leaf.value)
  if (leafOp === undefined) return form('a hash or length that none of our trees uses')
  const path: InnerOp[] = []
  for (const step of steps) {
    const inner = readMessage(step, INNER)
    if (!inner.ok) return inner
    const hash = hashOpOf(inner.value[1])
    if (hash === undefined) return form('a hash that none of our trees uses')
    path.push({ hash, prefix: inner.value[2], suffix: inner.value[3] })
  }
  return ok({ key, value, leaf: leafOp, path })
}

const hashOpOf = (value: bigint): HashOp | undefined => (value === 0n ? NO_HASH : value === 1n ? SHA256 : undefined)

function leafOpOf(fields: Fields<typeof LEAF>): LeafOp | undefined {
  const hash = hashOpOf(fields[1])
  const prehashKey = hashOpOf(fields[2])
  const prehashValue = hashOpOf(fields[3])
  const length = fields[4] === 0n ? NO_PREFIX : fields[4] === 1n ? VAR_PROTO : undefined
  if (hash === undefined || prehashKey === undefined || prehashValue === undefined || length === undefined)
    return undefined
  return { hash, prehashKey, prehashValue, length, prefix: fields[5] }
}

const encodeExistence = ({ key, value, leaf, path }: ExistenceProof): Uint8Array =>
  concat(
    bytesField(1, key),
    bytesField(2, value),
    messageField(
      3,
      concat(
        varintField(1, leaf.hash),
        varintField(2, leaf.prehashKey),
        varintField(3, leaf.prehashValue),
        varintField(4, leaf.length),
        bytesField(5, leaf.prefix),
      ),
    ),
    ...path.map(step =>
      messageField(4, concat(varintField(1, step.hash), bytesField(2, step.prefix), bytesField(3, step.suffix))),
    ),
  )

export function encodeCommitmentProof(proof: CommitmentProof): Uint8Array {
  if (proof.kind === 'exist') return messageField(1, encodeExistence(proof.exist))
  const { key, left, right } = proof.nonexist
  return messageField(
    2,
    concat(
      bytesField(1, key),
      ...(left === undefined ? [] : [messageField(2, encodeExistence(left))]),
      ...(right === undefined ? [] : [messageField(3, encodeExistence(right))]),
    ),
  )
}
