/**
 * Which numbers of a sender were seen: a window over (epoch, number), after IPsec's anti-replay window (RFC 4303 section
 * 3.4.3). An epoch is the sender's boot count: a higher one begins anew, a lower one is over.
 */

export interface SeenWindow {
  readonly epoch: number
  readonly highest: number
  /** Bit i: number `highest - i` was seen. */
  readonly seen: bigint
}

/** `below`: too far behind the highest to tell whether it was seen. */
export type Place = 'ahead' | 'unseen' | 'seen' | 'below' | 'older-epoch'

/** Where a number stands in a window that remembers `size` of them. An undefined window has seen nothing. */
export function placeOf(window: SeenWindow | undefined, size: number, epoch: number, number: number): Place {
  if (window === undefined || epoch > window.epoch) return 'ahead'
  if (epoch < window.epoch) return 'older-epoch'
  const behind = window.highest - number
  if (behind < 0) return 'ahead'
  if (behind >= size) return 'below'
  return (window.seen & (1n << BigInt(behind))) === 0n ? 'unseen' : 'seen'
}

/** The window once it is known that the sender has come to this number, which need not have been seen. */
export function reach(window: SeenWindow | undefined, size: number, epoch: number, number: number): SeenWindow {
  if (window === undefined || epoch > window.epoch) return { epoch, highest: number, seen: 0n }
  const ahead = number - window.highest
  if (epoch < window.epoch || ahead <= 0) return window
  return { epoch, highest: number, seen: ahead >= size ? 0n : BigInt.asUintN(size, window.seen << BigInt(ahead)) }
}

/** The window with this number seen, which is neither below it nor of an older epoch. */
export function see(window: SeenWindow | undefined, size: number, epoch: number, number: number): SeenWindow {
  const reached = reach(window, size, epoch, number)
  return { ...reached, seen: reached.seen | (1n << BigInt(reached.highest - number)) }
}

/** The window as if this number had not been seen; one that it does not remember changes nothing. */
export function forget(window: SeenWindow, size: number, epoch: number, number: number): SeenWindow {
  if (placeOf(window, size, epoch, number) !== 'seen') return window
  return { ...window, seen: window.seen & ~(1n << BigInt(window.highest - number)) }
}
