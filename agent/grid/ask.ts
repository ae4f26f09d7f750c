/**
 * A buyer's requests for quotes: sent to everybody it knows, or to some of many (whom.ts), answered by bids, closed by
 * awards, and each award by a contract that the seller signs first. Whoever does not stand by its bid is passed over for the
 * next best.
 *
 *     matching   want -> bid -> award -> accept
 *     bidding    want -> sealed-bid -> reveal -> bid -> award -> accept
 */
import type { Clock, Entropy, Log } from '../../drivers/ports.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import {
  type Auction,
  type Award,
  award,
  type Bid,
  hearBid,
  hearSealed,
  openAuction,
  type Promises,
} from '../../protocol/market/reverse-auction.ts'
import { type WattHours, wattHours } from '../../protocol/quantity.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import { instant, later, type Mono } from '../../protocol/time.ts'
import { decodeContract, encodeContract } from '../../protocol/trade/contract.ts'
import type { Body, BodyOf } from '../../protocol/trade/message.ts'
import type { GridConfig } from '../config/site-config.ts'
import { deadlines, stakeOf, type Window } from './decide.ts'
import type { Quote } from './routing.ts'
import { contractOf, differing } from './terms.ts'
import { whom } from './whom.ts'

/** From an award to the contract: a fee is known already, so only a signature is waited for, and a journal. */
const ACCEPT_MS = 5_000

export interface AskOptions {
  readonly grid: GridConfig
  readonly chainId: string
  readonly ownKey: Uint8Array
  /** Those who may be asked, by name. */
  readonly peers: ReadonlyMap<string, Uint8Array>
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  send(peer: string, body: Body): void
  /** Serial of this site's grid meter; undefined until it has been read. */
  ownMeter(): string | undefined
  /** How much of an energy is best bought from these quotes: the rest is better had, or left, elsewhere. */
  worth(window: Window, energy: WattHours, quotes: readonly Quote[]): WattHours
  promisesOf(peer: string): Promises | undefined
  /** A contract that the seller has signed, exactly as awarded. */
  agreed(peer: string, contract: Uint8Array, half: Uint8Array, requested: Mono): Result<void>
  /** What a seller was awarded and then did not sign. */
  broken(peer: string): void
}

export interface AskView extends Window {
  readonly id: string
  readonly energy: WattHours
  readonly phase: 'bids' | 'reveal' | 'awarded'
  readonly asked: number
  readonly answered: number
}

export interface Asking {
  /** One request for a window; what is asked for is not asked for twice. */
  ask(window: Window, energy: WattHours): void
  hear(peer: string, body: BodyOf<'sealed-bid' | 'bid' | 'accept' | 'decline'>): void
  sweep(): void
  /** Windows with an open request. */
  open(): readonly AskView[]
}

type Winner = Award['winners'][number]

interface Request extends Window {
  readonly id: Uint8Array
  readonly energy: WattHours
  readonly requested: Mono
  auction: Auction
  phase: AskView['phase']
  readonly asked: readonly string[]
  /** Who has not answered yet. */
  readonly silent: Set<string>
  readonly bidders: Set<string>
  /** By peer name: awarded, and not signed yet. */
  readonly awaited: Map<string, Winner & { readonly until: Mono }>
  /** Passed over: it declined, or did not sign. */
  readonly out: Set<string>
  readonly signed: Set<string>
  taken: bigint
}

