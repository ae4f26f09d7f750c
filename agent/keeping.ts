/** Which records of the journal a restart needs: these are carried forward when the oldest are dropped. */
import type { JournalRecord } from '../drivers/store/journal-block.ts'
import { readNote } from '../drivers/store/journal-own.ts'
import type { Keep } from '../drivers/store/journal-state.ts'
import { toHex } from '../protocol/bytes.ts'
import { sha256 } from '../protocol/crypto/hash.ts'
import { SESSION_KIND } from './charging/session-form.ts'
import { EVENT_KIND } from './metering/events.ts'
import { keepPeerHead, PEER_HEAD } from './metering/heads.ts'
import { noteName, notesSaidBy } from './metering/journal-events.ts'
import { keepMetering } from './metering/journal-form.ts'
import { keepOcmf, OCMF_KIND } from './metering/ocmf.ts'
import { RESTORED } from './restored.ts'
import { keepDeal } from './trading/kept-deal.ts'

/** Boots so far, this one included, as decimal text. */
export const BOOT = 'boot'
export const DEAL = 'deal'
export const INTENT = 'intent'
/** Before the name of the part that wrote it (parts.ts): of each part the newest. */
export const PART = 'part/'
/** Which messages of each peer were seen: a replayed one has no effect, not even after a restart. */
export const HEARD = 'heard'

/** Statements about keys, rotation.ts says which: all of them, because a dispute is about any. */
export const KEY_KIND = 'key'

export function keepForRestart(record: JournalRecord): Keep | undefined {
  const { kind, bytes } = record
  if (kind === BOOT || kind === RESTORED || kind === HEARD || kind.startsWith(PART) || kind.startsWith(SESSION_KIND))
    return { as: kind }
  if (kind === KEY_KIND) return { as: `key/${toHex(sha256(bytes))}` }
  if (kind === DEAL) return keepDeal(bytes)
  if (kind === OCMF_KIND) return keepOcmf(record)
  if (kind === EVENT_KIND) return { as: kind, over: notesSaidBy(bytes) }
  if (kind === PEER_HEAD) return keepPeerHead(record)
  const note = readNote(record)
  return note === undefined ? keepMetering(record) : { as: noteName(note) }
}
