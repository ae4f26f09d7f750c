/**
 * Whose energy a store gave out: a reward is earned when another owner has consumed what was exported, not when it is put in
 * (Scanergy: Mihaylov et al., 2015).
 *
 * Energy in a store has no names on it, so a rule gives them: **the taker's own first, then first in, first out.** Own first,
 * because otherwise two owners who each take what the other put in would both be rewarded for having given nothing. First in
 * first out rather than a share of the mix, because each lot stays one deal of the ledger that anybody can look up, nobody's
 * energy waits at the bottom for ever, and nothing is rounded but at the ends of a lot.
 *
 *     put in + found = rewarded + taken back + unowned + lost + held
 *
 * Points on the ledger (ledger/rules/points.ts) are minted once for a whole deal to its seller. Of a store they are minted for
 * the deals by which it gives, never for those by which it takes in: its customer consumed, the store did not. `drawOut` says
 * how the watt-hours of such a deal are parted among those who put them in, to whom the store owes what it redeems them for;
 * where the taker took its own back, less than the deal counts, and the deal is not one to mint for.
 */
import { type WattHours, wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'

/** Beyond any store; keeps products exact in a message as well. */
const MAX_WH = 1n << 50n

export interface PutIn {
  /** The deal's hash, as text. */
  readonly deal: string
  readonly owner: string
  /** At the owner's meter, and what of it is stored. */
  readonly metered: WattHours
  readonly stored: WattHours
}

export interface DrawOut {
  readonly deal: string
  readonly taker: string
  /** At the taker's meter, and what the store lost for it. */
  readonly metered: WattHours
  readonly drawn: WattHours
}

/** Watt-hours at the taker's meter that came out of one lot. */
export interface Used {
  readonly owner: string
  /** The deal by which they were put in. */
  readonly lot: string
  readonly energy: WattHours
}

export interface DrawnOut {
  /** Of others: each watt-hour earns its owner its reward. */
  readonly rewarded: readonly Used[]
  /** The taker's own: earns nothing. */
  readonly takenBack: WattHours
  /** That nobody is known to have put in. */
  readonly unowned: WattHours
}

export interface ProvenanceTotals {
  readonly putIn: WattHours
  readonly found: WattHours
  readonly rewarded: WattHours
  readonly takenBack: WattHours
  readonly unowned: WattHours
  readonly lost: WattHours
  readonly held: WattHours
}

export type ProvenanceFault =
  | { readonly code: 'provenance.range'; readonly deal: string; readonly inside: bigint; readonly outside: bigint }
  | { readonly code: 'provenance.twice'; readonly deal: string }
  | { readonly code: 'provenance.short'; readonly held: bigint; readonly drawn: bigint }

/** All that a book knows, for one that goes on later. */
export interface ProvenanceState {
  readonly lots: readonly { readonly deal: string; readonly owner?: string; readonly left: WattHours }[]
  /** Deals that were booked, the oldest first. */
  readonly deals: readonly string[]
  readonly sums: Omit<ProvenanceTotals, 'held'>
}

interface Lot {
  readonly deal: string
  /** Absent: found in the store by its own meter. */
  readonly owner: string | undefined
  left: bigint
}

export interface Provenance {
  putIn(one: PutIn): Result<void, ProvenanceFault>
  drawOut(one: DrawOut): Result<DrawnOut, ProvenanceFault>
  /** What the store's own meter says is in it: what stood losses is borne by all by what they hold, what is found is nobody's. */
  measure(stored: WattHours): Result<void, ProvenanceFault>
  heldOf(owner: string): WattHours
  totals(): ProvenanceTotals
  state(): ProvenanceState
}

export function createProvenance(from?: ProvenanceState): Provenance {
  /** The oldest first. */
  let lots: Lot[] = from?.lots.map(({ deal, owner, left }) => ({ deal, owner, left })) ?? []
  const deals = new Set<string>(from?.deals)
  const sums: Record<keyof ProvenanceState['sums'], bigint> = {
    ...(from?.sums ?? { putIn: 0n, found: 0n, rewarded: 0n, takenBack: 0n, unowned: 0n, lost: 0n }),
  }
  const held = (): bigint => lots.reduce((sum, { left }) => sum + left, 0n)

  const booked = (): ProvenanceState['sums'] => ({
    putIn: wattHours(sums.putIn),
    found: wattHours(sums.found),
    rewarded: wattHours(sums.rewarded),
    takenBack: wattHours(sums.takenBack),
    unowned: wattHours(sums.unowned),
    lost: wattHours(sums.lost),
  })

  /** Both are energies of one deal that is new: less leaves a way than entered it. */
  function judge(deal: string, inside: bigint, outside: bigint): Result<void, ProvenanceFault> {
    if (outside < 0n || outside > inside || inside > MAX_WH)
      return fail({ code: 'provenance.range', deal, inside, outside })
    return deals.has(deal) ? fail({ code: 'provenance.twice', deal }) : ok(undefined)
  }

  return {
    putIn({ deal, owner, metered, stored }) {
      const sound = judge(deal, metered, stored)
      if (!sound.ok) return sound
      deals.add(deal)
      sums.putIn += metered
      sums.lost += metered - stored
      if (stored > 0n) lots.push({ deal, owner, left: stored })
      return ok(undefined)
    },
    drawOut({ deal, taker, metered, drawn }) {
      const sound = judge(deal, drawn, metered)
      if (!sound.ok) return sound
      if (drawn > held()) return fail({ code: 'provenance.short', held: held(), drawn })
      deals.add(deal)
      const rewarded: Used[] = []
      let [takenBack, unowned, out] = [0n, 0n, 0n]
      const own = lots.filter(({ owner }) => owner === taker)
      for (const lot of [...own, ...lots.filter(({ owner }) => owner !== taker)]) {
        const part = lot.left < drawn - out ? lot.left : drawn - out
        if (part === 0n) continue
        // By running sums, so that the parts add up to what was metered.
        const energy = wattHours(share(metered, out + part, drawn) - share(metered, out, drawn))
        lot.left -= part
        out += part
        if (lot.owner === taker) takenBack += energy
        else if (lot.owner === undefined) unowned += energy
        else if (energy > 0n) rewarded.push({ owner: lot.owner, lot: lot.deal, energy })
      }
      lots = lots.filter(({ left }) => left > 0n)
      sums.rewarded += metered - takenBack - unowned
      sums.takenBack += takenBack
      sums.unowned += unowned
      sums.lost += drawn - metered
      return ok({ rewarded, takenBack: wattHours(takenBack), unowned: wattHours(unowned) })
    },
    measure(stored) {
      if (stored < 0n || stored > MAX_WH)
        return fail({ code: 'provenance.range', deal: '', inside: MAX_WH, outside: stored })
      const before = held()
      if (stored > before) {
        sums.found += stored - before
        lots.push({ deal: '', owner: undefined, left: stored - before })
        return ok(undefined)
      }
      let passed = 0n
      for (const lot of lots) {
        const from = passed
        passed += lot.left
        lot.left = share(stored, passed, before) - share(stored, from, before)
      }
      sums.lost += before - stored
      lots = lots.filter(({ left }) => left > 0n)
      return ok(undefined)
    },
    heldOf: of => wattHours(lots.reduce((sum, { owner, left }) => (owner === of ? sum + left : sum), 0n)),
    totals: () => ({ ...booked(), held: wattHours(held()) }),
    state: () => ({
      lots: lots.map(({ deal, owner, left }) => ({
        ...{ deal, left: wattHours(left) },
        ...(owner === undefined ? {} : { owner }),
      })),
      deals: [...deals],
      sums: booked(),
    }),
  }
}

/** The part of `whole` that `so` is of `all`, rounded down. */
const share = (whole: bigint, so: bigint, all: bigint): bigint => (all === 0n ? 0n : (whole * so) / all)
