/**
 * Five neighbours as in Brooklyn: a call auction each quarter of an hour that everybody clears for himself, no distributor, and
 * a ledger of which each member proves every trade to itself.
 */
import { parsePrice } from '../../agent/config/literals.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { decodeDealRecord } from '../../protocol/ledger/deal-record.ts'
import { DEALS } from '../../protocol/ledger/tables.ts'
import { constantProfile, homeLoad, type Profile, solarGeneration } from '../sim/profile.ts'
import { awaited } from '../sim/run-seed.ts'
import { ORIGIN_MS } from '../sim/street-run.ts'
import { accountsBalance } from './accounts.ts'
import { type District, type DistrictSite, SLOT_MS } from './district.ts'
import { judgeDistrict } from './judge-district.ts'
import { dealsOf, type LedgerDeal } from './ledger-view.ts'
import { type DistrictRun, openDistrict } from './run-district.ts'
import type { Scenario, ScenarioResult, ScenarioSettings } from './scenario.ts'

const W = (watts: number) => constantProfile(watts * 1000)
/** What each owner pays for a kWh at most, and asks at least. */
const LIMITS = { mia: '0.27', rye: '0.30', elm: '0.26' }
const RESERVE = '0.09'
const SELL = { reserve: RESERVE, opening: '0.14' }

/** Little until the washing is begun, and more than its roof gives from then on. */
const washing =
  (from: number): Profile =>
  at =>
    at < from ? 400_000 : 10_000_000

const member = (
  name: string,
  profile: DistrictSite['profile'],
  grid: Readonly<Record<string, unknown>>,
): DistrictSite => ({
  name,
  role: 'household',
  node: 'president-street',
  ...('sell' in grid ? { source: 'solar' as const } : {}),
  profile: profile!,
  grid: { way: 'auction', ...grid },
})

const buy = (name: keyof typeof LIMITS) => ({ limit: LIMITS[name], opening: '0.10', least: '20Wh' })

const district = (seed: number, washesFrom: number): District => ({
  slotMs: SLOT_MS,
  feeders: [],
  sites: [
    member('sol', { load: W(300), generation: solarGeneration(seed, 5_000) }, { sell: SELL }),
    member('sky', { load: W(500), generation: solarGeneration(seed + 1, 2_500) }, { sell: SELL }),
    member(
      'mia',
      { load: washing(washesFrom), generation: solarGeneration(seed + 2, 4_000) },
      { sell: SELL, buy: buy('mia') },
    ),
    member('rye', { load: homeLoad(seed + 3, 2_500), generation: W(0) }, { buy: buy('rye') }),
    member('elm', { load: homeLoad(seed + 4, 1_500), generation: W(0) }, { buy: buy('elm') }),
  ],
})

interface Reduced {
  readonly slots?: number
  /** What owners pay at most, where the configurations of their agents say something else. */
  readonly owners?: Readonly<Record<string, string>>
}

/** What each member made of the book of a slot. */
type Cleared = ReturnType<NonNullable<ReturnType<DistrictRun['agent']>['grid']>['cleared']>[number]

export async function runMicrogrid(
  { seed, realSigner, onProgress, logOf }: ScenarioSettings,
  { slots = 6, owners = {} }: Reduced = {},
): Promise<ScenarioResult> {
  const washesFrom = ORIGIN_MS + Math.ceil(slots / 2) * SLOT_MS
  const run = await openDistrict(district(seed, washesFrom), {
    seed,
    realSigner,
    ...(logOf === undefined ? {} : { logOf }),
  })
  const members = run.district.sites.map(({ name }) => name)
  const cleared = new Map<number, Map<string, Cleared>>()
  const note = () => {
    for (const name of members)
      for (const one of run.agent(name).grid!.cleared()) {
        const book = cleared.get(one.start) ?? new Map<string, Cleared>()
        cleared.set(one.start, book.set(name, one))
      }
  }
  for (let slot = 0; slot < slots; slot++) {
    await run.advance(SLOT_MS)
    note()
    onProgress(`slot ${slot + 1} of ${slots}: ${dealsOf(run).length} deals on the ledger`)
  }
  await run.windDown()
  note()

  const deals = dealsOf(run)
  const settled = deals.filter(({ deal }) => deal.state === 'settled' && deal.outcome!.delivered > 0n)
  /** The price is one in each slot: what others made of the book, or what stands on the ledger, is held against the first. */
  let otherwise = 0
  for (const [start, book] of cleared) {
    const [first] = book.values()
    otherwise += members.filter(name => {
      const own = book.get(name)
      return own?.price !== first!.price || own?.orders !== first!.orders
    }).length
    otherwise += deals.filter(({ deal }) => deal.start === start && deal.price !== first!.price).length
  }
  const seeing = await membersThatSee(run, members, settled)
  const limits = new Map(Object.entries({ ...LIMITS, ...owners }).map(([name, limit]) => [name, parsePrice(limit)!]))
  const roles = (name: string, as: 'buyer' | 'seller') => settled.filter(deal => deal[as] === name)
  const facts = {
    members: members.length,
    slots_cleared: cleared.size,
    prices_micro: [...cleared].sort(([a], [b]) => a - b).map(([, book]) => Number([...book.values()][0]!.price ?? 0n)),
    recomputed_otherwise: otherwise,
    bought_and_sold: members.filter(name => roles(name, 'buyer').length > 0 && roles(name, 'seller').length > 0).length,
    members_that_see_all: seeing,
    above_limit: deals.filter(({ buyer, deal }) => {
      const limit = limits.get(buyer)
      return limit === undefined || deal.price > limit || deal.price < parsePrice(RESERVE)!
    }).length,
    accounts_balanced: accountsBalance(run),
  }
  const broken = [
    ...(settled.length === 0 ? ['nothing was settled'] : []),
    ...(facts.bought_and_sold > 0 ? [] : ['nobody bought in one slot and sold in another']),
    ...(otherwise === 0 ? [] : [`${otherwise} times somebody made another thing of a book`]),
    ...(facts.above_limit === 0 ? [] : [`${facts.above_limit} deals are not what their owners would pay or take`]),
    ...(seeing === members.length ? [] : [`${members.length - seeing} members do not see every trade`]),
    ...(facts.accounts_balanced ? [] : ['an account is not what its deals and fees make it']),
  ]
  return judgeDistrict(run, 'microgrid', facts, broken)
}

/** How many members' own light clients prove each of these deals as the ledger has it. */
async function membersThatSee(
  run: DistrictRun,
  members: readonly string[],
  deals: readonly LedgerDeal[],
): Promise<number> {
  let seeing = 0
  for (const name of members) {
    const { light } = run.agent(name)
    const seen = await awaited(
      run.ports.time,
      Promise.all(
        deals.map(async ({ hash, deal }) => {
          const proven = await light.prove(utf8(DEALS.prefix + hash))
          const read = proven.ok && proven.value.value !== undefined ? decodeDealRecord(proven.value.value) : undefined
          return read?.ok === true && read.value.state === 'settled' && read.value.outcome!.paid === deal.outcome!.paid
        }),
      ),
    )
    if (seen.every(one => one)) seeing++
  }
  return seeing
}

export const microgrid: Scenario = {
  name: 'microgrid',
  what: 'five neighbours, an auction that each clears for himself, and trades that all of them see',
  run: settings => runMicrogrid(settings),
}
