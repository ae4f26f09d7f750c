/**
 * When a witness shows another header than the one we verified: is the witness wrong, or were both signed?
 *
 * The witness is followed along the trace by which we came to our header. Where its chain leaves ours, its next block is
 * verified from the last common one by the same rules. If that fails, the witness has shown nothing but its own word and is
 * dropped. If it holds, validators have signed two chains, and no header of either is worth anything any more.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { hashHeader } from '../chain/header.ts'
import type { Header, LightBlock } from '../chain/light-block.ts'
import type { Verifier } from '../crypto/verify.ts'
import type { Instant } from '../time.ts'
import { type BisectFault, type Bisection, type BisectStep, startBisection, takeBlock } from './bisect.ts'
import type { LightOptions } from './predicates.ts'
import type { VerifiedBlock } from './verify.ts'

/**
 * - lunatic: a header whose state no honest execution gives (validators, parameters, application or results differ)
 * - equivocation: two blocks of one height signed in one round
 * - amnesia: signed in different rounds; who forgot a lock cannot be told from the headers alone
 */
export type AttackKind = 'lunatic' | 'equivocation' | 'amnesia'

/** Two blocks of one height that both verify. Which of them stands is not for a light client to say. */
export interface Attack {
  readonly kind: AttackKind
  /** The last block that both chains have. */
  readonly common: VerifiedBlock
  /** Of the trace that was examined, where it was verified from `common` in one step. */
  readonly ours: VerifiedBlock
  /** Of the source that was examined. */
  readonly theirs: VerifiedBlock
}

export type WitnessFault =
  | BisectFault
  | { readonly code: 'light.other-root'; readonly height: bigint; readonly expected: string; readonly received: string }

export type ExamineStep =
  | { readonly kind: 'fetch'; readonly height: bigint; readonly state: Examination }
  | { readonly kind: 'agrees' }
  | { readonly kind: 'witness-refused'; readonly fault: WitnessFault; readonly block: LightBlock }
  /** `witnessTrace` is how the other block was verified, from the common block on. */
  | { readonly kind: 'attack'; readonly attack: Attack; readonly witnessTrace: readonly VerifiedBlock[] }

export type Examination =
  | { readonly phase: 'compare'; readonly trace: readonly VerifiedBlock[]; readonly index: number }
  | {
      readonly phase: 'verify'
      readonly common: VerifiedBlock
      readonly ours: VerifiedBlock
      readonly bisection: Bisection
    }

/** Begin at the ground of our trace, which the witness must share. */
export const startExamination = (trace: readonly VerifiedBlock[]): ExamineStep => compareAt(trace, 0)

const compareAt = (trace: readonly VerifiedBlock[], index: number): ExamineStep => {
  const ours = trace[index]
  return ours === undefined
    ? { kind: 'agrees' }
    : { kind: 'fetch', height: ours.header.height, state: { phase: 'compare', trace, index } }
}

export function examine(
  state: Examination,
  block: LightBlock,
  options: LightOptions,
  now: Instant,
  verifier: Verifier,
): ExamineStep {
  if (state.phase === 'verify')
    return follow(state.common, state.ours, takeBlock(state.bisection, block, options, now, verifier))

  const { trace, index } = state
  const ours = trace[index]!
  const height = ours.header.height
  if (block.header.height !== height) {
    const fault = { code: 'light.wrong-height', expected: height, received: block.header.height } as const
    return { kind: 'witness-refused', fault, block }
  }
  const received = hashHeader(block.header)
  if (equalBytes(received, ours.hash)) return compareAt(trace, index + 1)
  const common = trace[index - 1]
  if (common === undefined) {
    const fault = { code: 'light.other-root', height, expected: toHex(ours.hash), received: toHex(received) } as const
    return { kind: 'witness-refused', fault, block }
  }
  const first = startBisection(common, height)
  // The trace rises, so the bisection asks for this very block first.
  return follow(common, ours, first.kind === 'fetch' ? takeBlock(first.state, block, options, now, verifier) : first)
}

function follow(common: VerifiedBlock, ours: VerifiedBlock, step: BisectStep): ExamineStep {
  if (step.kind === 'fetch')
    return { kind: 'fetch', height: step.height, state: { phase: 'verify', common, ours, bisection: step.state } }
  if (step.kind === 'refused') return { kind: 'witness-refused', fault: step.fault, block: step.block }
  const theirs = step.trace.at(-1)!
  const attack = { kind: attackKind(ours, theirs), common, ours, theirs }
  return { kind: 'attack', attack, witnessTrace: step.trace }
}

/** The fields of a header that follow from the block before it: two honest chains agree on them. */
const DERIVED = ['validatorsHash', 'nextValidatorsHash', 'consensusHash', 'appHash', 'lastResultsHash'] as const

/** Whether one of two headers of a height is of no honest execution; which one, neither says. */
export const isLunatic = (one: Header, other: Header): boolean =>
  DERIVED.some(field => !equalBytes(one[field], other[field]))

const attackKind = (ours: VerifiedBlock, theirs: VerifiedBlock): AttackKind =>
  isLunatic(ours.header, theirs.header)
    ? 'lunatic'
    : ours.block.commit.round === theirs.block.commit.round
      ? 'equivocation'
      : 'amnesia'
