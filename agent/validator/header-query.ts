/**
 * The query `/header`: that a header is one of those before a state. `data` is its height in decimal; the answer's value is the
 * accumulator's record, and its proof has two steps: from the header's hash to the record, from the record to the AppHash.
 */
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { HEADERS_KEY } from '../../protocol/chain/accumulator.ts'
import { encodeProof } from '../../protocol/chain/merkle-proof.ts'
import type { HeaderProof } from '../../protocol/ledger/app.ts'

export const HEADER_PATH = '/header'

export interface ProofOp {
  readonly type: string
  readonly key: Uint8Array
  readonly data: Uint8Array
}

/** The height that is asked for; 0, which no header has, where `data` is none. */
export function heightOfData(data: Uint8Array): bigint {
  const text = fromUtf8(data) ?? ''
  return /^[1-9]\d{0,15}$/.test(text) ? BigInt(text) : 0n
}

export const headerProofOps = (data: Uint8Array, { proof, state }: HeaderProof): readonly ProofOp[] => [
  { type: 'tieline:header', key: data, data: encodeProof(proof) },
  { type: 'ics23:smt', key: utf8(HEADERS_KEY), data: state.proof },
]
