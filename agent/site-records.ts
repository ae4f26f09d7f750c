/** Part of the composition root: what a site gives out as OCMF, and the charging sessions that it keeps. */
import type { Journal } from '../drivers/store/journal.ts'
import type { JournalRecord } from '../drivers/store/journal-block.ts'
import { fail, ok, type Result } from '../protocol/result.ts'
import { createSessions, type Sessions } from './charging/sessions.ts'
import type { SiteConfig } from './config/site-config.ts'
import type { Health } from './health.ts'
import type { SiteKeys } from './keys.ts'
import { createOcmfBook, recordDays, recordDeals } from './metering/ocmf.ts'
import type { Metering } from './metering/run.ts'
import type { World } from './world.ts'

/** Make of the gateway, as OCMF records name it. */
const GATEWAY = 'Tieline'

export interface SiteRecords {
  /** Undefined where no charger has a meter. */
  readonly sessions: Sessions | undefined
  /** Takes its own kinds of record out of what the journal holds; before `start`. */
  restore(record: JournalRecord): void
  /** Before metering starts: no reading of a deal or a day is missed. */
  start(): void
  stop(): Promise<void>
}

export function openSiteRecords(
  { charging }: SiteConfig,
  { entropy, clock, timers }: Pick<World, 'entropy' | 'clock' | 'timers'>,
  {
    keys: { ocmf: signer },
    metering,
    journal,
    health,
  }: {
    readonly keys: SiteKeys
    readonly metering: Metering
    readonly journal: Journal
    readonly health: Health['set']
  },
): Result<SiteRecords> {
  const counted = Object.entries(charging?.chargers ?? {}).find(([, { counts }]) => counts !== undefined)
  if (signer === undefined) {
    if (counted !== undefined) return fail({ code: 'session.no-key', charger: counted[0], hint: 'name keys.ocmf' })
    return ok({ sessions: undefined, restore: () => {}, start: () => {}, stop: async () => {} })
  }
  const book = createOcmfBook({ signer, journal, station: { gateway: GATEWAY } })
  const around = { metering, book, journal, entropy, clock, timers, health }
  const sessions = counted && createSessions(around)
  return ok({
    sessions,
    restore(record) {
      book.restore(record)
      sessions?.restore(record)
    },
    start() {
      recordDeals(metering, book, health, sessions?.owns)
      recordDays(metering, book, health)
    },
    async stop() {
      sessions?.stop()
      await book.idle()
    },
  })
}
