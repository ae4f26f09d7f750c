/**
 * A ledger's genesis as JSON, in the frame of CometBFT's genesis document: what `/genesis` serves, `--genesis FILE` reads.
 *
 *     { "chain_id": "tieline-dev-1", "genesis_time": "2026-11-22T12:00:00Z",
 *       "app_state": { "fee": "100", "fee_account": "<40 hex>", "operator": "<40 hex>",
 *         "accounts": [{ "public_key": "<base64>", "balance": "1000000" }],
 *         "meters": [{ "meter_id": "41000102", "owner": "<40 hex>", "line": "L1", "public_key": "<base64>" }] } }
 */
import { fromHex, toHex } from '../../protocol/bytes.ts'
import { fromBase64, toBase64 } from '../../protocol/chain/base64.ts'
import { chainTime, instantOf, timeOfText, timeText } from '../../protocol/chain/chain-time.ts'
import { checkGenesis, type Genesis, type GenesisFault } from '../../protocol/ledger/genesis.ts'
import { type Money, micros } from '../../protocol/quantity.ts'
import { fail, type Result } from '../../protocol/result.ts'

type GenesisJsonFault =
  | GenesisFault
  | { readonly code: 'genesis.json'; readonly place: string; readonly expected: string }

export const genesisJson = (genesis: Genesis) => ({
  chain_id: genesis.chainId,
  genesis_time: timeText(chainTime(genesis.time)),
  app_state: {
    fee: String(genesis.fee),
    fee_account: toHex(genesis.feeAccount),
    operator: toHex(genesis.operator),
    accounts: genesis.accounts.map(({ publicKey, balance }) => ({
      public_key: toBase64(publicKey),
      balance: String(balance),
    })),
    meters: genesis.meters.map(({ meterId, owner, line, publicKey }) => ({
      meter_id: meterId,
      owner: toHex(owner),
      line,
      public_key: toBase64(publicKey),
    })),
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

const object =
  <T>(read: (field: <F>(name: string, as: Read<F>) => F) => T): Read<T> =>
  (value, place) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Misfit(place, 'an object')
    const fields = value as Record<string, unknown>
    return read((name, as) => as(Object.hasOwn(fields, name) ? fields[name] : undefined, `${place}.${name}`))
  }

const list =
  <T>(read: Read<T>): Read<readonly T[]> =>
  (value, place) => {
    if (!Array.isArray(value)) throw new Misfit(place, 'a list')
    return value.map((item, i) => read(item, `${place}[${i}]`))
  }

const account = object(field => ({ publicKey: field('public_key', key), balance: field('balance', money) }))
const meter = object(field => ({
  meterId: field('meter_id', serial),
  owner: field('owner', address),
  line: field('line', named),
  publicKey: field('public_key', key),
}))
const appState = object(field => ({
  fee: field('fee', money),
  feeAccount: field('fee_account', address),
  operator: field('operator', address),
  accounts: field('accounts', list(account)),
  meters: field('meters', list(meter)),
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
