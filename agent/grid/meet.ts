/** The two of a matched pair: what the pair is called, and how they find each other where orders are under one-time keys. */
import type { Entropy } from '../../drivers/ports.ts'
import { concat, equalBytes } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { sealingKey } from '../../protocol/crypto/seal.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import type { Trade } from '../../protocol/market/clear.ts'
import type { Order } from '../../protocol/market/order.ts'
import { awardIdOf, isMeetingOf, meetingToSign, openMeeting, sealMeeting } from '../../protocol/privacy/meeting.ts'
import type { OneTimeKey } from '../roles/pseudonyms.ts'

/** The contract of a pair has the pair's name. */
export const pairOf = ({ bid, offer }: Trade<Order>): Uint8Array => sha256(concat(bid.id, offer.id)).slice(0, 16)

/** What the seller of a pair writes to whoever made the bid, and the id that its award will have. */
export async function writeMeeting(
  trade: Trade<Order>,
  key: OneTimeKey,
  seller: Uint8Array,
  entropy: Entropy,
): Promise<{ readonly sealed: Uint8Array; readonly awardId: Uint8Array } | undefined> {
  const to = trade.bid.meeting
  if (to === undefined) return undefined
  const meeting = { pair: pairOf(trade), seller, token: entropy.bytes(16) }
  const signature = await key.signer.sign(meetingToSign(meeting, to))
  if (!signature.ok) return undefined
  const fresh = { key: sealingKey(entropy.bytes(32)), nonce: entropy.bytes(24) }
  const sealed = sealMeeting({ ...meeting, signature: signature.value }, to, fresh)
  return sealed.ok ? { sealed: sealed.value, awardId: awardIdOf(meeting.pair, meeting.token) } : undefined
}

/** What somebody wrote to this bid's maker: which of its trades, with which account, under which id; else undefined. */
export function readMeeting(
  sealed: Uint8Array,
  bid: Order,
  trades: readonly Trade<Order>[],
  key: OneTimeKey,
  verifier: Verifier,
): { readonly trade: Trade<Order>; readonly seller: Uint8Array; readonly awardId: Uint8Array } | undefined {
  const opened = openMeeting(sealed, key.meeting)
  if (!opened.ok) return undefined
  const { pair, seller, token } = opened.value
  const trade = trades.find(one => equalBytes(pairOf(one), pair) && equalBytes(one.bid.id, bid.id))
  if (trade === undefined) return undefined
  const written = isMeetingOf(opened.value, trade.offer.pseudonym, key.meeting.publicKey, verifier)
  return written ? { trade, seller, awardId: awardIdOf(pair, token) } : undefined
}
