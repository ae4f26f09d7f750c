/** What was taken, given and used of one's own generation: a day by quarters of an hour, a week and a month by days. */

import type { HistoryBucket, HistorySaid } from '../answers.ts'
import type { SiteView, Snapshot } from '../snapshot.ts'
import { type Asked, useAsked, useServed } from './ask.ts'
import { Bars, Chart } from './chart.tsx'
import { useRef } from './dom.ts'
import { type Bar, barsOf } from './energy-bars.ts'
import { date, day, minute, month, UNKNOWN, wattHours } from './format.ts'
import { Heading, Trouble } from './parts.tsx'
import { linkTo } from './routes.ts'
import { ABSENT } from './sentences.ts'

const PERIODS = ['day', 'week', 'month'] as const
type Period = (typeof PERIODS)[number]

interface EnergyOf {
  readonly snapshot: Snapshot
  readonly period: string | undefined
  readonly at: string | undefined
}

export function Energy({ snapshot, period, at }: EnergyOf) {
  const served = useServed().has('/api/history')
  const [site] = snapshot.sites
  const chosen = PERIODS.find(each => each === period) ?? 'day'
  const moment = at !== undefined && /^\d{1,15}$/.test(at) ? Math.min(Number(at), snapshot.time) : undefined
  return (
    <>
      <Heading>Energy</Heading>
      {served && snapshot.sites.length === 1 && site?.grid !== undefined && (
        <History site={site} grid={site.grid} snapshot={snapshot} period={chosen} at={moment} />
      )}
      {snapshot.sites.map(each => (
        <section key={each.name} class="card" aria-labelledby={`curve-${each.name}`}>
          <h2 id={`curve-${each.name}`}>
            {snapshot.sites.length > 1 ? each.name : 'Power at the grid meter'} <span class="count">kW</span>
          </h2>
          <Chart curve={each.curve} site={each.name} />
        </section>
      ))}
    </>
  )
}

/** A quarter of an hour comes to an end and is there. */
const ASK_MS = 60_000
const DAY_MS = 86_400_000
const HALF_DAY_MS = DAY_MS / 2

const query = (meter: string, register: 'import' | 'export', period: string, from: number, to: number) =>
  `/api/history?${new URLSearchParams({ meter, register, period, from: String(from), to: String(to) })}`

interface HistoryOf {
  readonly site: SiteView
  readonly grid: string
  readonly snapshot: Snapshot
  readonly period: Period
  readonly at: number | undefined
}

function History({ site, grid, snapshot, period, at }: HistoryOf) {
  // Stands still while one looks: now moves each second, and a question with it would be another one.
  const opened = useRef(snapshot.time)
  const chosen = at ?? opened.current
  const whole = period === 'month' ? 'month' : 'day'
  // The agent knows where the site's days and months begin.
  const around = useAsked<HistorySaid>(query(grid, 'import', whole, chosen, chosen + 1), ASK_MS)
  const bucket = around.value?.buckets[0]
  const range = bucket && rangeOf(period, bucket)
  return (
    <section class="card energy" aria-labelledby="energy-title">
      <div class="controls">
        <ul class="choice" aria-label="Period">
          {PERIODS.map(each => (
            <li key={each}>
              <a
                href={linkTo('energy', each, ...(at === undefined ? [] : [String(at)]))}
                {...(each === period ? { 'aria-current': 'true' as const } : {})}
              >
                {`${each.slice(0, 1).toUpperCase()}${each.slice(1)}`}
              </a>
            </li>
          ))}
        </ul>
        {range !== undefined && (
          <p class="step">
            <a href={linkTo('energy', period, String(range.from - HALF_DAY_MS))} aria-label={`The ${period} before`}>
              ‹
            </a>
            <b id="energy-title">{titleOf(period, range)}</b>
            {range.to <= snapshot.time ? (
              <a href={linkTo('energy', period, String(nextOf(period, range)))} aria-label={`The ${period} after`}>
                ›
              </a>
            ) : (
              <span aria-hidden="true">›</span>
            )}
          </p>
        )}
      </div>
      <Trouble asked={around} what="The history" />
      {range !== undefined && <Counted site={site} grid={grid} lines={snapshot.lines} period={period} range={range} />}
    </section>
  )
}

interface Range {
  readonly from: number
  readonly to: number
}

/** A week is the seven days that end with the chosen one: a little after its first midnight, whatever the clocks did. */
const rangeOf = (period: Period, { start, end }: HistoryBucket): Range =>
  period === 'week' ? { from: start - 6 * DAY_MS + 3 * 3_600_000, to: end } : { from: start, to: end }

const nextOf = (period: Period, { to }: Range) => to + (period === 'week' ? 6 * DAY_MS + HALF_DAY_MS : HALF_DAY_MS)

const titleOf = (period: Period, { from, to }: Range): string =>
  period === 'day'
    ? `${day(from)} ${date(from).slice(-4)}`
    : period === 'month'
      ? month(from)
      : `${day(from)} to ${day(to - 1)}`

