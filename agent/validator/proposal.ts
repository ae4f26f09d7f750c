/**
 * The block that is about to be signed, as it stands on disk before anybody signs it (what CometBFT's priv_validator_state
 * and write-ahead log are for), in protobuf:
 *
 *     1 header   2 txs   3 evidence   4 round   5 votes, each 1 flag 2 time
 *
 * Signatures are deterministic, so the same proposal makes the same commit again.
 */
import { concat } from '../../protocol/bytes.ts'
import { encodeTime } from '../../protocol/chain/chain-time.ts'
import { encodeHeader } from '../../protocol/chain/header.ts'
import type { CommitSig, Header } from '../../protocol/chain/light-block.ts'
import { decode, decodeHeader, INT32, type ProtoReading, readTime } from '../../protocol/chain/light-block-proto.ts'
import { messageField, type ProtoFault, varintField } from '../../protocol/chain/proto.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { Vote } from './votes.ts'

/** A block that is decided, and what each validator is about to sign. */
export interface Proposal {
  readonly header: Header
  readonly txs: readonly Uint8Array[]
  /** Each item encoded as in the block. */
  readonly evidence: readonly Uint8Array[]
  readonly round: number
  readonly votes: readonly Vote[]
}

export const encodeProposal = ({ header, txs, evidence, round, votes }: Proposal): Uint8Array =>
  concat(
    messageField(1, encodeHeader(header)),
    ...txs.map(tx => messageField(2, tx)),
    ...evidence.map(one => messageField(3, one)),
    varintField(4, round),
    ...votes.map(({ flag, timestamp }) =>
      messageField(
        5,
        concat(varintField(1, flag), timestamp === undefined ? NOTHING : messageField(2, encodeTime(timestamp))),
      ),
    ),
  )

export function decodeProposal(bytes: Uint8Array): Result<Proposal, ProtoFault> {
  const parts = decode(bytes, (reading, all) => {
    const fields = reading.message('proposal', all, {
      1: 'message',
      2: 'messages',
      3: 'messages',
      4: 'varint',
      5: 'messages',
    })
    if (fields[1] === undefined) reading.refuse('proposal', 'has no header')
    return {
      header: fields[1] ?? NOTHING,
      txs: fields[2],
      evidence: fields[3],
      round: reading.number('round', fields[4], INT32),
      votes: fields[5].map(one => readVote(reading, one)),
    }
  })
  if (!parts.ok) return parts
  const header = decodeHeader(parts.value.header)
  return header.ok ? ok({ ...parts.value, header: header.value }) : header
}

function readVote(reading: ProtoReading, bytes: Uint8Array): Vote {
  const fields = reading.message('vote', bytes, { 1: 'varint', 2: 'message' })
  const flag = reading.number('flag', fields[1], 3n)
  if (flag === 0) reading.refuse('flag', 'is not from 1 to 3')
  return {
    flag: flag as CommitSig['flag'],
    timestamp: fields[2] === undefined ? undefined : readTime(reading, fields[2]),
  }
}

const NOTHING = new Uint8Array(0)
