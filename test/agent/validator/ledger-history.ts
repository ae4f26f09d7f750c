/** Made-up histories of a ledger's state, for its store: what each block changes, and what must be there after it. */
import { type CommittedBlock, type LedgerStore, openLedgerStore } from '../../../agent/validator/ledger-store.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type SimDiskOptions } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import type { Change } from '../../../protocol/chain/smt.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { assert } from '../../harness.ts'

export const time = createSimTime(0, drainPromises)
const { clock } = time
export const newDisk = (options: Partial<SimDiskOptions> = {}) => createSimDisk({ random: seededRandom(1), ...options })
export const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

/** A new image each few blocks of the small histories below. */
export const open = (sim: SimDisk, imageAfter = 700) =>
  openLedgerStore({ disk: sim.mount(), clock, imageAfter: () => imageAfter, segmentBytes: 4 * 4096 })

/** A history of made-up changes, drawn from the seed, and the state after each block as a plain map. */
export interface History {
  readonly blocks: readonly CommittedBlock[]
  readonly states: readonly ReadonlyMap<string, string>[]
}

export const hashOf = (what: string, height: number) => sha256(utf8(`${what} ${height}`))

export function makeHistory(count: number, seed: number, keys = 12, valueBytes = 40): History {
  const random = seededRandom(seed)
  const pick = (below: number) => Math.floor(random() * below)
  const states: Map<string, string>[] = [new Map([['genesis', 'x']])]
  const blocks: CommittedBlock[] = []
  for (let height = 1; height <= count; height++) {
    const state = new Map(states.at(-1))
    const changes: Change[] = []
    for (let i = pick(6); i > 0; i--) {
      const key = `key/${pick(keys)}`
      const value = random() < 0.3 ? undefined : `${height} ${'v'.repeat(pick(valueBytes))}`
      changes.push([utf8(key), value === undefined ? undefined : utf8(value)])
      if (value === undefined) state.delete(key)
      else state.set(key, value)
    }
    blocks.push({ height: BigInt(height), hash: hashOf('header', height), appHash: hashOf('root', height), changes })
    states.push(state)
  }
  return { blocks, states }
}

export const GENESIS = {
  height: 0n,
  appHash: hashOf('root', 0),
  state: { entries: [[utf8('genesis'), utf8('x')]] as const, headerHashes: [] },
}

/** The height that a store holds, once everything in it is as the history says of that height. */
export async function heightIn(store: LedgerStore, { states }: History): Promise<number> {
  const saved = must(await store.load())
  if (saved === undefined) return -1
  const height = Number(saved.height)
  assert.is(toHex(saved.appHash), toHex(hashOf('root', height)))
  const entries = new Map([...saved.state.entries].map(([key, value]) => [fromUtf8(key)!, fromUtf8(value)!]))
  assert.equal([...entries].sort(), [...states[height]!].sort())
  assert.equal(
    [...saved.state.headerHashes].map(toHex),
    Array.from({ length: height }, (_, i) => toHex(hashOf('header', i + 1))),
  )
  return height
}

/** Genesis and blocks from where the store is, until done or something fails. Answers the height acknowledged. */
export async function write(sim: SimDisk, { blocks }: History): Promise<number> {
  const opened = await open(sim)
  if (!opened.ok) return -1
  const store = opened.value
  const saved = await store.load()
  if (!saved.ok) return -1
  let height = saved.value === undefined ? -1 : Number(saved.value.height)
  if (height < 0 && (await store.replaceWith(GENESIS)).ok) height = 0
  if (height < 0) return -1
  for (const block of blocks.slice(height)) {
    if (!(await store.commit(block)).ok) break
    height = Number(block.height)
    // Lets an image that goes on beside the blocks get a little further, not always to its end.
    if (height % 3 > 0) await drainPromises()
  }
  await store.close()
  return height
}
