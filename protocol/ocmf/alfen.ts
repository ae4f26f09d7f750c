/**
 * ALFEN records: `AP;type;version;key;dataset;signature;`, the last three in base32. Layout and rules as the
 * S.A.F.E. transparency software documents them by its reader and tests; no public specification is known.
 *
 *     0  10  adapter's id             34   4  time, seconds since 1970, UTC
 *    10   4  adapter's firmware       38   6  OBIS
 *    14   2  its checksum             44   1  DLMS unit
 *    16  10  meter's id               45   1  scaler, signed
 *    26   4  status bits              46   8  value, signed
 *    30   4  operating seconds        54  20  UID of the user, UTF-8, zeros behind
 *                                     74   4  session     78   4  page           (82 bytes, little-endian)
 *
 * Only the dataset is signed (P-192, SHA-256, r and s of 24 bytes each): type and version are the sender's word, so the
 * types have to agree with the order of the pages, and a note tells that no more is known. The key in the record proves
 * nothing about the station unless it is known from elsewhere.
 */
import { equalBytes, fromUtf8, toHex } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import { fail, ok, type Result } from '../result.ts'
import { DLMS_UNIT, obisName } from '../telegram/obis.ts'
import { instant } from '../time.ts'
import { fromBase32 } from './base32.ts'
import { type EcdsaVerifier, type EcPublicKey, readPublicKey, withCurve } from './key.ts'
import { isPlain, readRegisterName, shown } from './values.ts'
import type { BrokenRule, ChargedEnergy, ChargingVerdict, Transaction } from './verdict.ts'

const DATASET_BYTES = 82
const SIGNATURE_BYTES = 48
/** A compressed point of P-192. */
const POINT_BYTES = 25

/** What the type says: where in a session the record stands. */
const TYPES = ['begin', 'end', 'between'] as const
type RecordType = (typeof TYPES)[number]

/** Bits of the status, least significant of the first byte first, that mean a reading not to be used. */
const ERROR_BITS: readonly (readonly [number, string])[] = [
  [1, 'meter error'],
  [2, 'meter error'],
  [16, 'adapter error'],
  [26, 'reading at the begin differs'],
  [30, 'adapter error'],
  [31, 'adapter error'],
]

const TYPE_UNSIGNED: BrokenRule = {
  code: 'alfen.type-unsigned',
  hint: 'the format does not sign which record begins and which ends: a session may have begun before or gone on after',
}

export type AlfenFault =
  | { readonly code: 'alfen.form'; readonly fields: number; readonly hint: string }
  | { readonly code: 'alfen.field'; readonly field: string; readonly expected: string; readonly found: string }

export interface AlfenRecord {
  readonly type: RecordType
  readonly key: Uint8Array
  readonly dataset: Uint8Array
  readonly signature: Uint8Array
  readonly adapter: string
  readonly meter: string
  readonly errors: readonly string[]
  readonly operatingSeconds: number
  readonly seconds: number
  readonly obis: string
  readonly scaler: number
  readonly value: bigint
  readonly user: string
  readonly session: number
  readonly page: number
}

