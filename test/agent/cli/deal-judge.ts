/** The ledger's part of a deal's records by other code than makes and verifies them: Node's hashes, OpenSSL's signatures. */
import { createHash, createPublicKey, verify as verifyBy } from 'node:crypto'

// biome-ignore lint/suspicious/noExplicitAny: a file of JSON, whose form others test.
type Json = any

const sha = (...parts: readonly Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}
const opensslHolds = (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => {
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key])
  return verifyBy(null, message, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature)
}
/** Protobuf: a field's number and its bytes, or number. */
function fields(bytes: Uint8Array): readonly (readonly [number, Uint8Array | number])[] {
  const found: (readonly [number, Uint8Array | number])[] = []
  let i = 0
  const varint = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[i++]!
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value
    }
  }
  while (i < bytes.length) {
    const tag = varint()
    const value = varint()
    if ((tag & 7) === 0) found.push([tag >> 3, value])
    else {
      found.push([tag >> 3, bytes.subarray(i, i + value)])
      i += value
    }
  }
  return found
}
const varintBytes = (value: number): readonly number[] =>
  value < 128 ? [value] : [(value % 128) | 128, ...varintBytes(Math.floor(value / 128))]
const part = (number: number, bytes: Uint8Array) =>
  Buffer.concat([Buffer.from([(number << 3) | 2, ...varintBytes(bytes.length)]), bytes])

/** The root that an ICS-23 proof leads to from this key and value, in upper-case hex. */
export function rootOf(key: string, valueHex: string, proofHex: string): string {
  const exist = fields(fields(Buffer.from(proofHex, 'hex'))[0]![1] as Uint8Array)
  let node = sha(Buffer.of(0), sha(Buffer.from(key)), sha(Buffer.from(valueHex, 'hex')))
  for (const [number, step] of exist) {
    if (number !== 4) continue
    const inner = fields(step as Uint8Array)
    const bytesOf = (field: number) => (inner.find(([each]) => each === field)?.[1] ?? Buffer.of()) as Uint8Array
    node = sha(bytesOf(2), node, bytesOf(3))
  }
  return node.toString('hex').toUpperCase()
}

const fixed = (field: number, value: bigint) => {
  const bytes = Buffer.alloc(9, 0)
  bytes[0] = (field << 3) | 1
  bytes.writeBigUInt64LE(value, 1)
  return value === 0n ? Buffer.of() : bytes
}

/** How many votes of a block are their validators': CanonicalVote with type, height and round, block id, time, chain. */
export function votesThatHold({ signed_header: { header, commit }, validators }: Json): number {
  const { hash, parts } = commit.block_id
  const set = Buffer.concat([Buffer.of(8, parts.total), part(2, Buffer.from(parts.hash, 'hex'))])
  const blockId = Buffer.concat([part(1, Buffer.from(hash, 'hex')), part(2, set)])
  const holding = commit.signatures.filter((vote: Json, i: number) => {
    const [, seconds, fraction] = /^(.*?)(?:\.(\d+))?Z$/.exec(vote.timestamp)!
    const nanos = Number((fraction ?? '0').padEnd(9, '0'))
    const time = Buffer.from([
      ...[8, ...varintBytes(Date.parse(`${seconds}Z`) / 1000)],
      ...(nanos === 0 ? [] : [16, ...varintBytes(nanos)]),
    ])
    const canonical = Buffer.concat([
      ...[Buffer.of(8, 2), fixed(2, BigInt(commit.height)), fixed(3, BigInt(commit.round))],
      ...[part(4, blockId), part(5, time), part(6, Buffer.from(header.chain_id))],
    ])
    const message = Buffer.concat([Buffer.from(varintBytes(canonical.length)), canonical])
    const publicKey = Buffer.from(validators[i].pub_key.value, 'base64')
    return opensslHolds(publicKey, message, Buffer.from(vote.signature, 'base64'))
  })
  return holding.length
}
