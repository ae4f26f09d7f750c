/**
 * The one-machine ledger: all validators in one process, taking turns to propose and really signing every block.
 *
 * Headers, commits, validator sets and hashes are CometBFT's byte for byte, so a light client cannot tell this from a
 * network of machines. What it does not give is what only several machines can: with all keys in one place, one broken
 * machine can halt the ledger or lie. It is for benches and tests.
 *
 *     block H     txs, DataHash, evidence, AppHash and LastResultsHash of H-1, the commit of H-1
 *     commit H    one precommit of each validator for block H, taken a moment later
 *     time of H   the median of the precommit times of H-1 (BFT time); block 1 has the genesis time
 *
 * With a store, a block is on the disk before anybody signs it, and whole before anybody hears of it: killed at any point,
 * the next process makes that very block again and never signs another of its height.
 */
import type { Cancel, Clock, Signer, Timers, VerifyPool } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { hashConsensusParams, hashData, hashResults, makeBlockId } from '../../protocol/chain/block.ts'
import { chainTime, instantOf } from '../../protocol/chain/chain-time.ts'
import { hashCommit, medianTime } from '../../protocol/chain/commit.ts'
import { decodeEvidence, type Evidence, hashEvidenceList } from '../../protocol/chain/evidence.ts'
import { NO_BLOCK } from '../../protocol/chain/header.ts'
import type { BlockId, Commit, Header, LightBlock, Validator } from '../../protocol/chain/light-block.ts'
import type { Change } from '../../protocol/chain/smt.ts'
import { hashValidators, totalPower, validatorOf } from '../../protocol/chain/validators.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import {
  createApp,
  type HeaderProof,
  type LedgerApp,
  type StateAnswer,
  type TxOutcome,
} from '../../protocol/ledger/app.ts'
import { type Audit, auditLedger, type Entries } from '../../protocol/ledger/audit.ts'
import type { ValidatorUpdate } from '../../protocol/ledger/block.ts'
import { DEFAULT_STAKING, type Genesis } from '../../protocol/ledger/genesis.ts'
import { done, type Fault, fail, must, ok, type Result } from '../../protocol/result.ts'
import type { StoredBlock } from './block-record.ts'
import { type ChainStore, RECENT_BLOCKS } from './chain-store.ts'
import { createEvidencePool, type EvidencePoolFault, misbehavedIn } from './evidence-pool.ts'
import { createMempool, type Submission } from './mempool.ts'
import { onEveryCore } from './on-every-core.ts'
import type { Proposal } from './proposal.ts'
import { firstSets, setsAfter, setsFrom } from './sets.ts'
import { verifyOnce } from './verify-once.ts'
import { type ConductOf, castVotes, decideRound, signVotes } from './votes.ts'

export interface ProducerOptions {
  readonly genesis: Genesis
  /** Ed25519 keys of the validators in this process; one that joins with a key that is not here is absent. */
  readonly signers: readonly Signer[]
  /** The first validators; without them each signer is one, all of the same power. */
  readonly validators?: readonly ValidatorUpdate[]
  readonly clock: Clock
  readonly timers: Timers
  readonly verifier: Verifier
  /** For the signatures of a block; without them this thread checks them all. */
  readonly cores?: VerifyPool
  readonly intervalMs?: number
  /** Blocks kept in memory; older ones are forgotten. */
  readonly keep?: number
  /** How validators behave where they are not all there and honest. */
  readonly conductOf?: ConductOf
  /** The application; without it a new one of the genesis. */
  readonly app?: LedgerApp
  /** Hears why no block is made, once until another is. */
  readonly onFault?: (fault: Fault) => void
  /** Where the chain is kept; its application counts, and it goes on where it ended. */
  readonly store?: ChainStore
}

/** Everything that is kept of one block. */
export interface ProducedBlock {
  readonly header: Header
  readonly blockId: BlockId
  readonly txs: readonly Uint8Array[]
  /** Each item encoded as in the block. */
  readonly evidence: readonly Uint8Array[]
  readonly lastCommit: Commit
  /** The precommits for this block, which stand in the next one. */
  readonly commit: Commit
  readonly validators: readonly Validator[]
  readonly results: readonly TxOutcome[]
  readonly validatorUpdates: readonly ValidatorUpdate[]
  /** State after this block; in the header of the next one. */
  readonly appHash: Uint8Array
}

export interface TxPlace {
  readonly block: ProducedBlock
  readonly index: number
}

