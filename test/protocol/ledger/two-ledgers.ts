/** An energy ledger and a distribution ledger that follow each other by real headers, each signed by validators of its own. */
import { utf8 } from '../../../protocol/bytes.ts'
import { hashData, NO_EVIDENCE_HASH } from '../../../protocol/chain/block.ts'
import { chainTime } from '../../../protocol/chain/chain-time.ts'
import { hashCommit } from '../../../protocol/chain/commit.ts'
import { NO_BLOCK } from '../../../protocol/chain/header.ts'
import type { Header, LightBlock } from '../../../protocol/chain/light-block.ts'
import { encodeLightBlock } from '../../../protocol/chain/light-block-proto.ts'
import { hashValidators } from '../../../protocol/chain/validators.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { TxOutcome } from '../../../protocol/ledger/app.ts'
import { type Audit, auditLedger } from '../../../protocol/ledger/audit.ts'
import { dealKey } from '../../../protocol/ledger/deal-record.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import {
  PEERS,
  type Peer,
  RESERVATIONS,
  type Reservation,
  reservationKey,
} from '../../../protocol/ledger/network-tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert } from '../../harness.ts'
import { type Member, members, seal, setOf } from '../light/chain-maker.ts'
import {
  BEGIN,
  Bench,
  buyer,
  CHAIN_ID,
  FEE,
  genesis,
  nameOf,
  operator,
  type Party,
  partyOf,
  RICH,
  receiptOf,
  seller,
  sideOf,
  signTx,
  stranger,
  type TxTerms,
  terms,
  verifier,
} from './parties.ts'

export const NET_ID = 'tieline-net-1'
export const distributor = partyOf('distributor')
export const MARGIN_MS = 600_000
export const TRUSTING_MS = 86_400_000
/** What the line costs per kWh, and its feeder. */
const LINE_PRICE = 20_000n
const FEEDER_PRICE = 5_001n
/** What the sample contract costs on the distribution ledger: 2 kWh on both, rounded up. */
export const LINE_FEE = (2000n * (LINE_PRICE + FEEDER_PRICE) + 999n) / 1000n

const peerOf = (chainId: string) => ({
  ...{ chainId, trustingPeriodMs: TRUSTING_MS, maxClockDriftMs: 10_000, relayMarginMs: MARGIN_MS },
})

const netGenesis: Genesis = {
  ...genesis,
  chainId: NET_ID,
  accounts: [...genesis.accounts, { publicKey: distributor.publicKey, balance: RICH }],
  meters: [],
  roles: [{ role: 'distributor', holder: distributor.address }],
  peers: [peerOf(CHAIN_ID)],
}

/** A ledger whose blocks are real: headers that chain, hashed and signed. */
export class Chain extends Bench {
  readonly chainId: string
  /** Blocks 1 and on, at index height - 1. */
  readonly blocks: LightBlock[] = []
  private readonly group: (height: number) => readonly Member[]

  constructor(from: Genesis, group: (height: number) => readonly Member[]) {
    super(from)
    this.chainId = from.chainId
    this.group = group
  }

  header(txs: readonly Uint8Array[], time: number): Header {
    const height = Number(this.app.height) + 1
    const last = this.blocks.at(-1)
    const validators = setOf(this.group(height))
    return {
      version: { block: 11n, app: 1n },
      chainId: this.chainId,
      height: BigInt(height),
      time: chainTime(instant(time)),
      lastBlockId: last?.commit.blockId ?? NO_BLOCK,
      lastCommitHash: last === undefined ? NO_EVIDENCE_HASH : hashCommit(last.commit),
      dataHash: hashData(txs),
      validatorsHash: hashValidators(validators),
      nextValidatorsHash: hashValidators(setOf(this.group(height + 1))),
      consensusHash: sha256(new Uint8Array(0)),
      appHash: this.app.appHash,
      lastResultsHash: NO_EVIDENCE_HASH,
      evidenceHash: NO_EVIDENCE_HASH,
      proposerAddress: validators[0]!.address,
    }
  }

  override block(txs: readonly Uint8Array[], afterMs = 1000): readonly TxOutcome[] {
    this.time += afterMs
    const made = seal(this.header(txs, this.time), this.group(Number(this.app.height) + 1))
    const { height } = made.header
    const at = { height, time: instant(this.time), hash: made.commit.blockId.hash }
    const results = this.execute({ ...at, txs, misbehaved: [], verifier })
    this.blocks.push(made)
    return results
  }

  override send(sender: Party, content: TxContent, change: TxTerms = {}): TxOutcome {
    const sequence = change.sequence ?? this.sequence(sender)
    return this.block([signTx(sender, sequence, content, { chainId: this.chainId, ...change })])[0]!
  }

  /** A transaction that has to be taken. */
  take(sender: Party, content: TxContent): void {
    const outcome = this.send(sender, content)
    assert.is(nameOf(outcome), 'taken', `${content.kind}: ${outcome.log}`)
  }

