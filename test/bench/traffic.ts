/** Blocks of signed transactions for bench:ledger: pairs of neighbours that pay each other, or sell each other whole days. */
import { createApp, type LedgerApp } from '../../protocol/ledger/app.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import { micros, wattHours } from '../../protocol/quantity.ts'
import { instant } from '../../protocol/time.ts'
import { type Contract, encodeContract } from '../../protocol/trade/contract.ts'
import { BEGIN, commitOf, genesis, type Party, partyOf, receiptOf, signTx, terms } from '../protocol/ledger/parties.ts'

export interface Block {
  /** Milliseconds after the genesis time. */
  readonly at: number
  readonly txs: readonly Uint8Array[]
}

export interface Traffic {
  readonly genesis: Genesis
  readonly transfers: readonly Block[]
  readonly commits: readonly Block[]
  /** Both sides' receipts for all that `commits` locks; each deal settles in its block. */
  readonly receipts: readonly Block[]
  readonly deals: number
}

const DAY_MS = 86_400_000
/** A quarter of an hour each. */
export const SLOTS_A_DAY = 96
const DAYS = 2

interface Pair {
  readonly line: string
  readonly seller: Party
  readonly buyer: Party
  readonly sellerMeter: Party
  readonly buyerMeter: Party
}

const pairOf = (n: number): Pair => ({
  line: `L-${n}`,
  seller: partyOf(`seller ${n}`),
  buyer: partyOf(`buyer ${n}`),
  sellerMeter: partyOf(`seller meter ${n}`),
  buyerMeter: partyOf(`buyer meter ${n}`),
})

const dayBegins = (day: number): number => BEGIN + 60_000 + day * DAY_MS

const contractOf = (pair: Pair, n: number, day: number): Contract => ({
  ...terms,
  line: pair.line,
  seller: pair.seller.address,
  buyer: pair.buyer.address,
  sellerMeter: `S-${n}`,
  buyerMeter: `B-${n}`,
  start: instant(dayBegins(day)),
  end: instant(dayBegins(day + 1)),
  energy: wattHours(24_000n),
  nonce: Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? day : 7)),
})

function receiptsOf(pair: Pair, n: number, day: number): readonly Uint8Array[] {
  const contract = encodeContract(contractOf(pair, n, day))
  const begin = { at: dayBegins(day) + 1000 }
  const end = { at: dayBegins(day + 1) - 1000 }
  return [
    { who: pair.seller, by: pair.sellerMeter, meterId: `S-${n}`, direction: 'export' as const, sequence: 0n },
    { who: pair.buyer, by: pair.buyerMeter, meterId: `B-${n}`, direction: 'import' as const, sequence: BigInt(DAYS) },
  ].map(({ who, by, meterId, direction, sequence }) => {
    const side = { meterId, by, direction, contract, line: pair.line }
    return signTx(who, sequence + BigInt(day), receiptOf(side, 23_500_000n, { begin, end }))
  })
}

const days = <T>(make: (day: number) => T): readonly T[] => Array.from({ length: DAYS }, (_, day) => make(day))

export function makeTraffic(pairs: number): Traffic {
  const street = Array.from({ length: pairs }, (_, n) => pairOf(n))
  const everybody = street.flatMap(({ seller, buyer }) => [seller, buyer])
  return {
    genesis: {
      ...genesis,
      accounts: [
        ...genesis.accounts,
        ...everybody.map(({ publicKey }) => ({ publicKey, balance: micros(1_000_000_000n) })),
      ],
      meters: street.flatMap(({ line, seller, buyer, sellerMeter, buyerMeter }, n) => [
        { meterId: `S-${n}`, owner: seller.address, line, publicKey: sellerMeter.publicKey },
        { meterId: `B-${n}`, owner: buyer.address, line, publicKey: buyerMeter.publicKey },
      ]),
    },
    transfers: [0n, 1n, 2n, 3n].map(sequence => ({
      at: 1000 * (Number(sequence) + 1),
      txs: everybody.map((from, i) => {
        const body = { to: everybody[i ^ 1]!.address, amount: micros(1n) }
        return signTx(from, sequence, { kind: 'transfer', body })
      }),
    })),
    commits: days(day => ({
      at: 1000 * (day + 1),
      txs: street.map((pair, n) => signTx(pair.buyer, BigInt(day), commitOf(contractOf(pair, n, day), pair))),
    })),
    receipts: days(day => ({
      at: dayBegins(day + 1) - BEGIN + 1000,
      txs: street.flatMap((pair, n) => receiptsOf(pair, n, day)),
    })),
    deals: pairs * DAYS,
  }
}

/** A ledger on which `blocks` have happened, their signatures taken for good. */
export function ledgerAfter(traffic: Traffic, blocks: readonly Block[]): LedgerApp {
  const app = createApp(traffic.genesis)
  for (const block of blocks) {
    app.finalizeBlock({ ...inputOf(app, block), verifier: { verify: () => true } })
    app.commit()
  }
  return app
}

/** The block as the next one of `app`; its header has no say in what it costs. */
export const inputOf = (app: LedgerApp, { at, txs }: Block) => ({
  height: app.height + 1n,
  time: instant(BEGIN + at),
  hash: new Uint8Array(32).fill(Number(app.height & 255n)),
  txs,
  misbehaved: [],
})
