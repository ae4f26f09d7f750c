/** As many accounts as a bench wants, none of which anybody has the key of. */
import { toHex, utf8 } from '../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import { ACCOUNTS } from '../../protocol/ledger/tables.ts'
import { micros } from '../../protocol/quantity.ts'
import { encodeAs } from '../../protocol/record.ts'

/** What a full block changes. */
export const CHANGES = 1000

/** Key and record of account `number` in the state; `sequence` makes its later versions. */
export function accountEntry(number: number, sequence = 1n): readonly [key: Uint8Array, value: Uint8Array] {
  const publicKey = sha256(utf8(`key ${number}`))
  const account = encodeAs(ACCOUNTS.codec, { publicKey, balance: micros(BigInt(number)), sequence })
  return [utf8(ACCOUNTS.prefix + toHex(addressOf(publicKey))), account]
}
