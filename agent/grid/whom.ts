/** Whom a buyer asks where it knows more peers than it may: those that offered when they were last asked, and a few others. */
import type { Entropy } from '../../drivers/ports.ts'

/**
 * A request's messages grow with the number asked, and what it finds hardly: sixteen sellers drawn at random hold one of the
 * cheapest tenth four times in five.
 */
export const MOST_ASKED = 16
/** So many of them go to those that did not offer, or were never asked: who sells is found, and who has begun to sell. */
const EXPLORING = 4

/** In any order, each as likely as another. */
function shuffled(names: readonly string[], entropy: Entropy): string[] {
  const drawn = [...names]
  for (let last = drawn.length - 1; last > 0; last--) {
    // 2^32 is so far above the count of peers that what is left of the division favours nobody by more than a millionth.
    const word = new DataView(entropy.bytes(4).slice().buffer).getUint32(0)
    const at = word % (last + 1)
    ;[drawn[last], drawn[at]] = [drawn[at]!, drawn[last]!]
  }
  return drawn
}

/** `offered`: answered their last request with a bid. Nobody twice, and everybody where there are no more than MOST_ASKED. */
export function whom(peers: readonly string[], offered: ReadonlySet<string>, entropy: Entropy): readonly string[] {
  if (peers.length <= MOST_ASKED) return peers
  const sellers = shuffled(
    peers.filter(name => offered.has(name)),
    entropy,
  )
  const others = shuffled(
    peers.filter(name => !offered.has(name)),
    entropy,
  )
  const exploring = Math.max(Math.min(EXPLORING, others.length), MOST_ASKED - sellers.length)
  return [...sellers.slice(0, MOST_ASKED - exploring), ...others.slice(0, exploring)]
}
