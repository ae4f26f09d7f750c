/**
 * What a heap of signed envelopes proves: who signed, when, of which meters, what is missing, every broken rule. Contexts
 * come before the readings that name them. Readings are judged one by one, so the heap may be of any size.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { kidOf, parseSign1 } from '../crypto/cose.ts'
import type { Verifier } from '../crypto/verify.ts'
import { algOfKey, type KeyTrust } from '../identity/key.ts'
import { parseKeyRecord } from '../identity/rotation.ts'
import { done, type Fault, fail, type Result } from '../result.ts'
import type { MeterValue } from '../telegram/obis.ts'
import { type Instant, instant, type TimeQuality } from '../time.ts'
import { createAuditKeys } from './audit-keys.ts'
import { type ChainCheck, createChainCheck, createEventChainCheck, isCounter } from './chain.ts'
import { CONTEXT_REFERENCE_BYTES, type Context, parseContext } from './context.ts'
import { type Event, parseEvent, type What } from './event.ts'
import { compareHeads, type JournalHead, parseHead } from './head.ts'
import { parseReading, type Reading } from './reading.ts'
import {
  type VerifiedContext,
  type VerifiedEvent,
  type VerifiedReading,
  verifyContext,
  verifyEvent,
  verifyHead,
  verifyReadingIn,
} from './verify.ts'

/** A rule broken, and where: a line, a byte or a record of what was looked at. */
export interface Broken {
  readonly where: string
  readonly fault: Fault
}

/** Rules broken: the first of them, and how many more there are. */
export interface BrokenList {
  readonly listed: readonly Broken[]
  readonly unlisted: number
}

/** Keeps of any number of broken rules those that are read. */
export function collectBroken(): BrokenList & { add(where: string, fault: Fault): void } {
  const listed: Broken[] = []
  let unlisted = 0
  return {
    listed,
    get unlisted() {
      return unlisted
    },
    add(where, fault) {
      if (listed.length < LISTED_MOST) listed.push({ where, fault })
      else unlisted++
    },
  }
}

export interface AuditedSigner {
  readonly key: Uint8Array
  readonly kid: Uint8Array
  readonly device: Uint8Array
  /** As the context claims; absent where the key signed events alone. */
  readonly trust?: KeyTrust
  /** Whether it is one of the keys that were expected; false too where none was. */
  readonly expected: boolean
}

export interface AuditedMeter {
  readonly meterId: string
  readonly page: string
  readonly readings: number
  readonly gaps: number
  /** Readings that say of themselves that they are not to be settled on, or not to be dated by. */
  readonly withErrors: number
  readonly sequence: readonly [first: number, last: number]
  readonly time: readonly [first: Instant, last: Instant]
  /** The least trusted time of all. */
  readonly quality: TimeQuality
  /** Counters of the first and of the last reading that hold any and do not say that they are not to be settled on. */
  readonly first: readonly MeterValue[]
  readonly last: readonly MeterValue[]
}

/** An event that was signed. */
export interface AuditedEvent {
  readonly time: Instant
  readonly boot: number
  readonly what: What
}

export interface Audit {
  readonly signers: readonly AuditedSigner[]
  readonly meters: readonly AuditedMeter[]
  readonly contexts: number
  /** The last of them, so many as a dispute reads. */
  readonly events: readonly AuditedEvent[]
  readonly heads: readonly JournalHead[]
  readonly broken: BrokenList
}

export interface AuditOptions {
  readonly verifier: Verifier
  /** Raw public keys that may sign. Without any, a key is taken as its context says, and nobody has vouched for it. */
  readonly keys?: readonly Uint8Array[]
  /** Key statements and revocations that came with the rest, in any order: a key that one of `keys` handed over to may sign. */
  readonly keyRecords?: readonly Uint8Array[]
}

export interface ReadingAudit {
  /** `where` is said of the rules that it breaks. */
  add(envelope: Uint8Array, where: string): void
  end(): Audit
}

