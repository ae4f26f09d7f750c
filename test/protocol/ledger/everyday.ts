/**
 * Everyday life on a ledger, drawn from a seed: accounts, coins, meters, roles, deals, stakes and misdeeds, mostly in order
 * and sometimes not. The same seed gives the same bytes, so that a history can be recorded. A new kind of transaction takes
 * part by an entry in ACTS.
 */
import { toHex } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { BlockOutput, LedgerApp } from '../../../protocol/ledger/app.ts'
import { createApp } from '../../../protocol/ledger/app.ts'
import type { BlockInput } from '../../../protocol/ledger/block.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import type { Table } from '../../../protocol/ledger/table.ts'
import { ACCOUNTS, DEALS, UNBONDING, VALIDATORS } from '../../../protocol/ledger/tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { decodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assembleSealed, sealedToSign } from '../../../protocol/trade/sealed.ts'
import { headerHash } from './history.ts'
import {
  BEGIN,
  buyer,
  commitOf,
  es256PartyOf,
  operator,
  type Party,
  partyOf,
  receiptOf,
  seller,
  signTx,
  stranger,
  type TxTerms,
  terms,
  verifier,
} from './parties.ts'
import { evidence, keys, stake, stakedGenesis, UNIT, unstake } from './validators.ts'

export const everydayGenesis: Genesis = {
  ...stakedGenesis,
  roles: [...stakedGenesis.roles!, { role: 'regulator', holder: buyer.address }],
}

/** Whole numbers from 0 to below `n`. Mulberry32: good enough to mix, and the same everywhere. */
function chance(seed: number): (n: number) => number {
  let state = seed >>> 0
  return n => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}

/** An account of the street and the key that signs for it now. */
interface Holder {
  readonly party: Party
  key: Party
}

interface Meter {
  readonly meterId: string
  readonly owner: Holder
  readonly key: Party
}

interface Open {
  readonly contract: Uint8Array
  readonly sides: Readonly<Record<'seller' | 'buyer', Meter>>
  readonly start: number
  readonly sealed: boolean
}

interface Sent {
  readonly by: Holder
  readonly content: TxContent
  /** What happens to the street, beside the ledger, once it is taken. */
  readonly taken?: () => void
}

type Act = (street: Everyday) => Sent | undefined

const LINE = 'L1'

export class Everyday {
  readonly app: LedgerApp
  readonly draw: (n: number) => number
  readonly holders: Holder[] = [operator, seller, buyer, stranger].map(party => ({ party, key: party }))
  readonly meters: Meter[]
  readonly open: Open[] = []
  readonly executed: { readonly input: BlockInput; readonly output: BlockOutput }[] = []
  time = BEGIN
  constructor(seed: number, from: Genesis = everydayGenesis) {
    this.app = createApp(from)
    this.draw = chance(seed)
    this.meters = [
      { meterId: 'S-1', owner: this.holders[1]!, key: partyOf('seller meter') },
      { meterId: 'B-1', owner: this.holders[2]!, key: partyOf('buyer meter') },
    ]
  }

  get chief(): Holder {
    return this.holders[0]!
  }

  one<T>(choices: readonly T[]): T {
    return choices[this.draw(choices.length)]!
  }

  money(): bigint {
    return BigInt(this.draw(2_000_000))
  }

  record<T>(table: Table<T>, id: string): T | undefined {
    const { value } = this.app.query(new TextEncoder().encode(table.prefix + id), this.app.height)!
    return value === undefined ? undefined : must(decodeAs(table.codec, value, table.prefix, value.length))
  }

  /** The next block, not executed yet. */
  next(): BlockInput {
    // Now and then everybody sleeps: whatever is due falls due.
    this.time += this.draw(30) === 0 ? 900_000 : 1000 * (1 + this.draw(12))
    const txs: Uint8Array[] = []
    const sequences = new Map<Holder, bigint>()
    for (let n = this.draw(5); n > 0; n--) {
      const sent = this.one(ACTS)(this)
      if (sent === undefined) continue
      const { by, content } = sent
      const sequence = sequences.get(by) ?? this.record(ACCOUNTS, by.party.id)?.sequence ?? 0n
      const tx = signTx(by.party, sequence, content, { signedBy: by.key, ...this.slip(sequence) })
      txs.push(tx)
      if (this.app.checkTx(tx, verifier).code !== 0) continue
      sequences.set(by, sequence + 1n)
      sent.taken?.()
    }
    const height = this.app.height + 1n
    const misbehaved = this.draw(25) === 0 ? [this.one(keys).address] : []
    return { height, time: instant(this.time), hash: headerHash(height), txs, misbehaved, verifier }
  }

