/**
 * What must never happen on a wire, judged by the wires themselves and by nobody's intentions. Each violation is told once
 * when it begins.
 */
import type { Instant, Mono } from '../../protocol/time.ts'

export type ViolationKind =
  /** A circuit or a line is fed from two grids at once. */
  | 'parallel-supplies'
  /** A contact closed onto a part that was live already. */
  | 'closed-onto-live'
  /** A line carried more than its limit, beyond tolerance, for too long. */
  | 'line-over-limit'
  /** A line is live from somewhere else than its seller. */
  | 'backfeed'

export interface Violation {
  readonly kind: ViolationKind
  /** The circuit, line or contact. */
  readonly place: string
  readonly at: Instant
  readonly detail: string
}

/** Which grids reach each circuit and line now. */
export interface Live {
  readonly circuits: readonly { readonly name: string; readonly sources: readonly string[] }[]
  readonly lines: readonly {
    readonly id: string
    readonly seller: string
    readonly sources: readonly string[]
    readonly currentMa: number
    readonly limitMa: number
  }[]
}

/** Above the limit by a tenth is within a cable's short-term rating and a class 1 meter's error. */
const TOLERANCE_PERMILLE = 100
/** A meter read once a second and 200 ms to open, with margin. */
const OVER_LIMIT_MS = 2000

export interface WireJudge {
  /** A contact closed; `live` tells whether the part that it closed onto was. */
  closed(contact: string, live: boolean, at: Instant): void
  observe(live: Live, at: Instant, mono: Mono): void
}

export function createWireJudge(onViolation: (violation: Violation) => void): WireJudge {
  const standing = new Set<string>()
  const overSince = new Map<string, Mono>()

  function judge(kind: ViolationKind, place: string, violated: boolean, at: Instant, detail: string): void {
    const key = `${kind} ${place}`
    if (!violated) standing.delete(key)
    else if (!standing.has(key)) {
      standing.add(key)
      onViolation({ kind, place, at, detail })
    }
  }

  return {
    closed(contact, live, at) {
      if (live)
        onViolation({ kind: 'closed-onto-live', place: contact, at, detail: 'the part it closed onto was live' })
    },
    observe({ circuits, lines }, at, mono) {
      for (const { name, sources } of circuits) {
        judge('parallel-supplies', name, sources.length > 1, at, `fed by ${sources.join(' and ')}`)
      }
      for (const { id, seller, sources, currentMa, limitMa } of lines) {
        judge('parallel-supplies', id, sources.length > 1, at, `fed by ${sources.join(' and ')}`)
        const stranger = sources.find(source => source !== seller)
        judge('backfeed', id, stranger !== undefined, at, `live from ${stranger}`)
        const over = currentMa * 1000 > limitMa * (1000 + TOLERANCE_PERMILLE)
        if (!over) overSince.delete(id)
        else if (!overSince.has(id)) overSince.set(id, mono)
        const since = overSince.get(id)
        const tooLong = since !== undefined && mono - since > OVER_LIMIT_MS
        judge('line-over-limit', id, tooLong, at, `${currentMa} mA of ${limitMa} mA`)
      }
    },
  }
}
