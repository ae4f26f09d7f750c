/**
 * What a district's run came to, told by those who did not take part: the wires, both ledgers' audits, and the journals read
 * back from their disks.
 */
import type { Producer } from '../../agent/validator/producer.ts'
import { toHex } from '../../protocol/bytes.ts'
import { parseTx } from '../../protocol/ledger/tx.ts'
import { faultLine } from '../../protocol/result.ts'
import { judgeJournal } from '../bench/judge.ts'
import { awaited } from '../sim/run-seed.ts'
import { dealsOf, halfCommitted, type LedgerDeal, type Model, reservationsOf } from './ledger-view.ts'
import { type DistrictRun, journalOf } from './run-district.ts'
import type { ScenarioResult } from './scenario.ts'

/** A site's meter is read within this of a slot's boundary; what flows meanwhile may be counted on the other side of it. */
const BOUNDARY_MS = 15_000
/** Whole watt-hours that each of two boundary readings may hide. */
const METER_STEP_WH = 1n

export interface DistrictResult extends ScenarioResult {
  readonly virtual_s: number
  readonly sites: number
  readonly deals: {
    readonly settled: number
    readonly refunded: number
    readonly disputed: number
    readonly by_model: Readonly<Record<Model, number>>
  }
  readonly energy_wh: { readonly contracted: number; readonly settled: number }
  readonly money: {
    readonly paid: number
    readonly fees: number
    /** Both ledgers'; 0 or money was made or lost. */
    readonly residue: number
  }
  readonly readings_verified: number
  /** All that was said on the brokers, heartbeats, readings, orders and acknowledgements too, shared among the settled deals. */
  readonly traffic_per_deal: {
    readonly messages: number
    readonly bytes: number
  } | null
  /** That stood in blocks, by kind. */
  readonly transactions: {
    readonly energy: Readonly<Record<string, number>>
    readonly distribution: Readonly<Record<string, number>>
  }
  readonly settled_wh_by_site: Readonly<Record<string, number>>
}

/** Stops the district and judges it. */
export async function judgeDistrict(
  run: DistrictRun,
  scenario: string,
  facts: Readonly<Record<string, unknown>>,
  broken: readonly string[],
): Promise<DistrictResult> {
  const { running, ledgers, ports } = run
  const problems = [...broken]
  const virtualMs = running.clock.mono()
  await run.stop()

  let residue = 0n
  for (const [name, producer] of [
    ['energy', ledgers.energy],
    ['distribution', ledgers.distribution],
  ] as const) {
    const audit = producer?.audit()
    if (audit === undefined) continue
    residue += audit.money.residue < 0n ? -audit.money.residue : audit.money.residue
    for (const problem of audit.problems) problems.push(`the ${name} ledger's audit: ${faultLine(problem)}`)
  }
  if (residue !== 0n) problems.push(`money: ${residue} micro-units are unaccounted for`)
  const wires = running.wires.audit()
  if (wires.residue !== 0n) problems.push(`energy: ${wires.residue} mW ms are unaccounted for on the wires`)
  for (const { kind, place, detail } of running.violations) problems.push(`the wires: ${kind} at ${place}: ${detail}`)

  const deals = dealsOf(run)
  problems.push(...oversold(run, deals), ...halfCommitted(run))
  let verified = 0
  const acknowledged = run.witness.acknowledged
  const journalled = new Set<string>()
  for (const { name } of running.street.sites) {
    if (!acknowledged.has(name)) continue
    // The simulated disk answers in virtual time.
    const reading = judgeJournal(name, { ...ports, seed: run.seed, journalOf: journalOf(ports) })
    const judged = await awaited(ports.time, reading)
    verified += judged.verified
    for (const hash of judged.hashes) journalled.add(hash)
    for (const problem of judged.problems) problems.push(`${name}'s journal: ${problem}`)
    const lost = [...acknowledged.get(name)!].filter(hash => !judged.hashes.has(hash))
    if (lost.length > 0) problems.push(`${name} lost ${lost.length} acknowledged readings`)
  }
  for (const { hash, deal } of deals) {
    for (const receipt of [deal.sellerReceipt, deal.buyerReceipt]) {
      if (receipt === undefined || (journalled.has(toHex(receipt.begin)) && journalled.has(toHex(receipt.end))))
        continue
      problems.push(`deal ${hash.slice(0, 8)} was settled by a reading that stands in no journal`)
    }
  }

  const settled = deals.filter(({ deal }) => deal.state === 'settled')
  const sum = (values: readonly bigint[]) => Number(values.reduce((total, value) => total + value, 0n))
  const by = (model: Model) => settled.filter(deal => deal.model === model).length
  const traffic = [...ports.traffic.values()]
  const each = (total: number) => Math.round((10 * total) / settled.length) / 10
  return {
    ok: problems.length === 0,
    scenario,
    seed: run.seed,
    virtual_s: Math.round(virtualMs / 1000),
    sites: run.district.sites.length,
    deals: {
      settled: settled.length,
      refunded: deals.filter(({ deal }) => deal.state === 'refunded').length,
      disputed: deals.filter(({ deal }) => deal.outcome?.disputed === true).length,
      by_model: { A: by('A'), B: by('B'), C: by('C') },
    },
    energy_wh: {
      contracted: sum(deals.map(({ deal }) => deal.energy)),
      settled: sum(settled.map(({ deal }) => deal.outcome!.delivered)),
    },
    money: {
      paid: sum(settled.map(({ deal }) => deal.outcome!.paid)),
      fees: sum(reservationsOf(run).map(([, { outcome }]) => outcome?.paid ?? 0n)),
      residue: Number(residue),
    },
    readings_verified: verified,
    traffic_per_deal:
      settled.length === 0
        ? null
        : {
            messages: each(traffic.reduce((total, { messages }) => total + messages, 0)),
            bytes: each(traffic.reduce((total, { bytes }) => total + bytes, 0)),
          },
    transactions: { energy: countTxs(ledgers.energy), distribution: countTxs(ledgers.distribution) },
    settled_wh_by_site: Object.fromEntries(
      run.district.sites.map(({ name }) => [
        name,
        sum(
          settled
            .filter(({ seller, buyer }) => seller === name || buyer === name)
            .map(({ deal }) => deal.outcome!.delivered),
        ),
      ]),
    ),
    facts,
    problems,
  }
}