interface CountedOf {
  readonly site: SiteView
  readonly grid: string
  readonly lines: Snapshot['lines']
  readonly period: Period
  readonly range: Range
}

const SOLAR = 'solar'

function Counted({ site, grid, lines, period, range: { from, to } }: CountedOf) {
  const solar = site.meters.some(({ name }) => name === SOLAR)
  // What is sold over a line is not used here, and the line's meter is not always named as the line.
  const sells = lines.some(({ seller }) => seller === site.name)
  const withOwn = solar && !sells
  const step = period === 'day' ? 'quarter' : 'day'
  const imported = useAsked<HistorySaid>(query(grid, 'import', step, from, to), ASK_MS)
  const exported = useAsked<HistorySaid>(query(grid, 'export', step, from, to), ASK_MS)
  const made = useAsked<HistorySaid>(withOwn ? query(SOLAR, 'export', step, from, to) : undefined, ASK_MS)
  if (imported.value === undefined || exported.value === undefined || (withOwn && made.value === undefined))
    return <Trouble asked={worst([imported, exported, ...(withOwn ? [made] : [])])} what="The energies" />
  const bars = barsOf(imported.value, exported.value, made.value)
  const label =
    bars.length === 0
      ? 'Nothing'
      : `Energy by ${period === 'day' ? 'quarter of an hour' : 'day'}; the table below says the same`
  const reasons = reasonsOf(imported.value.buckets)
  return (
    <>
      <dl class="figures">
        <Total className="taken" label="From the grid" bars={bars} of="imported" />
        <Total className="given" label="To the grid" bars={bars} of="exported" />
        {withOwn && <Total className="sun" label="Own generation used" bars={bars} of="own" />}
      </dl>
      <Trouble asked={worst([imported, exported])} what="The curve" />
      <Bars bars={bars} withOwn={withOwn} label={label} name={n => nameOf(period, bars, n)} />
      <p class="key">
        kWh a {period === 'day' ? 'quarter of an hour' : 'day'}: <span class="swatch taken" /> from the grid
        {withOwn && (
          <>
            <span class="swatch sun" /> own generation
          </>
        )}
        <span class="swatch given" /> to the grid
      </p>
      {reasons !== undefined && <p class="quiet">{reasons}</p>}
      <details>
        <summary>As a table</summary>
        <table>
          <caption class="hidden">Energy by {period === 'day' ? 'quarter of an hour' : 'day'}</caption>
          <thead>
            <tr>
              <th scope="col">From</th>
              <th scope="col">Taken</th>
              <th scope="col">Given</th>
              {withOwn && <th scope="col">Own</th>}
            </tr>
          </thead>
          <tbody>
            {bars.map(bar => (
              <tr key={bar.start}>
                <th scope="row">{period === 'day' ? minute(bar.start) : day(bar.start)}</th>
                <td class="amount">{amount(bar.imported)}</td>
                <td class="amount">{amount(bar.exported)}</td>
                {withOwn && <td class="amount">{amount(bar.own)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </>
  )
}

const worst = (all: readonly Asked<unknown>[]): Asked<unknown> =>
  all.find(({ trouble }) => trouble !== undefined) ?? all.find(({ value }) => value === undefined) ?? all[0]!

const amount = (mwh: number | null) => (mwh === null ? UNKNOWN : wattHours(String(mwh)))

interface TotalOf {
  readonly className: string
  readonly label: string
  readonly bars: readonly Bar[]
  readonly of: 'imported' | 'exported' | 'own'
}

/** What is not known of a stretch is in no sum, and a sum without it says so. */
function Total({ className, label, bars, of }: TotalOf) {
  const values = bars.flatMap(bar => bar[of] ?? [])
  const sum = values.reduce((all, each) => all + each, 0)
  return (
    <div class={`figure ${className}`}>
      <dt>{label}</dt>
      <dd>{values.length === 0 ? UNKNOWN : wattHours(String(sum))}</dd>
    </div>
  )
}

/** What is missing, each reason once, with its stretches. */
function reasonsOf(buckets: readonly HistoryBucket[]): string | undefined {
  const absent = buckets.filter(({ energyMwh }) => energyMwh === undefined)
  const reasons = [...new Set(absent.flatMap(bucket => bucket.absent ?? []))].map(code => ABSENT[code] ?? code)
  if (absent.length === 0) return undefined
  const share = `${absent.length} of ${buckets.length}`
  return `No number for ${share}: ${reasons.join(', ') || 'not counted'}. They are in no sum.`
}

/** Every third or sixth hour of a day, each day of a week, every fifth of a month. */
function nameOf(period: Period, bars: readonly Bar[], n: number): string {
  const { start } = bars[n]!
  if (period === 'week') return day(start).slice(0, 3)
  if (period === 'month')
    return Number.parseInt(date(start), 10) % 5 === 1 ? String(Number.parseInt(date(start), 10)) : ''
  const time = minute(start)
  return /^(00|04|08|12|16|20):00$/.test(time) ? time.slice(0, 2) : ''
}
