/**
 * What each meter counted in every quarter of an hour, day and month, and where its readings and the deals' begin and end
 * readings stand in the journal: an index over the journal, followed as readings are signed and written every quarter of
 * an hour, because each write costs a card some kilobytes whatever it holds.
 *
 * The journal is what counts. An index that is not of this journal, says more than it, or cannot be read is begun anew and
 * filled from it; history-form.ts says what is in it.
 */
import type { Cancel, Index, Log, Timers } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import type { Place } from '../../drivers/store/journal-recovery.ts'
import { equalBytes } from '../../protocol/bytes.ts'
import { boundariesOf, type OffsetAt } from '../../protocol/reading/calendar.ts'
import type { Reading } from '../../protocol/reading/reading.ts'
import { bucketsOf, type Placed, quarterOf, spansOf } from '../../protocol/reading/rollup.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Instant } from '../../protocol/time.ts'
import type { SignedReading } from './chain.ts'
import {
  CHAINS,
  type ChainRecord,
  CURSOR_KEY,
  type Cursor,
  chainKey,
  cursorOf,
  type Energy,
  type EnergyAsked,
  type EntriesOf,
  encodeChain,
  encodeCursor,
  encodeQuarter,
  encodeSession,
  type Frames,
  joinQuarters,
  joinSessions,
  meterOf,
  OTHERS_FORM,
  OTHERS_KEY,
  otherKey,
  type QuarterRecord,
  quarterKey,
  quarterNamed,
  readChain,
  readingOf,
  readQuarter,
  readSession,
  type SessionReading,
  sessionKey,
} from './history-form.ts'
import { addLater, nothing } from './history-unwritten.ts'
import { readMeteringRecord } from './journal-form.ts'

export type { EnergyAsked }

export interface HistoryOptions {
  readonly index: Index
  readonly journal: Pick<Journal, 'id' | 'head' | 'visit'>
  readonly timers: Timers
  readonly log: Log
  /** Raises with a fault, clears without. */
  readonly health: (what: string, fault: Fault | undefined) => void
  /** The site's time zone, for its days and months. */
  readonly offsetAt: OffsetAt
  /** What is kept of a record that is no reading, and under which keys: the newest of a key counts. */
  readonly entriesOf?: EntriesOf
  readonly writeEveryMs?: number
}

export interface History {
  /** What is asked for, with readings that were signed until now. */
  energy(asked: EnergyAsked): Promise<Result<Energy>>
  /** Where the readings of a meter between two moments stand; undefined where there are none. */
  frames(meter: string, from: Instant, to: Instant): Promise<Result<Frames | undefined>>
  /** The begin and end readings of a deal. */
  session(contract: Uint8Array): Promise<Result<readonly SessionReading[]>>
  /** What `entriesOf` made of records, by key, those of keys from one to before another; or so many of the last, backwards. */
  entries(from: string, to: string, last?: number): Promise<Result<readonly Uint8Array[]>>
  /** Hears each other record once it is durable. */
  onRecord(kind: string, bytes: Uint8Array, place: Place): void
  /** Hears each signed reading once it is durable, in the order of its chain. */
  onSigned(name: string, signed: SignedReading): void
  /** Writes what is not written yet. */
  stop(): Promise<void>
}

const WRITE_EVERY_MS = 900_000
/** Quarters of an hour in a month and a bit: what one answer holds at most. */
const MAX_BUCKETS = 3200
/** Fastest each period comes round. */
const PERIOD_MS = { quarter: 900_000, day: 82_800_000, month: 2_415_600_000 } as const
/** The greatest distance from a bucket's end at which its reading makes it complete: four readings at the usual pace. */
const TOLERANCE_MS = 60_000
/** How many quarters are read at a time on the way back to the last value. */
const LOOK_BACK = 16

