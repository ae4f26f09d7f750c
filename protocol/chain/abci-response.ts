/** Responses of ABCI 2.0 (tendermint.abci.Response), as gogoproto writes them: sub-messages that cannot be absent always stand. */
import { concat, utf8 } from '../bytes.ts'
import type { AbciKind, AbciSnapshot, AbciValidator } from './abci-request.ts'
import type { TxResult } from './block.ts'
import { bytesField, messageField, varint, varintField } from './proto.ts'

/** What a transaction came to, with the line for a person that no other node has to agree on. */
export interface AbciTxResult extends TxResult {
  readonly log: string
  readonly codespace: string
}

export interface ProofOp {
  readonly type: string
  readonly key: Uint8Array
  readonly data: Uint8Array
}

/** ResponseOfferSnapshot.Result. */
export const OFFER = { accept: 1, abort: 2, reject: 3, rejectFormat: 4 } as const
/** ResponseApplySnapshotChunk.Result. */
export const APPLY = { accept: 1, abort: 2, retry: 3, retrySnapshot: 4, rejectSnapshot: 5 } as const

export type AbciResponse =
  /** Ends the node: something is wrong that it cannot go on with. */
  | { readonly kind: 'exception'; readonly error: string }
  | { readonly kind: 'echo'; readonly message: Uint8Array }
  | { readonly kind: 'flush' }
  | {
      readonly kind: 'info'
      readonly data: string
      readonly version: string
      readonly appVersion: bigint
      readonly height: bigint
      readonly appHash: Uint8Array
    }
  | { readonly kind: 'initChain'; readonly validators: readonly AbciValidator[]; readonly appHash: Uint8Array }
  | {
      readonly kind: 'query'
      readonly code: number
      readonly log: string
      readonly key: Uint8Array
      readonly value: Uint8Array | undefined
      readonly proof: readonly ProofOp[]
      readonly height: bigint
      readonly codespace: string
    }
  | ({ readonly kind: 'checkTx' } & AbciTxResult)
  /** Blocks below `retainHeight` may be forgotten; 0 keeps all. */
  | { readonly kind: 'commit'; readonly retainHeight: bigint }
  | { readonly kind: 'listSnapshots'; readonly snapshots: readonly AbciSnapshot[] }
  | { readonly kind: 'offerSnapshot'; readonly result: keyof typeof OFFER }
  /** No bytes where there is no such chunk. */
  | { readonly kind: 'loadSnapshotChunk'; readonly chunk: Uint8Array }
  | {
      readonly kind: 'applySnapshotChunk'
      readonly result: keyof typeof APPLY
      readonly refetch: readonly number[]
      readonly rejectSenders: readonly string[]
    }
  | { readonly kind: 'prepareProposal'; readonly txs: readonly Uint8Array[] }
  | { readonly kind: 'processProposal'; readonly accept: boolean }
  | { readonly kind: 'extendVote'; readonly extension: Uint8Array }
  | { readonly kind: 'verifyVoteExtension'; readonly accept: boolean }
  | {
      readonly kind: 'finalizeBlock'
      readonly results: readonly AbciTxResult[]
      readonly validatorUpdates: readonly AbciValidator[]
      readonly appHash: Uint8Array
    }
  | { readonly kind: 'insertTx'; readonly code: number }
  | { readonly kind: 'reapTxs'; readonly txs: readonly Uint8Array[] }

/** Its number in the oneof; each but the exception's is one above its request's. */
const NUMBERS: Readonly<Record<AbciKind | 'exception', number>> = {
  exception: 1,
  echo: 2,
  flush: 3,
  info: 4,
  initChain: 6,
  query: 7,
  checkTx: 9,
  commit: 12,
  listSnapshots: 13,
  offerSnapshot: 14,
  loadSnapshotChunk: 15,
  applySnapshotChunk: 16,
  prepareProposal: 17,
  processProposal: 18,
  extendVote: 19,
  verifyVoteExtension: 20,
  finalizeBlock: 21,
  insertTx: 22,
  reapTxs: 23,
}

export const encodeResponse = (response: AbciResponse): Uint8Array =>
  messageField(NUMBERS[response.kind], concat(...bodyOf(response)))

const text = (field: number, value: string): Uint8Array => bytesField(field, utf8(value))
const list = <T>(field: number, items: readonly T[], encode: (item: T) => Uint8Array): Uint8Array[] =>
  items.map(item => messageField(field, encode(item)))
const bytes = (item: Uint8Array): Uint8Array => item
/** ProposalStatus and VerifyStatus. */
const verdict = (accept: boolean): Uint8Array => varintField(1, accept ? 1 : 2)

function bodyOf(response: AbciResponse): readonly Uint8Array[] {
  switch (response.kind) {
    case 'flush':
      return []
    case 'exception':
      return [text(1, response.error)]
    case 'echo':
      return [bytesField(1, response.message)]
    case 'info':
      return [
        text(1, response.data),
        text(2, response.version),
        varintField(3, response.appVersion),
        varintField(4, response.height),
        bytesField(5, response.appHash),
      ]
    case 'initChain':
      return [...list(2, response.validators, encodeValidator), bytesField(3, response.appHash)]
    case 'query':
      return [
        varintField(1, response.code),
        text(3, response.log),
        bytesField(6, response.key),
        bytesField(7, response.value ?? new Uint8Array(0)),
        response.proof.length === 0
          ? new Uint8Array(0)
          : messageField(8, concat(...list(1, response.proof, encodeProofOp))),
        varintField(9, response.height),
        text(10, response.codespace),
      ]
    case 'checkTx':
      return [encodeTxResult(response)]
    case 'commit':
      return [varintField(3, response.retainHeight)]
    case 'listSnapshots':
      return list(1, response.snapshots, encodeSnapshot)
    case 'offerSnapshot':
      return [varintField(1, OFFER[response.result])]
    case 'loadSnapshotChunk':
      return [bytesField(1, response.chunk)]
    case 'applySnapshotChunk':
      return [
        varintField(1, APPLY[response.result]),
        bytesField(2, concat(...response.refetch.map(varint))),
        ...list(3, response.rejectSenders, utf8),
      ]
    case 'prepareProposal':
    case 'reapTxs':
      return list(1, response.txs, bytes)
    case 'processProposal':
    case 'verifyVoteExtension':
      return [verdict(response.accept)]
    case 'extendVote':
      return [bytesField(1, response.extension)]
    case 'finalizeBlock':
      return [
        ...list(2, response.results, encodeTxResult),
        ...list(3, response.validatorUpdates, encodeValidator),
        bytesField(5, response.appHash),
      ]
    case 'insertTx':
      return [varintField(1, response.code)]
  }
}

const encodeValidator = ({ publicKey, power }: AbciValidator): Uint8Array =>
  concat(messageField(1, bytesField(1, publicKey)), varintField(2, power))

const encodeProofOp = ({ type, key, data }: ProofOp): Uint8Array =>
  concat(text(1, type), bytesField(2, key), bytesField(3, data))

const encodeTxResult = ({ code, data, log, gasWanted, gasUsed, codespace }: AbciTxResult): Uint8Array =>
  concat(
    varintField(1, code),
    bytesField(2, data),
    text(3, log),
    varintField(5, gasWanted),
    varintField(6, gasUsed),
    text(8, codespace),
  )

const encodeSnapshot = ({ height, format, chunks, hash, metadata }: AbciSnapshot): Uint8Array =>
  concat(
    varintField(1, height),
    varintField(2, format),
    varintField(3, chunks),
    bytesField(4, hash),
    bytesField(5, metadata),
  )
