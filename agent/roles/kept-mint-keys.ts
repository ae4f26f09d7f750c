/** What a mint keeps: the private keys of its epochs. Whoever reads it can sign coins. */
import { money, time } from '../../protocol/ledger/fields.ts'
import { bytes, type Codec, decodeAs, encodeAs, list, record } from '../../protocol/record.ts'
import type { Result } from '../../protocol/result.ts'

/** Keys of five sizes and two epochs, 1,218 bytes each. */
const MAX_KEPT = 16
const MAX_RECORD_BYTES = 64 * 1024

const key = record({ epoch: [1, time], denomination: [2, money], secret: [3, bytes(1, 4096)] })
type KeptMintKey = typeof key extends Codec<infer T> ? T : never
const keys = list(key, 0, MAX_KEPT)

export const encodeMintKeys = (kept: readonly KeptMintKey[]): Uint8Array => encodeAs(keys, kept)

export const readMintKeys = (kept: Uint8Array): Result<readonly KeptMintKey[]> =>
  decodeAs(keys, kept, 'mint-keys', MAX_RECORD_BYTES)
