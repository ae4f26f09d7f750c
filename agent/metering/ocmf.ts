/**
 * Readings given out as OCMF: each record takes the next page of its meter's series and is durable before anybody has it, so
 * that the pages of a series have no gap and none stands for two records. A record whose append failed was never shown to
 * anyone, so its page is used again.
 *
 * The counters are the meter's own, as the gateway's and the meter's serial together name what signs (OCMF 1.4, relation of
 * serial numbers). In the journal a record is its text alone, of kind `ocmf`.
 */
import type { Signer } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import type { JournalRecord } from '../../drivers/store/journal-block.ts'
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { parseSign1 } from '../../protocol/crypto/cose.ts'
import {
  type LostMeter,
  type OcmfEnding,
  type OcmfSeries,
  type OcmfStation,
  type OcmfUser,
  ocmfPage,
  ocmfSession,
  ocmfText,
  type ReadingInContext,
  writeOcmfPayload,
} from '../../protocol/ocmf/write.ts'
import { parseContext } from '../../protocol/reading/context.ts'
import type { Session } from '../../protocol/reading/reading.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { RESTORED } from '../restored.ts'
import type { SignedReading } from './chain.ts'
import type { Metering } from './run.ts'

/** Kind of a record's text in the journal. */
export const OCMF_KIND = 'ocmf'

/** What a restart needs of the journal: the newest record of each series of each meter, and what it cannot read. */
export function keepOcmf({ bytes }: Pick<JournalRecord, 'bytes'>): { readonly as: string } {
  const page = ocmfPage(fromUtf8(bytes) ?? '')
  return { as: page === undefined ? OCMF_KIND : `${OCMF_KIND} ${nameOf(page.series, page.meterId)}` }
}

const nameOf = (series: OcmfSeries, meterId: string): string => `${series} ${meterId}`

export interface OcmfBookParts {
  /** The device's second key: ES256. */
  readonly signer: Signer
  readonly journal: Pick<Journal, 'append'>
  readonly station: OcmfStation
  /** Whether the signed envelopes travel inside, so that nothing is lost; else the readings' hashes do. */
  readonly attach?: boolean
}

/** What stands in a transaction's records beside its readings. */
export interface OcmfNotes {
  readonly user?: OcmfUser
  readonly chargePoint?: NonNullable<OcmfStation['chargePoint']>
  /** An error of the station ended it. */
  readonly aborted?: boolean
}

export interface OcmfBook {
  /** Takes its own kind of record out of what the journal holds; before anything is given out. */
  restore(record: JournalRecord): void
  /**
   * A transaction: one text with begin and end, or two where a new context began between them. After a fault the first of two
   * may stand in the journal; asked again, the transaction takes new pages.
   */
  session(begin: SignedReading, end: SignedReading, notes?: OcmfNotes): Promise<Result<readonly string[]>>
  /**
   * A transaction whose end could not be read: its begin, and the last reading known, marked as one that nobody may settle on.
   * That is the begin itself where nothing was read after it.
   */
  lost(
    begin: SignedReading,
    last: SignedReading,
    state: LostMeter,
    notes?: OcmfNotes,
  ): Promise<Result<readonly string[]>>
  /** One reading of a transaction, as soon as it is there. */
  part(reading: SignedReading, user?: OcmfUser): Promise<Result<string>>
  /** A reading, or a gap, outside of transactions. */
  fiscal(reading: SignedReading): Promise<Result<string>>
  /** Resolves when all that was asked for so far is on record or refused. */
  idle(): Promise<void>
}

