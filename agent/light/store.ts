/**
 * What the light client keeps on disk: blocks that a witness confirmed (a restart goes on from the newest), the mark that the
 * chain diverged, and evidence against those who sent something false.
 */
import type { Disk } from '../../drivers/ports.ts'
import type { HeaderStore } from '../../drivers/store/headers.ts'
import { fromHex, fromUtf8, toHex, utf8 } from '../../protocol/bytes.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import { parseLightBlock } from '../../protocol/chain/rpc-json.ts'
import type { VerifiedBlock } from '../../protocol/light/verify.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'

/** What earlier versions kept instead of the header store. */
const OLD_FILE = 'light-trusted.json'

const fileOf = (name: string): string => `light-evidence-${name}.json`

/** Evidence files of one run: a source that lies without end must not fill the disk. */
const EVIDENCE_MAX = 16

export type Kept =
  | { readonly kind: 'block'; readonly block: LightBlock; readonly hash: Uint8Array }
  | { readonly kind: 'diverged'; readonly height: bigint; readonly evidence: string }

export interface LightStore {
  /** Undefined where nothing was kept yet. */
  load(): Promise<Result<Kept | undefined>>
  saveBlock(trusted: VerifiedBlock): Promise<Result<void>>
  /** Trust begins here, whatever was kept of another beginning. */
  begin(anchor: VerifiedBlock): Promise<Result<void>>
  /** The mark that nothing is believed any more, with the name of the evidence that is to follow. */
  markDiverged(height: bigint, name: string): Promise<Result<void>>
  /** Evidence against the validators: written whatever else was. */
  saveDivergence(name: string, content: object): Promise<Result<void>>
  /** What happened without anybody's false signature; capped apart, so that it takes no evidence its place. */
  saveNote(name: string, content: object): Promise<Result<void>>
  /** The name of the file written; undefined once the cap is reached. */
  saveEvidence(name: string, content: object): Promise<Result<string | undefined>>
}

/** Bigints are written as decimal strings, bytes in hex. */
const jsonBytes = (content: object): Uint8Array =>
  utf8(
    `${JSON.stringify(
      content,
      (_, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value instanceof Uint8Array ? toHex(value) : value,
      2,
    )}\n`,
  )

export function createLightStore(disk: Disk, headers: HeaderStore, chainId: string): LightStore {
  let evidenceFiles = 0
  let notes = 0

  /** Takes over what an earlier version kept: its divergence above all. */
  async function adopt(): Promise<Result<Kept | undefined>> {
    const names = await disk.list()
    if (!names.ok) return names
    if (!names.value.includes(OLD_FILE)) return ok(undefined)
    const bytes = await disk.read(OLD_FILE)
    if (!bytes.ok) return bytes
    const kept = readKept(bytes.value, chainId)
    if (!kept.ok) return fail({ ...kept.fault, file: OLD_FILE })
    if (kept.value.kind === 'diverged') {
      const marked = await headers.markDiverged(kept.value.height, kept.value.evidence)
      if (!marked.ok) return marked
    }
    await disk.remove(OLD_FILE)
    return kept
  }

  return {
    async load() {
      const diverged = headers.diverged()
      if (diverged !== undefined) return ok({ kind: 'diverged', ...diverged })
      const newest = headers.newest()
      return newest === undefined ? adopt() : ok({ kind: 'block', ...newest })
    },
    saveBlock: trusted => headers.save(trusted.block, trusted.hash),
    begin: anchor => headers.beginAnew(anchor.block, anchor.hash),
    markDiverged: (height, name) => headers.markDiverged(height, fileOf(name)),
    saveDivergence: (name, content) => disk.replace(fileOf(name), jsonBytes({ chain_id: chainId, ...content })),
    async saveNote(name, content) {
      if (notes >= EVIDENCE_MAX) return done
      notes++
      return disk.replace(`light-note-${name}.json`, jsonBytes({ chain_id: chainId, ...content }))
    },
    async saveEvidence(name, content) {
      if (evidenceFiles >= EVIDENCE_MAX) return ok(undefined)
      evidenceFiles++
      const file = fileOf(name)
      const saved = await disk.replace(file, jsonBytes({ chain_id: chainId, ...content }))
      return saved.ok ? ok(file) : saved
    },
  }
}

function readKept(bytes: Uint8Array, chainId: string): Result<Kept> {
  const bad = (reason: string): { readonly ok: false; readonly fault: Fault } => fail({ code: 'light.store', reason })
  let json: unknown
  try {
    json = JSON.parse(fromUtf8(bytes) ?? '')
  } catch {
    // JSON.parse says by throwing that the file is no JSON.
    return bad('not JSON')
  }
  if (typeof json !== 'object' || json === null) return bad('not an object')
  const { chain_id, hash, block, diverged } = json as Record<string, unknown>
  if (chain_id !== chainId) return bad('of another chain')
  if (typeof diverged === 'object' && diverged !== null) {
    const { height, evidence } = diverged as Record<string, unknown>
    if (typeof height !== 'string' || !/^\d{1,19}$/.test(height) || typeof evidence !== 'string') return bad('torn')
    return ok({ kind: 'diverged', height: BigInt(height), evidence })
  }
  const hashBytes = typeof hash === 'string' ? fromHex(hash) : undefined
  const parsed = parseLightBlock(block)
  if (!parsed.ok) return parsed
  return hashBytes === undefined ? bad('no hash') : ok({ kind: 'block', block: parsed.value, hash: hashBytes })
}
