/** The kinds of field that the ledger's transactions and records are made of, each with its bounds. */
import type { Cbor } from '../cbor.ts'
import type { Money } from '../quantity.ts'
import { big, bytes, type Codec, text } from '../record.ts'
import { fail, ok } from '../result.ts'

/** Below 2^62 micro-units: the sum of any two stays inside a signed 64-bit integer of whoever reads it elsewhere. */
export const MAX_MONEY = 2n ** 62n

export const address = bytes(20)
export const hash32 = bytes(32)
export const money = big<Money>(0n, MAX_MONEY)
export const sequence = big(0n, 2n ** 53n)
/** A chain's or line's name. CometBFT allows a chain id 50 bytes. */
export const name = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$/)
/** A meter's serial text: printable ASCII. */
export const meterId = text(/^[\x20-\x7e]{1,64}$/)
/** A raw Ed25519 key, or a compressed P-256 point; its length tells which. */
export const signingKey = bytes(32, 33)

/** Any one envelope inside a transaction. */
export const envelope = bytes(1, 4 * 1024)

export const list = <T>(item: Codec<T>, fewest: number, most: number): Codec<readonly T[]> => ({
  write: values => values.map(value => item.write(value)),
  read: (found, field) => {
    if (!Array.isArray(found) || found.length < fewest || found.length > most) {
      return fail({ code: 'record.shape', field, reason: `not a list of ${fewest} to ${most}` })
    }
    const values: T[] = []
    for (const [i, part] of found.entries()) {
      const value = item.read(part, `${field}[${i}]`)
      if (!value.ok) return value
      values.push(value.value)
    }
    return ok(values)
  },
})

/** An item that another codec reads once its kind is known. */
export const anyItem: Codec<Cbor> = { write: value => value, read: item => ok(item) }
