/** How a header is reached from the block where trust begins, for somebody who has neither a node nor what is remembered here. */
import type { Timers } from '../../drivers/ports.ts'
import { equalBytes } from '../../protocol/bytes.ts'
import { instantOf } from '../../protocol/chain/chain-time.ts'
import { FLAG_ABSENT, FLAG_COMMIT } from '../../protocol/chain/commit.ts'
import { hashHeader } from '../../protocol/chain/header.ts'
import type { CommitSig, LightBlock } from '../../protocol/chain/light-block.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { votesOf } from '../../protocol/light/predicates.ts'
import { type Anchor, type VerifiedBlock, verifyAnchor } from '../../protocol/light/verify.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { PATH_RULES } from '../../protocol/trade/deal-records-path.ts'
import { type Bench, climb } from './drive.ts'
import type { Source } from './source.ts'

/** Whoever waits for it is a person at a page, or a command that waits five seconds. */
const WITHIN_MS = 3_000

/**
 * Each block verified from the one before, at its own time. Where no node serves them any more, the last alone: whoever knows
 * its hash needs no other.
 */
export function pathTo(
  bench: Bench,
  timers: Timers,
  sources: readonly Source[],
  trust: Anchor,
  target: LightBlock,
): Promise<readonly LightBlock[]> {
  const { options, verifier } = bench
  const shown = (blocks: readonly LightBlock[]) => blocks.map(one => withoutUnsigned(one, options.chainId, verifier))
  return new Promise((resolve, reject) => {
    const cancel = timers.after(WITHIN_MS, () => resolve(shown([target])))
    walkWith(bench, sources, trust, target)
      .finally(cancel)
      .then(walked => resolve(shown(walked ?? [target])), reject)
  })
}

async function walkWith(
  { options: { chainId }, clock, verifier }: Bench,
  sources: readonly Source[],
  trust: Anchor,
  target: LightBlock,
): Promise<readonly LightBlock[] | undefined> {
  const options = { chainId, ...PATH_RULES }
  /** By the rules of whoever reads it later, with the time of a block as now. */
  const benchAt = ({ header }: LightBlock): Bench => {
    const now = instantOf(header.time)
    return { options, verifier, clock: { ...clock, now: () => now } }
  }
  /** Steps that a trusting period would not reach are halved. */
  async function walk(from: Source, ground: VerifiedBlock, to: LightBlock): Promise<Result<readonly VerifiedBlock[]>> {
    const { end } = await climb(benchAt(to), from, ground, to.header.height)
    if (end.kind === 'done') return ok(end.trace)
    const [low, high] = [ground.header.height, to.header.height]
    if (end.fault.code !== 'light.expired' || high - low < 2n) return fail(end.fault)
    const between = await from.lightBlock((low + high) / 2n)
    if (!between.ok) return between
    const first = await walk(from, ground, between.value)
    if (!first.ok) return first
    const rest = await walk(from, first.value.at(-1)!, to)
    return rest.ok ? ok([...first.value, ...rest.value.slice(1)]) : rest
  }
  const wanted = hashHeader(target.header)
  for (const from of sources) {
    const block = await from.lightBlock(trust.height)
    const ground = block.ok
      ? verifyAnchor(trust, block.value, options, instantOf(block.value.header.time), verifier)
      : block
    const walked = ground.ok ? await walk(from, ground.value, target) : ground
    // A block of another chain, or the block that a path of no steps ends at, is no way to this one.
    if (walked.ok && equalBytes(walked.value.at(-1)!.hash, wanted)) return walked.value.map(({ block: each }) => each)
  }
  return undefined
}

const ABSENT: CommitSig = {
  flag: FLAG_ABSENT,
  validatorAddress: new Uint8Array(0),
  timestamp: undefined,
  signature: new Uint8Array(0),
}

/** A block as it can be shown: with the votes that are for it and were found to be their validators'. */
function withoutUnsigned(block: LightBlock, chainId: string, verifier: Verifier): LightBlock {
  const { commit, validators } = block
  const votes = votesOf(chainId, commit, verifier)
  const signatures = commit.signatures.map((vote, i) =>
    vote.flag === FLAG_COMMIT && validators[i] !== undefined && votes.valid(i, validators[i].publicKey) ? vote : ABSENT,
  )
  return { ...block, commit: { ...commit, signatures } }
}
