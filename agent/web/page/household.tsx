/** A household as a picture: the house in the middle, around it what power comes from and goes to, on each line its number. */
import type { LineView, SiteView } from '../snapshot.ts'
import { type Flow, flowsOf, usedMw } from './balance.ts'
import { power } from './format.ts'
import { useMedia } from './live.ts'

interface Point {
  readonly x: number
  readonly y: number
}

interface Plan {
  readonly width: number
  readonly height: number
  readonly house: Point
  /** Where the nth of so many of a kind stands. */
  readonly at: (kind: Flow['kind'], n: number, count: number) => Point
}

/** How much there is to place beside the house and the grid. */
interface Around {
  readonly sun: boolean
  readonly stores: number
  readonly neighbours: number
}

const spread = (from: number, to: number, n: number, count: number) => from + ((to - from) * (n + 0.5)) / count

/** Sources on the left, neighbours on the right, what is stored or charged below. */
function widePlan({ sun, stores, neighbours }: Around): Plan {
  const sides = Math.max(sun ? 300 : 190, neighbours * 112)
  const middle = sides / 2
  const below = sides + 66
  return {
    ...{ width: 880, height: stores > 0 ? below + 62 : sides, house: { x: 440, y: middle } },
    at: (kind, n, count) =>
      kind === 'sun'
        ? { x: 120, y: middle - 84 }
        : kind === 'grid'
          ? { x: 120, y: sun ? middle + 72 : middle }
          : kind === 'neighbour'
            ? { x: 760, y: spread(0, sides, n, count) - (count > 1 ? 8 : 0) }
            : { x: spread(250, 630, n, count), y: below },
  }
}

const ROW = 128

/** From top to bottom: sources, the house, what is stored or charged, and neighbours in rows of three. */
function narrowPlan({ sun, stores, neighbours }: Around): Plan {
  const houseY = 240
  const storesY = houseY + 162
  const neighboursY = stores > 0 ? storesY + ROW : storesY
  const rows = Math.ceil(neighbours / 3)
  const last = neighbours > 0 ? neighboursY + (rows - 1) * ROW : stores > 0 ? storesY : houseY + 12
  return {
    ...{ width: 360, height: last + 64, house: { x: 180, y: houseY } },
    at(kind, n, count) {
      if (kind === 'sun') return { x: 62, y: 64 }
      if (kind === 'grid') return { x: sun ? 298 : 180, y: 64 }
      if (kind !== 'neighbour') return { x: spread(0, 360, n, count), y: storesY }
      const row = Math.floor(n / 3)
      return { x: spread(0, 360, n % 3, Math.min(3, count - row * 3)), y: neighboursY + row * ROW }
    },
  }
}

/** Half the side of a place, and how far from the house's middle its lines end. */
const PLACE = 34
const HOUSE = 66

export function Household({ site, lines }: { readonly site: SiteView; readonly lines: readonly LineView[] }) {
  const narrow = useMedia('(max-width: 680px)')
  const flows = flowsOf(site, lines)
  const used = usedMw(site, lines)
  const isStore = ({ kind }: Flow) => kind === 'battery' || kind === 'car'
  const stores = flows.filter(isStore)
  const neighbours = flows.filter(({ kind }) => kind === 'neighbour')
  const sun = flows.some(({ kind }) => kind === 'sun')
  const around = { sun, stores: stores.length, neighbours: neighbours.length }
  const plan = narrow ? narrowPlan(around) : widePlan(around)
  const placed = flows.map(flow => {
    const alike = isStore(flow) ? stores : neighbours
    const at = plan.at(flow.kind, alike.indexOf(flow), alike.length)
    return { flow, at, path: pathOf(at, plan.house) }
  })
  return (
    <>
      <ul class="hidden" id="flows" aria-label="What flows">
        {flows.map(({ id, sentence }) => (
          <li key={id}>{sentence}</li>
        ))}
        <li>
          {used === null ? 'What the house takes in all is not known' : `The house takes about ${power(used)} in all`}
        </li>
      </ul>
      <svg
        viewBox={`0 0 ${plan.width} ${plan.height}`}
        class={narrow ? 'household narrow' : 'household'}
        aria-hidden="true"
      >
        {placed.map(({ flow, path }) => (
          <g key={flow.id} class={`flow-line ${flow.kind} ${flow.way}`} data-flow={flow.id}>
            <path d={path} class="wire" />
            {flow.way !== 'open' && (flow.way === 'in' || flow.way === 'out') && (
              <path d={path} class="current" stroke-width={widthOf(flow.mw)} />
            )}
          </g>
        ))}
        <g class="house" transform={`translate(${plan.house.x} ${plan.house.y})`}>
          <circle r={HOUSE} class="ground" />
          <path class="roof" d="M -42 -12 L 0 -45 L 42 -12 Z" />
          <path class="wall" d="M -33 -12 H 33 V 24 H -33 Z" />
          <path class="door" d="M -6 24 V 6 H 6 V 24 Z" />
          <rect x={-25} y={-4} width={12} height={12} class={site.powerMw === null ? 'window' : 'window lit'} />
          <rect x={13} y={-4} width={12} height={12} class={site.powerMw === null ? 'window' : 'window lit'} />
          <text class="used" y={46}>
            {used === null ? '' : `≈ ${power(used)}`}
          </text>
        </g>
        {placed.map(({ flow, at }) => (
          <g key={flow.id} class={`place ${flow.kind} ${flow.way}`} transform={`translate(${at.x} ${at.y})`}>
            <circle r={PLACE} class="ground" />
            <Icon kind={flow.kind} />
            <text class="name" y={at.y < plan.house.y && narrow ? -PLACE - 9 : PLACE + 18}>
              {capital(flow.name)}
            </text>
          </g>
        ))}
        {placed.map(({ flow, at }) => (
          <Amount key={flow.id} flow={flow} at={middleOf(at, plan.house)} />
        ))}
      </svg>
    </>
  )
}

