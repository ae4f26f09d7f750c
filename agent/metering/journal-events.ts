/**
 * Makes signed events of what the journal did or found: torn tails cut off, segments sealed and dropped, times in which
 * nothing could be written. The journal's own record of each stays in force until its event is on the disk, so that a crash
 * or a token that was pulled out delays an event and never loses or doubles one. An outage that a crash ends has no event:
 * nothing could be written of it.
 */
import type { Log, Timers } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import { type Note, readNote } from '../../drivers/store/journal-own.ts'
import { parseSign1 } from '../../protocol/crypto/cose.ts'
import { parseEvent, type What } from '../../protocol/reading/event.ts'
import type { EventChain } from './events.ts'

/** Between two attempts where an event could not be signed or written. */
const RETRY_MS = 60_000

/** What the journal's record of a note is in force under. */
export function noteName(note: Note): string {
  return note.kind === 'cut' ? `note/cut/${note.segment}/${note.offset}` : `note/${note.kind}/${note.segment}`
}

/** The notes that an event's envelope says, and that are settled by it. */
export function notesSaidBy(envelope: Uint8Array): readonly string[] {
  const signed = parseSign1(envelope)
  const event = signed.ok ? parseEvent(signed.value.payload) : signed
  if (!event.ok) return []
  const { what } = event.value
  switch (what.kind) {
    case 'torn-tail':
      return [`note/cut/${what.segment}/${what.offset}`]
    case 'sealed':
    case 'dropped':
      return [`note/${what.kind}/${what.segment}`]
    default:
      return []
  }
}

function whatOf(note: Note): What {
  if (note.kind !== 'cut') return { ...note, sequence: Number(note.sequence) }
  const { segment, offset, bytes } = note
  return { kind: 'torn-tail', segment, offset, bytes }
}

export interface JournalEventsParts {
  readonly journal: Pick<Journal, 'kept' | 'onNote' | 'onOutage'>
  readonly events: EventChain
  readonly timers: Timers
  readonly log: Log
}

/** Signs what is left from before, then everything as it comes; gives a way to stop. */
export function signJournalEvents({ journal, events, timers, log }: JournalEventsParts): () => void {
  const waiting: What[] = journal.kept().flatMap(record => {
    const note = readNote(record)
    return note === undefined ? [] : [whatOf(note)]
  })
  let busy = false
  let stopped = false
  let cancel = () => {}

  async function signAll(): Promise<void> {
    if (busy || stopped) return
    busy = true
    cancel()
    while (waiting.length > 0 && !stopped) {
      const signed = await events.sign(waiting[0]!)
      if (!signed.ok) {
        log('warn', 'metering', `an event waits to be signed: ${waiting[0]!.kind}`, signed.fault)
        cancel = timers.after(RETRY_MS, () => void signAll())
        break
      }
      waiting.shift()
    }
    busy = false
  }

  function say(what: What): void {
    waiting.push(what)
    void signAll()
  }

  journal.onNote(note => say(whatOf(note)))
  journal.onOutage(({ from, to }) => say({ kind: 'not-recorded', from, to }))
  void signAll()
  return () => {
    stopped = true
    cancel()
  }
}
