/**
 * The street as a picture: every site on the distribution grid, the direct lines between them, and what flows. Wide
 * screens show the sites in a row with the direct lines above; narrow ones in a column with the lines beside.
 */
import type { LineView, SiteView, Snapshot } from '../snapshot.ts'
import { gridFlow, power } from './format.ts'
import { House } from './house.tsx'
import { useMedia } from './live.ts'
import { linkTo } from './routes.ts'
import { energised, lineSentence, siteSentence } from './sentences.ts'

interface Point {
  readonly x: number
  readonly y: number
}

interface Layout {
  readonly width: number
  readonly height: number
  readonly house: readonly Point[]
  readonly label: (house: Point) => Point & { readonly anchor: 'middle' | 'start' }
  /** Where the grid's feeder runs, and each site's drop to it. */
  readonly feeder: string
  readonly drop: (house: Point) => string
  readonly port: (house: Point, offset: number) => Point
  readonly arc: (from: Point, to: Point) => { readonly path: string; readonly middle: Point }
}

function rowLayout(count: number): Layout {
  const step = 200
  const width = Math.max(count, 3) * step
  const y = 246
  return {
    width,
    height: 380,
    house: Array.from({ length: count }, (_, i) => ({ x: (width / count) * (i + 0.5) - 18, y })),
    label: ({ x }) => ({ x: x + 12, y: y + 64, anchor: 'start' }),
    feeder: `M 0 ${y + 108} H ${width}`,
    drop: ({ x }) => `M ${x} ${y + 108} V ${y + 42}`,
    port: ({ x }, offset) => ({ x: x + offset, y: y - 58 }),
    arc: (from, to) => {
      const rise = Math.min(150, 46 + Math.abs(to.x - from.x) * 0.17)
      const middle = { x: (from.x + to.x) / 2, y: from.y - rise * 0.75 }
      return {
        path: `M ${from.x} ${from.y} C ${from.x} ${from.y - rise} ${to.x} ${to.y - rise} ${to.x} ${to.y}`,
        middle,
      }
    },
  }
}

function columnLayout(count: number): Layout {
  const step = 128
  const x = 78
  return {
    width: 360,
    height: count * step + 12,
    house: Array.from({ length: count }, (_, i) => ({ x, y: step * (i + 0.5) + 8 })),
    label: ({ y }) => ({ x: x + 58, y: y + 12, anchor: 'start' }),
    feeder: `M 14 0 V ${count * step + 12}`,
    drop: ({ y }) => `M 14 ${y + 30} H ${x - 44}`,
    port: ({ y }, offset) => ({ x: 226, y: y + offset * 0.7 }),
    arc: (from, to) => {
      const bulge = Math.min(104, 30 + Math.abs(to.y - from.y) * 0.22)
      const middle = { x: from.x + bulge * 0.75, y: (from.y + to.y) / 2 }
      return {
        path: `M ${from.x} ${from.y} C ${from.x + bulge} ${from.y} ${to.x + bulge} ${to.y} ${to.x} ${to.y}`,
        middle,
      }
    },
  }
}

/** Where a line leaves its house: several lines of one house stand side by side, ordered by the way they go. */
function portOffset(lines: readonly LineView[], order: readonly string[], site: string, line: LineView): number {
  const ends = lines
    .filter(it => it.seller === site || it.buyer === site)
    .map(it => ({ id: it.id, to: order.indexOf(it.seller === site ? it.buyer : it.seller) }))
    .sort((a, b) => a.to - b.to)
  return (ends.findIndex(end => end.id === line.id) - (ends.length - 1) / 2) * 26
}

/** 1.5 to 5 px for nothing to 7 kW: enough to see which line carries more. */
const width = (mw: number | null) => 1.5 + Math.min(3.5, Math.abs(mw ?? 0) / 2e6)

