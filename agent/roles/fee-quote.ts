/**
 * What a path costs and whether it has room, from what is proven of the distribution ledger; judged by that ledger's own
 * rules. The distributor answers from it, and whoever gets no answer works it out alike.
 */
import type { Clock } from '../../drivers/ports.ts'
import { equalBytes } from '../../protocol/bytes.ts'
import { LINES, type Line, MAX_PATH, SLOTS, type Slot } from '../../protocol/ledger/network-tables.ts'
import { offerRequiredBy, pathBetween, SLOT_MS, slotShares } from '../../protocol/ledger/rules/lines.ts'
import { MAX_AHEAD_MS } from '../../protocol/ledger/rules/reservation.ts'
import type { State } from '../../protocol/ledger/state.ts'
import { microsPerKwh, type Price } from '../../protocol/quantity.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Instant } from '../../protocol/time.ts'
import type { BodyOf } from '../../protocol/trade/message.ts'
import type { LightAgent } from '../light/run.ts'
import { proveRecord } from './prove-record.ts'

type Wanted = Omit<BodyOf<'fee-wanted'>, 'kind' | 'id'>

interface Quote {
  /** From the seller's node to the buyer's; the first `up` of them towards the root, the others away from it. */
  readonly path: readonly string[]
  readonly up: number
  /** Of all of them, per kWh. */
  readonly price: Price
}

/** As the ledger's own rules read it. */
const stateOf = (lines: ReadonlyMap<string, Line>): Pick<State, 'get'> => ({
  get: (table, id) => (table.prefix === LINES.prefix ? (lines.get(id) as never) : undefined),
})

/** A path over our `own` lines and its price; the reason where the ledger would refuse it. */
function quoteOf(
  lines: ReadonlyMap<string, Line>,
  { line, to, start, end }: Wanted,
  own: Uint8Array,
  now: Instant,
): Result<Quote> {
  if (end <= start || end <= now) return fail({ code: 'distributor.window', start, end, now })
  if (end > now + MAX_AHEAD_MS) return fail({ code: 'distributor.too-far', end, latest: now + MAX_AHEAD_MS })
  const between = pathBetween(stateOf(lines) as State, line, to)
  if (!between.ok) return between
  const { path, up } = between.value
  let price = 0n
  for (const one of path) {
    const { tariffs, distributor } = lines.get(one)!
    const tariff = tariffs.findLast(({ from }) => from <= start)
    if (tariff === undefined) return fail({ code: 'distributor.no-tariff', line: one, at: start })
    if (!equalBytes(distributor, own)) return fail({ code: 'distributor.not-ours', line: one })
    price += tariff.price
  }
  return ok({ path, up, price: microsPerKwh(price) })
}

/** What is reserved of a line in a slot, in the direction of a path's place. */
const reservedIn = (slot: Slot | undefined, { up }: Quote, place: number): bigint =>
  (place < up ? slot?.energy : slot?.down) ?? 0n

/** What was proven of a slot is as good as new for so long: everybody asks for the same slot at the same time. */
const SLOT_GOOD_MS = 2_000
/** Lines and tariffs are announced, and change a few times a year. */
const LINE_GOOD_MS = 60_000

export interface FeeQuote {
  /** Per kWh, congestion and all. */
  readonly price: Price
  /** What of it is for congestion, nothing as yet perhaps; absent where no line of the way has a price for that. */
  readonly congestion?: Price
}

export interface PathPrices {
  /** Of a way over these lines, if it has room. */
  price(lines: ReadonlyMap<string, Line>, wanted: Wanted): Promise<Result<FeeQuote>>
  /**
   * By the lines as they are proven from both nodes up; `distributor.offer-required` where the ledger takes no reservation at their
   * tariffs.
   */
  provenPrice(wanted: Wanted): Promise<Result<Price>>
  /** What is too old to be of use. */
  forget(): void
}

/**
 * `distributor` is the account that the lines are to belong to. `congestionOf` is what a kWh costs beyond a line's tariff where
 * its slot is wholly reserved; below, by the share that is reserved already.
 */
export function createPathPrices(
  light: Pick<LightAgent, 'prove'>,
  clock: Pick<Clock, 'now' | 'mono'>,
  distributor: Uint8Array,
  congestionOf: (line: string) => Price | undefined = () => undefined,
): PathPrices {
  const slots = new Map<string, { readonly slot: Slot | undefined; readonly at: number }>()
  const proven = new Map<string, { readonly line: Line; readonly at: number }>()

  async function slotOf(line: string, number: number): Promise<Result<Slot | undefined>> {
    const id = `${line}/${number}`
    const known = slots.get(id)
    if (known !== undefined && clock.mono() - known.at < SLOT_GOOD_MS) return ok(known.slot)
    const found = await proveRecord(light, SLOTS, id)
    if (found.ok) slots.set(id, { slot: found.value, at: clock.mono() })
    return found
  }

  async function lineOf(id: string): Promise<Result<Line | undefined>> {
    const known = proven.get(id)
    if (known !== undefined && clock.mono() - known.at < LINE_GOOD_MS) return ok(known.line)
    const found = await proveRecord(light, LINES, id)
    if (found.ok && found.value !== undefined) proven.set(id, { line: found.value, at: clock.mono() })
    return found
  }

  async function price(lines: ReadonlyMap<string, Line>, wanted: Wanted): Promise<Result<FeeQuote>> {
    const quote = quoteOf(lines, wanted, distributor, clock.now())
    if (!quote.ok) return quote
    let congestion: bigint | undefined
    for (const [place, line] of quote.value.path.entries()) {
      const { capacity } = lines.get(line)!
      const full = congestionOf(line)
      let weighted = 0n
      let energy = 0n
      for (const [slot, share] of slotShares(wanted, clock.now())) {
        const taken = await slotOf(line, slot)
        if (!taken.ok) return taken
        const reserved = reservedIn(taken.value, quote.value, place)
        const free = capacity - reserved
        if (share > free) return fail({ code: 'distributor.capacity', line, slot, free, asked: share })
        weighted += share * reserved
        energy += share
      }
      if (full === undefined) continue
      congestion ??= 0n
      if (energy > 0n) congestion += (full * weighted) / (capacity * energy)
    }
    if (congestion === undefined) return ok({ price: quote.value.price })
    return ok({ price: microsPerKwh(quote.value.price + congestion), congestion: microsPerKwh(congestion) })
  }

  return {
    price,
    async provenPrice(wanted) {
      const lines = new Map<string, Line>()
      for (const node of [wanted.line, wanted.to]) {
        let at: string | undefined = node
        // A line that is missing, or hangs too deep, is the rule's to refuse.
        for (let depth = 0; at !== undefined && depth <= MAX_PATH && !lines.has(at); depth++) {
          const found: Result<Line | undefined> = await lineOf(at)
          if (!found.ok) return found
          if (found.value === undefined) break
          lines.set(at, found.value)
          at = found.value.feeder
        }
      }
      const quote = quoteOf(lines, wanted, distributor, clock.now())
      if (!quote.ok) return quote
      const line = offerRequiredBy(stateOf(lines), quote.value.path)
      if (line !== undefined) return fail({ code: 'distributor.offer-required', line })
      const found = await price(lines, wanted)
      return found.ok ? ok(found.value.price) : found
    },
    forget() {
      for (const [id, { at }] of slots) if (clock.mono() - at > SLOT_MS) slots.delete(id)
    },
  }
}