  /** Another block of a height that this chain has, signed by the same validators. */
  fork(height: bigint, appHash = sha256(utf8('another history'))): LightBlock {
    const { header } = this.blocks[Number(height) - 1]!
    return seal({ ...header, appHash }, this.group(Number(height)))
  }

  /** What is under a key now, or that nothing is, with the header (a new one) under which that is proven. */
  prove(key: string): { readonly height: bigint; readonly proof: Uint8Array } {
    const at = this.app.height
    this.block([], 1)
    return { height: at + 1n, proof: this.app.query(utf8(key), at)!.proof }
  }

  peer(): Peer {
    return this.record(PEERS, this.chainId === NET_ID ? CHAIN_ID : NET_ID)!
  }

  books(): Audit {
    const books = auditLedger(this.app.entries(this.app.height)!)
    assert.equal(books.problems, [])
    assert.is(books.money.residue, 0n)
    return books
  }
}

export const followOf = (block: LightBlock): TxContent & { kind: 'follow' } => ({
  kind: 'follow',
  body: { block: encodeLightBlock(block) },
})

export const anchorOf = (block: LightBlock): TxContent => ({
  kind: 'anchor',
  body: {
    chainId: block.header.chainId,
    anchor: { height: block.header.height, hash: block.commit.blockId.hash },
  },
})

export interface StreetPlan {
  readonly reserveOn?: boolean
  readonly energyGroup?: (height: number) => readonly Member[]
  /** No lines, tariffs and anchors yet. */
  readonly bare?: boolean
  /** How the energy ledger sees the other one. */
  readonly seen?: Partial<ReturnType<typeof peerOf>>
}

/** Two ledgers that tick together, anchored in each other, with line L1 on feeder F1: 5 kWh and 6 kWh a slot. */
export class Street {
  readonly energy: Chain
  readonly net: Chain

  constructor({ reserveOn = true, energyGroup = () => members(4), bare = false, seen = {} }: StreetPlan = {}) {
    const from: Genesis = { ...genesis, peers: [{ ...peerOf(NET_ID), ...seen }] }
    this.energy = new Chain(reserveOn ? { ...from, reserveOn: NET_ID } : from, energyGroup)
    this.net = new Chain(netGenesis, () => members(4, 100))
    this.pass(1000)
    if (bare) return
    for (const [on, other] of this.sides()) {
      on.take(operator, anchorOf(other.blocks[0]!))
      on.take(stranger, followOf(other.blocks[0]!))
    }
    const tariffFrom = instant(BEGIN + 20_000)
    const { net } = this
    net.take(distributor, { kind: 'capacity', body: { line: 'F1', energy: wattHours(6000n) } })
    net.take(distributor, { kind: 'capacity', body: { line: 'L1', energy: wattHours(5000n), feeder: 'F1' } })
    net.take(distributor, { kind: 'tariff', body: { line: 'F1', from: tariffFrom, price: microsPerKwh(FEEDER_PRICE) } })
    net.take(distributor, { kind: 'tariff', body: { line: 'L1', from: tariffFrom, price: microsPerKwh(LINE_PRICE) } })
    this.until(BEGIN + 25_000)
  }

  sides() {
    return [
      [this.energy, this.net],
      [this.net, this.energy],
    ] as const
  }

  pass(ms: number): void {
    this.until(Math.max(this.energy.time, this.net.time) + ms)
  }

  /** An empty block at this time on both. */
  until(time: number): void {
    for (const chain of [this.energy, this.net]) chain.block([], time - chain.time)
  }

  /** Brings a proof from one ledger to the other: first the header, by a stranger, then what is proven under it. */
  relay(from: Chain, key: string): { readonly height: bigint; readonly proof: Uint8Array } {
    const to = from === this.energy ? this.net : this.energy
    const proven = from.prove(key)
    if (to.time < from.time) to.block([], from.time - to.time)
    to.take(stranger, followOf(from.blocks[Number(proven.height) - 1]!))
    return proven
  }

  reservation(contract: Uint8Array): Reservation | undefined {
    return this.net.record(RESERVATIONS, Buffer.from(contractHash(contract)).toString('hex'))
  }

  /** Both sides' receipts over so many Wh, inside the contract's window. */
  deliver(contract: Uint8Array, wh: bigint): void {
    this.energy.take(seller, receiptOf(sideOf('seller', contract), wh * 1000n))
    this.energy.take(buyer, receiptOf(sideOf('buyer', contract), wh * 1000n))
  }
}

export const reserveOf = (contract: Uint8Array, feeMost = LINE_FEE): TxContent & { kind: 'reserve' } => ({
  kind: 'reserve',
  body: { contract, feeMost: micros(feeMost) },
})

export const netKey = (contract: Uint8Array): string => reservationKey(contractHash(contract))
export const energyKey = (contract: Uint8Array): string => dealKey(contractHash(contract))
export const AFTER_WINDOW = terms.end + 1000
export { FEE }
