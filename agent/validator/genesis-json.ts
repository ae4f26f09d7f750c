/**
 * A ledger's genesis as JSON, in the frame of CometBFT's genesis document: what `/genesis` serves, `--genesis FILE` reads.
 *
 *     { "chain_id": "tieline-dev-1", "genesis_time": "2026-11-22T12:00:00Z",
 *       "app_state": { "fee": "100", "fee_account": "<40 hex>", "operator": "<40 hex>",
 *         "accounts": [{ "public_key": "<base64>", "balance": "1000000" }],
 *         "meters": [{ "meter_id": "41000102", "owner": "<40 hex>", "line": "L1", "public_key": "<base64>",
 *           "trust": "tpm", "source": "solar", "feeder": "F-7", "accuracy": "B" }],
 *         "validators": [{ "public_key": "<base64>", "owner": "<40 hex>", "stake": "10000000" }],
 *         "staking": { "unit": "1000000", "unbonding_ms": 1814400000, "slash_permille": 50, "most": 21 },
 *         "roles": [{ "role": "regulator", "holder": "<40 hex>" }],
 *         "peers": [{ "chain_id": "grid-1", "trusting_period_ms": 1209600000, "max_clock_drift_ms": 10000,
 *           "relay_margin_ms": 600000, "anchor": { "height": "1", "hash": "<64 hex>" } }], "reserve_on": "grid-1" } }
 *
 * Everything after `meters`, and what stands in a meter's second line, may be absent.
 */
import { fromHex, toHex } from '../../protocol/bytes.ts'
import { fromBase64, toBase64 } from '../../protocol/chain/base64.ts'
import { chainTime, instantOf, timeOfText, timeText } from '../../protocol/chain/chain-time.ts'
import { KEY_TRUST } from '../../protocol/identity/key.ts'
import { METER_CLASSES, ROLE_NAMES } from '../../protocol/ledger/fields.ts'
import { checkGenesis, type Genesis, type GenesisFault } from '../../protocol/ledger/genesis.ts'
import { type Money, micros } from '../../protocol/quantity.ts'
import { fail, type Result } from '../../protocol/result.ts'
import { SOURCES } from '../../protocol/trade/contract.ts'

type GenesisJsonFault =
  | GenesisFault
  | { readonly code: 'genesis.json'; readonly place: string; readonly expected: string }

export const genesisJson = (genesis: Genesis) => ({
  chain_id: genesis.chainId,
  genesis_time: timeText(chainTime(genesis.time)),
  // What is absent is undefined here and not written at all.
  app_state: {
    fee: String(genesis.fee),
    fee_account: toHex(genesis.feeAccount),
    operator: toHex(genesis.operator),
    accounts: genesis.accounts.map(({ publicKey, balance }) => ({
      public_key: toBase64(publicKey),
      balance: String(balance),
    })),
    meters: genesis.meters.map(({ meterId, owner, publicKey, ...rest }) => ({
      meter_id: meterId,
      owner: toHex(owner),
      public_key: toBase64(publicKey),
      ...rest,
    })),
    validators: genesis.validators?.map(({ publicKey, owner, stake }) => ({
      public_key: toBase64(publicKey),
      owner: toHex(owner),
      stake: String(stake),
    })),
    staking: genesis.staking && {
      unit: String(genesis.staking.unit),
      unbonding_ms: genesis.staking.unbondingMs,
      slash_permille: genesis.staking.slashPermille,
      most: genesis.staking.most,
    },
    roles: genesis.roles?.map(({ role, holder }) => ({ role, holder: toHex(holder) })),
    peers: genesis.peers?.map(({ chainId, trustingPeriodMs, maxClockDriftMs, relayMarginMs, anchor }) => ({
      chain_id: chainId,
      trusting_period_ms: trustingPeriodMs,
      max_clock_drift_ms: maxClockDriftMs,
      relay_margin_ms: relayMarginMs,
      anchor: anchor && { height: String(anchor.height), hash: toHex(anchor.hash) },
    })),
    reserve_on: genesis.reserveOn,
    seller_proves: genesis.sellerProves,
  },
})

/** A place in the document that is not what it should be; caught below, it never leaves this file. */
class Misfit {
  readonly place: string
  readonly expected: string
  constructor(place: string, expected: string) {
    this.place = place
    this.expected = expected
  }
}

type Read<T> = (value: unknown, place: string) => T

/** A field that may hold only what `parse` makes something of. */
const text =
  <T>(expected: string, parse: (text: string) => T | undefined): Read<T> =>
  (value, place) => {
    const parsed = typeof value === 'string' ? parse(value) : undefined
    if (parsed === undefined) throw new Misfit(place, expected)
    return parsed
  }

const named = text('1 to 50 letters, digits, dots, hyphens', value =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$/.test(value) ? value : undefined,
)
const serial = text('1 to 64 printable characters', value => (/^[\x20-\x7e]{1,64}$/.test(value) ? value : undefined))
const money: Read<Money> = text('a whole number of micro-units in a string', value =>
  /^\d{1,19}$/.test(value) ? micros(BigInt(value)) : undefined,
)
const address = text('an address of 40 hexadecimal digits', value => (value.length === 40 ? fromHex(value) : undefined))
const key = text('a public key in base64', fromBase64)
const time = text('a time as 2026-11-22T12:00:00Z', timeOfText)

