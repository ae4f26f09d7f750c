/**
 * Lines: what they carry, what they cost, and what of them is taken.
 *
 * Lines hang from feeders as a tree. A reservation takes its share on the whole path to the root, and pays the sum of the
 * path's tariffs to the one distributor of it all.
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
  { line, energy: capacity, feeder }: BodyOf<'capacity'>,
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
  draft.put(LINES, line, { distributor: sender, capacity, tariffs, ...(feeder === undefined ? {} : { feeder }) })
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

/** What a kWh costs on a whole path at a time, and who is paid: one distributor, the one of the line itself. */
export function priceOf(
  state: State,
  path: readonly string[],
  at: Instant,
): Result<{ readonly price: Price; readonly distributor: Uint8Array }, LedgerFault> {
  const { distributor } = state.get(LINES, path[0]!)!
  let price = 0n
  for (const line of path) {
    const found = state.get(LINES, line)!
    if (!equalBytes(found.distributor, distributor)) {
      return refuse('ledger.other-distributor', { line, distributor: toHex(found.distributor) })
    }
    const tariff = found.tariffs.findLast(({ from }) => from <= at)
    if (tariff === undefined) return refuse('ledger.tariff', { line, at })
    price += tariff.price
  }
  return ok({ price: microsPerKwh(price), distributor })
}

type Taken = Pick<Reservation, 'path' | 'start' | 'end' | 'energy'>

/**
 * A reservation's share of each slot it touches that is not over, as if its energy flowed evenly; rounded up, so no sum
 * is short.
 */
function* sharesOf({ start, end, energy }: Taken, now: Instant): Iterable<readonly [slot: number, share: WattHours]> {
  const length = BigInt(end - start)
  const first = Math.max(start, now)
  for (let slot = Math.floor(first / SLOT_MS); slot * SLOT_MS < end; slot++) {
    const inside = BigInt(Math.min(end, (slot + 1) * SLOT_MS) - Math.max(start, slot * SLOT_MS))
    yield [slot, wattHours((energy * inside + length - 1n) / length)]
  }
}

/** Takes a reservation's share of each coming slot on its path, or says where too little is left. */
export function takeCapacity(draft: Draft, taken: Taken, now: Instant): Result<void, LedgerFault> {
  for (const line of taken.path) {
    const { capacity } = draft.get(LINES, line)!
    for (const [slot, share] of sharesOf(taken, now)) {
      const id = `${line}/${slot}`
      const before = draft.get(SLOTS, id)?.energy ?? wattHours(0n)
      const energy = wattHours(before + share)
      if (energy > capacity) return refuse('ledger.capacity', { line, slot, capacity, reserved: before, asked: share })
      draft.put(SLOTS, id, { energy, end: instant((slot + 1) * SLOT_MS) })
    }
  }
  return ok(undefined)
}

/** Gives back a reservation's share of each slot that is not over. */
export function giveCapacity(draft: Draft, taken: Taken, now: Instant): void {
  for (const line of taken.path) {
    for (const [slot, share] of sharesOf(taken, now)) {
      const id = `${line}/${slot}`
      const before = draft.get(SLOTS, id)!
      if (before.energy === share) draft.remove(SLOTS, id)
      else draft.put(SLOTS, id, { ...before, energy: wattHours(before.energy - share) })
    }
  }
}

/** A slot that is over is forgotten. */
export function forgetSlot(draft: Draft, id: string, time: Instant): void {
  const slot = draft.get(SLOTS, id)
  if (slot !== undefined && slot.end <= time) draft.remove(SLOTS, id)
}
