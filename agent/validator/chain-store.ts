/**
 * What a producer keeps in its folder, and how it finds it again.
 *
 *     proposal     the block that is being signed                  replaced before any signature
 *     blocks/      every final block                               appended once signed and executed
 *     state/       the ledger's state                              after its block
 *
 * Whatever a crash leaves, blocks are never behind the state: those after it are executed again, and their AppHashes must
 * come out as they stand in the chain.
 */
import type { Clock, Disk } from '../../drivers/ports.ts'
import { concat, equalBytes, toHex } from '../../protocol/bytes.ts'
import { instantOf } from '../../protocol/chain/chain-time.ts'
import type { Change } from '../../protocol/chain/smt.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { createApp, type LedgerApp } from '../../protocol/ledger/app.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { StoredBlock } from './block-record.ts'
import { type BlockStore, openBlockStore } from './block-store.ts'
import { misbehavedIn } from './evidence-pool.ts'
import { type LedgerStore, openLedgerStore, resumeLedger } from './ledger-store.ts'
import { decodeProposal, encodeProposal, type Proposal } from './proposal.ts'

/** What light clients ask for is minutes old at most; with a store older blocks are read from the disk. */
export const RECENT_BLOCKS = 600

export interface ChainStore {
  /** At the height of the newest block. */
  readonly app: LedgerApp
  /** 0 where there is none. */
  readonly oldest: bigint
  readonly newest: bigint
  /** The newest blocks at the time of opening, at most RECENT_BLOCKS, oldest first. */
  readonly recent: readonly StoredBlock[]
  /** The block after the newest, which may be signed already and must be the one that is made. */
  readonly unfinished: Proposal | undefined
  /** Resolves once it is on the disk and may be signed. */
  propose(proposal: Proposal): Promise<Result<void>>
  /** Resolves once the block and its changes are on the disk. The same block may come again after a fault. */
  append(block: StoredBlock, changes: readonly Change[]): Promise<Result<void>>
  /** Undefined for a height that is not kept. */
  read(height: bigint): Promise<Result<StoredBlock | undefined>>
  close(): Promise<void>
}

export interface ChainStorePorts {
  readonly root: Disk
  readonly blocks: Disk
  readonly state: Disk
  readonly clock: Clock
  readonly verifier: Verifier
}

/** SHA-256 of the rest, then proposal.ts: with a bit changed it would be another block of the same height. */
const PROPOSAL = 'proposal'
const SUM_BYTES = 32

export async function openChainStore(ports: ChainStorePorts, genesis: Genesis): Promise<Result<ChainStore>> {
  const { root, clock, verifier } = ports
  const opened = await openBlockStore({ disk: ports.blocks, clock })
  if (!opened.ok) return opened
  const blocks = opened.value
  const ledgerOpened = await openLedgerStore({ disk: ports.state, clock })
  if (!ledgerOpened.ok) return closing(ledgerOpened, blocks)
  const ledger = ledgerOpened.value
  const found = await findState(ledger, blocks, genesis)
  if (!found.ok) return closing(found, blocks, ledger)
  const app = found.value
  const replayed = await replay(app, blocks, ledger, verifier)
  if (!replayed.ok) return closing(replayed, blocks, ledger)
  const proposal = await findProposal(root, app.height)
  if (!proposal.ok) return closing(proposal, blocks, ledger)
  const recent = await readRecent(blocks)
  if (!recent.ok) return closing(recent, blocks, ledger)

  return ok({
    app,
    get oldest() {
      return blocks.oldest
    },
    get newest() {
      return blocks.newest
    },
    recent: recent.value,
    unfinished: proposal.value,
    propose(next) {
      const body = encodeProposal(next)
      return root.replace(PROPOSAL, concat(sha256(body), body))
    },
    async append(block, changes) {
      const { height } = block.header
      if (blocks.newest < height) {
        const appended = await blocks.append(block)
        if (!appended.ok) return appended
      }
      return ledger.commit({ height, hash: block.commit.blockId.hash, appHash: block.appHash, changes })
    },
    read: height => blocks.read(height),
    async close() {
      await blocks.close()
      await ledger.close()
    },
  })
}

async function closing<T extends Result<never>>(
  fault: T,
  ...stores: readonly { close(): Promise<void> }[]
): Promise<T> {
  for (const store of stores) await store.close()
  return fault
}