/** A dispute reads the first of them; a heap that is wrong from end to end must not fill the memory. */
const LISTED_MOST = 1000
/** What happened to a journal is read by a person. */
const EVENTS_MOST = 1000
/** A context a boot and a clock step: more than a gateway has in its life. */
const CONTEXTS_MOST = 100_000

interface Chain {
  readonly check: ChainCheck
  meter: AuditedMeter
}

const QUALITIES: readonly TimeQuality[] = ['unknown', 'informative', 'relative', 'synchronised']
const worse = (a: TimeQuality, b: TimeQuality): TimeQuality => (QUALITIES.indexOf(a) < QUALITIES.indexOf(b) ? a : b)

export function createReadingAudit({ verifier, keys, keyRecords = [] }: AuditOptions): ReadingAudit {
  const contexts = new Map<string, VerifiedContext>()
  const signers = new Map<string, readonly AuditedSigner[]>()
  const chains = new Map<string, Chain>()
  const eventChecks = new Map<string, ChainCheck<VerifiedEvent>>()
  const events: AuditedEvent[] = []
  const heads = new Map<string, JournalHead>()
  const broken = collectBroken()

  const trusted = createAuditKeys({ verifier, keys, records: keyRecords })

  function noteSigner(key: Uint8Array, device: Uint8Array, trust?: KeyTrust): void {
    const name = `${toHex(key)} ${toHex(device)}`
    const before = signers.get(name) ?? []
    if (trust === undefined ? before.length > 0 : before.some(one => one.trust === trust)) return
    const signer = { key, kid: kidOf(algOfKey(key)!, key), device, expected: trusted.isExpected(key, device) }
    const claimed = before.filter(one => one.trust !== undefined)
    signers.set(name, [...claimed, trust === undefined ? signer : { ...signer, trust }])
  }

  function addContext(envelope: Uint8Array, { key, device, boot }: Context): Result<void> {
    // A context has no time of its own: its readings are judged by theirs.
    const other = trusted.faultOf(key, device, { boot, time: instant(0) })
    if (other !== undefined) return fail(other)
    const verified = verifyContext(envelope, key, verifier)
    if (!verified.ok) return verified
    const { context, hash } = verified.value
    if (contexts.size >= CONTEXTS_MOST) return fail({ code: 'audit.too-many-contexts', limit: CONTEXTS_MOST })
    contexts.set(toHex(hash.subarray(0, CONTEXT_REFERENCE_BYTES)), verified.value)
    noteSigner(key, context.device, context.trust)
    return done
  }

  function addEvent(envelope: Uint8Array, said: Event, where: string): Result<void> {
    const { key, device } = said
    const other = trusted.faultOf(key, device, said)
    if (other !== undefined) return fail(other)
    const verified = verifyEvent(envelope, key, verifier)
    if (!verified.ok) return verified
    noteSigner(key, device)
    const name = toHex(device)
    const check = eventChecks.get(name) ?? createEventChainCheck()
    eventChecks.set(name, check)
    for (const fault of check.add(verified.value)) broken.add(where, { ...fault, of: 'events' })
    const { time, boot, what } = verified.value.event
    events.push({ time, boot, what })
    if (events.length > EVENTS_MOST) events.shift()
    return done
  }

  /** A head names no key: it is by one that signed for its gateway before it, or that was expected. */
  function addHead(envelope: Uint8Array, head: JournalHead, kid: Uint8Array): Result<void> {
    const ofGateway = [...signers.values()].flat().filter(({ device }) => equalBytes(device, head.device))
    const known = [...(keys ?? []), ...ofGateway.map(signer => signer.key)]
    const key = known.find(one => equalBytes(kidOf(algOfKey(one)!, one), kid))
    if (key === undefined) return fail({ code: 'audit.unknown-signer', kid: toHex(kid), hint: 'name its key' })
    const verified = verifyHead(envelope, key, verifier)
    if (!verified.ok) return verified
    const name = `${toHex(head.device)} ${toHex(head.journal)} ${head.sequence}`
    const before = heads.get(name)
    if (before !== undefined && compareHeads(before, head) === 'forked') {
      const hint = 'a journal has one frame of a number: this one was written anew'
      return fail({ code: 'audit.head-forked', frame: head.sequence, hash: toHex(before.hash), hint })
    }
    heads.set(name, head)
    return done
  }

  function addReading(envelope: Uint8Array, { context, time }: Reading): Result<VerifiedReading> {
    const named = contexts.get(toHex(context))
    if (named === undefined) {
      const hint = 'a reading travels with its context, before it'
      return fail({ code: 'audit.no-context', context: toHex(context), hint })
    }
    const { key, device, boot } = named.context
    const other = trusted.faultOf(key, device, { boot, time })
    return other === undefined ? verifyReadingIn(named, envelope, verifier) : fail(other)
  }

  function follow(verified: VerifiedReading, where: string): void {
    const { reading, context } = verified
    const { sequence, time, quality } = reading
    const name = `${toHex(context.device)} ${context.meterId}`
    let chain = chains.get(name)
    const counters = reading.errors.includes('energy') ? [] : reading.registers.filter(({ obis }) => isCounter(obis))
    if (chain === undefined) {
      const meter: AuditedMeter = {
        meterId: context.meterId,
        page: context.page,
        readings: 0,
        gaps: 0,
        withErrors: 0,
        sequence: [sequence, sequence],
        time: [time, time],
        quality,
        first: [],
        last: [],
      }
      chain = { check: createChainCheck(), meter }
      chains.set(name, chain)
    }
    for (const fault of chain.check.add(verified)) broken.add(where, { ...fault, meter: context.meterId })
    const { meter } = chain
    const isGap = reading.reason === 'gap'
    chain.meter = {
      ...meter,
      readings: meter.readings + (isGap ? 0 : 1),
      gaps: meter.gaps + (isGap ? 1 : 0),
      withErrors: meter.withErrors + (reading.errors.length > 0 ? 1 : 0),
      sequence: [meter.sequence[0], sequence],
      time: [meter.time[0], time],
      quality: worse(meter.quality, quality),
      first: meter.first.length === 0 ? counters : meter.first,
      last: counters.length === 0 ? meter.last : counters,
    }
  }

  return {
    add(envelope, where) {
      const opened = parseSign1(envelope)
      if (!opened.ok) return broken.add(where, opened.fault)
      const { payload } = opened.value
      const reading = parseReading(payload)
      if (reading.ok) {
        const verified = addReading(envelope, reading.value)
        return verified.ok ? follow(verified.value, where) : broken.add(where, verified.fault)
      }
      const context = parseContext(payload)
      if (context.ok) {
        const added = addContext(envelope, context.value)
        return added.ok ? undefined : broken.add(where, added.fault)
      }
      const event = parseEvent(payload)
      if (event.ok) {
        const added = addEvent(envelope, event.value, where)
        return added.ok ? undefined : broken.add(where, added.fault)
      }
      const head = parseHead(payload)
      if (head.ok) {
        const added = addHead(envelope, head.value, opened.value.kid)
        return added.ok ? undefined : broken.add(where, added.fault)
      }
      // Read before all else: they say of every other envelope whether its key may have signed it.
      if (parseKeyRecord(envelope).ok) return
      broken.add(where, { code: 'audit.unknown-payload', reading: reading.fault.code, context: context.fault.code })
    },
    end: () => {
      for (const fault of trusted.broken()) broken.add('key records', fault)
      return {
        signers: [...signers.values()].flat(),
        meters: [...chains.values()].map(({ meter }) => meter),
        contexts: contexts.size,
        events,
        heads: [...heads.values()],
        broken,
      }
    },
  }
}
