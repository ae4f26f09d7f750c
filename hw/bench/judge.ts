/**
 * What a run came to, told by those who did not take part: the wires, the ledger's audit, and the journals read back from
 * their disks. Agents are asked only for what nobody else can know (how many headers they verified, how long they took).
 */
import type { Agent } from '../../agent/compose.ts'
import { METERING_KINDS, readMeteringRecord } from '../../agent/metering/journal-form.ts'
import { keysFromSeed } from '../../agent/world.ts'
import type { Disk, Signer } from '../../drivers/ports.ts'
import { openJournalReader } from '../../drivers/store/journal-reader.ts'
import { fromUtf8, toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { type DealRecord, decodeDealRecord } from '../../protocol/ledger/deal-record.ts'
import { verifyChain } from '../../protocol/reading/chain.ts'
import { type VerifiedReading, verifyContext, verifyReadingIn } from '../../protocol/reading/verify.ts'
import { faultLine, type Result } from '../../protocol/result.ts'
import { benchSeed } from '../sim/street.ts'
import type { RunningStreet } from '../sim/street-run.ts'
import { type FaultOutcome, median, type StreetResult } from './result.ts'

/** Whole watt-hours that two meters of one line may differ by: each shows none of its last, unfinished one. */
const METER_STEP_WH = 1n
/** Deals that must settle in a run without faults. */
const FEWEST_DEALS = 5

/** Kept while the street runs: what an agent acknowledged, and what it alone can count. */
export interface Witness {
  /** To be told of each agent that starts. */
  attend(site: string, agent: Agent): void
  /** Envelope hashes, hex, of readings that a site said were durable. */
  readonly acknowledged: ReadonlyMap<string, ReadonlySet<string>>
  /** Adds up what the agents count; called before they are stopped. */
  tally(): Tally
}

interface Tally {
  readonly signed: number
  readonly headersVerified: number
  readonly proofsVerified: number
  readonly proposed: number
  /** Milliseconds of the street's clock. */
  readonly requestToSigned: readonly number[]
  readonly signedToClosed: readonly number[]
}

export function createWitness(): Witness {
  const agents: Agent[] = []
  const acknowledged = new Map<string, Set<string>>()
  return {
    attend(site, agent) {
      agents.push(agent)
      const seen = acknowledged.get(site) ?? new Set<string>()
      acknowledged.set(site, seen)
      agent.metering.onSigned((_, { hash }) => seen.add(toHex(hash)))
    },
    acknowledged,
    tally() {
      const sum = (pick: (agent: Agent) => number) => agents.reduce((total, agent) => total + pick(agent), 0)
      const bought = agents.flatMap(({ trading }) =>
        trading.deals().filter(({ runner }) => runner.deal().role === 'buyer'),
      )
      const at = (deal: (typeof bought)[number], state: string) =>
        deal.runner.history.find(moment => moment.state === state)?.mono
      const between = (from: number | undefined, to: number | undefined) =>
        from === undefined || to === undefined ? [] : [to - from]
      return {
        signed: sum(agent => agent.metering.stats().signed),
        headersVerified: sum(agent => agent.light.stats().headersVerified),
        proofsVerified: sum(agent => agent.light.stats().proofsVerified),
        proposed: sum(agent => agent.trading.stats().proposed),
        requestToSigned: bought.flatMap(deal => between(deal.requested, at(deal, 'signed'))),
        signedToClosed: bought.flatMap(deal => between(at(deal, 'signed'), at(deal, 'started'))),
      }
    },
  }
}

export interface JudgeInput {
  readonly running: RunningStreet
  readonly seed: number
  readonly witness: Witness
  readonly tally: Tally
  readonly faults: readonly FaultOutcome[]
  readonly faultToOpenMs: readonly number[]
  readonly virtualMs: number
  /** Whether deals must have settled, and energy at every site; left out, in a run without faults. */
  readonly mustTrade?: boolean
  /** Undefined where there was no wall clock to speak of, as in the simulator. */
  readonly wallMs: number | undefined
  /** Virtual milliseconds in a real one. */
  readonly speed: number
  /** A site's journal as it lies on its disk; nobody writes to it any more. */
  journalOf(site: string): Promise<Result<Disk & { close?(): Promise<void> }>>
  readonly verifier: Verifier
  readonly signer: (seed: Uint8Array) => Signer
}

/** The result of a street whose agents have stopped. */
export async function judgeStreet(input: JudgeInput): Promise<StreetResult> {
  const { running, tally, faults, witness } = input
  const { producer, wires, street } = running
  const problems: string[] = []

  const audit = producer.audit()
  for (const problem of audit.problems) problems.push(`the ledger's audit: ${faultLine(problem)}`)
  if (audit.money.residue !== 0n) problems.push(`money: ${audit.money.residue} micro-units are unaccounted for`)
  const energy = wires.audit()
  if (energy.residue !== 0n) problems.push(`energy: ${energy.residue} mW ms are unaccounted for on the wires`)
  for (const { kind, place, detail } of running.violations) problems.push(`the wires: ${kind} at ${place}: ${detail}`)

  const deals = settledDeals(running)
  const metered = street.lines.map(({ id }) => ({
    id,
    seller: wires.lineMeter(id, 'seller').exported / 1000n,
    buyer: wires.lineMeter(id, 'buyer').imported / 1000n,
  }))
  for (const { id, seller, buyer } of metered) {
    const settled = deals.filter(deal => deal.line === id).reduce((sum, deal) => sum + deal.outcome!.delivered, 0n)
    const flowed = seller < buyer ? seller : buyer
    if (settled > flowed + METER_STEP_WH) problems.push(`${id} settled ${settled} Wh, but ${flowed} Wh flowed`)
  }
  const bySite = settledBySite(input, deals)

  let verified = 0
  let chainsOk = true
  for (const { name } of street.sites) {
    const judged = await judgeJournal(name, input)
    verified += judged.verified
    for (const problem of judged.problems) {
      chainsOk = false
      problems.push(`${name}'s journal: ${problem}`)
    }
    const lost = [...(witness.acknowledged.get(name) ?? [])].filter(hash => !judged.hashes.has(hash))
    if (lost.length > 0) problems.push(`${name} lost ${lost.length} acknowledged readings, the first ${lost[0]}`)
  }

  for (const { name, outcome, as_expected } of faults) if (!as_expected) problems.push(`${name}: ${outcome}`)
  if (input.mustTrade ?? faults.length === 0) {
    if (deals.length < FEWEST_DEALS) problems.push(`only ${deals.length} deals settled`)
    for (const { name } of street.sites) {
      if ((bySite[name] ?? 0) === 0) problems.push(`${name} settled no energy`)
    }
  }

  const wall = (values: readonly number[]) => {
    const middle = median(values)
    return middle === null ? null : round(middle / input.speed)
  }
  const total = (pick: (line: (typeof metered)[number]) => bigint) =>
    Number(metered.reduce((sum, line) => sum + pick(line), 0n))
  const txs = [...blocksOf(running)].reduce((sum, block) => sum + block.txs.length, 0)
  return {
    ok: problems.length === 0,
    virtual_s: round(input.virtualMs / 1000),
    wall_s: input.wallMs === undefined ? 0 : round(input.wallMs / 1000),
    sites: street.sites.length,
    readings: { signed: tally.signed, verified, chains_ok: chainsOk },
    ledger: {
      height: Number(audit.height),
      headers_verified: tally.headersVerified,
      proofs_verified: tally.proofsVerified,
      tx: txs,
    },
    deals: {
      proposed: tally.proposed,
      settled: audit.deals.settled,
      refunded: audit.deals.refunded,
      disputed: audit.deals.disputed,
    },
    energy_wh: {
      contracted: Number(audit.energy.contracted),
      seller_metered: total(line => line.seller),
      buyer_metered: total(line => line.buyer),
      settled: Number(audit.energy.settled),
    },
    money: { paid: Number(audit.money.paid), residue: Number(audit.money.residue) },
    relays: {
      closes: running.moves.filter(move => move.position === 'closed').length,
      opens: running.moves.filter(move => move.position === 'open').length,
      violations: running.violations.length,
    },
    latency_ms: {
      request_to_signed_p50: wall(tally.requestToSigned),
      signed_to_closed_p50: wall(tally.signedToClosed),
      fault_to_open_max: input.faultToOpenMs.length === 0 ? null : Math.max(...input.faultToOpenMs),
    },
    faults,
    settled_by_site: bySite,
    problems,
  }
}

const round = (value: number): number => Math.round(value * 10) / 10

function* blocksOf({ producer }: RunningStreet) {
  const { height, oldest } = producer.status()
  for (let at = oldest; at > 0n && at <= height; at++) {
    const block = producer.block(at)
    if (block !== undefined) yield block
  }
}

/** Every deal on the ledger, as it stands there. */
export function ledgerDeals({
  producer,
}: RunningStreet): readonly { readonly hash: string; readonly deal: DealRecord }[] {
  const deals: { hash: string; deal: DealRecord }[] = []
  for (const [key, value] of producer.entries(producer.status().height) ?? []) {
    const name = fromUtf8(key)
    if (!name?.startsWith('deal/')) continue
    const deal = decodeDealRecord(value)
    if (deal.ok) deals.push({ hash: name.slice('deal/'.length), deal: deal.value })
  }
  return deals
}

const settledDeals = (running: RunningStreet): readonly DealRecord[] =>
  ledgerDeals(running).flatMap(({ deal }) => (deal.state === 'settled' && deal.outcome !== undefined ? [deal] : []))

function settledBySite({ running, seed, signer }: JudgeInput, deals: readonly DealRecord[]): Record<string, number> {
  const bySite: Record<string, number> = {}
  for (const { name } of running.street.sites) {
    const own = toHex(addressOf(keysFromSeed(benchSeed(seed, name), signer).account.publicKey))
    bySite[name] = deals
      .filter(({ seller, buyer }) => toHex(seller) === own || toHex(buyer) === own)
      .reduce((sum, { outcome }) => sum + Number(outcome!.delivered), 0)
  }
  return bySite
}

/** Reads a journal as a stranger would: every envelope verified under the site's key, every chain rule checked. */
export async function judgeJournal(
  site: string,
  { seed, signer, journalOf, verifier }: Pick<JudgeInput, 'seed' | 'signer' | 'journalOf' | 'verifier'>,
): Promise<{ readonly verified: number; readonly problems: readonly string[]; readonly hashes: ReadonlySet<string> }> {
  const problems: string[] = []
  const hashes = new Set<string>()
  const disk = await journalOf(site)
  if (!disk.ok) return { verified: 0, problems: [faultLine(disk.fault)], hashes }
  const journal = await openJournalReader(disk.value)
  if (!journal.ok) return { verified: 0, problems: [faultLine(journal.fault)], hashes }
  const key = keysFromSeed(benchSeed(seed, site), signer).metering.publicKey
  const contexts = new Map<string, ReturnType<typeof verifyContext>>()
  const chains = new Map<string, VerifiedReading[]>()
  const replayed = await journal.value.visit((record, { carried }) => {
    const { kind } = record
    // Of what was dropped, the contexts are still referred to.
    if (!METERING_KINDS.some(each => each === kind) || (carried && kind !== 'context')) return
    const read = readMeteringRecord(record.bytes)
    if (read === undefined) {
      problems.push(`a ${kind} record that cannot be read`)
      return
    }
    const { meterId, envelope } = read
    if (kind === 'context') {
      const context = verifyContext(envelope, key, verifier)
      if (context.ok) contexts.set(toHex(context.value.hash.subarray(0, 8)), context)
      else problems.push(faultLine(context.fault))
      return
    }
    for (const context of contexts.values()) {
      if (!context.ok || context.value.context.meterId !== meterId) continue
      const reading = verifyReadingIn(context.value, envelope, verifier)
      if (!reading.ok && reading.fault.code === 'reading.context') continue
      if (!reading.ok) problems.push(faultLine(reading.fault))
      else {
        hashes.add(toHex(reading.value.hash))
        const chain = chains.get(meterId)
        if (chain === undefined) chains.set(meterId, [reading.value])
        else chain.push(reading.value)
      }
      return
    }
    problems.push(`a reading of ${meterId} without its context`)
  })
  if (!replayed.ok) problems.push(faultLine(replayed.fault))
  await disk.value.close?.()
  for (const [meter, chain] of chains) {
    for (const { code, sequence } of verifyChain(chain)) problems.push(`${code} at reading ${sequence} of ${meter}`)
  }
  return { verified: hashes.size, problems, hashes }
}
