/**
 * The ledger as a replicated state machine: blocks of transactions in, results and an AppHash out.
 *
 *     finalizeBlock    executes a block on a draft; the same height may come again after a crash of whoever asked
 *     commit           makes the draft the state
 *
 * Deterministic: the same genesis and the same blocks give the same bytes everywhere. No clock but block time, no floats,
 * no order that depends on a platform.
 */
import { fromUtf8 } from '../bytes.ts'
import type { TxResult } from '../chain/block.ts'
import { type Change, createStateTree } from '../chain/smt.ts'
import type { Verifier } from '../crypto/verify.ts'
import { decodeAs } from '../record.ts'
import { done, fail, faultLine, must, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { type Appointment, createAgenda } from './agenda.ts'
import { type Applied, applyTx } from './apply.ts'
import { endBlock, fallDue } from './end-block.ts'
import { type LedgerFault, REFUSAL_CODES } from './fault.ts'
import { checkGenesis, type Genesis, writeGenesis } from './genesis.ts'
import type { Applying } from './kind.ts'
import { createState, type Draft } from './state.ts'
import { CHAIN, RULES, tableOf } from './tables.ts'

/** What a transaction came to: code (0, or a number of REFUSAL_CODES), data and gas are hashed into LastResultsHash. */
export interface TxOutcome extends TxResult {
  /** The refusal as one line for a person. */
  readonly log: string
}

/** Transactions at a place in the chain's history. */
export interface BlockTxs {
  readonly height: bigint
  readonly time: Instant
  readonly txs: readonly Uint8Array[]
  readonly verifier: Verifier
}

export interface BlockInput extends BlockTxs {
  /** Hash of the header of this very block. */
  readonly hash: Uint8Array
  /** Validators that CometBFT (or the producer) found to have misbehaved, by address. */
  readonly misbehaved: readonly Uint8Array[]
}

/** A validator's new power, 0 where it leaves. It acts two blocks later. */
export interface ValidatorUpdate {
  /** Ed25519. */
  readonly publicKey: Uint8Array
  readonly power: bigint
}

export interface BlockOutput {
  readonly results: readonly TxOutcome[]
  /** Root of the state after this block; it stands in the next block's header. */
  readonly appHash: Uint8Array
  readonly validatorUpdates: readonly ValidatorUpdate[]
  /** Everything that this block changes in the state: what a store has to keep. */
  readonly changes: readonly Change[]
}

/** State under a key after a block, with its ICS-23 proof. */
export interface StateAnswer {
  readonly value: Uint8Array | undefined
  readonly proof: Uint8Array
}

/** A whole state, as a store or a snapshot kept it. */
export interface SavedState {
  readonly entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>
  /** Hashes of the headers 1 to the state's height. */
  readonly headerHashes: Iterable<Uint8Array>
}

export type ResumeFault =
  | { readonly code: 'ledger.state-entry'; readonly key: string; readonly reason: string }
  | { readonly code: 'ledger.state-missing'; readonly key: string }

export interface LedgerApp {
  readonly chainId: string
  /** Of the last committed block; 0 before the first. */
  readonly height: bigint
  readonly time: Instant
  readonly appHash: Uint8Array
  /** Whether the mempool should hold this transaction, after those that it took since the last block. */
  checkTx(tx: Uint8Array, verifier: Verifier): TxOutcome
  /** Those of the transactions that would succeed in this order in a block of at most `maxBytes`. Changes nothing. */
  selectTxs(block: BlockTxs, maxBytes: number): readonly Uint8Array[]
  /** Why no honest proposer would propose these transactions: one of them fails. Changes nothing. */
  judgeTxs(block: BlockTxs): Result<void, LedgerFault>
  /** Executes the block after the committed one. Whatever was executed and not committed before is forgotten. */
  finalizeBlock(block: BlockInput): BlockOutput
  /** Makes the executed block the state. Throws where there is none. */
  commit(): void
  /** Undefined for a height that is not kept, older or newer. */
  query(key: Uint8Array, height: bigint): StateAnswer | undefined
  /** Everything in the state after a block, as an audit or a snapshot wants it; undefined for a height that is not kept. */
  entries(height: bigint): Iterable<readonly [key: Uint8Array, value: Uint8Array]> | undefined
}

const NO_DATA = new Uint8Array(0)

function resultOf(applied: Result<Applied, LedgerFault>): TxOutcome {
  if (applied.ok) {
    const { gas, data } = applied.value
    return { code: 0, data, log: '', gasWanted: gas, gasUsed: gas }
  }
  const { fault } = applied
  return { code: REFUSAL_CODES[fault.code], data: NO_DATA, log: faultLine(fault), gasWanted: 0n, gasUsed: 0n }
}

/** A ledger at height 0. Throws on a genesis that `checkGenesis` refuses. */
export function createApp(genesis: Genesis): LedgerApp {
  const state = createState()
  const first = state.draft()
  writeGenesis(first, must(checkGenesis(genesis)))
  const tree = createStateTree()
  tree.commit(0n, first.changes())
  first.merge()
  return runApp(state, tree)
}

/** A ledger as it was saved. Whoever saved it compares the AppHash. */
export function resumeApp(saved: SavedState): Result<LedgerApp, ResumeFault> {
  const state = createState()
  const draft = state.draft()
  for (const [key, value] of saved.entries) {
    const name = fromUtf8(key)
    const table = name === undefined ? undefined : tableOf(name)
    if (name === undefined || table === undefined) {
      return fail({ code: 'ledger.state-entry', key: String(name), reason: 'no table has this prefix' })
    }
    const read = decodeAs(table.codec, value, name, value.length)
    if (!read.ok) return fail({ code: 'ledger.state-entry', key: name, reason: read.fault.code })
    draft.put(table, name.slice(table.prefix.length), read.value)
  }
  const chain = draft.get(CHAIN, '')
  if (chain === undefined || draft.get(RULES, '') === undefined) {
    return fail({ code: 'ledger.state-missing', key: chain === undefined ? CHAIN.prefix : RULES.prefix })
  }
  const tree = createStateTree()
  tree.commit(chain.height, draft.changes())
  draft.merge()
  return ok(runApp(state, tree))
}

interface Staged {
  readonly draft: Draft
  readonly height: bigint
  readonly time: Instant
  readonly due: readonly Appointment[]
  readonly appHash: Uint8Array
}

function runApp(state: ReturnType<typeof createState>, tree: ReturnType<typeof createStateTree>): LedgerApp {
  const { chainId, ...begun } = state.get(CHAIN, '')!
  let { height, time } = begun
  let appHash = tree.at(height)!.root
  const agenda = createAgenda()
  let staged: Staged | undefined
  /** The state as it will be when the mempool's transactions are in; forgotten at each block. */
  let pending = state.draft()

  function schedule(changed: Iterable<readonly [key: string, value: unknown]>): void {
    for (const [key, value] of changed) {
      const at = value === undefined ? undefined : tableOf(key)?.due?.(value)
      if (at !== undefined) agenda.add({ at, key })
    }
  }
  schedule(state.all())

  const applying = (block: BlockTxs): Applying => {
    const { verifier } = block
    return { chainId, rules: state.get(RULES, '')!, height: block.height, time: block.time, verifier }
  }

  function forgetStaged(): void {
    if (staged === undefined) return
    tree.revert()
    for (const appointment of staged.due) agenda.add(appointment)
    staged = undefined
  }

  return {
    chainId,
    get height() {
      return height
    },
    get time() {
      return time
    },
    get appHash() {
      return appHash
    },
    checkTx(tx, verifier) {
      return resultOf(applyTx(pending, tx, applying({ height: height + 1n, time, txs: [], verifier })))
    },
    selectTxs(block, maxBytes) {
      const draft = state.draft()
      const at = applying(block)
      let room = maxBytes
      return block.txs.filter(tx => {
        if (tx.length > room || !applyTx(draft, tx, at).ok) return false
        room -= tx.length
        return true
      })
    },
    judgeTxs(block) {
      const draft = state.draft()
      const at = applying(block)
      for (const tx of block.txs) {
        const applied = applyTx(draft, tx, at)
        if (!applied.ok) return applied
      }
      return done
    },
    finalizeBlock(block) {
      if (block.height !== height + 1n) throw new RangeError(`block ${block.height} after block ${height}`)
      // CometBFT's first block carries the genesis time itself.
      if (block.time < time || (block.time === time && height > 0n)) {
        throw new RangeError(`block time ${block.time} is not after ${time}`)
      }
      forgetStaged()
      const draft = state.draft()
      const at = applying(block)
      const results = block.txs.map(tx => resultOf(applyTx(draft, tx, at)))
      const due = agenda.takeDue(block.time)
      for (const { key } of due) fallDue(draft, key, at)
      const validatorUpdates = endBlock(draft, block, at)
      draft.put(CHAIN, '', { ...draft.get(CHAIN, '')!, height: block.height, time: block.time })
      const changes = draft.changes()
      staged = { draft, height: block.height, time: block.time, due, appHash: tree.commit(block.height, changes) }
      return { results, appHash: staged.appHash, validatorUpdates, changes }
    },
    commit() {
      if (staged === undefined) throw new Error('no block was executed since the last commit')
      schedule(staged.draft.changed().map(({ key, value }) => [key, value] as const))
      staged.draft.merge()
      height = staged.height
      time = staged.time
      appHash = staged.appHash
      staged = undefined
      pending = state.draft()
    },
    query(key, at) {
      const snapshot = at > height ? undefined : tree.at(at)
      return snapshot === undefined ? undefined : { value: snapshot.get(key), proof: snapshot.prove(key) }
    },
    entries: at => (at > height ? undefined : tree.at(at)?.entries()),
  }
}