const capital = (name: string) => name.slice(0, 1).toUpperCase() + name.slice(1)

/** From a place to the house: power that comes in runs along it, power that goes out against it. */
function pathOf(from: Point, house: Point): string {
  const [dx, dy] = [house.x - from.x, house.y - from.y]
  const length = Math.hypot(dx, dy)
  const near = (point: Point, by: number) => `${point.x + (dx / length) * by} ${point.y + (dy / length) * by}`
  return `M ${near(from, PLACE)} L ${near(house, -HOUSE)}`
}

/** Of the part of a line that is seen. */
function middleOf(from: Point, house: Point): Point {
  const length = Math.hypot(house.x - from.x, house.y - from.y)
  const share = (length - HOUSE + PLACE) / 2 / length
  return { x: from.x + (house.x - from.x) * share, y: from.y + (house.y - from.y) * share }
}

/** 2 to 6 px for nothing to 8 kW: enough to see which line carries more. */
const widthOf = (mw: number | null) => 2 + Math.min(4, Math.abs(mw ?? 0) / 2e6)

function Amount({ flow, at }: { readonly flow: Flow; readonly at: Point }) {
  const half = Math.max(24, flow.text.length * 4.9 + 9)
  return (
    <g class={`number ${flow.kind} ${flow.way}`} transform={`translate(${at.x} ${at.y})`}>
      <rect x={-half} y={-14} width={half * 2} height={28} rx={14} />
      <text y={5}>{flow.text}</text>
    </g>
  )
}

const ICONS: Readonly<Record<Flow['kind'], string>> = {
  sun: 'M0 -8a8 8 0 1 0 .01 0Z M0 -19V-14 M0 14V19 M-19 0H-14 M14 0H19 M-13.4 -13.4L-9.9 -9.9 M9.9 9.9L13.4 13.4 M-13.4 13.4L-9.9 9.9 M9.9 -9.9L13.4 -13.4',
  grid: 'M-9 18L-3 -18H3L9 18 M-15 -8H15 M-12 0H12 M-15 -8V-4 M15 -8V-4 M-6.5 8L5 0 M6.5 8L-5 0',
  battery: 'M-9 -14H9V17H-9Z M-4 -18H4V-14H-4Z M2 -8L-5 4H0L-2 12L5 0H0Z',
  car: 'M-18 9V1C-18 -2 -15 -3 -11 -4L-7 -11C-6 -13 -4 -14 -2 -14H5C8 -14 9 -13 10 -11L13 -4C16 -3 18 -1 18 2V9Z M-11 -4H13 M-10 5a4.5 4.5 0 1 0 .01 0Z M10 5a4.5 4.5 0 1 0 .01 0Z',
  neighbour: 'M-18 0L0 -16L18 0 M-13 -4V16H13V-4 M-4 16V5H4V16',
}

const Icon = ({ kind }: { readonly kind: Flow['kind'] }) => <path class="icon" d={ICONS[kind]} />
