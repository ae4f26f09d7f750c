/**
 * One meter's chain of signed readings: signs the next one and makes it durable before anybody may have it. One at a time:
 * each carries the hash of the one before. A reading whose append failed was never shown to anyone, so its sequence
 * number is used again.
 */
import { signEnvelope } from '../../drivers/crypto/sign-envelope.ts'
import type { Clock, Signer } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import { type CoseFault, envelopeHash, parseSign1 } from '../../protocol/crypto/cose.ts'
import type { KeyTrust } from '../../protocol/identity/key.ts'
import {
  CONTEXT_PURPOSE,
  CONTEXT_REFERENCE_BYTES,
  type Context,
  encodeContext,
  parseContext,
} from '../../protocol/reading/context.ts'
import {
  type ErrorFlag,
  encodeReading,
  parseReading,
  READING_PURPOSE,
  type Reading,
  type ReadingFault,
  type Reason,
  type Session,
} from '../../protocol/reading/reading.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { MeterValue } from '../../protocol/telegram/obis.ts'
import type { Instant, Mono, TimeQuality } from '../../protocol/time.ts'
import { type ChainEnd, NEW_CHAIN, nextReading } from './decide.ts'
import { encodeMeteringRecord, type MeteringKind } from './journal-form.ts'

/** Who measures: the same for all meters of a site. */
export interface Identity {
  /** EAT UEID of the gateway. */
  readonly device: Uint8Array
  /** SHA-256 of the software that measures. */
  readonly software: Uint8Array
  readonly trust: KeyTrust
  /** Where the wall time comes from, as in `ntp`. */
  readonly timeSource: () => string
}

/** A signed reading that is on the disk. */
export interface SignedReading {
  readonly envelope: Uint8Array
  /** The context's envelope, with which a stranger can verify it. */
  readonly context: Uint8Array
  /** The reading's identity. */
  readonly hash: Uint8Array
  readonly reading: Reading
}

/** What a restart finds of one meter. */
export interface Restored {
  readonly end: ChainEnd
  readonly context: Context
  /** When the last record was taken; undefined where nobody knew the time then. */
  readonly lastTime: Instant | undefined
  /** The last registers that were signed, however many gaps ago. */
  readonly registers: readonly MeterValue[]
}

/** The newest records of one meter in the journal. */
export interface LastRecords {
  context?: Uint8Array
  reading?: Uint8Array
  gap?: Uint8Array
}

/** Makes sense of the newest records; undefined where nothing was signed yet. */
export function restoreChain(last: LastRecords): Result<Restored | undefined, ReadingFault | CoseFault> {
  if (last.context === undefined) return ok(undefined)
  const envelope = parseSign1(last.context)
  const context = envelope.ok ? parseContext(envelope.value.payload) : envelope
  if (!context.ok) return context
  let end = NEW_CHAIN
  let lastTime: Instant | undefined
  let registers: readonly MeterValue[] = []
  for (const bytes of [last.reading, last.gap]) {
    if (bytes === undefined) continue
    const signed = parseSign1(bytes)
    if (!signed.ok) return signed
    const parsed = parseReading(signed.value.payload)
    if (!parsed.ok) return parsed
    const { sequence, operatingSeconds, time, quality, reason } = parsed.value
    if (reason !== 'gap') registers = parsed.value.registers
    if (sequence <= end.sequence) continue
    const hash = envelopeHash(signed.value, READING_PURPOSE)
    end = { sequence, hash, operatingSeconds, time, gap: reason === 'gap', offset: undefined }
    lastTime = quality === 'unknown' ? undefined : time
  }
  return ok({ end, lastTime, context: context.value, registers })
}

export interface ChainParts {
  readonly name: string
  readonly meterId: string
  readonly page: string
  readonly signer: Signer
  readonly journal: Journal
  readonly clock: Clock
  readonly identity: Identity
  readonly boot: number
  /** How often the wall clock was set so far, all boots together. */
  readonly clockSets: () => number
  readonly restored: ChainEnd | undefined
}

export interface ToSign {
  readonly registers: readonly MeterValue[]
  readonly reason: Reason
  readonly taken: Instant
  readonly takenMono: Mono
  readonly quality: TimeQuality
  readonly beforeSync: boolean
  readonly errors: readonly ErrorFlag[]
  readonly session?: Session
  /** Not to wait for the group. */
  readonly urgent: boolean
}

export interface Chain {
  sign(what: ToSign): Promise<Result<SignedReading>>
  /** Whether a reading is being signed or waits for the disk. */
  busy(): boolean
}

export function createChain(parts: ChainParts): Chain {
  const { name, meterId, page, signer, journal, clock, identity, boot, clockSets } = parts
  const startedMono = clock.mono()
  const baseSeconds = parts.restored?.operatingSeconds ?? 0
  let end = parts.restored ?? NEW_CHAIN
  let current:
    | { readonly envelope: Uint8Array; readonly hash: Uint8Array; readonly sets: number; readonly timeSource: string }
    | undefined
  let turn: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let hurried = 0

  /** Urgent as soon as anyone urgent waits for this turn to end. */
  const record = (kind: MeteringKind, envelope: Uint8Array, urgent: boolean) =>
    journal.append(kind, encodeMeteringRecord({ name, meterId, envelope }), { urgent: urgent || hurried > 0 })

  /** The context to refer to: made at the first reading of a boot and after the clock was set. */
  async function contextFor(): Promise<Result<NonNullable<typeof current>>> {
    const [sets, timeSource] = [clockSets(), identity.timeSource()]
    if (current?.sets === sets && current.timeSource === timeSource) return ok(current)
    const context: Context = { ...identity, timeSource, meterId, page, key: signer.publicKey, clockSets: sets, boot }
    const payload = encodeContext(context)
    // Serial and page come from outside: what a stranger would refuse to read is not signed.
    const readable = parseContext(payload)
    if (!readable.ok) return readable
    const signed = await signEnvelope(signer, payload, CONTEXT_PURPOSE)
    if (!signed.ok) return signed
    const { envelope, hash } = signed.value
    // Before the reading that names it, so that no reading is ever without its context.
    const kept = await record('context', envelope, true)
    if (!kept.ok) return kept
    current = { envelope, hash, sets, timeSource }
    return ok(current)
  }

  async function signNext(what: ToSign): Promise<Result<SignedReading>> {
    const context = await contextFor()
    if (!context.ok) return context
    const next = nextReading(end, {
      ...what,
      context: context.value.hash.slice(0, CONTEXT_REFERENCE_BYTES),
      upSeconds: Math.floor((clock.mono() - startedMono) / 1000),
      baseSeconds,
    })
    const payload = encodeReading(next.reading)
    const readable = parseReading(payload)
    if (!readable.ok) return readable
    const signed = await signEnvelope(signer, payload, READING_PURPOSE)
    if (!signed.ok) return signed
    const { envelope, hash } = signed.value
    const kept = await record(what.reason === 'gap' ? 'gap' : 'reading', envelope, what.urgent)
    if (!kept.ok) return kept
    end = { ...next.end, hash }
    return ok({ envelope, context: context.value.envelope, hash, reading: next.reading })
  }

  return {
    sign: what => {
      waiting++
      if (what.urgent) {
        hurried++
        // Whoever holds the turn may wait for its group; an urgent one behind it cannot.
        journal.flush()
      }
      const mine = turn
        .then(() => signNext(what))
        .finally(() => {
          waiting--
          if (what.urgent) hurried--
        })
      // A rejection is our own bug and goes to whoever called; the next one still gets its turn.
      turn = mine.catch(() => {})
      return mine
    },
    busy: () => waiting > 0,
  }
}
