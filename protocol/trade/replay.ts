/**
 * Which messages of a peer were seen, and so whether one is new: by (epoch, sequence), which the peer signed. Reordering inside the
 * window is fine; what lies below it cannot be told from a repeat and counts as one.
 */
import { fromHex, toHex } from '../bytes.ts'
import { forget as forgetIn, placeOf, type SeenWindow, see } from '../crypto/window.ts'
import { bytes, type Codec, integer, record } from '../record.ts'
import { fail, ok } from '../result.ts'

/** Ten minutes of heartbeats: no broker that still delivers at all reorders by more. */
const WINDOW = 1024

export type ReplayWindow = SeenWindow

export type Freshness = 'fresh' | 'duplicate' | 'older-epoch'

/** Whether a message is new, and the window after it. An undefined window has seen nothing. */
export function judgeFreshness(
  window: ReplayWindow | undefined,
  epoch: number,
  sequence: number,
): { readonly verdict: Freshness; readonly window: ReplayWindow } {
  const place = placeOf(window, WINDOW, epoch, sequence)
  if (window === undefined || place === 'ahead' || place === 'unseen') {
    return { verdict: 'fresh', window: see(window, WINDOW, epoch, sequence) }
  }
  return { verdict: place === 'older-epoch' ? 'older-epoch' : 'duplicate', window }
}

/** The window as if this message had not been seen: what became of it could not be kept. */
export const forget = (window: ReplayWindow, epoch: number, sequence: number): ReplayWindow =>
  forgetIn(window, WINDOW, epoch, sequence)

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
