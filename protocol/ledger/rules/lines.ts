/**
 * Lines: what they carry, what they cost, and what of them is taken.
 *
 * Lines hang from feeders as a tree. A reservation takes its share on its whole path, and pays the sum of the path's tariffs
 * to the one distributor of it all. The path of a direct line's contract is the line and all feeders above it. Over the
 * grid it is the lines of both nodes up to, and not including, the lowest node above both, as in protocol/market/feeder.ts;
 * each direction of a line is counted by itself, since a deal that flows against another may fall through.
 */
import { equalBytes, toHex } from '../../bytes.ts'
import { microsPerKwh, type Price, type WattHours, wattHours } from '../../quantity.ts'
import { ok, type Result } from '../../result.ts'
import { type Instant, instant } from '../../time.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying } from '../kind.ts'
import { LINES, type Line, MAX_PATH, MAX_TARIFFS, type Reservation, SLOTS } from '../network-tables.ts'
import type { Draft, State } from '../state.ts'
import type { BodyOf } from '../tx.ts'
import { hasRole } from './roles.ts'

const NO_DATA = new Uint8Array(0)

/** A quarter of an hour: the settlement period of European electricity. Slots are numbered from the Unix epoch. */
export const SLOT_MS = 900_000

/** A line's record for the distributor to change: its own, or one whose distributor is none any more. */
function checkDistributor(state: State, sender: Uint8Array, line: string): Result<Line | undefined, LedgerFault> {
  if (!hasRole(state, 'distributor', sender)) {
    return refuse('ledger.role-only', { role: 'distributor', sender: toHex(sender) })
  }
  const known = state.get(LINES, line)
  if (known !== undefined && !equalBytes(known.distributor, sender) && hasRole(state, 'distributor', known.distributor))
    return refuse('ledger.other-distributor', { line, distributor: toHex(known.distributor), sender: toHex(sender) })
  return ok(known)
}

export function applyCapacity(
  draft: Draft,
  sender: Uint8Array,
  { line, energy: capacity, feeder, offer }: BodyOf<'capacity'>,
  { time }: Applying,
): Result<Uint8Array, LedgerFault> {
  const known = checkDistributor(draft, sender, line)
  if (!known.ok) return known
  if (feeder !== undefined) {
    const above = pathOf(draft, feeder)
    if (!above.ok) return above
    if (above.value.includes(line) || above.value.length >= MAX_PATH) {
      return refuse('ledger.feeder', { line, feeder, above: above.value })
    }
  }
  const tariffs = known.value?.tariffs ?? []
  const hung = feeder === undefined ? {} : { feeder }
  const offers = offer === undefined ? {} : { offersSince: known.value?.offersSince ?? time }
  draft.put(LINES, line, { distributor: sender, capacity, tariffs, ...hung, ...offers })
  return ok(NO_DATA)
}

/** Announced, not backdated: whoever reserves knows what it will cost. */
export function applyTariff(
  draft: Draft,
  sender: Uint8Array,
  { line, from, price }: BodyOf<'tariff'>,
  { time }: Applying,
): Result<Uint8Array, LedgerFault> {
  const known = checkDistributor(draft, sender, line)
  if (!known.ok) return known
  if (known.value === undefined) return refuse('ledger.line-unknown', { line })
  if (from <= time) return refuse('ledger.tariff', { line, from, now: time })
  const now = known.value.tariffs.findLast(tariff => tariff.from <= time)
  const tariffs = known.value.tariffs
    .filter(tariff => tariff === now || (tariff.from > time && tariff.from !== from))
    .concat({ from, price })
    .sort((a, b) => a.from - b.from)
  if (tariffs.length > MAX_TARIFFS) return refuse('ledger.tariff', { line, tariffs: tariffs.length, most: MAX_TARIFFS })
  draft.put(LINES, line, { ...known.value, distributor: sender, tariffs })
  return ok(NO_DATA)
}

/** A line and the feeders above it. */
export function pathOf(state: State, line: string): Result<readonly string[], LedgerFault> {
  const path: string[] = []
  for (let at: string | undefined = line; at !== undefined; ) {
    const found: Line | undefined = state.get(LINES, at)
    if (found === undefined) return refuse('ledger.line-unknown', { line: at })
    if (path.length >= MAX_PATH) return refuse('ledger.feeder', { line, above: path })
    path.push(at)
    at = found.feeder
  }
  return ok(path)
}

interface GridPath {
  /** From the seller's node to the buyer's. */
  readonly path: readonly string[]
  /** So many of them lead towards the root. */
  readonly up: number
}

