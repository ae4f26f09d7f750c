/** A produced chain as the stores are handed it: blocks, and what each changed, from a second execution of the blocks. */
import type { StoredBlock } from '../../../agent/validator/block-record.ts'
import type { CommittedBlock, SavedLedger } from '../../../agent/validator/ledger-store.ts'
import { instantOf } from '../../../protocol/chain/chain-time.ts'
import { createApp, type LedgerApp } from '../../../protocol/ledger/app.ts'
import { genesis, verifier } from '../../protocol/ledger/parties.ts'
import { makeProducer, payment } from './street.ts'

export interface StoredChain {
  readonly blocks: readonly StoredBlock[]
  readonly commits: readonly CommittedBlock[]
  /** At height 0. */
  readonly beginning: SavedLedger
  /** After the last block. */
  readonly app: LedgerApp
}

export const savedAt = (app: LedgerApp, headerHashes: readonly Uint8Array[]): SavedLedger => ({
  height: app.height,
  appHash: app.appHash,
  state: { entries: [...app.entries(app.height)!], headerHashes },
})

/** Every second block carries payments. */
export async function storedChain(count: number): Promise<StoredChain> {
  const { producer, time } = makeProducer({ keep: count })
  let paid = 0n
  for (let i = 0; i < count; i++) {
    if (i % 2 === 1) for (let n = 0; n < 3; n++) producer.submit(payment(paid++))
    await time.advance(1000)
    await producer.produce()
  }
  const app = createApp(genesis)
  const beginning = savedAt(app, [])
  const blocks: StoredBlock[] = []
  const commits: CommittedBlock[] = []
  for (let height = 1n; height <= BigInt(count); height++) {
    const block = producer.block(height)!
    const { header, txs, lastCommit, commit, validators, results } = block
    const { hash } = block.blockId
    const time = instantOf(header.time)
    const { appHash, changes } = app.finalizeBlock({ height, time, hash, txs, misbehaved: [], verifier })
    app.commit()
    commits.push({ height, hash, appHash, changes })
    const evidence = height % 3n === 0n ? [Uint8Array.of(1, 2, 3)] : []
    blocks.push({ header, txs, lastCommit, commit, validators, validatorUpdates: [], results, evidence, appHash })
  }
  return { blocks, commits, beginning, app }
}
