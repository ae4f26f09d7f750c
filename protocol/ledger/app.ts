/**
 * The ledger as a replicated state machine: blocks of transactions in, results and an AppHash out.
 *
 *     finalizeBlock    executes a block on a draft; the same height may come again after a crash of whoever asked
 *     commit           makes the draft the state
 *
 * Deterministic: the same genesis and the same blocks give the same bytes everywhere. No clock but block time, no floats,
 * no order that depends on a platform.
 */
import { equalBytes, toHex, utf8 } from '../bytes.ts'
import { type Accumulator, createAccumulator } from '../chain/accumulator.ts'
import type { TxResult } from '../chain/block.ts'
import type { MerkleProof } from '../chain/merkle.ts'
import { type Change, createStateTree, type StateTree } from '../chain/smt.ts'
import type { Verifier } from '../crypto/verify.ts'
import { done, fail, faultLine, must, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'
import { type Agenda, type Appointment, createAgenda } from './agenda.ts'
import { type Applied, applyTx } from './apply.ts'
import type { BlockInput, BlockTxs, ValidatorUpdate } from './block.ts'
import { endBlock, fallDue } from './end-block.ts'
import { type LedgerFault, REFUSAL_CODES } from './fault.ts'
import { checkGenesis, type Genesis, writeGenesis } from './genesis.ts'
import type { Applying } from './kind.ts'
import { type Changed, createFirstDraft, createState, type Draft, readEntry } from './state.ts'
import { CHAIN, type Chain, HEADERS, RULES, tableOf } from './tables.ts'

/** What a transaction came to: code (0, or a number of REFUSAL_CODES), data and gas are hashed into LastResultsHash. */
export interface TxOutcome extends TxResult {
  /** The refusal as one line for a person. */
  readonly log: string
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
  | {
      /** The header hashes are not those of this state. */
      readonly code: 'ledger.header-hashes'
      readonly height: bigint
      readonly expected: string
      readonly computed: string
      /** How many the state says there are, and how many were read before it was clear that they are wrong. */
      readonly size: bigint
      readonly received: bigint
    }

/** That a header is in the accumulator of a later state: see `verifyOldHeader` of the light client. */
export interface HeaderProof {
  /** That its hash is under the root in the record. */
  readonly proof: MerkleProof
  /** The record `headers` in the state. */
  readonly state: StateAnswer
}

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
  /**
   * Everything in the state after a block, as an audit or a snapshot wants it, in the order of the state tree, or what comes
   * behind a key; undefined for a height that is not kept.
   */
  entries(height: bigint, after?: Uint8Array): Iterable<readonly [key: Uint8Array, value: Uint8Array]> | undefined
  /** The header hashes of blocks 1 to `height`, which go with its entries; undefined where those are not kept. */
  headerHashes(height: bigint): Iterable<Uint8Array> | undefined
  /** Proof of the header hash of block `height` under the state after block `at`; undefined where either is not there. */
  headerProof(height: bigint, at: bigint): HeaderProof | undefined
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
  const first = createFirstDraft()
  writeGenesis(first, must(checkGenesis(genesis)))
  const headers = createAccumulator()
  first.put(HEADERS, '', { size: 0n, root: headers.root() })
  const tree = createStateTree()
  tree.commit(0n, first.changes())
  const agenda = createAgenda()
  schedule(agenda, first.changed())
  return runApp(tree, 0n, headers, agenda)
}

/** A ledger as it was saved. Whoever saved it compares the AppHash. */
export function resumeApp(saved: SavedState): Result<LedgerApp, ResumeFault> {
  const tree = createStateTree()
  const agenda = createAgenda()
  const found: { fault?: ResumeFault; chain?: Chain } = {}
  // Each record is decoded, looked at and let go: the state is in memory once, as the tree's bytes.
  function* checked() {
    for (const [key, value] of saved.entries) {
      const entry = readEntry(key, value)
      if (!entry.ok) {
        found.fault = entry.fault
        return
      }
      if (entry.value.table === CHAIN) found.chain = entry.value.value as Chain
      schedule(agenda, [entry.value])
      yield [key, value] as const
    }
  }
  tree.fill(checked())
  if (found.fault !== undefined) return fail(found.fault)
  if (found.chain === undefined) return fail({ code: 'ledger.state-missing', key: CHAIN.prefix })
  const { height } = found.chain
  tree.commit(height, [])
  const state = createState(() => tree.at(height)!)
  if (state.get(RULES, '') === undefined) return fail({ code: 'ledger.state-missing', key: RULES.prefix })
  const record = state.get(HEADERS, '')
  if (record === undefined) return fail({ code: 'ledger.state-missing', key: HEADERS.prefix })
  const headers = createAccumulator()
  const wrong = (computed: Uint8Array) => {
    const [expected, received] = [toHex(record.root), BigInt(headers.size)]
    const { size } = record
    return fail({ code: 'ledger.header-hashes', height, expected, computed: toHex(computed), size, received } as const)
  }
  for (const hash of saved.headerHashes) {
    if (hash.length !== 32 || BigInt(headers.size) === height) return wrong(hash)
    headers.append(hash)
  }
  const sizes = record.size === height && BigInt(headers.size) === height
  if (!sizes || !equalBytes(headers.root(), record.root)) return wrong(headers.root())
  return ok(runApp(tree, height, headers, agenda))
}

/** Puts what falls due of these records on the agenda. */
function schedule(agenda: Agenda, changed: Iterable<Changed>): void {
  for (const { key, table, value } of changed) {
    const at = value === undefined ? undefined : table.due?.(value)
    if (at !== undefined) agenda.add({ at, key })
  }
}

/**
 * Records that fall due in one block, at most; the others follow in the next. Each takes 35 us, so whoever has a million
 * small records fall due at one moment does not hold the chain for half a minute, but is late himself.
 */
const MAX_FALLEN = 10_000

/**
 * Lets fall what is due, the earliest first. Counted is what the state says is due: what else stands on the agenda differs
 * from node to node. Answers everything taken off the agenda.
 */
function letFall(draft: Draft, agenda: Agenda, applying: Applying): readonly Appointment[] {
  const taken: Appointment[] = []
  for (let fallen = 0; fallen < MAX_FALLEN; ) {
    const next = agenda.takeDue(applying.time)
    if (next === undefined) break
    taken.push(next)
    const table = tableOf(next.key)!
    const value = draft.get(table, next.key.slice(table.prefix.length))
    if (value === undefined || table.due?.(value) !== next.at) continue
    fallDue(draft, next.key, applying)
    fallen++
  }
  return taken
}

interface Staged {
  readonly draft: Draft
  readonly height: bigint
  readonly time: Instant
  readonly due: readonly Appointment[]
  readonly appHash: Uint8Array
}

function runApp(tree: StateTree, begun: bigint, headers: Accumulator, agenda: Agenda): LedgerApp {
  let height = begun
  const state = createState(() => tree.at(height)!)
  const { chainId, ...chain } = state.get(CHAIN, '')!
  let { time } = chain
  let appHash = tree.at(height)!.root
  let staged: Staged | undefined
  /** The state as it will be when the mempool's transactions are in; forgotten at each block. */
  let pending = state.draft()

  const applying = (block: BlockTxs): Applying => {
    const { verifier } = block
    return { chainId, rules: state.get(RULES, '')!, height: block.height, time: block.time, verifier }
  }

  /** The state after a committed block. */
  const kept = (at: bigint) => (at > height ? undefined : tree.at(at))

  function query(key: Uint8Array, at: bigint): StateAnswer | undefined {
    const snapshot = kept(at)
    return snapshot === undefined ? undefined : { value: snapshot.get(key), proof: snapshot.prove(key) }
  }

  function forgetStaged(): void {
    headers.truncate(Number(height))
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
      headers.append(block.hash)
      const draft = state.draft()
      const at = applying(block)
      const results = block.txs.map(tx => resultOf(applyTx(draft, tx, at)))
      const due = letFall(draft, agenda, at)
      const validatorUpdates = endBlock(draft, block, at)
      draft.put(CHAIN, '', { ...draft.get(CHAIN, '')!, height: block.height, time: block.time })
      draft.put(HEADERS, '', { size: block.height, root: headers.root() })
      const changes = draft.changes()
      staged = { draft, height: block.height, time: block.time, due, appHash: tree.commit(block.height, changes) }
      return { results, appHash: staged.appHash, validatorUpdates, changes }
    },
    commit() {
      if (staged === undefined) throw new Error('no block was executed since the last commit')
      schedule(agenda, staged.draft.changed())
      staged.draft.merge()
      height = staged.height
      time = staged.time
      appHash = staged.appHash
      staged = undefined
      pending = state.draft()
    },
    query,
    entries: (at, after) => kept(at)?.entries(after),
    headerHashes: at => (kept(at) === undefined ? undefined : headers.hashes(Number(at))),
    headerProof(of, at) {
      if (of < 1n || of > at) return undefined
      const answer = query(utf8(HEADERS.prefix), at)
      return answer === undefined ? undefined : { proof: headers.prove(Number(of) - 1, Number(at)), state: answer }
    },
  }
}
