/** What the ledger's state is made of: kinds of record, and the prefix of their keys. */

import { toHex } from '../bytes.ts'
import { accumulatedCodec, HEADERS_KEY } from '../chain/accumulator.ts'
import type { Money } from '../quantity.ts'
import { big, bytes, type Codec, flag, integer, list, record } from '../record.ts'
import { frameNumber } from './body/journals.ts'
import { COIN_TABLES } from './coin-tables.ts'
import { type DealRecord, dealRecord } from './deal-record.ts'
import { address, hash32, MAX_MONEY, meterFacts, money, name, price, sequence, signingKey, time } from './fields.ts'
import { GRID_METERS, METER_WINDOWS } from './grid-tables.ts'
import { NETWORK_TABLES } from './network-tables.ts'
import { SERVICE_TABLES } from './service-tables.ts'
import type { Table } from './table.ts'

const account = record({
  /** The key that signs now; the account keeps the address of its first one. */
  publicKey: [1, signingKey],
  balance: [2, money],
  /** What the next transaction of this account has to carry. */
  sequence: [3, sequence],
})

const meter = record(
  { owner: [1, address], line: [2, name], publicKey: [3, signingKey] },
  {
    ...meterFacts,
    /** Block time at which it was revoked. */
    revoked: [4, time],
    /** By the regulator: no contract is committed for a window that starts in it. Without `until`, for good. */
    suspended: [9, record({ from: [1, time] }, { until: [2, time] })],
  },
)

/** Bounds of a price per kWh, both included, for contracts committed from a block time on. */
const band = record({ from: [1, time], floor: [2, price], ceiling: [3, price] })
/** The band in force, and the one that takes its place. */
const bands = record({}, { now: [1, band], next: [2, band] })

/** The ledger itself: where it stands, and every coin there is. */
const chain = record({
  chainId: [1, name],
  height: [2, big(0n, 2n ** 63n - 1n)],
  time: [3, time],
  minted: [4, money],
})

/** Ten years: a time of release stays a safe integer. */
const MAX_UNBONDING_MS = 10 * 366 * 86_400_000

/** No ledger has more validators than this, whatever genesis says: their record is read and written whole. */
const MAX_SET = 100

export const staking = record({
  /** Stake that makes one unit of voting power. */
  unit: [1, big<Money>(8n, MAX_MONEY)],
  /** How long stake stays bound after it was taken back: longer than any light client trusts a header. */
  unbondingMs: [2, integer(1, MAX_UNBONDING_MS)],
  /** The share of its stake that a validator loses when it misbehaves. */
  slashPermille: [3, integer(0, 1000)],
  /** At most this many validators. */
  most: [4, integer(1, MAX_SET)],
})

/** By which rules the ledger works, as genesis says. */
const rules = record(
  {
    /** The least fee of a transaction. */
    fee: [1, money],
    /** Where fees go. */
    feeAccount: [2, address],
    /** Who enrols meters. */
    operator: [3, address],
  },
  {
    /** Absent where the ledger does not decide who validates. */
    staking: [4, staking],
    /** The distribution ledger that has to hold capacity for every deal; absent where none has to. */
    reserveOn: [5, name],
    /** Over the grid nothing is paid to a seller whose own meter gave no receipt; false is not written. */
    sellerProves: [6, flag],
  },
)

const validator = record({
  /** Ed25519. */
  publicKey: [1, bytes(32)],
  /** Whose coins they are. */
  owner: [2, address],
  /** None where it is leaving. */
  stake: [3, money],
  /** Its power as CometBFT was last told. */
  power: [4, big(0n, 2n ** 60n)],
})
const validators = record({ all: [1, list(validator, 0, MAX_SET)] })

/** A validator takes stake back at most this often at one time; leaving for misbehaviour is one more. */
export const MAX_UNBONDING = 16

const unbonding = record({
  /** The validator's. */
  publicKey: [1, bytes(32)],
  /** The earliest first. */
  parts: [2, list(record({ owner: [1, address], amount: [2, money], at: [3, time] }), 1, MAX_UNBONDING + 1)],
})

const barred = record({ at: [1, time] })

/** At most this many deals ahead on one line: a week of quarter hours. A record that grows without end would be a lever. */
const MAX_BOOKED = 672

/** Which times of a line or a meter are sold. */
const bookings = record({
  /** Everything before this is over: a new window starts here or later. */
  free: [1, time],
  windows: [2, list(record({ deal: [1, hash32], start: [2, time], end: [3, time] }), 0, MAX_BOOKED)],
})

