/** The street in a terminal: a table that is drawn anew, a line for logs, and the end of a run. */
import { paint } from '../../agent/cli/terminal.ts'
import type { SiteView, Snapshot } from '../../agent/web/snapshot.ts'
import { STATES, type State } from '../../protocol/trade/deal-state.ts'
import type { StreetResult } from './result.ts'

/** `-1.23 kW`, import positive as at the grid meter; a dash where it is not known. */
const kilowatts = (mw: number | null): string => (mw === null ? '-' : `${(mw / 1e6).toFixed(2)} kW`)
const coins = (micro: string | null): string => (micro === null ? '-' : (Number(micro) / 1e6).toFixed(4))
/** Time of day, UTC. */
const timeOf = (ms: number): string => {
  const part = (unit: number, of: number) => String(Math.floor(ms / unit) % of).padStart(2, '0')
  return `${part(3_600_000, 24)}:${part(60_000, 60)}:${part(1000, 60)}`
}

const dealCounts = ({ deals }: Snapshot): string => {
  const count = (state: State) => deals.filter(deal => deal.state === state).length
  const some = STATES.filter(state => count(state) > 0).map(state => `${count(state)} ${state}`)
  return some.length === 0 ? 'no deal yet' : some.join(', ')
}

const healthOf = ({ up, health }: SiteView): string => {
  if (!up) return 'not answering'
  const [first] = health
  return first === undefined ? 'well' : `${first.text}${health.length > 1 ? ` and ${health.length - 1} more` : ''}`
}

/** Of the upstream and own contacts the page tells. */
const contactsOf = ({ contacts }: SiteView): string => {
  const seen = contacts.filter(({ role }) => role === 'line')
  return seen.map(({ line, observed }) => `${line} ${observed}`).join(', ')
}

const COLUMNS = ['site', 'grid', 'solar', 'battery', 'wallet', 'line contacts', 'health'] as const

/** At most `width` columns wide, so that no line wraps and the next drawing finds its place. */
export function drawTable(snapshot: Snapshot, page: string, width: number, colour: boolean): readonly string[] {
  const { sites, lines, violations, ledger } = snapshot
  const rows = [
    COLUMNS,
    ...sites.map(site => [
      site.name,
      kilowatts(site.powerMw),
      site.solarMw === null ? '' : kilowatts(site.solarMw),
      site.chargePermille === null ? '' : `${Math.round(site.chargePermille / 10)} %`,
      coins(site.walletMicro),
      contactsOf(site),
      healthOf(site),
    ]),
  ]
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  const cut = (text: string) => (text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`)
  const table = rows.map(row =>
    cut(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    ),
  )
  const flowing = lines.filter(line => (line.powerMw ?? 0) > 0)
  const flows = flowing.map(({ id, seller, buyer, powerMw }) => `${id} ${seller} > ${buyer} ${kilowatts(powerMw)}`)
  return [
    paint(
      cut(`${snapshot.title}, ${timeOf(snapshot.time)} at x${snapshot.speed}; ${page}; Ctrl-C ends`),
      'bold',
      colour,
    ),
    '',
    paint(table[0]!, 'dim', colour),
    ...table.slice(1).map((line, index) => {
      const level = sites[index]!.up ? sites[index]!.health[0]?.level : 'fault'
      return level === undefined ? line : paint(line, level === 'fault' ? 'red' : 'yellow', colour)
    }),
    '',
    cut(`flows   ${flows.length === 0 ? 'none' : flows.join(', ')}`),
    cut(`deals   ${dealCounts(snapshot)}`),
    cut(`ledger  height ${ledger.height ?? '-'}, signed by ${ledger.signed} of ${ledger.validators}`),
    violations.length === 0
      ? cut('wires   no violation')
      : paint(cut(`wires   ${violations.length} violations, last: ${violations.at(-1)!.text}`), 'red', colour),
  ]
}

/** The same in one line, for a log. */
export function drawLine(snapshot: Snapshot): string {
  const { ledger, lines, sites, violations } = snapshot
  const flow = lines.reduce((sum, line) => sum + (line.powerMw ?? 0), 0)
  const ill = sites.filter(site => !site.up || site.health.length > 0).map(site => `${site.name} ${healthOf(site)}`)
  const parts = [
    `height ${ledger.height ?? '-'}`,
    `${kilowatts(flow)} on direct lines`,
    dealCounts(snapshot),
    `${violations.length} violations`,
    ill.length === 0 ? 'all sites well' : ill.join(', '),
  ]
  return `${timeOf(snapshot.time)}  ${parts.join('; ')}`
}

/** A result for a person. */
export function drawResult(result: StreetResult): string {
  const { deals, energy_wh, latency_ms, ledger, money, readings, relays } = result
  const ms = (value: number | null) => (value === null ? 'none' : `${Math.round(value)} ms`)
  const lines = [
    `${result.ok ? 'All held' : 'NOT all held'}: ${result.sites} sites, ${result.virtual_s} virtual seconds in ${result.wall_s} s`,
    `  readings  ${readings.signed} signed, ${readings.verified} verified, chains ${readings.chains_ok ? 'whole' : 'BROKEN'}`,
    `  ledger    height ${ledger.height}, ${ledger.tx} transactions, ${ledger.headers_verified} headers and ${ledger.proofs_verified} proofs verified`,
    `  deals     ${deals.proposed} proposed, ${deals.settled} settled (${deals.disputed} after a dispute window), ${deals.refunded} refunded`,
    `  energy    ${energy_wh.contracted} Wh contracted, ${energy_wh.seller_metered} sold, ${energy_wh.buyer_metered} bought, ${energy_wh.settled} settled`,
    `  money     ${coins(String(money.paid))} paid, residue ${money.residue}`,
    `  relays    ${relays.closes} closes, ${relays.opens} opens, ${relays.violations} violations`,
    `  latency   request to signed ${ms(latency_ms.request_to_signed_p50)}, signed to closed ${ms(latency_ms.signed_to_closed_p50)}, fault to open ${ms(latency_ms.fault_to_open_max)}`,
    ...result.faults.map(
      ({ name, outcome, as_expected }) => `  ${name}: ${as_expected ? '' : 'NOT AS EXPECTED, '}${outcome}`,
    ),
    ...result.problems.map(problem => `  problem: ${problem}`),
  ]
  return `${lines.join('\n')}\n`
}
