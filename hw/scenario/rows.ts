/**
 * The paper, row by row: what each system, layer, entity and open issue that it names must do here, the command that shows it, and
 * the field of that command's JSON that has to hold.
 *
 * F. S. Ali, M. Aloqaily, O. Alfandi, O. Ozkasap: Cyberphysical Blockchain-Enabled Peer-to-Peer Energy Trading.
 */

/** What a field has to be. A list `has` all that is named; `each` holds for every value of a list or a record. */
export type Holds =
  | { readonly is: boolean | number | string }
  | { readonly least: number }
  | { readonly most: number }
  | { readonly has: readonly string[] }
  | { readonly empty: true }
  | { readonly each: Holds }

export interface Row {
  readonly row: string
  readonly what: string
  /** As typed; a scenario's name alone stands for `tieline-bench scenario NAME --json`. */
  readonly by: string
  /** Names joined by dots. */
  readonly field: string
  readonly holds: Holds
  /** Why this row is not shown yet, or only in part. */
  readonly open?: string
}

const row = (row: string, what: string, by: string, field: string, holds: Holds, open?: string): Row => ({
  row,
  what,
  by,
  field,
  holds,
  ...(open === undefined ? {} : { open }),
})

const some = { least: 1 } as const
const yes = { is: true } as const
const none = { is: 0 } as const

