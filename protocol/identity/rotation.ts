/**
 * Which key of a device signed when: statements that are shown in a dispute years later.
 *
 * A key statement says that another key signs from now on. It is two envelopes, one in the other: the new key signs the
 * statement, which proves that somebody has it, and the old key signs that envelope, which says that it is the device's.
 * For an old key that is lost or stolen, as with a token that broke or is gone, the account key signs in its place.
 *
 *     COSE_Sign1 by the old key, external_aad tieline/key/1:
 *       COSE_Sign1 by the new key, external_aad tieline/key-proof/1:
 *         aa                    map of 10
 *           01 51 ueid          the device
 *           02 01 use           place in KEY_USES
 *           03 02 number        of the new key; the first key is number 1 and has no statement
 *           04 58 20 before     raw key that signed until now
 *           05 58 20 key        raw key that signs from now on
 *           06 01 trust         where its private half lives (KEY_TRUST)
 *           07 03 boot          first boot of the gateway in which the new key signs
 *           08 1b time          UTC, Unix milliseconds
 *           09 00 reason        place in KEY_REASONS
 *           0a 02 quality       of that time
 *
 * A revocation says that nothing is to be believed that a key signed since a moment, as when it was stolen. COSE_Sign1 by
 * the account key, external_aad tieline/key-revocation/1: device, use, key, since, boot where it is known, reason. Of the
 * account alone: whoever steals the key of today must not take the word of the keys before it.
 *
 * Keys change between two boots, because a boot count is in every context and event and needs no clock: a board that
 * wakes up in 1970 still says which key is its own. A thief can write any time and boot into what he signs; that a record
 * was there before a theft is shown by the chain it stands in and by heads in other hands, not here.
 */
import { equalBytes, toHex, utf8 } from '../bytes.ts'
import { type CoseFault, envelopeHash, kidOf, parseSign1, type Sign1, verifySign1 } from '../crypto/cose.ts'
import type { KeyFault as AdmissionFault, Verifier } from '../crypto/verify.ts'
import { bytes, decodeAs, encodeAs, integer, type RecordFault, type RecordOf, record, word } from '../record.ts'
import { done, fail, ok, type Result } from '../result.ts'
import type { Instant, TimeQuality } from '../time.ts'
import { admissionFault, algOfKey, KEY_TRUST } from './key.ts'

/** external_aad of the old key's signature, of the new key's, and of a revocation's. */
export const KEY_PURPOSE = utf8('tieline/key/1')
export const KEY_PROOF_PURPOSE = utf8('tieline/key-proof/1')
export const REVOCATION_PURPOSE = utf8('tieline/key-revocation/1')

/** What a key signs; a place in the list is the number on disk: append, never reorder. */
const KEY_USES = ['account', 'metering', 'ocmf'] as const
export type SigningUse = (typeof KEY_USES)[number]
/** Its time had come; it moved to another store; somebody else may have it; it is lost. */
const KEY_REASONS = ['planned', 'moved', 'stolen', 'lost'] as const

/** Two envelopes around a statement of 190 bytes. */
const MAX_ENVELOPE = 512
const MAX_BOOTS = 2 ** 32 - 1
const WALL = integer<Instant>(0, 253_402_300_799_999)
const QUALITY = word<TimeQuality>('unknown', 'informative', 'synchronised', 'relative')
const KEY = bytes(32, 33)

const STATEMENT = {
  device: [1, bytes(7, 33)],
  use: [2, word(...KEY_USES)],
  number: [3, integer(2, MAX_BOOTS)],
  before: [4, KEY],
  key: [5, KEY],
  trust: [6, word(...KEY_TRUST)],
  boot: [7, integer(1, MAX_BOOTS)],
  time: [8, WALL],
  reason: [9, word(...KEY_REASONS)],
  quality: [10, QUALITY],
} as const
const statementCodec = record(STATEMENT)
export type KeyStatement = RecordOf<typeof STATEMENT>

const REVOCATION = {
  device: [1, bytes(7, 33)],
  use: [2, word(...KEY_USES)],
  key: [3, KEY],
  /** From when on nothing of this key is believed. */
  since: [4, WALL],
  /** When this was signed. */
  time: [5, WALL],
  reason: [6, word(...KEY_REASONS)],
} as const
/** The same, for a board whose clock was never set: the first boot of which nothing is believed. */
const REVOCATION_MORE = { boot: [7, integer(1, MAX_BOOTS)] } as const
const revocationCodec = record(REVOCATION, REVOCATION_MORE)
export type Revocation = RecordOf<typeof REVOCATION, typeof REVOCATION_MORE>

/** What the new key signs; its envelope is what the old key signs. */
export const encodeKeyStatement = (statement: KeyStatement): Uint8Array => encodeAs(statementCodec, statement)
export const encodeRevocation = (revocation: Revocation): Uint8Array => encodeAs(revocationCodec, revocation)

