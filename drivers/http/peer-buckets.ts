/** What each peer of a server may still cost, and all of them together: token buckets in bounded memory. */
import { isIP } from 'node:net'
import { type Bucket, type BucketSize, fullBucket, takeTokens } from '../../protocol/crypto/bucket.ts'
import type { Mono } from '../../protocol/time.ts'

export interface PeerBuckets {
  /** Takes one token for this peer, and one of all; false takes none. */
  take(peer: string, now: Mono): boolean
}

/** Some hundred bytes each. Whoever has more addresses than these is bounded by what all may take. */
const PEERS = 4096

export function createPeerBuckets(each: BucketSize, all: BucketSize): PeerBuckets {
  // In the order in which they were last used.
  const peers = new Map<string, Bucket>()
  let common: Bucket | undefined
  return {
    take(peer, now) {
      const own = takeTokens(peers.get(peer) ?? fullBucket(each, now), each, 1, now)
      // A peer that has used up its own takes nothing from the others.
      if (own === undefined) return false
      const left = takeTokens(common ?? fullBucket(all, now), all, 1, now)
      if (left === undefined) return false
      common = left
      peers.delete(peer)
      peers.set(peer, own)
      if (peers.size > PEERS) peers.delete(peers.keys().next().value!)
      return true
    },
  }
}

/**
 * Whom an address stands for: an IPv4 address itself, an IPv6 address its first 64 bits, of which one customer has all
 * (RFC 6177), and all of this machine's loopback addresses as they are.
 */
export function peerOf(address: string | undefined): string {
  const text = (address ?? '').replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  if (isIP(text) !== 6) return text
  const [head = '', tail] = text.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const [front, back] = [groups(head), groups(tail ?? '')]
  const zeros = tail === undefined ? 0 : 8 - front.length - back.length
  const all = [...front, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...back]
  return all
    .slice(0, 4)
    .map(group => Number.parseInt(group, 16).toString(16))
    .join(':')
}
