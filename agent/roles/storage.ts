/**
 * The operator of a store: answers offers of standing agreements on the ledger after the check of the network, grants the slots
 * that customers award under them, and publishes what it will take and give the next day before the gate closes.
 *
 * An offer is found by its name: a customer's first award under an agreement that is not known here makes the store prove it,
 * and answer it. Nothing is granted that is not proven to be accepted.
 */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { type Bucket, type BucketSize, fullBucket, takeTokens } from '../../protocol/crypto/bucket.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { DAY_AHEAD_MS } from '../../protocol/ledger/rules/plans.ts'
import { AGREEMENTS, SCHEDULES } from '../../protocol/ledger/service-tables.ts'
import { type Grid, type Move, type Network, readNetwork } from '../../protocol/market/network-check.ts'
import type { Optimiser } from '../../protocol/market/optimiser.ts'
import type { DayAhead, Schedule } from '../../protocol/market/schedule-check.ts'
import { scheduleDay } from '../../protocol/market/storage-schedule.ts'
import { microsPerKwh, type WattHours, wattHours } from '../../protocol/quantity.ts'
import { bytes, decodeAs, encodeAs, list, record } from '../../protocol/record.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { later, type Mono } from '../../protocol/time.ts'
import { address, lineId } from '../../protocol/trade/contract.ts'
import type { BodyOf, Message } from '../../protocol/trade/message.ts'
import type { Agreed } from '../grid/decide.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'
import { createStoreOutlook, type Surroundings } from './store-outlook.ts'
import { type Customer, judgeAward, type StoreDeal, type StoreSettings, whyRejected } from './store-terms.ts'

const DAY_MS = 86_400_000
/** Between two looks at agreements: one that is ended has its notice of hours or days. */
const LOOK_MS = 60_000
/** Before the gate closes: time to be told that it failed and try again. */
const PUBLISH_MS = 3_600_000
/** Some blocks, until what was handed in is seen. */
const SETTLE_MS = 15_000
const MAX_CUSTOMERS = 1000
const MAX_RECORD_BYTES = MAX_CUSTOMERS * 128
/** Agreements that are not known cost a proof each: four at once for a peer, then one a minute. */
const LOOKUPS: BucketSize = { burst: 4, perSecond: 1 / 60 }

export interface StorageOptions extends Pick<PartOptions, 'signer' | 'energy' | 'post' | 'clock' | 'timers' | 'log'> {
  readonly settings: StoreSettings
  /** Absent, and no `networkOf`: the network is checked by whoever reserves its lines. */
  readonly network?: Network
  /** The lines to these nodes, as they are known now. */
  networkOf?(nodes: readonly string[]): Promise<Result<Network>>
  /** What the site has agreed on its meter, whoever knows of the grants: of an earlier life, or bought an hour ahead. */
  contracted?(): readonly Agreed[]
  readonly optimiser: Optimiser
  /** The meter of the store on the ledger, once it is known. */
  meterId(): string | undefined
  /** What is in the store, at this moment; absent where nobody knows. */
  stored(): WattHours | undefined
  /**
   * What the next day is to be planned from, the store's own battery first; absent, or undefined: from what its customers did
   * the day before, and where nothing is known nothing is published. `day` since the epoch.
   */
  outlook?(day: number): DayAhead | undefined
  /** A granted slot: the store buys of, or sells to, this peer. */
  granted(peer: string, award: BodyOf<'award'>, deal: StoreDeal): void
  peerOf(account: Uint8Array): string | undefined
  record(bytes: Uint8Array): Promise<Result<unknown>>
  health: PartOptions['health']
}

export interface Storage extends Part {
  customers(): ReadonlyMap<string, Customer>
  granted(): readonly StoreDeal[]
  /** What was granted under the negotiation of this id: for whoever is to sign the contract. */
  expected(id: Uint8Array): StoreDeal | undefined
  /** Day that was published last, and what. */
  published(): Published | undefined
}

export interface Published {
  readonly day: number
  readonly plan: readonly bigint[]
  readonly from: DayAhead
  readonly schedule: Schedule
}

const known = list(record({ agreement: [1, bytes(32)], node: [2, lineId], owner: [3, address] }), 0, MAX_CUSTOMERS)