/** The state as saved, or that of the genesis where nothing was. */
async function findState(ledger: LedgerStore, blocks: BlockStore, genesis: Genesis): Promise<Result<LedgerApp>> {
  const resumed = await resumeLedger(ledger)
  if (!resumed.ok) return resumed
  let app = resumed.value
  if (app === undefined) {
    app = createApp(genesis)
    const state = { entries: app.entries(0n)!, headerHashes: [] }
    const saved = await ledger.replaceWith({ height: 0n, appHash: app.appHash, state })
    if (!saved.ok) return saved
  }
  const { height, chainId } = app
  if (chainId !== genesis.chainId) return fail({ code: 'chain.other-chain', expected: genesis.chainId, found: chainId })
  const { oldest, newest } = blocks
  if (height > newest || (newest > 0n && height + 1n < oldest)) {
    const hint = 'a part of the folder is missing or older than the rest: put the whole folder back'
    return fail({ code: 'chain.blocks-missing', state: height, oldest, newest, hint })
  }
  if (height > 0n) {
    const block = await blockAt(blocks, height)
    if (!block.ok) return block
    const wrong = otherHash(height, block.value.appHash, app.appHash)
    if (wrong !== undefined) return fail(wrong)
  }
  return ok(app)
}

async function readRecent(blocks: BlockStore): Promise<Result<readonly StoredBlock[]>> {
  const { oldest, newest } = blocks
  const recent: StoredBlock[] = []
  const from = newest - BigInt(RECENT_BLOCKS) + 1n
  for (let height = from > oldest ? from : oldest; newest > 0n && height <= newest; height++) {
    const block = await blockAt(blocks, height)
    if (!block.ok) return block
    recent.push(block.value)
  }
  return ok(recent)
}

async function blockAt(blocks: BlockStore, height: bigint): Promise<Result<StoredBlock>> {
  const block = await blocks.read(height)
  if (!block.ok) return block
  const { oldest, newest } = blocks
  return block.value === undefined ? fail({ code: 'chain.blocks-missing', height, oldest, newest }) : ok(block.value)
}

function otherHash(height: bigint, expected: Uint8Array, computed: Uint8Array): Fault | undefined {
  if (equalBytes(expected, computed)) return undefined
  const hint = 'this program executes the chain otherwise than the one that made it: go back to that version'
  return { code: 'chain.app-hash', height, expected: toHex(expected), computed: toHex(computed), hint }
}

/** Executes the blocks after the state. What they come to stands in their records, and in the header after each. */
async function replay(
  app: LedgerApp,
  blocks: BlockStore,
  ledger: LedgerStore,
  verifier: Verifier,
): Promise<Result<void>> {
  while (app.height < blocks.newest) {
    const block = await blockAt(blocks, app.height + 1n)
    if (!block.ok) return block
    const { header, commit, txs, evidence, appHash: stored } = block.value
    const { height } = header
    const before = otherHash(height - 1n, header.appHash, app.appHash)
    if (before !== undefined) return fail(before)
    const misbehaved = misbehavedIn(evidence)
    const { hash } = commit.blockId
    const { appHash, changes } = app.finalizeBlock({
      height,
      time: instantOf(header.time),
      hash,
      txs,
      misbehaved,
      verifier,
    })
    const wrong = otherHash(height, stored, appHash)
    if (wrong !== undefined) return fail(wrong)
    const committed = await ledger.commit({ height, hash, appHash, changes })
    if (!committed.ok) return committed
    app.commit()
  }
  return done
}

/** What was about to be signed after the newest block. */
async function findProposal(root: Disk, height: bigint): Promise<Result<Proposal | undefined>> {
  const bytes = await root.read(PROPOSAL)
  if (!bytes.ok) return bytes.fault.code === 'disk.missing' ? ok(undefined) : bytes
  const body = bytes.value.subarray(SUM_BYTES)
  const isWhole = equalBytes(bytes.value.subarray(0, SUM_BYTES), sha256(body))
  const proposal = isWhole ? decodeProposal(body) : fail({ code: 'checksum' })
  if (!proposal.ok) {
    const hint = 'set the folder aside and restore it from a copy'
    return fail({ code: 'chain.proposal-corrupt', file: PROPOSAL, reason: proposal.fault.code, hint })
  }
  const signed = proposal.value.header.height
  if (signed <= height) return ok(undefined)
  if (signed === height + 1n) return ok(proposal.value)
  const hint = 'blocks that were signed are gone: put the whole folder back, never begin it anew under the same keys'
  return fail({ code: 'chain.blocks-missing', signed, newest: height, hint })
}
