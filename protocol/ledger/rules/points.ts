/**
 * Reward points: one for each watt-hour that another owner consumed.
 *
 * Points are minted from a settled deal alone, to its seller, in exactly the quantity delivered, once for each issuer;
 * where nobody's meter or both signatures stand behind the quantity there are none. They cannot be passed on: a point
 * is its holder's record of what it gave, and what an issuer gives for one is between the two. Redeemed, they are burnt.
 *
 * What a store takes in nobody has consumed: such a deal earns nothing. Of what it gives, the store as issuer says whose it was,
 * each holder once and all of them together no more than was delivered; its taker's own energy earns nothing.
 *
 *     minted - burnt = what the holders have
 */
import { equalBytes, toHex } from '../../bytes.ts'
import { wattHours } from '../../quantity.ts'
import { ok, type Result } from '../../result.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Kinds } from '../kind.ts'
import { MAX_PARTS, POINTS, POOLS, REWARDED } from '../service-tables.ts'
import { accountId, type Draft } from '../state.ts'
import { DEALS } from '../tables.ts'
import type { BodyOf } from '../tx.ts'
import { hasRole } from './roles.ts'

const NO_DATA = new Uint8Array(0)
const NONE = wattHours(0n)

export const pointKinds = {
  issue: { gas: 1n, apply: applyIssue },
  redeem: { gas: 1n, apply: applyRedeem },
} satisfies Partial<Kinds>

function applyIssue(
  draft: Draft,
  sender: Uint8Array,
  { deal: hash, amount: part, holder: named }: BodyOf<'issue'>,
): Result<Uint8Array, LedgerFault> {
  if (!hasRole(draft, 'issuer', sender)) return refuse('ledger.role-only', { role: 'issuer', sender: toHex(sender) })
  const deal = draft.get(DEALS, toHex(hash))
  if (deal === undefined) return refuse('ledger.no-deal', { deal: toHex(hash) })
  const { outcome, sealed, sellerReceipt, buyerReceipt, seller, buyer } = deal
  if (named !== undefined && !equalBytes(seller, sender)) return refuse('ledger.not-a-party', { deal: toHex(hash) })
  const holder = named ?? seller
  const metered = outcome?.sellerShare !== undefined && outcome.buyerShare !== undefined
  const shown = metered || sealed !== undefined || (sellerReceipt !== undefined && buyerReceipt !== undefined)
  const delivered = outcome?.delivered ?? NONE
  const amount = part ?? delivered
  const issuer = accountId(sender)
  const id = `${issuer}/${toHex(hash)}`
  const before = draft.get(REWARDED, id)
  const parts = before === undefined ? [] : before.parts
  const again = parts === undefined || (before !== undefined && named === undefined)
  if (again || parts.some(one => equalBytes(one.holder, holder)) || parts.length >= MAX_PARTS)
    return refuse('ledger.points-taken', { deal: toHex(hash) })
  const sum = wattHours((before?.amount ?? NONE) + amount)
  const consumed = !hasRole(draft, 'storage', buyer) && !equalBytes(holder, buyer)
  if (!shown || !consumed || amount === 0n || sum > delivered)
    return refuse('ledger.points-deal', { deal: toHex(hash), state: deal.state, amount: sum, delivered })
  const { minted, burnt } = draft.get(POOLS, issuer) ?? { minted: NONE, burnt: NONE }
  const purse = `${issuer}/${accountId(holder)}`
  const held = draft.get(POINTS, purse)?.amount ?? NONE
  const rewarded = { holder: seller, amount: sum }
  draft.put(REWARDED, id, named === undefined ? rewarded : { ...rewarded, parts: [...parts, { holder, amount }] })
  draft.put(POOLS, issuer, { minted: wattHours(minted + amount), burnt })
  draft.put(POINTS, purse, { amount: wattHours(held + amount) })
  return ok(hash)
}

function applyRedeem(
  draft: Draft,
  sender: Uint8Array,
  { issuer, amount }: BodyOf<'redeem'>,
): Result<Uint8Array, LedgerFault> {
  const purse = `${accountId(issuer)}/${accountId(sender)}`
  const held = draft.get(POINTS, purse)?.amount ?? NONE
  if (held < amount) return refuse('ledger.points', { held, needed: amount })
  const { minted, burnt } = draft.get(POOLS, accountId(issuer))!
  draft.put(POOLS, accountId(issuer), { minted, burnt: wattHours(burnt + amount) })
  if (held === amount) draft.remove(POINTS, purse)
  else draft.put(POINTS, purse, { amount: wattHours(held - amount) })
  return ok(NO_DATA)
}
