/**
 * Whose updates a gateway takes: a text for people to write, one fact a line, `#` begins a remark.
 *
 *     key 64 hexadecimal digits [whose]     raw Ed25519 public key; one or several
 *     threshold 2                           so many of them must have signed; 1 where it is not said
 *     group pilot                           takes updates for this group, and those for everybody
 */
import { fromHex, toHex } from '../bytes.ts'
import { keyFault } from '../crypto/verify.ts'
import { bytes, integer, list, type RecordOf, record } from '../record.ts'
import { type Fault, fail, ok, type Result } from '../result.ts'

/** More would make a head of signatures that nobody reads. */
export const KEYS_MAX = 8
export const GROUP = /^[a-z0-9][a-z0-9-]{0,31}$/

const FIELDS = {
  threshold: [1, integer(1, KEYS_MAX)],
  /** Raw Ed25519. */
  keys: [2, list(bytes(32), 1, KEYS_MAX)],
} as const

/** As a manifest names it. */
export const trustCodec = record(FIELDS)
export type Trust = RecordOf<typeof FIELDS>

export interface Root extends Trust {
  readonly group?: string
}

const bad = (reason: string, line?: number): Result<never> => fail({ code: 'update.trust', line, reason })

/** Why such keys are no ground to trust anything. */
export function trustFault({ threshold, keys }: Trust): Fault | undefined {
  const no = (reason: string): Fault => ({ code: 'update.trust', reason })
  if (new Set(keys.map(toHex)).size !== keys.length) return no('a key stands twice')
  if (threshold > keys.length) return no(`a threshold of ${threshold} and ${keys.length} keys`)
  for (const key of keys) {
    const fault = keyFault('EdDSA', key)
    if (fault !== undefined) return no(`${toHex(key).slice(0, 8)}...: ${fault.reason}`)
  }
  return undefined
}

/** Undefined where the text names no key: then no update is taken. */
export function readTrust(text: string): Result<Root | undefined> {
  const keys: Uint8Array[] = []
  let threshold: number | undefined
  let group: string | undefined
  for (const [at, raw] of text.split('\n').entries()) {
    const [word, value = '', ...more] = raw.replace(/#.*/, '').trim().split(/\s+/)
    const line = at + 1
    if (word === '' || word === undefined) continue
    if (word === 'key') {
      const key = fromHex(value)
      if (key?.length !== 32) return bad('a key is 64 hexadecimal digits', line)
      keys.push(key)
    } else if (word === 'threshold' && threshold === undefined && /^[1-8]$/.test(value) && more.length === 0) {
      threshold = Number(value)
    } else if (word === 'group' && group === undefined && GROUP.test(value) && more.length === 0) {
      group = value
    } else return bad('neither a key, nor one threshold, nor one group', line)
  }
  if (keys.length === 0) return threshold === undefined ? ok(undefined) : bad('a threshold without a key')
  if (keys.length > KEYS_MAX) return bad(`more than ${KEYS_MAX} keys`)
  const root: Root = { threshold: threshold ?? 1, keys, ...(group === undefined ? {} : { group }) }
  const fault = trustFault(root)
  return fault === undefined ? ok(root) : fail(fault)
}
