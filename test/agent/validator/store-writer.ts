/**
 * A process that commits made-up blocks until it is killed, and says each height once it is acknowledged. Every block is
 * drawn from its height, so that whoever finds the folder knows what must be in it.
 */
import { pathToFileURL } from 'node:url'
import {
  type CommittedBlock,
  type LedgerStore,
  openLedgerStore,
  type SavedLedger,
} from '../../../agent/validator/ledger-store.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import type { Change } from '../../../protocol/chain/smt.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { must, type Result } from '../../../protocol/result.ts'

const KEYS = 400
export const hashOf = (what: string, height: bigint): Uint8Array => sha256(utf8(`${what} ${height}`))

function changesOf(height: bigint): readonly Change[] {
  const seed = hashOf('seed', height)
  return Array.from({ length: 8 }, (_, i) => {
    const key = utf8(`key ${(seed[2 * i]! * 256 + seed[2 * i + 1]!) % KEYS}`)
    return [key, seed[16 + i]! < 60 ? undefined : new Uint8Array(200).fill(seed[16 + i]!)]
  })
}

export const blockOf = (height: bigint): CommittedBlock => ({
  height,
  hash: hashOf('header', height),
  appHash: hashOf('root', height),
  changes: changesOf(height),
})

export const BEGINNING: SavedLedger = {
  height: 0n,
  appHash: hashOf('root', 0n),
  state: { entries: [], headerHashes: [] },
}

/** An image every few dozen blocks, beside the blocks. */
export async function openStore(folder: string): Promise<Result<LedgerStore>> {
  const disk = must(await openDisk(folder))
  const { clock } = createSystemTime()
  return openLedgerStore({ disk, clock, imageAfter: () => 30_000, segmentBytes: 1 << 16 })
}

async function main(folder: string): Promise<void> {
  const store = must(await openStore(folder))
  const saved = must(await store.load())
  if (saved === undefined) must(await store.replaceWith(BEGINNING))
  for (let height = (saved?.height ?? 0n) + 1n; ; height++) {
    must(await store.commit(blockOf(height)))
    process.stdout.write(`${height}\n`)
  }
}

const [, program, folder] = process.argv
if (import.meta.url === pathToFileURL(program!).href) await main(folder!)
