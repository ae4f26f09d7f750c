/**
 * Sites that a ledger is to know, as a person names them on a command line and `tieline key show --enrol` prints them:
 *
 *     --account KEY
 *     --meter SERIAL:LINE:ACCOUNT:KEY      LINE is a direct line's id, or the node from which a grid meter hangs
 *     --role ROLE:ACCOUNT
 *
 * ACCOUNT and KEY are raw public keys in hexadecimal. Whose account a meter or a role is need not be named by itself.
 */
import { equalBytes, fromHex, toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { admissionFault } from '../../protocol/identity/key.ts'
import { meterId as meterIdForm, name as nameForm, ROLE_NAMES } from '../../protocol/ledger/fields.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import type { Money } from '../../protocol/quantity.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Command } from '../cli/commander.ts'
import { unknownName } from '../cli/usage.ts'

interface NamedMeter {
  readonly meterId: string
  readonly line: string
  /** Address of the account whose it is. */
  readonly owner: Uint8Array
  readonly publicKey: Uint8Array
}

export interface Enrolments {
  /** Public keys, each once, those of meters and roles among them. */
  readonly accounts: readonly Uint8Array[]
  readonly meters: readonly NamedMeter[]
  readonly roles: readonly { readonly role: (typeof ROLE_NAMES)[number]; readonly holder: Uint8Array }[]
}

/** As they were typed, option by option. */
export interface EnrolmentOptions {
  readonly account: readonly string[]
  readonly meter: readonly string[]
  readonly role: readonly string[]
}

const repeated = (value: string, before: readonly string[]): readonly string[] => [...before, value]

/** The three options, each to be given as often as wanted. */
export const enrolmentOptions = (command: Command): Command =>
  command
    .option('--account <key>', "a site's account key, which gets an account; repeat for several", repeated, [])
    .option('--meter <serial:line:account:key>', 'a meter of an account, with its metering key; repeat', repeated, [])
    .option('--role <role:account>', `an account's role on the ledger: ${ROLE_NAMES.join(', ')}; repeat`, repeated, [])

/** A fault `enrol.option` says in its hint what is wrong with which option. */
export function readEnrolments({ account, meter, role }: EnrolmentOptions): Result<Enrolments> {
  const accounts = new Map<string, Uint8Array>()
  const meters = new Map<string, NamedMeter>()
  const roles: Enrolments['roles'][number][] = []
  for (const text of account) {
    const key = readKey(text)
    if (typeof key === 'string') return wrong('account', text, key)
    if (accounts.has(toHex(key))) return wrong('account', text, 'comes twice')
    accounts.set(toHex(key), key)
  }
  for (const text of meter) {
    // A serial number may have colons of its own.
    const [, meterId = '', line = '', owner = '', signing = ''] = /^(.*):([^:]*):([^:]*):([^:]*)$/.exec(text) ?? []
    if (!meterIdForm.read(meterId, '').ok)
      return wrong('meter', text, 'must be SERIAL:LINE:ACCOUNT:KEY, the serial of 1 to 64 printable characters')
    if (!nameForm.read(line, '').ok)
      return wrong('meter', text, `line "${line}" is not 1 to 50 letters, digits, dots, hyphens`)
    const [ownerKey, publicKey] = [readKey(owner), readKey(signing)]
    if (typeof ownerKey === 'string') return wrong('meter', text, `its account ${ownerKey}`)
    if (typeof publicKey === 'string') return wrong('meter', text, `its metering key ${publicKey}`)
    if (equalBytes(ownerKey, publicKey)) return wrong('meter', text, 'has its account key for its metering key, too')
    if (meters.has(meterId)) return wrong('meter', text, `serial ${meterId} comes twice`)
    accounts.set(toHex(ownerKey), ownerKey)
    meters.set(meterId, { meterId, line, owner: addressOf(ownerKey), publicKey })
  }
  for (const text of role) {
    const [, named = '', holder = ''] = /^([^:]*):([^:]*)$/.exec(text) ?? []
    const known = ROLE_NAMES.find(one => one === named)
    if (known === undefined) return wrong('role', text, unknownName('role', named, ROLE_NAMES))
    const key = readKey(holder)
    if (typeof key === 'string') return wrong('role', text, `its account ${key}`)
    const one = { role: known, holder: addressOf(key) }
    if (roles.some(other => other.role === known && equalBytes(other.holder, one.holder)))
      return wrong('role', text, 'comes twice')
    accounts.set(toHex(key), key)
    roles.push(one)
  }
  return ok({ accounts: [...accounts.values()], meters: [...meters.values()], roles })
}

export const namesAny = ({ account, meter, role }: EnrolmentOptions): boolean =>
  account.length + meter.length + role.length > 0

/** A genesis that begins with these, each new account with that much; of what it has already nothing changes. */
export function enrolIn(genesis: Genesis, { accounts, meters, roles }: Enrolments, balance: Money): Genesis {
  const isThere = (key: Uint8Array) => genesis.accounts.some(({ publicKey }) => equalBytes(publicKey, key))
  const opened = accounts.filter(key => !isThere(key)).map(publicKey => ({ publicKey, balance }))
  const granted = [...(genesis.roles ?? []), ...roles]
  return {
    ...genesis,
    accounts: [...genesis.accounts, ...opened],
    meters: [...genesis.meters, ...meters],
    ...(granted.length === 0 ? {} : { roles: granted }),
  }
}

const wrong = (option: string, text: string, why: string): Result<never> =>
  fail({ code: 'enrol.option', hint: `--${option} ${text.slice(0, 200)}: ${why}` })

/** The key, or why the text is none. */
function readKey(text: string): Uint8Array | string {
  const key = fromHex(text)
  if (key?.length === 65 && key[0] === 4) return 'is an uncompressed point: a P-256 key is 66 hexadecimal digits'
  if (key === undefined || (key.length !== 32 && key.length !== 33))
    return 'must be 64 hexadecimal digits of an Ed25519 key, or 66 of a P-256 key'
  const fault = admissionFault(key)
  return fault === undefined
    ? key
    : `is no ${key.length === 32 ? 'Ed25519' : 'P-256'} key (${fault.reason}); a sealing key, for one, signs nothing`
}
