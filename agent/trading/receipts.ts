/**
 * The other side's receipt of a deal that the ledger has settled, asked of that side. Over the grid open receipts go to the ledger
 * alone, which keeps their hashes; on a line a copy that was acknowledged in the moment before a power cut is not sent again.
 * Whoever is asked hands out what it has handed the ledger; what it hands out counts where it is what the ledger took.
 */
import type { Clock, Timers } from '../../drivers/ports.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { type Bucket, type BucketSize, fullBucket, takeTokens } from '../../protocol/crypto/bucket.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import type { DealRecord } from '../../protocol/ledger/deal-record.ts'
import type { Result } from '../../protocol/result.ts'
import type { Party } from '../../protocol/trade/contract.ts'
import { encodeDeal } from '../../protocol/trade/deal-codec.ts'
import { isReceiptOf, judgeReceipt } from '../../protocol/trade/deal-records.ts'
import type { Deal } from '../../protocol/trade/deal-state.ts'
import { receiptCopy } from '../../protocol/trade/deal-step.ts'
import type { Receipt } from '../../protocol/trade/message.ts'
import type { PastDeals } from './past-deals.ts'
import type { Post } from './post.ts'
import type { DealInfo } from './trading.ts'

/** Whoever waits is a person at a page, or a command: three tries of a neighbour that answers in milliseconds. */
const ASK_EVERY_MS = 1_000
const ASK_TIMES = 3
/** Each is a look into the journal and a message of 1 kB: a day's deals at once, then as fast as a person reads. */
const ANSWERS: BucketSize = { burst: 100, perSecond: 1 }
/** The ledger shows what was handed in to everybody; before that one side's count is nobody else's. */
const HANDED_IN: ReadonlySet<Deal['state']> = new Set(['receipted', 'disputed', 'settled', 'refunded'])

export interface ReceiptsOptions {
  readonly post: Pick<Post, 'send' | 'onMessage'>
  /** By name, with their account keys. */
  readonly peers: Readonly<Record<string, { readonly account: Uint8Array }>>
  readonly clock: Pick<Clock, 'mono'>
  readonly timers: Timers
  readonly verifier: Verifier
  /** Those that are carried. */
  running(): readonly DealInfo[]
  readonly past: Pick<PastDeals, 'named'>
  /** Durable on success. */
  record(bytes: Uint8Array): Promise<Result<unknown>>
}

export interface Receipts {
  /** Undefined where the ledger has none of that side's, or nobody hands it out within three seconds. */
  fromPeer(deal: Deal, record: DealRecord): Promise<Receipt | undefined>
}

interface Awaited {
  readonly peer: string
  hear(receipt: Receipt): void
}

export function createReceipts(options: ReceiptsOptions): Receipts {
  const { post, peers, clock, timers, verifier, past } = options
  const awaited = new Set<Awaited & { readonly hash: Uint8Array }>()
  const answering = new Map<string, Bucket>()
  const carried = (hash: Uint8Array): Deal | undefined =>
    options
      .running()
      .map(({ runner }) => runner.deal())
      .find(deal => equalBytes(deal.hash, hash))

  async function answer(peer: string, hash: Uint8Array): Promise<void> {
    const now = clock.mono()
    const left = takeTokens(answering.get(peer) ?? fullBucket(ANSWERS, now), ANSWERS, 1, now)
    if (left === undefined) return
    answering.set(peer, left)
    const deal = carried(hash) ?? (await fromJournal(hash))
    if (deal?.begin === undefined || deal.end === undefined || !HANDED_IN.has(deal.state)) return
    if (!equalBytes(otherKey(deal), peers[peer]!.account)) return
    await post.send(peer, receiptCopy(hash, deal.begin, deal.end), { reliable: false })
  }

  async function fromJournal(hash: Uint8Array): Promise<Deal | undefined> {
    const found = await past.named(toHex(hash), { limit: 1, except: () => false })
    return found.ok ? found.value.deals[0]?.deal : undefined
  }

  post.onMessage((peer, { body }) => {
    if (body.kind === 'receipt-wanted') void answer(peer, body.hash)
    if (body.kind === 'receipt-copy')
      for (const one of awaited) if (one.peer === peer && equalBytes(one.hash, body.hash)) one.hear(body)
  })

  async function ask(peer: string, deal: Deal, isIt: (receipt: Receipt) => boolean): Promise<Receipt | undefined> {
    let found: Receipt | undefined
    const waiting = { peer, hash: deal.hash, hear: (_: Receipt) => {} }
    awaited.add(waiting)
    for (let n = 0; n < ASK_TIMES && found === undefined; n++)
      await new Promise<void>(resolve => {
        const cancel = timers.after(ASK_EVERY_MS, resolve)
        waiting.hear = ({ begin, end }) => {
          if (!isIt({ begin, end })) return
          found = { begin, end }
          cancel()
          resolve()
        }
        void post.send(peer, { kind: 'receipt-wanted', hash: deal.hash }, { reliable: false })
      })
    awaited.delete(waiting)
    return found
  }

  return {
    async fromPeer(deal, record) {
      const party: Party = deal.role === 'seller' ? 'buyer' : 'seller'
      const isTaken = (party === 'seller' ? record.sellerReceipt : record.buyerReceipt) !== undefined
      const peer = Object.entries(peers).find(([, { account }]) => equalBytes(account, otherKey(deal)))?.[0]
      if (!isTaken || peer === undefined) return undefined
      // The ledger has the hashes of what was signed, not the signatures; both have to hold.
      const receipt = await ask(
        peer,
        deal,
        one => isReceiptOf(record, party, one) && judgeReceipt(deal, party, one, verifier).ok,
      )
      // The runner of one that is carried has heard it, too, and keeps it.
      if (receipt !== undefined && carried(deal.hash) === undefined)
        await options.record(encodeDeal({ ...deal, peerReceipt: receipt }))
      return receipt
    },
  }
}

const otherKey = ({ role, sellerKey, buyerKey }: Deal): Uint8Array => (role === 'seller' ? buyerKey : sellerKey)
