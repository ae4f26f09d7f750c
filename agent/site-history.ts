/** A site's history: the index of its journal, opened where the world keeps it. */
import type { Journal } from '../drivers/store/journal.ts'
import type { Result } from '../protocol/result.ts'
import { decodeDeal } from '../protocol/trade/deal-codec.ts'
import { billedEntry } from './bill/billed-deal.ts'
import type { SiteConfig } from './config/site-config.ts'
import type { Health } from './health.ts'
import { DEAL } from './keeping.ts'
import { type History, openHistory } from './metering/history.ts'
import type { EntriesOf } from './metering/history-form.ts'
import { placedEntries } from './trading/past-deals.ts'
import type { World } from './world.ts'

/** What the meters counted, from an index over the journal: worth having, and no reason not to start. */
export async function openSiteHistory(
  config: SiteConfig,
  { openIndex, timers, log, offsetAt }: World,
  journal: Journal,
  health: Health,
): Promise<History | undefined> {
  const index = await openIndex(`${config.data}/index`)
  const opened = index.ok
    ? await openHistory({
        index: index.value,
        ...{ journal, timers, log, offsetAt },
        health: health.set,
        entriesOf: entriesOfDeals,
      })
    : index
  if (opened.ok) return opened.value
  health.set('history', opened.fault)
  if (index.ok) await index.value.close()
  return undefined
}

/** What the bill asks for, and where deals are found again. */
export const entriesOfDeals: EntriesOf = (kind, bytes, place) => {
  const deal = kind === DEAL ? decodeDeal(bytes) : undefined
  return deal?.ok === true ? [billedEntry(deal.value), ...placedEntries(deal.value, place)] : []
}

/** Keeps a deal in the journal; the history hears of it once it is durable. */
export const dealRecorder =
  (journal: Journal, history: History | undefined) =>
  async (bytes: Uint8Array): Promise<Result<unknown>> => {
    const kept = await journal.append(DEAL, bytes, { urgent: true })
    if (kept.ok) history?.onRecord(DEAL, bytes, kept.value)
    return kept
  }
