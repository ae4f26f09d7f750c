/**
 * The releases on a gateway's disk, beside what the agent keeps:
 *
 *     releases/state              which are good, which is tried (protocol/update/state.ts)
 *     releases/NAME/head          as the update file had it, signatures and all
 *     releases/NAME/files/...     what the head lists, and nothing beside it
 *     highest-release             the highest that was ever found good, once more: an older `state` does not make it less
 *
 * A folder counts for nothing by being there: only what `state` names is ever started, and only after every byte of it was held
 * against its head.
 */
import type { Timers } from '../../drivers/ports.ts'
import type { Tree } from '../../drivers/store/tree.ts'
import { equalBytes, fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { keptReleases } from '../../protocol/update/decide.ts'
import { LEAD_BYTES, RELEASE_NAME, type Release, readHead, releaseOf } from '../../protocol/update/manifest.ts'
import { decodeState, encodeState, type ReleaseState, STATE_MAX, trustChain } from '../../protocol/update/state.ts'
import { type Root, readTrust, type Trust } from '../../protocol/update/trust.ts'

export const RELEASES = 'releases'
const STATE = `${RELEASES}/state`
const FLOOR = 'highest-release'
const UNFINISHED = 'unfinished'
/** Held by whoever writes or removes folders of releases. */
export const INSTALLS = 'install'
export const INCOMING = `${RELEASES}/incoming`
const HEAD_MAX = 256 * 1024 + LEAD_BYTES
/** Writing the state takes two syncs, on a card in its worst moment some seconds. */
const HOLD_MS = 10_000
const HOLD_AGAIN_MS = 50

export const folderOf = (name: string): string => `${RELEASES}/${name}`
export const filesOf = (folder: string): string => `${folder}/files`

/** Why a state cannot be believed; then none is: a start falls back to the package, an update is not installed over it. */
export async function readState(tree: Tree): Promise<Result<ReleaseState>> {
  const read = await tree.read(STATE, STATE_MAX)
  if (read.ok) return decodeState(read.value)
  return read.fault.code === 'disk.missing' ? ok({}) : read
}

/** A small file replaced whole, durable on return. */
async function replace(tree: Tree, path: string, bytes: Uint8Array): Promise<Result<void>> {
  const [folder, unfinished] = [path.includes('/') ? RELEASES : '', `${path}-${UNFINISHED}`]
  const steps = [
    () => tree.remove(unfinished),
    () => tree.write(unfinished, pieceOf(bytes)),
    () => tree.rename(unfinished, path),
    () => tree.sync(folder),
  ]
  for (const step of steps) {
    const result = await step()
    if (!result.ok) return result
  }
  return done
}

export async function* pieceOf(bytes: Uint8Array): AsyncGenerator<Result<Uint8Array>> {
  yield ok(bytes)
}

/**
 * Reads the state, has it changed and writes it, while no other process does. `change` may refuse; undefined leaves it as it is.
 */
export async function changeState<T extends { readonly next: ReleaseState | undefined }>(
  tree: Tree,
  timers: Pick<Timers, 'sleep'>,
  change: (state: ReleaseState) => Result<T> | Promise<Result<T>>,
): Promise<Result<T>> {
  const made = await tree.makeFolder(RELEASES)
  if (!made.ok) return made
  const held = await holdPatiently(tree, timers)
  if (!held.ok) return held
  try {
    const state = await readState(tree)
    if (!state.ok) return state
    const changed = await change(state.value)
    if (!changed.ok || changed.value.next === undefined) return changed
    const bytes = encodeState(changed.value.next)
    // One that could not be read again would leave this gateway with the package alone.
    const readable = decodeState(bytes)
    if (!readable.ok) return readable
    const written = await replace(tree, STATE, bytes)
    return written.ok ? changed : written
  } finally {
    await held.value()
  }
}

async function holdPatiently(tree: Tree, timers: Pick<Timers, 'sleep'>) {
  for (let waited = 0; ; waited += HOLD_AGAIN_MS) {
    const held = await tree.hold(RELEASES, 'state')
    if (held.ok || held.fault.code !== 'disk.held' || waited >= HOLD_MS) return held
    await timers.sleep(HOLD_AGAIN_MS)
  }
}

/** The highest release that was ever found good, as it stands beside the journal; 0 where none was. */
export async function readFloor(tree: Tree): Promise<Result<number>> {
  const read = await tree.read(FLOOR, 100)
  if (!read.ok) return read.fault.code === 'disk.missing' ? ok(0) : read
  const name = fromUtf8(read.value)?.trim()
  return name !== undefined && RELEASE_NAME.test(name) ? ok(releaseOf(name)) : fail({ code: 'update.floor-damaged' })
}

/** Never lower than it is; one that is damaged is written anew. */
export async function raiseFloor(tree: Tree, name: string): Promise<Result<void>> {
  const floor = await readFloor(tree)
  if (floor.ok && floor.value >= releaseOf(name)) return done
  return replace(tree, FLOOR, utf8(`${name}\n`))
}

export interface Keys {
  readonly root: Root
  readonly rootHash: Uint8Array
  /** Every set that was trusted, the newest last. */
  readonly chain: readonly [Trust, ...Trust[]]
}

/** The keys by the text that names the first of them, and what confirmed releases made of it since. */
export function readKeys(text: string, state: ReleaseState, verifier: Verifier): Result<Keys> {
  const root = readTrust(text)
  if (!root.ok) return root
  if (root.value === undefined) {
    return fail({ code: 'update.no-keys', hint: 'name the keys whose updates are taken in /etc/tieline-update-keys' })
  }
  const rootHash = sha256(utf8(text))
  return ok({ root: root.value, rootHash, chain: trustChain(root.value, rootHash, state, verifier) })
}

/** Of its files, without the one that holds them all; a folder comes before those in it. */
export function foldersOf({ files }: Pick<Release, 'files'>): ReadonlySet<string> {
  const folders = new Set<string>()
  for (const { path } of files) {
    for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1)) folders.add(path.slice(0, end))
  }
  return folders
}

