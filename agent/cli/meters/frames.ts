/** All frames of a recording that is there as a whole, and what stands between them. */
import type { Fault, Pull } from '../../../protocol/result.ts'

/** `at` and `bytes`: where it begins in the recording, and how many bytes it is long. */
export type Stretch<T> = { readonly at: number; readonly bytes: number } & (
  | { readonly kind: 'frame'; readonly value: T }
  /** Bytes in a row that make no frame, with the first reason why. */
  | { readonly kind: 'junk'; readonly fault: Fault }
  /** The recording ends inside a frame that wants at least `need` more bytes. */
  | { readonly kind: 'cut'; readonly need: number }
)

/** No decoder asks for as much as this; what it is shown of a long recording at a time, so that junk costs no more than its length. */
const WINDOW = 65_536
/** So far from its end a recording is searched for a frame behind a false beginning: twice the longest frame. */
const SEARCH_MOST = 16_384

export function* framesOf<T>(bytes: Uint8Array, decode: (bytes: Uint8Array) => Pull<T>): Generator<Stretch<T>> {
  let at = 0
  let junk: { readonly at: number; readonly fault: Fault } | undefined
  const ended = (end: number): Stretch<T>[] => {
    const stretch = junk
    junk = undefined
    return stretch === undefined
      ? []
      : [{ kind: 'junk', at: stretch.at, bytes: end - stretch.at, fault: stretch.fault }]
  }
  while (at < bytes.length) {
    const pull = decode(bytes.subarray(at, at + WINDOW))
    if (pull.kind === 'frame') {
      yield* ended(at)
      yield { kind: 'frame', at, bytes: pull.used, value: pull.value }
      at += pull.used
    } else if (pull.kind === 'junk') {
      junk ??= { at, fault: pull.fault }
      at += pull.skip
    } else {
      // What looks like a beginning may be none: the frame that would never come must not hide one that is there.
      const next = findFrame(bytes, at + 1, decode)
      if (next === undefined) {
        // One byte behind what makes no frame may end that as well as begin another: an HDLC flag does both.
        if (junk !== undefined && bytes.length - at === 1) break
        yield* ended(at)
        yield { kind: 'cut', at, bytes: bytes.length - at, need: pull.bytes }
        return
      }
      junk ??= { at, fault: { code: 'decode.cut', need: pull.bytes } }
      yield* ended(next.at)
      yield next
      at = next.at + next.bytes
    }
  }
  yield* ended(bytes.length)
}

/** Never decoded twice: some decoders remember what they have seen, as the count of an encrypted telegram. */
function findFrame<T>(
  bytes: Uint8Array,
  from: number,
  decode: (bytes: Uint8Array) => Pull<T>,
): Extract<Stretch<T>, { kind: 'frame' }> | undefined {
  for (let at = from; at < Math.min(bytes.length, from + SEARCH_MOST); ) {
    const pull = decode(bytes.subarray(at))
    if (pull.kind === 'frame') return { kind: 'frame', at, bytes: pull.used, value: pull.value }
    at += pull.kind === 'junk' ? pull.skip : 1
  }
  return undefined
}
