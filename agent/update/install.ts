/**
 * An update file is verified, unpacked beside the other releases, and named as the one to try at the next start. Until the last
 * step, which replaces the small file `releases/state`, nothing has changed that a start looks at.
 */
import type { Timers } from '../../drivers/ports.ts'
import type { PieceSource, Tree } from '../../drivers/store/tree.ts'
import { concat, equalBytes } from '../../protocol/bytes.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { type AdmitFacts, admitFault, decideInstall } from '../../protocol/update/decide.ts'
import { LEAD_BYTES, pullHead, type Release } from '../../protocol/update/manifest.ts'
import type { Expect, ReleaseState } from '../../protocol/update/state.ts'
import {
  changeState,
  checkRelease,
  filesOf,
  folderOf,
  foldersOf,
  INCOMING,
  INSTALLS,
  type Keys,
  pieceOf,
  RELEASES,
  readFloor,
  readKeys,
  readState,
  readUpdate,
  removeStale,
} from './releases.ts'

export interface InstallOptions {
  readonly tree: Tree
  readonly timers: Pick<Timers, 'sleep'>
  readonly verifier: Verifier
  /** The text that names whose updates are taken. */
  readonly keys: string
  readonly packaged: number
  readonly architecture: AdmitFacts['architecture']
  /** Bytes unpacked so far, and in all. */
  readonly onProgress?: (bytes: number, of: number) => void
}

interface Verified {
  readonly release: Release
  readonly head: Uint8Array
  /** Where the bodies begin. */
  readonly from: number
  readonly keys: Keys
  readonly state: ReleaseState
}

type VerifyOptions = Pick<InstallOptions, 'tree' | 'verifier' | 'keys' | 'packaged' | 'architecture'>

/** The head alone: whether it is signed by whom this gateway trusts now, and whether it may be installed here. */
export async function verifyUpdate(source: PieceSource, options: VerifyOptions): Promise<Result<Verified>> {
  const { tree, verifier, packaged, architecture } = options
  const [state, floor] = [await readState(tree), await readFloor(tree)]
  if (!state.ok) return state
  if (!floor.ok) return floor
  const keys = readKeys(options.keys, state.value, verifier)
  if (!keys.ok) return keys
  const head = await takeHead(source)
  if (!head.ok) return head
  const release = readUpdate(head.value, keys.value, state.value, verifier)
  if (!release.ok) return release
  const { group } = keys.value.root
  const facts: AdmitFacts = { packaged, floor: floor.value, architecture, group }
  const from = LEAD_BYTES + head.value.length
  const fault = admitFault(release.value, state.value, facts)
  if (fault !== undefined) return fail(fault)
  const bytes = from + release.value.manifest.size
  if (source.size !== bytes) return fail({ code: 'update.length', bytes: source.size, expected: bytes })
  return ok({ release: release.value, head: head.value, from, keys: keys.value, state: state.value })
}

async function takeHead(source: PieceSource): Promise<Result<Uint8Array>> {
  let seen: Uint8Array = new Uint8Array(0)
  for (;;) {
    const pulled = pullHead(seen)
    if (pulled.kind === 'frame') return ok(pulled.value)
    if (pulled.kind === 'junk') return fail(pulled.fault)
    const before = seen.length
    for await (const piece of source.pieces(before, pulled.bytes)) {
      if (!piece.ok) return piece
      seen = concat(seen, piece.value)
    }
    if (seen.length === before) return fail({ code: 'update.truncated', bytes: source.size })
  }
}

/** As `verifyUpdate`, and every body held against the list; nothing is written. */
export async function verifyWhole(source: PieceSource, options: VerifyOptions): Promise<Result<Release>> {
  const verified = await verifyUpdate(source, options)
  if (!verified.ok) return verified
  const { release } = verified.value
  let at = verified.value.from
  for (const { path, size, hash } of release.files) {
    const found = await source.hash(at, size)
    if (!found.ok) return found
    if (!equalBytes(found.value, hash)) return fail({ code: 'update.other-bytes', path })
    at += size
  }
  return ok(release)
}

