/**
 * What a heap of signed envelopes proves: who signed, when, of which meters, what is missing, every broken rule. Contexts
 * come before the readings that name them. Readings are judged one by one, so the heap may be of any size.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { kidOf, parseSign1 } from '../crypto/cose.ts'
import type { Verifier } from '../crypto/verify.ts'
import { algOfKey, type KeyTrust } from '../identity/key.ts'
import { type Fault, fail, type Result } from '../result.ts'
import type { MeterValue } from '../telegram/obis.ts'
import type { Instant, TimeQuality } from '../time.ts'
import { type ChainCheck, createChainCheck, isCounter } from './chain.ts'
import { CONTEXT_REFERENCE_BYTES, type Context, parseContext } from './context.ts'
import { parseReading, type Reading } from './reading.ts'
import { type VerifiedContext, type VerifiedReading, verifyContext, verifyReadingIn } from './verify.ts'

/** A rule broken, and where: a line, a byte or a record of what was looked at. */
export interface Broken {
  readonly where: string
  readonly fault: Fault
}

export interface AuditedSigner {
  readonly key: Uint8Array
  readonly kid: Uint8Array
  readonly device: Uint8Array
  /** As the context claims. */
  readonly trust: KeyTrust
  /** Whether it is one of the keys that were expected; false too where none was. */
  readonly expected: boolean
}

export interface AuditedMeter {
  readonly meterId: string
  readonly page: string
  readonly readings: number
  readonly gaps: number
  readonly sequence: readonly [first: number, last: number]
  readonly time: readonly [first: Instant, last: Instant]
  /** The least trusted time of all. */
  readonly quality: TimeQuality
  /** Counters of the first and of the last reading that hold any. */
  readonly first: readonly MeterValue[]
  readonly last: readonly MeterValue[]
}

export interface Audit {
  readonly signers: readonly AuditedSigner[]
  readonly meters: readonly AuditedMeter[]
  readonly contexts: number
  readonly broken: readonly Broken[]
  /** Rules broken beyond those that are listed. */
  readonly unlisted: number
}

export interface AuditOptions {
  readonly verifier: Verifier
  /** Raw public keys that may sign. Without any, a key is taken as its context says, and nobody has vouched for it. */
  readonly keys?: readonly Uint8Array[]
}

export interface ReadingAudit {
  /** `where` is said of the rules that it breaks. */
  add(envelope: Uint8Array, where: string): void
  end(): Audit
}

/** A dispute reads the first of them; a heap that is wrong from end to end must not fill the memory. */
const LISTED_MOST = 1000
/** A context a boot and a clock step: more than a gateway has in its life. */
const CONTEXTS_MOST = 100_000

interface Chain {
  readonly check: ChainCheck
  meter: AuditedMeter
}

const QUALITIES: readonly TimeQuality[] = ['unknown', 'informative', 'relative', 'synchronised']
const worse = (a: TimeQuality, b: TimeQuality): TimeQuality => (QUALITIES.indexOf(a) < QUALITIES.indexOf(b) ? a : b)

export function createReadingAudit({ verifier, keys }: AuditOptions): ReadingAudit {
  const contexts = new Map<string, VerifiedContext>()
  const signers = new Map<string, AuditedSigner>()
  const chains = new Map<string, Chain>()
  const broken: Broken[] = []
  let unlisted = 0

  function refuse(where: string, fault: Fault): void {
    if (broken.length < LISTED_MOST) broken.push({ where, fault })
    else unlisted++
  }

  const isExpected = (key: Uint8Array) => keys?.some(one => equalBytes(one, key)) === true

  function addContext(envelope: Uint8Array, { key }: Context): Result<void> {
    if (keys !== undefined && !isExpected(key)) {
      return fail({ code: 'audit.other-key', key: toHex(key), hint: 'none of the keys that were expected' })
    }
    const verified = verifyContext(envelope, key, verifier)
    if (!verified.ok) return verified
    const { context, hash } = verified.value
    if (contexts.size >= CONTEXTS_MOST) return fail({ code: 'audit.too-many-contexts', limit: CONTEXTS_MOST })
    contexts.set(toHex(hash.subarray(0, CONTEXT_REFERENCE_BYTES)), verified.value)
    const { device, trust } = context
    const kid = kidOf(algOfKey(key)!, key)
    signers.set(`${toHex(key)} ${toHex(device)} ${trust}`, { key, kid, device, trust, expected: isExpected(key) })
    return { ok: true, value: undefined }
  }

  function addReading(envelope: Uint8Array, { context }: Reading): Result<VerifiedReading> {
    const named = contexts.get(toHex(context))
    return named === undefined
      ? fail({
          code: 'audit.no-context',
          context: toHex(context),
          hint: 'a reading travels with its context, before it',
        })
      : verifyReadingIn(named, envelope, verifier)
  }

  function follow(verified: VerifiedReading, where: string): void {
    const { reading, context } = verified
    const { sequence, time, quality } = reading
    const name = `${toHex(context.device)} ${context.meterId}`
    let chain = chains.get(name)
    const counters = reading.registers.filter(({ obis }) => isCounter(obis))
    if (chain === undefined) {
      const meter: AuditedMeter = {
        meterId: context.meterId,
        page: context.page,
        readings: 0,
        gaps: 0,
        sequence: [sequence, sequence],
        time: [time, time],
        quality,
        first: [],
        last: [],
      }
      chain = { check: createChainCheck(), meter }
      chains.set(name, chain)
    }
    for (const fault of chain.check.add(verified)) refuse(where, { ...fault, meter: context.meterId })
    const { meter } = chain
    const isGap = reading.reason === 'gap'
    chain.meter = {
      ...meter,
      readings: meter.readings + (isGap ? 0 : 1),
      gaps: meter.gaps + (isGap ? 1 : 0),
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
      if (!opened.ok) return refuse(where, opened.fault)
      const { payload } = opened.value
      const reading = parseReading(payload)
      if (reading.ok) {
        const verified = addReading(envelope, reading.value)
        return verified.ok ? follow(verified.value, where) : refuse(where, verified.fault)
      }
      const context = parseContext(payload)
      if (context.ok) {
        const added = addContext(envelope, context.value)
        return added.ok ? undefined : refuse(where, added.fault)
      }
      refuse(where, { code: 'audit.unknown-payload', reading: reading.fault.code, context: context.fault.code })
    },
    end: () => ({
      signers: [...signers.values()],
      meters: [...chains.values()].map(({ meter }) => meter),
      contexts: contexts.size,
      broken,
      unlisted,
    }),
  }
}
