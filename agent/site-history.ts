/** A site's history: the index of its journal, opened where the world keeps it. */
import type { Journal } from '../drivers/store/journal.ts'
import type { Result } from '../protocol/result.ts'
import { billedEntry } from './bill/billed-deal.ts'
import type { SiteConfig } from './config/site-config.ts'
import type { Health } from './health.ts'
import { DEAL } from './keeping.ts'
import { type History, openHistory } from './metering/history.ts'
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
        entryOf: billedEntry,
      })
    : index
  if (opened.ok) return opened.value
  health.set('history', opened.fault)
  if (index.ok) await index.value.close()
  return undefined
}

/** Keeps a deal in the journal; the history hears of it once it is durable. */
export const dealRecorder =
  (journal: Journal, history: History | undefined) =>
  async (bytes: Uint8Array): Promise<Result<unknown>> => {
    const kept = await journal.append(DEAL, bytes, { urgent: true })
    if (kept.ok) history?.onRecord(DEAL, bytes)
    return kept
  }
