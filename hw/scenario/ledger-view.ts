/** A district's two ledgers, as anybody reads them. */
import type { Producer } from '../../agent/validator/producer.ts'
import { keysFromSeed } from '../../agent/world.ts'
import { fromUtf8, toHex } from '../../protocol/bytes.ts'
import { instantOf } from '../../protocol/chain/chain-time.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { type DealRecord, decodeDealRecord } from '../../protocol/ledger/deal-record.ts'
import { decodeReservation, RESERVATIONS, type Reservation } from '../../protocol/ledger/network-tables.ts'
import { DEALS } from '../../protocol/ledger/tables.ts'
import type { SimPorts } from '../sim/sim-ports.ts'
import { benchSeed } from '../sim/street.ts'
import type { District } from './district.ts'
import type { DistrictLedgers } from './district-ledgers.ts'

/** What of a run its ledgers are read by. */
export interface Seen {
  readonly district: District
  readonly seed: number
  readonly ports: Pick<SimPorts, 'signer'>
  readonly ledgers: DistrictLedgers
}

export type Model = 'A' | 'B' | 'C'

export interface LedgerDeal {
  readonly hash: string
  readonly deal: DealRecord
  readonly model: Model
  readonly seller: string
  readonly buyer: string
}

/** Every record under a table's prefix. */
export function* recordsOf<T>(
  producer: Producer,
  prefix: string,
  decode: (value: Uint8Array) => { readonly ok: true; readonly value: T } | { readonly ok: false },
): Iterable<readonly [string, T]> {
  for (const [key, value] of producer.entries(producer.status().height) ?? []) {
    const name = fromUtf8(key)
    if (name?.startsWith(prefix) !== true) continue
    const read = decode(value)
    if (read.ok) yield [name.slice(prefix.length), read.value] as const
  }
}

export function dealsOf(run: Seen): readonly LedgerDeal[] {
  const names = namesOf(run)
  const roleOf = new Map(run.district.sites.map(({ name, role }) => [name, role]))
  return [...recordsOf(run.ledgers.energy, DEALS.prefix, decodeDealRecord)].map(([hash, deal]) => {
    const [seller, buyer] = [names.get(toHex(deal.seller)) ?? '?', names.get(toHex(deal.buyer)) ?? '?']
    const direct = run.district.lines?.some(({ id }) => id === deal.line) === true
    const model = direct ? 'A' : [seller, buyer].some(name => roleOf.get(name) === 'storage') ? 'C' : 'B'
    return { hash, deal, model, seller, buyer }
  })
}

export const reservationsOf = (run: Seen): readonly (readonly [string, Reservation])[] =>
  run.ledgers.distribution === undefined
    ? []
    : [...recordsOf(run.ledgers.distribution, RESERVATIONS.prefix, decodeReservation)]

/** The height of the energy ledger's first block at or after a moment. */
export function heightAt({ ledgers: { energy } }: Seen, at: number): bigint {
  const { height, oldest } = energy.status()
  for (let each = oldest; each <= height; each++) {
    const block = energy.block(each)
    if (block !== undefined && instantOf(block.header.time) >= at) return each
  }
  return height + 1n
}

/** Names of sites by the hex address of their accounts. */
export function namesOf({ district, seed, ports, ledgers }: Seen): ReadonlyMap<string, string> {
  const known = knownNames.get(ledgers)
  if (known !== undefined) return known
  const keyOf = (name: string) => keysFromSeed(benchSeed(seed, name), ports.signer).account.publicKey
  const names = new Map(district.sites.map(({ name }) => [toHex(addressOf(keyOf(name))), name]))
  knownNames.set(ledgers, names)
  return names
}
/** Keys are dear to make, and a run asks for its names at every look. */
const knownNames = new WeakMap<DistrictLedgers, ReadonlyMap<string, string>>()

/** A deal on one ledger without its other half. */
export function halfCommitted(run: Seen): string[] {
  if (run.ledgers.distribution === undefined) return []
  const reserved = new Map(reservationsOf(run))
  return dealsOf(run).flatMap(({ hash, deal, model }) => {
    if (model === 'A') return []
    const reservation = reserved.get(hash)
    if (reservation === undefined) return [`deal ${hash.slice(0, 8)} has no reservation`]
    if (deal.state === 'settled' && reservation.state === 'released')
      return [`deal ${hash.slice(0, 8)} was delivered, and its fee went back`]
    return []
  })
}
