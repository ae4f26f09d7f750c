import { loadConfig } from '../../agent/config/load.ts'
import { configLine } from '../../agent/config/read-form.ts'
import type { SiteConfig } from '../../agent/config/site-config.ts'
import { assert, suite } from '../harness.ts'
import { smallSite } from './small-site.ts'

const HEX = 'ab'.repeat(32)
const LEDGER = (chain: string) =>
  `{chain: ${chain}, trust: {height: 1, hash: ${HEX}}, primary: http://127.0.0.1:8, witnesses: []`
/** Each has an account of its own. */
const peer = (n: number) => `{account: ${n}${n}${HEX.slice(2)}, sealing: ${HEX}, metering: ${HEX}}`
const BASE = smallSite(`{seed: ${HEX}}`).replace('data: data', 'bench: true\ndata: data')
const GRID = `distribution: ${LEDGER('lines-1')}, distributor: dso}
peers: {dso: ${peer(1)}, store: ${peer(2)}}
grid:
  meter: grid
  node: house-4
  source: solar
  way: bidding
  sell: {reserve: 0.08, opening: 0.12}
  buy: {limit: 0.28, opening: 0.10, least: 100Wh}
  premium: {solar: 0.02}
  store: {peer: store, store_price: 0.05, return_price: 0.15, most: 5kWh}
`
const LINES = `distributor:
  lines:
    street: {capacity: 25kWh, tariff: 0.03, congestion: 0.05}
    house-4: {feeder: street, capacity: 3kWh, tariff: 0.02}
`

const faults = (text: string): string[] => {
  const loaded = loadConfig(text, 'site.yaml')
  return loaded.ok ? [] : loaded.faults.map(fault => configLine(fault).replace(/^site\.yaml:\d+:\d+: /, ''))
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

const test = suite('grid config')

test('a site without a grid section has none, and neither the second ledger', () => {
  const { grid, distribution, distributor } = read(BASE)
  assert.equal([grid, distribution, distributor], [undefined, undefined, undefined])
})

test('what trades over the grid is read in base units, defaults filled in', () => {
  const { grid, distribution } = read(BASE + GRID)
  assert.equal(grid, {
    meter: 'grid',
    node: 'house-4',
    source: 'solar',
    way: 'bidding',
    premium: { solar: 20_000n },
    strict: false,
    refuse: [],
    sell: { reserve: 80_000n, opening: 120_000n },
    buy: { limit: 280_000n, opening: 100_000n, least: 100n },
    store: { peer: 'store', storePrice: 50_000n, returnPrice: 150_000n, most: 5000n },
    slotMs: 900_000,
    leadMs: 60_000,
    receiptWindowMs: 60_000,
    disputeWindowMs: 120_000,
  } as never)
  assert.is(distribution?.distributor, 'dso')
  assert.is(distribution?.chain, 'lines-1')
  assert.is(distribution?.followMs, 4000)
})

test('a distributor names its lines and needs no meter, no line and no trade', () => {
  const text = changed(changed(BASE, 'role: household', 'role: distributor'), 'site: maple', 'site: dso')
    .replace(/^(lines|meters|trade):.*\n/gm, '')
    .concat(`distribution: ${LEDGER('lines-1')}, distributor: dso}\n${LINES}`)
  const { distributor, meters } = read(text)
  assert.equal(meters, {})
  assert.equal(distributor?.lines['house-4'], { feeder: 'street', capacity: 3000n, tariff: 20_000n } as never)
  assert.match(
    faults(changed(text, 'feeder: street', 'feeder: stret')).join(),
    /feeder names the line "stret".*"street"/,
  )
  assert.match(faults(changed(text, 'street: {', 'street: {feeder: house-4, ')).join(), /hangs from this line itself/)
})

const WRONG: readonly (readonly [from: string, to: string, said: RegExp])[] = [
  ['meter: grid', 'meter: gird', /grid\.meter names the meter "gird".*did you mean "grid"/],
  ['distributor: dso}', 'distributor: dos}', /distribution\.distributor names the peer "dos"/],
  ['distributor: dso}', 'distributor: maple}', /is this site itself, which has no distributor section/],
  ['{peer: store,', '{peer: stor,', /grid\.store\.peer names the peer "stor"/],
  ['chain: lines-1', 'chain: street-1', /distribution\.chain is the energy ledger itself/],
  ['reserve: 0.08', 'reserve: 0.13', /grid\.sell\.opening is below the reserve price/],
  ['limit: 0.28', 'limit: 0.09', /grid\.buy\.opening is above the limit/],
  ['way: bidding', 'way: biding', /did you mean "bidding"/],
  ['way: bidding', 'way: auction\n  lead: 15min', /grid\.lead is not below the slot/],
  ['source: solar', 'source: coal', /one of solar, wind, battery, conventional/],
  ['node: house-4', 'node: -4', /grid\.node must be the name of a line/],
  ['least: 100Wh', 'least: 0Wh', /an energy above 0/],
  ['premium: {solar: 0.02}', 'strict: true', /premium names no source/],
  ['store_price: 0.05', 'store_price: 0.16', /above the return price/],
  ['  way: bidding', '  refuse: [oak]', /grid\.refuse\.?\[0\] names the peer "oak"/],
]
for (const [from, to, said] of WRONG) {
  test(`"${from}" changed to "${to.replaceAll('\n', ' ')}" is refused with the reason`, () => {
    assert.match(faults(changed(BASE + GRID, from, to)).join('\n'), said)
  })
}

test('a distributor section is for the site that is the distributor', () => {
  assert.match(faults(BASE + GRID + LINES).join(), /distributor is for the site that distribution names/)
})

test.run()
