/**
 * The regulator: bounds the price of a kilowatt-hour, keeps a meter from new contracts, and sees what the market did in sum.
 *
 * Its power is what the ledger gives it and no more: a band and a suspension are announced for a coming moment, end no deal that
 * stands, and are proven on the ledger before they count as published. What it sees is the ledger's state as everybody may,
 * checked against a header of its own light client: totals by slot and feeder. Bids, prices asked, letters and readings under
 * sealed receipts are not in that state.
 */
import { equalBytes, fromUtf8, toHex } from '../../protocol/bytes.ts'
import { createStateTree } from '../../protocol/chain/smt.ts'
import type { DealRecord } from '../../protocol/ledger/deal-record.ts'
import { BAND, type Band, DEALS, type EnrolledMeter, METERS } from '../../protocol/ledger/tables.ts'
import type { TxContent } from '../../protocol/ledger/tx.ts'
import { SLOT_MS } from '../../protocol/market/baseline.ts'
import { type Money, micros, type WattHours, wattHours } from '../../protocol/quantity.ts'
import { decodeAs } from '../../protocol/record.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { type Instant, instant, later } from '../../protocol/time.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'

/** A deal's and a meter's record. */
const MAX_RECORD_BYTES = 4096
/** What stands on the ledger is compared with the configuration so often. */
const LOOK_MS = 60_000
/** A block or two: what is announced for a moment that is past when the block comes is refused. */
const NOTICE_MS = 60_000

type Entry = readonly [key: Uint8Array, value: Uint8Array]

/** All that the ledger's state holds after a block, as somebody says. */
export interface WholeState {
  readonly height: bigint
  readonly entries: Iterable<Entry>
}

/** What was traced of one slot behind one feeder. */
export interface Total {
  readonly slot: number
  /** Undefined for meters of which the registry names none. */
  readonly feeder: string | undefined
  readonly deals: number
  readonly contracted: WattHours
  readonly delivered: WattHours
  readonly paid: Money
  /** Accounts on either side: among so many one site's trade is hidden. */
  readonly sites: number
}

/** Kept in force as long as the agent runs. */
export interface Duties {
  readonly band?: Pick<Band, 'floor' | 'ceiling'>
  /** Serials of meters. */
  readonly suspend: readonly string[]
}

export interface RegulatorOptions extends Pick<PartOptions, 'energy' | 'clock' | 'timers' | 'log' | 'health'> {
  readonly duties?: Duties
  /** From any node; it is checked here. */
  state(): Promise<Result<WholeState>>
}

export interface Regulator extends Part {
  /** In force from a coming moment on; the band as it then stands on the ledger. */
  publishBand(band: Band): Promise<Result<Band>>
  /** From the next slot on that can still be announced, for good or until a moment; when it begins. */
  suspend(meterId: string, until?: Instant): Promise<Result<Instant>>
  totals(): Promise<Result<readonly Total[]>>
}