  /** One transaction in fifteen has something wrong about it. */
  slip(sequence: bigint): TxTerms {
    if (this.draw(15) !== 0) return {}
    return this.one<TxTerms>([
      { sequence: sequence + 1n },
      { fee: 99n },
      { expiry: 0n },
      { chainId: 'elsewhere' },
      { signedBy: stranger },
    ])
  }

  run(input: BlockInput): BlockOutput {
    const output = this.app.finalizeBlock(input)
    this.app.commit()
    this.executed.push({ input, output })
    return output
  }
}

const by = (street: Everyday, content: TxContent): Sent => ({ by: street.one(street.holders), content })
/** The operator's word, and one in eight times somebody else's. */
const byChief = (street: Everyday, content: TxContent): Sent =>
  street.draw(8) === 0 ? by(street, content) : { by: street.chief, content }
const somebody = (street: Everyday): Uint8Array =>
  street.draw(12) === 0 ? partyOf('nobody').address : street.one(street.holders).party.address

const transfer: Act = street =>
  by(street, { kind: 'transfer', body: { to: somebody(street), amount: micros(street.money()) } })

const open: Act = street => {
  const name = `neighbour ${street.draw(12)}`
  const party = street.draw(2) === 0 ? partyOf(name) : es256PartyOf(name)
  const sent = by(street, { kind: 'open', body: { publicKey: party.publicKey, amount: micros(street.money()) } })
  return { ...sent, taken: () => void street.holders.push({ party, key: party }) }
}

const rekey: Act = street => {
  const name = `new key ${street.draw(40)}`
  const key = street.draw(2) === 0 ? partyOf(name) : es256PartyOf(name)
  const sent = by(street, { kind: 'rekey', body: { publicKey: key.publicKey } })
  return {
    ...sent,
    taken: () => {
      sent.by.key = key
    },
  }
}

const mint: Act = street =>
  byChief(street, { kind: 'mint', body: { to: somebody(street), amount: micros(street.money()) } })
const burn: Act = street => byChief(street, { kind: 'burn', body: { amount: micros(street.money()) } })

const role: Act = street => {
  const name = street.one(['enroller', 'regulator', 'validator', 'distributor'] as const)
  return byChief(street, { kind: 'role', body: { role: name, holder: somebody(street), held: street.draw(3) > 0 } })
}

const enrol: Act = street => {
  const meterId = `N-${street.draw(10)}`
  const [owner, key] = [street.one(street.holders), partyOf(`meter ${meterId} ${street.draw(3)}`)]
  const facts = street.draw(2) === 0 ? {} : ({ trust: 'tpm', source: 'wind', feeder: 'F-1', accuracy: '0.5S' } as const)
  const body = { meterId, owner: owner.party.address, line: LINE, publicKey: key.publicKey, ...facts }
  return {
    ...byChief(street, { kind: 'enrol', body }),
    taken: () => void street.meters.push({ meterId, owner, key }),
  }
}

const revoke: Act = street => {
  const meter = street.one(street.meters)
  if (street.meters.length < 3) return undefined
  const sent = byChief(street, { kind: 'revoke', body: { meterId: meter.meterId } })
  // Half of the time its owner does not notice.
  return street.draw(2) === 0
    ? sent
    : { ...sent, taken: () => void street.meters.splice(street.meters.indexOf(meter), 1) }
}

const band: Act = street => {
  const from = instant(street.time + 1000 * (street.draw(60) - 5))
  const floor = BigInt(street.draw(200_000))
  const bounds = { floor: microsPerKwh(floor), ceiling: microsPerKwh(floor + BigInt(street.draw(900_000) - 1000)) }
  const regulator = street.holders[2]!
  return {
    by: street.draw(4) === 0 ? street.one(street.holders) : regulator,
    content: { kind: 'band', body: { from, ...bounds } },
  }
}

