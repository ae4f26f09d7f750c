/** The feeder of grid.ts on two real ledgers that follow each other: deals on one, its lines on the other. */
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import { RESERVATIONS, type Reservation } from '../../../protocol/ledger/network-tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assembleFeeOffer, type FeeOffer, feeOfferToSign } from '../../../protocol/trade/fee-offer.ts'
import { members } from '../light/chain-maker.ts'
import { gridGenesis } from './grid.ts'
import { BEGIN, CHAIN_ID, operator, type Party, RICH, stranger } from './parties.ts'
import { anchorOf, Chain, distributor, followOf, NET_ID } from './two-ledgers.ts'

export const GRID_MARGIN_MS = 60_000
/** Of each line, per kWh. */
export const GRID_TARIFF = 10_000n

const peerOf = (chainId: string) => ({
  ...{ chainId, trustingPeriodMs: 86_400_000, maxClockDriftMs: 10_000, relayMarginMs: GRID_MARGIN_MS },
})

/**
 *     T --- F1 --- H-ada, H-ben        X --- H-lone (another tree)
 *       \-- F2 --- H-cem, H-dora
 */
const TREE: readonly (readonly [line: string, capacity: bigint, feeder?: string])[] = [
  ['T', 9000n],
  ['F1', 6000n, 'T'],
  ['F2', 6000n, 'T'],
  ['H-ada', 5000n, 'F1'],
  ['H-ben', 5000n, 'F1'],
  ['H-cem', 5000n, 'F2'],
  ['H-dora', 5000n, 'F2'],
  ['X', 5000n],
  ['H-lone', 5000n, 'X'],
]

export class GridLedgers {
  readonly energy: Chain
  readonly net: Chain

  constructor({ reserveOn = true }: { readonly reserveOn?: boolean } = {}) {
    const energyGenesis: Genesis = {
      ...gridGenesis,
      accounts: [...gridGenesis.accounts, { publicKey: distributor.publicKey, balance: RICH }],
      peers: [peerOf(NET_ID)],
      ...(reserveOn ? { reserveOn: NET_ID } : {}),
    }
    this.energy = new Chain(energyGenesis, () => members(4))
    const { accounts } = energyGenesis
    const roles = [{ role: 'distributor', holder: distributor.address }] as const
    const net: Genesis = { ...gridGenesis, chainId: NET_ID, accounts, meters: [], roles, peers: [peerOf(CHAIN_ID)] }
    this.net = new Chain(net, () => members(4, 100))
    this.until(BEGIN + 1000)
    for (const [on, other] of [
      [this.energy, this.net],
      [this.net, this.energy],
    ] as const) {
      on.take(operator, anchorOf(other.blocks[0]!))
      on.take(stranger, followOf(other.blocks[0]!))
    }
    const from = instant(BEGIN + 30_000)
    const lines: TxContent[] = TREE.flatMap(([line, capacity, feeder]) => [
      { kind: 'capacity', body: { line, energy: wattHours(capacity), ...(feeder === undefined ? {} : { feeder }) } },
      { kind: 'tariff', body: { line, from, price: microsPerKwh(GRID_TARIFF) } },
    ])
    for (const content of lines) this.net.take(distributor, content)
    this.until(BEGIN + 31_000)
  }

  /** An empty block on both, at this time or where a ledger is later already, a moment after its last. */
  until(time: number): void {
    for (const chain of [this.energy, this.net]) chain.block([], Math.max(1, time - chain.time))
  }

  /** The header and the proof of what is under a key of one ledger, the header brought to the other. */
  relay(from: Chain, key: string, by: Party = stranger): { readonly height: bigint; readonly proof: Uint8Array } {
    const to = from === this.energy ? this.net : this.energy
    const proven = from.prove(key)
    if (to.time < from.time) to.block([], from.time - to.time)
    to.take(by, followOf(from.blocks[Number(proven.height) - 1]!))
    return proven
  }

  reservation(contract: Uint8Array): Reservation | undefined {
    return this.net.record(RESERVATIONS, Buffer.from(contractHash(contract)).toString('hex'))
  }
}

/** A distributor's signed offer. */
export const offerOf = (offer: FeeOffer, by: Party = distributor): Uint8Array =>
  assembleFeeOffer(offer, by.publicKey, by.sign(feeOfferToSign(offer, by.publicKey)))

export const gridReserve = (contract: Uint8Array, offer?: Uint8Array, feeMost = 1_000_000n): TxContent => ({
  kind: 'reserve',
  body: { contract, feeMost: micros(feeMost), ...(offer === undefined ? {} : { offer }) },
})
