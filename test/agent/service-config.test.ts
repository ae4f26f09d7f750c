/** The sections of what a site does for others beside trading. */
import { loadConfig } from '../../agent/config/load.ts'
import { configLine } from '../../agent/config/read-form.ts'
import type { SiteConfig } from '../../agent/config/site-config.ts'
import { assert, suite } from '../harness.ts'
import { smallSite } from './small-site.ts'

const HEX = 'ab'.repeat(32)
/** Each has an account of its own. */
const peer = (n: number) => `{account: ${n}${n}${HEX.slice(2)}, sealing: ${HEX}, metering: ${HEX}}`
const BASE = smallSite(`{seed: ${HEX}}`)
  .replace('data: data', 'bench: true\ndata: data')
  .replace('unit: 1}', 'unit: 1, id: G-1}')
const GRID = `peers: {bob: ${peer(1)}, caller: ${peer(2)}}
grid: {meter: grid, node: house-4, source: solar}
`
const CALLED = `demand_response:
  ahead: 1h
  loads:
    boiler: {power: 2kW, comfort: 0.05}
    car: {power: 11kW, comfort: 0.20, level: high, longest: 8}
`
const GROUP = `community:
  group: sunny
  rule: mid-market
  tariff: {import: 0.30, feed_in: 0.05}
  members: {bob: B-1}
`
const CALLER = `aggregator:
  customers: {bob: B-1}
  ahead: -5h
`

const faults = (text: string): string[] => {
  const loaded = loadConfig(text, 'site.yaml')
  return loaded.ok ? [] : loaded.faults.map(configLine)
}
function read(text: string): SiteConfig {
  const loaded = loadConfig(text, 'site.yaml')
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(configLine).join('\n'))
  return (loaded as { value: SiteConfig }).value
}
function changed(text: string, from: string, to: string): string {
  assert.ok(text.includes(from), `nothing to change: ${from}`)
  return text.replace(from, to)
}
/** Every fault says where it stands. */
function complaint(text: string): string {
  const [first, ...more] = faults(text)
  assert.equal(more, [])
  assert.match(first ?? '', /^site\.yaml:\d+:\d+: /)
  return (first ?? '').replace(/^site\.yaml:\d+:\d+: /, '')
}

const test = suite('service config')

test('without their sections a site has none of them', () => {
  const { demandResponse, aggregator, community, regulator } = read(BASE)
  assert.equal([demandResponse, aggregator, community, regulator], [undefined, undefined, undefined, undefined])
})

test('loads that may stand still are read in base units, defaults filled in', () => {
  assert.equal(read(BASE + GRID + CALLED).demandResponse, {
    loads: {
      boiler: { power: 2_000_000, comfort: 50_000n, level: 'moderate', longest: 4 },
      car: { power: 11_000_000, comfort: 200_000n, level: 'high', longest: 8 },
    },
    aheadMs: 3_600_000,
  } as never)
})

test('a group, and its order price where it has one', () => {
  const plain = {
    ...{ group: 'sunny', found: false, rule: 'mid-market', members: { bob: 'B-1' } },
    tariff: { retail: 300_000n, feedIn: 50_000n },
  }
  assert.equal(read(BASE + GRID + GROUP).community, plain as never)
  const more = changed(GROUP, 'rule:', 'found: true\n  order_price: 0.10\n  rule:')
  assert.equal(read(BASE + GRID + more).community, { ...plain, found: true, orderPrice: 100_000n } as never)
})

test('an aggregator’s customers; its clock may be behind', () => {
  assert.equal(read(BASE + GRID + CALLED + CALLER).aggregator, { customers: { bob: 'B-1' }, aheadMs: -18_000_000 })
})

test('a regulator’s band and suspensions, for a regulator only', () => {
  const section = 'regulator: {band: {floor: 0.05, ceiling: 0.40}, suspend: [S-1]}\n'
  const office = changed(BASE, 'role: household', 'role: regulator')
  assert.equal(read(office + section).regulator, {
    band: { floor: 50_000n, ceiling: 400_000n },
    suspend: ['S-1'],
  } as never)
  assert.match(complaint(BASE + section), /^regulator is for a site whose role is regulator/)
  assert.match(complaint(office + changed(section, '0.05', '0.50')), /floor above its ceiling/)
})

test('each mistake is named with its place', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    [BASE + CALLED, /^demand_response needs a grid section/],
    [changed(BASE, ', id: G-1', '') + GRID + CALLED, /^demand_response needs the serial of grid/],
    [`${BASE}${GRID}demand_response: {loads: {}}\n`, /names nothing that may stand still/],
    [BASE + GRID + changed(CALLED, 'ahead: 1h', 'ahead: 15h'), /how far the clock is ahead/],
    [BASE + GRID + changed(CALLED, 'level: high', 'level: hihg'), /did you mean "high"/],
    [BASE + GRID + changed(CALLED, 'longest: 8', 'longest: 0'), /a number of quarters/],
    [BASE + GRID + changed(GROUP, '{bob', '{bop'), /names the peer "bop".*did you mean "bob"/],
    [BASE + GRID + changed(GROUP, '0.05', '0.35'), /pays more for energy than it costs/],
    [BASE + GRID + changed(GROUP, 'rule:', 'order_price: 0.31\n  rule:'), /order_price is outside of the tariff/],
    [BASE + GRID + CALLED + changed(CALLER, 'bob', 'bop'), /names the peer "bop"/],
  ]
  for (const [text, what] of wrong) assert.match(complaint(text), what)
})

test.run()
