/**
 * Many envelopes in one file: a CBOR sequence (RFC 8742) of COSE_Sign1, one behind the other with nothing between. Only
 * their ends are found here; each is then read strictly by cose.ts.
 *
 *     d2 84  58 nn protected  a0  59 nnnn payload  58 40 signature
 */
import type { Fault, Pull } from '../result.ts'

export type EnvelopesFault = Fault & { readonly code: 'envelopes.shape'; readonly at: number; readonly byte: number }

/** Far above every envelope of ours, dossiers included. */
const MAX_ITEM = 64 * 1024
const BYTE_STRING = 2

/** The envelope at the start of `bytes`; junk drops one byte, so that the next envelope is found behind damage. */
export function splitEnvelope(bytes: Uint8Array): Pull<Uint8Array, EnvelopesFault> {
  const junk = (at: number) =>
    ({ kind: 'junk', skip: 1, fault: { code: 'envelopes.shape', at, byte: bytes[at] ?? 0 } }) as const
  if (bytes.length < 2) return { kind: 'need', bytes: 2 - bytes.length }
  if (bytes[0] !== 0xd2) return junk(0)
  if (bytes[1] !== 0x84) return junk(1)
  let at = 2
  for (const part of ['protected', 'unprotected', 'payload', 'signature']) {
    if (at >= bytes.length) return { kind: 'need', bytes: 1 }
    if (part === 'unprotected') {
      if (bytes[at] !== 0xa0) return junk(at)
      at++
      continue
    }
    const head = bytes[at]!
    const info = head & 31
    // One byte of length argument, or two, or none: a longer string is none of ours.
    if (head >> 5 !== BYTE_STRING || info > 25) return junk(at)
    const size = info < 24 ? 0 : info - 23
    if (at + size >= bytes.length) return { kind: 'need', bytes: at + size + 1 - bytes.length }
    let length = info < 24 ? info : 0
    for (let i = 1; i <= size; i++) length = length * 256 + bytes[at + i]!
    at += 1 + size + length
    if (at > MAX_ITEM) return junk(0)
  }
  if (at > bytes.length) return { kind: 'need', bytes: at - bytes.length }
  return { kind: 'frame', value: bytes.subarray(0, at), used: at }
}
