/**
 * A deal is a table (deal-table.ts): states by inputs. `step` looks the cell up, and adds what no cell may forget.
 *
 *     proposed   the terms are agreed; one or both halves of the contract are wanted
 *     signed     both halves are there; the buyer hands its commitment to pay in, the seller waits to hear of it
 *     reserved   over the grid: capacity is reserved, and then only the buyer commits
 *     escrowed   handed in; each side asks its own light client whether the payment is locked
 *     armed      proven; the ends are prepared from the contract's start on
 *     started    power may flow; over the grid: the meters count
 *     stopped    power has ended; end reading and receipt
 *     receipted  our receipt is handed in; on a line both together settle at once, over the grid at the receipt window's end
 *     disputed   that time is over and the ledger has not settled: the dispute window decides
 *     settled    proven                        refunded   proven, nothing was paid
 *     aborted    a fault before the start      expired    its time went by
 *
 * Whoever aborts or expires follows what it may have locked to its end: the buyer its escrow, the seller its fee.
 *
 * The order on the line. Two supplies are never paralleled and contacts close onto a dead line only: the buyer opens its
 * circuit's own supply, sees the line dead, closes its line contact, signs its begin reading and says `ready`; the seller
 * sees the line dead, signs its begin reading and closes: power flows. At the end, without a fault, the seller opens first
 * and the buyer then opens a line that carries nothing; each signs its end reading once its own contact is seen open, and
 * the buyer's circuit gets its own supply back. On a fault both open at once.
 *
 * A `close` is a wish (protocol/safety decides), and exists only below both signatures and a proven lock. A refused input
 * is a `refused` output with a named fault; nothing here throws for what a peer, the ledger or the wires do.
 *
 * The order over the grid (the contract names the node that it goes `to`). The seller reserves on the distribution ledger and
 * says `reserved`; the buyer has its own light client prove that reservation, judges it (held, for this contract, until both
 * ledgers can have spoken of its end) and commits with the proof; each side proves the lock. At the contract's start and end
 * each has its grid meter sign a reading, and between them its loads, generation or storage are dispatched; then the receipt.
 * Nothing is said between `committed` and the settlement, and nothing moves a contact. Both meters count whatever anybody
 * says, so from the lock on no word and no fault keeps a party from its readings and its receipt: a `stop`, by either side,
 * only ends the dispatch. A lost heartbeat, a lost broker or an old reading does not even do that.
 *
 *     it waits for                          at most                    then
 *     the other half                        SIGN_MS                    expired
 *     the reservation, in and proven        RESERVE_MS                 expired; the seller's fee comes back
 *     the buyer's commitment                COMMIT_MS                  expired; the seller's fee comes back
 *     the lock, the begin reading           `startBy`                  expired; the escrow comes back
 *     the end reading, our receipt          the dispute window         disputed
 *
 * The fee comes back by the proof that the energy ledger has no such deal after its window (`release`, which the seller hands
 * in), else at the reservation's expiry. Of a deal that settled the fee is the distributor's to claim, and the seller asks what
 * it came to.
 *
 * After a restart nothing that was seen before counts. On a line every contact is opened: `proposed` is aborted, `signed` to
 * `armed` look for the lock again (the commitment is never sent twice), a deal that had begun goes to its end reading. Over the
 * grid the same, but `signed` is aborted too while capacity is to be reserved (nobody has committed yet), and a deal that had
 * begun goes on to the end of its window, for its meter has counted meanwhile.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { addressOf } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import { fail, ok, type Result } from '../result.ts'
import { later } from '../time.ts'
import { contractHash, decodeContract, type Party, type SignedContractFault, verifyHalf } from './contract.ts'
import {
  type Deal,
  type Input,
  NO_FACTS,
  type Now,
  type Output,
  type ReserveTerms,
  SIGN_MS,
  type Step,
} from './deal-state.ts'
import { ruleOf } from './deal-table.ts'

export interface Draft {
  readonly role: Party
  readonly bytes: Uint8Array
  readonly sellerKey: Uint8Array
  readonly buyerKey: Uint8Array
  /** The other party's COSE_Sign1, where it came first: in its `accept`. */
  readonly peerHalf?: Uint8Array
  /**
   * Over the grid: `false` where no distribution ledger is configured. Otherwise capacity is reserved first, held so long beyond
   * the deal's last moment; absent: until that moment at least.
   */
  readonly reserve?: ReserveTerms | false
}

export type DraftFault =
  | SignedContractFault
  | { readonly code: 'deal.window-over'; readonly end: number; readonly now: number }

/** A deal on agreed terms: the first thing that it wants is our signature. */
export function openDeal(draft: Draft, now: Now, verifier: Verifier): Result<Step, DraftFault> {
  const { reserve = { relayMarginMs: 0 }, ...rest } = draft
  const { role, bytes, sellerKey, buyerKey, peerHalf } = rest
  const contract = decodeContract(bytes)
  if (!contract.ok) return contract
  for (const [party, key] of [
    ['seller', sellerKey],
    ['buyer', buyerKey],
  ] as const) {
    const own = addressOf(key)
    const expected = contract.value[party]
    if (!equalBytes(own, expected)) {
      return fail({ code: 'contract.key', party, expected: toHex(expected), received: toHex(own) })
    }
  }
  if (contract.value.end <= now.wall) return fail({ code: 'deal.window-over', end: contract.value.end, now: now.wall })
  if (peerHalf !== undefined) {
    const [party, key] = role === 'buyer' ? (['seller', sellerKey] as const) : (['buyer', buyerKey] as const)
    const half = verifyHalf(bytes, party, peerHalf, key, verifier)
    if (!half.ok) return half
  }
  const deal: Deal = {
    ...rest,
    ...(contract.value.to === undefined || reserve === false ? {} : { reserve }),
    contract: contract.value,
    hash: contractHash(bytes),
    state: 'proposed',
    phase: 'idle',
    escrow: false,
    fee: false,
    peerReady: false,
    engaged: false,
    isolated: false,
    facts: NO_FACTS,
  }
  const timer: Output = { kind: 'timer', name: 'sign', at: later(now.mono, SIGN_MS) }
  return ok({ deal, outputs: [{ kind: 'record' }, timer, { kind: 'sign-contract' }] })
}

/** One input: the deal after it, and what is to be done, openings first and then the journal. */
export function step(deal: Deal, input: Input, now: Now, verifier: Verifier): Step {
  if (input.kind === 'message' && 'hash' in input.body && !equalBytes(input.body.hash, deal.hash)) {
    const fault = { code: 'deal.other-contract', expected: toHex(deal.hash), received: toHex(input.body.hash) }
    return { deal, outputs: [{ kind: 'refused', fault }] }
  }
  const after = ruleOf(deal, input)(deal, input.kind === 'message' ? input.body : input, { now, verifier })
  const openings = after.outputs.filter(output => output.kind === 'open')
  const others = after.outputs.filter(output => output.kind !== 'open')
  const outputs: Output[] = isNews(deal, after.deal)
    ? [...openings, { kind: 'record' }, ...others]
    : [...openings, ...others]
  return { deal: after.deal, outputs }
}

/** What is not worth a line in the journal: it changes with every reading and heartbeat, and is not believed afterwards. */
const VOLATILE: ReadonlySet<string> = new Set([
  'facts',
  'peer',
  'ownWh',
  'peerWh',
  'peerEnded',
] satisfies (keyof Deal)[])

const isNews = (before: Deal, after: Deal): boolean =>
  (Object.keys(after) as (keyof Deal)[]).some(key => !VOLATILE.has(key) && before[key] !== after[key])
