/**
 * Which messages of a peer were seen: a window over (epoch, sequence), after IPsec's anti-replay window (RFC 4303
 * section 3.4.3). Reordering inside the window is fine; what lies below it cannot be told from a repeat and counts as one.
 * An epoch is the peer's boot count: a higher one begins anew, a lower one is over.
 */
import { fromHex } from '../bytes.ts'
import { bytes, type Codec, integer, record } from './record.ts'

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

const seen: Codec<bigint> = {
  write: value => fromHex(value.toString(16).padStart(WINDOW / 4, '0'))!,
  read: (item, field) => {
    const raw = bytes(WINDOW / 8).read(item, field)
    return raw.ok ? { ok: true, value: raw.value.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n) } : raw
  },
}

/** For the journal. */
export const replayWindow: Codec<ReplayWindow> = record({
  epoch: [1, integer(0, Number.MAX_SAFE_INTEGER)],
  highest: [2, integer(1, Number.MAX_SAFE_INTEGER)],
  seen: [3, seen],
})
