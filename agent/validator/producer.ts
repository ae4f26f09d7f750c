/**
 * The one-machine ledger: all validators in one process, taking turns to propose and really signing every block.
 *
 * Headers, commits, validator sets and hashes are CometBFT's byte for byte, so a light client cannot tell this from a
 * network of machines. What it does not give is what only several machines can: with all keys in one place, one broken
 * machine can halt the ledger or lie. It is for benches and tests.
 *
 *     block H     txs, DataHash, AppHash and LastResultsHash of H-1, the commit of H-1
 *     commit H    one precommit of each validator for block H, taken a moment later
 *     time of H   the median of the precommit times of H-1 (BFT time); block 1 has the genesis time
 */
import type { Cancel, Clock, Signer, Timers } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import {
  hashConsensusParams,
  hashData,
  hashResults,
  makeBlockId,
  NO_EVIDENCE_HASH,
} from '../../protocol/chain/block.ts'
import { chainTime, instantOf } from '../../protocol/chain/chain-time.ts'
import { FLAG_COMMIT, hashCommit, medianTime, precommitSignBytes } from '../../protocol/chain/commit.ts'
import { NO_BLOCK } from '../../protocol/chain/header.ts'
import type { BlockId, Commit, CommitSig, Header, LightBlock, Validator } from '../../protocol/chain/light-block.ts'
import { firstTurn, hashValidators, nextTurn, type Turn, validatorOf } from '../../protocol/chain/validators.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { createApp, type StateAnswer, type TxOutcome } from '../../protocol/ledger/app.ts'
import { type Audit, auditLedger, type Entries } from '../../protocol/ledger/audit.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import { must } from '../../protocol/result.ts'
import { later } from '../../protocol/time.ts'
import { createMempool, MAX_BLOCK_BYTES, type Submission } from './mempool.ts'
import { verifyOnce } from './verify-once.ts'

export interface ProducerOptions {
  readonly genesis: Genesis
  /** One Ed25519 key for each validator; each has the same power. */
  readonly signers: readonly Signer[]
  readonly clock: Clock
  readonly timers: Timers
  readonly verifier: Verifier
  readonly intervalMs?: number
  /** Blocks kept; older ones are forgotten. */
  readonly keep?: number
}

/** Everything that is kept of one block. */
export interface ProducedBlock {
  readonly header: Header
  readonly blockId: BlockId
  readonly txs: readonly Uint8Array[]
  readonly lastCommit: Commit
  /** The precommits for this block, which stand in the next one. */
  readonly commit: Commit
  readonly validators: readonly Validator[]
  readonly results: readonly TxOutcome[]
  /** State after this block; in the header of the next one. */
  readonly appHash: Uint8Array
}

export interface TxPlace {
  readonly block: ProducedBlock
  readonly index: number
}

export interface Producer {
  readonly genesis: Genesis
  readonly validators: readonly Validator[]
  /** The newest block, and the oldest height that is still kept; heights are 0 before the first block. */
  status(): { readonly height: bigint; readonly oldest: bigint; readonly newest: ProducedBlock | undefined }
  block(height: bigint): ProducedBlock | undefined
  lightBlock(height: bigint): LightBlock | undefined
  /** State after block `height` with its proof against the AppHash in header `height` + 1. */
  query(key: Uint8Array, height: bigint): StateAnswer | undefined
  entries(height: bigint): Entries | undefined
  submit(tx: Uint8Array): Submission
  tx(hash: Uint8Array): TxPlace | undefined
  /** Hears of each block once it is final. */
  subscribe(listener: (block: ProducedBlock) => void): Cancel
  audit(): Audit
  /** Evidence handed in by light clients, newest last. */
  evidence(): readonly Uint8Array[]
  report(evidence: Uint8Array): Uint8Array
  /** One block now; when one is being made already, that one. */
  produce(): Promise<void>
  start(): void
  /** No further block; resolves when the one being made is final. */
  stop(): Promise<void>
}

/** Block protocol of CometBFT v0.38 and v0.40; the version of our own application. */
export const VERSION: Header['version'] = { block: 11n, app: 1n }
/** CometBFT's consensus parameters of this chain: what a block may hold; gas is not limited. */
export const CONSENSUS_LIMITS = { maxBytes: BigInt(MAX_BLOCK_BYTES), maxGas: -1n }
const POWER = 10n
const INTERVAL_MS = 1000
/** A day of blocks, one a second. */
const KEPT_BLOCKS = 86_400
/** Enough to see an attack by; a flood of reports pushes out only other reports. */
const KEPT_EVIDENCE = 100

const NO_COMMIT: Commit = { height: 0n, round: 0, blockId: NO_BLOCK, signatures: [] }