const hash = text('64 hexadecimal digits', value => (value.length === 64 ? fromHex(value) : undefined))
const height = text('a height from 1 in a string', value => (/^[1-9]\d{0,18}$/.test(value) ? BigInt(value) : undefined))

const choice = <const W extends string>(...words: readonly W[]): Read<W> =>
  text(`one of ${words.join(', ')}`, value => words.find(word => word === value))

/** Bounds of meaning are the ledger's to check; here it is a number that JSON can hold. */
const whole: Read<number> = (value, place) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new Misfit(place, 'a whole number')
  return value as number
}

/** A rule that a ledger has, or does not name. */
const isTrue: Read<true> = (value, place) => {
  if (value !== true) throw new Misfit(place, 'true, or no such field')
  return true
}

type Field = <F>(name: string, as: Read<F>) => F

/** An object of CometBFT's: fields that are not ours are its own. */
const object =
  <T>(read: (field: Field) => T): Read<T> =>
  (value, place) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Misfit(place, 'an object')
    const fields = value as Record<string, unknown>
    return read((name, as) => as(Object.hasOwn(fields, name) ? fields[name] : undefined, `${place}.${name}`))
  }

/** An object of ours: a field that nobody asks for is a slip of the pen, and its rule would silently not hold. */
const exactly =
  <T>(read: (field: Field) => T): Read<T> =>
  (value, place) => {
    const asked = new Set<string>()
    const found = object(field =>
      read((name, as) => {
        asked.add(name)
        return field(name, as)
      }),
    )(value, place)
    for (const name of Object.keys(value as object)) {
      if (!asked.has(name)) throw new Misfit(`${place}.${name}`, 'no such field')
    }
    return found
  }

const list =
  <T>(read: Read<T>): Read<readonly T[]> =>
  (value, place) => {
    if (!Array.isArray(value)) throw new Misfit(place, 'a list')
    return value.map((item, i) => read(item, `${place}[${i}]`))
  }

const optional =
  <T>(read: Read<T>): Read<T | undefined> =>
  (value, place) =>
    value === undefined ? undefined : read(value, place)

/** An object without those of its fields that are undefined. */
const given = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    readonly [K in keyof T]?: Exclude<T[K], undefined>
  }

const account = exactly(field => ({ publicKey: field('public_key', key), balance: field('balance', money) }))
const meter = exactly(field => ({
  meterId: field('meter_id', serial),
  owner: field('owner', address),
  line: field('line', named),
  publicKey: field('public_key', key),
  ...given({
    trust: field('trust', optional(choice(...KEY_TRUST))),
    source: field('source', optional(choice(...SOURCES))),
    feeder: field('feeder', optional(named)),
    accuracy: field('accuracy', optional(choice(...METER_CLASSES))),
  }),
}))
const validator = exactly(field => ({
  publicKey: field('public_key', key),
  owner: field('owner', address),
  stake: field('stake', money),
}))
const staking = exactly(field => ({
  unit: field('unit', money),
  unbondingMs: field('unbonding_ms', whole),
  slashPermille: field('slash_permille', whole),
  most: field('most', whole),
}))
const role = exactly(field => ({ role: field('role', choice(...ROLE_NAMES)), holder: field('holder', address) }))
const anchor = exactly(field => ({ height: field('height', height), hash: field('hash', hash) }))
const peer = exactly(field => ({
  chainId: field('chain_id', named),
  trustingPeriodMs: field('trusting_period_ms', whole),
  maxClockDriftMs: field('max_clock_drift_ms', whole),
  relayMarginMs: field('relay_margin_ms', whole),
  ...given({ anchor: field('anchor', optional(anchor)) }),
}))
const appState = exactly(field => ({
  fee: field('fee', money),
  feeAccount: field('fee_account', address),
  operator: field('operator', address),
  accounts: field('accounts', list(account)),
  meters: field('meters', list(meter)),
  ...given({
    validators: field('validators', optional(list(validator))),
    staking: field('staking', optional(staking)),
    roles: field('roles', optional(list(role))),
    peers: field('peers', optional(list(peer))),
    reserveOn: field('reserve_on', optional(named)),
    sellerProves: field('seller_proves', optional(isTrue)),
  }),
}))
const document = object(field => ({
  chainId: field('chain_id', named),
  time: instantOf(field('genesis_time', time)),
  ...field('app_state', appState),
}))

/** A genesis that a ledger can begin with, from the text of a JSON file. Fields of CometBFT's that are not ours are ignored. */
export function parseGenesis(source: string): Result<Genesis, GenesisJsonFault> {
  try {
    return checkGenesis(document(JSON.parse(source), 'genesis'))
  } catch (error) {
    if (error instanceof Misfit) return fail({ code: 'genesis.json', place: error.place, expected: error.expected })
    // The only other thing that throws here is JSON.parse, and that is its answer.
    if (error instanceof SyntaxError) return fail({ code: 'genesis.json', place: 'genesis', expected: error.message })
    throw error
  }
}
