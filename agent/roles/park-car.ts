/**
 * A car in a car park's auction: enters for each slot with what its battery needs or can spare, answers each call with one
 * price, and signs what the auction found where that is no worse to it than standing still. What it is worth to its owner
 * never leaves it but as the slope at the energies that it was asked about.
 */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { type Energy, microsPerKwh, type Price, type WattHours, wattHours } from '../../protocol/quantity.ts'
import type { Instant } from '../../protocol/time.ts'
import type { Party } from '../../protocol/trade/contract.ts'
import type { BodyOf, Message } from '../../protocol/trade/message.ts'
import type { BatteryConfig, GridConfig, ParkCarConfig } from '../config/site-config.ts'
import { openSlot, type Window } from '../grid/decide.ts'
import { risingPrice } from './car-park.ts'
import { isAwardOf, type ParkMatch } from './park-match.ts'
import type { Part, PartOptions } from './part.ts'

const THINK_MS = 1_000
/** More rounds no honest auction takes: who asks on wants to know the whole curve. */
const MOST_ROUNDS = 500
/** Of one slot; an allotment has fewer pairs than cars. */
const MOST_MATCHES = 64
const MILLI = 1000n

export interface ParkCarOptions extends Pick<PartOptions, 'signer' | 'post' | 'clock' | 'timers' | 'entropy' | 'log'> {
  readonly grid: Pick<GridConfig, 'slotMs' | 'leadMs' | 'node' | 'refuse'>
  readonly settings: ParkCarConfig
  readonly battery: Omit<BatteryConfig, 'stored'>
  readonly peers: ReadonlyMap<string, Uint8Array>
  /** What is in the battery; undefined where nobody knows. */
  stored(): WattHours | undefined
  /** What is agreed already and not in that count. */
  agreed(as: Party): WattHours
  ownMeter(): string | undefined
  awarded(peer: string, award: BodyOf<'award'>): void
  granted(peer: string, award: BodyOf<'award'>): void
}

export interface ParkCar extends Part {
  stats(): { readonly entered: number; readonly answered: number; readonly refused: number }
}

interface Entry {
  readonly slot: Window
  readonly id: Uint8Array
  readonly least: WattHours
  readonly most: WattHours
  asked: { readonly round: number; readonly energy: Energy } | undefined
  readonly matches: Map<string, ParkMatch>
}

type Curve = Pick<ParkCarConfig, 'willingness' | 'cost' | 'wear'>

/** What one kWh more is worth at so much, or costs: of w ln(1 + kWh), and of c kWh + wear kWh^2 / 2. */
const slopeOf = ({ willingness, cost, wear }: Curve, energy: Energy): Price =>
  willingness === undefined
    ? risingPrice(cost!, wear, energy)
    : microsPerKwh((willingness * 1_000_000n) / (1_000_000n + energy))

/** Whether so much at this price is no worse than nothing; what a car must leave with may cost up to the first kWh's worth. */
function isWorth(curve: Curve, energy: WattHours, price: Price, least: WattHours): boolean {
  const { willingness, cost, wear } = curve
  if (willingness !== undefined) {
    const kwh = Number(energy) / 1000
    return Number(willingness) * Math.log1p(kwh) >= Number(price) * kwh || (energy <= least && price <= willingness)
  }
  return price * 2000n >= cost! * 2000n + wear * energy
}

/**
 * What a car must have in a window and what it can take, or nothing and what it can give: Wh at its meter. What is lost on the
 * way out of the battery is kept for it; what is lost on the way in makes room, which is not counted on.
 */
export function needOf(
  { willingness, power, leaveWith }: ParkCarConfig,
  { capacity, reserve, chargePermille, dischargePermille }: Omit<BatteryConfig, 'stored'>,
  stored: WattHours,
  agreed: WattHours,
  { start, end }: Window,
): { readonly least: WattHours; readonly most: WattHours } {
  const possible = (BigInt(power) * BigInt(end - start)) / 3_600_000_000n
  const within = (energy: bigint) => wattHours(energy < 0n ? 0n : energy > possible ? possible : energy)
  if (willingness === undefined) {
    const spare = ((stored - reserve) * BigInt(dischargePermille)) / 1000n
    return { least: wattHours(0n), most: within(spare - agreed) }
  }
  const most = within(capacity - stored - agreed)
  const per = BigInt(chargePermille)
  const least = within(((leaveWith - stored) * 1000n + per - 1n) / per - agreed)
  return { least: least < most ? least : most, most }
}