/**
 * An update's head, signed by whom this gateway trusts now. What was found good here before may also be by keys that it replaced
 * itself: it comes back after a rollback, or in place of a damaged one.
 */
export function readUpdate(
  head: Uint8Array,
  { chain }: Keys,
  { highest }: ReleaseState,
  verifier: Verifier,
): Result<Release> {
  const release = readHead(head, [chain.at(-1)!], verifier)
  if (release.ok || highest === undefined) return release
  const again = readHead(head, chain, verifier)
  return again.ok && again.value.name === highest ? again : release
}

/** A release's head and every byte of it, held against each other; nothing may lie there that is not listed. */
export async function checkRelease(
  tree: Tree,
  folder: string,
  sets: readonly Trust[],
  verifier: Verifier,
): Promise<Result<Release>> {
  const head = await tree.read(`${folder}/head`, HEAD_MAX)
  if (!head.ok) return head
  const release = readHead(head.value, sets, verifier)
  if (!release.ok) return release
  const files = new Set(release.value.files.map(({ path }) => path))
  const listed = foldersOf(release.value)
  const folders = ['']
  for (let path = folders.pop(); path !== undefined; path = folders.pop()) {
    const entries = await tree.list(path === '' ? filesOf(folder) : `${filesOf(folder)}/${path}`)
    if (!entries.ok) return entries
    for (const { name, kind } of entries.value) {
      const below = path === '' ? name : `${path}/${name}`
      if (kind === 'folder' && listed.has(below)) folders.push(below)
      else if (kind !== 'file' || !files.has(below)) return fail({ code: 'update.stray-file', path: below })
    }
  }
  for (const { path, size, hash } of release.value.files) {
    const found = await tree.hash(`${filesOf(folder)}/${path}`)
    if (!found.ok) return found
    if (found.value.size !== size || !equalBytes(found.value.sha256, hash)) {
      return fail({ code: 'update.other-bytes', path, size: found.value.size, listed: size })
    }
  }
  return release
}

/** Removes what nothing may start any more. That it fails costs space, and the next update says so. */
export async function removeStale(tree: Tree, state: ReleaseState): Promise<Fault | undefined> {
  const kept = keptReleases(state)
  const entries = await tree.list(RELEASES)
  if (!entries.ok) return entries.fault
  for (const { name, kind } of entries.value) {
    // What else lies there was put by somebody else, under a name that may be no path of ours.
    if (kind !== 'folder' || kept.has(name) || !(RELEASE_NAME.test(name) || folderOf(name) === INCOMING)) continue
    const removed = await tree.remove(folderOf(name))
    if (!removed.ok) return removed.fault
  }
  return undefined
}
