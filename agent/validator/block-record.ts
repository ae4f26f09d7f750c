/**
 * A block as the block store keeps it, in protobuf: everything that a node answers about it.
 *
 *     1 header   2 txs   3 last_commit   4 commit   5 validators   6 validator_updates   7 results   8 evidence   9 app_hash
 *
 * A result is CometBFT's ExecTxResult: 1 code, 2 data, 3 log, 5 gas_wanted, 6 gas_used. The reader takes only what the
 * writer writes. A validator's update is 1 public key, 2 power (0 removes it).
 */
import { concat, fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { encodeCommit } from '../../protocol/chain/commit.ts'
import { encodeHeader } from '../../protocol/chain/header.ts'
import type { Commit, Header, Validator } from '../../protocol/chain/light-block.ts'
import { decodeCommit, decodeHeader, decodeValidator, encodeValidator } from '../../protocol/chain/light-block-proto.ts'
import { bytesField, messageField, type ProtoFault, readMessage, varintField } from '../../protocol/chain/proto.ts'
import type { TxOutcome } from '../../protocol/ledger/app.ts'
import type { ValidatorUpdate } from '../../protocol/ledger/block.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'

export interface StoredBlock {
  readonly header: Header
  readonly txs: readonly Uint8Array[]
  readonly lastCommit: Commit
  /** The precommits for this block; its block id is this block's. */
  readonly commit: Commit
  readonly validators: readonly Validator[]
  /** What this block changes of the set of two heights later. */
  readonly validatorUpdates: readonly ValidatorUpdate[]
  readonly results: readonly TxOutcome[]
  /** As it stood in the block, each item encoded. */
  readonly evidence: readonly Uint8Array[]
  /** State after this block. */
  readonly appHash: Uint8Array
}

const encodeOutcome = ({ code, data, log, gasWanted, gasUsed }: TxOutcome): Uint8Array =>
  concat(
    varintField(1, code),
    bytesField(2, data),
    bytesField(3, utf8(log)),
    varintField(5, gasWanted),
    varintField(6, gasUsed),
  )

const encodeUpdate = ({ publicKey, power }: ValidatorUpdate): Uint8Array =>
  concat(bytesField(1, publicKey), varintField(2, power))

export const encodeStoredBlock = (block: StoredBlock): Uint8Array =>
  concat(
    messageField(1, encodeHeader(block.header)),
    ...block.txs.map(tx => messageField(2, tx)),
    messageField(3, encodeCommit(block.lastCommit)),
    messageField(4, encodeCommit(block.commit)),
    ...block.validators.map(one => messageField(5, encodeValidator(one))),
    ...block.validatorUpdates.map(one => messageField(6, encodeUpdate(one))),
    ...block.results.map(one => messageField(7, encodeOutcome(one))),
    ...block.evidence.map(one => messageField(8, one)),
    bytesField(9, block.appHash),
  )

const SHAPE = {
  1: 'message',
  2: 'messages',
  3: 'message',
  4: 'message',
  5: 'messages',
  6: 'messages',
  7: 'messages',
  8: 'messages',
  9: 'bytes',
} as const

const UINT32 = 2n ** 32n - 1n

function decodeOutcome(bytes: Uint8Array): Result<TxOutcome, ProtoFault> {
  const fields = readMessage(bytes, { 1: 'varint', 2: 'bytes', 3: 'bytes', 5: 'varint', 6: 'varint' })
  if (!fields.ok) return fields
  const { 1: code, 2: data, 3: text, 5: gasWanted, 6: gasUsed } = fields.value
  const log = fromUtf8(text)
  if (code > UINT32 || log === undefined) return fail({ code: 'chain.proto', reason: 'not a result', at: 0 })
  return ok({
    code: Number(code),
    data,
    log,
    gasWanted: BigInt.asIntN(64, gasWanted),
    gasUsed: BigInt.asIntN(64, gasUsed),
  })
}

function decodeUpdate(bytes: Uint8Array): Result<ValidatorUpdate, ProtoFault> {
  const fields = readMessage(bytes, { 1: 'bytes', 2: 'varint' })
  return fields.ok ? ok({ publicKey: fields.value[1], power: BigInt.asIntN(64, fields.value[2]) }) : fields
}

/** Every item decoded, or the first fault. */
function all<T>(
  items: readonly Uint8Array[],
  decode: (bytes: Uint8Array) => Result<T, ProtoFault>,
): Result<readonly T[], ProtoFault> {
  const out: T[] = []
  for (const item of items) {
    const decoded = decode(item)
    if (!decoded.ok) return decoded
    out.push(decoded.value)
  }
  return ok(out)
}

/** The byte strings in the answer are views into `bytes`. */
export function decodeStoredBlock(bytes: Uint8Array): Result<StoredBlock, ProtoFault> {
  const fields = readMessage(bytes, SHAPE)
  if (!fields.ok) return fields
  const { 1: head, 2: txs, 3: last, 4: own, 8: evidence, 9: appHash } = fields.value
  if (head === undefined || last === undefined || own === undefined) {
    return fail({ code: 'chain.proto', reason: 'a block without header or commits', at: 0 })
  }
  const header = decodeHeader(head)
  const lastCommit = decodeCommit(last)
  const commit = decodeCommit(own)
  const validators = all(fields.value[5], decodeValidator)
  const validatorUpdates = all(fields.value[6], decodeUpdate)
  const results = all(fields.value[7], decodeOutcome)
  if (!header.ok) return header
  if (!lastCommit.ok) return lastCommit
  if (!commit.ok) return commit
  if (!validators.ok) return validators
  if (!validatorUpdates.ok) return validatorUpdates
  if (!results.ok) return results
  return ok({
    header: header.value,
    txs,
    lastCommit: lastCommit.value,
    commit: commit.value,
    validators: validators.value,
    validatorUpdates: validatorUpdates.value,
    results: results.value,
    evidence,
    appHash,
  })
}