export function createParkCar(options: ParkCarOptions): ParkCar {
  const { grid, settings, clock, timers, log, post } = options
  const { station } = settings
  const as: Party = settings.willingness === undefined ? 'seller' : 'buyer'
  const counts = { entered: 0, answered: 0, refused: 0 }
  let entry: Entry | undefined
  let lookedFor: Instant | undefined
  let closing = false
  let cancel = () => {}

  function enter(slot: Window): void {
    const stored = options.stored()
    if (stored === undefined) return
    lookedFor = slot.start
    const { least, most } = needOf(settings, options.battery, stored, options.agreed(as), slot)
    if (most === 0n) return
    const id = options.entropy.bytes(16)
    entry = { slot, id, least, most, asked: undefined, matches: new Map() }
    counts.entered++
    const side = as === 'buyer' ? 'charge' : 'discharge'
    void post.send(station, { kind: 'park-enter', id, ...slot, side, least, most }, { reliable: true })
  }

  function hearCall({ id, round, energy }: BodyOf<'park-call'>): void {
    if (entry === undefined || !equalBytes(id, entry.id) || clock.now() >= entry.slot.start) return
    if (round > MOST_ROUNDS || energy > entry.most * MILLI) return
    // The same call again has the same answer; two energies in one round would tell two points of the curve for one.
    const { asked } = entry
    if (asked !== undefined && (round < asked.round || (round === asked.round && energy !== asked.energy))) return
    entry.asked = { round, energy }
    counts.answered++
    const price = slopeOf(settings, energy)
    void post.send(station, { kind: 'park-answer', id, round, price }, { reliable: false })
  }

  function hearMatch(body: BodyOf<'park-match'>): void {
    if (entry === undefined || !equalBytes(body.id, entry.id)) return
    const { slot, matches, least, most } = entry
    const { session, deal, partner, energy, price } = body
    const peer = [...options.peers].find(([, key]) => equalBytes(addressOf(key), partner))?.[0]
    const before = [...matches.values()].reduce((sum, one) => sum + one.energy, 0n)
    // One auction, one price: what is worth it as a whole is so in parts.
    const same = [...matches.values()].every(one => one.price === price && equalBytes(one.session, session))
    const total = wattHours(before + energy)
    const meter = options.ownMeter()
    if (matches.has(toHex(deal))) return
    const why =
      peer === undefined || grid.refuse.includes(peer)
        ? 'park.partner'
        : total > most || matches.size >= MOST_MATCHES
          ? 'park.too-much'
          : !same || !isWorth(settings, total, price, least)
            ? 'park.not-worth-it'
            : meter === undefined
              ? 'park.no-meter'
              : clock.now() >= slot.start
                ? 'park.late'
                : undefined
    if (why !== undefined) {
      counts.refused++
      return log('info', 'park', `a match of ${station}'s is not signed`, { code: why, energy: total, price })
    }
    matches.set(toHex(deal), { ...slot, session, deal, peer: peer!, energy, price })
    if (as === 'seller') return
    const terms = { id: deal, as, ...slot, energy, price, node: grid.node, meter: meter!, agreement: session }
    const award = { kind: 'award' as const, ...terms }
    void post.send(peer!, award, { reliable: true })
    options.awarded(peer!, award)
  }

  function hearAward(peer: string, award: BodyOf<'award'>): void {
    const match = entry?.matches.get(toHex(award.id))
    if (match === undefined || as === 'buyer') return
    if (isAwardOf(match, peer, award)) return options.granted(peer, award)
    void post.send(peer, { kind: 'decline', id: award.id, reason: 'park.other-terms' }, { reliable: true })
  }

  return {
    start() {
      cancel = timers.every(THINK_MS, () => {
        const slot = openSlot(grid, clock.now())
        if (slot !== undefined && slot.start !== lookedFor && !closing) enter(slot)
      })
    },
    onMessage(peer, { body }: Message) {
      if (body.kind === 'award') return hearAward(peer, body)
      if (peer !== station) return
      if (body.kind === 'park-call') hearCall(body)
      else if (body.kind === 'park-match') hearMatch(body)
      else if (body.kind === 'decline' && entry !== undefined && equalBytes(body.id, entry.id))
        log('info', 'park', `${station} does not let us in`, { code: body.reason })
    },
    windDown() {
      closing = true
    },
    stop: () => cancel(),
    stats: () => ({ ...counts }),
  }
}
