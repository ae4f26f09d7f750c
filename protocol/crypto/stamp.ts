/**
 * The nonce of a sealed message as a stamp: it shows for two hashes, before anything is opened, that the pair's other end made
 * it, and which of its transmissions it belongs to. Whoever has not the pair's key can neither make one nor read one.
 *
 *     8 bytes     random
 *     16 bytes    XORed with SHA-256(key || 0 || random):
 *         4       epoch, the sender's boot count
 *         5       number of the transmission in it and towards this recipient, from 1: a repeat has a number of its own
 *         7       SHA-256(key || 1 || epoch || number || random)
 *
 * Each hash is of one length and one block, so that a key in front makes it a pseudorandom function; an HMAC would take ten
 * times as long. Seven bytes: at 20,000 guesses a second one is right in 114,000 years.
 *
 * No nonce comes twice as long as no boot count does. Where one was lost, a number that comes again has the same nonce with a
 * chance of 2^-64: 2^-36 for a year of ten messages a second.
 *
 * A stamp is about cost alone. It says nothing of what the message holds, which the AEAD and the signature judge, nor whether that
 * is new, which protocol/trade/replay.ts does.
 */
import { sha256 } from './hash.ts'

const RANDOM_BYTES = 8
const PLAIN_BYTES = 9
const STAMP_BYTES = 16
const KEY_BYTES = 32
/** Of the record formats: a boot is below 2^32. */
const EPOCHS = 2 ** 32
/** At ten a second 3,400 years. */
const NUMBERS = 2 ** 40

export const STAMP_RANDOM_BYTES = RANDOM_BYTES
export const NONCE_BYTES = RANDOM_BYTES + STAMP_BYTES

export interface Stamp {
  readonly epoch: number
  readonly number: number
}

/** `random` is 8 fresh random bytes. */
export function stampNonce(key: Uint8Array, { epoch, number }: Stamp, random: Uint8Array): Uint8Array {
  if (epoch >= EPOCHS || number >= NUMBERS) throw new RangeError(`no stamp for transmission ${number} of boot ${epoch}`)
  const nonce = new Uint8Array(NONCE_BYTES)
  nonce.set(random)
  const view = new DataView(nonce.buffer)
  view.setUint32(RANDOM_BYTES, epoch)
  view.setUint8(RANDOM_BYTES + 4, Math.floor(number / 2 ** 32))
  view.setUint32(RANDOM_BYTES + 5, number >>> 0)
  const plain = nonce.subarray(RANDOM_BYTES, RANDOM_BYTES + PLAIN_BYTES)
  nonce.set(proofOf(key, plain, random).subarray(0, STAMP_BYTES - PLAIN_BYTES), RANDOM_BYTES + PLAIN_BYTES)
  const mask = maskOf(key, random)
  for (let i = 0; i < STAMP_BYTES; i++) nonce[RANDOM_BYTES + i]! ^= mask[i]!
  return nonce
}

/** What the nonce is a stamp of, or undefined where this key made none. */
export function readStamp(key: Uint8Array, nonce: Uint8Array): Stamp | undefined {
  const random = nonce.subarray(0, RANDOM_BYTES)
  const stamp = maskOf(key, random)
  for (let i = 0; i < STAMP_BYTES; i++) stamp[i]! ^= nonce[RANDOM_BYTES + i]!
  const proof = proofOf(key, stamp.subarray(0, PLAIN_BYTES), random)
  let wrong = 0
  for (let i = PLAIN_BYTES; i < STAMP_BYTES; i++) wrong |= stamp[i]! ^ proof[i - PLAIN_BYTES]!
  if (wrong !== 0) return undefined
  const view = new DataView(stamp.buffer)
  return { epoch: view.getUint32(0), number: view.getUint8(4) * 2 ** 32 + view.getUint32(5) }
}

function maskOf(key: Uint8Array, random: Uint8Array): Uint8Array {
  const input = new Uint8Array(KEY_BYTES + 1 + RANDOM_BYTES)
  input.set(key)
  input.set(random, KEY_BYTES + 1)
  return sha256(input)
}

function proofOf(key: Uint8Array, plain: Uint8Array, random: Uint8Array): Uint8Array {
  const input = new Uint8Array(KEY_BYTES + 1 + PLAIN_BYTES + RANDOM_BYTES)
  input.set(key)
  input[KEY_BYTES] = 1
  input.set(plain, KEY_BYTES + 1)
  input.set(random, KEY_BYTES + 1 + PLAIN_BYTES)
  return sha256(input)
}
