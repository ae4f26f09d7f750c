/**
 * Bargaining over each line, up to a contract that one side has signed. Terms that are not exactly those last proposed,
 * or that the configuration does not allow, never become a deal.
 */
import type { Clock, Entropy, Log } from '../../drivers/ports.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import type { WattHours } from '../../protocol/quantity.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Instant, Mono } from '../../protocol/time.ts'
import { type Aim, answer, type Bargain, type Move, openBargain, type Proposal } from '../../protocol/trade/bargain.ts'
import { type Contract, decodeContract, encodeContract, type Party } from '../../protocol/trade/contract.ts'
import { openDeal } from '../../protocol/trade/deal.ts'
import type { Step } from '../../protocol/trade/deal-state.ts'
import type { Body, BodyOf } from '../../protocol/trade/message.ts'
import type { DirectLineConfig, TradeConfig } from '../config/site-config.ts'
import { differing } from '../grid/terms.ts'
import { type Ask, buyerAim, sellerAim } from './decide.ts'

/** One end of a line with the one neighbour at its other end. */
export interface TradeEnd {
  readonly config: DirectLineConfig
  readonly peerKey: Uint8Array
  /** Serial of this end's own line meter; undefined until it has been read. */
  ownMeter(): string | undefined
}

export interface NegotiateOptions {
  readonly chainId: string
  readonly ownKey: Uint8Array
  readonly trade: TradeConfig
  readonly ends: readonly TradeEnd[]
  readonly clock: Clock
  readonly entropy: Entropy
  readonly verifier: Verifier
  readonly log: Log
  send(peer: string, body: Body): void
  /** Energy a seller has on hand for a window of a line, 0 where it will not sell now. */
  onHand(line: string, start: Instant, end: Instant): WattHours
  /** Both sides agree: the deal, and when its request was sent or came in. */
  agreed(line: string, step: Step, requested: Mono): void
  /** Nothing came of it. */
  failed(line: string, why: Fault): void
  proposed(line: string): void
}

export interface Negotiator {
  ask(ask: Ask): void
  hear(peer: string, body: Extract<Body, { readonly kind: 'request' | 'offer' | 'accept' | 'decline' }>): void
  /** Ends what has run past its deadline; called once a second. */
  sweep(): void
  /** A negotiation over this line is under way. */
  busy(line: string): boolean
}

interface Talk {
  readonly id: Uint8Array
  readonly end: TradeEnd
  readonly role: Party
  readonly start: Instant
  readonly stop: Instant
  readonly requested: Mono
  readonly bargain: Bargain
}

/** A seller's commitment of contacts and money this far ahead is more than a direct line needs. */
const MAX_AHEAD_MS = 3_600_000

