/**
 * The ledger's state: tables of records under text keys, read and written through drafts.
 *
 * A draft holds what it changed on top of its parent until it is merged or forgotten, so a refused transaction leaves
 * nothing behind. Records are values: they are replaced, never altered.
 */
import { toHex, utf8 } from '../bytes.ts'
import type { Change } from '../chain/smt.ts'
import { type Money, micros } from '../quantity.ts'
import { encodeAs } from '../record.ts'
import { done, type Result } from '../result.ts'
import { type LedgerFault, refuse } from './fault.ts'
import { ACCOUNTS, type Table } from './tables.ts'

interface Entry {
  readonly table: Table<unknown>
  /** Undefined where it was removed. */
  readonly value: unknown
}

/** A record changed in a draft; no value where it was removed. */
export interface Changed extends Entry {
  /** The whole state key. */
  readonly key: string
}

export interface State {
  get<T>(table: Table<T>, id: string): T | undefined
  /** A draft on top of this state; it sees later changes of its parent that it has not itself replaced. */
  draft(): Draft
}

export interface Draft extends State {
  put<T>(table: Table<T>, id: string, value: T): void
  remove(table: Table<unknown>, id: string): void
  /** Writes everything changed into the parent. */
  merge(): void
  /** Everything changed here, in the order of its first change. */
  changed(): readonly Changed[]
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
    remove: (table, id) => void own.set(table.prefix + id, { table, value: undefined }),
    draft: () => makeDraft(look, (key, entry) => void own.set(key, entry)),
    merge: () => {
      for (const [key, entry] of own) write(key, entry)
      own.clear()
    },
    changed: () => [...own].map(([key, entry]) => ({ key, ...entry })),
    changes: () =>
      [...own].map(
        ([key, { table, value }]): Change => [
          utf8(key),
          value === undefined ? undefined : encodeAs(table.codec, value),
        ],
      ),
  }
}

/** A state that is no draft. */
export interface WholeState extends State {
  all(): Iterable<readonly [key: string, value: unknown]>
}

/** An empty state; a draft of it writes into it when merged. */
export function createState(): WholeState {
  const all = new Map<string, Entry>()
  const draft = () =>
    makeDraft(
      key => all.get(key),
      (key, entry) => void (entry.value === undefined ? all.delete(key) : all.set(key, entry)),
    )
  return {
    get: draft().get,
    draft,
    *all() {
      for (const [key, { value }] of all) yield [key, value] as const
    },
  }
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
