/**
 * Reads every meter of a site on monotonic timers, judges what it says, and signs readings into the journal: periodically,
 * on request for a deal's begin and end, and a gap record when a meter could not be read for long.
 */
import type { Clock, Log, MeterReading, Signer, Timers } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import type { JournalRecord } from '../../drivers/store/journal-block.ts'
import type { Power, Voltage } from '../../protocol/quantity.ts'
import type { What } from '../../protocol/reading/event.ts'
import type { Reason, Session } from '../../protocol/reading/reading.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { MeterValue } from '../../protocol/telegram/obis.ts'
import { type Instant, later, type Mono, type TimeQuality } from '../../protocol/time.ts'
import { type Chain, createChain, type Identity, restoreChain, type SignedReading } from './chain.ts'
import {
  errorsOf,
  judge,
  learn,
  lostCounters,
  nothingKnown,
  powerOf,
  remember,
  signedRegisters,
  voltageOf,
} from './decide.ts'
import { encodeKnownTime, encodeLost, encodeMeteringRecord, KNOWN_TIME, LOST } from './journal-form.ts'
import { type Believed, type MeteredMeter, newRun, pollMs, type Run } from './meter-run.ts'
import { createPast } from './past.ts'
import { createWallClock } from './wall-clock.ts'

export interface MeteringOptions {
  readonly meters: readonly MeteredMeter[]
  readonly signer: Signer
  readonly identity: Identity
  readonly journal: Journal
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  /** Raises with a fault, clears without. */
  readonly health: (what: string, fault: Fault | undefined) => void
  /** Hears what happened to the wall clock, to be signed as an event. */
  readonly onEvent?: (what: What) => void
  /** Signs the first reading of each meter as soon as it is believed, durable at once, and does not wait for the first period. */
  readonly signAtStart?: boolean
  readonly signEveryMs?: number
  readonly gapMs?: number
  readonly answerMs?: number
}

/** The latest believed reading, with what others mostly want of it. Absent values are absent. */
export interface Latest {
  readonly reading: MeterReading
  /** Import positive. */
  readonly power: Power | undefined
  /** The highest of the phases. */
  readonly voltage: Voltage | undefined
}

export interface Metering {
  /** Takes its own kinds of record out of the journal's replay; before `start`, every record, in order. */
  restore(record: JournalRecord): void
  /** `boots` counts the gateway's, this one included. A fault where the journal holds what makes no sense. */
  start(boots?: number): Result<void>
  /** Lets a meter with a rest period rest, or wakes it: then it is read at once. All are awake at the start. */
  rest(name: string, on: boolean): void
  /** Undefined where there is none, or none younger than `staleMs`. */
  latest(name: string): Latest | undefined
  /** Reads the meter anew, signs, and answers once it is durable. */
  sign(name: string, reason: Exclude<Reason, 'gap'>, session?: Session): Promise<Result<SignedReading>>
  /** Hears every believed reading. */
  onReading(listener: (name: string, reading: MeterReading) => void): void
  /** Hears every signed reading and gap, once it is durable. */
  onSigned(listener: (name: string, signed: SignedReading) => void): void
  /** What the wall time is worth, by all that was signed before: from `start` on. */
  timeQuality(): TimeQuality
  stats(): MeteringStats
  stop(): Promise<void>
}

export interface MeteringStats {
  readonly read: number
  readonly failed: number
  readonly refused: number
  readonly signed: number
  readonly gaps: number
}

/** Four signed readings a minute settle a deal that stops at any moment to within its last quarter of a minute. */
const SIGN_EVERY_MS = 15_000
/** Unreadable this long, a meter's silence goes on record: longer than any bus needs to come back after an unplug. */
const GAP_MS = 60_000
/** Above the deadlines of every driver; beyond it a driver is taken to be stuck. */
const ANSWER_MS = 30_000

