/** Gathers what one deal rests on, as far as this agent has it; what it does not have is named with the reason. */
import type { Timers } from '../../drivers/ports.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { dealKey, decodeDealRecord } from '../../protocol/ledger/deal-record.ts'
import { reservationKey } from '../../protocol/ledger/network-tables.ts'
import type { Party } from '../../protocol/trade/contract.ts'
import {
  type DealRecords,
  isReceiptOf,
  type LedgerRecords,
  type Missing,
  PIECES,
  type Piece,
  type SideRecords,
} from '../../protocol/trade/deal-records.ts'
import { type Deal, overGrid } from '../../protocol/trade/deal-state.ts'
import { signedCopy } from '../../protocol/trade/deal-step.ts'
import type { Receipt } from '../../protocol/trade/message.ts'
import type { LightAgent, Proven } from '../light/run.ts'
import type { DealRunner } from './deal-runner.ts'
import type { Receipts } from './receipts.ts'

/** A deal that is carried, or one as the journal has it. */
export type Gatherable = Pick<DealRunner, 'deal' | 'proven' | 'peerReceipt' | 'wasRestored'>

type Asked = Pick<LightAgent, 'pathTo' | 'prove'>

export interface GatherFrom {
  readonly light: Asked
  /** Undefined where no distribution ledger is followed. */
  readonly distribution: Asked | undefined
  readonly timers: Timers
  readonly receipts: Receipts
}

/** What nobody has proven yet is asked for so long, as whoever waits is a person at a page, or a command. */
const PROVE_WITHIN_MS = 3_000

type Gathered<T> = { readonly there: T } | { readonly why: Missing['why'] }

/** A deal that was over before the start: what was proven of it is in no journal, and is proven anew. */
export const asKept = (deal: Deal): Gatherable => ({
  deal: () => deal,
  proven: () => undefined,
  peerReceipt: () => deal.peerReceipt,
  wasRestored: () => true,
})

export async function gatherRecords(runner: Gatherable, from: GatherFrom): Promise<DealRecords> {
  const deal = runner.deal()
  const { role } = deal
  const peer: Party = role === 'seller' ? 'buyer' : 'seller'
  const [ledger, reservation] = await Promise.all([ledgerOf(runner, from), reservationOf(deal, from)])
  const receipt = await peerReceipt(runner, peer, ledger, from.receipts)
  const pieces: Readonly<Record<Piece, Gathered<unknown> | undefined>> = {
    [`${role}.signature`]: halfOf(deal.ownHalf),
    [`${peer}.signature`]: halfOf(deal.peerHalf),
    [`${role}.receipt`]: ownReceipt(deal),
    [`${peer}.receipt`]: receipt,
    ...{ ledger, reservation },
  } as Record<Piece, Gathered<unknown> | undefined>
  const sideOf = (party: Party, key: Uint8Array): SideRecords => ({
    key,
    ...as('half', pieces[`${party}.signature`] as Gathered<Uint8Array>),
    ...as('receipt', pieces[`${party}.receipt`] as Gathered<Receipt>),
  })
  return {
    contract: deal.bytes,
    seller: sideOf('seller', deal.sellerKey),
    buyer: sideOf('buyer', deal.buyerKey),
    ...as('ledger', ledger),
    ...(reservation === undefined ? {} : as('reservation', reservation)),
    missing: PIECES.flatMap(piece => {
      const found = pieces[piece]
      return found !== undefined && 'why' in found ? [{ piece, why: found.why }] : []
    }),
  }
}

const as = <K extends string, T>(name: K, found: Gathered<T>): { readonly [N in K]?: T } =>
  'there' in found ? ({ [name]: found.there } as { readonly [N in K]?: T }) : {}

const halfOf = (half: Uint8Array | undefined): Gathered<Uint8Array> =>
  half === undefined ? { why: 'not-signed' } : { there: half }

function ownReceipt({ begin, end }: Deal): Gathered<Receipt> {
  if (begin === undefined || end === undefined) return { why: 'not-metered' }
  return { there: { begin: signedCopy(begin), end: signedCopy(end) } }
}

/** One that the ledger did not take would only say that the other side handed two different ones out. */
async function peerReceipt(
  runner: Gatherable,
  peer: Party,
  ledger: Gathered<LedgerRecords>,
  receipts: Receipts,
): Promise<Gathered<Receipt>> {
  const read = 'there' in ledger ? decodeDealRecord(ledger.there.record) : undefined
  const record = read?.ok === true ? read.value : undefined
  const kept = runner.peerReceipt()
  if (kept !== undefined && (record === undefined || isReceiptOf(record, peer, kept))) return { there: kept }
  const handed = record && (await receipts.fromPeer(runner.deal(), record))
  if (handed !== undefined) return { there: handed }
  if (kept !== undefined) return { why: 'not-counted' }
  return { why: runner.wasRestored() ? 'not-kept' : 'not-handed' }
}

/** The ledger keeps closed deals, too: what was proven in an earlier life is proven once more. */
async function ledgerOf(runner: Gatherable, from: GatherFrom): Promise<Gathered<LedgerRecords>> {
  const proven = runner.proven() ?? (await proveNow(dealKey(runner.deal().hash), from.light, from.timers))
  return proven?.value === undefined ? { why: 'not-proven' } : { there: await shown(proven, proven.value, from.light) }
}

/** Reservations, too, are kept. Of a direct line's deal there is none. */
async function reservationOf(
  deal: Deal,
  { distribution, timers }: GatherFrom,
): Promise<Gathered<LedgerRecords> | undefined> {
  if (!overGrid(deal)) return undefined
  if (distribution === undefined) return { why: 'not-followed' }
  const proven = await proveNow(reservationKey(deal.hash), distribution, timers)
  if (proven === undefined) return { why: 'not-proven' }
  return proven.value === undefined
    ? { why: 'not-reserved' }
    : { there: await shown(proven, proven.value, distribution) }
}

const shown = async ({ proof, block }: Proven, record: Uint8Array, light: Asked): Promise<LedgerRecords> => ({
  path: await light.pathTo(block),
  record,
  proof,
})

function proveNow(key: string, light: Asked, timers: Timers): Promise<Proven | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = timers.after(PROVE_WITHIN_MS, () => resolve(undefined))
    light
      .prove(utf8(key))
      .finally(cancel)
      .then(proven => resolve(proven.ok ? proven.value : undefined), reject)
  })
}