export function createRegulator(options: RegulatorOptions): Regulator {
  const { energy: ledger, clock, timers, log, state, duties } = options
  const { light, account } = ledger
  let cancel = () => {}
  let busy = false

  /** In a block, and not refused there. */
  async function send(content: TxContent): Promise<Result<void>> {
    const handedIn = await account.submit(content)
    if (!handedIn.ok) return handedIn
    const stands = await light.proveTx(handedIn.value)
    if (!stands.ok) return stands
    log('info', 'regulator', `${content.kind} is in a block`)
    return done
  }

  async function publishBand(band: Band): Promise<Result<Band>> {
    const sent = await send({ kind: 'band', body: band })
    if (!sent.ok) return sent
    const proven = await proveRecord(light, BAND, '')
    if (!proven.ok) return proven
    const { now, next } = proven.value ?? {}
    const stands = [next, now].find(
      one => one?.from === band.from && one.floor === band.floor && one.ceiling === band.ceiling,
    )
    return stands === undefined ? fail({ code: 'regulator.band', from: band.from, standing: next?.from }) : ok(stands)
  }

  async function suspend(meterId: string, until?: Instant): Promise<Result<Instant>> {
    const from = instant((Math.floor((clock.now() + NOTICE_MS) / SLOT_MS) + 1) * SLOT_MS)
    const body = { meterId, from, ...(until === undefined ? {} : { until }) }
    const sent = await send({ kind: 'suspend', body })
    if (!sent.ok) return sent
    const proven = await proveRecord(light, METERS, meterId)
    if (!proven.ok) return proven
    const suspended = proven.value?.suspended
    if (suspended?.from !== from || suspended.until !== until) {
      return fail({ code: 'regulator.suspension', meterId, from, standing: suspended?.from })
    }
    return ok(from)
  }

  /** What the duties ask for and the ledger does not have. */
  async function doDuties({ band, suspend: meters }: Duties): Promise<Result<unknown>> {
    if (band !== undefined) {
      const known = await proveRecord(light, BAND, '')
      if (!known.ok) return known
      const stands = known.value?.next ?? known.value?.now
      if (stands?.floor !== band.floor || stands.ceiling !== band.ceiling) {
        const published = await publishBand({ ...band, from: later(clock.now(), NOTICE_MS) })
        if (!published.ok) return published
      }
    }
    for (const meterId of meters) {
      const known = await proveRecord(light, METERS, meterId)
      if (!known.ok) return known
      if (known.value === undefined) return fail({ code: 'regulator.no-meter', meterId })
      if (known.value.suspended !== undefined && known.value.suspended.until === undefined) continue
      const suspended = await suspend(meterId)
      if (!suspended.ok) return suspended
    }
    return done
  }

  async function look(asked: Duties): Promise<void> {
    if (busy || light.health().state !== 'ok') return
    busy = true
    const carried = await doDuties(asked)
    options.health('regulator.duties', carried.ok ? undefined : carried.fault)
    busy = false
  }

  return {
    start() {
      if (duties !== undefined) cancel = timers.every(LOOK_MS, () => void look(duties))
    },
    stop: () => cancel(),
    publishBand,
    suspend,

    totals: async () => {
      const said = await state()
      if (!said.ok) return said
      const { height, entries } = said.value
      const all = [...entries]
      // The state after a block stands in the next one's header.
      const above = await light.headerAt(height + 1n)
      if (!above.ok) return above
      const root = createStateTree(1).commit(height, all)
      const { appHash } = above.value.header
      if (!equalBytes(root, appHash)) {
        return fail({ code: 'regulator.state', height, expected: toHex(appHash), computed: toHex(root) })
      }
      return totalsOf(all)
    },
  }
}

/** Deals by the slot in which they begin and by the feeder of the seller's meter. */
function totalsOf(entries: Iterable<Entry>): Result<readonly Total[], Fault> {
  const meters = new Map<string, EnrolledMeter>()
  const deals: DealRecord[] = []
  const seen = new Set<string>()
  for (const [bytes, value] of entries) {
    const key = fromUtf8(bytes) ?? ''
    // The root is that of the last of two values; told twice, a deal would count twice.
    if (seen.has(toHex(bytes))) return fail({ code: 'regulator.state-twice', key })
    seen.add(toHex(bytes))
    if (key.startsWith(METERS.prefix)) {
      const meter = decodeAs(METERS.codec, value, key, MAX_RECORD_BYTES)
      if (!meter.ok) return meter
      meters.set(key.slice(METERS.prefix.length), meter.value)
    } else if (key.startsWith(DEALS.prefix)) {
      const deal = decodeAs(DEALS.codec, value, key, MAX_RECORD_BYTES)
      if (!deal.ok) return deal
      deals.push(deal.value)
    }
  }
  const totals = new Map<string, Total & { readonly accounts: Set<string> }>()
  for (const { start, sellerMeter, seller, buyer, energy, outcome } of deals) {
    const slot = Math.floor(start / SLOT_MS)
    const feeder = meters.get(sellerMeter)?.feeder
    const id = `${slot} ${feeder ?? ''}`
    const before = totals.get(id)
    const accounts = (before?.accounts ?? new Set<string>()).add(toHex(seller)).add(toHex(buyer))
    totals.set(id, {
      ...{ slot, feeder, accounts, sites: accounts.size },
      deals: (before?.deals ?? 0) + 1,
      contracted: wattHours((before?.contracted ?? 0n) + energy),
      delivered: wattHours((before?.delivered ?? 0n) + (outcome?.delivered ?? 0n)),
      paid: micros((before?.paid ?? 0n) + (outcome?.paid ?? 0n)),
    })
  }
  return ok(
    [...totals.values()]
      .sort((a, b) => a.slot - b.slot || ((a.feeder ?? '') < (b.feeder ?? '') ? -1 : 1))
      .map(({ accounts: _, ...total }) => total),
  )
}
