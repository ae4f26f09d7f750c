/**
 * The ledger's state: tables of records under text keys, read and written through drafts.
 *
 * A draft holds what it changed on top of its parent until it is merged or forgotten, so a refused transaction leaves
 * nothing behind. Records are values: they are replaced, never altered.
 */
import { toHex, utf8 } from '../bytes.ts'
import type { Change } from '../chain/smt.ts'
import { type Money, micros } from '../quantity.ts'
import { big, bytes, type Codec, encodeAs, integer, record } from '../record.ts'
import { done, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { type DealRecord, dealRecord } from './deal-record.ts'
import { type LedgerFault, refuse } from './fault.ts'
import { address, hash32, list, meteringKey, money, name, sequence } from './fields.ts'

const time = integer<Instant>(0, Number.MAX_SAFE_INTEGER)

const account = record({
  /** Ed25519. */
  publicKey: [1, bytes(32)],
  balance: [2, money],
  /** What the next transaction of this account has to carry. */
  sequence: [3, sequence],
})

const meter = record({ owner: [1, address], line: [2, name], publicKey: [3, meteringKey] })

/** The ledger itself: where it stands, and every coin there is. */
const chain = record({
  chainId: [1, name],
  height: [2, big(0n, 2n ** 63n - 1n)],
  time: [3, time],
  minted: [4, money],
})

/** At most this many deals ahead on one line: a week of quarter hours. A record that grows without end would be a lever. */
const MAX_BOOKED = 672

/** Which times of a line or a meter are sold. */
const bookings = record({
  /** Everything before this is over: a new window starts here or later. */
  free: [1, time],
  windows: [2, list(record({ deal: [1, hash32], start: [2, time], end: [3, time] }), 0, MAX_BOOKED)],
})

type ValueOf<C> = C extends Codec<infer T> ? T : never
export type Account = ValueOf<typeof account>
type EnrolledMeter = ValueOf<typeof meter>
type Chain = ValueOf<typeof chain>
export type Bookings = ValueOf<typeof bookings>

/** A kind of record and the prefix of its keys. */
export interface Table<T> {
  readonly prefix: string
  readonly codec: Codec<T>
}

export const ACCOUNTS: Table<Account> = { prefix: 'account/', codec: account }
export const METERS: Table<EnrolledMeter> = { prefix: 'meter/', codec: meter }
export const DEALS: Table<DealRecord> = { prefix: 'deal/', codec: dealRecord }
export const BOOKED_LINES: Table<Bookings> = { prefix: 'booked/line/', codec: bookings }
export const BOOKED_METERS: Table<Bookings> = { prefix: 'booked/meter/', codec: bookings }
export const CHAIN: Table<Chain> = { prefix: 'chain', codec: chain }

export const MAX_WINDOWS_AHEAD = MAX_BOOKED

interface Entry {
  readonly table: Table<unknown>
  readonly value: unknown
}

export interface State {
  get<T>(table: Table<T>, id: string): T | undefined
  /** A draft on top of this state; it sees later changes of its parent that it has not itself replaced. */
  draft(): Draft
}

export interface Draft extends State {
  put<T>(table: Table<T>, id: string, value: T): void
  /** Writes everything changed into the parent. */
  merge(): void
  /** Ids changed here in one table, in the order of their first change. */
  changed(table: Table<unknown>): readonly string[]
  /** Canonical bytes of everything changed here. */
  changes(): readonly Change[]
}

function makeDraft(parent: (key: string) => Entry | undefined, write: (key: string, entry: Entry) => void): Draft {
  const own = new Map<string, Entry>()
  const look = (key: string) => own.get(key) ?? parent(key)
  return {
    // A key is only ever written through the table that its prefix names, so what is found is of that table's type.
    get: <T>(table: Table<T>, id: string) => look(table.prefix + id)?.value as T | undefined,
    put: (table, id, value) => void own.set(table.prefix + id, { table: table as Table<unknown>, value }),
    draft: () => makeDraft(look, (key, entry) => void own.set(key, entry)),
    merge: () => {
      for (const [key, entry] of own) write(key, entry)
      own.clear()
    },
    changed: table => [...own].filter(([, e]) => e.table === table).map(([key]) => key.slice(table.prefix.length)),
    changes: () => [...own].map(([key, { table, value }]): Change => [utf8(key), encodeAs(table.codec, value)]),
  }
}

/** An empty state; a draft of it writes into it when merged. */
export function createState(): State {
  const all = new Map<string, Entry>()
  const draft = () =>
    makeDraft(
      key => all.get(key),
      (key, entry) => void all.set(key, entry),
    )
  return { get: draft().get, draft }
}

/** The id of an account in its table. */
export const accountId = (holder: Uint8Array): string => toHex(holder)

/** Adds to an account that exists. */
export function credit(draft: Draft, id: string, amount: Money): void {
  const held = draft.get(ACCOUNTS, id)
  if (held === undefined) throw new Error(`no account ${id} to credit: it was checked before`)
  draft.put(ACCOUNTS, id, { ...held, balance: micros(held.balance + amount) })
}

/** Takes from an account that exists, or answers what it holds where that is too little. */
export function debit(draft: Draft, id: string, amount: Money): Result<void, LedgerFault> {
  const held = draft.get(ACCOUNTS, id)
  if (held === undefined) throw new Error(`no account ${id} to debit: it was checked before`)
  if (held.balance < amount) return refuse('ledger.funds', { balance: held.balance, needed: amount })
  draft.put(ACCOUNTS, id, { ...held, balance: micros(held.balance - amount) })
  return done
}