export const ROWS: readonly Row[] = [
  // Background and challenges
  row(
    'S01',
    'a stored trade or reading that was changed is found from the head hash alone',
    'attacks',
    'facts.tampered_history',
    { is: 'found' },
  ),
  row('S02', 'payment, expiry and penalty run from signed events, with no operator', 'attacks', 'facts.lifecycle', {
    has: ['paid', 'expired', 'disputed'],
  }),
  row(
    'S03',
    'generated, bought, on the ledger, signed by the meter and not by the account',
    'direct-cable',
    'facts.receipts_by_meter_keys',
    yes,
  ),
  row('S04', 'a commercial site sells its surplus in the same market', 'office-homes', 'facts.office_sold_wh', some),
  row('S05', 'latency and rate measured, attacks tried', 'bench:deals', 'facts.request_to_signed_p99_ms', {
    most: 1000,
  }),
  row('S06', 'the same orders and data under one operator', 'compare', 'facts.same_demand', yes),
  row('S07', 'cost against the number of participants; an attack suite', 'attacks', 'facts.not_refused', {
    empty: true,
  }),
  row(
    'S08',
    'trades a second, bytes and fee of a trade, memory against participants',
    'bench:scale',
    'facts.ledger_bytes_per_deal',
    { most: 5000 },
  ),
  row(
    'S09',
    'runs on a board of the Pi class',
    'bench:scale',
    'facts.memory_kb_per_agent',
    { most: 20000 },
    'parts list and footprint on a board come with the boards',
  ),
  row('S10', "the distributor's limits and the regulator's band bind every agent", 'attacks', 'facts.limits_bind', {
    has: ['capacity', 'price band'],
  }),
  row(
    'S11',
    'a regulator suspends and sees aggregates, and cannot forge, reorder or read a bid',
    'attacks',
    'facts.regulator_cannot',
    { has: ['forge', 'reorder', 'read a bid'] },
  ),
  // Design goals
  row('S12', 'any single process dies and deals still close', 'compare', 'facts.single_points_of_failure.ad_hoc', {
    empty: true,
  }),
  row(
    'S13',
    '10 to 10,000 agents on 1 to 100 feeders, the 10,000 without --quick and in some twenty minutes',
    'bench:scale',
    'facts.sizes',
    { has: ['10', '100', '1000'] },
  ),
  row('S14', 'houses, cars, plants, stores and buildings by one schema of orders', 'compare', 'facts.device_classes', {
    least: 5,
  }),
  row(
    'S15',
    'bidding that beats zero intelligence, within the limits of its owner',
    'bench:savings',
    'facts.strategy_over_zero_intelligence',
    { least: 1 },
  ),
  row(
    'S16',
    'flexible load moves with price and events, and the meter shows it',
    'office-homes',
    'facts.shifted_wh',
    some,
  ),
  row('S17', 'assets by identity, class and limits; car to car', 'car-park', 'facts.car_to_car_wh', some),
  row('S18', 'who sees what is a rule that is tested', 'privacy', 'facts.observers', { each: yes }),
  row('S19', 'each role has its revenue and its veto', 'feeder', 'facts.revenue_micro', { each: some }),
  row(
    'S20',
    'one published pricing rule, recomputed by every participant',
    'microgrid',
    'facts.recomputed_otherwise',
    none,
  ),
  row(
    'S21',
    'balancing and peak reduction are offered, bought and settled by measurement',
    'office-homes',
    'facts.ancillary_paid_micro',
    { each: some },
  ),
  // Entities and workflow
  row(
    'S22',
    'a central utility manager with a key and the powers of regulation',
    'feeder',
    'transactions.energy.band',
    some,
  ),
  row('S23', 'conventional and renewable generators, by certified source', 'feeder', 'facts.sources', {
    has: ['solar', 'wind', 'conventional'],
  }),
  row('S24', 'one agent buys in one slot and sells in another', 'microgrid', 'facts.bought_and_sold', some),
  row('S25', 'every role verifies with its own light client', 'feeder', 'facts.headers_verified', { each: some }),
  row('S26', 'bargaining in several rounds ends signed or timed out', 'direct-cable', 'facts.bargained', some),
  row(
    'S27',
    'supply and demand are published under pseudonyms that nobody can link',
    'privacy',
    'facts.linked_above_chance',
    { most: 0.05 },
  ),
  row('S28', 'matched pairs, and payments that sum to zero', 'microgrid', 'money.residue', none),
  // Payments, rewards, demand response
  row('S29', 'the seller is paid within one settlement period of its receipt', 'feeder', 'facts.paid_after_s', {
    most: 900,
  }),
  row('S30', 'points, coins or bill credit, minted from metered energy only', 'storage', 'facts.reward_sinks', {
    has: ['points', 'coins', 'bill'],
  }),
  row(
    'S31',
    'office and homes, morning and evening: the flow turns by itself',
    'office-homes',
    'facts.flow_turned',
    yes,
  ),
  row(
    'S32',
    'an event is taken, dispatched, measured against its baseline and paid, in all three models',
    'office-homes',
    'facts.event_paid_micro',
    { each: some },
  ),
  // Model A
  row(
    'S33',
    'one cable, contacts at both ends: power within a signed deal only',
    'direct-cable',
    'facts.violations',
    none,
  ),
  row('S34', 'two cars at one station, with a reserve in the battery', 'car-park', 'facts.reserve_kept', yes),
  row('S35', "a deal's states on the ledger, its bargaining off it", 'direct-cable', 'facts.ledger_kinds', {
    has: ['commit', 'receipt'],
  }),
  row(
    'S36',
    'two ledger transactions a deal, however long the bargaining',
    'bench:deals',
    'facts.energy_transactions_per_sealed_deal',
    { is: 2 },
  ),
  row(
    'S37',
    'a commitment alone moves nothing, a late receipt is refused, funds come free',
    'attacks',
    'facts.commitment_alone',
    { has: ['refunded', 'ledger.deal-closed'] },
  ),
  row('S38', 'cheaper and quicker than an auction on the ledger', 'compare', 'facts.on_ledger_auction_over_ours', {
    each: { least: 1.5 },
  }),
  row('S39', 'five members, each of whom sees all trades', 'microgrid', 'facts.members_that_see_all', { is: 5 }),
  row('S40', 'never above the most that its owner would pay', 'microgrid', 'facts.above_limit', none),
  row('S41', 'renewable energy first, as far as the book has it', 'feeder', 'facts.strict_buyer_renewable_share', {
    is: 1,
  }),
  row(
    'S42',
    'prices differ from island to island; the grid joins them',
    'compare',
    'facts.price_dispersion.direct_over_ad_hoc',
    { least: 1 },
  ),
  // Model B
  row('S43', "neighbours' and plants' offers side by side", 'feeder', 'facts.sellers', { has: ['plant', 'roof'] }),
  row('S44', 'an audit of all trades, by accounts and not by names', 'feeder', 'facts.audited_deals', some),
  row('S45', 'the distributor is paid', 'feeder', 'money.fees', some),
  row(
    'S46',
    'distributors and plants are agents, with capacities and fees',
    'feeder',
    'transactions.distribution.capacity',
    some,
  ),
  row(
    'S47',
    'matching: the best seller by the preference of the buyer',
    'feeder',
    'facts.settled_by_way.matching',
    some,
  ),
  row('S48', 'bidding: sealed bids, one is chosen', 'feeder', 'facts.settled_by_way.bidding', some),
  row('S49', 'the fee is agreed, signed, before delivery', 'feeder', 'facts.reserved_before_delivery', yes),
  row('S50', 'settlement is triggered by the two parties', 'feeder', 'deals.settled', some),
  row('S51', 'two ledgers, both or neither', 'feeder', 'facts.half_committed', none),
  row('S52', 'members leave, come back and go on', 'feeder', 'facts.settled_after_return', some),
  row('S53', 'bids and sales kept for accounting', 'feeder', 'facts.accounts_balanced', yes),
  row(
    'S54',
    'a car finds its station by bids; which one is not known before it plugs in',
    'car-park',
    'facts.station_known_before_plug_in',
    { is: false },
  ),
  // Model C
  row('S55', 'a standing agreement, recorded, runs by itself', 'storage', 'deals.by_model.C', some),
  row(
    'S56',
    'the operator rejects what the network does not bear, with the reason',
    'storage',
    'facts.rejected_because',
    { has: ['line'] },
  ),
  row('S57', 'a day-ahead schedule, published before the gate', 'storage', 'transactions.energy.schedule', some),
  row('S58', 'what is left is bought in an auction', 'storage', 'facts.hour_ahead_wh', some),
  row('S59', 'trades among others stand in the schedule as they are', 'storage', 'facts.fixed_injections_kept', yes),
  row('S60', 'set and forget: its owner does nothing', 'storage', 'facts.owner_actions', none),
  row('S61', 'rewarded when another has consumed it', 'storage', 'facts.minted_before_consumption', none),
  row('S62', 'a store with state of charge, losses and mix of origins', 'storage', 'facts.store_residue_wh', none),
  // Table 1
  row('S63', 'entities of each model; a wrong role is refused', 'attacks', 'facts.wrong_roles_refused', { least: 3 }),
  row('S64', 'no single point of failure', 'compare', 'facts.single_points_of_failure.direct', { empty: true }),
  row('S65', 'anonymity of profiles', 'privacy', 'facts.k_anonymity_least', { least: 2 }),
  row('S66', 'no privileged process between two traders', 'compare', 'facts.privileged_processes.ad_hoc', none),
  row('S67', 'contracts run in a ledger of permissioned members', 'storage', 'facts.agreements_live', some),
  row('S68', 'every node verifies match and receipt', 'compare', 'facts.verified_by.ad_hoc', { is: 'every node' }),
  row('S69', 'A is pure peer to peer, B and C are hybrid', 'compare', 'facts.third_parties.direct', none),
  row('S70', 'coins and energy points', 'storage', 'facts.paid_in', { has: ['coins', 'points'] }),
  row('S71', 'five classes of devices', 'compare', 'facts.device_classes', { least: 5 }),
  row('S72', 'local area, city, everywhere', 'compare', 'facts.reach', { each: some }),
  row('S73', 'nobody gains by defecting', 'attacks', 'facts.gained_by_defecting', { empty: true }),
  row('S74', 'demand response in all three models', 'office-homes', 'facts.event_paid_micro', { each: some }),
  row('S75', 'what each role may do, model by model', 'attacks', 'facts.powers_held', yes),
  row('S76', 'centralised, and decentralised without a ledger, as columns', 'compare', 'facts.columns', {
    has: ['centralised', 'without ledger'],
  }),
  // Open issues
  row('S77', 'homes without smart meters, at a haircut', 'no-meter', 'facts.settled_by_class', { each: some }),
  row('S78', 'a ledger of its own, tuned to slots', 'bench:deals', 'facts.slots_per_transaction', { least: 10 }),
  row('S79', 'a community whose gateway nobody has to trust', 'community', 'facts.worse_off', none),
  row(
    'S80',
    'forecast and bill, regret against perfect foresight',
    'bench:savings',
    'facts.share_of_ceiling',
    { least: 0.95 },
    'this is the group, which shares by what was metered; orders from forecasts alone reach 56 to 68 % of perfect foresight',
  ),
  row(
    'S81',
    'one agent sends each Wh of a slot to the best of the three models',
    'storage',
    'facts.models_of_one_site',
    { has: ['B', 'C'] },
  ),
]
