/** Collects the chunks of a byte stream until a pull decoder finds frames in them, as every reader of a line does. */
import { concat } from '../../../protocol/bytes.ts'
import type { Fault, Pull } from '../../../protocol/result.ts'

interface Gathered<T, F extends Fault = Fault> {
  readonly frames: readonly { readonly value: T; readonly raw: Uint8Array }[]
  readonly faults: readonly F[]
}

/**
 * Memory is bounded by the decoder, which answers junk beyond its longest frame. A byte stream that is nothing but noise
 * yields few faults, because a decoder skips as far as it can see.
 */
export class Gather<T, F extends Fault = Fault> {
  private held: Uint8Array = new Uint8Array(0)
  private wanted = 1
  private readonly decode: (bytes: Uint8Array) => Pull<T, F>

  constructor(decode: (bytes: Uint8Array) => Pull<T, F>) {
    this.decode = decode
  }

  /** Bytes held back until more come. */
  get pending(): number {
    return this.held.length
  }

  push(chunk: Uint8Array): Gathered<T, F> {
    const frames: { value: T; raw: Uint8Array }[] = []
    const faults: F[] = []
    this.held = concat(this.held, chunk)
    let at = 0
    while (this.held.length - at >= this.wanted) {
      const rest = this.held.subarray(at)
      const pull = this.decode(rest)
      this.wanted = pull.kind === 'need' ? rest.length + pull.bytes : 1
      if (pull.kind === 'frame') {
        frames.push({ value: pull.value, raw: rest.slice(0, pull.used) })
        at += pull.used
      } else if (pull.kind === 'junk') {
        faults.push(pull.fault)
        at += pull.skip
      }
    }
    this.held = this.held.slice(at)
    return { frames, faults }
  }
}