export function parseAlfen(text: string): Result<AlfenRecord, AlfenFault> {
  const fields = text.trim().split(';')
  // A semicolon stands behind the last field too, or not.
  if (fields.length === 7 && fields[6] === '') fields.pop()
  const [head, typeText, version, keyText, datasetText, signatureText] = fields
  if (head !== 'AP' || fields.length !== 6)
    return fail({
      code: 'alfen.form',
      fields: fields.length,
      hint: 'a record is AP;type;version;key;dataset;signature',
    })
  const wrong = (field: string, expected: string, found = '') =>
    fail({ code: 'alfen.field', field, expected, found: shown(found) } as const)
  const type = /^[012]$/.test(typeText!) ? TYPES[Number(typeText)] : undefined
  if (type === undefined) return wrong('type', '0, 1 or 2', typeText)
  if (!/^[23]$/.test(version!)) return wrong('version', '2 or 3', version)
  const key = fromBase32(keyText!)
  if (key?.length !== POINT_BYTES) return wrong('key', `${POINT_BYTES} bytes in base32`, keyText)
  const dataset = fromBase32(datasetText!)
  if (dataset?.length !== DATASET_BYTES) return wrong('dataset', `${DATASET_BYTES} bytes in base32`)
  const signature = fromBase32(signatureText!)
  if (signature?.length !== SIGNATURE_BYTES) return wrong('signature', `${SIGNATURE_BYTES} bytes in base32`)
  const view = new DataView(dataset.buffer, dataset.byteOffset, dataset.length)
  const user = fromUtf8(dataset.subarray(54, 74))?.replace(/\0+$/, '')
  if (user === undefined || !isPlain(user)) return wrong('dataset.uid', 'UTF-8 without control characters')
  if (dataset[44] !== DLMS_UNIT.Wh) return wrong('dataset.unit', `${DLMS_UNIT.Wh}, Wh`, String(dataset[44]))
  return ok({
    type,
    key,
    dataset,
    signature,
    adapter: toHex(dataset.subarray(0, 10)),
    meter: toHex(dataset.subarray(16, 26)),
    errors: ERROR_BITS.filter(([bit]) => (dataset[26 + (bit >> 3)]! >> (bit & 7)) & 1).map(
      ([bit, name]) => `${name} (bit ${bit})`,
    ),
    operatingSeconds: view.getUint32(30, true),
    seconds: view.getUint32(34, true),
    obis: obisName(dataset.subarray(38, 44)),
    scaler: view.getInt8(45),
    value: view.getBigInt64(46, true),
    user,
    session: view.getUint32(74, true),
    page: view.getUint32(78, true),
  })
}

/** The verdict over records in the order given, as of verifyOcmf. Without a `key` the one in the first record is taken. */
export function verifyAlfen(
  texts: readonly string[],
  key: string | undefined,
  verifier: EcdsaVerifier,
): ChargingVerdict {
  const broken: BrokenRule[] = []
  const records: Numbered[] = []
  for (const [i, text] of texts.entries()) {
    const parsed = parseAlfen(text)
    if (parsed.ok) records.push({ ...parsed.value, number: i + 1 })
    else broken.push({ ...parsed.fault, record: i + 1 })
  }
  const first = records[0]
  const given = keyOf(key, first)
  if (given !== undefined && !given.ok) broken.push(given.fault)
  const used = given?.ok ? given.value : undefined
  let signed = 0
  for (const { dataset, signature, key: own, number } of records) {
    if (used === undefined) continue
    if (!equalBytes(own, compressedPoint(used)))
      broken.push({
        code: 'alfen.other-key',
        record: number,
        hint: 'the record carries a key other than the one given',
      })
    else if (verifier.verify(used, 'sha256', dataset, signature)) signed++
    else
      broken.push({ code: 'alfen.signature', record: number, hint: 'the record was changed, or another key signed it' })
  }
  for (const [i, record] of records.entries()) if (i > 0) judgePair(records[i - 1]!, record, broken)
  const transactions = bySession(records).map(session => judgeSession(session, broken))
  const isClean = broken.length === 0
  return {
    authentic: texts.length > 0 && signed === texts.length,
    ok: isClean && texts.length > 0,
    complete: isClean && transactions.length > 0 && transactions.every(({ energies }) => energies.length > 0),
    ...(used === undefined || first === undefined || signed === 0
      ? {}
      : {
          who: {
            fingerprint: toHex(sha256(used.spki)),
            curve: used.curve,
            gatewaySerial: first.adapter,
            meterSerial: first.meter,
          },
        }),
    transactions: isClean ? transactions : transactions.map(each => ({ ...each, energies: [] })),
    broken,
    notes: transactions.some(({ whole }) => whole) ? [TYPE_UNSIGNED] : [],
  }
}

type Numbered = AlfenRecord & { readonly number: number }

