/**
 * Two real ledgers and whoever wants to cheat on them: every transaction is really signed, stands in a block of its own, and
 * is taken or refused by the ledger's own name for it.
 */
import { createProducer, type Producer } from '../../agent/validator/producer.ts'
import { createSigner, type MemorySigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { drainMicrotasks } from '../../drivers/drain.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { encodeLightBlock } from '../../protocol/chain/light-block-proto.ts'
import { assemble, envelopeHash, kidOf, parseSign1, protectedHeader, toBeSigned } from '../../protocol/crypto/cose.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import { type DealRecord, dealKey, decodeDealRecord } from '../../protocol/ledger/deal-record.ts'
import { REFUSAL_CODES, type RefusalCode } from '../../protocol/ledger/fault.ts'
import type { Genesis } from '../../protocol/ledger/genesis.ts'
import type { Role } from '../../protocol/ledger/rules/roles.ts'
import { accountId } from '../../protocol/ledger/state.ts'
import type { Table } from '../../protocol/ledger/table.ts'
import { ACCOUNTS, type Account } from '../../protocol/ledger/tables.ts'
import { buildTx, type TxContent } from '../../protocol/ledger/tx.ts'
import { micros, microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { CONTEXT_PURPOSE, encodeContext } from '../../protocol/reading/context.ts'
import { encodeReading, READING_PURPOSE } from '../../protocol/reading/reading.ts'
import { decodeAs } from '../../protocol/record.ts'
import { must } from '../../protocol/result.ts'
import { type Instant, later } from '../../protocol/time.ts'
import {
  assembleSignedContract,
  type Contract,
  contractHash,
  contractToSign,
  encodeContract,
} from '../../protocol/trade/contract.ts'
import { createSimTime } from '../sim/clock.ts'
import { ORIGIN_MS, trustIn } from '../sim/street-run.ts'

const FEE = micros(100n)
const RICH = micros(100_000_000n)
const BELIEF = { trustingPeriodMs: 86_400_000, maxClockDriftMs: 10_000, relayMarginMs: 600_000 }
export const LAB_ENERGY = 'lab-energy'
export const LAB_GRID = 'lab-grid'

/** Everybody, and the role in which the ledger knows them. */
const CAST = {
  operator: undefined,
  seller: undefined,
  buyer: undefined,
  stranger: undefined,
  regulator: 'regulator',
  distributor: 'distributor',
  store: 'storage',
  aggregator: 'aggregator',
  issuer: 'issuer',
  community: 'community',
} as const satisfies Readonly<Record<string, Role | undefined>>
export type LabParty = keyof typeof CAST
export const CAST_NAMES = Object.keys(CAST) as readonly LabParty[]

export type Verdict = RefusalCode | 'taken'

export interface Lab {
  readonly energy: Producer
  readonly grid: Producer
  now(): Instant
  /** Both ledgers come to this time, with an empty block. */
  until(time: number): Promise<void>
  keyOf(party: LabParty | 'seller meter' | 'buyer meter'): MemorySigner
  addressOf(party: LabParty): Uint8Array
  /** One transaction in a block of its own. */
  send(on: Producer, by: LabParty, content: TxContent, change?: TxChange): Promise<Verdict>
  record<T>(on: Producer, table: Table<T>, id: string): T | undefined
  deal(contract: Uint8Array): DealRecord | undefined
  balance(party: LabParty): bigint
  /** What is under a key, or that nothing is, with the header under which that is proven; the header is brought to `to`. */
  prove(from: Producer, to: Producer, key: string): Promise<{ readonly height: bigint; readonly proof: Uint8Array }>
}

export interface TxChange {
  readonly sequence?: bigint
  readonly chainId?: string
  readonly signedBy?: MemorySigner
}

/** `reserved`: the energy ledger takes no deal over the grid without capacity on the other one. */
export async function openLab(): Promise<Lab> {
  const time = createSimTime(ORIGIN_MS, drainMicrotasks)
  const { clock, timers } = time
  const verifier = createVerifier()
  const keys = new Map<string, MemorySigner>()
  const keyOf = (party: string): MemorySigner => {
    const known = keys.get(party) ?? createSigner(sha256(utf8(`lab ${party}`)))
    keys.set(party, known)
    return known
  }
  const address = (party: LabParty) => addressOf(keyOf(party).publicKey)
  const common = {
    time: clock.now(),
    fee: FEE,
    feeAccount: address('operator'),
    operator: address('operator'),
    accounts: CAST_NAMES.map(party => ({ publicKey: keyOf(party).publicKey, balance: RICH })),
    roles: CAST_NAMES.flatMap(party => {
      const role: Role | undefined = CAST[party]
      return role === undefined ? [] : [{ role, holder: address(party) }]
    }),
  }
  const meterOf = (meterId: string, owner: LabParty, line: string, key: string) => ({
    meterId,
    owner: address(owner),
    line,
    publicKey: keyOf(key).publicKey,
  })
  const energyGenesis: Genesis = {
    ...common,
    chainId: LAB_ENERGY,
    meters: [
      meterOf('S-1', 'seller', 'elm', 'seller meter'),
      meterOf('B-1', 'buyer', 'oak', 'buyer meter'),
      meterOf('X-1', 'stranger', 'oak', 'stranger meter'),
    ],
    peers: [{ chainId: LAB_GRID, ...BELIEF }],
    reserveOn: LAB_GRID,
    sellerProves: true,
  }
  const gridGenesis: Genesis = {
    ...common,
    chainId: LAB_GRID,
    meters: [],
    peers: [{ chainId: LAB_ENERGY, ...BELIEF }],
  }
  const produce = (genesis: Genesis) =>
    createProducer({
      genesis,
      signers: [0, 1, 2, 3].map(n => keyOf(`${genesis.chainId} validator ${n}`)),
      clock,
      timers,
      verifier,
    })
  const energy = produce(energyGenesis)
  const grid = produce(gridGenesis)

  async function until(at: number): Promise<void> {
    if (at > clock.now()) await time.advance(at - clock.now())
    // A block's time is that of the votes for the one before: the second one knows what time it is.
    for (const producer of [energy, grid, energy, grid]) await producer.produce()
  }

  const record = <T>(on: Producer, table: Table<T>, id: string): T | undefined => {
    const value = on.query(utf8(table.prefix + id), on.status().height)?.value
    return value === undefined ? undefined : must(decodeAs(table.codec, value, table.prefix, value.length))
  }
  const account = (on: Producer, party: LabParty): Account => record(on, ACCOUNTS, accountId(address(party)))!

  async function send(on: Producer, by: LabParty, content: TxContent, change: TxChange = {}): Promise<Verdict> {
    const { signedBy = keyOf(by), chainId = on.genesis.chainId, sequence = account(on, by).sequence } = change
    const tx = buildTx(
      { ...content, chainId, sender: address(by), sequence, fee: FEE, expiry: on.status().height + 1_000n },
      signedBy.publicKey,
    )
    const submitted = on.submit(tx.withSignature(signedBy.signNow(tx.toSign)))
    await time.advance(1_000)
    await on.produce()
    if (submitted.kind !== 'checked') throw new Error(`the lab's ledger says ${submitted.kind}`)
    // What counts is the block; the mempool only asks first.
    const place = on.tx(submitted.hash)
    const { code } = place?.block.results[place.index] ?? submitted.outcome
    if (code === 0) return 'taken'
    return (Object.keys(REFUSAL_CODES) as RefusalCode[]).find(name => REFUSAL_CODES[name] === code)!
  }

  const lab: Lab = {
    energy,
    grid,
    now: clock.now,
    until,
    keyOf,
    addressOf: address,
    send,
    record,
    deal(contract) {
      const value = energy.query(utf8(dealKey(contractHash(contract))), energy.status().height)?.value
      return value === undefined ? undefined : must(decodeDealRecord(value))
    },
    balance: party => account(energy, party).balance,
    async prove(from, to, key) {
      const at = from.status().height
      await time.advance(1_000)
      await from.produce()
      const block = from.lightBlock(at + 1n)!
      await to.produce()
      const verdict = await send(to, 'operator', { kind: 'follow', body: { block: encodeLightBlock(block) } })
      if (verdict !== 'taken') throw new Error(`the lab's header is refused: ${verdict}`)
      return { height: at + 1n, proof: from.query(utf8(key), at)!.proof }
    },
  }
  await until(clock.now() + 1_000)
  for (const [here, there] of [
    [energy, grid],
    [grid, energy],
  ] as const) {
    const body = { chainId: there.genesis.chainId, anchor: trustIn(there) }
    await send(here, 'operator', { kind: 'anchor', body })
    // Belief begins at the anchor's own header.
    await send(here, 'operator', { kind: 'follow', body: { block: encodeLightBlock(there.lightBlock(1n)!) } })
  }
  for (const [line, feeder] of [
    ['town', undefined],
    ['elm', 'town'],
    ['oak', 'town'],
  ] as const) {
    const energyOf = { line, energy: wattHours(5_000n), ...(feeder === undefined ? {} : { feeder }) }
    await send(grid, 'distributor', { kind: 'capacity', body: energyOf })
    const tariff = { line, from: later(clock.now(), 5_000), price: microsPerKwh(10_000n) }
    await send(grid, 'distributor', { kind: 'tariff', body: tariff })
  }
  await until(clock.now() + 10_000)
  return lab
}

/** 2 kWh over the grid at 0.25, in a minute's time, for a minute. */
export const labContract = (lab: Lab, change: Partial<Contract> = {}): Contract => ({
  chainId: LAB_ENERGY,
  line: 'elm',
  to: 'oak',
  seller: lab.addressOf('seller'),
  buyer: lab.addressOf('buyer'),
  sellerMeter: 'S-1',
  buyerMeter: 'B-1',
  start: later(lab.now(), 60_000),
  end: later(lab.now(), 120_000),
  energy: wattHours(2_000n),
  price: microsPerKwh(250_000n),
  lossPermille: 20,
  receiptWindowMs: 60_000,
  disputeWindowMs: 60_000,
  nonce: sha256(utf8(`nonce ${lab.now()}`)).subarray(0, 16),
  ...change,
})

const halfBy = (lab: Lab, contract: Uint8Array, party: LabParty): Uint8Array => {
  const key = lab.keyOf(party)
  return assembleSignedContract(contract, key.publicKey, key.signNow(contractToSign(contract, key.publicKey)))
}

export const labCommit = (
  lab: Lab,
  contract: Contract,
  reservation?: { readonly height: bigint; readonly proof: Uint8Array },
  by: { readonly seller?: LabParty; readonly buyer?: LabParty } = {},
): TxContent => {
  const bytes = encodeContract(contract)
  const sellerSign1 = halfBy(lab, bytes, by.seller ?? 'seller')
  const buyerSign1 = halfBy(lab, bytes, by.buyer ?? 'buyer')
  const body = { contract: bytes, sellerSign1, buyerSign1 }
  return { kind: 'commit', body: reservation === undefined ? body : { ...body, reservation } }
}

/** It names the key of `by`, which signs it where nobody else does. */
function envelope(
  lab: Lab,
  payload: Uint8Array,
  purpose: Uint8Array,
  by: 'seller meter' | 'buyer meter',
  signer: LabParty | 'seller meter' | 'buyer meter' = by,
): Uint8Array {
  const header = protectedHeader('EdDSA', kidOf('EdDSA', lab.keyOf(by).publicKey))
  return assemble(header, payload, lab.keyOf(signer).signNow(toBeSigned(header, payload, purpose)))
}

export interface LabReceipt {
  readonly side: 'seller' | 'buyer'
  readonly wh: bigint
  /** What the register stood at before, in Wh. */
  readonly from?: bigint
  readonly signedBy?: 'seller meter' | 'buyer meter'
  /** Signs the readings in the meter's name, under the context record that the meter itself has signed. */
  readonly forgedBy?: LabParty
  readonly session?: Uint8Array
  readonly beginAt?: number
  readonly endAt?: number
  readonly sequence?: number
}

/** One side's receipt, signed by its meter. */
export function labReceipt(lab: Lab, contract: Contract, receipt: LabReceipt): TxContent {
  const { side, wh, from = 7_000n, sequence = 5 } = receipt
  const { signedBy = side === 'seller' ? 'seller meter' : 'buyer meter' } = receipt
  const hash = contractHash(encodeContract(contract))
  const meterId = side === 'seller' ? contract.sellerMeter : contract.buyerMeter
  const direction = side === 'seller' ? ('export' as const) : ('import' as const)
  const context = envelope(
    lab,
    encodeContext({
      device: Uint8Array.of(1, ...new Uint8Array(16)),
      meterId,
      page: 'lab',
      software: new Uint8Array(32),
      key: lab.keyOf(signedBy).publicKey,
      trust: 'software',
      timeSource: 'ntp',
      clockSets: 0,
      boot: 1,
    }),
    CONTEXT_PURPOSE,
    signedBy,
  )
  const reading = (reason: 'begin' | 'end', value: bigint, at: number, number: number) =>
    envelope(
      lab,
      encodeReading({
        context: envelopeHash(must(parseSign1(context)), CONTEXT_PURPOSE).subarray(0, 8),
        sequence: number,
        operatingSeconds: 1_000,
        time: at as Instant,
        quality: 'synchronised',
        registers: [
          { obis: side === 'seller' ? '1-0:2.8.0' : '1-0:1.8.0', value: value * 1000n, scaler: -3, unit: 'Wh' },
        ],
        status: [],
        errors: [],
        previous: new Uint8Array(32),
        session: {
          contract: receipt.session ?? hash,
          line: side === 'seller' ? contract.line : (contract.to ?? contract.line),
          direction,
        },
        reason,
      }),
      READING_PURPOSE,
      signedBy,
      receipt.forgedBy,
    )
  const begin = reading('begin', from, receipt.beginAt ?? contract.start, sequence)
  const end = reading('end', from + wh, receipt.endAt ?? contract.end, sequence + 50)
  return { kind: 'receipt', body: { deal: hash, begin, end, contexts: [context] } }
}
