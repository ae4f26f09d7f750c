/**
 * What it costs to bring energy from here to another node: by the distributor's word, and where it says nothing by what is
 * proven of its ledger, which is what holds in the end.
 */
import type { Clock, Log } from '../../drivers/ports.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { microsPerKwh, type Price } from '../../protocol/quantity.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { type Instant, later, type Mono } from '../../protocol/time.ts'
import type { Deal } from '../../protocol/trade/deal-state.ts'
import { verifyFeeOffer } from '../../protocol/trade/fee-offer.ts'
import type { Body, BodyOf } from '../../protocol/trade/message.ts'
import type { PathPrices } from '../roles/fee-quote.ts'

/** A distributor answers from what it has proven lately; two seconds is many times that, and a fifth of what a request may take. */
const ANSWER_MS = 2_000
/** Proving a path takes a second or two; by then a request has had its time. */
const PROVE_MS = 5_000
/** As many as the requests that may be open here at once (offer.ts), and as many awards. */
const MOST_ASKED = 256
/** Requests of a day's slots that no contract came of: of one that is not remembered no reservation is taken. */
const MOST_CONGESTED = 4096

export interface FeeDesk {
  /** `answered` is called once, also where nothing comes. */
  ask(query: Omit<BodyOf<'fee-wanted'>, 'kind'>, answered: (fee: Result<Price>) => void): void
  /**
   * The distributor's signed offer for the contract of a negotiation whose way has a price for congestion; undefined where it has
   * none: the ledger's tariffs hold then. A distributor that does not sign is a fault, as the ledger takes no tariff instead,
   * and so is a price above that of its first answer.
   */
  signedFor(deal: Pick<Deal, 'contract' | 'bytes' | 'hash'>): Promise<Result<Uint8Array | undefined>>
  /** Whether the message was an answer to a question of ours. */
  hear(peer: string, body: BodyOf<'fee-offer' | 'decline'>): boolean
  sweep(): void
}

interface Question {
  until: Mono
  readonly query: Omit<BodyOf<'fee-wanted'>, 'kind'>
  /** It is being worked out from the ledger. */
  proving: boolean
  answered(fee: Result<Price>): void
}

export interface FeeDeskOptions {
  /** Undefined: nothing is asked, and nothing costs. */
  readonly distributor:
    | {
        readonly name: string
        /** Of its account. */
        readonly key: Uint8Array
        readonly paths: Pick<PathPrices, 'provenPrice' | 'forget'>
      }
    | undefined
  readonly verifier: Verifier
  readonly log: Log
  readonly clock: Pick<Clock, 'now' | 'mono'>
  send(peer: string, body: Body): void
}

export function createFeeDesk({ distributor, clock, verifier, log, send }: FeeDeskOptions): FeeDesk {
  const open = new Map<string, Question>()
  /** First answers over ways that have a price for congestion, by negotiation. */
  const congested = new Map<string, { readonly price: Price; readonly until: Instant }>()
  const unsigned = new Map<string, { readonly until: Mono; resolve(offer: Uint8Array | undefined): void }>()
  /** It has left a question unanswered, and said nothing since: it is asked all the same, and not waited for. */
  let silent = false

  function close(id: string, fee: Result<Price, Fault>): void {
    const question = open.get(id)
    open.delete(id)
    question?.answered(fee)
  }

  /** The first answer counts, from wherever. */
  function workOut(id: string, question: Question, { paths }: NonNullable<typeof distributor>): void {
    question.proving = true
    question.until = later(clock.mono(), PROVE_MS)
    void paths.provenPrice(question.query).then(fee => {
      if (open.get(id) === question) close(id, fee)
    })
  }

  async function signedFor({ contract, bytes, hash }: Pick<Deal, 'contract' | 'bytes' | 'hash'>) {
    const { nonce: id, line, to, start, end, energy } = contract
    const key = toHex(id)
    const quoted = congested.get(key)
    if (distributor === undefined || quoted === undefined || to === undefined || unsigned.has(key)) return ok(undefined)
    congested.delete(key)
    const offer = await new Promise<Uint8Array | undefined>(resolve => {
      unsigned.set(key, { until: later(clock.mono(), ANSWER_MS), resolve })
      send(distributor.name, { kind: 'fee-wanted', id, line, to, start, end, energy, contract: bytes })
    })
    if (offer === undefined) return fail({ code: 'grid.fee-unsigned', distributor: distributor.name })
    const read = verifyFeeOffer(offer, distributor.key, verifier)
    if (!read.ok || !equalBytes(read.value.contract, hash) || read.value.until <= clock.now()) {
      const why = read.ok ? undefined : read.fault
      log('warn', 'grid', "the distributor's signed fee is not for this contract", why)
      return fail({ code: 'grid.fee-unsigned', distributor: distributor.name })
    }
    const { price } = read.value
    return price > quoted.price
      ? fail({ code: 'grid.fee-above-quote', offered: price, quoted: quoted.price })
      : ok(offer)
  }

  function sign(id: string, offer: Uint8Array | undefined): void {
    const waiting = unsigned.get(id)
    unsigned.delete(id)
    waiting?.resolve(offer)
  }

  const offered = ({ price, until }: { readonly price: Price; readonly until: Instant }): Result<Price> =>
    until <= clock.now() ? fail({ code: 'grid.fee-over', until, now: clock.now() }) : ok(price)

  return {
    signedFor,
    ask(query, answered) {
      if (distributor === undefined) return answered(ok(microsPerKwh(0n)))
      const id = toHex(query.id)
      if (open.has(id) || open.size >= MOST_ASKED) return answered(fail({ code: 'grid.fee-busy', asked: open.size }))
      const question = { until: later(clock.mono(), ANSWER_MS), query, proving: false, answered }
      open.set(id, question)
      send(distributor.name, { kind: 'fee-wanted', ...query })
      if (silent) workOut(id, question, distributor)
    },
    hear(peer, body) {
      const id = toHex(body.id)
      if (peer !== distributor?.name) return false
      silent = false
      if (unsigned.has(id)) {
        sign(id, body.kind === 'fee-offer' ? body.offer : undefined)
        return true
      }
      if (!open.has(id)) return false
      if (body.kind === 'fee-offer') {
        const { price, until, congestion } = body
        if (congestion !== undefined && congested.size < MOST_CONGESTED) congested.set(id, { price, until })
        close(id, offered(body))
      } else close(id, fail({ code: 'grid.fee-refused', reason: body.reason }))
      return true
    },
    sweep() {
      if (distributor === undefined) return
      distributor.paths.forget()
      for (const [id, { until }] of congested) if (until <= clock.now()) congested.delete(id)
      for (const [id, { until }] of unsigned) if (clock.mono() > until) sign(id, undefined)
      for (const [id, question] of open) {
        if (clock.mono() <= question.until) continue
        if (question.proving) close(id, fail({ code: 'grid.no-fee', distributor: distributor.name }))
        else {
          silent = true
          workOut(id, question, distributor)
        }
      }
    },
  }
}
