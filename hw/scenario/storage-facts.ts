/** What a day with a store shows, read from both ledgers and the wires; the store's own books are only held against them. */
import { toHex } from '../../protocol/bytes.ts'
import { instantOf } from '../../protocol/chain/chain-time.ts'
import { AGREEMENTS, POOLS, REWARDED, SCHEDULES } from '../../protocol/ledger/service-tables.ts'
import type { Table } from '../../protocol/ledger/table.ts'
import { parseTx, type Tx } from '../../protocol/ledger/tx.ts'
import type { Move } from '../../protocol/market/network-check.ts'
import { checkSchedule } from '../../protocol/market/schedule-check.ts'
import { type WattHours, wattHours } from '../../protocol/quantity.ts'
import { decodeAs } from '../../protocol/record.ts'
import { dealsOf, namesOf, recordsOf } from './ledger-view.ts'
import type { DistrictRun } from './run-district.ts'

/** Each deal's count of a meter is in whole watt-hours at both ends, and each efficiency is rounded once. */
const STEP_WH = 3
/** Of a quarter of an hour: a reading at its boundary is fifteen seconds late at most. */
const LATE = 15 / 900
/** The efficiency that a store has where its configuration names none. */
const EFFICIENCY = 0.95
const SINKS = { points: 'points', coin: 'coins', 'bill-credit': 'bill' } as const

export interface StoreSites {
  readonly store: string
  /** Buys an hour ahead, and at no other time. */
  readonly boiler: string
  /** What was in the store at first. */
  readonly stored: WattHours
  /** How often somebody reached for a customer's agent while it ran. */
  readonly actions: number
}

interface Taken {
  readonly tx: Tx
  readonly at: number
}

function takenTxs({ ledgers: { energy } }: DistrictRun): Taken[] {
  const taken: Taken[] = []
  const { height, oldest } = energy.status()
  for (let at = oldest; at <= height; at++) {
    const block = energy.block(at)
    for (const [index, bytes] of (block?.txs ?? []).entries()) {
      const parsed = parseTx(bytes)
      if (parsed.ok && block!.results[index]?.code === 0)
        taken.push({ tx: parsed.value.tx, at: instantOf(block!.header.time) })
    }
  }
  return taken
}

const tableOf = <T>(run: DistrictRun, { prefix, codec }: Table<T>) => [
  ...recordsOf(run.ledgers.energy, prefix, value => decodeAs(codec, value, prefix, value.length)),
]

export function storageFacts(run: DistrictRun, { store, boiler, stored, actions }: StoreSites) {
  const names = namesOf(run)
  const nameOf = (account: Uint8Array) => names.get(toHex(account)) ?? '?'
  const deals = dealsOf(run)
  const settled = deals.filter(({ deal }) => deal.state === 'settled')
  const txs = takenTxs(run)
  const agreements = tableOf(run, AGREEMENTS)
  const issues = txs.filter(({ tx }) => tx.kind === 'issue')

  /** Points for a deal by which energy went in, for its taker, or before the ledger had settled it. */
  const early = issues.filter(({ tx, at }) => {
    if (tx.kind !== 'issue') return false
    const { deal: hash, holder } = tx.body
    const found = deals.find(one => one.hash === toHex(hash))
    const outcome = found?.deal.outcome
    return (
      found === undefined ||
      found.buyer === store ||
      outcome === undefined ||
      outcome.at > at ||
      found.buyer === (holder === undefined ? found.seller : nameOf(holder))
    )
  })
  // What nobody had put in cannot have been consumed of anybody: points of a holder are within what it sold to the store.
  const beyond = [...new Set(run.district.sites.map(({ name }) => name))].filter(name => {
    const points = tableOf(run, REWARDED).flatMap(([, { parts = [] }]) => parts)
    const held = points.reduce((sum, { holder, amount }) => (nameOf(holder) === name ? sum + amount : sum), 0n)
    const sold = settled.filter(({ seller, buyer }) => seller === name && buyer === store)
    return held > sold.reduce((sum, { deal }) => sum + deal.outcome!.delivered, 0n)
  })

  const transfers = txs.flatMap(({ tx }) =>
    tx.kind === 'transfer' && nameOf(tx.sender) === store ? [nameOf(tx.body.to)] : [],
  )
  const minted = tableOf(run, POOLS).reduce((sum, [, pool]) => sum + pool.minted, 0n)
  const sinks = new Set<string>()
  for (const [, { owner, reward = 'points' }] of agreements) {
    const owns = tableOf(run, REWARDED).some(([, { parts }]) =>
      parts?.some(({ holder }) => toHex(holder) === toHex(owner)),
    )
    const paid = reward === 'points' || transfers.includes(nameOf(owner))
    if (owns && paid) sinks.add(SINKS[reward])
  }

  const schedule = scheduleFacts(run, store)
  const residue = residueOf(run, store, stored, settled.filter(({ model }) => model === 'C').length)
  const bySite = new Map<string, Set<string>>()
  for (const { model, seller, buyer, deal } of settled)
    for (const name of [seller, buyer]) {
      const key = `${name} ${deal.start}`
      bySite.set(key, (bySite.get(key) ?? new Set()).add(model))
    }
  const hourAhead = settled.filter(({ seller, buyer }) => [seller, buyer].includes(boiler))
  const rejected = txs.flatMap(({ tx }) =>
    tx.kind === 'answer' && tx.body.reason !== undefined ? [tx.body.reason] : [],
  )
  const facts = {
    agreements_live: agreements.filter(([, { state }]) => state === 'accepted').length,
    rejected_because: [...new Set(rejected.map(reason => reason.split(' ', 1)[0]!))],
    rejections: rejected,
    /** The most models by which one site traded in one slot. */
    models_of_one_site: [...bySite.values()].reduce((most, one) => (one.size > most.length ? [...one].sort() : most), [
      '',
    ] as string[]),
    hour_ahead_wh: Number(hourAhead.reduce((sum, { deal }) => sum + deal.outcome!.delivered, 0n)),
    ...schedule,
    owner_actions: actions,
    points_minted: Number(minted),
    minted_before_consumption: early.length + beyond.length,
    reward_sinks: [...sinks].sort(),
    paid_in: [
      ...(settled.some(({ model, deal }) => model === 'C' && deal.outcome!.paid > 0n) ? ['coins'] : []),
      ...(minted > 0n ? ['points'] : []),
    ],
    ...residue,
  }
  const broken = [
    ...(facts.minted_before_consumption > 0 ? ['points were minted for what nobody else had consumed'] : []),
    ...(facts.store_residue_wh > 0 ? [`the store's books are ${facts.store_residue_wh} Wh beside its wires`] : []),
    ...(facts.fixed_injections_kept ? [] : ['the schedule does not keep what customers declared']),
  ]
  return { facts, broken }
}

