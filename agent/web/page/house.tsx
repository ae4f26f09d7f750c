/** What stands at a site, drawn around (0, 0), 104 wide and 96 high. */
import type { SiteView } from '../snapshot.ts'

export function House({ site }: { readonly site: SiteView }) {
  if (site.kind === 'charger') return <Charger site={site} />
  return (
    <g class="building">
      <path class="roof" d="M -54 -8 L 0 -50 L 54 -8 Z" />
      <path class="wall" d="M -43 -8 H 43 V 42 H -43 Z" />
      <path class="door" d="M -8 42 V 18 H 8 V 42 Z" />
      <Window x={-31} lit={site.powerMw !== null} />
      {site.kind === 'battery-home' ? (
        <Battery permille={site.chargePermille} />
      ) : (
        <Window x={17} lit={site.powerMw !== null} />
      )}
      {site.kind === 'solar-home' && <Panels working={(site.solarMw ?? 0) > 50_000} />}
    </g>
  )
}

const Window = ({ x, lit }: { readonly x: number; readonly lit: boolean }) => (
  <g>
    <rect x={x} y={4} width={14} height={14} rx={1.5} class={lit ? 'window lit' : 'window'} />
    <path d={`M ${x + 7} 4 V 18 M ${x} 11 H ${x + 14}`} class="bar" />
  </g>
)

const Panels = ({ working }: { readonly working: boolean }) => (
  <g class={working ? 'panels working' : 'panels'}>
    {[0, 1, 2].map(i => (
      <path key={i} d={`M ${8 + i * 13} ${-41 + i * 10.1} l 11 8.5 l -7 7.5 l -11 -8.5 Z`} />
    ))}
  </g>
)

function Battery({ permille }: { readonly permille: number | null }) {
  const level = (permille ?? 0) / 1000
  return (
    <g class="battery">
      <rect x={17} y={3} width={17} height={27} rx={3} class="case" />
      <rect x={22} y={0} width={7} height={3} class="cap" />
      <rect x={19.5} y={5.5 + 22 * (1 - level)} width={12} height={22 * level} rx={1.5} class="level" />
    </g>
  )
}

const Charger = ({ site }: { readonly site: SiteView }) => (
  <g class="building">
    <rect class="wall" x={-46} y={-34} width={26} height={76} rx={5} />
    <rect class={site.powerMw === null ? 'window' : 'window lit'} x={-40} y={-27} width={14} height={13} rx={2} />
    <path class="bolt" d="M -31 -9 L -38 5 H -33 L -35 16 L -27 1 H -32 Z" />
    <path class="cable" d="M -20 -4 C -6 -2 -12 26 2 22" />
    <path
      class="car"
      d="M -6 34 V 24 C -6 20 -3 18 2 17 L 8 7 C 10 4 12 3 16 3 H 34 C 38 3 40 5 42 8 L 47 17 C 52 18 54 20 54 24 V 34 Z"
    />
    <path
      class="glass"
      d="M 8 16 L 13 8.5 C 14 7 15 7 17 7 H 23 V 16 Z M 26 7 H 33 C 35 7 36 7.5 37 9 L 41 16 H 26 Z"
    />
    <circle class="wheel" cx={8} cy={35} r={7} />
    <circle class="wheel" cx={41} cy={35} r={7} />
  </g>
)
