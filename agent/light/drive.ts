/** Runs the fetching machines of protocol/light with the blocks of one source. */
import type { Clock } from '../../drivers/ports.ts'
import { instantOf } from '../../protocol/chain/chain-time.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { type BisectStep, startBisection, takeBlock } from '../../protocol/light/bisect.ts'
import { type ExamineStep, examine, startExamination } from '../../protocol/light/detect.ts'
import type { LightOptions } from '../../protocol/light/predicates.ts'
import { type VerifiedBlock, verify } from '../../protocol/light/verify.ts'
import type { Fault } from '../../protocol/result.ts'
import type { Source } from './source.ts'

/** By what blocks are judged. */
export interface Bench {
  readonly options: LightOptions
  readonly clock: Clock
  readonly verifier: Verifier
}

interface Silent {
  readonly kind: 'silent'
  readonly fault: Fault
}

export interface Climb {
  /** From the ground on: what was verified, however it ended. */
  readonly verified: readonly VerifiedBlock[]
  readonly end: Exclude<BisectStep, { kind: 'fetch' }> | Silent
}

/** Verifies up to `target`. */
export async function climb(bench: Bench, from: Source, ground: VerifiedBlock, target: bigint): Promise<Climb> {
  let step = startBisection(ground, target)
  let verified: readonly VerifiedBlock[] = [ground]
  while (step.kind === 'fetch') {
    verified = step.state.trace
    const block = await from.lightBlock(step.height)
    if (!block.ok) return { verified, end: { kind: 'silent', fault: block.fault } }
    step = takeBlock(step.state, block.value, bench.options, bench.clock.now(), bench.verifier)
  }
  return { verified: step.kind === 'done' ? step.trace : verified, end: step }
}

/** Follows a source that contradicts what we verified. */
export async function examineSource(
  bench: Bench,
  from: Source,
  trace: readonly VerifiedBlock[],
): Promise<Exclude<ExamineStep, { kind: 'fetch' }> | Silent> {
  let step = startExamination(trace)
  while (step.kind === 'fetch') {
    const block = await from.lightBlock(step.height)
    if (!block.ok) return { kind: 'silent', fault: block.fault }
    step = examine(step.state, block.value, bench.options, bench.clock.now(), bench.verifier)
  }
  return step
}

/**
 * What a refusal is worth. A block that seems to be of the future is judged again at its own time: where that trusts it, two
 * thirds of the validators have signed the time, and our clock is behind by `behindMs`; where it is invalid, its sender lies.
 */
export function judgeRefusal(
  { options, clock, verifier }: Bench,
  { fault, ground, block }: Extract<BisectStep, { kind: 'refused' }>,
): { readonly fault: Fault; readonly behindMs: number | undefined } {
  if (fault.code !== 'light.from-future') return { fault, behindMs: undefined }
  const time = instantOf(block.header.time)
  const verdict = verify(ground, block, options, time, verifier)
  return {
    fault: verdict.kind === 'invalid' ? verdict.fault : fault,
    behindMs: verdict.kind === 'trusted' ? time - clock.now() : undefined,
  }
}