export interface Producer {
  readonly genesis: Genesis
  /** The set of the first block. */
  readonly validators: readonly Validator[]
  /** The newest block, and the oldest height that is still kept; heights are 0 before the first block. */
  status(): { readonly height: bigint; readonly oldest: bigint; readonly newest: ProducedBlock | undefined }
  block(height: bigint): ProducedBlock | undefined
  /** One that is no longer in memory, too, where there is a store. */
  fetchBlock(height: bigint): Promise<Result<ProducedBlock | undefined>>
  lightBlock(height: bigint): LightBlock | undefined
  /** State after block `height` with its proof against the AppHash in header `height` + 1. */
  query(key: Uint8Array, height: bigint): StateAnswer | undefined
  entries(height: bigint, after?: Uint8Array): Entries | undefined
  /** That the header of `height` is one of those before the state after block `at`. */
  headerProof(height: bigint, at: bigint): HeaderProof | undefined
  submit(tx: Uint8Array): Submission
  tx(hash: Uint8Array): TxPlace | undefined
  /** Hears of each block once it is final. */
  subscribe(listener: (block: ProducedBlock) => void): Cancel
  audit(): Audit
  /** Evidence that was found good and waits for a block. */
  evidence(): readonly Evidence[]
  /** The hash of evidence that is good, or why it is none. */
  report(evidence: Evidence): Result<Uint8Array, EvidencePoolFault>
  /** One block now; when one is being made already, that one. A fault where none can be made. */
  produce(): Promise<Result<void>>
  start(): void
  /** No further block; resolves when the one being made is final. */
  stop(): Promise<void>
}

/** Block protocol of CometBFT v0.38 and v0.40; the version of our own application. */
export const VERSION: Header['version'] = { block: 11n, app: 1n }
/**
 * CometBFT's consensus parameters of this chain: what a block may hold, with its transactions, evidence and commit, which
 * have limits of their own; gas is not limited.
 */
export const CONSENSUS_LIMITS = { maxBytes: 4n * 1024n * 1024n, maxGas: -1n }
const POWER = 10n
const INTERVAL_MS = 1000
/** A day of blocks, one a second, where older ones are gone. */
const KEPT_BLOCKS = 86_400

interface Executed {
  readonly block: ProducedBlock
  readonly changes: readonly Change[]
}

const NO_COMMIT: Commit = { height: 0n, round: 0, blockId: NO_BLOCK, signatures: [] }

