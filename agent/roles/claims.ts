/**
 * Closes reservations on the distribution ledger: the fee of a deal that was settled by the proof of that, and of one that
 * never came about by the proof of that, so that its payer has the rest back.
 *
 * Anybody may bring a proof. The distributor does so at once; a seller once the distributor had its time, so that lines are
 * free again and the fee is paid whoever is gone.
 */
import { fromHex, toHex, utf8 } from '../../protocol/bytes.ts'
import { dealKey, decodeDealRecord } from '../../protocol/ledger/deal-record.ts'
import { decodeReservation, reservationKey } from '../../protocol/ledger/network-tables.ts'
import type { TxContent } from '../../protocol/ledger/tx.ts'
import { type Money, micros } from '../../protocol/quantity.ts'
import { bytes, decodeAs, encodeAs, list, record } from '../../protocol/record.ts'
import { type Instant, later } from '../../protocol/time.ts'
import { unixMs } from '../../protocol/trade/contract.ts'
import { createBring } from '../grid/bring.ts'
import type { LedgerView, Part, PartOptions } from './part.ts'

const LOOK_MS = 5_000
/** Reservations that are followed, as many as a quarter of an hour of a whole district brings; what is more is not followed. */
const MAX_FOLLOWED_DEALS = 4096
/** Of one peer that the ledger has not borne out yet: what it reserves for a slot and two, and no flood of inventions. */
const MAX_UNPROVEN = 64
const MAX_RECORD_BYTES = MAX_FOLLOWED_DEALS * 64
/** A transaction that is handed in stands in a block by then: as long as an account lets one live, and a minute. */
const HANDED_MS = 120_000
/** Looked at in one round, so that a round ends. */
const ROUND = 32

const followed = list(record({ deal: [1, bytes(32)], since: [2, unixMs] }), 0, MAX_FOLLOWED_DEALS)

export interface ClaimsOptions extends Pick<PartOptions, 'energy' | 'clock' | 'timers' | 'log' | 'record' | 'health'> {
  readonly distribution: LedgerView
  /** How long it is left to others to bring what can be brought. */
  readonly patienceMs: number
}

export interface Claims extends Pick<Part, 'restore' | 'start' | 'stop'> {
  /** By contract hash; the word of a peer, or one's own, which the ledger bears out or not. */
  follow(deal: Uint8Array, peer?: string): Promise<void>
  /** What became of those that were followed, and those that are waited for; `handedIn` are the claims that this site brought. */
  stats(): {
    readonly claimed: number
    readonly released: number
    readonly waiting: number
    readonly paid: Money
    readonly handedIn: number
  }
}

/** `notBefore` spares the ledgers questions in vain. */
interface Followed {
  readonly since: Instant
  /** Whose word it is, until the ledger has borne it out. */
  by: string | undefined
  notBefore: Instant
}

export function createClaims(options: ClaimsOptions): Claims {
  const { clock, timers, log, energy, distribution, patienceMs } = options
  const { light, account } = distribution
  const waiting = new Map<string, Followed>()
  /** Peers of whom that was said. */
  const doubted = new Set<string>()
  const counts = { claimed: 0, released: 0, paid: 0n, handedIn: 0 }
  const toDistribution = createBring({ from: energy, to: distribution, clock, timers, log })
  let cancel = () => {}
  let looking = false
  let stopped = false

  /** What became of a reservation and of its deal; the ledger is told where it does not know. */
  async function settle(id: string, one: Followed): Promise<void> {
    const deal = fromHex(id)!
    const held = await light.prove(utf8(reservationKey(deal)))
    if (!held.ok || stopped) return
    one.notBefore = later(clock.now(), LOOK_MS)
    if (held.value.value === undefined) {
      // Somebody's word that was not true, or a transaction that stands in no block by now.
      if (clock.now() > one.since + HANDED_MS) waiting.delete(id)
      return
    }
    one.by = undefined
    const reservation = decodeReservation(held.value.value)
    if (!reservation.ok) return void waiting.delete(id)
    const { state, outcome, end, expires } = reservation.value
    if (state !== 'held') {
      waiting.delete(id)
      counts[state]++
      counts.paid += outcome?.paid ?? 0n
      return
    }
    const due = later(end, patienceMs)
    if (clock.now() < due) {
      one.notBefore = due
      return
    }
    // Past that the ledger closes it by itself.
    if (clock.now() > expires) return
    const proven = await energy.light.prove(utf8(dealKey(deal)))
    if (!proven.ok || stopped) return
    const { value, headerTime, headerHeight } = proven.value
    if (value === undefined) {
      if (headerTime < end) return
      const absent = await toDistribution(utf8(dealKey(deal)), headerHeight)
      if (absent.ok) await handIn({ kind: 'release', body: { deal, ...absent.value } })
      return
    }
    const read = decodeDealRecord(value)
    if (!read.ok) return
    const { outcome: settled, receiptBy } = read.value
    const from = settled === undefined ? receiptBy : later(settled.at, patienceMs)
    if (clock.now() < from) one.notBefore = from
    if (settled === undefined || clock.now() < from) return
    const closed = await toDistribution(utf8(dealKey(deal)), headerHeight)
    if (closed.ok) await handIn({ kind: 'claim', body: { deal, ...closed.value } })
  }

  async function handIn(content: TxContent): Promise<void> {
    const handed = await account.submit(content)
    if (handed.ok) counts.handedIn++
    else log('warn', 'claims', `a ${content.kind} was not handed in`, handed.fault)
  }

  async function look(): Promise<void> {
    if (looking || stopped || light.health().state !== 'ok') return
    looking = true
    const now = clock.now()
    const due = [...waiting].filter(([, { notBefore }]) => notBefore <= now).slice(0, ROUND)
    // One header brings them all: they wait for it together.
    await Promise.all(due.map(([id, one]) => settle(id, one)))
    looking = false
  }

  return {
    restore(records) {
      const newest = [...records].at(-1)
      const read = newest && decodeAs(followed, newest, 'claims', MAX_RECORD_BYTES)
      if (read?.ok === false) options.health('claims.restore', read.fault)
      for (const { deal, since } of read?.ok ? read.value : [])
        waiting.set(toHex(deal), { since, by: undefined, notBefore: since })
    },
    start() {
      cancel = timers.every(LOOK_MS, () => void look())
    },
    async follow(deal, peer) {
      const id = toHex(deal)
      if (waiting.has(id) || waiting.size >= MAX_FOLLOWED_DEALS) return
      const unproven = [...waiting.values()].filter(({ by }) => by !== undefined && by === peer).length
      if (unproven >= MAX_UNPROVEN) {
        if (!doubted.has(peer!)) log('warn', 'claims', `${peer} names more reservations than the ledger shows`)
        doubted.add(peer!)
        return
      }
      const since = clock.now()
      waiting.set(id, { since, by: peer, notBefore: later(since, LOOK_MS) })
      const kept = await options.record(
        encodeAs(
          followed,
          [...waiting].map(([hash, { since }]) => ({ deal: fromHex(hash)!, since })),
        ),
      )
      if (!kept.ok) log('warn', 'claims', 'what is to be followed could not be kept', kept.fault)
    },
    stats: () => ({ ...counts, paid: micros(counts.paid), waiting: waiting.size }),
    stop() {
      stopped = true
      cancel()
    },
  }
}
