/**
 * Charging sessions: a begin and an end read anew at the charging point's own meter and signed, under a contract, for a user, at
 * a tariff, given out as OCMF.
 *
 * Nothing is given out before it is durable: the begin, and that the session is open, before the car may charge; both pages of
 * OCMF before anybody has them. An end that cannot be read is tried for a while, as the charging point is at 0 by then and its
 * counter stands still. After that the session is closed with what is known, its last reading marked as one that nobody may
 * settle on, and without an energy: a number is never worked out from anything but two readings of one counter.
 */
import type { Cancel, Clock, Entropy, Timers } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import type { JournalRecord } from '../../drivers/store/journal-block.ts'
import { equalBytes, toHex, utf8 } from '../../protocol/bytes.ts'
import { envelopeHash, parseSign1 } from '../../protocol/crypto/cose.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { writeJson } from '../../protocol/json-write.ts'
import type { LostMeter, OcmfUser } from '../../protocol/ocmf/write.ts'
import { type Energy, milliwattHours } from '../../protocol/quantity.ts'
import { READING_PURPOSE, type Reading, registerEnergy, type Session } from '../../protocol/reading/reading.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { findValue, OBIS, towardZeroAt } from '../../protocol/telegram/obis.ts'
import type { Instant } from '../../protocol/time.ts'
import type { SignedReading } from '../metering/chain.ts'
import type { OcmfBook, OcmfNotes } from '../metering/ocmf.ts'
import type { Metering } from '../metering/run.ts'
import { encodeSession, type KeptSession, readingIn, readSession, SESSION_KIND } from './session-form.ts'

export interface SessionTerms {
  /** The charging point. */
  readonly port: string
  readonly meter: string
  /** Whether the car takes or gives. */
  readonly direction: Session['direction']
  /** What the customer was told, as in `0.39 EUR/kWh`. */
  readonly tariff: string
  /** Hash of the contract; without one the session's own terms are it. */
  readonly contract?: Uint8Array
  /** From a card (ISO14443) or the car itself (EVCCID, EMAID). */
  readonly user?: OcmfUser
  readonly evseId?: string
}

/** Why a session ends, other than as its user wished. */
export type SessionTrouble =
  | 'charger-restarted'
  | 'charger-fault'
  | 'meter-stale'
  | 'agent-restarted'
  | 'contract-ended'

export interface SessionView {
  /** The contract's hash in hexadecimal. */
  readonly id: string
  readonly port: string
  readonly direction: Session['direction']
  readonly tariff: string
  readonly user?: OcmfUser
  readonly began: Instant
  readonly state: 'open' | 'closing' | 'ended' | 'aborted' | 'lost'
  readonly why?: SessionTrouble
  readonly ended?: Instant
  /** In mWh, of two readings of one counter that nothing is said against; absent for all others. */
  readonly energy?: Energy
  /** Records of OCMF, in the order of their pages; none while it is open. */
  readonly ocmf: readonly string[]
}

export interface SessionParts {
  readonly metering: Pick<Metering, 'sign' | 'onSigned' | 'latest'>
  readonly book: Pick<OcmfBook, 'session' | 'lost'>
  readonly journal: Pick<Journal, 'append'>
  readonly entropy: Entropy
  readonly clock: Clock
  readonly timers: Timers
  /** Raises with a fault, clears without. */
  readonly health: (what: string, fault: Fault | undefined) => void
}

export interface Sessions {
  /** Takes its own kind of record out of the journal; before `start`. */
  restore(record: JournalRecord): void
  /** Ends what the journal holds open: nobody watched it while the agent was down. */
  start(): Promise<void>
  /** The car may charge once this has answered well. */
  begin(terms: SessionTerms): Promise<Result<SessionView>>
  /** Call it when the charging point is at 0. Asked twice, both hear how it ended. */
  end(port: string, why?: SessionTrouble): Promise<Result<SessionView>>
  /** Whether a reading's session is one of these. */
  owns(session: Session): boolean
  /** Undefined where there is none. */
  stateOf(port: string): 'open' | 'closing' | undefined
  /** Open ones, and the newest of those that ended since the start. */
  list(): readonly SessionView[]
  /** Tries nothing any more: what is open is ended by the next start. */
  stop(): void
}

/** An end that cannot be read is tried anew after this, and until nobody waits any more: as long as a meter's gap (60 s). */
const RETRY_MS = 2_000
const WAIT_MS = 60_000
/** Comparing there loses no digit: no meter gives more. */
const FINEST_SCALER = -9
const NANO_IN_MILLI = 1_000_000n
/** Begin and end are sound each by itself, and not together. */
const COUNTER_FELL = 'ocmf.counter-fell'
/** Ended sessions that can be asked for; all are in the journal. */
const MOST_LISTED = 256