const role = record({
  /** Height of the block that granted it, 0 in genesis. */
  since: [1, big(0n, 2n ** 63n - 1n)],
})

/** How far a journal has come, at the block time at which its gateway said so. */
const journalHead = record({ frame: [1, frameNumber], hash: [2, hash32], at: [3, time] })

const issuerKey = record({
  registrar: [1, address],
  modulus: [2, bytes(256, 512)],
  /** Until then: it is never changed. */
  kept: [3, time],
})

type ValueOf<C> = C extends Codec<infer T> ? T : never
export type Account = ValueOf<typeof account>
export type EnrolledMeter = ValueOf<typeof meter>
export type Band = ValueOf<typeof band>
export type Bands = ValueOf<typeof bands>
export type Rules = ValueOf<typeof rules>
export type StakingRules = ValueOf<typeof staking>
export type StakedValidator = ValueOf<typeof validator>
export type Unbonding = ValueOf<typeof unbonding>
export type Chain = ValueOf<typeof chain>
export type AnchoredHead = ValueOf<typeof journalHead>
export type Bookings = ValueOf<typeof bookings>

export const ACCOUNTS: Table<Account> = { prefix: 'account/', codec: account }
export const METERS: Table<EnrolledMeter> = { prefix: 'meter/', codec: meter }
export const DEALS: Table<DealRecord> = {
  prefix: 'deal/',
  codec: dealRecord,
  due: ({ state, to, overdue, receiptBy, settleBy }) =>
    state !== 'locked' ? undefined : to === undefined || overdue ? settleBy : receiptBy,
}
export const BOOKED_LINES: Table<Bookings> = { prefix: 'booked/line/', codec: bookings }
export const BOOKED_METERS: Table<Bookings> = { prefix: 'booked/meter/', codec: bookings }
/** Under `role/<role>/<address>`: present while it is held. */
export const ROLES: Table<ValueOf<typeof role>> = { prefix: 'role/', codec: role }
export const BAND: Table<Bands> = { prefix: 'band', codec: bands }
/** All validators in one record, in the order in which they joined. */
export const VALIDATORS: Table<ValueOf<typeof validators>> = { prefix: 'validators', codec: validators }
/** Stake on its way back, under its validator's address. */
export const UNBONDING: Table<Unbonding> = {
  prefix: 'unbonding/',
  codec: unbonding,
  due: ({ parts }) => parts[0]?.at,
}
/** Addresses of validator keys that misbehaved: they never stake again. */
export const BARRED: Table<ValueOf<typeof barred>> = { prefix: 'barred/', codec: barred }
/** Under the account and the journal. */
export const JOURNALS: Table<AnchoredHead> = { prefix: 'journal/', codec: journalHead }
/** Under `issuer-key/<slot>/<side>`. */
export const ISSUER_KEYS: Table<ValueOf<typeof issuerKey>> = {
  prefix: 'issuer-key/',
  codec: issuerKey,
  due: ({ kept }) => kept,
}
export const RULES: Table<Rules> = { prefix: 'rules', codec: rules }
export const CHAIN: Table<Chain> = { prefix: 'chain', codec: chain }

/** The hashes of all headers to this height, as an accumulator. */
export const HEADERS: Table<ValueOf<typeof accumulatedCodec>> = { prefix: HEADERS_KEY, codec: accumulatedCodec }

export const journalId = (account: Uint8Array, journal: Uint8Array): string => `${toHex(account)}/${toHex(journal)}`

export const issuerKeyId = (slot: number, side: 'bid' | 'offer'): string => `${slot}/${side}`

export const MAX_WINDOWS_AHEAD = MAX_BOOKED

/** Every table; no prefix begins another. */
const TABLES = [
  ACCOUNTS,
  METERS,
  DEALS,
  BOOKED_LINES,
  BOOKED_METERS,
  GRID_METERS,
  METER_WINDOWS,
  ROLES,
  BAND,
  VALIDATORS,
  UNBONDING,
  BARRED,
  JOURNALS,
  ISSUER_KEYS,
  RULES,
  CHAIN,
  HEADERS,
  ...NETWORK_TABLES,
  ...SERVICE_TABLES,
  ...COIN_TABLES,
] as readonly Table<unknown>[]

/** The table of a state key. */
export const tableOf = (key: string): Table<unknown> | undefined => TABLES.find(table => key.startsWith(table.prefix))
