/** What the ledger's state is made of: kinds of record, and the prefix of their keys. */
import { accumulatedCodec, HEADERS_KEY } from '../chain/accumulator.ts'
import { big, type Codec, record } from '../record.ts'
import type { Instant } from '../time.ts'
import { type DealRecord, dealRecord } from './deal-record.ts'
import { address, hash32, list, meterFacts, money, name, price, sequence, signingKey, time } from './fields.ts'

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

/** By which rules the ledger works, as genesis says. */
const rules = record({
  /** The least fee of a transaction. */
  fee: [1, money],
  /** Where fees go. */
  feeAccount: [2, address],
  /** Who enrols meters. */
  operator: [3, address],
})

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

type ValueOf<C> = C extends Codec<infer T> ? T : never
export type Account = ValueOf<typeof account>
export type EnrolledMeter = ValueOf<typeof meter>
export type Band = ValueOf<typeof band>
export type Bands = ValueOf<typeof bands>
export type Rules = ValueOf<typeof rules>
export type Chain = ValueOf<typeof chain>
export type Bookings = ValueOf<typeof bookings>

/** A kind of record and the prefix of its keys. */
export interface Table<T> {
  readonly prefix: string
  readonly codec: Codec<T>
  /** When the block time has something to say about this record; absent where never. */
  due?(value: T): Instant | undefined
}

export const ACCOUNTS: Table<Account> = { prefix: 'account/', codec: account }
export const METERS: Table<EnrolledMeter> = { prefix: 'meter/', codec: meter }
export const DEALS: Table<DealRecord> = {
  prefix: 'deal/',
  codec: dealRecord,
  due: deal => (deal.state === 'locked' ? deal.settleBy : undefined),
}
export const BOOKED_LINES: Table<Bookings> = { prefix: 'booked/line/', codec: bookings }
export const BOOKED_METERS: Table<Bookings> = { prefix: 'booked/meter/', codec: bookings }
/** Under `role/<role>/<address>`: present while it is held. */
export const ROLES: Table<ValueOf<typeof role>> = { prefix: 'role/', codec: role }
export const BAND: Table<Bands> = { prefix: 'band', codec: bands }
export const RULES: Table<Rules> = { prefix: 'rules', codec: rules }
export const CHAIN: Table<Chain> = { prefix: 'chain', codec: chain }

/** The hashes of all headers to this height, as an accumulator. */
export const HEADERS: Table<ValueOf<typeof accumulatedCodec>> = { prefix: HEADERS_KEY, codec: accumulatedCodec }

export const MAX_WINDOWS_AHEAD = MAX_BOOKED

/** Every table; no prefix begins another. */
const TABLES = [
  ACCOUNTS,
  METERS,
  DEALS,
  BOOKED_LINES,
  BOOKED_METERS,
  ROLES,
  BAND,
  RULES,
  CHAIN,
  HEADERS,
] as readonly Table<unknown>[]

/** The table of a state key. */
export const tableOf = (key: string): Table<unknown> | undefined => TABLES.find(table => key.startsWith(table.prefix))
