/** Asks until something is proven: within bounds, and refusing whoever lies meanwhile. */
import type { Clock, Timers } from '../../drivers/ports.ts'
import type { VerifiedBlock } from '../../protocol/light/verify.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { later } from '../../protocol/time.ts'
import { refused } from './decide.ts'
import type { Looked, Source } from './source.ts'

/** Half a block. */
const ASK_AGAIN_MS = 500

export interface Seeking<T> {
  readonly waitMs: number
  readonly clock: Clock
  readonly timers: Timers
  /** The header that proves it has to be above this height. */
  readonly atLeast: bigint
  sources(): readonly Source[]
  ask(from: Source, under: VerifiedBlock): Promise<Looked<T>>
  follow(): Promise<Result<void>>
  /** The newest block that a witness has confirmed; undefined while nothing is believed. */
  under(): VerifiedBlock | undefined
  /** Why nothing can be proven now, however long one waits. */
  obstacle(): Fault | undefined
  /** The refusal after which no round has gone well yet. */
  refusal(): Fault | undefined
  refuse(from: Source, under: VerifiedBlock, looked: Looked<T> & { readonly ok: false }): Promise<void>
}

export async function seek<T>(seeking: Seeking<T>): Promise<Result<T>> {
  const { clock, timers, atLeast, waitMs } = seeking
  const until = later(clock.mono(), waitMs)
  for (;;) {
    const followed = await seeking.follow()
    let missing: Fault = followed.ok ? { code: 'light.not-yet', height: atLeast } : followed.fault
    const under = seeking.under()
    // The header of block H carries the state after H-1; the state after block 0 is the genesis, which nobody proves.
    if (under !== undefined && under.header.height > atLeast) {
      for (const from of seeking.sources()) {
        const looked = await seeking.ask(from, under)
        // Much may have come to light while the answer was on its way.
        if (seeking.obstacle() !== undefined) break
        if (looked.ok) return ok(looked.value)
        missing = looked.fault
        if (looked.lied) await seeking.refuse(from, under, looked)
      }
    }
    const fault = seeking.obstacle()
    if (fault !== undefined) return fail(fault)
    if (clock.mono() >= until) {
      const refusal = seeking.refusal()
      return fail(refusal === undefined ? missing : refused(refusal))
    }
    await timers.sleep(ASK_AGAIN_MS)
  }
}
