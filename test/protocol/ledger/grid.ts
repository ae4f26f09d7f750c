/** A feeder with four homes whose grid meters trade over it, and whatever they sign, for the tests of contracts with `to`. */
import { toHex } from '../../../protocol/bytes.ts'
import { type Audit, auditLedger } from '../../../protocol/ledger/audit.ts'
import type { DealRecord } from '../../../protocol/ledger/deal-record.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import { DEALS } from '../../../protocol/ledger/tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { type Contract, contractHash } from '../../../protocol/trade/contract.ts'
import { assert } from '../../harness.ts'
import {
  BEGIN,
  Bench,
  commitOf,
  contextOf,
  genesis,
  nameOf,
  operator,
  type Party,
  partyOf,
  RICH,
  readingOf,
  stranger,
  terms,
} from './parties.ts'

export interface Home {
  readonly owner: Party
  readonly meter: Party
  readonly meterId: string
  readonly node: string
}

const homeOf = (name: string): Home => ({
  owner: partyOf(`owner of ${name}`),
  meter: partyOf(`grid meter of ${name}`),
  meterId: `G-${name}`,
  node: `H-${name}`,
})

export const [ada, ben, cem, dora] = ['ada', 'ben', 'cem', 'dora'].map(homeOf) as [Home, Home, Home, Home]
const homes = [ada, ben, cem, dora] as const
export const regulator = partyOf('regulator')

export const gridGenesis: Genesis = {
  ...genesis,
  accounts: [operator, stranger, regulator, ...homes.map(({ owner }) => owner)].map(({ publicKey }) => ({
    publicKey,
    balance: RICH,
  })),
  meters: homes.map(({ owner, meter, meterId, node }) => ({
    ...{ meterId, owner: owner.address, line: node, publicKey: meter.publicKey },
  })),
  roles: [{ role: 'regulator', holder: regulator.address }],
}

/** Window number `n`, from 60 s after the beginning on: two minutes each. */
export const windowOf = (n: number): { readonly start: Instant; readonly end: Instant } => ({
  start: instant(BEGIN + 60_000 + 120_000 * n),
  end: instant(BEGIN + 180_000 + 120_000 * n),
})

let nonces = 0

/** A contract over the grid in window 0, 1000 Wh at 0.25, with changes. */
export function gridTerms(from: Home, to: Home, change: Partial<Contract> = {}): Contract {
  nonces++
  return {
    ...terms,
    ...{ seller: from.owner.address, sellerMeter: from.meterId, line: from.node },
    ...{ buyer: to.owner.address, buyerMeter: to.meterId, to: to.node },
    ...windowOf(0),
    energy: wattHours(1000n),
    nonce: Uint8Array.from({ length: 16 }, (_, i) => (nonces >> (8 * i)) & (i < 4 ? 255 : 0)),
    ...change,
  }
}

export const gridCommit = (from: Home, to: Home, change: Partial<Contract> = {}) =>
  commitOf(gridTerms(from, to, change), { seller: from.owner, buyer: to.owner })

export interface Registers {
  /** mWh. */
  readonly from?: bigint
  readonly to: bigint
  readonly beginAt?: number
  readonly endAt?: number
  /** The node that the readings name. */
  readonly line?: string
  readonly by?: Party
}

/** A home's receipt for a contract, over the whole of its window. */
export function gridReceipt(
  side: 'seller' | 'buyer',
  home: Home,
  { contract, start, end }: { readonly contract: Uint8Array; readonly start: number; readonly end: number },
  { from = 7_000_000n, to, beginAt = start, endAt = end, line = home.node, by = home.meter }: Registers,
): TxContent & { kind: 'receipt' } {
  const direction = side === 'seller' ? 'export' : 'import'
  const terms = { meterId: home.meterId, by, direction, contract, line } as const
  const context = contextOf(terms)
  const begin = readingOf(terms, context, { reason: 'begin', mWh: from, at: beginAt })
  const last = readingOf(terms, context, { reason: 'end', mWh: to, at: endAt, sequence: 60 })
  return { kind: 'receipt', body: { deal: contractHash(contract), begin, end: last, contexts: [context] } }
}

/** A committed contract, with what its receipts have to name. */
export interface Placed {
  readonly contract: Uint8Array
  readonly start: number
  readonly end: number
  readonly from: Home
  readonly to: Home
}

/** A ledger of the feeder; every block keeps its books. */
export class Feeder extends Bench {
  constructor(from: Genesis = gridGenesis) {
    super(from)
  }

  /** A transaction that has to be taken. */
  take(by: Party, content: TxContent): void {
    const outcome = this.send(by, content)
    assert.is(nameOf(outcome), 'taken', `${content.kind}: ${outcome.log}`)
    this.books()
  }

  place(from: Home, to: Home, change: Partial<Contract> = {}): Placed {
    const commit = gridCommit(from, to, change)
    this.take(to.owner, commit)
    const { start, end } = { ...windowOf(0), ...change }
    return { contract: commit.body.contract, start, end, from, to }
  }

  hand(side: 'seller' | 'buyer', placed: Placed, wh: bigint, change: Partial<Registers> = {}): void {
    const home = side === 'seller' ? placed.from : placed.to
    const from = change.from ?? 7_000_000n
    this.take(home.owner, gridReceipt(side, home, placed, { to: from + wh * 1000n, ...change }))
  }

  until(time: number): void {
    this.block([], time - this.time)
    this.books()
  }

  dealOf({ contract }: Placed): DealRecord {
    return this.record(DEALS, toHex(contractHash(contract)))!
  }

  books(): Audit {
    const books = auditLedger(this.app.entries(this.app.height)!)
    assert.equal(books.problems, [])
    assert.is(books.money.residue, 0n)
    return books
  }
}

export const RECEIPT_BY = windowOf(0).end + terms.receiptWindowMs
export const SETTLE_BY = RECEIPT_BY + terms.disputeWindowMs
