/**
 * The ledger's state on disk: a whole image now and then, and what each block since has changed.
 */
import type { Clock, Disk } from '../../drivers/ports.ts'
import { openLog } from '../../drivers/store/log.ts'
import { compareBytes, equalBytes, fromUtf8, toHex } from '../../protocol/bytes.ts'
import { type Cbor, decode, encode } from '../../protocol/cbor.ts'
import type { Change } from '../../protocol/chain/smt.ts'
import { type LedgerApp, resumeApp, type SavedState } from '../../protocol/ledger/app.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'

/** A whole state after a block. */
export interface SavedLedger {
  readonly height: bigint
  /** Root of the state; the AppHash in the next header. */
  readonly appHash: Uint8Array
  readonly state: SavedState
}

/** What a block did to the state. */
export interface CommittedBlock {
  readonly height: bigint
  /** Of its header. */
  readonly hash: Uint8Array
  readonly appHash: Uint8Array
  readonly changes: readonly Change[]
}

export interface LedgerStore {
  /** Undefined where nothing was saved yet. */
  load(): Promise<Result<SavedLedger | undefined>>
  /** Resolves once the block's changes are on the disk. Throws where there is no state yet or the height does not follow. */
  commit(block: CommittedBlock): Promise<Result<void>>
  /** Saves a whole state in place of everything: genesis at first, later what a snapshot brought. */
  replaceWith(saved: SavedLedger): Promise<Result<void>>
  close(): Promise<void>
}

const IMAGE = 'ledger.image'
const SEGMENT_BYTES = 4 << 20
const LIMIT = 1 << 30

/** `disk` is a folder of its own. */
export async function openLedgerStore(ports: {
  readonly disk: Disk
  readonly clock: Clock
}): Promise<Result<LedgerStore>> {
  const { disk } = ports
  const opened = await openLog({ ...ports, name: 'changes', segmentBytes: SEGMENT_BYTES })
  if (!opened.ok) return opened
  const log = opened.value
  let height: bigint | undefined
  const names = await disk.list()
  if (!names.ok) return names
  if (names.value.includes(IMAGE)) {
    const found = await load()
    if (!found.ok) return found
    height = found.value?.height
  }

  async function load(): Promise<Result<SavedLedger | undefined>> {
    const image = await disk.read(IMAGE)
    if (!image.ok) return image.fault.code === 'disk.missing' ? ok(undefined) : image
    const item = decode(image.value, LIMIT)
    if (!item.ok) return item
    const [at, hash, entries, hashes] = item.value as [number, Uint8Array, [Uint8Array, Uint8Array][], Uint8Array[]]
    let saved = { height: BigInt(at), appHash: hash }
    const state = new Map(entries.map(([key, value]) => [fromUtf8(key)!, [key, value] as const]))
    const headerHashes = [...hashes]
    const visited = await log.visit(log.first, bytes => {
      const block = decode(bytes, LIMIT)
      if (!block.ok) return
      const [number, header, root, changes] = block.value as [number, Uint8Array, Uint8Array, (Uint8Array | null)[][]]
      if (BigInt(number) !== saved.height + 1n) return
      for (const [key, value] of changes) {
        if (value === null) state.delete(fromUtf8(key!)!)
        else state.set(fromUtf8(key!)!, [key!, value!])
      }
      headerHashes.push(header)
      saved = { height: BigInt(number), appHash: root }
    })
    if (!visited.ok) return visited
    return ok({ ...saved, state: { entries: [...state.values()], headerHashes } })
  }

  return ok({
    load,
    async commit(block) {
      if (height === undefined || block.height !== height + 1n)
        throw new RangeError(`block ${block.height} out of order`)
      const changes: Cbor = block.changes.map(([key, value]) => [key, value ?? null])
      const appended = await log.append(encode([block.height, block.hash, block.appHash, changes]))
      if (!appended.ok) return appended
      height = block.height
      return done
    },
    async replaceWith(saved) {
      const entries = [...saved.state.entries].sort(([a], [b]) => compareBytes(a, b)).map(([k, v]) => [k, v])
      const image = encode([saved.height, saved.appHash, entries, [...saved.state.headerHashes]])
      const replaced = await disk.replace(IMAGE, image)
      if (!replaced.ok) return replaced
      height = saved.height
      return done
    },
    close: () => log.close(),
  })
}

/** The ledger as it was saved, its state hashed again: undefined where nothing was saved. */
export async function resumeLedger(store: LedgerStore): Promise<Result<LedgerApp | undefined>> {
  const saved = await store.load()
  if (!saved.ok || saved.value === undefined) return saved.ok ? ok(undefined) : saved
  const { height, appHash, state } = saved.value
  const app = resumeApp(state)
  if (!app.ok) return app
  if (app.value.height !== height || !equalBytes(app.value.appHash, appHash)) {
    return fail({
      code: 'ledger.app-hash',
      height,
      expected: toHex(appHash),
      found: toHex(app.value.appHash),
      hint: 'the saved state is not the one that the chain agreed on: set the folder aside and let the node sync again',
    })
  }
  return app
}
