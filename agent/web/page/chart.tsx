/** Power over time as curves, energy by quarter of an hour or day as bars. A gap is a gap. The one file that knows uPlot. */
import uPlot from 'uplot'
import type { Curve } from '../snapshot.ts'
import { useEffect, useRef } from './dom.ts'
import type { Bar } from './energy-bars.ts'
import { minute, power, zoneName } from './format.ts'
import { useMedia } from './live.ts'

const CURVE_HEIGHT = 160
const BARS_HEIGHT = 260
const KW = 1e6
const KWH = 1e6

type Make = (host: HTMLElement, colour: (name: string) => string) => uPlot.Options

const known = (value: number | null, unit: number) => (value === null ? null : value / unit)

function axesOf(colour: (name: string) => string): { readonly x: uPlot.Axis; readonly y: uPlot.Axis } {
  const axis = {
    stroke: colour('--quiet'),
    font: '12px system-ui, sans-serif',
    grid: { stroke: colour('--hair'), width: 1 },
    ticks: { show: false },
  }
  return {
    x: { ...axis, size: 24, grid: { show: false } },
    y: { ...axis, size: 40, space: 32, values: (_, ticks) => ticks.map(tick => `${Math.round(tick * 1000) / 1000}`) },
  }
}

const common = (host: HTMLElement, height: number) => ({
  width: host.clientWidth,
  height,
  padding: [8, 20, 0, 0] as uPlot.Padding,
  legend: { show: false },
  cursor: { show: false },
  tzDate: (seconds: number) => uPlot.tzDate(new Date(seconds * 1000), zoneName()),
})

/** Steps of the time axis, in seconds: nothing finer than what its labels say. */
const STEPS = [60, 300, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200]

/** A canvas takes its colours when it is made, so a change of theme makes a new one; so does a new `key`. */
function usePlot(make: Make, data: uPlot.AlignedData, key: string) {
  const host = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const dark = useMedia('(prefers-color-scheme: dark)')
  const newest = useRef({ make, data })
  newest.current = { make, data }
  useEffect(() => {
    const element = host.current!
    element.dataset['theme'] = dark ? 'dark' : 'light'
    const style = getComputedStyle(element)
    const options = newest.current.make(element, name => style.getPropertyValue(name).trim())
    const made = new uPlot(options, newest.current.data, element)
    plot.current = made
    const resize = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: options.height }))
    resize.observe(element)
    return () => {
      resize.disconnect()
      made.destroy()
    }
  }, [dark, key])
  useEffect(() => plot.current?.setData(data), [data])
  return host
}

export function Chart({ curve, site }: { readonly curve: Curve; readonly site: string }) {
  if (curve.powerMw.every(mw => mw === null)) return <p class="chart none">No readings yet</p>
  return <PowerCurve curve={curve} site={site} />
}

function PowerCurve({ curve, site }: { readonly curve: Curve; readonly site: string }) {
  const solar = curve.solarMw.some(mw => mw !== null)
  const data: uPlot.AlignedData = [
    curve.at.map(ms => ms / 1000),
    curve.powerMw.map(mw => known(mw, KW)),
    curve.solarMw.map(mw => known(mw, KW)),
  ]
  const make: Make = (host, colour) => {
    const { x, y } = axesOf(colour)
    return {
      ...common(host, CURVE_HEIGHT),
      scales: { y: { range: (_, low, high) => [Math.min(low ?? 0, 0) - 0.05, Math.max(high ?? 0, 0.5) * 1.08] } },
      axes: [{ ...x, space: 64, incrs: STEPS, values: (_, splits) => splits.map(at => minute(at * 1000)) }, y],
      series: [
        {},
        { stroke: colour('--grid'), fill: colour('--grid-soft'), width: 1.75, points: { show: false } },
        { show: solar, stroke: colour('--sun'), fill: colour('--sun-soft'), width: 1.75, points: { show: false } },
      ],
    }
  }
  const host = usePlot(make, data, String(solar))
  const all = curve.powerMw.filter(mw => mw !== null)
  const generation = solar ? '; with its generation' : ''
  const summary = `Power of ${site} at its grid meter: least ${signed(Math.min(...all))}, most ${signed(Math.max(...all))}${generation}`
  return <div class="chart" role="img" aria-label={summary} ref={host} />
}

const signed = (mw: number) => (mw < 0 ? `−${power(mw)} (exported)` : power(mw))

interface BarsShown {
  readonly bars: readonly Bar[]
  /** Without it there are none of it to show. */
  readonly withOwn: boolean
  readonly label: string
  /** What is written below the nth; empty for most. */
  readonly name: (n: number) => string
}

/** Used energy upward, its own generation first; given energy downward. Bars stand side by side by number, whatever their length. */
export function Bars({ bars, withOwn, label, name }: BarsShown) {
  const sum = ({ imported, own }: Bar) => (imported === null ? null : imported + (own ?? 0))
  const data: uPlot.AlignedData = [
    bars.map((_, n) => n),
    bars.map(bar => known(sum(bar), KWH)),
    bars.map(({ own }) => known(own, KWH)),
    bars.map(({ exported }) => (exported === null ? null : -exported / KWH)),
  ]
  const make: Make = (host, colour) => {
    const { x, y } = axesOf(colour)
    const paths = uPlot.paths.bars!({ size: [0.72, 48], radius: 0.15 })
    const series = (of: string, show = true): uPlot.Series => ({
      ...{ show, fill: colour(of), stroke: colour(of), width: 0, paths, points: { show: false } },
    })
    return {
      ...common(host, BARS_HEIGHT),
      scales: {
        x: { time: false, range: () => [-0.6, bars.length - 0.4] },
        y: { range: (_, low, high) => [Math.min(low ?? 0, 0) * 1.08, Math.max(high ?? 0, 0.01) * 1.08] },
      },
      axes: [
        {
          ...x,
          splits: () => bars.flatMap((_, n) => (name(n) === '' ? [] : [n])),
          values: (_, splits) => splits.map(name),
        },
        y,
      ],
      series: [{}, series('--grid'), series('--sun', withOwn), series('--given')],
    }
  }
  const host = usePlot(make, data, `${bars.length} ${bars[0]?.start} ${withOwn}`)
  return <div class="chart bars" role="img" aria-label={label} ref={host} />
}