export function Street({ snapshot }: { readonly snapshot: Snapshot }) {
  const narrow = useMedia('(max-width: 680px)')
  const { sites, lines } = snapshot
  const layout = narrow ? columnLayout(sites.length) : rowLayout(sites.length)
  const order = sites.map(site => site.name)
  const drawn = lines.flatMap((line): DrawnLine[] => {
    const from = layout.house[order.indexOf(line.seller)]
    const to = layout.house[order.indexOf(line.buyer)]
    if (from === undefined || to === undefined) return []
    const start = layout.port(from, portOffset(lines, order, line.seller, line))
    const end = layout.port(to, portOffset(lines, order, line.buyer, line))
    return [{ line, start, end, ...layout.arc(start, end) }]
  })
  return (
    <section class="card street" aria-labelledby="street-title">
      <h2 id="street-title">Street</h2>
      <ul class="hidden">
        {sites.map(site => (
          <li key={site.name}>{siteSentence(site)}</li>
        ))}
        {lines.map(line => (
          <li key={line.id}>{lineSentence(line)}</li>
        ))}
      </ul>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset cannot hold a picture's links. */}
      <svg
        viewBox={`0 0 ${layout.width} ${layout.height}`}
        class={narrow ? 'column' : 'row'}
        role="group"
        aria-label="The street"
      >
        <Sky time={snapshot.time} width={layout.width} narrow={narrow} />
        <path d={layout.feeder} class="feeder" />
        <text class="feeder-name" x={narrow ? 24 : 12} y={narrow ? 16 : layout.height - 5}>
          distribution grid
        </text>
        {sites.map((site, index) => (
          <GridDrop key={site.name} site={site} path={layout.drop(layout.house[index]!)} />
        ))}
        {drawn.map(it => (
          <DirectLine key={it.line.id} {...it} />
        ))}
        {drawn.map(it => (
          <Tag key={it.line.id} {...it} />
        ))}
        {sites.map((site, index) => {
          const house = layout.house[index]!
          const label = layout.label(house)
          return (
            <a
              key={site.name}
              href={linkTo('now', site.name)}
              aria-label={siteSentence(site)}
              class={site.up ? 'house' : 'house down'}
            >
              <rect x={house.x - 62} y={house.y - 56} width={124} height={100} class="hit" rx={10} />
              <g transform={`translate(${house.x} ${house.y})`}>
                <House site={site} />
              </g>
              <text x={label.x} y={label.y} text-anchor={label.anchor} class="name">
                {site.name}
              </text>{' '}
              <text x={label.x} y={label.y + 19} text-anchor={label.anchor} class={`flow ${direction(site.powerMw)}`}>
                {site.up ? gridFlow(site.powerMw) : 'not answering'}
              </text>
            </a>
          )
        })}
      </svg>
      <p class="key" aria-hidden="true">
        <span class="swatch traded" /> traded over a direct line
        <span class="swatch taken" /> taken from the grid
        <span class="swatch given" /> given to the grid
      </p>
    </section>
  )
}

const direction = (mw: number | null): string =>
  mw === null || Math.abs(mw) < 100 ? 'still' : mw > 0 ? 'taking' : 'giving'

function GridDrop({ site, path }: { readonly site: SiteView; readonly path: string }) {
  return (
    <g class={`drop ${site.up ? direction(site.powerMw) : 'still'}`}>
      <path d={path} class="wire" />
      <path d={path} class="current" stroke-width={width(site.powerMw)} />
    </g>
  )
}

interface DrawnLine {
  readonly line: LineView
  readonly path: string
  readonly middle: Point
  readonly start: Point
  readonly end: Point
}

function DirectLine({ line, path, start, end }: DrawnLine) {
  const lit = energised(line)
  return (
    <g class={lit ? 'line lit' : 'line'} data-line={line.id}>
      <path d={path} class="wire" />
      {lit && <path d={path} class="glow" stroke-width={width(line.powerMw) + 7} />}
      {lit && <path d={path} class="current" stroke-width={width(line.powerMw) + 1} />}
      <circle cx={start.x} cy={start.y} r={5} class={`contact ${line.sellerContact}`} />
      <circle cx={end.x} cy={end.y} r={5} class={`contact ${line.buyerContact}`} />
    </g>
  )
}

/** A line's name and power, drawn after every line so that none crosses it. */
function Tag({ line, middle }: DrawnLine) {
  const lit = energised(line)
  return (
    <g transform={`translate(${middle.x} ${middle.y})`} class={lit ? 'tag lit' : 'tag'}>
      <rect x={lit ? -46 : -19} y={-12} width={lit ? 92 : 38} height={24} rx={12} />
      <text text-anchor="middle" y={4.5}>
        <tspan class="id">{line.id}</tspan>
        {lit && <tspan dx={6}>{power(line.powerMw)}</tspan>}
      </text>
    </g>
  )
}

/** The sun or the moon where the street's clock puts it (6 to 18 h UTC is day). */
function Sky({ time, width, narrow }: { readonly time: number; readonly width: number; readonly narrow: boolean }) {
  const hour = (time / 3_600_000) % 24
  const day = hour >= 6 && hour < 18
  const along = day ? (hour - 6) / 12 : ((hour + 6) % 24) / 12
  const x = 24 + along * (width - 48)
  const y = (narrow ? 44 : 96) - Math.sin(along * Math.PI) * (narrow ? 24 : 66)
  return <circle cx={x} cy={y} r={narrow ? 9 : 15} class={day ? 'sun' : 'moon'} />
}