/** Opens the index and brings it to the journal's end: to be called before anything is signed. */
export async function openHistory(options: HistoryOptions): Promise<Result<History>> {
  const { index, journal, timers, log, health, offsetAt, entriesOf, writeEveryMs = WRITE_EVERY_MS } = options
  let chains = new Map<string, ChainRecord>()
  let cursor: Cursor | undefined
  let unwritten = nothing()
  /** Others' records behind the cursor are in the index, or nobody wants them. */
  let withOthers = entriesOf === undefined
  /** Readings that came while the index is built anew; undefined while it is not. */
  let held: (() => void)[] | undefined
  /** Reading and writing the index, one after the other. */
  let turn: Promise<unknown> = Promise.resolve()
  let signedContext: { readonly envelope: Uint8Array; readonly meterId: string } | undefined
  function inTurn<T>(run: () => Promise<T>): Promise<T> {
    const mine = turn.then(run)
    turn = mine.catch(() => {})
    return mine
  }

  // --- In

  /** `frame` is the reading's own, or one that is not behind it. */
  function take(
    name: string,
    meterId: string,
    reading: Reading,
    frames: { readonly from: number; readonly to: number },
  ) {
    const key = chainKey(name, meterId)
    const known = chains.get(key)
    // A repeat: what a restart finds again behind the cursor, or what the journal carries forward.
    if (known !== undefined && reading.sequence <= known.last) return
    const { quarters, pending } = spansOf([reading], known?.pending)
    chains.set(key, { last: reading.sequence, ...(pending === undefined ? {} : { pending }) })
    unwritten.chains.add(key)
    for (const [quarter, span] of quarters) {
      const at = quarterKey(name, quarter, meterId)
      unwritten.quarters.set(at, joinQuarters(unwritten.quarters.get(at), { span, ...frames }))
    }
    if (reading.session === undefined || (reading.reason !== 'begin' && reading.reason !== 'end')) return
    const { sequence, time, reason } = reading
    const at = sessionKey(reading.session.contract)
    const found: SessionReading = { name, meterId, sequence, time, reason, ...frames }
    unwritten.sessions.set(at, joinSessions(unwritten.sessions.get(at), [found]))
  }

  function onSigned(name: string, { context, reading }: SignedReading): void {
    // It is durable, so that its frame is not behind the head; nor before what was written last.
    const frames = { from: cursor?.frame ?? 0, to: Number(journal.head().sequence) }
    if (signedContext?.envelope !== context) {
      const meterId = meterOf(context)
      if (meterId === undefined) return
      signedContext = { envelope: context, meterId }
    }
    const { meterId } = signedContext
    const run = () => take(name, meterId, reading, frames)
    if (held === undefined) run()
    else held.push(run)
  }

  function note(kind: string, bytes: Uint8Array, place: Place): void {
    for (const [key, value] of entriesOf?.(kind, bytes, place) ?? []) unwritten.others.set(otherKey(key), value)
  }

  /** Every record behind the cursor; a fault where the journal cannot be read, or is not the one the index is of. */
  async function catchUp(): Promise<Result<void>> {
    const behind = cursor
    let last = behind
    let strange: Fault | undefined
    const visited = await journal.visit(
      ({ kind, bytes }, { frame, frameHash, carried, segment, at }) => {
        const sequence = Number(frame)
        if (sequence === behind?.frame && !equalBytes(frameHash, behind.hash)) {
          strange ??= { code: 'history.forked', frame: sequence }
        }
        const known = sequence <= (behind?.frame ?? 0)
        if (strange !== undefined || (known && withOthers)) return
        note(kind, bytes, { segment, at })
        if (known) return
        last = { journal: journal.id, frame: sequence, hash: frameHash }
        if (carried || (kind !== 'reading' && kind !== 'gap')) return
        const record = readMeteringRecord(bytes)
        const reading = record === undefined ? undefined : readingOf(record.envelope)
        // A record that makes no sense is metering's to refuse.
        if (record === undefined || reading === undefined) return
        take(record.name, record.meterId, reading, { from: sequence, to: sequence })
      },
      withOthers ? BigInt(behind?.frame ?? 0) : 0n,
    )
    if (!visited.ok) return visited
    if (strange !== undefined) return fail(strange)
    return last === behind && withOthers ? done : write(last)
  }

  // --- Written

  /** All that is not written yet, and the cursor if it moved, at once. */
  async function write(next: Cursor | undefined): Promise<Result<void>> {
    const mine = unwritten
    unwritten = nothing()
    const putBack = (failed: Result<void>): Result<void> => {
      addLater(mine, unwritten)
      unwritten = mine
      return failed
    }
    const entries: [string, Uint8Array][] = [...mine.others]
    // As they stand now: a reading that comes while the index is asked must not be ahead of its quarter.
    for (const key of mine.chains) entries.push([key, encodeChain(chains.get(key)!)])
    for (const [key, quarter] of mine.quarters) {
      const stored = await stand(key, readQuarter)
      if (!stored.ok) return putBack(stored)
      entries.push([key, encodeQuarter(joinQuarters(stored.value, quarter))])
    }
    for (const [key, readings] of mine.sessions) {
      const stored = await stand(key, readSession)
      if (!stored.ok) return putBack(stored)
      entries.push([key, encodeSession(joinSessions(stored.value, readings))])
    }
    const moved = next !== undefined && next.frame > (cursor?.frame ?? 0) ? next : undefined
    if (moved !== undefined) entries.push([CURSOR_KEY, encodeCursor(moved)])
    if (!withOthers) entries.push([OTHERS_KEY, OTHERS_FORM])
    if (entries.length === 0) return done
    const written = await index.write(entries)
    if (!written.ok) return putBack(written)
    cursor = moved ?? cursor
    withOthers = true
    return done
  }

  /** What stands under a key; `history.damaged` where it makes no sense. */
  async function stand<T>(key: string, read: (bytes: Uint8Array) => T | undefined): Promise<Result<T | undefined>> {
    const found = await index.get(key)
    if (!found.ok || found.value === undefined) return found as Result<undefined>
    const value = read(found.value)
    return value === undefined ? fail({ code: 'history.damaged', key }) : ok(value)
  }

  async function load(): Promise<Result<void>> {
    chains = new Map()
    unwritten = nothing()
    cursor = undefined
    withOthers = entriesOf === undefined
    const found = await stand(CURSOR_KEY, cursorOf)
    if (!found.ok) return found
    const kept = await index.range(CHAINS)
    if (!kept.ok) return kept
    if (found.value === undefined)
      return kept.value.length === 0 ? done : fail({ code: 'history.damaged', key: CURSOR_KEY })
    cursor = found.value
    if (!equalBytes(cursor.journal, journal.id)) return fail({ code: 'history.foreign' })
    const others = await index.get(OTHERS_KEY)
    if (!others.ok) return others
    withOthers ||= others.value !== undefined && equalBytes(others.value, OTHERS_FORM)
    const head = Number(journal.head().sequence)
    if (head < cursor.frame) return fail({ code: 'history.ahead', indexed: cursor.frame, journal: head })
    for (const [key, bytes] of kept.value) {
      const chain = readChain(bytes)
      if (chain === undefined) return fail({ code: 'history.damaged', key })
      chains.set(key, chain)
    }
    return done
  }

  /** Begins anew and fills from the journal. */
  async function rebuild(why: Fault): Promise<Result<void>> {
    log('warn', 'history', 'the index is built anew from the journal', why)
    const renewed = await index.renew()
    if (!renewed.ok) return renewed
    const loaded = await load()
    const filled = loaded.ok ? await catchUp() : loaded
    if (filled.ok) await index.settle()
    return filled
  }

  /** An answer from the index, which is built anew once where it is damaged, or not of this journal. */
  function answer<T>(question: () => Promise<Result<T>>): Promise<Result<T>> {
    return inTurn(async () => {
      const first = await question()
      if (first.ok || !isOurs(first.fault)) return first
      held = []
      const rebuilt = await rebuild(first.fault)
      // The journal held those that were signed until its end was reached; the rest come now.
      const waiting = held
      held = undefined
      for (const run of waiting) run()
      return rebuilt.ok ? question() : rebuilt
    })
  }

  async function writeNow(next?: Cursor): Promise<void> {
    const written = await answer(() => write(next))
    health('history', written.ok ? undefined : written.fault)
  }

  // --- Out

  /** Quarters of a meter from one moment to another, both on a quarter, and those before that hold the last value. */
  async function quarters(name: string, from: Instant, to: Instant): Promise<Result<(Placed & QuarterRecord)[]>> {
    const found = new Map<string, QuarterRecord>()
    const add = (entries: readonly (readonly [string, Uint8Array])[]): Result<boolean> => {
      let counted = false
      for (const [key, bytes] of entries) {
        const quarter = readQuarter(bytes)
        if (quarter === undefined) return fail({ code: 'history.damaged', key })
        found.set(key, quarter)
        counted ||= quarter.span.counters.length > 0
      }
      return ok(counted)
    }
    const inside = await index.range({ from: quarterKey(name, from), to: quarterKey(name, to) })
    const added = inside.ok ? add(inside.value) : inside
    if (!added.ok) return added
    for (let until = quarterKey(name, from); ; ) {
      const before = await index.range({ from: quarterKey(name), to: until, reverse: true, limit: LOOK_BACK })
      if (!before.ok) return before
      const counted = add(before.value)
      if (!counted.ok) return counted
      if (counted.value || before.value.length < LOOK_BACK) break
      until = before.value.at(-1)![0]
    }
    for (const [key, quarter] of unwritten.quarters) {
      if (key >= quarterKey(name) && key < quarterKey(name, to)) found.set(key, joinQuarters(found.get(key), quarter))
    }
    return ok([...found].map(([key, quarter]) => ({ ...quarterNamed(key), ...quarter })))
  }

  if (index.lost !== undefined) log('warn', 'history', 'the index could not be opened; it is built anew', index.lost)
  const filled = await answer(async () => {
    const loaded = await load()
    return loaded.ok ? catchUp() : loaded
  })
  if (!filled.ok) return filled
  await index.settle()
  const cancel: Cancel = timers.every(writeEveryMs, () => {
    // Taken here: whoever waited for a frame up to the head has heard of it by the time that a timer runs.
    const { sequence, hash } = journal.head()
    void writeNow({ journal: journal.id, frame: Number(sequence), hash })
  })

  return ok({
    energy: ({ meter, obis, from, to, period }) => {
      if (!(from < to) || (to - from) / PERIOD_MS[period] > MAX_BUCKETS) {
        return Promise.resolve(fail({ code: 'history.range', from, to, limit: MAX_BUCKETS }))
      }
      return answer(async () => {
        const boundaries = boundariesOf(period, from, to, offsetAt)
        const spans = await quarters(meter, boundaries[0]!, boundaries.at(-1)!)
        if (!spans.ok) return spans
        const prefix = chainKey(meter)
        const untimed = [...chains].reduce(
          (sum, [key, { pending }]) => sum + (key.startsWith(prefix) ? (pending?.records ?? 0) : 0),
          0,
        )
        return ok({ buckets: bucketsOf(spans.value, { obis, boundaries, toleranceMs: TOLERANCE_MS }), untimed })
      })
    },

    frames: (meter, from, to) =>
      answer(async () => {
        const [first, last] = [quarterOf(from), quarterOf(to)]
        const found = await quarters(meter, first, (last + PERIOD_MS.quarter) as Instant)
        if (!found.ok) return found
        const inside = found.value.filter(({ quarter }) => quarter >= first)
        if (inside.length === 0) return ok(undefined)
        return ok({
          from: BigInt(Math.min(...inside.map(each => each.from))),
          to: BigInt(Math.max(...inside.map(each => each.to))),
        })
      }),

    session: contract =>
      answer(async () => {
        const key = sessionKey(contract)
        const stored = await stand(key, readSession)
        return stored.ok ? ok(joinSessions(stored.value, unwritten.sessions.get(key))) : stored
      }),

    entries: (from, to, last) =>
      answer(async () => {
        const range = { from: otherKey(from), to: otherKey(to) }
        const stored = await index.range({ ...range, ...(last === undefined ? {} : { reverse: true, limit: last }) })
        if (!stored.ok) return stored
        const found = new Map(stored.value)
        for (const [key, value] of unwritten.others) if (key >= range.from && key < range.to) found.set(key, value)
        const sorted = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value)
        return ok(last === undefined ? sorted : sorted.slice(-last).reverse())
      }),

    onRecord(kind, bytes, place) {
      if (held === undefined) note(kind, bytes, place)
      else held.push(() => note(kind, bytes, place))
    },
    onSigned,

    stop: async () => {
      cancel()
      await writeNow()
      await index.close()
    },
  })
}

/** Whether the index is to blame, and building it anew may help. */
const isOurs = ({ code }: Fault): boolean =>
  code === 'index.damaged' || (code.startsWith('history.') && code !== 'history.range')
