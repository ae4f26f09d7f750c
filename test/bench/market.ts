/**
 * `npm run bench:market`: orders cleared a second by pay as bid and pay as clear, from decoded orders to trades, each beside
 * a sort of as many numbers; what they gain beside the linear program's optimum; how a clearing's time grows; and
 * certificates of optimality checked.
 */
import { createHash } from 'node:crypto'
import { openOptimiser } from '../../drivers/optimiser/highs.ts'
import { certify, verifyCertificate } from '../../protocol/market/certificate.ts'
import { clear, clearingHash, type Rule, welfareOf } from '../../protocol/market/clear.ts'
import type { BookOrder } from '../../protocol/market/ranking.ts'
import { microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import { BEACON, PAY_AS_BID, PAY_AS_CLEAR, welfareProgram } from '../protocol/market/books.ts'
import { type Contestant, race, type Timed } from './measure.ts'
import { type BenchOptions, floorOf, type Row, rateRow, runBench } from './report.ts'

/** A fixed sequence (mulberry32), so that every run clears the same books. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * Half bids, half offers, of 1 to 5,000 Wh at 0.05 to 0.30 a kWh, in steps of `step` micro-units. The design's figures are of
 * prices to the micro-unit; in whole cents nearly every order has its equals, and the draw decides among them.
 * Of 250,000 prices 200,000 orders leave every third with an equal, 20,000 every twenty-fifth: what grows beyond the sort there
 * is how many hashes are drawn.
 */
function bookOf(count: number, step: number): readonly BookOrder[] {
  const next = numbers(count + step)
  return Array.from({ length: count }, (_, i) => ({
    id: new Uint8Array(createHash('sha256').update(`${step} ${i}`).digest().subarray(0, 16)),
    side: next() < 0.5 ? 'bid' : 'offer',
    quantity: wattHours(BigInt(1 + Math.floor(next() * 5000))),
    limit: microsPerKwh(BigInt(Math.floor((50_000 + next() * 250_000) / step) * step)),
    sequence: 0,
  }))
}

const ASKED: Readonly<Record<number, string>> = { 2000: '1,000,000', 200000: '300,000' }
const WAYS = [
  ['bid', 'pay as bid', PAY_AS_BID, 1],
  ['clear', 'pay as clear', PAY_AS_CLEAR, 1],
  ['cents.bid', 'pay as bid, prices in whole cents', PAY_AS_BID, 10_000],
  ['cents.clear', 'pay as clear, prices in whole cents', PAY_AS_CLEAR, 10_000],
] as const

/** What is timed of one size. */
async function timesOf(count: number, { effort }: BenchOptions): Promise<ReadonlyMap<string, Timed>> {
  const random = numbers(count)
  const unsorted = Float64Array.from({ length: count }, random)
  const books = new Map([1, 10_000].map(step => [step, bookOf(count, step)]))
  const clearings = WAYS.map(
    ([id, , rule, step]): Contestant => ({
      name: id,
      run: () => {
        must(clear(books.get(step)!, rule, BEACON))
        return count
      },
    }),
  )
  const orders = books.get(1)!
  const clearing = must(clear(orders, PAY_AS_CLEAR, BEACON))
  const certificate = certify(orders, clearing)
  return race(
    [
      ...clearings,
      {
        name: 'certificate',
        run: () => {
          must(verifyCertificate(orders, PAY_AS_CLEAR, BEACON, certificate))
          return count
        },
      },
      {
        name: 'hash',
        run: () => {
          clearingHash(orders, clearing)
          return count
        },
      },
      {
        name: 'sort',
        run: () => {
          unsorted.slice().sort()
          return count
        },
      },
    ],
    effort,
  )
}

function rateRows(count: number, timed: ReadonlyMap<string, Timed>): Row[] {
  const sort = timed.get('sort')!
  const size = count.toLocaleString('en')
  const floor = (reached: Timed) => floorOf('Float64Array.sort of as many', 'numbers/s sorted', sort, 1, reached)
  const row = (id: string, what: string, asked?: string): Row => {
    const reached = timed.get(id)!
    return rateRow(
      {
        id: `${id}.${count}`,
        what: `${what}, ${size} orders`,
        unit: 'orders/s',
        floor: floor(reached),
        ...(asked === undefined ? {} : { asked }),
      },
      reached,
    )
  }
  const checked = timed.get('certificate')!
  return [
    ...WAYS.map(([id, what]) => row(id, what, ASKED[count])),
    row('hash', 'hash of a clearing to compare'),
    row('certificate', 'certificate of optimality checked'),
    {
      id: `checks.${count}`,
      what: `certificates checked, ${size} orders each`,
      value: checked.median / count,
      unit: 'certificates/s',
    },
  ]
}

/** How many times as long ten times the orders take. */
function growthRows(times: ReadonlyMap<number, ReadonlyMap<string, Timed>>): Row[] {
  const sizes = [...times.keys()]
  return sizes.slice(1).flatMap((count, i) =>
    WAYS.map(([id, what]): Row => {
      const before = sizes[i]!
      const ratio = (name: string) =>
        ((times.get(before)!.get(name)!.median / times.get(count)!.get(name)!.median) * count) / before
      return {
        id: `growth.${id}.${count}`,
        what: `t(${count.toLocaleString('en')}) / t(${before.toLocaleString('en')}), ${what}`,
        value: ratio(id),
        unit: 'times',
        asked: '<= 13',
        floor: { what: 'Float64Array.sort', value: ratio('sort'), unit: 'times for the sort' },
      }
    }),
  )
}

async function welfareRows(sizes: readonly number[]): Promise<Row[]> {
  const optimiser = await openOptimiser()
  return sizes.flatMap(count => {
    const orders = bookOf(count, 1)
    const most = Math.round(must(optimiser.solve(welfareProgram(orders))).objective)
    return WAYS.slice(0, 2).map(([id, what, rule]): Row => {
      const gained = Number(welfareOf(orders, must(clear(orders, rule as Rule, BEACON))))
      return {
        id: `welfare.${id}.${count}`,
        what: `gain of ${what}, ${count.toLocaleString('en')} orders`,
        value: (100 * gained) / most,
        unit: '% of the linear program',
        asked: '100',
        counts: { gained, most },
      }
    })
  })
}

await runBench('bench:market', 'Orders cleared a second, and what the clearing gains.', async options => {
  const sizes = options.smoke ? [200, 2000] : [200, 2000, 20_000, 200_000]
  const times = new Map<number, ReadonlyMap<string, Timed>>()
  for (const count of sizes) times.set(count, await timesOf(count, options))
  return [
    ...sizes.flatMap(count => rateRows(count, times.get(count)!)),
    ...growthRows(times),
    ...(await welfareRows(sizes)),
  ]
})
