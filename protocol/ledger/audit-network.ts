/**
 * The audit of reservations, in its own words.
 *
 *     escrow = ceil(energy x price) = paid + refunded once closed
 *     paid   = floor(delivered x price)
 *     reserved in a slot = the sum of the shares of what is held, over every line of its path, each direction by itself
 *     offered = where a line of the path has required a signed offer for as long as anybody reserves ahead
 */
import { toHex } from '../bytes.ts'
import type { Fault } from '../result.ts'
import type { Line, Peer, Reservation, Slot } from './network-tables.ts'

const QUARTER_HOUR_MS = 900_000n
/** No window is reserved earlier than eight days before its end. */
const AHEAD_MS = 8 * 24 * 3_600_000
/** Marks what leads away from the root. */
const AWAY = ' down'

export interface NetworkBooks {
  readonly lines: Map<string, Line>
  readonly reservations: Map<string, Reservation>
  readonly slots: Map<string, Slot>
  readonly peers: Map<string, Peer>
  /** Keys of followed headers: chain id and height. */
  readonly followed: Set<string>
}

export const createNetworkBooks = (): NetworkBooks => ({
  lines: new Map(),
  reservations: new Map(),
  slots: new Map(),
  peers: new Map(),
  followed: new Set(),
})

export function reservedIn(books: NetworkBooks): bigint {
  let sum = 0n
  for (const { state, escrow } of books.reservations.values()) if (state === 'held') sum += escrow
  return sum
}

/** What is wrong with them at a block time. */
export function networkProblems(books: NetworkBooks, now: number): Fault[] {
  const found: Fault[] = []
  const expected = new Map<string, bigint>()
  for (const [line, { offersSince }] of books.lines)
    if (offersSince !== undefined && offersSince > now) found.push({ code: 'audit.line', line, offersSince, now })
  for (const [id, reservation] of books.reservations) {
    found.push(...reservationProblems(id, reservation, now))
    const line = reservation.path.find(
      one => (books.lines.get(one)?.offersSince ?? Infinity) < reservation.end - AHEAD_MS,
    )
    if (line !== undefined && reservation.offered === undefined)
      found.push({
        code: 'audit.reservation',
        deal: id,
        what: 'offer',
        expected: `signed, for ${line}`,
        received: 'none',
      })
    if (reservation.state === 'held') addShares(expected, reservation, now)
  }
  const slots = new Map<string, bigint>()
  for (const [id, { energy, down }] of books.slots) {
    if (energy === 0n && down === undefined)
      found.push({ code: 'audit.slot', slot: id, expected: 'none', received: 0n })
    if (energy > 0n) slots.set(id, energy)
    if (down !== undefined) slots.set(`${id}${AWAY}`, down)
  }
  for (const [id, reserved] of slots) {
    const sum = expected.get(id)
    expected.delete(id)
    if (sum !== reserved) found.push({ code: 'audit.slot', slot: id, expected: sum ?? 'none', received: reserved })
  }
  for (const [id, sum] of expected) found.push({ code: 'audit.slot', slot: id, expected: sum, received: 'none' })
  const named = new Set([...books.peers].flatMap(([chainId, { heights }]) => heights.map(at => `${chainId}/${at}`)))
  for (const id of books.followed) if (!named.delete(id)) found.push({ code: 'audit.followed', header: id })
  for (const id of named) found.push({ code: 'audit.followed', header: id })
  return found
}

function reservationProblems(id: string, reservation: Reservation, now: number): Fault[] {
  const found: Fault[] = []
  const expect = (what: string, expected: bigint | string | boolean, received: bigint | string | boolean) => {
    if (expected !== received) found.push({ code: 'audit.reservation', deal: id, what, expected, received })
  }
  const { state, energy, price, escrow, outcome, path, distributor, payer } = reservation
  const value = energy * price
  expect('escrow', value / 1000n + (value % 1000n === 0n ? 0n : 1n), escrow)
  expect('path without a loop', true, new Set(path).size === path.length)
  expect('directions within the path', true, (reservation.up ?? 0) <= path.length)
  if (outcome === undefined) {
    expect(`state without an outcome (${toHex(payer)} to ${toHex(distributor)})`, 'held', state)
    expect('closed in time', true, now < reservation.expires)
    return found
  }
  expect('closed', true, state !== 'held')
  expect('delivered no more than reserved', true, outcome.delivered <= energy)
  if (state === 'released') expect('delivered', 0n, outcome.delivered)
  expect('paid', (outcome.delivered * price) / 1000n, outcome.paid)
  expect('refunded', escrow - outcome.paid, outcome.refunded)
  return found
}

/** By the slot's end: slots that are over are not kept. */
function addShares(sums: Map<string, bigint>, { path, up, start, end, energy }: Reservation, now: number): void {
  const [from, to] = [BigInt(start), BigInt(end)]
  for (let number = from / QUARTER_HOUR_MS; number * QUARTER_HOUR_MS < to; number++) {
    const [opens, closes] = [number * QUARTER_HOUR_MS, (number + 1n) * QUARTER_HOUR_MS]
    if (closes <= BigInt(now)) continue
    const overlap = (to < closes ? to : closes) - (from > opens ? from : opens)
    const part = energy * overlap
    const share = part / (to - from) + (part % (to - from) === 0n ? 0n : 1n)
    for (const [place, line] of path.entries()) {
      const slot = `${line}/${number}${up !== undefined && place >= up ? AWAY : ''}`
      sums.set(slot, (sums.get(slot) ?? 0n) + share)
    }
  }
}