export function createProducer(options: ProducerOptions): Producer {
  const { genesis, signers, clock, timers, intervalMs = INTERVAL_MS, keep = KEPT_BLOCKS } = options
  const { chainId } = genesis
  const verifier = verifyOnce(options.verifier)
  const app = createApp(genesis)
  const signerOf = new Map(signers.map(signer => [toHex(validatorOf(signer.publicKey, POWER).address), signer]))
  let turn: Turn = must(firstTurn(signers.map(signer => validatorOf(signer.publicKey, POWER))))
  const validatorsHash = hashValidators(turn.validators)
  const consensusHash = hashConsensusParams(CONSENSUS_LIMITS)
  const blocks = new Map<bigint, ProducedBlock>()
  const places = new Map<string, { readonly height: bigint; readonly index: number }>()
  const mempool = createMempool(
    tx => app.checkTx(tx, verifier),
    hash => places.has(hash),
  )
  const listeners = new Set<(block: ProducedBlock) => void>()
  const evidence: Uint8Array[] = []
  let newest: ProducedBlock | undefined
  let making: Promise<void> | undefined
  let cancel: Cancel | undefined

  function makeHeader(txs: readonly Uint8Array[]): Header {
    const lastCommit = newest?.commit ?? NO_COMMIT
    const time = newest === undefined ? chainTime(genesis.time) : medianTime(lastCommit, () => POWER)!
    return {
      version: VERSION,
      chainId,
      height: app.height + 1n,
      time,
      lastBlockId: newest?.blockId ?? NO_BLOCK,
      lastCommitHash: hashCommit(lastCommit),
      dataHash: hashData(txs),
      validatorsHash,
      nextValidatorsHash: validatorsHash,
      consensusHash,
      appHash: app.appHash,
      lastResultsHash: hashResults(newest?.results ?? []),
      evidenceHash: NO_EVIDENCE_HASH,
      proposerAddress: turn.proposer.address,
    }
  }

  /** One validator's precommit: its own time, at least a millisecond after the block's, so that time always rises. */
  async function precommit({ address }: Validator, header: Header, blockId: BlockId): Promise<CommitSig> {
    const least = later(instantOf(header.time), 1)
    const now = clock.now()
    const timestamp = chainTime(now > least ? now : least)
    const message = precommitSignBytes(chainId, header.height, 0, blockId, timestamp)
    const signature = await signerOf.get(toHex(address))!.sign(message)
    return { flag: FLAG_COMMIT, validatorAddress: address, timestamp, signature }
  }

  async function makeBlock(): Promise<void> {
    const txs = mempool.reap()
    const header = makeHeader(txs)
    const lastCommit = newest?.commit ?? NO_COMMIT
    const blockId = makeBlockId({ header, txs, lastCommit })
    const { validators } = turn
    const signatures = await Promise.all(validators.map(validator => precommit(validator, header, blockId)))
    const { height } = header
    const commit: Commit = { height, round: 0, blockId, signatures }
    const { results, appHash } = app.finalizeBlock({
      height,
      time: instantOf(header.time),
      hash: blockId.hash,
      txs,
      misbehaved: [],
      verifier,
    })
    app.commit()
    newest = { header, blockId, txs, lastCommit, commit, validators, results, appHash }
    turn = nextTurn(validators)
    blocks.set(height, newest)
    for (const [index, tx] of txs.entries()) places.set(toHex(sha256(tx)), { height, index })
    forgetBlock(height - BigInt(keep))
    mempool.remove(txs)
    for (const listener of [...listeners]) listener(newest)
  }

  function forgetBlock(height: bigint): void {
    const old = blocks.get(height)
    if (old === undefined) return
    for (const tx of old.txs) places.delete(toHex(sha256(tx)))
    blocks.delete(height)
  }

  const producer: Producer = {
    genesis,
    validators: turn.validators,
    status: () => ({ height: app.height, oldest: blocks.keys().next().value ?? 0n, newest }),
    block: height => blocks.get(height),
    lightBlock(height) {
      const block = blocks.get(height)
      return block === undefined
        ? undefined
        : { header: block.header, commit: block.commit, validators: block.validators }
    },
    query: (key, height) => app.query(key, height),
    entries: height => app.entries(height),
    submit: tx => mempool.submit(tx),
    tx(hash) {
      const place = places.get(toHex(hash))
      const block = place === undefined ? undefined : blocks.get(place.height)
      return block === undefined || place === undefined ? undefined : { block, index: place.index }
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    audit: () => auditLedger(app.entries(app.height)!),
    evidence: () => evidence,
    report(found) {
      evidence.push(found.slice())
      if (evidence.length > KEPT_EVIDENCE) evidence.shift()
      return sha256(found)
    },
    produce() {
      making ??= makeBlock().finally(() => {
        making = undefined
      })
      return making
    },
    start() {
      cancel ??= timers.every(intervalMs, () => void producer.produce())
    },
    async stop() {
      cancel?.()
      cancel = undefined
      await making
    },
  }
  return producer
}
