/** Attacks on envelopes from a seed: which of them a verifier takes. */
import { toHex } from '../../../protocol/bytes.ts'
import type { Verifier } from '../../../protocol/crypto/verify.ts'
import { dice, mutants } from '../telegram/mutate.ts'
import type { Kind } from './every-kind.ts'

export interface Outcome {
  readonly tried: number
  /** Those that were taken, as `kind: hex`. */
  readonly taken: readonly string[]
  /** How many came as far as their signature. */
  readonly signatures: number
}

/** Damages envelopes of all kinds, a share of `count` each. What comes out honest after all is not counted. */
export function attack(kinds: readonly Kind[], count: number, seed: number, by: Verifier): Outcome {
  const honest = new Set(kinds.map(({ envelope }) => toHex(envelope)))
  const taken: string[] = []
  let [tried, signatures] = [0, 0]
  const counting: Verifier = {
    verify: (...asked) => {
      signatures++
      return by.verify(...asked)
    },
  }
  for (const [which, { name, envelope, verify }] of kinds.entries()) {
    // Three of four begin as this kind; what is spliced in may be of any.
    const among = [envelope, envelope, envelope, kinds[(which + 1) % kinds.length]!.envelope]
    const damaged = mutants(among, count, seed + which)
    const roll = dice(seed + which)
    let left = Math.ceil(count / kinds.length)
    while (left > 0) {
      // Half of them keep every length, so that many come as far as the signature.
      const bytes = left % 2 === 0 ? inPlace(envelope, roll) : damaged.next().value!
      if (honest.has(toHex(bytes))) continue
      left--
      tried++
      if (verify(bytes, counting).ok) taken.push(`${name}: ${toHex(bytes)}`)
    }
  }
  return { tried, taken, signatures }
}

/** One to four bytes of it are any others. */
function inPlace(envelope: Uint8Array, roll: (below: number) => number): Uint8Array {
  const out = envelope.slice()
  for (let bytes = 1 + roll(4); bytes > 0; bytes--) out[roll(out.length)] = roll(256)
  return out
}
