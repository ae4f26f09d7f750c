/**
 * Who gets how many certificates: one a meter, slot and side, so that nobody has two voices in one book or hoards voices of
 * many. The registrar knows the meters that asked, and nothing of what became of their certificates.
 */
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import type { CertifiedSide } from './certificate.ts'

/** Slots ahead that certificates are given for: a day of quarter hours, as far as anybody trades ahead. */
const SLOTS_AHEAD = 96
/** Certificates a meter gets in a day: two sides of 96 slots, and as many again for slots of another length. */
const MOST_A_DAY = 384
const DAY_MS = 86_400_000

export interface CertificateRequest {
  readonly meterId: string
  readonly slot: Instant
  readonly side: CertifiedSide
}

/** What the registry says of a meter when it asks. */
export interface MeterStanding {
  readonly enrolled: boolean
  readonly revoked: boolean
  /** Slots from here to there are not certified. */
  readonly suspended?: { readonly from: number; readonly until: number }
}

export type QuotaFault =
  | { readonly code: 'quota.meter'; readonly meterId: string; readonly reason: 'unknown' | 'revoked' | 'suspended' }
  | { readonly code: 'quota.slot'; readonly slot: number; readonly first: number; readonly last: number }
  | { readonly code: 'quota.given'; readonly slot: number; readonly side: CertifiedSide }
  | { readonly code: 'quota.day'; readonly given: number; readonly most: number }

export interface Quota {
  /** Counts the request where it is granted; a refused one leaves nothing behind. */
  take(request: CertificateRequest, standing: MeterStanding, now: Instant): Result<CertificateRequest, QuotaFault>
  /** Certificates given for a slot and side: the size of the crowd in which each of them hides. */
  given(slot: Instant, side: CertifiedSide): number
  /** Forgets slots that are over. */
  forget(before: Instant): void
}

export function createQuota(slotMs: number): Quota {
  /** Meters by slot and side. */
  const given = new Map<string, Set<string>>()
  const days = new Map<string, { day: number; count: number }>()
  const key = (slot: number, side: CertifiedSide) => `${slot} ${side}`
  return {
    take(request, standing, now) {
      const { meterId, slot, side } = request
      const refuse = (reason: 'unknown' | 'revoked' | 'suspended') =>
        fail({ code: 'quota.meter', meterId, reason } as const)
      if (!standing.enrolled) return refuse('unknown')
      if (standing.revoked) return refuse('revoked')
      const { suspended } = standing
      if (suspended !== undefined && suspended.from <= slot && slot < suspended.until) return refuse('suspended')
      const first = Math.floor(now / slotMs) * slotMs + slotMs
      const last = first + (SLOTS_AHEAD - 1) * slotMs
      if (slot % slotMs !== 0 || slot < first || slot > last) return fail({ code: 'quota.slot', slot, first, last })
      const meters = given.get(key(slot, side)) ?? new Set<string>()
      if (meters.has(meterId)) return fail({ code: 'quota.given', slot, side })
      const day = Math.floor(now / DAY_MS)
      const known = days.get(meterId)
      const today = known?.day === day ? known.count : 0
      if (today >= MOST_A_DAY) return fail({ code: 'quota.day', given: today, most: MOST_A_DAY })
      given.set(key(slot, side), meters.add(meterId))
      days.set(meterId, { day, count: today + 1 })
      return ok(request)
    },
    given: (slot, side) => given.get(key(slot, side))?.size ?? 0,
    forget(before) {
      for (const each of given.keys()) if (Number(each.split(' ')[0]) < before) given.delete(each)
    },
  }
}