export type KeyHistoryFault =
  | CoseFault
  | RecordFault
  | AdmissionFault
  | { readonly code: 'key.kid'; readonly expected: string; readonly received: string }
  | { readonly code: 'key.other-device'; readonly expected: string; readonly received: string }
  /** A statement of a key is missing. */
  | { readonly code: 'key.gap'; readonly expected: number; readonly received: number }
  | { readonly code: 'key.not-linked'; readonly number: number; readonly expected: string; readonly received: string }
  /** One old key handed over to two new ones. */
  | { readonly code: 'key.fork'; readonly number: number; readonly one: string; readonly other: string }
  | { readonly code: 'key.reused'; readonly number: number; readonly first: number }
  | { readonly code: 'key.boot-fell'; readonly number: number; readonly from: number; readonly to: number }
  /** Not signed by the account key, or that is not known. */
  | { readonly code: 'key.not-entitled'; readonly revoked: string; readonly signer: string }
  | { readonly code: 'key.unknown'; readonly key: string }

/** A key statement or a revocation whose signatures are still to be checked. */
type Parsed =
  | {
      readonly kind: 'statement'
      readonly statement: KeyStatement
      readonly outer: Sign1
      readonly inner: Sign1
      readonly hash: Uint8Array
    }
  | { readonly kind: 'revocation'; readonly revocation: Revocation; readonly envelope: Sign1 }

/** Takes either apart; nothing about its signatures is known yet. */
export function parseKeyRecord(input: Uint8Array): Result<Parsed, CoseFault | RecordFault> {
  const outer = parseSign1(input, MAX_ENVELOPE)
  if (!outer.ok) return outer
  const { payload } = outer.value
  const inner = parseSign1(payload, MAX_ENVELOPE)
  if (inner.ok) {
    const statement = decodeAs(statementCodec, inner.value.payload, 'key', MAX_ENVELOPE)
    if (!statement.ok) return statement
    const hash = envelopeHash(outer.value, KEY_PURPOSE)
    return ok({ kind: 'statement', statement: statement.value, outer: outer.value, inner: inner.value, hash })
  }
  const revocation = decodeAs(revocationCodec, payload, 'revocation', MAX_ENVELOPE)
  return revocation.ok ? ok({ kind: 'revocation', revocation: revocation.value, envelope: outer.value }) : revocation
}

export interface KeyPeriod {
  /** The first is 1. */
  readonly number: number
  readonly key: Uint8Array
  /** What handed over to it; of the first nothing did. */
  readonly by?: { readonly statement: KeyStatement; readonly hash: Uint8Array }
  readonly revoked?: Revocation
}

export interface KeyHistory {
  readonly device: Uint8Array
  readonly use: SigningUse
  /** In their order, one at the least. */
  readonly periods: readonly KeyPeriod[]
}

export interface KeyRoot {
  readonly device: Uint8Array
  readonly use: SigningUse
  /** The raw key that signed first, known from elsewhere: the configuration of a neighbour, the ledger. */
  readonly first: Uint8Array
  /** The account's raw key, which alone revokes keys of its device, and speaks for those that are lost or stolen. */
  readonly account?: Uint8Array
}

/**
 * All keys of one use, from the first key and what was signed about later ones, in any order. Records of other uses are
 * passed over; one that does not hold makes the whole list unfit, because nobody can say what it hides.
 */
export function readKeyHistory(
  { device, use, first, account }: KeyRoot,
  records: Iterable<Uint8Array>,
  verifier: Verifier,
): Result<KeyHistory, KeyHistoryFault> {
  const statements: Extract<Parsed, { kind: 'statement' }>[] = []
  const revocations: Extract<Parsed, { kind: 'revocation' }>[] = []
  for (const input of records) {
    const parsed = parseKeyRecord(input)
    if (!parsed.ok) return parsed
    const about = parsed.value.kind === 'statement' ? parsed.value.statement : parsed.value.revocation
    if (!equalBytes(about.device, device)) {
      return fail({ code: 'key.other-device', expected: toHex(device), received: toHex(about.device) })
    }
    if (about.use !== use) continue
    if (parsed.value.kind === 'statement') statements.push(parsed.value)
    else revocations.push(parsed.value)
  }
  statements.sort((a, b) => a.statement.number - b.statement.number)
  const periods: KeyPeriod[] = [{ number: 1, key: first }]
  for (const next of statements) {
    const added = handOver(periods, next, account, verifier)
    if (!added.ok) return added
  }
  for (const each of revocations) {
    const revoked = revoke(periods, each, account, verifier)
    if (!revoked.ok) return revoked
  }
  return ok({ device, use, periods })
}

/** Whether an envelope's header names this key. */
function names(envelope: Sign1, key: Uint8Array): boolean {
  const alg = algOfKey(key)
  return alg === envelope.alg && equalBytes(kidOf(alg, key), envelope.kid)
}