export function createStorage(options: StorageOptions): Storage {
  const { clock, timers, log, post, energy, settings } = options
  const own = addressOf(options.signer.publicKey)
  const customers = new Map<string, Customer>()
  /** Names of agreements in hex, with who named them and the node of their meter, whether or not they are proven yet. */
  const names = new Map<string, { readonly agreement: Uint8Array; readonly node: string; readonly owner: Uint8Array }>()
  /** Answers that may not stand in a block yet. */
  const answered = new Map<string, { readonly accepted: boolean; readonly at: Mono }>()
  const deals = new Map<string, StoreDeal>()
  const buckets = new Map<string, Bucket>()
  const cancels: (() => void)[] = []
  const outlook = createStoreOutlook(settings)
  let grid: Grid | undefined
  let plan: Published | undefined
  let publishing = false
  let looking = false
  let closing = false

  if (options.network !== undefined) {
    const read = readNetwork(options.network)
    if (read.ok) grid = read.value
    else options.health('storage.network', read.fault)
  }
  /** A network that was named and cannot be read lets nothing through. */
  const unchecked = () => options.network !== undefined && grid === undefined

  // --- Agreements

  async function keep(): Promise<void> {
    const kept = await options.record(encodeAs(known, [...names.values()]))
    options.health('storage.record', kept.ok ? undefined : kept.fault)
  }

  function forget(id: string): void {
    names.delete(id)
    customers.delete(id)
    answered.delete(id)
  }

  async function prove(id: string): Promise<Customer | undefined> {
    const named = names.get(id)
    if (named === undefined) return undefined
    const proven = await proveRecord(energy.light, AGREEMENTS, id)
    if (!proven.ok) return undefined
    const agreement = proven.value
    // Nobody says for another where its meter hangs.
    const ours =
      agreement !== undefined && equalBytes(agreement.storage, own) && equalBytes(agreement.owner, named.owner)
    if (!ours || agreement.state === 'rejected') {
      forget(id)
      return undefined
    }
    const customer = { agreement, node: named.node }
    customers.set(id, customer)
    return customer
  }

  async function answer(id: string, offer: Customer): Promise<void> {
    const before = answered.get(id)
    if (unchecked() || closing || (before !== undefined && clock.mono() < later(before.at, LOOK_MS))) return
    const standing = [...customers].filter(
      ([other, { agreement }]) => other !== id && (agreement.state !== 'proposed' || answered.get(other)?.accepted),
    )
    const others = standing.map(([, customer]) => customer)
    const lines = await linesTo([offer, ...others])
    options.health('storage.network', lines.ok ? undefined : lines.fault)
    if (!lines.ok) return
    const reason = whyRejected(offer, others, settings, lines.value)
    const { agreement } = names.get(id)!
    const body =
      reason === undefined
        ? { agreement, accepted: true }
        : { agreement, accepted: false, reason: reason.slice(0, 120) }
    const sent = await energy.account.submit({ kind: 'answer', body })
    if (!sent.ok) return log('warn', 'storage', `an answer to ${id.slice(0, 8)} was not taken`, sent.fault)
    answered.set(id, { accepted: reason === undefined, at: clock.mono() })
    timers.after(SETTLE_MS, () => void look())
    log('info', 'storage', `${id.slice(0, 8)} is ${reason === undefined ? 'accepted' : `rejected: ${reason}`}`)
  }

  async function linesTo(customers: readonly Customer[]): Promise<Result<Grid | undefined>> {
    if (options.networkOf === undefined) return ok(grid)
    const lines = await options.networkOf([settings.node, ...customers.map(({ node }) => node)])
    return lines.ok ? readNetwork(lines.value) : lines
  }

  /** One after the other, so that two offers are not both given the same room. */
  async function look(): Promise<void> {
    if (looking) return
    looking = true
    for (const id of [...names.keys()]) {
      const customer = await prove(id)
      if (customer?.agreement.state === 'proposed') await answer(id, customer)
    }
    looking = false
  }

  // --- Awards

  function learn(peer: string, owner: Uint8Array, award: BodyOf<'award'>): void {
    const tokens = takeTokens(buckets.get(peer) ?? fullBucket(LOOKUPS, clock.mono()), LOOKUPS, 1, clock.mono())
    if (tokens === undefined || names.size >= MAX_CUSTOMERS) return
    buckets.set(peer, tokens)
    names.set(toHex(award.agreement!), { agreement: award.agreement!, node: award.node, owner })
    void keep().then(look)
  }

  function hearAward(peer: string, from: Uint8Array, award: BodyOf<'award'>): void {
    if (award.agreement === undefined) return
    const id = toHex(award.agreement)
    const decline = (reason: string) =>
      void post.send(peer, { kind: 'decline', id: award.id, reason }, { reliable: true })
    const before = deals.get(toHex(award.id))
    // The same award again, of which the answer is on its way.
    if (before !== undefined) return
    if (closing) return decline('store.closing')
    if (!names.has(id)) {
      learn(peer, from, award)
      return decline('store.no-agreement')
    }
    const state = { now: clock.now(), own, settings, customer: customers.get(id), stored: options.stored() }
    const judged = judgeAward(award, from, { ...state, granted: [...deals.values(), ...contractedElse()] })
    if (!judged.ok) {
      log('info', 'storage', `${peer}'s award is declined`, judged.fault)
      return decline(judged.fault.code)
    }
    deals.set(toHex(award.id), judged.value)
    options.granted(peer, award, judged.value)
  }

  /** Contracts that are no grant of this life: their room is taken all the same. */
  const contractedElse = (): StoreDeal[] =>
    (options.contracted?.() ?? [])
      .filter(({ id, end }) => end > clock.now() && !deals.has(toHex(id)))
      .map(one => ({ ...one, agreement: '', price: microsPerKwh(0n), node: '', meter: '' }))

  // --- The day ahead

  /** What customers have said that their meters will take and give, whatever the store does: deals with others. */
  async function declared(day: number): Promise<Result<readonly Move[]>> {
    const moves: Move[] = []
    for (const { node, agreement } of customers.values()) {
      const proven = await proveRecord(energy.light, SCHEDULES, `${day}/${agreement.meterId}`)
      if (!proven.ok) return proven
      for (const [slot, net] of (proven.value?.plan ?? []).entries())
        if (net !== 0n) moves.push({ slot, energy: wattHours(net < 0n ? -net : net), [net > 0n ? 'to' : 'from']: node })
    }
    return ok(moves)
  }

  async function around(day: number): Promise<Result<Surroundings | undefined>> {
    if (options.networkOf === undefined) return ok(undefined)
    const network = await options.networkOf([settings.node, ...[...customers.values()].map(({ node }) => node)])
    if (!network.ok) return network
    const contracts = await declared(day)
    return contracts.ok ? ok({ network: network.value, contracts: contracts.value }) : contracts
  }

  async function publish(): Promise<void> {
    const day = Math.floor((clock.now() + DAY_AHEAD_MS) / DAY_MS) + 1
    const gate = day * DAY_MS - DAY_AHEAD_MS
    const meterId = options.meterId()
    if (publishing || closing || plan?.day === day || clock.now() < gate - PUBLISH_MS || meterId === undefined) return
    publishing = true
    const stored = options.stored()
    const known = await around(day)
    const expected =
      options.outlook?.(day) ??
      (stored === undefined || !known.ok ? undefined : outlook.next(stored, clock.now(), known.value))
    const made = known.ok ? planOf(expected, options.optimiser) : known
    if (made?.ok) {
      const sent = await energy.account.submit({ kind: 'schedule', body: { meterId, day, plan: made.value.plan } })
      if (sent.ok) plan = { day, ...made.value }
      options.health('storage.schedule', sent.ok ? undefined : sent.fault)
    } else if (made !== undefined) options.health('storage.schedule', made.fault)
    publishing = false
  }

  function think(): void {
    for (const [id, deal] of deals) {
      if (deal.end > clock.now()) continue
      deals.delete(id)
      outlook.note(deal)
    }
    void look()
    void publish()
  }

  return {
    restore(records) {
      for (const kept of records) {
        const read = decodeAs(known, kept, 'storage', MAX_RECORD_BYTES)
        if (!read.ok) return options.health('storage.restore', read.fault)
        for (const one of read.value) names.set(toHex(one.agreement), one)
      }
    },
    start() {
      cancels.push(timers.every(LOOK_MS, think))
      timers.after(0, think)
    },
    onMessage(peer: string, { from, body }: Message) {
      if (body.kind === 'award') hearAward(peer, from, body)
      // The customer, or whoever speaks for it, does not go on with what was granted.
      if (body.kind === 'decline' && sentBy(peer, deals.get(toHex(body.id)))) deals.delete(toHex(body.id))
    },
    windDown() {
      closing = true
    },
    stop() {
      for (const cancel of cancels) cancel()
    },
    customers: () => customers,
    granted: () => [...deals.values()],
    expected: id => deals.get(toHex(id)),
    published: () => plan,
  }

  function sentBy(peer: string, deal: StoreDeal | undefined): boolean {
    const customer = deal && customers.get(deal.agreement)
    return customer !== undefined && options.peerOf(customer.agreement.owner) === peer
  }
}

/** What the store's own battery takes (above zero) and gives in each slot of the day. */
function planOf(day: DayAhead | undefined, optimiser: Optimiser): Result<Omit<Published, 'day'>> | undefined {
  if (day === undefined) return undefined
  const schedule = scheduleDay(day, optimiser)
  if (!schedule.ok) return schedule
  const battery = schedule.value.batteries[0]
  if (battery === undefined) return fail({ code: 'storage.no-battery' })
  const plan = battery.charge.map((energy, slot) => energy - battery.discharge[slot]!)
  return ok({ plan, from: day, schedule: schedule.value })
}
