/** A device's own keys over time, from the statements in its journal. */
import type { JournalRecord } from '../drivers/store/journal-block.ts'
import { equalBytes, toHex } from '../protocol/bytes.ts'
import { parseSign1 } from '../protocol/crypto/cose.ts'
import type { Verifier } from '../protocol/crypto/verify.ts'
import { ueidOf } from '../protocol/identity/key.ts'
import {
  type KeyHistory,
  type KeyHistoryFault,
  parseKeyRecord,
  readKeyHistory,
  type SigningUse,
} from '../protocol/identity/rotation.ts'
import { parseContext } from '../protocol/reading/context.ts'
import { done, fail, type Result } from '../protocol/result.ts'
import { KEY_KIND } from './keeping.ts'
import type { SiteKeys } from './keys.ts'
import { readMeteringRecord } from './metering/journal-form.ts'

export interface OwnKey {
  readonly use: SigningUse
  readonly device: Uint8Array
  /** Raw keys: of the account, and what the configuration names now for this use. */
  readonly account: Uint8Array
  readonly key: Uint8Array
}

/** The keys of one use; where nothing was ever signed or said of them, the configured key is the first. */
export function readOwnHistory(
  kept: readonly JournalRecord[],
  { use, device, account, key }: OwnKey,
  verifier: Verifier,
): Result<KeyHistory, KeyHistoryFault> {
  const records = kept.filter(({ kind }) => kind === KEY_KIND).map(({ bytes }) => bytes)
  let first = (use === 'metering' ? signedWith(kept) : undefined) ?? key
  for (const bytes of records) {
    const parsed = parseKeyRecord(bytes)
    if (!parsed.ok) return parsed
    if (parsed.value.kind !== 'statement') continue
    const { statement } = parsed.value
    if (statement.use === use && statement.number === 2) first = statement.before
  }
  return readKeyHistory({ device, use, first, account }, records, verifier)
}

/** The key that signed what a journal without statements holds: its contexts say so. */
function signedWith(kept: readonly JournalRecord[]): Uint8Array | undefined {
  const found = kept.find(({ kind }) => kind === 'context')
  const record = found === undefined ? undefined : readMeteringRecord(found.bytes)
  const envelope = record === undefined ? undefined : parseSign1(record.envelope)
  const context = envelope?.ok ? parseContext(envelope.value.payload) : undefined
  return context?.ok ? context.value.key : undefined
}

/** The raw key that signs now by what the journal holds; undefined where nothing was signed yet, or it does not hold. */
export function keyInForce(
  kept: readonly JournalRecord[],
  own: Omit<OwnKey, 'key'>,
  verifier: Verifier,
): Uint8Array | undefined {
  const nobody = new Uint8Array(0)
  const history = readOwnHistory(kept, { ...own, key: nobody }, verifier)
  const last = history.ok ? history.value.periods.at(-1)!.key : nobody
  return last === nobody ? undefined : last
}

/** Why this key must not sign on: another one took over, or it was revoked. */
export function checkOwnKey(history: KeyHistory, key: Uint8Array): Result<void> {
  const last = history.periods.at(-1)!
  const { use } = history
  if (!equalBytes(last.key, key)) {
    const hint = `by the journal key ${last.number} signs now: name that one under keys.${use}, or rotate from it`
    return fail({ code: 'keys.superseded', use, configured: toHex(key), inForce: toHex(last.key), hint })
  }
  if (last.revoked !== undefined) {
    const hint = 'rotate to a new key with `tieline key rotate`'
    return fail({ code: 'keys.revoked', use, key: toHex(key), reason: last.revoked.reason, hint })
  }
  return done
}

/** Both, for every key with which an agent is about to sign for the record. */
export function checkOwnKeys(
  kept: readonly JournalRecord[],
  { account, metering, ocmf }: Pick<SiteKeys, 'account' | 'metering' | 'ocmf'>,
  verifier: Verifier,
): Result<void> {
  const own = { device: ueidOf(account.publicKey), account: account.publicKey }
  for (const [use, signer] of [
    ['metering', metering],
    ['ocmf', ocmf],
  ] as const) {
    if (signer === undefined) continue
    const key = signer.publicKey
    const history = readOwnHistory(kept, { ...own, use, key }, verifier)
    if (!history.ok) return history
    const checked = checkOwnKey(history.value, key)
    if (!checked.ok) return checked
  }
  return done
}