export function createNegotiator(options: NegotiateOptions): Negotiator {
  const { clock, trade, log } = options
  const talks = new Map<string, Talk>()
  const now = () => ({ wall: clock.now(), mono: clock.mono() })
  const endOf = (line: string) => options.ends.find(end => end.config.id === line)

  function drop(talk: Talk, why: Fault): void {
    talks.delete(toHex(talk.id))
    log('info', 'trading', `no deal on ${talk.end.config.id}`, why)
    options.failed(talk.end.config.id, why)
  }

  /** Carries a move out; `theirs` is what an acceptance accepts. */
  function play(talk: Talk, move: Move): void {
    const { peer } = talk.end.config
    if (move.kind === 'decline') {
      options.send(peer, { kind: 'decline', id: talk.id, reason: move.reason })
      return drop(talk, { code: move.reason })
    }
    talks.set(toHex(talk.id), talk)
    if (move.kind === 'offer') return options.send(peer, { kind: 'offer', id: talk.id, ...move.proposal })
    const contract = termsOf(talk, move.proposal)
    if (!contract.ok) return drop(talk, contract.fault)
    open(talk, encodeContract(contract.value), undefined)
  }

  function open(talk: Talk, bytes: Uint8Array, peerHalf: Uint8Array | undefined): void {
    const [sellerKey, buyerKey] =
      talk.role === 'seller' ? [options.ownKey, talk.end.peerKey] : [talk.end.peerKey, options.ownKey]
    const draft = { role: talk.role, bytes, sellerKey, buyerKey, ...(peerHalf === undefined ? {} : { peerHalf }) }
    const opened = openDeal(draft, now(), options.verifier)
    if (!opened.ok) return drop(talk, opened.fault)
    talks.delete(toHex(talk.id))
    options.agreed(talk.end.config.id, opened.value, talk.requested)
  }

  function termsOf(talk: Talk, { energy, price }: Proposal): Result<Contract> {
    const { config, peerKey } = talk.end
    const ownMeter = talk.end.ownMeter()
    if (ownMeter === undefined) return fail({ code: 'negotiate.no-meter', line: config.id })
    const [own, peer] = [addressOf(options.ownKey), addressOf(peerKey)]
    const selling = talk.role === 'seller'
    return ok({
      chainId: options.chainId,
      line: config.id,
      seller: selling ? own : peer,
      buyer: selling ? peer : own,
      sellerMeter: selling ? ownMeter : config.peerMeter,
      buyerMeter: selling ? config.peerMeter : ownMeter,
      start: talk.start,
      end: talk.stop,
      energy,
      price,
      lossPermille: trade.lossPermille,
      receiptWindowMs: trade.receiptWindowMs,
      disputeWindowMs: trade.disputeWindowMs,
      nonce: talk.id,
    })
  }

  function hearRequest(peer: string, body: BodyOf<'request'>): void {
    const refuse = (reason: string) => {
      options.send(peer, { kind: 'decline', id: body.id, reason })
      log('info', 'trading', `${peer}'s request on ${body.line} is declined`, { code: reason })
    }
    const end = endOf(body.line)
    if (end === undefined || end.config.peer !== peer || end.config.side !== 'seller' || trade.sell === undefined) {
      return refuse('negotiate.not-offered')
    }
    const { wall, mono } = now()
    const length = body.end - body.start
    if (body.start <= wall || body.start > wall + MAX_AHEAD_MS || length <= 0 || length > 2 * trade.slotMs) {
      return refuse('negotiate.window')
    }
    const onHand = options.onHand(body.line, body.start, body.end)
    if (onHand < body.least || onHand <= 0n) return refuse('negotiate.nothing-on-hand')
    // A new request on a line replaces a stale one of the same neighbour: its agent was restarted, or gave up.
    for (const [id, talk] of talks) if (talk.end === end) talks.delete(id)
    const bargain: Bargain = { aim: sellerAim(trade.sell, onHand, mono), made: 0 }
    const talk: Talk = { id: body.id, end, role: 'seller', start: body.start, stop: body.end, requested: mono, bargain }
    const reply = answer(bargain, body, mono)
    play({ ...talk, bargain: reply.bargain }, reply.move)
  }

  function hearAccept(talk: Talk, body: BodyOf<'accept'>): void {
    const contract = decodeContract(body.contract)
    if (!contract.ok) return drop(talk, contract.fault)
    const { last } = talk.bargain
    if (last === undefined) return drop(talk, { code: 'negotiate.nothing-proposed' })
    const expected = termsOf(talk, last)
    if (!expected.ok) return drop(talk, expected.fault)
    if (!equalBytes(encodeContract(expected.value), body.contract)) {
      options.send(talk.end.config.peer, { kind: 'decline', id: talk.id, reason: 'negotiate.other-terms' })
      return drop(talk, { code: 'negotiate.other-terms', ...differing(expected.value, contract.value) })
    }
    open(talk, body.contract, body.half)
  }

  return {
    ask(ask) {
      const end = endOf(ask.line)
      const { buy } = trade
      if (end === undefined || buy === undefined) return
      const { mono } = now()
      const aim: Aim = buyerAim({ ...trade, buy }, mono)
      const { bargain, move } = openBargain(aim, mono)
      const id = options.entropy.bytes(16)
      const talk: Talk = { id, end, role: 'buyer', start: ask.start, stop: ask.end, requested: mono, bargain }
      if (move.kind !== 'offer') return drop(talk, { code: move.kind === 'decline' ? move.reason : 'bargain.no-room' })
      talks.set(toHex(id), talk)
      options.proposed(ask.line)
      const { energy, price, final } = move.proposal
      const { start, end: stop, line } = ask
      options.send(end.config.peer, {
        kind: 'request',
        id,
        line,
        start,
        end: stop,
        energy,
        least: aim.least,
        price,
        final,
      })
    },
    hear(peer, body) {
      if (body.kind === 'request') return hearRequest(peer, body)
      const talk = talks.get(toHex(body.id))
      if (talk === undefined || talk.end.config.peer !== peer) return
      if (body.kind === 'decline') return drop(talk, { code: 'negotiate.declined', reason: body.reason })
      if (body.kind === 'accept') return hearAccept(talk, body)
      const reply = answer(talk.bargain, body, now().mono)
      play({ ...talk, bargain: reply.bargain }, reply.move)
    },
    sweep() {
      const { mono } = now()
      for (const talk of talks.values()) {
        if (mono > talk.bargain.aim.deadline) drop(talk, { code: 'negotiate.no-answer', peer: talk.end.config.peer })
      }
    },
    busy: line => [...talks.values()].some(talk => talk.end.config.id === line),
  }
}
