/**
 * Recorded histories of ledgers: the bytes of their blocks and what each came to, in `histories/NAME.jsonl`. The first line
 * says from which genesis it goes, and for what reason it was recorded last; each other line is a block.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { genesisJson, parseGenesis } from '../../../agent/validator/genesis-json.ts'
import { fromHex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { fromBase64, toBase64 } from '../../../protocol/chain/base64.ts'
import { hashResults } from '../../../protocol/chain/block.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { BlockOutput } from '../../../protocol/ledger/app.ts'
import type { BlockInput } from '../../../protocol/ledger/block.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { verifier } from './parties.ts'

/** A header hash that stands for the block of a height. */
export const headerHash = (height: bigint): Uint8Array => sha256(utf8(`header ${height}`))

/** What everybody has to agree on after a block. */
export interface Came {
  readonly appHash: string
  readonly resultsHash: string
  readonly codes: readonly number[]
  /** Public key and power. */
  readonly updates: readonly (readonly [string, string])[]
}

export interface RecordedBlock {
  readonly input: BlockInput
  readonly came: Came
}

export interface History {
  readonly genesis: Genesis
  readonly blocks: readonly RecordedBlock[]
}

export const cameOf = ({ appHash, results, validatorUpdates }: BlockOutput): Came => ({
  appHash: toHex(appHash),
  resultsHash: toHex(hashResults(results)),
  codes: results.map(({ code }) => code),
  updates: validatorUpdates.map(({ publicKey, power }) => [toHex(publicKey), String(power)] as const),
})

type Executed = { readonly input: BlockInput; readonly output: BlockOutput }

/** The history of blocks that were executed, from the first on. */
export const historyOf = (genesis: Genesis, executed: readonly Executed[]): History => ({
  genesis,
  blocks: executed.map(({ input, output }) => ({ input, came: cameOf(output) })),
})

const fileOf = (name: string): URL => new URL(`histories/${name}.jsonl`, import.meta.url)

export function writeHistory(name: string, reason: string, { genesis, blocks }: History): void {
  const lines = blocks.map(({ input, came }) => ({
    time: input.time,
    hash: toHex(input.hash),
    misbehaved: input.misbehaved.map(toHex),
    txs: input.txs.map(toBase64),
    ...came,
  }))
  const all = [{ reason, genesis: genesisJson(genesis) }, ...lines]
  writeFileSync(fileOf(name), all.map(line => `${JSON.stringify(line)}\n`).join(''))
}

export function readHistory(name: string): History {
  const [head, ...lines] = readFileSync(fileOf(name), 'utf8').trimEnd().split('\n')
  const genesis = must(parseGenesis(JSON.stringify(JSON.parse(head!).genesis)))
  const blocks = lines.map((line, i): RecordedBlock => {
    const { time, hash, misbehaved, txs, ...came } = JSON.parse(line)
    const input: BlockInput = {
      height: BigInt(i + 1),
      time: instant(time),
      hash: fromHex(hash)!,
      txs: (txs as string[]).map(tx => fromBase64(tx)!),
      misbehaved: (misbehaved as string[]).map(address => fromHex(address)!),
      verifier,
    }
    return { input, came }
  })
  return { genesis, blocks }
}
