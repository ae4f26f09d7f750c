/**
 * Whether OCMF records may be believed: each signed by the key, and together a run of pages of one station from the begin
 * to the end of whole transactions. All broken rules are named, not the first: a dispute wants them all.
 *
 * An ECDSA signature (r, s) has a twin (r, n - s) that anybody can make, and OCMF asks for neither of the two: both are
 * valid. So a record is told from another by its payload and page, never by its signature. Of each twin one text is
 * valid, strict DER; what else BER would allow is refused.
 */
import { fromHex, toHex, utf8 } from '../bytes.ts'
import { fromBase64 } from '../chain/base64.ts'
import { sha256 } from '../crypto/hash.ts'
import { fail, ok, type Result } from '../result.ts'
import {
  type CurveName,
  DEFAULT_ALGORITHM,
  type EcdsaHash,
  type EcdsaVerifier,
  type EcPublicKey,
  type GivenKey,
  type KeyFault,
  readAlgorithm,
  readDerSignature,
  readPublicKey,
  withCurve,
} from './key.ts'
import { type OcmfRecord, parseOcmf } from './parse.ts'
import { judgeRun } from './run.ts'
import { shown } from './values.ts'
import type { BrokenRule, ChargingVerdict } from './verdict.ts'

type SignatureFault =
  | { readonly code: 'ocmf.algorithm'; readonly found: string; readonly hint: string }
  | { readonly code: 'ocmf.algorithm-conflict'; readonly signed: string; readonly unsigned: string }
  | { readonly code: 'ocmf.curve-differs'; readonly found: string; readonly key: CurveName }
  | { readonly code: 'ocmf.signature-encoding'; readonly expected: string }
  | { readonly code: 'ocmf.signature-der'; readonly bytes: number }
  | { readonly code: 'ocmf.signature'; readonly hint: string }
  | { readonly code: 'ocmf.no-key'; readonly hint: string }
  | KeyFault

const POINT_HINT = 'the key is a bare point: its curve is taken from the records, which do not sign it'

/**
 * The verdict over records in the order given, all of one station and one key. A single record is a run of one: begin or
 * end alone is no broken rule, but then the transaction is not whole and no energy is said. `key` is text as
 * `readPublicKey` takes it; without one nothing is authentic.
 */
export function verifyOcmf(
  texts: readonly string[],
  key: string | undefined,
  verifier: EcdsaVerifier,
): ChargingVerdict {
  const broken: BrokenRule[] = []
  const notes: BrokenRule[] = []
  const given = giveKey(key)
  if (!given.ok) broken.push(given.fault)
  const records: { readonly record: OcmfRecord; readonly number: number }[] = []
  let used: EcPublicKey | undefined
  const curves = new Set<CurveName>()
  let signed = 0
  for (const [i, text] of texts.entries()) {
    const parsed = parseOcmf(text)
    for (const fault of parsed.broken) broken.push({ ...fault, record: i + 1 })
    if (parsed.record === undefined) continue
    records.push({ record: parsed.record, number: i + 1 })
    if (!given.ok) continue
    const checked = checkSignature(parsed.record, given.value, verifier)
    if (!checked.ok) broken.push({ ...checked.fault, record: i + 1 })
    else {
      signed++
      used = checked.value
      curves.add(used.curve)
    }
  }
  if (given.ok && given.value.kind === 'point')
    for (const curve of curves) notes.push({ code: 'ocmf.curve-unsigned', curve, hint: POINT_HINT })
  const transactions = judgeRun(records, broken)
  const isClean = broken.length === 0
  const last = records.at(-1)?.record.payload
  return {
    authentic: texts.length > 0 && signed === texts.length,
    ok: isClean && texts.length > 0,
    complete: isClean && transactions.length > 0 && transactions.every(each => each.energies.length > 0),
    ...(used === undefined
      ? {}
      : {
          who: {
            fingerprint: toHex(sha256(used.spki)),
            curve: used.curve,
            ...(last?.GS === undefined ? {} : { gatewaySerial: last.GS }),
            ...(last?.MS === undefined ? {} : { meterSerial: last.MS }),
          },
        }),
    transactions: isClean ? transactions : transactions.map(each => ({ ...each, energies: [] })),
    broken,
    notes,
  }
}

const giveKey = (key: string | undefined): Result<GivenKey, SignatureFault> =>
  key === undefined
    ? fail({ code: 'ocmf.no-key', hint: "give the station's public key, from its label or from a register of keys" })
    : readPublicKey(key)

/** The key as it was used, where the record is signed by it. */
function checkSignature(
  record: OcmfRecord,
  given: GivenKey,
  verifier: EcdsaVerifier,
): Result<EcPublicKey, SignatureFault> {
  const way = wayOfSigning(record, given)
  if (!way.ok) return way
  const { key, hash } = way.value
  const { SD, SE = 'hex' } = record.signature
  const der = SE === 'hex' ? ofOneCase(SD) : fromBase64(SD)
  if (der === undefined) return fail({ code: 'ocmf.signature-encoding', expected: SE })
  const signature = readDerSignature(der, key.curve)
  if (signature === undefined) return fail({ code: 'ocmf.signature-der', bytes: der.length })
  return verifier.verify(key, hash, utf8(record.payloadText), signature)
    ? ok(key)
    : fail({ code: 'ocmf.signature', hint: 'the record was changed, or another key signed it' })
}

/** Hex in capitals or in small letters: mixed, a signature would have a second text for each of its letters. */
const ofOneCase = (text: string): Uint8Array | undefined =>
  text === text.toUpperCase() || text === text.toLowerCase() ? fromHex(text) : undefined

function wayOfSigning(
  record: OcmfRecord,
  given: GivenKey,
): Result<{ readonly key: EcPublicKey; readonly hash: EcdsaHash }, SignatureFault> {
  const { signedAlgorithm } = record
  const unsigned = record.signature.SA
  if (signedAlgorithm !== undefined && unsigned !== undefined && signedAlgorithm !== unsigned)
    return fail({ code: 'ocmf.algorithm-conflict', signed: shown(signedAlgorithm), unsigned: shown(unsigned) })
  const named = signedAlgorithm ?? unsigned
  // Before 0.4 there is no default: the curve is the key's, and SHA-256 the only hash that those revisions know.
  if (named === undefined && isBeforeDefault(record) && given.kind === 'spki') return ok({ key: given, hash: 'sha256' })
  const algorithm = readAlgorithm(named ?? DEFAULT_ALGORITHM)
  if (algorithm === undefined) {
    const hint = 'known are ECDSA on the seven curves of OCMF with SHA256, SHA384 or SHA512'
    return fail({ code: 'ocmf.algorithm', found: shown(named!), hint })
  }
  const key = withCurve(given, algorithm.curve)
  if (key.ok && key.value.curve !== algorithm.curve)
    return fail({ code: 'ocmf.curve-differs', found: algorithm.curve, key: key.value.curve })
  return key.ok ? ok({ key: key.value, hash: algorithm.hash }) : key
}

const isBeforeDefault = (record: OcmfRecord): boolean => ['0.1', '0.2', '0.3'].includes(record.payload.FV)
