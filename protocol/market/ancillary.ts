/**
 * Ancillary products: what a grid buys from those who can take or give more or less than they planned.
 *
 *     balancing-up     more into the grid or less out of it, in a short window, against a schedule
 *     balancing-down   less into the grid or more out of it, against a schedule
 *     peak-reduction   less out of the grid in a window announced ahead, against a baseline
 *
 * Offers are bought by merit order, at one price for all (that of the dearest taken) or each at its own, and settled by what the
 * meters show: delivered = the distance from the reference in the product's direction, at most what was bought. Who falls
 * short by more than the tolerance pays a penalty for its own shortfall alone; who shows no readings has delivered nothing.
 *
 * On the ledger a call to take less (peak reduction; balancing up by a load, in a window of one slot) is an event with its
 * deposit, admissions and reports: the reference is the baseline, what is bought is `most`, and there are no penalties.
 * Balancing by generation, and balancing down, are contracts over the grid between provider and balancing party.
 */
import { compareBytes, toHex } from '../bytes.ts'
import { costFloor, type Money, micros, type Price, type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Instant } from '../time.ts'

export const PRODUCTS = ['balancing-up', 'balancing-down', 'peak-reduction'] as const
export type Product = (typeof PRODUCTS)[number]

/** One product in one window. */
interface Wanted {
  readonly product: Product
  readonly start: Instant
  readonly end: Instant
}

export interface AncillaryOffer extends Wanted {
  readonly id: Uint8Array
  readonly most: WattHours
  /** Of a kWh delivered. */
  readonly price: Price
}

export interface Need extends Wanted {
  readonly energy: WattHours
  /** Nothing dearer is bought. */
  readonly limit: Price
}

export interface Activation {
  readonly offer: AncillaryOffer
  readonly bought: WattHours
  readonly price: Price
}

export interface Purchase {
  /** The cheapest first. */
  readonly activations: readonly Activation[]
  /** What nobody offered within the limit. */
  readonly short: WattHours
}

export type AncillaryFault =
  | { readonly code: 'ancillary.need'; readonly energy: bigint; readonly start: number; readonly end: number }
  | { readonly code: 'ancillary.offer'; readonly offer: string; readonly most: bigint; readonly price: bigint }
  | { readonly code: 'ancillary.offer-twice'; readonly offer: string }

/** Buys the cheapest offers of the product in exactly this window; of equal prices the lower id comes first. */
export function buyAncillary(
  { product, start, end, energy, limit }: Need,
  offers: readonly AncillaryOffer[],
  rule: 'uniform' | 'pay-as-bid',
): Result<Purchase, AncillaryFault> {
  if (energy <= 0n || end <= start) return fail({ code: 'ancillary.need', energy, start, end })
  const seen = new Set<string>()
  for (const { id, most, price } of offers) {
    const offer = toHex(id)
    if (seen.has(offer)) return fail({ code: 'ancillary.offer-twice', offer })
    if (most <= 0n || price < 0n) return fail({ code: 'ancillary.offer', offer, most, price })
    seen.add(offer)
  }
  const merit = offers
    .filter(one => one.product === product && one.start === start && one.end === end && one.price <= limit)
    .sort((a, b) => (a.price < b.price ? -1 : a.price > b.price ? 1 : compareBytes(a.id, b.id)))
  const taken: Activation[] = []
  let left: bigint = energy
  for (const offer of merit) {
    if (left === 0n) break
    const bought = offer.most < left ? offer.most : left
    left -= bought
    taken.push({ offer, bought: wattHours(bought), price: offer.price })
  }
  const dearest = taken.at(-1)
  const activations =
    rule === 'uniform' && dearest !== undefined ? taken.map(one => ({ ...one, price: dearest.price })) : taken
  return ok({ activations, short: wattHours(left) })
}

/** What a provider's meter shows against its schedule or baseline: net import, Wh, below zero where it exports. */
export interface Shown {
  readonly reference: bigint
  /** Undefined where no readings were shown by the time that they were due. */
  readonly metered: bigint | undefined
}

export interface PenaltyTerms {
  /** Of a kWh not delivered. */
  readonly price: Price
  /** In thousandths of what was bought. */
  readonly tolerance: number
}

export interface Settled {
  readonly offer: Uint8Array
  readonly delivered: WattHours
  readonly shortfall: WattHours
  readonly pay: Money
  readonly penalty: Money
}

/** Each activation by its own readings, in the order given; no other provider's reading has a part in it. */
export function settleAncillary(
  activations: readonly Activation[],
  shown: readonly Shown[],
  terms: PenaltyTerms,
): { readonly settled: readonly Settled[]; readonly buyerPays: Money } {
  const settled = activations.map(({ offer, bought, price }, i): Settled => {
    const { reference, metered } = shown[i] ?? { reference: 0n, metered: undefined }
    const towards =
      metered === undefined ? 0n : offer.product === 'balancing-down' ? metered - reference : reference - metered
    const delivered = towards <= 0n ? 0n : towards < bought ? towards : bought
    const shortfall = bought - delivered
    const tolerated = (bought * BigInt(terms.tolerance)) / 1000n
    const charged = shortfall > tolerated ? shortfall - tolerated : 0n
    return {
      offer: offer.id,
      delivered: wattHours(delivered),
      shortfall: wattHours(shortfall),
      pay: costFloor(wattHours(delivered), price),
      penalty: costFloor(wattHours(charged), terms.price),
    }
  })
  return { settled, buyerPays: micros(settled.reduce((sum, { pay, penalty }) => sum + pay - penalty, 0n)) }
}
