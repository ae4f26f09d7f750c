/**
 * Which messages of a peer were seen: a window over (epoch, sequence), after IPsec's anti-replay window (RFC 4303
 * section 3.4.3). Reordering inside the window is fine; what lies below it cannot be told from a repeat and counts as one.
 * An epoch is the peer's boot count: a higher one begins anew, a lower one is over.
 */
import { fromHex, toHex } from '../bytes.ts'
import { bytes, type Codec, integer, record } from '../record.ts'
import { fail, ok } from '../result.ts'

/** Ten minutes of heartbeats: no broker that still delivers at all reorders by more. */
const WINDOW = 1024
const MASK = (1n << BigInt(WINDOW)) - 1n

export interface ReplayWindow {
  readonly epoch: number
  readonly highest: number
  /** Bit i: sequence `highest - i` was seen. */
  readonly seen: bigint
}

export type Freshness = 'fresh' | 'duplicate' | 'older-epoch'

/** Whether a message is new, and the window after it. An undefined window has seen nothing. */
export function judgeFreshness(
  window: ReplayWindow | undefined,
  epoch: number,
  sequence: number,
): { readonly verdict: Freshness; readonly window: ReplayWindow } {
  if (window === undefined || epoch > window.epoch) {
    return { verdict: 'fresh', window: { epoch, highest: sequence, seen: 1n } }
  }
  if (epoch < window.epoch) return { verdict: 'older-epoch', window }
  const ahead = sequence - window.highest
  if (ahead > 0) {
    const seen = ahead >= WINDOW ? 1n : ((window.seen << BigInt(ahead)) & MASK) | 1n
    return { verdict: 'fresh', window: { epoch, highest: sequence, seen } }
  }
  if (-ahead >= WINDOW) return { verdict: 'duplicate', window }
  const bit = 1n << BigInt(-ahead)
  return (window.seen & bit) !== 0n
    ? { verdict: 'duplicate', window }
    : { verdict: 'fresh', window: { ...window, seen: window.seen | bit } }
}

/** The window as if this message had not been seen: what became of it could not be kept. */
export function forget(window: ReplayWindow, epoch: number, sequence: number): ReplayWindow {
  const behind = window.highest - sequence
  if (epoch !== window.epoch || behind < 0 || behind >= WINDOW) return window
  return { ...window, seen: window.seen & ~(1n << BigInt(behind)) }
}

const seen: Codec<bigint> = {
  write: value => fromHex(value.toString(16).padStart(WINDOW / 4, '0'))!,
  read: (item, field) => {
    const raw = bytes(WINDOW / 8).read(item, field)
    return raw.ok ? ok(raw.value.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)) : raw
  },
}

const replayWindow: Codec<ReplayWindow> = record({
  epoch: [1, integer(0, Number.MAX_SAFE_INTEGER)],
  highest: [2, integer(1, Number.MAX_SAFE_INTEGER)],
  seen: [3, seen],
})

/** For the journal: the windows of all peers, by address in hex. */
export const replayWindows: Codec<ReadonlyMap<string, ReplayWindow>> = {
  write: windows => [...windows].map(([peer, window]) => [fromHex(peer)!, replayWindow.write(window)]),
  read: (item, field) => {
    if (!Array.isArray(item)) return fail({ code: 'record.shape', field, reason: 'not a list' })
    const windows = new Map<string, ReplayWindow>()
    for (const [i, pair] of item.entries()) {
      const place = `${field}[${i}]`
      if (!Array.isArray(pair)) return fail({ code: 'record.shape', field: place, reason: 'not a pair' })
      const peer = bytes(20).read(pair[0], place)
      if (!peer.ok) return peer
      const window = replayWindow.read(pair[1], place)
      if (!window.ok) return window
      windows.set(toHex(peer.value), window.value)
    }
    return ok(windows)
  },
}