/** The key given, else the record's own. */
function keyOf(text: string | undefined, first: Numbered | undefined): Result<EcPublicKey> | undefined {
  if (text !== undefined) return readAlfenKey(text)
  return first === undefined ? undefined : readAlfenKey(toHex(first.key))
}

/** A key as base32, as it stands in the records, or as readPublicKey takes it. */
export function readAlfenKey(text: string): Result<EcPublicKey> {
  const bytes = fromBase32(text.trim())
  const given = readPublicKey(bytes?.length === POINT_BYTES ? toHex(bytes) : text)
  if (!given.ok) return given
  const key = withCurve(given.value, 'secp192r1')
  if (!key.ok || key.value.curve === 'secp192r1') return key
  return fail({ code: 'alfen.curve', found: key.value.curve, hint: 'ALFEN signs on secp192r1' })
}

/** The point of a key, compressed as in the records (SEC 1 section 2.3.3). */
function compressedPoint({ spki }: EcPublicKey): Uint8Array {
  const whole = spki.subarray(-2 * POINT_BYTES + 1)
  if (whole[0] !== 4) return spki.subarray(-POINT_BYTES)
  return Uint8Array.of(2 | (whole.at(-1)! & 1), ...whole.subarray(1, POINT_BYTES))
}

function judgePair(before: Numbered, after: Numbered, broken: BrokenRule[]): void {
  const record = after.number
  const rule = (code: string, from: string | number | bigint, to: string | number | bigint) =>
    broken.push({ code, record, from, to })
  if (after.page !== before.page + 1)
    rule(after.page > before.page ? 'alfen.page-gap' : 'alfen.page-back', before.page, after.page)
  if (after.adapter !== before.adapter || after.meter !== before.meter)
    rule('alfen.serial-changed', `${before.adapter}/${before.meter}`, `${after.adapter}/${after.meter}`)
  if (after.seconds < before.seconds) rule('alfen.time-back', before.seconds, after.seconds)
  if (after.operatingSeconds < before.operatingSeconds)
    rule('alfen.operating-time-back', before.operatingSeconds, after.operatingSeconds)
  if (after.obis !== before.obis || after.scaler !== before.scaler)
    rule('alfen.register-changed', `${before.obis} ${before.scaler}`, `${after.obis} ${after.scaler}`)
  else if (after.value < before.value) rule('alfen.register-fell', before.value, after.value)
}

/** Records one after another that name one session. */
function bySession(records: readonly Numbered[]): Numbered[][] {
  const sessions: Numbered[][] = []
  for (const record of records) {
    const open = sessions.at(-1)
    if (open?.[0]?.session === record.session) open.push(record)
    else sessions.push([record])
  }
  return sessions
}

function judgeSession(records: readonly Numbered[], broken: BrokenRule[]): Transaction {
  const first = records[0]!
  const last = records.at(-1)!
  for (const record of records) {
    const { number, errors, user } = record
    if (errors.length > 0) broken.push({ code: 'alfen.status', record: number, found: errors })
    if (user !== first.user) broken.push({ code: 'alfen.user-changed', record: number })
    const isOutOfPlace = (record.type === 'begin' && record !== first) || (record.type === 'end' && record !== last)
    if (isOutOfPlace) broken.push({ code: 'alfen.order', record: number, found: record.type })
  }
  const begin = records.find(({ type }) => type === 'begin')
  const end = records.find(({ type }) => type === 'end')
  const whole = begin !== undefined && end !== undefined
  const mark = ({ seconds }: AlfenRecord) => ({ at: instant(seconds * 1000), quality: 'unknown' as const })
  const direction = readRegisterName(first.obis)?.direction
  const energy: ChargedEnergy = {
    obis: first.obis,
    ...(direction === undefined ? {} : { direction }),
    value: last.value - first.value,
    scaler: first.scaler,
    unit: 'Wh',
  }
  return {
    ...(first.user === '' ? {} : { user: first.user }),
    ...(begin === undefined ? {} : { begin: mark(begin) }),
    ...(end === undefined ? {} : { end: mark(end) }),
    whole,
    energies: whole ? [energy] : [],
  }
}
