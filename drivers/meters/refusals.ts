/**
 * What one meter was seen to refuse: product variants lack registers of their family, and some makers forbid a request to run
 * over a hole, or cap its length below what their page says. Each is learned once, from exceptions 2 and 3, so that the
 * registers that are there keep their rate.
 */
import { later, type Mono } from '../../protocol/time.ts'
import type { Clock } from '../ports.ts'
import type { Channel, Span } from './page.ts'
import { holesIn } from './plan.ts'

/** A device that still starts refuses what it has later; one request in ten minutes costs nothing. */
const MISSING_MS = 600_000

export interface Refusals {
  /** Spans that no request may touch. */
  forbidden(): readonly Span[]
  /** Spans that no request may cover whole. */
  refused(): readonly Span[]
  isMissing(channel: Channel): boolean
  /** The register was refused alone; answers whether that is news. */
  lacks(channel: Channel, span: Span): boolean
  /** Not one register was read: what refuses all that it is asked for still starts, or is another meter by now. */
  forget(): void
  /** The island was refused though each of `spans` in it was read alone. */
  dislikes(island: Span, spans: readonly Span[]): void
}

export function createRefusals(clock: Clock, holes: readonly Span[]): Refusals {
  let forbidden = holes
  let refused: readonly Span[] = []
  const missing = new Map<Channel, { readonly span: Span; readonly until: Mono }>()
  const isMissing = (channel: Channel): boolean => (missing.get(channel)?.until ?? 0) > clock.mono()
  return {
    forbidden: () => [
      ...forbidden,
      ...[...missing].flatMap(([channel, { span }]) => (isMissing(channel) ? [span] : [])),
    ],
    refused: () => refused,
    isMissing,
    lacks: (channel, span) => {
      const news = !missing.has(channel)
      missing.set(channel, { span, until: later(clock.mono(), MISSING_MS) })
      return news
    },
    forget: () => {
      for (const [channel, { span }] of missing) missing.set(channel, { span, until: clock.mono() })
    },
    dislikes: (island, spans) => {
      const between = holesIn(island, spans)
      forbidden = [...forbidden, ...between]
      if (between.length === 0) refused = [...refused, island]
    },
  }
}
