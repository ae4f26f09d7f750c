/**
 * The frame of ABCI's socket protocol: a message behind its length as an unsigned varint (not zigzag, as before v0.36).
 *
 *     03  1a 01 2e        3 bytes: field 3 with one byte
 *     00                  an empty message
 */
import type { Pull } from '../result.ts'
import { delimited } from './proto.ts'

/** CometBFT's default limit of a block. */
export const MAX_ABCI_BLOCK_BYTES = 22_020_096
/** A block, and the votes and misbehaviour that come with it: 10,000 validators at 40 bytes are 400 kB. */
export const MAX_ABCI_MESSAGE_BYTES: number = MAX_ABCI_BLOCK_BYTES + 4 * 1024 * 1024

/** Four septets hold the cap; a fifth would say more. */
const MAX_LENGTH_BYTES = 4

export type FrameFault =
  | { readonly code: 'abci.too-long'; readonly bytes: number; readonly limit: number }
  | { readonly code: 'abci.length'; readonly reason: string }

export const frameMessage = delimited

/**
 * The first message of what has arrived, as a view. Junk drops everything: after a length that is none there is no place from
 * which to read on.
 */
export function pullMessage(bytes: Uint8Array, limit: number = MAX_ABCI_MESSAGE_BYTES): Pull<Uint8Array, FrameFault> {
  const junk = (fault: FrameFault) => ({ kind: 'junk', skip: bytes.length, fault }) as const
  let length = 0
  for (let i = 0; i < MAX_LENGTH_BYTES; i++) {
    const byte = bytes[i]
    if (byte === undefined) return { kind: 'need', bytes: 1 }
    length += (byte & 0x7f) * 2 ** (7 * i)
    if (byte >= 0x80) continue
    if (byte === 0 && i > 0) return junk({ code: 'abci.length', reason: 'is not in its shortest form' })
    if (length > limit) return junk({ code: 'abci.too-long', bytes: length, limit })
    const used = i + 1 + length
    if (used > bytes.length) return { kind: 'need', bytes: used - bytes.length }
    return { kind: 'frame', value: bytes.subarray(i + 1, used), used }
  }
  return junk({ code: 'abci.length', reason: `takes more than ${MAX_LENGTH_BYTES} bytes` })
}