export interface Installed extends Release {
  /** It is the one that was found good last, every byte of it: nothing was done. */
  readonly already: boolean
}

/** Asked again later, the answer may be another. */
export const INSTALLING = 'update.installing'

/** The release is tried at the next start. */
export async function installUpdate(
  source: PieceSource,
  options: InstallOptions,
  expect?: Expect,
): Promise<Result<Installed>> {
  const { tree, timers, verifier } = options
  const made = await tree.makeFolder(RELEASES)
  if (!made.ok) return made
  const held = await tree.hold(RELEASES, INSTALLS)
  if (!held.ok) {
    if (held.fault.code !== 'disk.held') return held
    return fail({ code: INSTALLING, hint: 'another installation runs here, or older releases are being removed' })
  }
  try {
    const verified = await verifyUpdate(source, options)
    if (!verified.ok) return verified
    const { release, keys, state } = verified.value
    // What an earlier attempt left takes the space that this one needs.
    const stale = await removeStale(tree, state)
    if (stale !== undefined) return fail(stale)
    const there = await checkRelease(tree, folderOf(release.name), keys.chain, verifier)
    const whole = there.ok && there.value.name === release.name
    if (whole && state.good === release.name && state.candidate === undefined) return ok({ ...release, already: true })
    if (!whole) {
      const unpacked = await unpack(source, verified.value, options)
      if (!unpacked.ok) {
        await tree.remove(INCOMING)
        return unpacked
      }
    }
    const named = await changeState(tree, timers, now => {
      // Meanwhile another may have been found good, by keys that it changed.
      const [again, keysNow] = [admitAgain(release, now, keys, options), readKeys(options.keys, now, verifier)]
      if (!again.ok) return again
      if (!keysNow.ok) return keysNow
      const signed = readUpdate(verified.value.head, keysNow.value, now, verifier)
      return signed.ok ? ok({ next: decideInstall(now, release.name, expect) }) : signed
    })
    return named.ok ? ok({ ...release, already: false }) : named
  } finally {
    await held.value()
  }
}

function admitAgain(release: Release, state: ReleaseState, keys: Keys, options: InstallOptions): Result<void> {
  const { packaged, architecture } = options
  const fault = admitFault(release, state, { packaged, architecture, floor: 0, group: keys.root.group })
  return fault === undefined ? done : fail(fault)
}

/** Unpacks to a folder that no state names, reads back what is there, and only then gives it its name. */
async function unpack(source: PieceSource, verified: Verified, options: InstallOptions): Promise<Result<void>> {
  const { tree, verifier, onProgress = () => {} } = options
  const { release, head, keys } = verified
  const { files, manifest, name } = release
  const inFiles = (path: string) => (path === '' ? filesOf(INCOMING) : `${filesOf(INCOMING)}/${path}`)
  // Whatever has that name: a folder of an attempt that was cut, or what nobody should have put there.
  const removed = await tree.remove(INCOMING)
  if (!removed.ok) return removed
  const folders = ['', ...foldersOf(release)]
  for (const folder of folders) {
    const made = await tree.makeFolder(inFiles(folder))
    if (!made.ok) return made
  }
  let at = verified.from
  for (const { path, size } of files) {
    const written = await tree.write(inFiles(path), source.pieces(at, size))
    if (!written.ok) return written
    at += size
    onProgress(at - verified.from, manifest.size)
  }
  const wrote = await tree.write(`${INCOMING}/head`, pieceOf(head))
  if (!wrote.ok) return wrote
  const whole = await checkRelease(tree, INCOMING, keys.chain, verifier)
  if (!whole.ok) return whole
  // What has its name and is not sound is in the way; nothing can start it.
  const steps = [
    ...folders.toReversed().map(folder => () => tree.sync(inFiles(folder))),
    () => tree.sync(INCOMING),
    () => tree.remove(folderOf(name)),
    () => tree.rename(INCOMING, folderOf(name)),
    () => tree.sync(RELEASES),
    () => tree.sync(''),
  ]
  for (const step of steps) {
    const result = await step()
    if (!result.ok) return result
  }
  return done
}
