/**
 * The distributor of a network: announces what its lines carry and cost, answers what it costs to bring energy from one
 * node to another, and collects its fees: of each deal that was settled by the proof of that, of each that never came about
 * by the proof of that, so that its payer has the rest back.
 *
 * What it answers comes from the distribution ledger itself, proven, as it stands for everybody; an answer holds nothing:
 * whoever reserves first has the room.
 */

import { toHex } from '../../protocol/bytes.ts'
import { type Bucket, type BucketSize, fullBucket, takeTokens } from '../../protocol/crypto/bucket.ts'
import { LINES, type Line } from '../../protocol/ledger/network-tables.ts'
import type { TxContent } from '../../protocol/ledger/tx.ts'
import type { Money, Price } from '../../protocol/quantity.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { type Instant, later } from '../../protocol/time.ts'
import { contractHash, decodeContract } from '../../protocol/trade/contract.ts'
import { assembleFeeOffer, feeOfferToSign } from '../../protocol/trade/fee-offer.ts'
import type { BodyOf, Message } from '../../protocol/trade/message.ts'
import type { DistributorConfig } from '../config/site-config.ts'
import { createClaims } from './claims.ts'
import { createPathPrices } from './fee-quote.ts'
import type { LedgerView, Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'

const LOOK_MS = 5_000
/** A tariff has to be announced: this is some blocks ahead. */
const TARIFF_LEAD_MS = 10_000
/** A seller asks for each buyer of a slot; a hundred at once, and ten a second. */
const QUESTIONS: BucketSize = { burst: 100, perSecond: 10 }
/** Prices with congestion in them that were said and still hold: as many as a hundred sellers ask for in a day's last minutes. */
const MAX_QUOTES = 4096

export interface DistributorOptions extends PartOptions {
  readonly distribution: LedgerView
  readonly lines: DistributorConfig['lines']
}

export interface DistributorView {
  /** Lines as the ledger has them. */
  lines(): ReadonlyMap<string, Line>
  /** Fees that were paid, and the reservations that are waited for. */
  revenue(): { readonly claimed: number; readonly released: number; readonly waiting: number; readonly paid: Money }
  stats(): { readonly offered: number; readonly refused: Readonly<Record<string, number>> }
}

export interface DistributorPart extends Part, DistributorView {}

export function createDistributor(options: DistributorOptions): DistributorPart {
  const { clock, timers, log, post, distribution, config } = options
  const { light, account } = distribution
  const lines = new Map<string, Line>()
  const buckets = new Map<string, Bucket>()
  const refused: Record<string, number> = {}
  const claims = createClaims({ ...options, patienceMs: 0 })
  const paths = createPathPrices(light, clock, account.address, line => options.lines[line]?.congestion)
  /** What a peer was told, by its name and its whole question, until it does not hold any more. */
  const quotes = new Map<string, { readonly price: Price; readonly until: Instant }>()
  let offered = 0
  const cancels: (() => void)[] = []
  let looking = false
  let stopped = false

  // --- What the lines carry and cost

  /** Feeders before the lines that hang from them. */
  function downwards(): readonly string[] {
    const depth = (name: string): number => {
      const { feeder } = options.lines[name]!
      return feeder === undefined ? 0 : 1 + depth(feeder)
    }
    return Object.keys(options.lines).sort((a, b) => depth(a) - depth(b) || (a < b ? -1 : 1))
  }

  /** What has to be said of a line so that the ledger has it as configured. */
  function missing(name: string): TxContent | undefined {
    const { feeder, capacity, tariff, congestion } = options.lines[name]!
    const known = lines.get(name)
    const same = known?.capacity === capacity && known.feeder === feeder
    if (known === undefined || !same || (known.offersSince === undefined) !== (congestion === undefined)) {
      const hung = feeder === undefined ? {} : { feeder }
      // Its tariff is not the price of such a line, so nobody reserves it at that.
      const offer = congestion === undefined ? {} : { offer: 'required' as const }
      return { kind: 'capacity', body: { line: name, energy: capacity, ...hung, ...offer } }
    }
    if (known.tariffs.at(-1)?.price === tariff) return undefined
    return { kind: 'tariff', body: { line: name, from: later(clock.now(), TARIFF_LEAD_MS), price: tariff } }
  }

  async function announce(): Promise<void> {
    let fault: Result<unknown> = done
    for (const name of downwards()) {
      const proven = await proveRecord(light, LINES, name)
      if (!proven.ok || stopped) return
      if (proven.value !== undefined) lines.set(name, proven.value)
      const content = missing(name)
      if (content === undefined) continue
      const handed = await account.submit(content)
      if (!handed.ok) fault = handed
    }
    options.health('distributor.lines', fault.ok ? undefined : fault.fault)
  }

  // --- What is asked

  async function judge(
    peer: string,
    wanted: BodyOf<'fee-wanted'>,
  ): Promise<Result<Omit<BodyOf<'fee-offer'>, 'id' | 'kind'>>> {
    const { id, line, to, start, end: until, energy, contract } = wanted
    const quote = await paths.price(lines, wanted)
    if (!quote.ok) return quote
    const { price, congestion } = quote.value
    const key = [peer, toHex(id), line, to, start, until, energy].join(' ')
    if (contract !== undefined) return signed(wanted, contract, quotes.get(key)?.price ?? price)
    if (congestion === undefined) return ok({ price, until })
    for (const [old, said] of quotes) if (said.until <= clock.now()) quotes.delete(old)
    if (quotes.size < MAX_QUOTES) quotes.set(key, { price, until })
    return ok({ price, until, congestion })
  }

  /** A contract is signed for as it was asked for: another one's way may cost more. */
  async function signed(
    { line, to, start, end, energy }: BodyOf<'fee-wanted'>,
    bytes: Uint8Array,
    price: Price,
  ): Promise<Result<Omit<BodyOf<'fee-offer'>, 'id' | 'kind'>>> {
    const read = decodeContract(bytes)
    if (!read.ok) return read
    const { line: from, to: node, ...terms } = read.value
    const same = from === line && node === to && terms.start === start && terms.end === end && terms.energy === energy
    if (!same) return fail({ code: 'distributor.other-contract' })
    const { publicKey } = options.signer
    const offer = { contract: contractHash(bytes), price, until: end }
    const signature = await options.signer.sign(feeOfferToSign(offer, publicKey))
    if (!signature.ok) return signature
    return ok({ price, until: end, offer: assembleFeeOffer(offer, publicKey, signature.value) })
  }

  async function answer(peer: string, wanted: BodyOf<'fee-wanted'>): Promise<void> {
    const tokens = takeTokens(buckets.get(peer) ?? fullBucket(QUESTIONS, clock.mono()), QUESTIONS, 1, clock.mono())
    if (tokens !== undefined) buckets.set(peer, tokens)
    const offer = tokens === undefined ? fail({ code: 'distributor.too-often', peer }) : await judge(peer, wanted)
    if (stopped) return
    const { id } = wanted
    if (offer.ok) {
      offered++
      void post.send(peer, { kind: 'fee-offer', id, ...offer.value }, { reliable: true })
      return
    }
    const { code } = offer.fault
    // Whoever floods is heard of once; what is short is the business of whoever runs the lines.
    if (refused[code] === undefined) log('info', 'distributor', `${peer} is refused`, offer.fault)
    refused[code] = (refused[code] ?? 0) + 1
    void post.send(peer, { kind: 'decline', id, reason: code }, { reliable: true })
  }

  async function look(): Promise<void> {
    if (looking || stopped || light.health().state !== 'ok') return
    looking = true
    await announce()
    paths.forget()
    looking = false
  }

  return {
    restore: claims.restore!,
    start() {
      log('info', 'distributor', `${Object.keys(options.lines).length} lines of ${config.distribution!.chain}`)
      cancels.push(timers.every(LOOK_MS, () => void look()))
      claims.start()
      void look()
    },
    onMessage(peer: string, { body }: Message) {
      if (body.kind === 'fee-wanted') void answer(peer, body)
      if (body.kind === 'reserved') void claims.follow(body.hash, peer)
    },
    lines: () => lines,
    revenue: claims.stats,
    stats: () => ({ offered, refused: { ...refused } }),
    stop() {
      stopped = true
      claims.stop()
      for (const cancel of cancels) cancel()
    },
  }
}