/** The store's published day, held against what customers had declared on the ledger, by the exact check and no solver. */
function scheduleFacts(run: DistrictRun, store: string) {
  const published = run.agent(store).parts.storage!.published()
  if (published === undefined) return { fixed_injections_wh: 0, fixed_injections_kept: false }
  const { day, from, schedule, plan } = published
  const names = namesOf(run)
  const nodeOf = (name: string) => run.district.sites.find(site => site.name === name)!.node
  const agreements = tableOf(run, AGREEMENTS).filter(([, { state }]) => state === 'accepted')
  const customers = new Set(agreements.map(([, { owner }]) => toHex(owner)))
  const contracts: Move[] = []
  let kept = true
  for (const [id, { owner, plan: declared }] of tableOf(run, SCHEDULES)) {
    const name = names.get(toHex(owner))!
    if (Number(id.split('/', 1)[0]) !== day) continue
    if (name === store) {
      kept &&= declared.length === plan.length && declared.every((one, slot) => one === plan[slot])
      continue
    }
    // Of who is no customer the store knows no node, and does not plan for it.
    if (!customers.has(toHex(owner))) continue
    for (const [slot, net] of declared.entries()) {
      if (net === 0n) continue
      const energy = wattHours(net < 0n ? -net : net)
      contracts.push({ slot, energy, [net > 0n ? 'to' : 'from']: nodeOf(name) })
    }
  }
  const battery = schedule.batteries[0]!
  kept &&= plan.every((one, slot) => one === battery.charge[slot]! - battery.discharge[slot]!)
  kept &&= contracts.length > 0 && checkSchedule({ ...from, contracts }, schedule).ok
  const moved = contracts.reduce((sum, { energy }) => sum + energy, 0n)
  return { fixed_injections_wh: Number(moved), fixed_injections_kept: kept }
}

/** The provenance that the store keeps, against what its wires say is in it. */
function residueOf(run: DistrictRun, store: string, stored: WattHours, deals: number) {
  const { putIn, found, rewarded, takenBack, unowned, lost, held } = run.agent(store).parts.storeRewards!.totals()
  const books = putIn + found - rewarded - takenBack - unowned - lost - held
  const { imported, exported } = run.running.wires.gridMeter(store)
  const inside = Number(stored) + (Number(imported) / 1000) * EFFICIENCY - Number(exported) / 1000 / EFFICIENCY
  const resolution = Math.ceil(STEP_WH * deals + (LATE * Number(imported + exported)) / 1000)
  const beside = Math.round(Math.abs(Number(held) - inside))
  return {
    store_residue_wh: Number(books < 0n ? -books : books) + Math.max(0, beside - resolution),
    store_resolution_wh: resolution,
    store_beside_wires_wh: beside,
    store_wh: {
      put_in: Number(putIn),
      found: Number(found),
      consumed_by_others: Number(rewarded),
      taken_back: Number(takenBack),
      unowned: Number(unowned),
      lost: Number(lost),
      held: Number(held),
    },
  }
}