interface Open {
  readonly kept: KeptSession
  readonly session: Session
  readonly begin: SignedReading
  /** The newest signed reading of its meter since. */
  last: SignedReading
  closing?: Promise<Result<SessionView>>
  /** To be ended, however often that failed. */
  asked?: true
  why?: SessionTrouble
  /** Signed, and perhaps not yet on record. */
  end?: SignedReading
  /** On record, and perhaps not yet that the session is over: its pages are not made a second time. */
  ocmf?: readonly string[]
}

export function createSessions(parts: SessionParts): Sessions {
  const { metering, book, journal, entropy, clock, timers, health } = parts
  const open = new Map<string, Open>()
  const beginning = new Map<string, Session>()
  const closed: SessionView[] = []
  const found = new Map<string, Uint8Array>()
  let stopped = false
  let cancelRetry: Cancel = () => {}

  metering.onSigned((name, signed) => {
    for (const [port, one] of open) {
      if (one.kept.meter !== name || signed.reading.sequence <= one.last.reading.sequence) continue
      if (signed.reading.reason === 'gap') void end(port, 'meter-stale')
      else one.last = signed
    }
  })

  const keep = async (kept: KeptSession): Promise<Result<void>> => {
    const encoded = encodeSession(kept)
    if (!encoded.ok) return encoded
    const appended = await journal.append(SESSION_KIND + kept.port, encoded.value, { urgent: true })
    return appended.ok ? ok(undefined) : appended
  }

  async function begin(terms: SessionTerms): Promise<Result<SessionView>> {
    const { port, meter, direction, tariff, user, evseId } = terms
    if (open.has(port) || beginning.has(port)) return fail({ code: 'session.open', port })
    const contract = terms.contract ?? ownContract(terms, entropy.bytes(16))
    const session: Session = { contract, line: port, direction }
    beginning.set(port, session)
    try {
      const signed = await metering.sign(meter, 'begin', session)
      if (!signed.ok) return signed
      if (!isSound(signed.value.reading, direction))
        return fail({ code: 'session.meter-unsound', port, errors: signed.value.reading.errors })
      const { envelope, context } = signed.value
      const kept: KeptSession = {
        ...{ port, meter, contract, direction, tariff, begin: envelope, context },
        ...(user === undefined ? {} : { user }),
        ...(evseId === undefined ? {} : { evseId }),
      }
      const written = await keep(kept)
      if (!written.ok) return written
      const one: Open = { kept, session, begin: signed.value, last: signed.value }
      open.set(port, one)
      return ok(viewOf(one))
    } finally {
      beginning.delete(port)
    }
  }

  function end(port: string, why?: SessionTrouble): Promise<Result<SessionView>> {
    const one = open.get(port)
    if (one === undefined) return Promise.resolve(fail({ code: 'session.none', port }))
    one.closing ??= close(one, why).finally(() => {
      // What could not be put on record is tried again by whoever ends it next.
      delete one.closing
    })
    return one.closing
  }

  async function close(one: Open, why: SessionTrouble | undefined): Promise<Result<SessionView>> {
    if (why !== undefined) one.why ??= why
    one.asked = true
    const { port } = one.kept
    const until = clock.mono() + WAIT_MS
    let trouble: Fault | undefined
    for (;;) {
      const done = await tryEnd(one)
      if (done.ok) return done
      trouble = done.fault
      health(`session.${port}`, trouble)
      if (trouble.code === COUNTER_FELL || clock.mono() >= until) break
      await timers.sleep(RETRY_MS)
      if (stopped) return fail({ code: 'session.stopped', port })
    }
    // Read but not on record: the disk's or the key's trouble, not the meter's.
    const isUnread = one.end === undefined && metering.latest(one.kept.meter) === undefined
    const isMeters = isUnread || trouble.code === COUNTER_FELL
    const ended = isMeters ? await lose(one, lostBy(trouble)) : fail(trouble)
    if (!ended.ok) tryLater()
    return ended
  }

  /** Whoever asked has been told; the session must not stay open because nobody asks again. */
  function tryLater(): void {
    cancelRetry()
    if (stopped) return
    cancelRetry = timers.after(WAIT_MS, () => {
      for (const [port, one] of open) if (one.asked) void end(port, one.why)
    })
  }

  async function tryEnd(one: Open): Promise<Result<SessionView>> {
    const { meter } = one.kept
    if (one.end === undefined) {
      const signed = await metering.sign(meter, one.why === 'agent-restarted' ? 'power-fail' : 'end', one.session)
      if (!signed.ok) return signed
      one.end = signed.value
    }
    return finish(one, isBroken(one.why) ? 'aborted' : 'ended', () => book.session(one.begin, one.end!, notesOf(one)))
  }

  function lose(one: Open, state: LostMeter): Promise<Result<SessionView>> {
    one.why ??= 'meter-stale'
    return finish(one, 'lost', () => book.lost(one.begin, one.last, state, notesOf(one)))
  }

  async function finish(
    one: Open,
    state: 'ended' | 'aborted' | 'lost',
    make: () => Promise<Result<readonly string[]>>,
  ): Promise<Result<SessionView>> {
    if (one.ocmf === undefined) {
      const texts = await make()
      if (!texts.ok) return texts
      one.ocmf = texts.value
    }
    const { ocmf } = one
    const written = await keep({ ...one.kept, end: state })
    if (!written.ok) return written
    const view: SessionView = { ...viewOf(one), ...(state === 'lost' ? {} : settled(one)), state, ocmf }
    open.delete(one.kept.port)
    health(`session.${one.kept.port}`, undefined)
    closed.push(view)
    if (closed.length > MOST_LISTED) closed.shift()
    return ok(view)
  }

  return {
    restore: ({ kind, bytes }) => {
      if (kind.startsWith(SESSION_KIND)) found.set(kind, bytes)
    },

    async start() {
      const ends: Promise<unknown>[] = []
      for (const [kind, bytes] of found) {
        const port = kind.slice(SESSION_KIND.length)
        const kept = readSession(bytes)
        const begun = kept.ok ? restored(kept.value) : kept
        if (!kept.ok || !begun.ok) {
          health(`session.${port}`, { code: 'session.journal-form', port })
          continue
        }
        if (kept.value.end !== undefined) continue
        const session = { contract: kept.value.contract, line: port, direction: kept.value.direction }
        open.set(port, { kept: kept.value, session, begin: begun.value, last: begun.value })
        ends.push(end(port, 'agent-restarted'))
      }
      found.clear()
      await Promise.all(ends)
    },

    begin,
    end,
    owns: session =>
      [...[...open.values()].map(one => one.session), ...beginning.values()].some(
        one => one.line === session.line && equalBytes(one.contract, session.contract),
      ),
    stateOf: port => {
      const one = open.get(port)
      return one && (one.asked ? 'closing' : 'open')
    },
    list: () => [...[...open.values()].map(viewOf), ...closed.toReversed()],
    stop: () => {
      stopped = true
      cancelRetry()
    },
  }
}