export function createProducer(options: ProducerOptions): Producer {
  const { genesis, signers, clock, timers, intervalMs = INTERVAL_MS, store } = options
  const { chainId } = genesis
  const verifier = verifyOnce(options.verifier)
  const keep = options.keep ?? (store === undefined ? KEPT_BLOCKS : RECENT_BLOCKS)
  const app = store?.app ?? options.app ?? createApp(genesis)
  const signersByAddress = new Map(signers.map(signer => [toHex(validatorOf(signer.publicKey, 0n).address), signer]))
  const signerOf = (address: Uint8Array) => signersByAddress.get(toHex(address))
  const first =
    options.validators ?? genesisPowers(genesis) ?? signers.map(({ publicKey }) => ({ publicKey, power: POWER }))
  let sets = must(firstSets(first.map(({ publicKey, power }) => validatorOf(publicKey, power))))
  const firstValidators = sets.next.validators
  const consensusHash = hashConsensusParams(CONSENSUS_LIMITS)
  const blocks = new Map<bigint, ProducedBlock>()
  const places = new Map<string, { readonly height: bigint; readonly index: number }>()
  const mempool = createMempool(
    tx => app.checkTx(tx, verifier),
    hash => places.has(hash),
  )
  const listeners = new Set<(block: ProducedBlock) => void>()
  const pool = createEvidencePool(chainId, height => lightBlockOf(blocks.get(height)), verifier)
  let newest: ProducedBlock | undefined
  /** Decided and perhaps signed: until it is final no other block of its height may be. */
  let unfinished = store?.unfinished
  let making: Promise<Result<void>> | undefined
  let cancel: Cancel | undefined
  /** Code of the fault that kept the last block from being made. */
  let failing: string | undefined

  /** The next block as its proposer makes it; a fault where no proposer finds two thirds of the power. */
  function propose(): Result<Proposal> {
    const height = app.height + 1n
    const { validators } = sets.next
    const decision = decideRound(sets.next, height, address => signerOf(address) !== undefined, options.conductOf)
    if (decision === undefined) {
      const fault: Fault = {
        code: 'producer.no-quorum',
        height,
        power: totalPower(validators.filter(({ address }) => signerOf(address) !== undefined)),
        of: totalPower(validators),
        hint: 'more than two thirds of the power must vote',
      }
      return fail(fault)
    }
    const txs = mempool.reap()
    const evidence = pool.reap()
    const lastCommit = newest?.commit ?? NO_COMMIT
    const header: Header = {
      version: VERSION,
      chainId,
      height,
      time: newest === undefined ? chainTime(genesis.time) : blockTimeAfter(newest),
      lastBlockId: newest?.blockId ?? NO_BLOCK,
      lastCommitHash: hashCommit(lastCommit),
      dataHash: hashData(txs),
      validatorsHash: hashValidators(validators),
      nextValidatorsHash: hashValidators(sets.afterNext.validators),
      consensusHash,
      appHash: app.appHash,
      lastResultsHash: hashResults(newest?.results ?? []),
      evidenceHash: hashEvidenceList(evidence.map(one => must(decodeEvidence(one)))),
      proposerAddress: decision.proposer.address,
    }
    const votes = castVotes(decision, header.time, clock)
    return ok({ header, txs, evidence, round: decision.round, votes })
  }

  /** Signs and executes a proposal; the application has it staged, not committed. */
  async function complete({ header, txs, evidence, round, votes }: Proposal): Promise<Executed> {
    const { validators } = sets.next
    const lastCommit = newest?.commit ?? NO_COMMIT
    const blockId = makeBlockId({ header, txs, evidence, lastCommit })
    const commit = await signVotes(header, blockId, round, validators, votes, signerOf)
    const input = {
      height: header.height,
      time: instantOf(header.time),
      hash: blockId.hash,
      txs,
      misbehaved: misbehavedIn(evidence),
    }
    const execute = (each: Verifier) => app.finalizeBlock({ ...input, verifier: each })
    const { results, appHash, validatorUpdates, changes } = await onEveryCore(options.cores, verifier, execute)
    const executed = { results, validatorUpdates, appHash }
    return { block: { header, blockId, txs, evidence, lastCommit, commit, validators, ...executed }, changes }
  }

  async function makeBlock(): Promise<Result<void>> {
    if (unfinished === undefined) {
      const proposal = propose()
      if (!proposal.ok) return proposal
      unfinished = proposal.value
    }
    const written = (await store?.propose(unfinished)) ?? done
    if (!written.ok) return written
    const { block, changes } = await complete(unfinished)
    const kept = (await store?.append(block, changes)) ?? done
    if (!kept.ok) return kept
    app.commit()
    unfinished = undefined
    sets = must(setsAfter(sets, block.validatorUpdates))
    remember(block)
    mempool.remove(block.txs)
    pool.remove(block.evidence)
    for (const listener of [...listeners]) listener(block)
    return done
  }

  function remember(block: ProducedBlock): void {
    const { height } = block.header
    newest = block
    blocks.set(height, block)
    for (const [index, tx] of block.txs.entries()) places.set(toHex(sha256(tx)), { height, index })
    forgetBlock(height - BigInt(keep))
  }

  function forgetBlock(height: bigint): void {
    const old = blocks.get(height)
    if (old === undefined) return
    for (const tx of old.txs) places.delete(toHex(sha256(tx)))
    blocks.delete(height)
  }

  if (store !== undefined && store.recent.length > 0) {
    for (const block of store.recent) {
      remember(producedOf(block))
      pool.remove(block.evidence)
    }
    const [last, before] = [store.recent.at(-1)!, store.recent.at(-2)]
    sets = must(setsFrom(last.validators, before?.validatorUpdates ?? [], last.validatorUpdates))
  }

  const producer: Producer = {
    genesis,
    validators: firstValidators,
    status: () => ({ height: app.height, oldest: store?.oldest ?? blocks.keys().next().value ?? 0n, newest }),
    block: height => blocks.get(height),
    async fetchBlock(height) {
      const block = blocks.get(height)
      if (block !== undefined || store === undefined) return ok(block)
      const stored = await store.read(height)
      return stored.ok && stored.value !== undefined ? ok(producedOf(stored.value)) : (stored as Result<undefined>)
    },
    lightBlock: height => lightBlockOf(blocks.get(height)),
    query: (key, height) => app.query(key, height),
    entries: (height, after) => app.entries(height, after),
    headerProof: (height, at) => app.headerProof(height, at),
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
    evidence: () => pool.pending,
    report: found => pool.report(found),
    produce() {
      making ??= makeBlock()
        .then(made => {
          if (!made.ok && made.fault.code !== failing) options.onFault?.(made.fault)
          failing = made.ok ? undefined : made.fault.code
          return made
        })
        .finally(() => {
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

const lightBlockOf = (block: ProducedBlock | undefined): LightBlock | undefined =>
  block === undefined ? undefined : { header: block.header, commit: block.commit, validators: block.validators }

const producedOf = (stored: StoredBlock): ProducedBlock => ({ ...stored, blockId: stored.commit.blockId })

/** The validators that the genesis names, a unit of stake being one of power. */
function genesisPowers({
  validators = [],
  staking = DEFAULT_STAKING,
}: Genesis): readonly ValidatorUpdate[] | undefined {
  return validators.length === 0
    ? undefined
    : validators.map(({ publicKey, stake }) => ({ publicKey, power: stake / staking.unit }))
}

/** BFT time: the median of the votes for the newest block, weighted by the power of those who cast them. */
function blockTimeAfter({ commit, validators }: ProducedBlock): Header['time'] {
  const powers = new Map(validators.map(({ address, votingPower }) => [toHex(address), votingPower]))
  return medianTime(commit, address => powers.get(toHex(address)) ?? 0n)!
}
