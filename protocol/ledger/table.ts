/** What one kind of record in the ledger's state is. */
import type { Codec } from '../record.ts'
import type { Instant } from '../time.ts'

/** A kind of record and the prefix of its keys. */
export interface Table<T> {
  readonly prefix: string
  readonly codec: Codec<T>
  /** When the block time has something to say about this record; absent where never. */
  due?(value: T): Instant | undefined
}