function signedBy(envelope: Sign1, key: Uint8Array, purpose: Uint8Array, verifier: Verifier) {
  if (names(envelope, key)) return verifySign1(envelope, key, purpose, verifier)
  return fail({ code: 'key.kid', expected: toHex(kidOf(algOfKey(key)!, key)), received: toHex(envelope.kid) } as const)
}

function handOver(
  periods: KeyPeriod[],
  { statement, outer, inner, hash }: Extract<Parsed, { kind: 'statement' }>,
  account: Uint8Array | undefined,
  verifier: Verifier,
): Result<void, KeyHistoryFault> {
  const { number, before, key, boot } = statement
  if (number > periods.length + 1) return fail({ code: 'key.gap', expected: periods.length + 1, received: number })
  const old = periods[number - 2]!
  if (!equalBytes(before, old.key)) {
    return fail({ code: 'key.not-linked', number, expected: toHex(old.key), received: toHex(before) })
  }
  const inadmissible = admissionFault(key)
  if (inadmissible !== undefined) return fail(inadmissible)
  const isGone = statement.reason === 'lost' || statement.reason === 'stolen'
  const byAccount = isGone && account !== undefined && names(outer, account)
  const endorsed = signedBy(outer, byAccount ? account : before, KEY_PURPOSE, verifier)
  if (!endorsed.ok) return endorsed
  const proven = signedBy(inner, key, KEY_PROOF_PURPOSE, verifier)
  if (!proven.ok) return proven
  const there = periods[number - 1]
  if (there !== undefined) {
    // Said twice in the same words is said once: a signature is no part of what is said.
    return equalBytes(encodeKeyStatement(there.by!.statement), inner.payload)
      ? done
      : fail({ code: 'key.fork', number, one: toHex(there.key), other: toHex(key) })
  }
  const used = periods.find(period => equalBytes(period.key, key))
  if (used !== undefined) return fail({ code: 'key.reused', number, first: used.number })
  const from = old.by?.statement.boot ?? 1
  if (boot < from) return fail({ code: 'key.boot-fell', number, from, to: boot })
  periods.push({ number, key, by: { statement, hash } })
  return done
}

function revoke(
  periods: KeyPeriod[],
  { revocation, envelope }: Extract<Parsed, { kind: 'revocation' }>,
  account: Uint8Array | undefined,
  verifier: Verifier,
): Result<void, KeyHistoryFault> {
  const { key, since } = revocation
  const at = periods.findIndex(period => equalBytes(period.key, key))
  const period = periods[at]
  if (period === undefined) return fail({ code: 'key.unknown', key: toHex(key) })
  if (account === undefined || !names(envelope, account)) {
    return fail({ code: 'key.not-entitled', revoked: toHex(key), signer: toHex(envelope.kid) })
  }
  const signed = signedBy(envelope, account, REVOCATION_PURPOSE, verifier)
  if (!signed.ok) return signed
  // Of several the one that reaches furthest back.
  if (period.revoked === undefined || since < period.revoked.since) periods[at] = { ...period, revoked: revocation }
  return done
}

/** When an envelope says that it was signed; heads and foreign records know no boot. */
export interface SignedAt {
  readonly boot?: number
  readonly time: Instant
}

export type KeyUseFault =
  | { readonly code: 'key.unknown'; readonly key: string }
  | { readonly code: 'key.revoked'; readonly key: string; readonly since: number; readonly time: number }
  | {
      readonly code: 'key.superseded' | 'key.not-yet'
      readonly key: string
      readonly number: number
      readonly inForce: number
    }

/** The key that signed at a moment: by the boot where it is known, else by the time. */
export function keyAt({ periods }: KeyHistory, { boot, time }: SignedAt): KeyPeriod {
  const begun = ({ by }: KeyPeriod) =>
    by === undefined || (boot === undefined ? by.statement.time <= time : by.statement.boot <= boot)
  return periods.findLast(begun)!
}

/** Whether an envelope of this key and moment is to be believed: the key in force then, and not revoked. */
export function judgeKey(history: KeyHistory, key: Uint8Array, at: SignedAt): Result<KeyPeriod, KeyUseFault> {
  const period = history.periods.find(each => equalBytes(each.key, key))
  if (period === undefined) return fail({ code: 'key.unknown', key: toHex(key) })
  const { number, revoked } = period
  if (revoked !== undefined) {
    const { since, boot } = revoked
    if (at.time >= since || (boot !== undefined && at.boot !== undefined && at.boot >= boot)) {
      return fail({ code: 'key.revoked', key: toHex(key), since, time: at.time })
    }
  }
  const inForce = keyAt(history, at).number
  if (inForce === number) return ok(period)
  const code = number < inForce ? 'key.superseded' : 'key.not-yet'
  return fail({ code, key: toHex(key), number, inForce })
}