/** Hash of the terms with something that no other session has. */
const ownContract = ({ port, direction, tariff, user }: SessionTerms, nonce: Uint8Array): Uint8Array =>
  sha256(utf8(writeJson({ port, direction, tariff, tag: user?.id, nonce: toHex(nonce) })))

const counterOf = (direction: Session['direction']) => (direction === 'import' ? OBIS.energyImport : OBIS.energyExport)

/** Whether the counter of the session is there, and the reading says nothing against it. */
const isSound = (reading: Reading, direction: Session['direction']): boolean =>
  !reading.errors.includes('energy') && registerEnergy(reading, counterOf(direction)) !== undefined

/** By an error of the station; a contract that is over is none. */
const isBroken = (why: SessionTrouble | undefined): boolean => why !== undefined && why !== 'contract-ended'

const notesOf = ({ kept: { user, evseId }, why }: Open): OcmfNotes => ({
  ...(user === undefined ? {} : { user }),
  ...(evseId === undefined ? {} : { chargePoint: { type: 'EVSEID', id: evseId } }),
  aborted: isBroken(why),
})

function viewOf(one: Open): SessionView {
  const { port, direction, tariff, user, contract } = one.kept
  return {
    ...{ id: toHex(contract), port, direction, tariff, began: one.begin.reading.time },
    ...(user === undefined ? {} : { user }),
    ...(one.why === undefined ? {} : { why: one.why }),
    state: one.asked ? 'closing' : 'open',
    ocmf: [],
  }
}

/** What two readings of one counter say. */
function settled({ begin, end, kept: { direction } }: Open): Pick<SessionView, 'ended' | 'energy'> {
  const ended = end!.reading.time
  const [from, to] = [begin, end!].map(({ reading }) => findValue(reading.registers, counterOf(direction)))
  if (from?.unit !== 'Wh' || to?.unit !== 'Wh' || end!.reading.errors.length > 0) return { ended }
  const moved = towardZeroAt(to, FINEST_SCALER) - towardZeroAt(from, FINEST_SCALER)
  return moved < 0n ? { ended } : { ended, energy: milliwattHours(moved / NANO_IN_MILLI) }
}

function lostBy({ code }: Fault): LostMeter {
  if (code === 'metering.other-meter') return 'X'
  return code === COUNTER_FELL || code === 'metering.counter-fell' || code === 'metering.unit-changed' ? 'E' : 'T'
}

/** The begin of a session that the journal holds. */
function restored({ begin, context }: KeptSession): Result<SignedReading> {
  const reading = readingIn(begin)
  if (!reading.ok) return reading
  const envelope = parseSign1(begin)
  if (!envelope.ok) return envelope
  return ok({ envelope: begin, context, reading: reading.value, hash: envelopeHash(envelope.value, READING_PURPOSE) })
}