/** More was settled for a meter in a window than its wires carried. */
function oversold(run: DistrictRun, deals: readonly LedgerDeal[]): string[] {
  const perMeter = new Map<string, { site: string; selling: boolean; start: number; end: number; settled: bigint }>()
  for (const { deal, model, seller, buyer } of deals) {
    if (model === 'A' || deal.state !== 'settled') continue
    for (const [site, selling] of [
      [seller, true],
      [buyer, false],
    ] as const) {
      const key = `${site} ${selling} ${deal.start} ${deal.end}`
      const so = perMeter.get(key) ?? { site, selling, start: deal.start, end: deal.end, settled: 0n }
      perMeter.set(key, { ...so, settled: so.settled + deal.outcome!.delivered })
    }
  }
  return [...perMeter.values()].flatMap(({ site, selling, start, end, settled }) => {
    const moments = run.counted.get(site)
    const [from, to] = [moments?.get(start), moments?.get(end)]
    if (from === undefined || to === undefined) return [`${site}: a window from ${start} to ${end} is no slot`]
    const flowed = (selling ? to.exported - from.exported : to.imported - from.imported) / 1000n
    // What a late boundary reading may have counted beyond the window, at the power of the window itself, doubled.
    const slack = METER_STEP_WH + (2n * flowed * BigInt(BOUNDARY_MS)) / BigInt(end - start) + 2n
    return settled > flowed + slack ? [`${site} settled ${settled} Wh, but ${flowed} Wh flowed from ${start}`] : []
  })
}

function countTxs(producer: Producer | undefined): Record<string, number> {
  const count: Record<string, number> = {}
  if (producer === undefined) return count
  const { height, oldest } = producer.status()
  for (let at = oldest; at > 0n && at <= height; at++) {
    for (const bytes of producer.block(at)?.txs ?? []) {
      const parsed = parseTx(bytes)
      if (parsed.ok) count[parsed.value.tx.kind] = (count[parsed.value.tx.kind] ?? 0) + 1
    }
  }
  return count
}