export function createOcmfBook({ signer, journal, station, attach = false }: OcmfBookParts): OcmfBook {
  if (signer.alg !== 'ES256') throw new TypeError('OCMF is signed on P-256')
  const pages = new Map<string, number>()
  /** The last page of every series that is not known: after a restore nobody knows how far the lost ones went. */
  let floor = 0
  let turn: Promise<unknown> = Promise.resolve()
  let unreadable = false

  async function record(
    series: OcmfSeries,
    readings: readonly ReadingInContext[],
    envelopes: readonly Uint8Array[],
    { user, chargePoint }: OcmfNotes = {},
    ending?: OcmfEnding,
  ): Promise<Result<string>> {
    // A counter that is not known must not begin anew.
    if (unreadable) return fail({ code: 'ocmf.journal-form', kind: OCMF_KIND })
    const name = nameOf(series, readings[0]!.context.meterId)
    const number = Math.max(pages.get(name) ?? 0, floor) + 1
    const payload = writeOcmfPayload({
      series,
      number,
      readings,
      station: chargePoint === undefined ? station : { ...station, chargePoint },
      ...(user === undefined ? {} : { user }),
      ...(ending === undefined ? {} : { ending }),
      ...(attach ? { attached: envelopes } : {}),
    })
    if (!payload.ok) return payload
    const signature = await signer.sign(utf8(payload.value))
    if (!signature.ok) return signature
    const text = ocmfText(payload.value, signature.value)
    const kept = await journal.append(OCMF_KIND, utf8(text), { urgent: true })
    if (!kept.ok) return kept
    pages.set(name, number)
    return ok(text)
  }

  function inTurn<T>(make: () => Promise<T>): Promise<T> {
    const mine = turn.then(make)
    // A rejection is our own bug and goes to whoever called; the next one still gets its turn.
    turn = mine.catch(() => {})
    return mine
  }

  async function recordOne(
    series: OcmfSeries,
    reading: SignedReading,
    notes?: OcmfNotes,
    ending?: OcmfEnding,
  ): Promise<Result<string>> {
    const read = inContext(reading)
    return read.ok ? record(series, [read.value], [reading.context, reading.envelope], notes, ending) : read
  }

  return {
    restore: ({ kind, bytes }) => {
      if (kind === RESTORED) floor = Math.max(floor, Number(fromUtf8(bytes)))
      if (kind !== OCMF_KIND) return
      const page = ocmfPage(fromUtf8(bytes) ?? '')
      if (page === undefined) {
        unreadable = true
        return
      }
      const name = nameOf(page.series, page.meterId)
      pages.set(name, Math.max(page.number, pages.get(name) ?? 0))
    },

    session: (begin, end, notes) =>
      inTurn(async () => {
        const [first, last] = [inContext(begin), inContext(end)]
        if (!first.ok) return first
        if (!last.ok) return last
        const records = ocmfSession(first.value, last.value)
        if (!records.ok) return records
        const texts: string[] = []
        for (const readings of records.value) {
          const signed = readings.map(one => (one === first.value ? begin : end))
          const envelopes = [signed[0]!.context, ...signed.map(one => one.envelope)]
          const ending = notes?.aborted && signed.at(-1) === end ? 'aborted' : undefined
          const text = await record('T', readings, envelopes, notes, ending)
          if (!text.ok) return text
          texts.push(text.value)
        }
        return ok(texts)
      }),

    lost: (begin, last, state, notes) =>
      inTurn(async () => {
        const { session } = begin.reading
        if (session === undefined) return fail({ code: 'ocmf.readings', reason: 'the first is of no session' })
        const begun = await recordOne('T', begin, notes)
        if (!begun.ok) return begun
        const known = await recordOne('T', last, notes, { lost: state, session })
        return known.ok ? ok([begun.value, known.value]) : known
      }),

    part: (reading, user) => inTurn(() => recordOne('T', reading, user && { user })),
    fiscal: reading => inTurn(() => recordOne('F', reading)),
    idle: async () => void (await turn),
  }
}

/**
 * Puts the begin and the end of each deal on record, and what went wrong between them, each by itself and at once: nothing
 * has to outlast a restart, and whoever asks later finds it in the journal. Readings of sessions that somebody else puts on
 * record are left to them.
 */
export function recordDeals(
  metering: Pick<Metering, 'onSigned'>,
  book: Pick<OcmfBook, 'part'>,
  health: (what: string, fault: Fault | undefined) => void,
  isKeptElsewhere: (session: Session) => boolean = () => false,
): void {
  metering.onSigned((name, signed) => {
    const { session, reason } = signed.reading
    if (session === undefined || reason === 'periodic' || reason === 'gap' || isKeptElsewhere(session)) return
    void book.part(signed).then(given => health(`meter.${name}.ocmf`, given.ok ? undefined : given.fault))
  })
}

const DAY_MS = 86_400_000

/**
 * Puts the first reading of each meter in a day (UTC), or after a start, on record as a fiscal one: what a bill over any
 * number of days is made of. A reading whose time or energy is not to be relied on waits for the next.
 */
export function recordDays(
  metering: Pick<Metering, 'onSigned'>,
  book: Pick<OcmfBook, 'fiscal'>,
  health: (what: string, fault: Fault | undefined) => void,
): void {
  const days = new Map<string, number>()
  metering.onSigned((name, signed) => {
    const { reason, errors, quality, time } = signed.reading
    if (reason !== 'periodic' || errors.length > 0 || quality === 'unknown') return
    const day = Math.floor(time / DAY_MS)
    const before = days.get(name)
    if (day === before) return
    days.set(name, day)
    void book.fiscal(signed).then(given => {
      // Tried again with the next reading.
      if (!given.ok && days.get(name) === day) days.delete(name)
      health(`meter.${name}.ocmf`, given.ok ? undefined : given.fault)
    })
  })
}

function inContext({ reading, hash, context }: SignedReading): Result<ReadingInContext> {
  const envelope = parseSign1(context)
  const parsed = envelope.ok ? parseContext(envelope.value.payload) : envelope
  return parsed.ok ? ok({ reading, hash, context: parsed.value }) : parsed
}