const commit: Act = street => {
  const [sells, buys] = [street.one(street.meters), street.one(street.meters)]
  if (sells.owner === buys.owner) return undefined
  const start = street.time + 1000 * street.draw(60)
  const sealed = street.draw(3) === 0
  const content = commitOf(
    {
      ...terms,
      line: LINE,
      ...{ seller: sells.owner.party.address, sellerMeter: sells.meterId },
      ...{ buyer: buys.owner.party.address, buyerMeter: buys.meterId },
      ...{ start: instant(start), end: instant(start + 20_000) },
      energy: wattHours(BigInt(1 + street.draw(4000))),
      price: microsPerKwh(BigInt(street.draw(500_000))),
      ...(sealed ? { receipts: 'sealed' } : {}),
    },
    { seller: sells.owner.key, buyer: buys.owner.key },
  )
  const sides = { seller: sells, buyer: buys }
  return {
    by: buys.owner,
    content,
    taken: () => void street.open.push({ contract: content.body.contract, sides, start, sealed }),
  }
}

const receipt: Act = street => {
  const deal = newest(street, street.draw(3) === 0)
  if (deal === undefined) return undefined
  const side = street.one(['seller', 'buyer'] as const)
  const { meterId, owner, key } = deal.sides[side]
  const at = Math.max(deal.start, Math.min(street.time, deal.start + 20_000))
  const content = receiptOf(
    { meterId, by: key, direction: side === 'seller' ? 'export' : 'import', contract: deal.contract },
    BigInt(street.draw(5_000_000)),
    { begin: { at: deal.start }, end: { at } },
  )
  return { by: owner, content }
}

/** One of the newest deals, and mostly one of a given mode. */
function newest(street: Everyday, sealed: boolean): Open | undefined {
  const deals = street.open.filter(deal => deal.sealed === sealed || street.draw(10) === 0).slice(-3)
  return deals.length === 0 ? undefined : street.one(deals)
}

const both: Act = street => {
  const deal = newest(street, true)
  if (deal === undefined) return undefined
  const terms = {
    deal: contractHash(deal.contract),
    energy: wattHours(BigInt(street.draw(5000))),
    evidence: sha256(Uint8Array.of(street.draw(9))),
  }
  const half = ({ owner: { key } }: Meter) =>
    assembleSealed(terms, key.publicKey, key.sign(sealedToSign(terms, key.publicKey)))
  const { seller, buyer } = deal.sides
  const body = { ...terms, sellerSign1: half(seller), buyerSign1: half(street.draw(6) === 0 ? seller : buyer) }
  return { by: seller.owner, content: { kind: 'sealed', body } }
}

const word: Act = street => {
  const deal = newest(street, true)
  if (deal === undefined) return undefined
  const body = { deal: contractHash(deal.contract), energy: wattHours(BigInt(street.draw(5000))) }
  return { by: deal.sides[street.one(['seller', 'buyer'] as const)].owner, content: { kind: 'quantity', body } }
}

const validate: Act = street => {
  const owner = street.one(street.holders)
  return {
    by: owner,
    content: stake(street.one(keys), BigInt(street.draw(3)) * UNIT + BigInt(street.draw(2)), owner.party),
  }
}

const unvalidate: Act = street => {
  const key = street.one(keys)
  const known = street.record(VALIDATORS, '')!.all.find(({ publicKey }) => toHex(publicKey) === toHex(key.publicKey))
  const owner = street.holders.find(({ party }) => known !== undefined && party.id === toHex(known.owner))
  const amount = street.draw(3) === 0 ? (known?.stake ?? UNIT) : BigInt(street.draw(3)) * UNIT
  return { by: owner ?? street.one(street.holders), content: unstake(key, amount) }
}

const accuse: Act = street => {
  const key = street.one(keys)
  const staked = street.record(UNBONDING, key.id) ?? street.draw(2) === 0
  return staked ? by(street, evidence(key, street.draw(3) === 0 ? { blocks: ['a', 'a'] } : {})) : undefined
}

const head: Act = street => {
  const journal = new Uint8Array(16).fill(street.draw(2))
  const frame = BigInt(1 + street.draw(200))
  return by(street, { kind: 'head', body: { journal, frame, hash: sha256(Uint8Array.of(Number(frame))) } })
}

/** An act that comes more often stands here more often. */
const ACTS: readonly Act[] = [
  ...[transfer, transfer, open, rekey, mint, burn, role, enrol, enrol, enrol, revoke, band],
  ...[commit, commit, commit, commit, receipt, receipt, receipt, receipt, receipt, both, word, word],
  ...[validate, validate, unvalidate, unvalidate, accuse, accuse],
  head,
]

/** How the deals of a street stand. */
export const dealStates = (street: Everyday): readonly string[] =>
  street.open.map(({ contract }) => street.record(DEALS, toHex(contractHash(contract)))?.state ?? 'none')
