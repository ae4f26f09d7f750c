/**
 * Proofs under a hash tree as CometBFT writes them (`tendermint.crypto.Proof`): 1 total, 2 index, 3 leaf_hash, 4 aunts; and
 * the JSON of /tx and /block_results, from which the proof of a transaction and of its result come.
 */
import { concat } from '../bytes.ts'
import type { Result } from '../result.ts'
import { toBase64 } from './base64.ts'
import type { TxResult } from './block.ts'
import { decode } from './light-block-proto.ts'
import type { MerkleProof } from './merkle.ts'
import { bytesField, messageField, type ProtoFault, varintField } from './proto.ts'
import { INT64, type JsonFault, parse, type Reader } from './rpc-json.ts'

/** CometBFT's MaxAunts: no tree that fits anywhere is deeper. */
const MAX_AUNTS = 100
/** Leaves that a number counts exactly. */
const MAX_LEAVES = BigInt(Number.MAX_SAFE_INTEGER)

export const encodeProof = (proof: MerkleProof): Uint8Array =>
  concat(
    varintField(1, proof.total),
    varintField(2, proof.index),
    bytesField(3, proof.leafHash),
    ...proof.aunts.map(aunt => messageField(4, aunt)),
  )

export const decodeProof = (bytes: Uint8Array): Result<MerkleProof, ProtoFault> =>
  decode(bytes, (reading, all) => {
    const proof = reading.message('proof', all, { 1: 'varint', 2: 'varint', 3: 'bytes', 4: 'messages' })
    if (proof[4].length > MAX_AUNTS) reading.refuse('aunts', `are more than ${MAX_AUNTS}`)
    return {
      total: reading.number('total', proof[1], MAX_LEAVES),
      index: reading.number('index', proof[2], MAX_LEAVES),
      leafHash: proof[3],
      aunts: proof[4],
    }
  })

export const proofJson = ({ total, index, leafHash, aunts }: MerkleProof) => ({
  total: String(total),
  index: String(index),
  leaf_hash: toBase64(leafHash),
  aunts: aunts.map(toBase64),
})

/** One answer of /tx with `prove`. */
export interface FoundTx {
  readonly height: bigint
  readonly index: number
  readonly tx: Uint8Array
  readonly proof: MerkleProof
}

export const parseTx = (json: unknown): Result<FoundTx, JsonFault> =>
  parse(json, reader => {
    const proof = reader.object('proof').object('proof')
    return {
      height: reader.integer('height', 1n, INT64),
      index: reader.whole('index', 2 ** 31 - 1),
      tx: reader.base64('tx'),
      proof: {
        total: Number(proof.integer('total', 1n, MAX_LEAVES)),
        index: Number(proof.integer('index', 0n, MAX_LEAVES)),
        leafHash: proof.base64('leaf_hash'),
        aunts: proof.base64List('aunts', MAX_AUNTS),
      },
    }
  })

/** Results of a block of small transactions: a limit of memory, not of any rule. */
const MAX_RESULTS = 200_000

/** The results of /block_results, in the order of the transactions. */
export const parseResults = (json: unknown): Result<readonly TxResult[], JsonFault> =>
  parse(json, reader => (reader.isNull('txs_results') ? [] : reader.list('txs_results', MAX_RESULTS).map(readResult)))

const readResult = (reader: Reader): TxResult => ({
  code: reader.whole('code', 2 ** 32 - 1),
  data: reader.isNull('data') ? new Uint8Array(0) : reader.base64('data'),
  gasWanted: reader.integer('gas_wanted', -INT64 - 1n, INT64),
  gasUsed: reader.integer('gas_used', -INT64 - 1n, INT64),
})
