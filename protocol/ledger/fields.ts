/** The kinds of field that the ledger's transactions and records are made of, each with its bounds. */
import type { Cbor } from '../cbor.ts'
import { KEY_TRUST } from '../identity/key.ts'
import type { Money, Price, WattHours } from '../quantity.ts'
import { big, bytes, type Codec, integer, text, word } from '../record.ts'
import { ok } from '../result.ts'
import type { Instant } from '../time.ts'
import { source } from '../trade/contract.ts'

/** Below 2^62 micro-units: the sum of any two stays inside a signed 64-bit integer of whoever reads it elsewhere. */
export const MAX_MONEY = 2n ** 62n

export const address = bytes(20)
export const hash32 = bytes(32)
export const money = big<Money>(0n, MAX_MONEY)
export const price = big<Price>(0n, 2n ** 53n)
export const energy = big<WattHours>(0n, 2n ** 53n)
/** Block time, or a moment compared with it. */
export const time = integer<Instant>(0, Number.MAX_SAFE_INTEGER)
export const sequence = big(0n, 2n ** 53n)
/** A chain's or line's name. CometBFT allows a chain id 50 bytes. */
export const name = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$/)
/** A meter's serial text: printable ASCII. */
export const meterId = text(/^[\x20-\x7e]{1,64}$/)
/** A raw Ed25519 key, or a compressed P-256 point; its length tells which. */
export const signingKey = bytes(32, 33)

/** Any one envelope inside a transaction. */
export const envelope = bytes(1, 4 * 1024)

/** Written as the place in this list: append, never reorder. rules/roles.ts says what each may do. */
export const ROLE_NAMES = [
  'enroller',
  'regulator',
  'distributor',
  'storage',
  'community',
  'aggregator',
  'validator',
  'issuer',
  'registrar',
  'mint',
] as const

/** Accuracy classes of meters: of EN 50470-1, IEC 62053-22 and IEC 62053-21. Written as the place in this list. */
export const METER_CLASSES = ['A', 'B', 'C', '0.2S', '0.5S', '1', '2'] as const

/** What an enroller may say of a meter, under the keys 5 to 8 of its transaction and of its record. */
export const meterFacts = {
  /** Where the private half of its key lives. */
  trust: [5, word(...KEY_TRUST)],
  source: [6, source],
  /** The feeder node that its line hangs from. */
  feeder: [7, name],
  accuracy: [8, word(...METER_CLASSES)],
} as const

/** An item that another codec reads once its kind is known. */
export const anyItem: Codec<Cbor> = { write: value => value, read: item => ok(item) }
