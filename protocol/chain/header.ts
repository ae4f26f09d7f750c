/** A header's bytes and its hash (`tendermint.types.Header`, CometBFT spec, data structures: Header). */
import { concat, equalBytes, utf8 } from '../bytes.ts'
import { encodeTime } from './chain-time.ts'
import type { BlockId, Header, PartSetHeader } from './light-block.ts'
import { leafHash, rootOfHashes } from './merkle.ts'
import { bytesField, messageField, varintField } from './proto.ts'

const encodePartSetHeader = (parts: PartSetHeader): Uint8Array =>
  concat(varintField(1, parts.total), bytesField(2, parts.hash))

/** BlockID and CanonicalBlockID alike: the part set header is written even when empty (`12 00`). */
export const encodeBlockId = (id: BlockId): Uint8Array =>
  concat(bytesField(1, id.hash), messageField(2, encodePartSetHeader(id.partSetHeader)))

const encodeVersion = (version: Header['version']): Uint8Array =>
  concat(varintField(1, version.block), varintField(2, version.app))

/** No block: what the first block names as its predecessor. */
export const NO_BLOCK: BlockId = {
  hash: new Uint8Array(0),
  partSetHeader: { total: 0, hash: new Uint8Array(0) },
}

/** The whole header, as it stands in a block. */
export const encodeHeader = (header: Header): Uint8Array =>
  concat(
    messageField(1, encodeVersion(header.version)),
    bytesField(2, utf8(header.chainId)),
    varintField(3, header.height),
    messageField(4, encodeTime(header.time)),
    messageField(5, encodeBlockId(header.lastBlockId)),
    bytesField(6, header.lastCommitHash),
    bytesField(7, header.dataHash),
    bytesField(8, header.validatorsHash),
    bytesField(9, header.nextValidatorsHash),
    bytesField(10, header.consensusHash),
    bytesField(11, header.appHash),
    bytesField(12, header.lastResultsHash),
    bytesField(13, header.evidenceHash),
    bytesField(14, header.proposerAddress),
  )

/**
 * The 14 leaves of the header's hash. Version, Timestamp and BlockID are messages; the others are wrapped as StringValue,
 * Int64Value and BytesValue, in which an empty value is an empty leaf.
 */
const headerLeaves = (header: Header): readonly Uint8Array[] => [
  encodeVersion(header.version),
  bytesField(1, utf8(header.chainId)),
  varintField(1, header.height),
  encodeTime(header.time),
  encodeBlockId(header.lastBlockId),
  bytesField(1, header.lastCommitHash),
  bytesField(1, header.dataHash),
  bytesField(1, header.validatorsHash),
  bytesField(1, header.nextValidatorsHash),
  bytesField(1, header.consensusHash),
  bytesField(1, header.appHash),
  bytesField(1, header.lastResultsHash),
  bytesField(1, header.evidenceHash),
  bytesField(1, header.proposerAddress),
]

/**
 * The leaves and their hashes of the header that was hashed last. Most of the 14 leaves of a chain's next header are those
 * of the one before, and comparing is ten times cheaper than hashing. Only a memory of a pure function: no answer
 * depends on it.
 */
const recent: { readonly leaves: Uint8Array[]; readonly hashes: Uint8Array[] } = { leaves: [], hashes: [] }

export function hashHeader(header: Header): Uint8Array {
  const leaves = headerLeaves(header)
  for (let i = 0; i < leaves.length; i++) {
    const known = recent.leaves[i]
    if (known !== undefined && equalBytes(known, leaves[i]!)) continue
    recent.leaves[i] = leaves[i]!
    recent.hashes[i] = leafHash(leaves[i]!)
  }
  return rootOfHashes(recent.hashes)
}
