/**
 * The ledger as a replicated state machine: blocks of transactions in, results and an AppHash out.
 *
 * Deterministic: the same genesis and the same blocks give the same bytes everywhere. No clock but block time, no floats,
 * no order that depends on a platform.
 */
import type { TxResult } from '../chain/block.ts'
import { createStateTree } from '../chain/smt.ts'
import type { Verifier } from '../crypto/verify.ts'
import { faultLine, must, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { type Applied, type Applying, applyTx } from './apply.ts'
import { type LedgerFault, REFUSAL_CODES } from './fault.ts'
import { checkGenesis, type Genesis, writeGenesis } from './genesis.ts'
import { createDueDeals, settleBlock } from './settle.ts'
import { CHAIN, createState } from './state.ts'
import type { TxKind } from './tx.ts'

/** What a transaction came to: code (0, or a number of REFUSAL_CODES), data and gas are hashed into LastResultsHash. */
export interface TxOutcome extends TxResult {
  /** The refusal as one line for a person. */
  readonly log: string
}

interface BlockInput {
  readonly height: bigint
  readonly time: Instant
  readonly txs: readonly Uint8Array[]
  readonly verifier: Verifier
}

interface BlockOutput {
  readonly results: readonly TxOutcome[]
  /** Root of the state after this block; it stands in the next block's header. */
  readonly appHash: Uint8Array
}

/** State under a key after a block, with its ICS-23 proof. */
export interface StateAnswer {
  readonly value: Uint8Array | undefined
  readonly proof: Uint8Array
}

export interface LedgerApp {
  readonly height: bigint
  readonly appHash: Uint8Array
  /** Whether the mempool should hold this transaction, after those that it took since the last block. */
  checkTx(tx: Uint8Array, verifier: Verifier): TxOutcome
  finalizeBlock(block: BlockInput): BlockOutput
  /** Undefined for a height that is not kept, older or newer. */
  query(key: Uint8Array, height: bigint): StateAnswer | undefined
  /** Everything in the state after a block, as an audit wants it; undefined for a height that is not kept. */
  entries(height: bigint): Iterable<readonly [key: Uint8Array, value: Uint8Array]> | undefined
}

/** Gas is the number of signatures to verify, which is nearly all that a transaction costs. */
const GAS: Readonly<Record<TxKind, bigint>> = { transfer: 1n, enrol: 1n, commit: 3n, receipt: 5n }

const NO_DATA = new Uint8Array(0)

function resultOf(applied: Result<Applied, LedgerFault>): TxOutcome {
  if (applied.ok) {
    const gas = GAS[applied.value.kind]
    return { code: 0, data: applied.value.data, log: '', gasWanted: gas, gasUsed: gas }
  }
  const { fault } = applied
  return { code: REFUSAL_CODES[fault.code], data: NO_DATA, log: faultLine(fault), gasWanted: 0n, gasUsed: 0n }
}

/** A ledger at height 0. Throws on a genesis that `checkGenesis` refuses. */
export function createApp(genesis: Genesis): LedgerApp {
  const { chainId, fee, feeAccount, operator } = must(checkGenesis(genesis))
  const rules = { chainId, fee, feeAccount, operator }
  const state = createState()
  const tree = createStateTree()
  const due = createDueDeals()
  const first = state.draft()
  writeGenesis(first, genesis)
  let appHash = tree.commit(0n, first.changes())
  first.merge()
  let height = 0n
  let time = genesis.time
  /** The state as it will be when the mempool's transactions are in; forgotten at each block. */
  let pending = state.draft()

  return {
    get height() {
      return height
    },
    get appHash() {
      return appHash
    },
    checkTx(tx, verifier) {
      return resultOf(applyTx(pending, tx, { rules, height: height + 1n, time, verifier }))
    },
    finalizeBlock(block) {
      if (block.height !== height + 1n) throw new RangeError(`block ${block.height} after block ${height}`)
      // CometBFT's first block carries the genesis time itself.
      if (block.time < time || (block.time === time && height > 0n)) {
        throw new RangeError(`block time ${block.time} is not after ${time}`)
      }
      const applying: Applying = { rules, ...block }
      const draft = state.draft()
      const results = block.txs.map(tx => resultOf(applyTx(draft, tx, applying)))
      settleBlock(draft, due, block.height, block.time)
      draft.put(CHAIN, '', { ...draft.get(CHAIN, '')!, height: block.height, time: block.time })
      appHash = tree.commit(block.height, draft.changes())
      draft.merge()
      height = block.height
      time = block.time
      pending = state.draft()
      return { results, appHash }
    },
    query(key, at) {
      const snapshot = tree.at(at)
      return snapshot === undefined ? undefined : { value: snapshot.get(key), proof: snapshot.prove(key) }
    },
    entries: at => tree.at(at)?.entries(),
  }
}
