/** A site's power over the last hours. The one file that knows uPlot. */
import uPlot from 'uplot'
import type { Curve } from '../snapshot.ts'
import { useEffect, useRef } from './dom.ts'
import { power } from './format.ts'
import { useMedia } from './live.ts'

const HEIGHT = 132
const KW = 1e6

const columns = (curve: Curve): uPlot.AlignedData => [
  curve.at.map(ms => ms / 1000),
  curve.powerMw.map(mw => (mw === null ? null : mw / KW)),
  curve.solarMw.map(mw => (mw === null ? null : mw / KW)),
]

function options(host: HTMLElement, solar: boolean): uPlot.Options {
  const style = getComputedStyle(host)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const axis = {
    stroke: colour('--quiet'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: colour('--hair'), width: 1 },
    ticks: { show: false },
  }
  return {
    width: host.clientWidth,
    height: HEIGHT,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    tzDate: seconds => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    scales: { y: { range: (_, low, high) => [Math.min(low ?? 0, 0) - 0.05, Math.max(high ?? 0, 0.5) * 1.08] } },
    axes: [
      {
        ...axis,
        size: 22,
        space: 64,
        grid: { show: false },
        values: [[60, '{HH}:{mm}', null, null, null, null, null, null, 1]],
      },
      { ...axis, size: 34, space: 28, values: (_, ticks) => ticks.map(tick => `${Math.round(tick * 10) / 10}`) },
    ],
    series: [
      {},
      { stroke: colour('--grid'), fill: colour('--grid-soft'), width: 1.75, points: { show: false } },
      { show: solar, stroke: colour('--sun'), fill: colour('--sun-soft'), width: 1.75, points: { show: false } },
    ],
  }
}

export function Chart({ curve, site }: { readonly curve: Curve; readonly site: string }) {
  if (curve.powerMw.every(mw => mw === null)) return <p class="chart none">No readings yet</p>
  return <Plot curve={curve} site={site} />
}

function Plot({ curve, site }: { readonly curve: Curve; readonly site: string }) {
  const host = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const dark = useMedia('(prefers-color-scheme: dark)')
  const solar = curve.solarMw.some(mw => mw !== null)
  const newest = useRef(curve)
  newest.current = curve

  // The canvas takes its colours when it is made, so a change of theme makes a new one.
  useEffect(() => {
    const element = host.current!
    element.dataset['theme'] = dark ? 'dark' : 'light'
    const made = new uPlot(options(element, solar), columns(newest.current), element)
    plot.current = made
    const resize = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }))
    resize.observe(element)
    return () => {
      resize.disconnect()
      made.destroy()
    }
  }, [dark, solar])
  useEffect(() => plot.current?.setData(columns(curve)), [curve])

  const known = curve.powerMw.filter(mw => mw !== null)
  const generation = solar ? '; with its generation' : ''
  const summary = `Power of ${site} at its grid meter: least ${signed(Math.min(...known))}, most ${signed(Math.max(...known))}${generation}`
  return <div class="chart" role="img" aria-label={summary} ref={host} />
}

const signed = (mw: number) => (mw < 0 ? `−${power(mw)} (exported)` : power(mw))
