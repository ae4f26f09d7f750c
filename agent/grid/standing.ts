/**
 * Contracts under a standing agreement: one side awards a slot within its terms, the other makes the contract and signs it
 * first, as after any award. The terms themselves are judged by agent/roles/store-terms.ts.
 */
import type { Clock, Log } from '../../drivers/ports.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { microsPerKwh, type Price } from '../../protocol/quantity.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import { later, type Mono } from '../../protocol/time.ts'
import { decodeContract, encodeContract, type Party } from '../../protocol/trade/contract.ts'
import type { Body, BodyOf } from '../../protocol/trade/message.ts'
import type { GridConfig } from '../config/site-config.ts'
import type { Contracted } from './decide.ts'
import type { FeeDesk } from './fees.ts'
import { contractOf, differing } from './terms.ts'

/** The other side asks for a fee at most, and signs. */
const ACCEPT_MS = 15_000
/** One for each slot and customer, while it is agreed on. */
const MOST_OPEN = 256

export interface StandingOptions {
  readonly grid: GridConfig
  readonly chainId: string
  readonly ownKey: Uint8Array
  readonly peers: ReadonlyMap<string, Uint8Array>
  readonly fees: FeeDesk
  readonly clock: Clock
  readonly log: Log
  send(peer: string, body: Body): void
  ownMeter(): string | undefined
  /** Our own contract to be signed first, or one that came with the other's half. */
  open(
    peer: string,
    role: Party,
    contract: Uint8Array,
    requested: Mono,
    more: { readonly half?: Uint8Array; readonly fee?: Price },
  ): Result<void>
}

export interface Standing {
  /** We have sent this award: the other side's contract is waited for. */
  awarded(peer: string, award: BodyOf<'award'>): void
  /** We stand by this award of theirs: the contract is made, if so much of its price is left after the fee. */
  granted(peer: string, award: BodyOf<'award'>, least?: Price): void
  /** Whether an award of ours was meant. */
  hear(peer: string, body: BodyOf<'accept' | 'decline'>): boolean
  sweep(): void
  /** What was awarded, by us or to us, and is not in a contract yet. */
  pending(): readonly Contracted[]
}

interface Sent {
  readonly peer: string
  readonly award: BodyOf<'award'>
  readonly requested: Mono
  /** Of a seller, once it is known. */
  fee?: Result<Price>
}

const other = (role: Party): Party => (role === 'seller' ? 'buyer' : 'seller')

export function createStanding(options: StandingOptions): Standing {
  const { grid, clock, log } = options
  const sent = new Map<string, Sent>()
  /** What we sell as soon as the fee is known. */
  const promised = new Set<Contracted>()

  function refuse(peer: string, id: Uint8Array, why: Fault): void {
    options.send(peer, { kind: 'decline', id, reason: why.code })
    log('info', 'grid', `no contract with ${peer} under the standing agreement`, why)
  }

  /** The fee for what we sell; nothing is asked for what we buy. */
  function askFee(role: Party, to: string, award: BodyOf<'award'>, then: (fee: Result<Price>) => void): void {
    if (role === 'buyer') return then({ ok: true, value: microsPerKwh(0n) })
    const { id, start, end, energy } = award
    const held = { role, start, end, energy }
    promised.add(held)
    options.fees.ask({ id, line: grid.node, to, start, end, energy }, fee => {
      promised.delete(held)
      then(fee)
    })
  }

  function hearAccept({ peer, award, requested, fee }: Sent, { contract, half }: BodyOf<'accept'>): void {
    const { id, as, start, end, energy, price, node, meter } = award
    const read = decodeContract(contract)
    if (!read.ok) return refuse(peer, id, read.fault)
    const { to = read.value.line, line, sellerMeter, buyerMeter } = read.value
    // Where the other side's meter hangs, it alone says; the ledger holds it to that.
    const [theirNode, theirMeter] = as === 'seller' ? [to, buyerMeter] : [line, sellerMeter]
    const expected = contractOf(options.chainId, grid, {
      ...{ id, role: as, start, end, energy, price },
      own: { key: options.ownKey, node, meter },
      peer: { key: options.peers.get(peer)!, node: theirNode, meter: theirMeter },
    })
    if (!equalBytes(encodeContract(expected), contract))
      return refuse(peer, id, { ...differing(expected, read.value), code: 'grid.other-terms' })
    if (fee?.ok === false) return refuse(peer, id, fee.fault)
    const known = fee?.value
    // What the way costs is the seller's: it does not pay to be rid of its energy.
    if (known !== undefined && known > price)
      return refuse(peer, id, { code: 'grid.fee-above-price', fee: known, price })
    const opened = options.open(peer, as, contract, requested, { half, ...(known === undefined ? {} : { fee: known }) })
    if (!opened.ok) refuse(peer, id, opened.fault)
  }

  return {
    awarded(peer, award) {
      if (!options.peers.has(peer) || sent.size >= MOST_OPEN) return
      sent.set(toHex(award.id), { peer, award, requested: clock.mono() })
    },
    granted(peer, award, least = microsPerKwh(0n)) {
      const key = options.peers.get(peer)
      const meter = options.ownMeter()
      const requested = clock.mono()
      const { id, as, start, end, energy, price } = award
      if (key === undefined || meter === undefined)
        return refuse(peer, id, { code: 'grid.no-meter', meter: grid.meter })
      const role = other(as)
      askFee(role, award.node, award, fee => {
        if (!fee.ok) return refuse(peer, id, fee.fault)
        if (role === 'seller' && price - fee.value < least)
          return refuse(peer, id, { code: 'grid.fee-above-price', fee: fee.value, price, least })
        const contract = contractOf(options.chainId, grid, {
          ...{ id, role, start, end, energy, price },
          own: { key: options.ownKey, node: grid.node, meter },
          peer: { key, node: award.node, meter: award.meter },
        })
        const opened = options.open(peer, role, encodeContract(contract), requested, { fee: fee.value })
        if (!opened.ok) refuse(peer, id, opened.fault)
      })
    },
    hear(peer, body) {
      const id = toHex(body.id)
      const open = sent.get(id)
      if (open === undefined || open.peer !== peer) return false
      sent.delete(id)
      if (body.kind === 'decline') return true
      const read = decodeContract(body.contract)
      if (!read.ok || open.award.as === 'buyer') hearAccept(open, body)
      else askFee('seller', read.value.to ?? grid.node, open.award, fee => hearAccept({ ...open, fee }, body))
      return true
    },
    pending: () => [
      ...[...sent.values()].map(({ award: { as, start, end, energy } }) => ({ role: as, start, end, energy })),
      ...promised,
    ],
    sweep() {
      for (const [id, { peer, requested }] of sent) {
        if (clock.mono() <= later(requested, ACCEPT_MS)) continue
        sent.delete(id)
        log('info', 'grid', `${peer} has not answered an award`, { code: 'grid.not-signed', waitedMs: ACCEPT_MS })
      }
    },
  }
}
