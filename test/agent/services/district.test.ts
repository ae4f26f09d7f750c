/** What sites do for others, by full agents that their configuration started, in virtual time. */
import type { Dispatch } from '../../../agent/roles/part.ts'
import type { District, DistrictSite } from '../../../hw/scenario/district.ts'
import { type DistrictRun, openDistrict } from '../../../hw/scenario/run-district.ts'
import { constantProfile, type Profile } from '../../../hw/sim/profile.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { EVENTS, GROUPS } from '../../../protocol/ledger/service-tables.ts'
import { accountId } from '../../../protocol/ledger/state.ts'
import type { Table } from '../../../protocol/ledger/table.ts'
import { ACCOUNTS, BAND, METERS } from '../../../protocol/ledger/tables.ts'
import { SLOT_MS } from '../../../protocol/market/baseline.ts'
import { microsPerKwh, milliwatts, wattHours } from '../../../protocol/quantity.ts'
import { decodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const W = (watts: number): Profile => constantProfile(milliwatts(watts * 1000))
/** Serials are given in the order of the sites. */
const serialOf = (place: number) => String(52_000_000 + place)

const site = (
  name: string,
  role: string,
  [load, generation]: readonly [number, number],
  sections: Readonly<Record<string, unknown>> = {},
): DistrictSite => ({
  ...{ name, role, node: 'elm', sections },
  profile: { load: W(load), generation: W(generation) },
  grid: {},
})
const district = (sites: readonly DistrictSite[]): District => ({ slotMs: SLOT_MS, feeders: [], sites })
const SETTINGS = { seed: 11, pace: { gridEveryMs: 10_000, followMs: 10_000 }, blockMs: 5_000 }

/** What stands on the energy ledger under an id. */
function recordOf<T>({ ledgers: { energy } }: DistrictRun, table: Table<T>, id: string): T | undefined {
  const value = energy.query(utf8(table.prefix + id), energy.status().height)?.value
  return value === undefined ? undefined : must(decodeAs(table.codec, value, table.prefix, 65_536))
}
const balanceOf = (run: DistrictRun, name: string) =>
  recordOf(run, ACCOUNTS, accountId(run.agent(name).account.address))!.balance

const test = suite('services of a site')

test('a community founds itself from its configuration, shares its slots and pays, and the books balance', async () => {
  const members = ['ada', 'bob', 'cyd']
  const section = (name: string) => ({
    community: {
      ...{ group: 'sunny', rule: 'mid-market', tariff: { import: '0.30', feed_in: '0.10' } },
      ...(name === 'ada' ? { found: 'true' } : {}),
      members: Object.fromEntries(members.flatMap((one, at) => (one === name ? [] : [[one, serialOf(at)]]))),
    },
  })
  const run = await openDistrict(
    district([
      site('ada', 'community', [0, 2000], section('ada')),
      site('bob', 'household', [1200, 0], section('bob')),
      site('cyd', 'household', [600, 0], section('cyd')),
    ]),
    SETTINGS,
  )
  const joined = () => recordOf(run, GROUPS, 'sunny')?.members.length === 3
  assert.ok(await run.until(joined, 600_000), 'all three are members')
  await run.advance(SLOT_MS - (run.running.clock.now() % SLOT_MS))
  const before = new Map(members.map(name => [name, balanceOf(run, name)]))
  const slot = run.running.clock.now() / SLOT_MS
  await run.advance(SLOT_MS + 300_000)
  const paid = (name: string) => {
    const { payment, faults } = run
      .agent(name)
      .parts.services.community!.slots()
      .find(one => one.slot === slot)!
    assert.equal(faults, [])
    return payment!
  }
  // 500 Wh given, 300 and 150 Wh taken: 450 Wh at the middle, 0.20, and 50 Wh at 0.10. The watt-hours of a boundary aside.
  for (const [name, coins] of [
    ['ada', -95_000],
    ['bob', 60_000],
    ['cyd', 30_000],
  ] as const)
    assert.ok(Math.abs(Number(paid(name)) - coins) < 600, `${name} pays ${paid(name)}`)
  await run.advance(120_000)
  const moved = (name: string) => Number(balanceOf(run, name) - before.get(name)!)
  // Each member's own transfer, less its fees; what is outside of the group is no money of the ledger's.
  assert.ok(Math.abs(moved('bob') + 60_000) < 2_000, `bob: ${moved('bob')}`)
  assert.ok(Math.abs(moved('cyd') + 30_000) < 2_000, `cyd: ${moved('cyd')}`)
  assert.ok(moved('ada') > 85_000, `ada: ${moved('ada')}`)
  await run.stop()
}, 120_000)

test('a regulator keeps its band and its suspensions on the ledger, and sees the market in sum', async () => {
  const regulator = { band: { floor: '0.05', ceiling: '0.40' }, suspend: [serialOf(1)] }
  const run = await openDistrict(
    district([site('office', 'regulator', [100, 0], { regulator }), site('bob', 'household', [500, 0])].map(plain)),
    SETTINGS,
  )
  const band = () => recordOf(run, BAND, '')
  const inForce = () => (band()?.now ?? band()?.next)?.ceiling === 400_000n
  assert.ok(await run.until(inForce, 300_000), 'the band is on the ledger')
  assert.is((band()?.now ?? band()?.next)!.floor, 50_000n as never)
  assert.ok(await run.until(() => recordOf(run, METERS, serialOf(1))?.suspended !== undefined, 300_000))
  assert.is(recordOf(run, METERS, serialOf(0))?.suspended, undefined)
  const sequence = () => recordOf(run, ACCOUNTS, accountId(run.agent('office').account.address))!.sequence
  const spent = sequence()
  await run.advance(600_000)
  assert.is(sequence(), spent, 'what stands is not announced again')
  const totals = await awaited(run.ports.time, run.agent('office').parts.services.regulator!.totals())
  assert.equal(must(totals), [])
  await run.stop()
}, 120_000)

test('an aggregator’s call reaches a site, is proven, and is declined by name where nobody knows its baseline', async () => {
  const dispatched: string[] = []
  const follow: Dispatch = { deal: () => {}, standStill: loads => void dispatched.push(loads.join()) }
  const run = await openDistrict(
    district(
      [
        site('caller', 'aggregator', [50, 0], { aggregator: { customers: { bob: serialOf(1) } } }),
        site('bob', 'household', [2000, 0], {
          demand_response: { loads: { boiler: { power: '1kW', comfort: '0.05' } } },
        }),
      ].map(plain),
    ),
    { ...SETTINGS, dispatchOf: name => (name === 'bob' ? follow : undefined) },
  )
  await run.advance(60_000)
  const start = (Math.floor(run.running.clock.now() / SLOT_MS) + 6) * SLOT_MS
  const { aggregator } = run.agent('caller').parts.services
  const event = must(
    await awaited(
      run.ports.time,
      aggregator!.announce({
        ...{ start: instant(start), end: instant(start + SLOT_MS), reportBy: instant(start + 4 * SLOT_MS) },
        ...{ price: microsPerKwh(400_000n), most: wattHours(500n), level: 'high' },
      }),
    ),
  )
  assert.ok(recordOf(run, EVENTS, Buffer.from(event).toString('hex')) !== undefined)
  const answers = () => run.agent('bob').parts.services.demandResponse!.events()
  assert.ok(await run.until(() => answers().length === 1, 60_000), 'the call is heard and believed')
  assert.is(answers()[0]!.phase, 'heard')
  await run.until(() => answers()[0]?.phase === 'over', 2 * 3_600_000)
  assert.match(answers()[0]!.fault?.code ?? '', /^baseline\./)
  assert.equal(dispatched, [])
  await run.stop()
}, 120_000)

function plain(one: DistrictSite): DistrictSite {
  const { grid: _, ...rest } = one
  return one.role === 'household' && one.sections?.['demand_response'] !== undefined ? one : rest
}

test.run()
