/** What the history knows and has not written to its index yet, by key. */
import { joinQuarters, joinSessions, type QuarterRecord, type SessionReading } from './history-form.ts'

interface Unwritten {
  readonly quarters: Map<string, QuarterRecord>
  readonly sessions: Map<string, SessionReading[]>
  readonly chains: Set<string>
  readonly others: Map<string, Uint8Array>
}

export const nothing = (): Unwritten => ({
  quarters: new Map(),
  sessions: new Map(),
  chains: new Set(),
  others: new Map(),
})

/** `mine` could not be written: what came meanwhile joins it. */
export function addLater(mine: Unwritten, later: Unwritten): void {
  for (const [key, more] of later.quarters) mine.quarters.set(key, joinQuarters(mine.quarters.get(key), more))
  for (const [key, more] of later.sessions) mine.sessions.set(key, joinSessions(mine.sessions.get(key), more))
  for (const key of later.chains) mine.chains.add(key)
  for (const [key, value] of later.others) mine.others.set(key, value)
}
