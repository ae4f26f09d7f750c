/**
 * The auctioneer of a car park (protocol/market/car-park.ts): a charging station or a building with cars behind it.
 *
 *     car      park-enter ->  station      until ten twelfths of the lead are left
 *     station  park-call ->  car  park-answer ->  station      round by round, until it is agreed
 *     station  park-match ->  seller, then buyer; buyer  award ->  seller: a contract follows as after any award
 *
 * What comes from outside over the station's connection stands in the auction as one more seller, the station itself. Nothing
 * is kept over a restart: a slot whose auction was under way goes by without one.
 */
import { toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import {
  type Answer,
  allotmentOf,
  type CarPark,
  callsOf,
  type Entrant,
  hearAnswers,
  type OutCode,
  openCarPark,
  pairsOf,
} from '../../protocol/market/car-park.ts'
import { type Energy, microsPerKwh, type Price, type WattHours, wattHours } from '../../protocol/quantity.ts'
import type { Fault } from '../../protocol/result.ts'
import { type Instant, later, type Mono } from '../../protocol/time.ts'
import type { BodyOf, Message } from '../../protocol/trade/message.ts'
import type { CarParkConfig, GridConfig } from '../config/site-config.ts'
import { openSlot, type Window } from '../grid/decide.ts'
import { isAwardOf, type ParkMatch } from './park-match.ts'
import type { Part, PartOptions } from './part.ts'

const THINK_MS = 500
/** Of the lead, in twelfths, what is left of it when cars no longer enter, and when it is too late to agree. */
const ENTERED = 10
const AGREED = 6
/** A call that was lost is made again; who has said nothing for so long is out. */
const AGAIN_MS = 1_000
const SILENT_MS = 5_000
/** Meters and energy are the same on both sides of a pair (agent/grid/terms.ts): nothing is lost on the way. */
const LOSS_PERMILLE = 0
/** Auctions that are still shown. */
const KEPT = 16
/** A slot is as long as a day at most, and a connection as large as a street's. */
const MOST_WH = 1_000_000n

export interface ParkResult extends Window {
  readonly rounds: number
  readonly price: Price
  /** By account, in hex. */
  readonly cars: readonly {
    readonly account: string
    readonly side: Entrant['side']
    readonly energy: WattHours
    /** What it said that it could move. */
    readonly most: WattHours
  }[]
  readonly out: readonly { readonly account: string; readonly code: OutCode }[]
}

export interface CarParkOptions
  extends Pick<PartOptions, 'signer' | 'post' | 'clock' | 'timers' | 'entropy' | 'log' | 'health'> {
  readonly grid: Pick<GridConfig, 'slotMs' | 'leadMs' | 'refuse'>
  readonly settings: CarParkConfig
  /** Account keys of those who may enter, by name. */
  readonly peers: ReadonlyMap<string, Uint8Array>
  /** What the station has sold of a window otherwise. */
  promised(window: Window): WattHours
  /** An award of a pair whose seller the station is. */
  granted(peer: string, award: BodyOf<'award'>): void
}

export interface CarParkPart extends Part {
  /** The newest last. */
  results(): readonly ParkResult[]
}

interface Seat {
  /** Absent of the station itself. */
  readonly peer?: string
  readonly id: Uint8Array
  readonly account: Uint8Array
  readonly entrant: Entrant
}

interface Session {
  readonly slot: Window
  /** By the hex of their ids of this slot. */
  readonly seats: Map<string, Seat>
  readonly answers: Map<string, Answer>
  /** Once nobody enters any more. */
  park?: CarPark
  calledAt: Mono
  repeatAt: Mono
  over: boolean
}

/** What one kWh more costs where so much is taken already: the first one's price, and so much more for each before it. */
export const risingPrice = (first: Price, rise: Price, energy: Energy): Price =>
  microsPerKwh(first + (rise * energy) / 1_000_000n)

export function createCarPark(options: CarParkOptions): CarParkPart {
  const { grid, settings, clock, timers, log, post, entropy } = options
  const own = addressOf(options.signer.publicKey)
  const matches = new Map<string, ParkMatch>()
  const results: ParkResult[] = []
  let session: Session | undefined
  let closing = false
  let cancel = () => {}

  const leftOfLead = (slot: Window, twelfths: number): boolean =>
    clock.now() <= slot.start - (grid.leadMs * twelfths) / 12

  const decline = (peer: string, id: Uint8Array, reason: string): void =>
    void post.send(peer, { kind: 'decline', id, reason }, { reliable: true })

  // --- Who takes part

  function hearEnter(peer: string, { id, start, end, side, least, most }: BodyOf<'park-enter'>): void {
    const slot = openSlot(grid, clock.now())
    const account = options.peers.get(peer)
    if (closing) return decline(peer, id, 'park.closing')
    if (account === undefined || grid.refuse.includes(peer)) return decline(peer, id, 'park.not-offered')
    if (slot === undefined || slot.start !== start || slot.end !== end) return decline(peer, id, 'park.slot')
    if (session?.slot.start !== start) session = begin(slot)
    const key = toHex(id)
    const before = [...session.seats.values()].find(seat => seat.peer === peer)
    // The same word again changes nothing; a car that was restarted comes under a new id, as long as nobody is called.
    if (before !== undefined && toHex(before.id) === key) return
    if (session.park !== undefined || session.over || !leftOfLead(slot, ENTERED)) return decline(peer, id, 'park.late')
    if (least > most || (side === 'discharge' && least > 0n)) return decline(peer, id, 'park.entrant')
    if (session.seats.has(key)) return decline(peer, id, 'park.id')
    if (before !== undefined) session.seats.delete(toHex(before.id))
    session.seats.set(key, { peer, id, account: addressOf(account), entrant: { id: key, side, least, most } })
  }

  const begin = (slot: Window): Session => ({
    ...{ slot, seats: new Map(), answers: new Map(), over: false },
    ...{ calledAt: clock.mono(), repeatAt: clock.mono() },
  })

  function fromOutside(slot: Window): WattHours {
    const carried = (BigInt(settings.connection) * BigInt(slot.end - slot.start)) / 3_600_000_000n
    const left = carried - options.promised(slot)
    return wattHours(left < 0n ? 0n : left > MOST_WH ? MOST_WH : left)
  }

  // --- The rounds

  function open(at: Session): void {
    const most = fromOutside(at.slot)
    if (most > 0n) {
      const id = entropy.bytes(16)
      const entrant: Entrant = { id: toHex(id), side: 'discharge', least: wattHours(0n), most }
      at.seats.set(entrant.id, { id, account: own, entrant })
    }
    const entrants = [...at.seats.values()].map(({ entrant }) => entrant)
    let opened = openCarPark(entrants, LOSS_PERMILLE)
    if (!opened.ok && opened.fault.code === 'car-park.shortage') {
      // What all of them must have is not there: nobody is promised a least, and what there is goes to whom it is worth most.
      log('warn', 'park', 'not every car can have its least', opened.fault)
      opened = openCarPark(
        entrants.map(one => ({ ...one, least: wattHours(0n) })),
        LOSS_PERMILLE,
      )
    }
    if (!opened.ok) return giveUp(at, opened.fault)
    at.park = opened.value
    call(at)
  }

  function giveUp(at: Session, fault: Fault): void {
    at.over = true
    options.health('park.auction', fault)
  }

  function call(at: Session): void {
    at.answers.clear()
    at.calledAt = clock.mono()
    ask(at)
    round(at)
  }

  function ask(at: Session): void {
    at.repeatAt = later(clock.mono(), AGAIN_MS)
    for (const [key, { round, energy }] of callsOf(at.park!)) {
      const { peer, id } = at.seats.get(key)!
      if (at.answers.has(key)) continue
      // Lost, it is asked again: a newer call is worth more than an old one sent once more.
      if (peer !== undefined) void post.send(peer, { kind: 'park-call', id, round, energy }, { reliable: false })
      else at.answers.set(key, { round, price: risingPrice(settings.price, settings.rise, energy) })
    }
  }

  function hearAnswer(peer: string, { id, round: answered, price }: BodyOf<'park-answer'>): void {
    const key = toHex(id)
    if (session?.park === undefined || session.over || session.seats.get(key)?.peer !== peer) return
    // Of an earlier round: the answer to a call that was made twice.
    if (answered !== session.park.round || session.answers.has(key)) return
    session.answers.set(key, { round: answered, price })
    round(session)
  }

  /** Hears what was answered, where everybody has. */
  function round(at: Session): void {
    if (at.park?.seats.every(({ id }) => at.answers.has(id))) hear(at, at.park)
  }

  function hear(at: Session, park: CarPark): void {
    const heard = hearAnswers(park, at.answers)
    if (!heard.ok) return giveUp(at, heard.fault)
    for (const { id, code } of heard.value.park.out.slice(park.out.length)) {
      const { peer, account } = at.seats.get(id)!
      log('info', 'park', `${peer ?? 'the station'} is out of the auction`, { code, account: toHex(account) })
    }
    at.park = heard.value.park
    if (!heard.value.agreed) return call(at)
    at.over = true
    options.health('park.auction', undefined)
    conclude(at, at.park)
  }

  // --- What comes of it

  function conclude({ slot, seats }: Session, park: CarPark): void {
    const allotment = allotmentOf(park)
    const { price } = allotment
    const accountOf = (id: string) => toHex(seats.get(id)!.account)
    const cars = allotment.cars.map(({ id, side, energy }) => ({
      ...{ account: accountOf(id), side, energy },
      most: seats.get(id)!.entrant.most,
    }))
    const out = park.out.map(({ id, code }) => ({ account: accountOf(id), code }))
    results.push({ ...slot, rounds: park.round, price, cars, out })
    if (results.length > KEPT) results.shift()
    log('info', 'park', `agreed after ${park.round} rounds at ${price} micro-units a kWh`)
    const name = entropy.bytes(32)
    for (const { buyer, seller, energy } of pairsOf(allotment)) {
      void tell({ slot, session: name, price }, seats.get(buyer)!, seats.get(seller)!, energy)
    }
  }

  /** The seller first, so that it knows what it is awarded. */
  async function tell(
    { slot, session: name, price }: { readonly slot: Window; readonly session: Uint8Array; readonly price: Price },
    buyer: Seat,
    seller: Seat,
    energy: WattHours,
  ): Promise<void> {
    const deal = entropy.bytes(16)
    const terms = { kind: 'park-match', session: name, deal, energy, price } as const
    if (seller.peer === undefined)
      matches.set(toHex(deal), { ...slot, session: name, deal, peer: buyer.peer!, energy, price })
    else {
      const told = { ...terms, id: seller.id, partner: buyer.account }
      const heard = await post.send(seller.peer, told, { reliable: true })
      if (!heard.ok) return log('warn', 'park', `${seller.peer} was not told of its match`, heard.fault)
    }
    void post.send(buyer.peer!, { ...terms, id: buyer.id, partner: seller.account }, { reliable: true })
  }

  function hearAward(peer: string, award: BodyOf<'award'>): void {
    const key = toHex(award.id)
    const match = matches.get(key)
    if (match === undefined) return
    if (!isAwardOf(match, peer, award)) return decline(peer, award.id, 'park.other-terms')
    matches.delete(key)
    options.granted(peer, award)
  }

  function think(): void {
    const now: Instant = clock.now()
    for (const [key, { start }] of matches) if (start <= now) matches.delete(key)
    if (session === undefined || session.over) return
    const { slot, park } = session
    if (park === undefined) {
      if (!leftOfLead(slot, ENTERED)) open(session)
      return
    }
    if (!leftOfLead(slot, AGREED)) return giveUp(session, { code: 'park.no-agreement', rounds: park.round })
    if (clock.mono() >= later(session.calledAt, SILENT_MS)) return hear(session, park)
    if (clock.mono() >= session.repeatAt) ask(session)
  }

  return {
    start() {
      cancel = timers.every(THINK_MS, think)
    },
    onMessage(peer, { body }: Message) {
      if (body.kind === 'park-enter') hearEnter(peer, body)
      else if (body.kind === 'park-answer') hearAnswer(peer, body)
      else if (body.kind === 'award') hearAward(peer, body)
    },
    windDown() {
      closing = true
    },
    stop: () => cancel(),
    results: () => results,
  }
}
