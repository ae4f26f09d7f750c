/** What the other sources say of the blocks that were verified since somebody last confirmed one. */
import { equalBytes } from '../../protocol/bytes.ts'
import { instantOf, nanosOf } from '../../protocol/chain/chain-time.ts'
import { hashHeader } from '../../protocol/chain/header.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import type { Attack } from '../../protocol/light/detect.ts'
import type { VerifiedBlock } from '../../protocol/light/verify.ts'
import type { Fault } from '../../protocol/result.ts'
import { type Bench, climb } from './drive.ts'
import type { Source } from './source.ts'

export interface Conference {
  /** From the last confirmed block to the newest. */
  readonly trace: readonly VerifiedBlock[]
  /** Whether a witness has confirmed what it begins with. */
  readonly begun: boolean
  readonly asked: readonly Source[]
  readonly chainId: string
  /** A block this much older than the newest is no ground for a payment, even if confirmed. */
  readonly ageMs: number
  /** Whether a source that is behind has been waited for long enough, and is merely late. */
  passOver(source: Source): Promise<boolean>
  /** Asks a source that contradicts the newest of these blocks why. */
  examine(source: Source, trace: readonly VerifiedBlock[]): Promise<'agrees' | 'refused' | 'open'>
}

export interface Heard {
  /** The trace from the newest block on that one other source confirms and none contradicts, or may yet contradict. */
  readonly confirmed: readonly VerifiedBlock[] | undefined
  /** Who has not come that far. */
  readonly behind: readonly Source[]
  /** Whether somebody is waited for. */
  readonly waiting: boolean
}

/**
 * Who is behind may yet contradict, so he is waited for, and what he has come to is confirmed meanwhile. Else validators who
 * sign a block far above all others, and one node beside the primary, would have it believed while an honest witness is
 * still on its way there.
 */
export async function confer(conference: Conference): Promise<Heard> {
  const { trace, begun, asked, chainId, ageMs, passOver, examine } = conference
  const newest = trace.at(-1)!
  const ask = ({ header: { height } }: VerifiedBlock) =>
    Promise.all(
      asked.map(async source => {
        const answer = await source.headerAt(height, chainId)
        if (answer === 'silent') source.said = { what: 'silent', height }
        else if ('behindAt' in answer) source.said = { what: 'behind', height: answer.behindAt }
        return answer
      }),
    )
  const first = await ask(newest)
  const slow = asked.flatMap((source, i) => {
    const answer = first[i]!
    return answer !== 'silent' && 'behindAt' in answer ? [{ source, height: answer.behindAt }] : []
  })
  const waited: typeof slow = []
  for (const one of slow) if (!(await passOver(one.source))) waited.push(one)
  const waiting = waited.length > 0
  const place = trace.findLastIndex(({ header }) => waited.every(({ height }) => header.height <= height))
  const at = trace[place]
  const known = place === 0 && trace.length > 1 && begun
  if (at === undefined || known || instantOf(newest.header.time) - instantOf(at.header.time) > ageMs)
    return { confirmed: undefined, behind: slow.map(({ source }) => source), waiting }
  const behind = slow.filter(({ height }) => height < at.header.height).map(({ source }) => source)
  const answers = at === newest ? first : await ask(at)
  let agreed = 0
  let open = 0
  for (const [i, source] of asked.entries()) {
    const answer = answers[i]!
    if (answer === 'silent' || 'behindAt' in answer) continue
    const same = equalBytes(hashHeader(answer), at.hash)
    const verdict = same ? 'agrees' : await examine(source, trace.slice(0, place + 1))
    source.said = { what: verdict === 'open' ? 'contradicts' : verdict, height: at.header.height }
    if (verdict === 'agrees') agreed++
    if (verdict === 'open') open++
  }
  return { confirmed: agreed > 0 && open === 0 ? trace.slice(place) : undefined, behind, waiting }
}

export type Lateness =
  | { readonly kind: 'late' }
  | { readonly kind: 'refused'; readonly fault: Fault; readonly block: LightBlock }
  | { readonly kind: 'attack'; readonly attack: Attack; readonly witnessTrace: readonly VerifiedBlock[] }

/**
 * Whether a source that stays behind is merely late. Time rises with height, so a chain whose newest block is lower than one
 * of ours and yet of a later time is another chain (a forward lunatic attack, CometBFT light/detector.go).
 */
export async function examineLate(
  bench: Bench,
  source: Source,
  trace: readonly VerifiedBlock[],
  chainId: string,
): Promise<Lateness> {
  const status = await source.status()
  if (!status.ok || status.value.chainId !== chainId) return { kind: 'late' }
  const newest = await source.lightBlock(status.value.height)
  if (!newest.ok) return { kind: 'late' }
  const { header } = newest.value
  const above = trace.findIndex(one => one.header.height > header.height)
  const [common, ours] = [trace[above - 1], trace[above]]
  if (common === undefined || ours === undefined || nanosOf(header.time) < nanosOf(ours.header.time))
    return { kind: 'late' }
  const { verified, end } = await climb(bench, source, common, header.height)
  if (end.kind === 'refused') return { kind: 'refused', fault: end.fault, block: end.block }
  if (end.kind === 'silent') return { kind: 'late' }
  const attack = { kind: 'lunatic', common, ours, theirs: verified.at(-1)! } as const
  return { kind: 'attack', attack, witnessTrace: verified }
}
