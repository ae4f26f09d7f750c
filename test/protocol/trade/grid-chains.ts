/**
 * An energy ledger and a distribution ledger for deals over the grid: meters at nodes L1 and L2 below feeder F1, tariffs on all
 * three, each ledger anchored in the other; their mempools, and what a light client may believe of them.
 */
import { utf8 } from '../../../protocol/bytes.ts'
import { instantOf } from '../../../protocol/chain/chain-time.ts'
import { SMT_SPEC, verifyMembership, verifyNonMembership } from '../../../protocol/chain/ics23.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import { FOLLOWED } from '../../../protocol/ledger/network-tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import {
  BEGIN,
  buyer,
  CHAIN_ID,
  genesis,
  nameOf,
  operator,
  type Party,
  partyOf,
  RICH,
  seller,
  signTx,
  stranger,
  verifier,
} from '../ledger/parties.ts'
import { anchorOf, Chain, distributor, followOf, NET_ID } from '../ledger/two-ledgers.ts'
import { members } from '../light/chain-maker.ts'

export const MARGIN_MS = 60_000
/** When the parties agree; the ledgers are set up before. */
const AGREED = BEGIN + 20_000
export const METERS = { seller: partyOf('seller grid meter'), buyer: partyOf('buyer grid meter') }
const LINE_PRICE = 10_000n

const peerOf = (chainId: string) => ({
  ...{ chainId, trustingPeriodMs: 86_400_000, maxClockDriftMs: 10_000, relayMarginMs: MARGIN_MS },
})
const energyGenesis: Genesis = {
  ...genesis,
  meters: [
    { meterId: 'GS-1', owner: seller.address, line: 'L1', publicKey: METERS.seller.publicKey },
    { meterId: 'GB-1', owner: buyer.address, line: 'L2', publicKey: METERS.buyer.publicKey },
  ],
  accounts: [...genesis.accounts, { publicKey: distributor.publicKey, balance: RICH }],
  peers: [peerOf(NET_ID)],
  reserveOn: NET_ID,
}
const netGenesis: Genesis = {
  ...genesis,
  chainId: NET_ID,
  accounts: [...genesis.accounts, { publicKey: distributor.publicKey, balance: RICH }],
  meters: [],
  roles: [{ role: 'distributor', holder: distributor.address }],
  peers: [peerOf(CHAIN_ID)],
}

export class GridChains {
  readonly energy: Chain
  readonly net: Chain
  /** Transactions that a mempool took and a block refused. */
  readonly refusals: string[] = []
  /** Transactions that were handed in, by ledger and kind. */
  readonly handedIn: string[] = []
  time = BEGIN
  /** When anybody last did anything. */
  protected stirred = 0
  private readonly pools = new Map<Chain, Uint8Array[]>()
  private readonly senders = new WeakMap<Uint8Array, string>()

  /** `lax`: the energy ledger does not ask for a reservation. */
  constructor(lax: boolean) {
    const { reserveOn: _, ...free } = energyGenesis
    this.energy = new Chain(lax ? free : energyGenesis, () => members(1))
    this.net = new Chain(netGenesis, () => members(1, 100))
    this.setUp()
  }

  private setUp(): void {
    const { energy, net } = this
    for (const chain of [energy, net]) chain.block([], 1000)
    const from = instant(BEGIN + 10_000)
    const put = (chain: Chain, contents: readonly (readonly [Party, TxContent])[]) => {
      const txs = contents.map(([sender, content], i) => {
        const earlier = contents.slice(0, i).filter(([other]) => other === sender).length
        return signTx(sender, chain.sequence(sender) + BigInt(earlier), content, { chainId: chain.chainId })
      })
      for (const outcome of chain.block(txs)) if (outcome.code !== 0) throw new Error(outcome.log)
    }
    put(energy, [
      [operator, anchorOf(net.blocks[0]!)],
      [stranger, followOf(net.blocks[0]!)],
    ])
    const tariff = (line: string) =>
      [distributor, { kind: 'tariff', body: { line, from, price: microsPerKwh(LINE_PRICE) } }] as const
    const line = (name: string) =>
      [distributor, { kind: 'capacity', body: { line: name, energy: wattHours(1000n), feeder: 'F1' } }] as const
    put(net, [
      [operator, anchorOf(energy.blocks[0]!)],
      [stranger, followOf(energy.blocks[0]!)],
      [distributor, { kind: 'capacity', body: { line: 'F1', energy: wattHours(1000n) } }],
      line('L1'),
      line('L2'),
      tariff('F1'),
      tariff('L1'),
      tariff('L2'),
    ])
    this.time = AGREED
    this.blocks()
  }

  /** Into the mempool, or the name of the refusal. */
  handIn(chain: Chain, sender: Party, content: TxContent): string | undefined {
    const pool = this.pools.get(chain) ?? []
    this.pools.set(chain, pool)
    const waiting = pool.filter(tx => this.senders.get(tx) === sender.id).length
    const tx = signTx(sender, chain.sequence(sender) + BigInt(waiting), content, { chainId: chain.chainId })
    const outcome = chain.app.checkTx(tx, verifier)
    if (outcome.code !== 0) return nameOf(outcome)
    this.senders.set(tx, sender.id)
    pool.push(tx)
    this.handedIn.push(`${chain === this.energy ? 'energy' : 'net'} ${content.kind}`)
    this.stirred = this.time
    return undefined
  }

  /** Brings a header of one ledger to the other, where it is not there yet. */
  protected follow(from: Chain, to: Chain, sender: Party, height: bigint): void {
    if (to.record(FOLLOWED, `${from.chainId}/${height}`) !== undefined) return
    this.handIn(to, sender, followOf(from.blocks[Number(height) - 1]!))
  }

  protected blocks(): void {
    for (const chain of [this.energy, this.net]) {
      const pool = this.pools.get(chain) ?? []
      this.pools.set(chain, [])
      for (const outcome of chain.block(pool, this.time - chain.time)) {
        if (outcome.code !== 0) this.refusals.push(nameOf(outcome))
      }
    }
  }

  /** What is under a key by the newest header, checked as a light client does. */
  protected prove(chain: Chain, key: string, shown?: (proof: Uint8Array) => Uint8Array) {
    const height = chain.app.height
    const { value, proof: real } = chain.app.query(utf8(key), height - 1n)!
    const proof = shown === undefined ? real : shown(real)
    const { header } = chain.blocks[Number(height) - 1]!
    const checked =
      value === undefined
        ? verifyNonMembership(SMT_SPEC, header.appHash, proof, utf8(key))
        : verifyMembership(SMT_SPEC, header.appHash, proof, utf8(key), value)
    return { value, height, proof, fault: checked.ok ? undefined : checked.fault, time: instantOf(header.time) }
  }

  /** All that a party has on the energy ledger, but for some fees, goes to the operator. */
  impoverish(party: Party): void {
    const amount = micros(this.energy.account(party).balance - 1000n)
    this.handIn(this.energy, party, { kind: 'transfer', body: { to: operator.address, amount } })
  }

  protected waiting(): boolean {
    return [...this.pools.values()].some(pool => pool.length > 0)
  }
}
