/**
 * Every signed reading to the brokers, in the order of the journal, however long they were away:
 *
 *     tieline/<device>/history   {"time": ..., "quality": ..., "meter": "grid", "serial": ..., "sequence": 17, "reason": "periodic",
 *                                 "registers": {"energy_import": 4426.218}}
 *
 * The time is the reading's own, the registers are the meter's own; `serial` and `sequence` name the signed reading in the
 * journal, and tell a repeated row from a new one. One row is on its way at a time. What is signed while no broker takes it is
 * read out of the journal afterwards, a bounded number of rows at a time and at a bounded pace. Where it stands is kept in a
 * file: after a loss of power the rows of the last minute come again, and without the file it begins with the present.
 */
import type { Bus, Cancel, Clock, Log, Timers } from '../../drivers/ports.ts'
import type { Cache } from '../../drivers/store/cache.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import { toHex, utf8 } from '../../protocol/bytes.ts'
import type { Reading } from '../../protocol/reading/reading.ts'
import { isoTime } from '../../protocol/time.ts'
import { meterOf, readingOf } from '../metering/history-form.ts'
import { readMeteringRecord } from '../metering/journal-form.ts'
import type { Metering } from '../metering/run.ts'
import type { Waiting } from './counts.ts'
import { decimalOf, exactNumber, registerName } from './registers.ts'

/** How far the journal was told. */
export interface Position {
  readonly journal: string
  /** Readings before this frame were told, and of each meter those up to this sequence. */
  readonly frame: number
  readonly told: Readonly<Record<string, number>>
}

export interface ReplayOptions {
  readonly topic: string
  readonly bus: Pick<Bus, 'publish'>
  readonly journal: Pick<Journal, 'id' | 'head' | 'visit'>
  readonly metering: Pick<Metering, 'onSigned'>
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly position: Cache<Position>
  /** Older readings are not told. */
  readonly keepMs: number
}

export interface Replay {
  /** A broker is there again. */
  resume(): void
  waiting(): Waiting
  stop(): Promise<void>
}

interface Row {
  /** Its own; of one that was not read out of the journal it is not known. */
  readonly frame?: number
  readonly meter: string
  readonly serial: string
  readonly reading: Reading
}

/** Rows that are held in memory: some 300 bytes each. */
const HELD = 1000
/** Rows behind each other at once, and the rest after them: 100 rows a second leave metering its time. */
const BURST = 10
const REST_MS = 100
/** What a loss of power may repeat. */
const SAVE_MS = 60_000
/** A broker that did not acknowledge is asked again so late, unless it comes back before. */
const AGAIN_MS = 5000

export async function startReplay(options: ReplayOptions): Promise<Replay> {
  const { topic, bus, journal, metering, clock, timers, log, keepMs } = options
  const id = toHex(journal.id)
  const headNow = () => Number(journal.head().sequence)
  const kept = await options.position.load()
  const ours = kept !== undefined && kept.frame <= headNow() ? kept : undefined
  let frame = ours === undefined ? headNow() : ours.journal === id ? ours.frame : 0
  const told: Record<string, number> = ours?.journal === id ? { ...ours.told } : {}
  let rows: Row[] = []
  /** Whether the journal holds what is neither told nor in `rows`. */
  let behind = ours !== undefined
  /** Something was signed while the journal was read. */
  let missed = false
  let fetching = false
  let unreadable = false
  let sending = false
  let stopped = false
  let moved = false
  let cancelRest: Cancel = () => {}

  const isNew = ({ serial, reading }: Pick<Row, 'serial' | 'reading'>) => reading.sequence > (told[serial] ?? 0)

  async function fetchRows(): Promise<boolean> {
    fetching = true
    missed = false
    let full = false
    const oldest = clock.now() - keepMs
    const found: Row[] = []
    const visited = await journal.visit(({ kind, bytes }, at) => {
      if (at.carried || (kind !== 'reading' && kind !== 'gap')) return undefined
      const record = readMeteringRecord(bytes)
      const reading = record && readingOf(record.envelope)
      if (record === undefined || reading === undefined || reading.time < oldest) return undefined
      const row = { frame: Number(at.frame), meter: record.name, serial: record.meterId, reading }
      if (isNew(row)) found.push(row)
      full = found.length >= HELD
      return full ? 'enough' : undefined
    }, BigInt(frame))
    fetching = false
    if (!visited.ok && !unreadable) {
      log('warn', 'publish', 'readings of an outage cannot be read out of the journal', visited.fault)
    }
    unreadable = !visited.ok
    behind = full || missed || unreadable
    rows = found
    return visited.ok
  }

  async function pump(): Promise<void> {
    if (sending || stopped) return
    sending = true
    let burst = BURST
    try {
      for (;;) {
        if (rows.length === 0 && (!behind || !(await fetchRows()) || rows.length === 0)) return
        if (stopped) return
        const row = rows[0]!
        if (isNew(row)) {
          const sent = await bus.publish(topic, rowText(row))
          if (!sent.ok) {
            behind = true
            rows = []
            return
          }
          told[row.serial] = row.reading.sequence
        }
        frame = Math.max(frame, row.frame ?? 0)
        moved = true
        rows.shift()
        if (--burst > 0) continue
        burst = BURST
        await new Promise<void>(resolve => {
          const cancel = timers.after(REST_MS, resolve)
          cancelRest = () => {
            cancel()
            resolve()
          }
        })
      }
    } finally {
      sending = false
    }
  }

  async function save(): Promise<void> {
    if (!moved) return
    moved = false
    const saved = await options.position.save({ journal: id, frame, told })
    if (saved.ok) return
    moved = true
    log('warn', 'publish', 'how far readings were told is not kept', saved.fault)
  }

  if (ours === undefined) moved = true
  await save()
  metering.onSigned((meter, { context, reading }) => {
    const serial = meterOf(context)
    if (serial === undefined) return
    missed ||= fetching
    behind ||= rows.length >= HELD
    if (!behind && !fetching) rows.push({ meter, serial, reading })
    void pump()
  })
  function look(): void {
    // Whoever waited for a frame up to the head has heard of it by the time that a timer runs.
    if (!behind && !sending && rows.length === 0 && frame !== headNow()) {
      frame = headNow()
      moved = true
    }
    void pump()
  }
  const stops = [timers.every(SAVE_MS, () => void save()), timers.every(AGAIN_MS, look)]
  void pump()
  return {
    resume: () => void pump(),
    waiting: () => ({ rows: rows.length, more: behind }),
    async stop() {
      stopped = true
      for (const stop of stops) stop()
      cancelRest()
      await save()
    },
  }
}

function rowText({ meter, serial, reading }: Row): Uint8Array {
  const { time, quality, sequence, reason } = reading
  const registers: Record<string, number | string> = {}
  for (const value of reading.registers) {
    const name = registerName(value.obis)
    if (name?.unit === value.unit) registers[name.id] = exactNumber(decimalOf(value))
  }
  return utf8(JSON.stringify({ time: isoTime(time), quality, meter, serial, sequence, reason, registers }))
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** What a cache file holds, or undefined where it is none of ours. */
export function acceptPosition(value: unknown): Position | undefined {
  const { journal, frame, told } = (value ?? {}) as Record<string, unknown>
  if (typeof journal !== 'string' || !isCount(frame) || typeof told !== 'object' || told === null) return undefined
  return Object.values(told).every(isCount) ? { journal, frame, told: told as Record<string, number> } : undefined
}
