/**
 * What each observer learns of a household's trade, found in the bytes that pass through its hands, and what is stated.
 *
 * A fact is learned where its value stands in those bytes, whole: as raw bytes, as text, or as a number in CBOR. What could be
 * guessed from when and how much is said is linkage.ts's business. The energy ledger's state is open to everybody who asks
 * for it, so whoever takes the trouble knows what `regulator` knows besides his own.
 */
import { concat, toHex, utf8 } from '../bytes.ts'
import { encode } from '../cbor.ts'

export const FACTS = ['identity', 'reading', 'limit', 'quantity', 'price', 'partner', 'time'] as const
export type KnownFact = (typeof FACTS)[number]

export type Learned = Readonly<Record<KnownFact, boolean>>

const only = (...known: readonly KnownFact[]): Learned =>
  Object.fromEntries(FACTS.map(fact => [fact, known.includes(fact)])) as Record<KnownFact, boolean>

/**
 * Of a contract over the grid that came from a call auction under one-time keys, with the parties' limits rounded, and of one over
 * a direct line with sealed receipts.
 */
export const STATED = {
  /** Hears the orders, and those of the slot are all that it hears. */
  neighbour: only('time'),
  /** Prices the way and holds its capacity, for the contract that it is shown. */
  distributor: only('identity', 'quantity', 'price', 'partner', 'time'),
  /** Reads the ledger's state: meters' registers are in it while their windows are open. */
  regulator: only('identity', 'reading', 'quantity', 'price', 'partner', 'time'),
  /** Takes every transaction. */
  validator: only('identity', 'reading', 'quantity', 'price', 'partner', 'time'),
  /** The same where receipts are sealed. */
  'validator, sealed receipts': only('identity', 'quantity', 'price', 'partner', 'time'),
  /** Carries sealed letters: who writes to whom. */
  broker: only('identity', 'partner'),
  /** Certifies a key for a slot, for meters that trade in it and those that do not. */
  registrar: only('identity', 'time'),
} as const satisfies Readonly<Record<string, Learned>>

export type Observer = keyof typeof STATED
export const OBSERVERS = Object.keys(STATED) as readonly Observer[]

/** The values of one household's trade; several of one fact are each enough. */
export type Secrets = Readonly<Record<KnownFact, readonly (Uint8Array | string | bigint | number)[]>>

/** What is found of them in the bytes that an observer has. */
export function learnedFrom(view: readonly Uint8Array[], secrets: Secrets): Learned {
  const all = concat(...view)
  // Latin-1: one character a byte, so that the platform's own search runs over bytes.
  const text = latin1(all)
  const found = (fact: KnownFact) =>
    secrets[fact].some(value => formsOf(value).some(form => text.includes(latin1(form))))
  return Object.fromEntries(FACTS.map(fact => [fact, found(fact)])) as Record<KnownFact, boolean>
}

function formsOf(value: Uint8Array | string | bigint | number): readonly Uint8Array[] {
  if (value instanceof Uint8Array) return [value, utf8(toHex(value))]
  if (typeof value === 'string') return [utf8(value)]
  const form = encode(value)
  // A number of one or two bytes is found anywhere.
  if (form.length < 3) throw new RangeError(`${value} is too small a number to be looked for`)
  return [form]
}

function latin1(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096))
  return text
}

/** For each observer, whether it learns exactly what is stated of it. */
export const asStated = (views: Readonly<Record<Observer, Learned>>): Readonly<Record<Observer, boolean>> =>
  Object.fromEntries(
    OBSERVERS.map(observer => [observer, FACTS.every(fact => views[observer][fact] === STATED[observer][fact])]),
  ) as Record<Observer, boolean>
