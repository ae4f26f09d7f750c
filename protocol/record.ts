/**
 * Records as canonical CBOR maps with integer keys: one declaration gives the type, the writer and the strict reader.
 *
 *     const offer = record({ price: [1, price], energy: [2, energy] }, { final: [3, flag] })
 *
 * The second argument holds optional fields. The reader refuses a missing field, an unknown key and a value outside its
 * bounds; it never coerces.
 */
import { type Cbor, type CborFault, decode, encode } from './cbor.ts'
import { fail, ok, type Result } from './result.ts'

export type RecordFault =
  | CborFault
  | { readonly code: 'record.shape'; readonly field: string; readonly reason: string }
  | { readonly code: 'record.missing'; readonly field: string }
  | { readonly code: 'record.unknown-key'; readonly key: string }

/** One kind of value: how it is written, and how it is read back or refused. `field` only names the place in a fault. */
export interface Codec<T> {
  write(value: T): Cbor
  read(item: Cbor, field: string): Result<T, RecordFault>
}

type Fields = { readonly [name: string]: readonly [key: number, codec: Codec<unknown>] }
type ValueOf<C> = C extends Codec<infer T> ? T : never
export type RecordOf<R extends Fields, O extends Fields = Record<never, never>> = {
  readonly [K in keyof R]: ValueOf<R[K][1]>
} & { readonly [K in keyof O]?: ValueOf<O[K][1]> }

const shape = (field: string, reason: string) => fail({ code: 'record.shape', field, reason } as const)

/** Bytes of `min` to `max` length. */
export const bytes = (min: number, max: number = min): Codec<Uint8Array> => ({
  write: value => value,
  read: (item, field) =>
    !(item instanceof Uint8Array)
      ? shape(field, 'not a byte string')
      : item.length < min || item.length > max
        ? shape(field, `${item.length} bytes, not ${min} to ${max}`)
        : ok(item),
})

/** Text that matches a whole pattern; the pattern bounds its length. */
export const text = (pattern: RegExp): Codec<string> => ({
  write: value => value,
  read: (item, field) =>
    typeof item !== 'string'
      ? shape(field, 'not a text')
      : pattern.test(item)
        ? ok(item)
        : shape(field, `does not match ${pattern.source}`),
})

/** A branded or plain safe integer between two bounds, both included. */
export const integer = <T extends number = number>(min: number, max: number): Codec<T> => ({
  write: value => value,
  read: (item, field) =>
    typeof item !== 'number'
      ? shape(field, 'not a safe integer')
      : item < min || item > max
        ? shape(field, `${item} is not in ${min}..${max}`)
        : ok(item as T),
})

/** A branded or plain bigint between two bounds, both included. */
export const big = <T extends bigint = bigint>(min: bigint, max: bigint): Codec<T> => ({
  write: value => value,
  read: (item, field) => {
    if (typeof item !== 'number' && typeof item !== 'bigint') return shape(field, 'not an integer')
    const value = BigInt(item)
    return value < min || value > max ? shape(field, `${value} is not in ${min}..${max}`) : ok(value as T)
  },
})

export const flag: Codec<boolean> = {
  write: value => value,
  read: (item, field) => (typeof item === 'boolean' ? ok(item) : shape(field, 'not true or false')),
}

/** One of a few words, written as its place in the list: append to a list, never reorder it. */
export const word = <const W extends string>(...words: readonly W[]): Codec<W> => ({
  write: value => words.indexOf(value),
  read: (item, field) => {
    const found = typeof item === 'number' ? words[item] : undefined
    return found === undefined ? shape(field, `not one of ${words.join(', ')}`) : ok(found)
  },
})

/** A set of a few words as bits, the first word the lowest: append to a list, never reorder it. An empty set is not written. */
export const flags = <const W extends string>(...words: readonly W[]): Codec<readonly W[]> => ({
  write: set => set.reduce((bits, one) => bits | (1 << words.indexOf(one)), 0),
  read: (item, field) =>
    typeof item === 'number' && item > 0 && item < 1 << words.length
      ? ok(words.filter((_, bit) => (item & (1 << bit)) !== 0))
      : shape(field, `not a set of ${words.join(', ')}`),
})

/** A list of between so many items. */
export const list = <T>(item: Codec<T>, fewest: number, most: number): Codec<readonly T[]> => ({
  write: values => values.map(value => item.write(value)),
  read: (found, field) => {
    if (!Array.isArray(found) || found.length < fewest || found.length > most) {
      return shape(field, `not a list of ${fewest} to ${most}`)
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

/** A record of required and optional fields. */
export function record<R extends Fields, O extends Fields = Record<never, never>>(
  required: R,
  optional?: O,
): Codec<RecordOf<R, O>> {
  const all = [
    ...Object.entries(required).map(([name, [key, codec]]) => ({
      name,
      key,
      codec,
      must: true,
    })),
    ...Object.entries(optional ?? {}).map(([name, [key, codec]]) => ({
      name,
      key,
      codec,
      must: false,
    })),
  ]
  const known = new Set(all.map(field => field.key))
  if (known.size !== all.length) throw new Error('two fields of a record share a key')
  return {
    write: value => {
      const out = new Map<number, Cbor>()
      for (const { name, key, codec } of all) {
        const field = (value as Record<string, unknown>)[name]
        if (field !== undefined) out.set(key, codec.write(field))
      }
      return out
    },
    read: (item, field) => {
      if (!(item instanceof Map)) return shape(field, 'not a map')
      for (const key of item.keys()) {
        if (!known.has(key as number)) return fail({ code: 'record.unknown-key', key: `${field}.${key}` })
      }
      const out: Record<string, unknown> = {}
      for (const { name, key, codec, must } of all) {
        const found = item.get(key)
        if (found === undefined) {
          if (must) return fail({ code: 'record.missing', field: `${field}.${name}` })
          continue
        }
        const value = codec.read(found, `${field}.${name}`)
        if (!value.ok) return value
        out[name] = value.value
      }
      return ok(out as RecordOf<R, O>)
    },
  }
}

/** Canonical bytes of a value. */
export const encodeAs = <T>(codec: Codec<T>, value: T): Uint8Array => encode(codec.write(value))

/** A value from canonical bytes of at most `limit`, or why not. `name` begins every field's path in a fault. */
export function decodeAs<T>(codec: Codec<T>, input: Uint8Array, name: string, limit: number): Result<T, RecordFault> {
  const item = decode(input, limit)
  return item.ok ? codec.read(item.value, name) : item
}
