/**
 * The real-time bill of a site: of the running day or month, or of an earlier one, from what its grid meter counted, what its
 * contracts delivered by the ledger's own records, and its supplier's tariff. It reaches to the end of the last quarter of an
 * hour; what the rest of the day will cost is forecast. What is not known is named, and is in no number. The fees that a
 * ledger takes for transactions are not in it.
 */
import type { Clock } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { weekendClass } from '../../protocol/forecast/forecast.ts'
import { forecastPrice, type SeenPrice } from '../../protocol/forecast/price.ts'
import { type Bill, billOf, type Tariff } from '../../protocol/market/bill.ts'
import { billForecast, type ExpectedPrice } from '../../protocol/market/bill-forecast.ts'
import { type Missing, quartersOf, slotsOf, type TradeWindow } from '../../protocol/market/bill-slots.ts'
import { type Energy, type Money, micros, microsPerKwh, type Price, type WattHours } from '../../protocol/quantity.ts'
import { boundariesOf, type OffsetAt } from '../../protocol/reading/calendar.ts'
import { QUARTER_MS } from '../../protocol/reading/rollup.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { OBIS } from '../../protocol/telegram/obis.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import type { NetForecast } from '../grid/net-forecast.ts'
import type { History } from '../metering/history.ts'
import type { DealInfo } from '../trading/trading.ts'
import { type BilledDeal, billedDeal, billedFrom, readBilled } from './billed-deal.ts'

/** No contract's window is longer: a grid slot has a day at most. */
const LONGEST_MS = 86_400_000
/** As far back as prices are looked at to forecast some. */
const PRICES_MS = 28 * 86_400_000

export const BILL_PERIODS = ['day', 'month'] as const
export type BillPeriod = (typeof BILL_PERIODS)[number]

/** What a kWh costs and brings: the better of the market and the supplier. */
export interface Prices {
  readonly pays: Price
  readonly gets: Price
}

export interface SiteBill extends Omit<Bill, 'lines' | 'unmetered' | 'regret'> {
  readonly period: BillPeriod
  readonly start: Instant
  readonly end: Instant
  /** All before it is in the bill, or named as missing. */
  readonly until: Instant
  readonly complete: boolean
  readonly missing: readonly Missing[]
  /** Sums of the bill's lines. */
  readonly energy: Readonly<Record<'bought' | 'sold' | 'drawn' | 'fed-in', WattHours>>
  readonly fees: Money
  readonly now: Prices
  /** Of the running day, what is left of it: undefined where nobody can say, as on a site's first day. */
  readonly ahead?: { readonly from: Instant; readonly money: Money }
}

export interface SiteBillOptions {
  readonly tariff: { readonly import: Price; readonly feedIn: Price }
  /** The grid meter, by its name. */
  readonly meter: string
  readonly history: Pick<History, 'energy' | 'entries'>
  readonly clock: Pick<Clock, 'now'>
  readonly offsetAt: OffsetAt
  /** Over lines and over the grid: their prices are those of the moment. */
  deals(): readonly DealInfo[]
  readonly forecast?: Pick<NetForecast, 'net'>
}

export interface SiteBills {
  /** Of the day or month that `at` is in. */
  bill(period: BillPeriod, at: Instant): Promise<Result<SiteBill>>
}

const sideOf = ({ role }: Pick<BilledDeal, 'role'>) => (role === 'buyer' ? ('bought' as const) : ('sold' as const))

const windowOf = (deal: BilledDeal): TradeWindow => {
  const { hash, start, end, price, overGrid, money, delivered, fee } = deal
  const known = money === 'moved' && delivered !== undefined && fee !== undefined
  return {
    ...{ contract: toHex(hash), side: sideOf(deal), start, end, price, overGrid },
    ...(known ? { settled: { delivered, fee } } : {}),
  }
}

/** What a kWh costs the buyer, or leaves the seller. */
const worth = ({ role, price, fee = microsPerKwh(0n) }: BilledDeal): bigint => (role === 'buyer' ? price : price - fee)

