/**
 * The ledger's state: tables of records under text keys, read and written through drafts.
 *
 * The state tree alone owns the records, as bytes; here they are decoded when asked for, and those asked for lately are
 * remembered. A draft holds what it changed on top of its parent until it is merged or forgotten, so a refused
 * transaction leaves nothing behind. Records are values: they are replaced, never altered.
 */
import { fromUtf8, toHex, utf8 } from '../bytes.ts'
import type { Change, Snapshot } from '../chain/smt.ts'
import { type Money, micros } from '../quantity.ts'
import { decodeAs, encodeAs } from '../record.ts'
import { done, fail, must, ok, type Result } from '../result.ts'
import { type LedgerFault, refuse } from './fault.ts'
import type { Table } from './table.ts'
import { ACCOUNTS, tableOf } from './tables.ts'

interface Entry {
  readonly table: Table<unknown>
  /** Undefined where it was removed. */
  readonly value: unknown
  /** Length of its bytes, once they were made or read. */
  bytes?: number
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
    changed: () => [...own].map(([key, { table, value }]) => ({ key, table, value })),
    changes: () =>
      [...own].map(([key, entry]): Change => {
        if (entry.value === undefined) return [utf8(key), undefined]
        const encoded = encodeAs(entry.table.codec, entry.value)
        entry.bytes = encoded.length
        return [utf8(key), encoded]
      }),
  }
}

/**
 * Bytes of keys and values whose decoded records are remembered: 45,000 accounts, more than the blocks of ten busy seconds
 * touch. Decoded, a record takes some five times its bytes, so this is 25 MB of the 400 that a node may take. Counted
 * in bytes and not in records, because records differ a thousandfold and whoever trades chooses which ones are read.
 */
const REMEMBERED_BYTES = 4 * 1024 * 1024

/** The records read or written last, in two generations: when the young one is full the old one is forgotten. */
function createMemory(limit: number) {
  let young = new Map<string, Entry>()
  let old = new Map<string, Entry>()
  let bytes = 0
  function forget(key: string): void {
    const known = young.get(key)
    if (known === undefined) old.delete(key)
    else if (young.delete(key)) bytes -= key.length + known.bytes!
  }
  function remember(key: string, entry: Entry): void {
    forget(key)
    // Without its length, or larger than all there is room for, it is read again.
    const size = entry.bytes === undefined ? limit : key.length + entry.bytes
    if (size > limit / 2) return
    if (bytes + size > limit / 2) {
      old = young
      young = new Map()
      bytes = 0
    }
    young.set(key, entry)
    bytes += size
  }
  return {
    forget,
    remember,
    recall(key: string): Entry | undefined {
      const recent = young.get(key)
      if (recent !== undefined) return recent
      const entry = old.get(key)
      if (entry !== undefined) remember(key, entry)
      return entry
    },
  }
}

/**
 * The state in the snapshot that `newest` answers. A draft of it is merged when its changes are in that snapshot, and
 * not before: it only refreshes what is remembered.
 */
export function createState(newest: () => Snapshot, limit: number = REMEMBERED_BYTES): State {
  const memory = createMemory(limit)
  function look(key: string): Entry | undefined {
    const known = memory.recall(key)
    if (known !== undefined) return known
    const bytes = newest().get(utf8(key))
    const table = tableOf(key)
    if (bytes === undefined || table === undefined) return undefined
    // Only what was encoded here or checked on the way in is in the tree.
    const entry = { table, value: must(decodeAs(table.codec, bytes, key, bytes.length)), bytes: bytes.length }
    memory.remember(key, entry)
    return entry
  }
  const draft = () =>
    makeDraft(look, (key, entry) => (entry.value === undefined ? memory.forget(key) : memory.remember(key, entry)))
  return { get: draft().get, draft }
}

/** A draft on top of nothing, as a ledger begins. It has nowhere to merge into. */
export const createFirstDraft = (): Draft =>
  makeDraft(
    () => undefined,
    key => {
      throw new Error(`${key} has no state to be merged into`)
    },
  )

/** Whether the bytes under a state key are a record: its value, or why not. */
export function readEntry(keyBytes: Uint8Array, bytes: Uint8Array) {
  const key = fromUtf8(keyBytes)
  const table = key === undefined ? undefined : tableOf(key)
  const bad = (reason: string) => fail({ code: 'ledger.state-entry', key: String(key), reason } as const)
  if (key === undefined || table === undefined) return bad('no table has this prefix')
  const read = decodeAs(table.codec, bytes, key, bytes.length)
  return read.ok ? ok({ key, table, value: read.value }) : bad(read.fault.code)
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
