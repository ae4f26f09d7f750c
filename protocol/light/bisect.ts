/**
 * Verification over a gap: try the target at once; where too little trusted power has signed it, verify a header half-way
 * first. The machine holds no connection: it says which height it needs and is handed the block.
 *
 *     fetch H  ->  takeBlock  ->  fetch H' | done | refused
 *
 * Each answer at least halves the gap to what is verified or moves the ground ahead, and next to the ground there is no
 * "not enough": a liar can cause at most 63 fetches for each header that he can have signed.
 */
import type { LightBlock } from '../chain/light-block.ts'
import type { Verifier } from '../crypto/verify.ts'
import type { Instant } from '../time.ts'
import { type LightFault, type LightOptions, nextValidatorsOf } from './predicates.ts'
import { type VerifiedBlock, verify } from './verify.ts'

export type BisectFault =
  | LightFault
  | { readonly code: 'light.wrong-height'; readonly expected: bigint; readonly received: bigint }

export type BisectStep =
  | { readonly kind: 'fetch'; readonly height: bigint; readonly state: Bisection }
  /** `trace` runs from the ground to the target, each block verified from the one before. */
  | { readonly kind: 'done'; readonly trace: readonly VerifiedBlock[] }
  | {
      readonly kind: 'refused'
      readonly fault: BisectFault
      readonly block: LightBlock
      readonly ground: VerifiedBlock
    }

export interface Bisection {
  readonly trace: readonly VerifiedBlock[]
  /** Fetched and not yet verified, the target first, heights falling. */
  readonly pending: readonly LightBlock[]
  readonly wanted: bigint
}

export function startBisection(ground: VerifiedBlock, target: bigint): BisectStep {
  if (target <= ground.header.height) return { kind: 'done', trace: [ground] }
  return { kind: 'fetch', height: target, state: { trace: [ground], pending: [], wanted: target } }
}

export function takeBlock(
  state: Bisection,
  block: LightBlock,
  options: LightOptions,
  now: Instant,
  verifier: Verifier,
): BisectStep {
  let trace = state.trace
  let pending = [...state.pending, block]
  let ground = trace.at(-1)!
  if (block.header.height !== state.wanted)
    return {
      kind: 'refused',
      fault: { code: 'light.wrong-height', expected: state.wanted, received: block.header.height },
      block,
      ground,
    }
  // Only the new block has not been tried from this ground; after a success the farthest is tried first.
  let at = pending.length - 1
  while (at < pending.length) {
    const candidate = pending[at]!
    const verdict = verify(ground, candidate, options, now, verifier)
    if (verdict.kind === 'invalid') return { kind: 'refused', fault: verdict.fault, block: candidate, ground }
    if (verdict.kind === 'not-enough') {
      at++
      continue
    }
    ground = verdict.block
    trace = [...trace, ground]
    pending = pending.slice(0, at)
    if (pending.length === 0) return { kind: 'done', trace }
    at = 0
  }
  const low = ground.header.height
  const high = pending.at(-1)!.header.height
  // From a set that is about to change only the next header can be verified.
  const height = nextValidatorsOf(ground.block) === undefined ? low + 1n : (low + high) / 2n
  return { kind: 'fetch', height, state: { trace, pending, wanted: height } }
}
