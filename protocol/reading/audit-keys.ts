/**
 * Whose key an envelope may be by: one that was expected, or one that an expected key handed over to, as the key statements
 * beside the readings say. Statements count for nothing where no expected key stands at their beginning.
 */
import { equalBytes, toHex } from '../bytes.ts'
import type { Verifier } from '../crypto/verify.ts'
import { ueidOf } from '../identity/key.ts'
import { judgeKey, type KeyHistory, parseKeyRecord, readKeyHistory, type SignedAt } from '../identity/rotation.ts'
import type { Fault } from '../result.ts'

export interface AuditKeysOptions {
  readonly verifier: Verifier
  /** Raw public keys that may sign; a device's account key among them vouches for its later keys, too. */
  readonly keys: readonly Uint8Array[] | undefined
  /** Key statements and revocations, in any order. */
  readonly records: readonly Uint8Array[]
}

export interface AuditKeys {
  /** Why this key of a device may not have signed then; undefined where it may, or where nobody was expected. */
  faultOf(key: Uint8Array, device: Uint8Array, at: SignedAt): Fault | undefined
  isExpected(key: Uint8Array, device: Uint8Array): boolean
  /** Key records that do not hold, found so far, by the device that they are of. */
  broken(): readonly Fault[]
}

export function createAuditKeys({ verifier, keys, records }: AuditKeysOptions): AuditKeys {
  const byDevice = new Map<string, Uint8Array[]>()
  const broken: Fault[] = []
  for (const record of records) {
    const parsed = parseKeyRecord(record)
    if (!parsed.ok) {
      broken.push(parsed.fault)
      continue
    }
    const { device } = parsed.value.kind === 'statement' ? parsed.value.statement : parsed.value.revocation
    const name = toHex(device)
    const own = byDevice.get(name) ?? []
    own.push(record)
    byDevice.set(name, own)
  }
  const histories = new Map<string, KeyHistory | undefined>()
  const isNamed = (key: Uint8Array) => keys?.some(one => equalBytes(one, key)) === true

  function historyOf(device: Uint8Array): KeyHistory | undefined {
    const name = toHex(device)
    if (!histories.has(name)) histories.set(name, readHistory(device, byDevice.get(name) ?? []))
    return histories.get(name)
  }

  function readHistory(device: Uint8Array, own: readonly Uint8Array[]): KeyHistory | undefined {
    const first = firstKey(own)
    const account = keys?.find(key => equalBytes(ueidOf(key), device))
    if (first === undefined || (keys !== undefined && !isNamed(first))) return undefined
    const read = readKeyHistory({ device, use: 'metering', first, ...(account && { account }) }, own, verifier)
    if (read.ok) return read.value
    const hint =
      account === undefined ? { hint: "where it is the account's word, name the account key with --key as well" } : {}
    broken.push({ ...read.fault, ...hint, device: toHex(device) })
    return undefined
  }

  return {
    isExpected: (key, device) =>
      isNamed(key) ||
      (keys !== undefined && historyOf(device)?.periods.some(each => equalBytes(each.key, key)) === true),
    faultOf(key, device, at) {
      const history = historyOf(device)
      if (history?.periods.some(each => equalBytes(each.key, key)) === true) {
        const judged = judgeKey(history, key, at)
        return judged.ok ? undefined : judged.fault
      }
      if (keys === undefined || isNamed(key)) return undefined
      return { code: 'audit.other-key', key: toHex(key), hint: 'none of the keys that were expected' }
    },
    broken: () => broken,
  }
}

/** The key that handed over to the second one. */
function firstKey(records: readonly Uint8Array[]): Uint8Array | undefined {
  for (const record of records) {
    const parsed = parseKeyRecord(record)
    if (!parsed.ok || parsed.value.kind !== 'statement') continue
    const { use, number, before } = parsed.value.statement
    if (use === 'metering' && number === 2) return before
  }
  return undefined
}
