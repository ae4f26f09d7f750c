/**
 * The deals of a site as its journal has them: those that were over before the agent was started, and those that it carries no
 * longer. Where the newest record of each stands is in the index of the journal (agent/metering/history.ts); the record itself is
 * read from there when somebody asks, one frame a deal, so that a start costs nothing and an answer as much as it shows.
 */
import type { Journal } from '../../drivers/store/journal.ts'
import type { JournalRecord } from '../../drivers/store/journal-block.ts'
import type { Place } from '../../drivers/store/journal-recovery.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { bytes, decodeAs, encodeAs, integer, type RecordOf, record } from '../../protocol/record.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import { decodeDeal } from '../../protocol/trade/deal-codec.ts'
import type { Deal } from '../../protocol/trade/deal-state.ts'
import { DEAL } from '../keeping.ts'
import type { History } from '../metering/history.ts'

const COUNT = integer(0, Number.MAX_SAFE_INTEGER)
const TIME = integer<Instant>(0, 253_402_300_799_999)

const PLACED = {
  hash: [1, bytes(32)],
  /** Of its window. */
  start: [2, TIME],
  end: [3, TIME],
  segment: [4, COUNT],
  at: [5, COUNT],
} as const
const placedCodec = record(PLACED)
type Placed = RecordOf<typeof PLACED>

/** Keys rise with the begin of the window: milliseconds in twelve hexadecimal digits. */
const startedFrom = (at: Instant): string => `at.${at.toString(16).padStart(12, '0')}`

/** For the index of the journal: where a deal's newest record stands, by the begin of its window and by its id. */
export function placedEntries({ hash, contract }: Deal, place: Place): readonly (readonly [string, Uint8Array])[] {
  const { start, end } = contract
  const value = encodeAs(placedCodec, { hash, start, end, segment: place.segment, at: place.at })
  const id = toHex(hash)
  return [
    [`${startedFrom(start)}.${id}`, value],
    [`id.${id}`, value],
  ]
}

export interface PastDeal {
  readonly hash: Uint8Array
  readonly start: Instant
  readonly end: Instant
  /** Undefined where the journal's time or size of keeping was over for it. */
  readonly deal: Deal | undefined
}

export interface PastAsked {
  /** Whose windows began then or later. */
  readonly since?: Instant
  /** Whose windows began earlier. */
  readonly before?: Instant
  readonly limit: number
  /** Those that are not meant. */
  except(hash: Uint8Array): boolean
}

export interface PastFound {
  /** Newest first, by the begin of their windows. */
  readonly deals: readonly PastDeal[]
  /** There are older ones. */
  readonly more: boolean
}

export interface PastDeals {
  /** `journal.*` and `history.*` where they cannot be read. */
  newest(asked: PastAsked): Promise<Result<PastFound>>
  /** Of those whose ids begin so; where more begin so than anybody means, of the first of them. */
  named(id: string, asked: PastAsked): Promise<Result<PastFound>>
}

/** Entries that are looked through at a time for those that are meant. */
const AT_ONCE = 64
/** Two digits of an id leave one of 256 deals: as many as a year has are told apart by four. */
const NAMED = 1000

/** `history` is undefined where its index could not be opened. */
export function createPastDeals(
  history: Pick<History, 'entries'> | undefined,
  journal: Pick<Journal, 'recordsAt'>,
): PastDeals {
  async function placed(from: string, to: string, last: number): Promise<Result<readonly Placed[]>> {
    if (history === undefined) return fail({ code: 'history.none', hint: 'its index could not be opened; see the log' })
    const found = await history.entries(from, to, last)
    if (!found.ok) return found
    const read = found.value.map(value => decodeAs(placedCodec, value, 'placed-deal', 128))
    const wrong = read.find(each => !each.ok)
    return wrong?.ok === false ? wrong : ok(read.flatMap(each => (each.ok ? [each.value] : [])))
  }

  async function readAll(all: readonly Placed[], limit: number): Promise<Result<PastFound>> {
    const deals: PastDeal[] = []
    for (const { hash, start, end, ...place } of all.slice(0, limit)) {
      const records = await journal.recordsAt(place)
      if (!records.ok) return records
      const deal = records.value === undefined ? undefined : newestIn(records.value, hash)
      if (records.value !== undefined && deal === undefined)
        return fail({ code: 'history.misplaced', deal: toHex(hash), ...place })
      deals.push({ hash, start, end, deal })
    }
    return ok({ deals, more: all.length > limit })
  }

  return {
    async newest({ since, before, limit, except }) {
      const from = startedFrom(since ?? instant(0))
      let to = before === undefined ? 'at/' : startedFrom(before)
      const found: Placed[] = []
      for (let more = true; more && found.length <= limit; ) {
        const entries = await placed(from, to, AT_ONCE)
        if (!entries.ok) return entries
        found.push(...entries.value.filter(({ hash }) => !except(hash)))
        const oldest = entries.value.at(-1)
        more = entries.value.length === AT_ONCE
        if (oldest !== undefined) to = `${startedFrom(oldest.start)}.${toHex(oldest.hash)}`
      }
      return readAll(found, limit)
    },

    async named(id, { since, before, limit, except }) {
      const entries = await placed(`id.${id}`, `id.${id}g`, NAMED)
      if (!entries.ok) return entries
      const found = entries.value.filter(
        ({ hash, start }) => !except(hash) && start >= (since ?? start) && (before === undefined || start < before),
      )
      return readAll(
        found.sort((a, b) => b.start - a.start),
        limit,
      )
    },
  }
}

/** Of those that were committed together, the last of this deal. */
function newestIn(records: readonly JournalRecord[], hash: Uint8Array): Deal | undefined {
  for (const { kind, bytes } of records.toReversed()) {
    const deal = kind === DEAL ? decodeDeal(bytes) : undefined
    if (deal?.ok === true && equalBytes(deal.value.hash, hash)) return deal.value
  }
  return undefined
}