/** The lines that energy takes from one node to another; none from a node to itself. */
export function pathBetween(state: State, from: string, to: string): Result<GridPath, LedgerFault> {
  const source = pathOf(state, from)
  if (!source.ok) return source
  const sink = pathOf(state, to)
  if (!sink.ok) return sink
  const up = source.value.findIndex(line => sink.value.includes(line))
  // Two trees: nothing joins them.
  if (up < 0) return refuse('ledger.feeder', { line: from, to, above: source.value })
  const down = sink.value.slice(0, sink.value.indexOf(source.value[up]!))
  return ok({ path: [...source.value.slice(0, up), ...down.reverse()], up })
}

/** The one distributor of a path, the one of the contract's own line. */
export function distributorOf(state: State, path: readonly string[], own: string): Result<Uint8Array, LedgerFault> {
  const { distributor } = state.get(LINES, path[0] ?? own)!
  for (const line of path) {
    const found = state.get(LINES, line)!
    if (!equalBytes(found.distributor, distributor)) {
      return refuse('ledger.other-distributor', { line, distributor: toHex(found.distributor) })
    }
  }
  return ok(distributor)
}

/** The first line of a path that is reserved with a signed offer only. */
export const offerRequiredBy = (state: Pick<State, 'get'>, path: readonly string[]): string | undefined =>
  path.find(line => state.get(LINES, line)?.offersSince !== undefined)

/** What a kWh costs on a whole path at a time, by its tariffs; nothing where no line is used. */
export function priceOf(
  state: State,
  path: readonly string[],
  at: Instant,
): Result<{ readonly price: Price }, LedgerFault> {
  let price = 0n
  for (const line of path) {
    const found = state.get(LINES, line)!
    const tariff = found.tariffs.findLast(({ from }) => from <= at)
    if (tariff === undefined) return refuse('ledger.tariff', { line, at })
    price += tariff.price
  }
  return ok({ price: microsPerKwh(price) })
}

type Taken = Pick<Reservation, 'path' | 'start' | 'end' | 'energy' | 'up'>

/**
 * A reservation's share of each slot it touches that is not over, as if its energy flowed evenly; rounded up, so no sum
 * is short.
 */
export function* slotShares(
  { start, end, energy }: Pick<Taken, 'start' | 'end' | 'energy'>,
  now: Instant,
): Iterable<readonly [slot: number, share: WattHours]> {
  const length = BigInt(end - start)
  const first = Math.max(start, now)
  for (let slot = Math.floor(first / SLOT_MS); slot * SLOT_MS < end; slot++) {
    const inside = BigInt(Math.min(end, (slot + 1) * SLOT_MS) - Math.max(start, slot * SLOT_MS))
    yield [slot, wattHours((energy * inside + length - 1n) / length)]
  }
}

/** Under which field of a slot the lines of a path are counted. */
const wayOf = ({ path, up = path.length }: Taken, place: number): 'energy' | 'down' => (place < up ? 'energy' : 'down')

/** Takes a reservation's share of each coming slot on its path, or says where too little is left. */
export function takeCapacity(draft: Draft, taken: Taken, now: Instant): Result<void, LedgerFault> {
  for (const [place, line] of taken.path.entries()) {
    const { capacity } = draft.get(LINES, line)!
    const way = wayOf(taken, place)
    for (const [slot, share] of slotShares(taken, now)) {
      const id = `${line}/${slot}`
      const known = draft.get(SLOTS, id) ?? { energy: wattHours(0n), end: instant((slot + 1) * SLOT_MS) }
      const before = known[way] ?? wattHours(0n)
      const reserved = wattHours(before + share)
      if (reserved > capacity)
        return refuse('ledger.capacity', { line, slot, capacity, reserved: before, asked: share })
      draft.put(SLOTS, id, { ...known, [way]: reserved })
    }
  }
  return ok(undefined)
}

/** Gives back a reservation's share of each slot that is not over. */
export function giveCapacity(draft: Draft, taken: Taken, now: Instant): void {
  for (const [place, line] of taken.path.entries()) {
    const way = wayOf(taken, place)
    for (const [slot, share] of slotShares(taken, now)) {
      const id = `${line}/${slot}`
      const { down, ...before } = draft.get(SLOTS, id)!
      const left = {
        energy: wattHours(before.energy - (way === 'energy' ? share : 0n)),
        down: wattHours((down ?? 0n) - (way === 'down' ? share : 0n)),
      }
      if (left.energy === 0n && left.down === 0n) draft.remove(SLOTS, id)
      else draft.put(SLOTS, id, { ...before, energy: left.energy, ...(left.down === 0n ? {} : { down: left.down }) })
    }
  }
}

/** A slot that is over is forgotten. */
export function forgetSlot(draft: Draft, id: string, time: Instant): void {
  const slot = draft.get(SLOTS, id)
  if (slot !== undefined && slot.end <= time) draft.remove(SLOTS, id)
}