export function createAsking(options: AskOptions): Asking {
  const { grid, clock, log } = options
  const requests = new Map<string, Request>()
  /** Answered their last request with a bid, and stood by it. */
  const offered = new Set<string>()
  const nameOf = new Map([...options.peers].map(([name, key]) => [toHex(addressOf(key)), name]))
  const refuse = new Set(
    grid.refuse.flatMap(name => {
      const key = options.peers.get(name)
      return key === undefined ? [] : [toHex(addressOf(key))]
    }),
  )

  function end(request: Request, why?: Fault): void {
    requests.delete(toHex(request.id))
    for (const peer of request.bidders) {
      if (!request.signed.has(peer) && !request.out.has(peer))
        options.send(peer, { kind: 'decline', id: request.id, reason: why?.code ?? 'auction.outbid' })
    }
    if (why !== undefined) log('info', 'grid', 'nothing was bought', { ...why, start: request.start })
  }

  /** All bids that will come are there, or their time is over. */
  function close(request: Request): void {
    if (request.phase === 'bids' && request.auction.way === 'bidding') {
      const commitments = [...request.auction.entries.values()].flatMap(({ commitment, void: nothing }) =>
        commitment === undefined || nothing ? [] : [commitment],
      )
      if (commitments.length === 0) return end(request, { code: 'grid.no-bids' })
      request.phase = 'reveal'
      // From here on no sealed bid is taken, so they may be opened.
      request.auction = { ...request.auction, sealBy: instant(Math.min(request.auction.sealBy, clock.now() - 1)) }
      for (const peer of request.bidders) {
        request.silent.add(peer)
        options.send(peer, { kind: 'reveal', id: request.id, commitments })
      }
      return
    }
    request.phase = 'awarded'
    choose(request)
  }

  /** Awards what is still wanted to the best that are left. */
  function choose(request: Request): void {
    const meter = options.ownMeter()
    const { buy } = grid
    if (buy === undefined || meter === undefined) return end(request, { code: 'grid.no-meter', meter: grid.meter })
    const awaited = [...request.awaited.values()].reduce((sum, { energy }) => sum + energy, 0n)
    const still = request.energy - request.taken - awaited
    const gone = (bidder: string) => {
      const name = nameOf.get(bidder)
      return name === undefined || request.out.has(name) || request.signed.has(name) || request.awaited.has(name)
    }
    const entries = new Map([...request.auction.entries].filter(([bidder]) => !gone(bidder)))
    const quotes = [...entries].flatMap(([id, { bid, void: nothing }]) =>
      bid === undefined || nothing === true
        ? []
        : [{ id, price: bid.price, capacity: bid.energy, ...(bid.source === undefined ? {} : { source: bid.source }) }],
    )
    const rest = options.worth(request, wattHours(still > 0n ? still : 0n), quotes)
    const { winners } =
      rest < buy.least
        ? { winners: [] }
        : award(
            { ...request.auction, entries },
            {
              ...{ energy: rest, least: buy.least, limit: buy.limit },
              ...{ premium: grid.premium, strict: grid.strict, refuse, stake: stakeOf(buy.limit), sellers: 'several' },
              promisesOf: bidder => options.promisesOf(nameOf.get(bidder) ?? ''),
            },
          )
    for (const winner of winners) {
      const peer = nameOf.get(winner.bidder)!
      request.awaited.set(peer, { ...winner, until: later(clock.mono(), ACCEPT_MS) })
      const { id, start, end: stop } = request
      const terms = { energy: winner.energy, price: winner.bid.price, node: grid.node, meter }
      options.send(peer, { kind: 'award', id, as: 'buyer', start, end: stop, ...terms })
    }
    if (request.awaited.size === 0) end(request, request.signed.size === 0 ? { code: 'grid.no-offer-fits' } : undefined)
  }

  function passOver(request: Request, peer: string, why: Fault): void {
    request.awaited.delete(peer)
    request.out.add(peer)
    if (why.code !== 'grid.declined') {
      offered.delete(peer)
      options.broken(peer)
    }
    log('info', 'grid', `${peer} does not stand by its bid`, why)
    choose(request)
  }

  function hearAccept(request: Request, peer: string, { contract, half }: BodyOf<'accept'>): void {
    const winner = request.awaited.get(peer)
    const meter = options.ownMeter()
    if (winner === undefined || meter === undefined) {
      if (!request.signed.has(peer)) options.send(peer, { kind: 'decline', id: request.id, reason: 'grid.not-awarded' })
      return
    }
    const { id, start, end: stop } = request
    const expected = contractOf(options.chainId, grid, {
      ...{ id, role: 'buyer', start, end: stop, energy: winner.energy, price: winner.bid.price },
      own: { key: options.ownKey, node: grid.node, meter },
      peer: { key: options.peers.get(peer)!, node: winner.bid.line, meter: winner.bid.meter },
    })
    if (!equalBytes(encodeContract(expected), contract)) {
      const read = decodeContract(contract)
      options.send(peer, { kind: 'decline', id, reason: 'grid.other-terms' })
      const why = read.ok ? differing(expected, read.value) : read.fault
      return passOver(request, peer, { ...why, code: 'grid.other-terms' })
    }
    const agreed = options.agreed(peer, contract, half, request.requested)
    if (!agreed.ok) return passOver(request, peer, agreed.fault)
    request.awaited.delete(peer)
    request.signed.add(peer)
    request.taken += winner.energy
    if (request.awaited.size === 0) choose(request)
  }

  function hearOffer(request: Request, peer: string, body: BodyOf<'sealed-bid' | 'bid'>): void {
    const key = options.peers.get(peer)
    if (key === undefined) return
    const bidder = addressOf(key)
    const { kind, ...content } = body
    const { auction, refused } =
      kind === 'bid'
        ? hearBid(request.auction, bidder, content as Bid, clock.now())
        : hearSealed(request.auction, bidder, content as Omit<BodyOf<'sealed-bid'>, 'kind'>, clock.now())
    request.auction = auction
    if (refused !== undefined) {
      // Said once: whoever equivocates is void from now on, and whoever is late is heard no more.
      if (!request.out.has(peer)) options.send(peer, { kind: 'decline', id: request.id, reason: refused.code })
      request.out.add(peer)
      log('info', 'grid', `${peer}'s bid is refused`, refused)
    } else {
      request.bidders.add(peer)
      offered.add(peer)
    }
    answered(request, peer)
  }

  function answered(request: Request, peer: string): void {
    request.silent.delete(peer)
    if (request.silent.size === 0 && request.phase !== 'awarded') close(request)
  }

  return {
    ask(window, energy) {
      const { buy } = grid
      if (buy === undefined || grid.way === 'auction' || options.ownMeter() === undefined) return
      if ([...requests.values()].some(({ start }) => start === window.start)) return
      const now = clock.now()
      const { sealBy, revealBy, awardBy } = deadlines(window, now)
      const id = options.entropy.bytes(16)
      const known = [...options.peers.keys()].filter(name => !grid.refuse.includes(name))
      const asked = whom(known, offered, options.entropy)
      if (asked.length === 0) return
      requests.set(toHex(id), {
        ...window,
        ...{ id, energy, requested: clock.mono(), phase: 'bids', taken: 0n },
        auction: openAuction(id, grid.way, sealBy, revealBy),
        asked,
        silent: new Set(asked),
        bidders: new Set(),
        awaited: new Map(),
        out: new Set(),
        signed: new Set(),
      })
      const terms = { energy, least: buy.least, way: grid.way, to: grid.node, sealBy, awardBy }
      for (const peer of asked) {
        offered.delete(peer)
        options.send(peer, { kind: 'want', id, ...window, ...terms })
      }
    },
    hear(peer, body) {
      const request = requests.get(toHex(body.id))
      if (request === undefined) return
      if (body.kind === 'accept') return hearAccept(request, peer, body)
      if (body.kind === 'decline') {
        if (request.awaited.has(peer)) return passOver(request, peer, { code: 'grid.declined', reason: body.reason })
        request.out.add(peer)
        return answered(request, peer)
      }
      hearOffer(request, peer, body)
    },
    sweep() {
      const [now, mono] = [clock.now(), clock.mono()]
      for (const request of requests.values()) {
        const { phase, auction } = request
        if ((phase === 'bids' && now > auction.sealBy) || (phase === 'reveal' && now > auction.revealBy)) close(request)
        for (const [peer, { until }] of request.awaited) {
          if (mono <= until) continue
          options.send(peer, { kind: 'decline', id: request.id, reason: 'grid.not-signed' })
          passOver(request, peer, { code: 'grid.not-signed', waitedMs: ACCEPT_MS })
        }
      }
    },
    open: () =>
      [...requests.values()].map(({ id, start, end, energy, phase, asked, silent, bidders, out }) => ({
        ...{ id: toHex(id), start, end, energy, phase },
        asked: asked.length,
        answered: new Set([...bidders, ...out].filter(peer => !silent.has(peer))).size,
      })),
  }
}