export function createSiteBills(options: SiteBillOptions): SiteBills {
  const { history, meter, clock, offsetAt, forecast } = options
  const tariff: Tariff = { drawn: options.tariff.import, fedIn: options.tariff.feedIn }
  const supplier: Prices = { pays: tariff.drawn, gets: tariff.fedIn }

  /** Deals whose windows end from one moment to before another, and that have moved money or may. */
  async function dealsOf(from: Instant, to: Instant): Promise<Result<readonly BilledDeal[]>> {
    const found = await history.entries(billedFrom(from), billedFrom(to))
    if (!found.ok) return found
    const deals = found.value.map(readBilled)
    return deals.every(deal => deal !== undefined)
      ? ok(deals.filter(({ money }) => money !== 'none'))
      : fail({ code: 'history.damaged', key: 'deal' })
  }

  // --- Prices

  const better = (a: Prices, b: Partial<Prices>): Prices => ({
    pays: b.pays !== undefined && b.pays < a.pays ? b.pays : a.pays,
    gets: b.gets !== undefined && b.gets > a.gets ? b.gets : a.gets,
  })

  /** Of contracts whose window it is. */
  function contracted(at: Instant): Prices {
    return options
      .deals()
      .map(({ runner }) => runner.deal())
      .filter(deal => deal.contract.start <= at && at < deal.contract.end && deal.cause === undefined)
      .map(billedDeal)
      .reduce(
        (best, deal) => better(best, { [deal.role === 'buyer' ? 'pays' : 'gets']: worth(deal) as Price }),
        supplier,
      )
  }

  /** By what contracts of this site have cost and brought at this time of earlier days. */
  function expectedPrices(seen: readonly BilledDeal[], now: Instant): (start: Instant) => ExpectedPrice {
    const of = (role: BilledDeal['role']): SeenPrice[] =>
      seen
        .filter(deal => deal.role === role && deal.money === 'moved' && deal.fee !== undefined)
        .map(deal => ({
          start: instant(Math.floor(deal.start / QUARTER_MS) * QUARTER_MS),
          price: worth(deal) as Price,
        }))
    const [bought, sold] = [of('buyer'), of('seller')]
    const given = { slotMs: QUARTER_MS, now, offsetAt, classAt: weekendClass(offsetAt) }
    const median = (prices: readonly SeenPrice[], start: Instant) =>
      prices.length === 0 ? undefined : forecastPrice(prices, start, given, [500])?.[0]
    return start => {
      const [pays, gets] = [median(bought, start), median(sold, start)]
      return better(contracted(start), { ...(pays && { pays }), ...(gets && { gets }) })
    }
  }

  async function ahead(from: Instant, end: Instant, now: Instant): Promise<SiteBill['ahead']> {
    const seen = await dealsOf(instant(now - PRICES_MS), now)
    if (forecast === undefined || !seen.ok) return undefined
    const starts = Array.from({ length: (end - from) / QUARTER_MS }, (_, i) => instant(from + i * QUARTER_MS))
    const slots = starts.flatMap(start => {
      const net = forecast.net({ start, end: instant(start + QUARTER_MS) })
      return net === undefined ? [] : [{ start, energies: [(net * 1000n) as Energy] }]
    })
    if (slots.length === 0 || slots.length < starts.length) return undefined
    const said = billForecast(slots, tariff, expectedPrices(seen.value, now))
    return { from, money: micros(said.reduce((sum, slot) => sum + ('money' in slot ? slot.money[0]! : 0n), 0n)) }
  }

  async function bill(period: BillPeriod, at: Instant): Promise<Result<SiteBill>> {
    const now = clock.now()
    const [start, end] = boundariesOf(period, at, instant(at + 1), offsetAt) as [Instant, Instant]
    if (start > now) return fail({ code: 'bill.future', start, now })
    const quarter = instant(Math.floor(now / QUARTER_MS) * QUARTER_MS)
    const until = end < quarter ? end : quarter
    // What was before says whether the meter was read where the bill begins, and what of a contract that ended there is left.
    const before = instant(start - LONGEST_MS - QUARTER_MS)
    const asked = { meter, from: before, to: until, period: 'quarter' as const }
    const deals = await dealsOf(before, instant(until + LONGEST_MS))
    if (!deals.ok) return deals
    const imported = await history.energy({ ...asked, obis: OBIS.energyImport })
    if (!imported.ok) return imported
    const exported = await history.energy({ ...asked, obis: OBIS.energyExport })
    if (!exported.ok) return exported
    const quarters = quartersOf(imported.value.buckets, exported.value.buckets)
    const { slots, missing } = slotsOf(quarters, deals.value.map(windowOf), tariff, start)
    const made = billOf(slots)
    if (!made.ok) return made
    const { lines, unmetered: _, regret: __, ...sums } = made.value
    const energy = (kind: string) =>
      lines.reduce((sum, line) => sum + (line.kind === kind ? (line.energy ?? 0n) : 0n), 0n) as WattHours
    const rest = period === 'day' && now < end ? await ahead(until, end, now) : undefined
    return ok({
      ...{ period, start, end, until, complete: missing.length === 0, missing, ...sums },
      energy: { bought: energy('bought'), sold: energy('sold'), drawn: energy('drawn'), 'fed-in': energy('fed-in') },
      fees: micros(lines.reduce((sum, { kind, money }) => sum + (kind === 'fee' ? money : 0n), 0n)),
      now: contracted(now),
      ...(rest === undefined ? {} : { ahead: rest }),
    })
  }

  return { bill }
}