export function createMetering(options: MeteringOptions): Metering {
  const { signer, identity, journal, clock, timers, log, health } = options
  const { signEveryMs = SIGN_EVERY_MS, gapMs = GAP_MS, answerMs = ANSWER_MS } = options
  const runs = new Map<string, Run>(options.meters.map(config => [config.name, newRun(config, clock.mono())]))
  const past = createPast()
  const cancels: (() => void)[] = []
  const readingListeners: ((name: string, reading: MeterReading) => void)[] = []
  const signedListeners: ((name: string, signed: SignedReading) => void)[] = []
  const counts = { read: 0, failed: 0, refused: 0, signed: 0, gaps: 0 }
  const wall = createWallClock({ clock, log, health, onEvent: options.onEvent ?? (() => {}) })
  let boot = 1
  let stopped = false

  /** A read that began after this call. Whoever comes while one runs shares the next: a slow meter piles nothing up. */
  function readAnew(run: Run): Promise<Result<Believed>> {
    if (run.reading === undefined) return readNow(run)
    run.following ??= run.reading.then(() => {
      run.following = undefined
      return readNow(run)
    })
    return run.following
  }

  function readNow(run: Run): Promise<Result<Believed>> {
    const { at: began, reading } = run.begun ?? { at: clock.mono(), reading: run.config.meter.read() }
    run.begun = undefined
    run.began = began
    const answer = reading.then(result => {
      run.reading = undefined
      return stopped ? fail({ code: 'metering.stopped' }) : believe(run, result, began)
    })
    run.reading = answer
    return answer
  }

  /** Answers within a time, whatever the driver does; the read itself stays the one in progress. */
  function inTime(run: Run, answer: Promise<Result<Believed>>): Promise<Result<Believed>> {
    return new Promise(resolve => {
      const fault = { code: 'metering.no-answer', meter: run.config.name, waitedMs: answerMs }
      const cancel = timers.after(answerMs, () => resolve(fail(fault)))
      void answer.then(result => {
        cancel()
        resolve(result)
      })
    })
  }

  function believe(run: Run, result: Result<MeterReading>, began: Mono): Result<Believed> {
    const { name } = run.config
    if (!result.ok) {
      counts.failed++
      run.failure = result.fault.code
      return result
    }
    const reading: Believed = { ...result.value, ...wall.judge(result.value.taken, result.value.takenMono) }
    const judged =
      reading.takenMono < began
        ? fail({ code: 'metering.not-fresh', taken: reading.takenMono, after: began })
        : judge(run.known, name, reading)
    const verdict = judged.ok ? onlyHere(run, reading.meterId) : judged
    if (!verdict.ok) {
      run.failure = verdict.fault.code
      counts.refused++
      // An answer from before asking is the line's doing, not the meter's.
      if (verdict.fault.code !== 'metering.not-fresh') run.refusals++
      health(`meter.${name}.refused`, verdict.fault)
      return verdict
    }
    health(`meter.${name}.refused`, undefined)
    health(`meter.${name}.unreadable`, undefined)
    counts.read++
    run.known = learn(run.known, reading)
    run.latest = reading
    run.silentSince = clock.mono()
    run.gapSigned = false
    run.failure = undefined
    for (const listener of readingListeners) listener(name, reading)
    // From its start on an agent can prove what its meters show, not only when the first quarter of a minute is over.
    if (options.signAtStart && run.signedMono === undefined) void signReading(run, reading, 'periodic', undefined)
    return ok(reading)
  }

  /** One meter has one chain: under two names it would have two, each denying the other. */
  function onlyHere(run: Run, meterId: string): Result<void> {
    for (const other of runs.values()) {
      if (other !== run && other.known.meterId === meterId) {
        return fail({ code: 'metering.same-meter-twice', meter: run.config.name, also: other.config.name })
      }
    }
    return done
  }

  function poll(run: Run): void {
    wall.look()
    if (run.reading === undefined) void readNow(run)
    const { name, staleMs } = run.config
    const forMs = clock.mono() - run.silentSince
    if (forMs > staleMs) {
      const cause = run.failure ?? 'metering.no-answer'
      health(`meter.${name}.unreadable`, { code: 'metering.unreadable', meter: name, forMs, cause })
    }
    // Of a meter that is seldom read, one missed reading is no silence yet.
    const { periodMs, restMs = periodMs } = run.config
    if (forMs >= Math.max(gapMs, 2 * restMs) && !run.gapSigned) void signGap(run)
  }

  function keepPolling(run: Run): void {
    run.cancelPolls()
    run.cancelPolls = timers.every(pollMs(run), () => poll(run))
  }

  function chainOf(run: Run, meterId: string): Result<Chain> {
    if (run.chain !== undefined) return ok(run.chain)
    const restored = restoreChain(past.ends.get(meterId) ?? {})
    if (!restored.ok) return restored
    run.chain = createChain({
      name: run.config.name,
      meterId,
      page: run.config.meter.page,
      signer,
      journal,
      clock,
      identity,
      boot,
      clockSets: wall.sets,
      restored: restored.value?.end,
    })
    return ok(run.chain)
  }

  async function signReading(
    run: Run,
    { meterId, values, taken, takenMono, quality, beforeSync }: Believed,
    reason: Exclude<Reason, 'gap'>,
    session: Session | undefined,
  ): Promise<Result<SignedReading>> {
    const registers = signedRegisters(values)
    if (registers.length === 0) return fail({ code: 'metering.no-counter', page: run.config.meter.page })
    const chain = chainOf(run, meterId)
    if (!chain.ok) return chain
    keepLost(run, meterId, lostCounters(run.known, values))
    const urgent = reason !== 'periodic' || (options.signAtStart === true && run.signedMono === undefined)
    run.signedMono = takenMono
    const { refusals } = run
    const errors = errorsOf(run.known, values, refusals > run.refusalsSigned, quality)
    const worth = { taken, takenMono, quality, beforeSync, errors }
    const what = { registers, reason, ...worth, urgent, ...(session === undefined ? {} : { session }) }
    const signed = await chain.value.sign(what)
    // Only what is on the disk has told of them.
    if (signed.ok) run.refusalsSigned = Math.max(run.refusalsSigned, refusals)
    return tell(run, signed, 'signed')
  }

  /** Before the first reading without them: that is what the next start finds, and it says nothing of them. */
  function keepLost(run: Run, meterId: string, lost: readonly MeterValue[]): void {
    const names = lost.map(({ obis }) => obis).join(' ')
    if (names === run.lostKept) return
    run.lostKept = names
    if (lost.length === 0) return
    const { counters, gone } = run.known
    const all = [...lost, ...[...gone.values()].filter(({ obis }) => !counters.has(obis))]
    const record = encodeMeteringRecord({ name: run.config.name, meterId, envelope: encodeLost(all) })
    void journal.append(LOST, record).then(kept => {
      if (!kept.ok && run.lostKept === names) run.lostKept = ''
    })
  }

  async function signGap(run: Run): Promise<void> {
    const { meterId } = run.known
    // A meter that was never seen has no chain to have a gap in.
    if (meterId === undefined) return
    run.gapSigned = true
    // What could not be signed in its time does not come behind the gap.
    run.signedMono = run.latest?.takenMono
    const chain = chainOf(run, meterId)
    if (!chain.ok) return health(`meter.${run.config.name}.chain`, chain.fault)
    // Of the answer that is awaited nobody knows yet when it was taken, but not before it was asked for.
    const takenMono = run.reading === undefined ? clock.mono() : run.began
    const taken = later(clock.now(), takenMono - clock.mono())
    const worth = wall.judge(taken, takenMono)
    const errors = errorsOf(nothingKnown(meterId), [], false, worth.quality)
    const what = { registers: [], reason: 'gap', taken, takenMono, ...worth, errors, urgent: false } as const
    const signed = await chain.value.sign(what)
    if (!tell(run, signed, 'gaps').ok) run.gapSigned = false
  }

  function tell(run: Run, signed: Result<SignedReading>, counted: 'signed' | 'gaps'): Result<SignedReading> {
    health(`meter.${run.config.name}.journal`, signed.ok ? undefined : signed.fault)
    if (!signed.ok) return signed
    counts[counted]++
    for (const listener of signedListeners) listener(run.config.name, signed.value)
    return signed
  }

  function signPeriodically(): void {
    for (const run of runs.values()) {
      const { latest, chain } = run
      // Nothing new, or the one before still waits for the disk.
      if (latest === undefined || latest.takenMono === run.signedMono || chain?.busy()) continue
      void signReading(run, latest, 'periodic', undefined)
    }
  }

  return {
    restore: past.take,

    start: (boots = 1) => {
      boot = boots
      const bad = past.bad()
      if (bad !== undefined) return fail({ code: 'metering.journal-form', kind: bad })
      let clockSets = 0
      let last: Instant | undefined
      for (const [meterId, records] of past.ends) {
        const restored = restoreChain(records)
        if (!restored.ok) return restored
        if (restored.value === undefined) continue
        boot = Math.max(boot, restored.value.context.boot + 1)
        const { lastTime } = restored.value
        if (lastTime !== undefined && (last === undefined || lastTime > last)) last = lastTime
        clockSets = Math.max(clockSets, restored.value.context.clockSets)
        for (const run of runs.values()) {
          if ((run.known.meterId ?? past.pins.get(run.config.name)) !== meterId) continue
          run.known = remember(run.known, meterId, restored.value.registers, past.lost.get(meterId) ?? [])
        }
      }
      // Where the newest readings are of an unknown time, it is of those before them.
      const floor = last ?? past.knownTime()
      wall.restore(clockSets, floor)
      // Before the first reading that says no more than that its time is unknown.
      if (floor !== undefined && floor !== past.knownTime() && clock.now() < floor) {
        void journal.append(KNOWN_TIME, encodeKnownTime(floor))
      }
      for (const run of runs.values()) {
        run.silentSince = clock.mono()
        const { begun } = run
        poll(run)
        // Asked for before the start, it may be old by now, and whoever needs a fresh one is not kept waiting for a period.
        if (begun !== undefined) void run.reading?.then(() => stopped || poll(run))
        keepPolling(run)
        cancels.push(() => run.cancelPolls())
      }
      cancels.push(timers.every(signEveryMs, signPeriodically))
      return done
    },

    rest: (name, on) => {
      const run = runs.get(name)
      if (run?.config.restMs === undefined || run.resting === on || stopped) return
      run.resting = on
      if (!on) poll(run)
      keepPolling(run)
    },

    latest: name => {
      const run = runs.get(name)
      if (run?.latest === undefined || clock.mono() - run.latest.takenMono > run.config.staleMs) return undefined
      const { values } = run.latest
      return { reading: run.latest, power: powerOf(values), voltage: voltageOf(values) }
    },

    sign: async (name, reason, session) => {
      const run = runs.get(name)
      if (run === undefined) return fail({ code: 'metering.unknown-meter', meter: name })
      if (stopped) return fail({ code: 'metering.stopped' })
      const reading = await inTime(run, readAnew(run))
      return reading.ok ? signReading(run, reading.value, reason, session) : reading
    },

    onReading: listener => void readingListeners.push(listener),
    onSigned: listener => void signedListeners.push(listener),
    timeQuality: wall.quality,
    stats: () => ({ ...counts }),

    stop: async () => {
      stopped = true
      for (const cancel of cancels.splice(0)) cancel()
      await Promise.all([...runs.values()].map(run => run.config.meter.close()))
    },
  }
}
