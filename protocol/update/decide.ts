/**
 * Which release starts, and what becomes of one that was tried: pure, so that every state can be looked at. Whoever carries it
 * out writes `next` durably before it does anything else.
 */
import { equalBytes, fromUtf8, utf8 } from '../bytes.ts'
import type { Fault } from '../result.ts'
import { type Manifest, type Release, releaseOf } from './manifest.ts'
import { type Expect, type ReleaseState, TRIES_MAX, WHY_MAX } from './state.ts'

export type Start =
  | { readonly start: 'packaged'; readonly next: ReleaseState }
  | { readonly start: 'good' | 'candidate'; readonly name: string; readonly next: ReleaseState }

export interface StartFacts {
  /** The release that Debian's package brought. */
  readonly packaged: number
  /** Releases that cannot be started, as the caller has found since it asked first, and why. */
  readonly unfit: ReadonlyMap<string, string>
  /** Whether `next` cannot be written: then nothing unproven starts. */
  readonly readOnly: boolean
}

/** One that is tried, while tries are left; else the newest that was found good and is newer than the package; else that. */
export function decideStart(state: ReleaseState, { packaged, unfit, readOnly }: StartFacts): Start {
  const { candidate, good, previous } = state
  const why = candidate && candidateFault(candidate.name, candidate.tries, packaged, unfit)
  if (candidate !== undefined && why === undefined && !readOnly) {
    const tried = { ...candidate, tries: candidate.tries + 1 }
    return { start: 'candidate', name: candidate.name, next: { ...state, candidate: tried } }
  }
  const next = why === undefined || readOnly ? state : decideGiveUp(state, candidate!.name, why)
  for (const name of [good, previous]) {
    if (name !== undefined && releaseOf(name) > packaged && !unfit.has(name)) return { start: 'good', name, next }
  }
  return { start: 'packaged', next }
}

function candidateFault(name: string, tries: number, packaged: number, unfit: StartFacts['unfit']): string | undefined {
  if (releaseOf(name) <= packaged) return 'the package brought a newer one'
  if (unfit.has(name)) return unfit.get(name)
  return tries < TRIES_MAX ? undefined : `was started ${tries} times and never found good`
}

export interface AdmitFacts {
  readonly packaged: number
  /** The highest release ever found good, as it stands outside the state. */
  readonly floor: number
  readonly architecture: Manifest['architecture']
  readonly group: string | undefined
}

/** Why a release whose signatures are good may not be installed here. */
export function admitFault(
  { manifest, name }: Pick<Release, 'manifest' | 'name'>,
  state: ReleaseState,
  facts: AdmitFacts,
): Fault | undefined {
  const { architecture, group, release, least } = manifest
  if (architecture !== facts.architecture) {
    return { code: 'update.architecture', update: architecture, gateway: facts.architecture }
  }
  if (group !== undefined && group !== facts.group) {
    return { code: 'update.group', update: group, gateway: facts.group ?? 'none' }
  }
  const highest = Math.max(facts.packaged, facts.floor, state.highest === undefined ? 0 : releaseOf(state.highest))
  // The highest itself may come back after a person has left it.
  if (release < highest || (release === highest && name !== state.highest)) {
    return { code: 'update.not-newer', update: release, highest, hint: 'an older release is never installed' }
  }
  if (release <= facts.packaged) return { code: 'update.not-newer', update: release, highest: facts.packaged }
  const from = Math.max(facts.packaged, state.good === undefined ? 0 : releaseOf(state.good))
  if (from < least) return { code: 'update.too-far', from, least, hint: 'install a release between the two first' }
  return undefined
}

export function decideInstall(state: ReleaseState, name: string, expect: Expect | undefined): ReleaseState {
  return { ...state, candidate: { name, tries: 0, ...(expect === undefined ? {} : { expect }) } }
}

/** `rotation` is what the release says of keys. Undefined where it is not the one that is tried. */
export function decideConfirm(
  state: ReleaseState,
  name: string,
  rotation?: { readonly root: Uint8Array; readonly envelopes: readonly Uint8Array[] },
): ReleaseState | undefined {
  const { candidate, failed, ...rest } = state
  if (candidate?.name !== name) return undefined
  const { good, highest } = state
  // Where the first keys are others now, what was built on the old ones is over.
  const onward = rotation && state.root !== undefined && equalBytes(state.root, rotation.root)
  const keys = rotation && {
    root: rotation.root,
    rotations: [...(onward ? (state.rotations ?? []) : []), rotation.envelopes],
  }
  return {
    ...rest,
    ...keys,
    good: name,
    ...(good === undefined || good === name ? {} : { previous: good }),
    highest: highest !== undefined && releaseOf(highest) > releaseOf(name) ? highest : name,
    ...(failed === undefined || failed.name === name ? {} : { failed }),
  }
}

/** Nothing changes where it is not the one that is tried. */
export function decideGiveUp(state: ReleaseState, name: string, why: string): ReleaseState {
  const { candidate, ...rest } = state
  return candidate?.name === name ? { ...rest, failed: { name, why: shorten(why) } } : state
}

/** To what a state may hold; half a surrogate pair, which has no bytes, is replaced. */
const shorten = (why: string): string => fromUtf8(utf8(why.slice(0, WHY_MAX)))!

/** What is tried is given up; where nothing is, what was found good last is left for what was before it, or the package. */
export function decideRollback(state: ReleaseState): ReleaseState | undefined {
  if (state.candidate !== undefined) return decideGiveUp(state, state.candidate.name, 'rolled back by hand')
  const { good, previous, ...rest } = state
  if (good === undefined) return undefined
  const failed = { name: good, why: 'rolled back by hand' }
  return { ...rest, failed, ...(previous === undefined ? {} : { good: previous }) }
}

/** Releases that something may still start. */
export const keptReleases = ({ good, previous, candidate }: ReleaseState): ReadonlySet<string> =>
  new Set([good, previous, candidate?.name].filter(name => name !== undefined))
