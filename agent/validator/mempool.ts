/** Transactions that wait for a block, first come first served, each once. */
import { toHex } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { TxOutcome } from '../../protocol/ledger/app.ts'

/** As CometBFT's default: beyond it a flood costs the sender, not this node's memory. */
const MAX_TXS = 5000
/** Transactions of one block; the rest waits for the next. */
const MAX_BLOCK_BYTES = 1024 * 1024

export type Submission =
  | { readonly kind: 'checked'; readonly outcome: TxOutcome; readonly hash: Uint8Array }
  /** It waits here already, or is in a block: nothing to do. */
  | { readonly kind: 'known'; readonly hash: Uint8Array }
  | { readonly kind: 'full'; readonly txs: number; readonly limit: number }

interface Mempool {
  readonly size: number
  submit(tx: Uint8Array): Submission
  /** The transactions of the next block; they stay until `remove`. */
  reap(): readonly Uint8Array[]
  /** After a block: drops what it contained, checks the rest again and drops what no longer holds. */
  remove(txs: readonly Uint8Array[]): void
}

export function createMempool(
  check: (tx: Uint8Array) => TxOutcome,
  isInBlock: (hash: string) => boolean,
  limit: number = MAX_TXS,
): Mempool {
  const waiting = new Map<string, Uint8Array>()
  return {
    get size() {
      return waiting.size
    },
    submit(tx) {
      const hash = sha256(tx)
      const name = toHex(hash)
      if (waiting.has(name) || isInBlock(name)) return { kind: 'known', hash }
      if (waiting.size >= limit) return { kind: 'full', txs: waiting.size, limit }
      const outcome = check(tx)
      if (outcome.code === 0) waiting.set(name, tx.slice())
      return { kind: 'checked', outcome, hash }
    },
    reap() {
      const txs: Uint8Array[] = []
      let bytes = 0
      for (const tx of waiting.values()) {
        bytes += tx.length
        if (bytes > MAX_BLOCK_BYTES) break
        txs.push(tx)
      }
      return txs
    },
    remove(txs) {
      for (const tx of txs) waiting.delete(toHex(sha256(tx)))
      for (const [name, tx] of waiting) if (check(tx).code !== 0) waiting.delete(name)
    },
  }
}
