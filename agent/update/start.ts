/** What the launcher does before anything else runs: decides which release starts, and counts a try before it is one. */
import type { Timers } from '../../drivers/ports.ts'
import type { Tree } from '../../drivers/store/tree.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { type Fault, faultLine, ok, type Result } from '../../protocol/result.ts'
import { decideStart, type Start } from '../../protocol/update/decide.ts'
import type { ReleaseState } from '../../protocol/update/state.ts'
import { changeState, checkRelease, folderOf, readKeys, readState } from './releases.ts'

export interface StartOptions {
  readonly tree: Tree
  readonly timers: Pick<Timers, 'sleep'>
  readonly verifier: Verifier
  /** The package's own release. */
  readonly packaged: number
  /** The text that names whose updates are taken. */
  readonly keys: Result<string>
  /** Hears what is in the way; something starts all the same. */
  readonly onFault: (text: string, fault: Fault) => void
}

export type Chosen =
  | { readonly start: 'packaged' }
  | { readonly start: 'good' | 'candidate'; readonly name: string; readonly folder: string }

/** Never without an answer: whatever is damaged, unreadable or cannot be written leads further down, at last to the package. */
export async function chooseStart(options: StartOptions): Promise<Chosen> {
  const { tree, timers, onFault } = options
  const decide = (state: ReleaseState, readOnly: boolean) => decideSoundly(state, readOnly, options)
  const changed = await changeState(tree, timers, async state => {
    const decided = await decide(state, false)
    return ok({ ...decided, next: decided.next === state ? undefined : decided.next })
  })
  if (changed.ok) return chosen(changed.value)
  onFault('the state of the releases cannot be written: nothing unproven starts', changed.fault)
  const state = await readState(tree)
  if (!state.ok) onFault('the state of the releases cannot be read: what the package brought starts', state.fault)
  return chosen(await decide(state.ok ? state.value : {}, true))
}

const chosen = (decided: { readonly start: Start['start']; readonly name?: string }): Chosen =>
  decided.start === 'packaged' || decided.name === undefined
    ? { start: 'packaged' }
    : { start: decided.start, name: decided.name, folder: folderOf(decided.name) }

/** Asks again as long as what should start is not what was signed. */
async function decideSoundly(state: ReleaseState, readOnly: boolean, options: StartOptions): Promise<Start> {
  const { tree, verifier, packaged, keys: text, onFault } = options
  const unfit = new Map<string, string>()
  for (;;) {
    const decided = decideStart(state, { packaged, unfit, readOnly })
    if (decided.start === 'packaged') return decided
    const keys = text.ok ? readKeys(text.value, state, verifier) : text
    const sound = keys.ok ? await checkRelease(tree, folderOf(decided.name), keys.value.chain, verifier) : keys
    if (sound.ok && sound.value.name === decided.name) return decided
    const fault: Fault = sound.ok ? { code: 'update.other-release', found: sound.value.name } : sound.fault
    onFault(`release ${decided.name} is not started`, fault)
    unfit.set(decided.name, faultLine(fault))
  }
}
