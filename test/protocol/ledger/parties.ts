/** Who meets on the ledger in its tests: real keys from names, and everything that they sign. */
import { createPrivateKey, sign } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { concat, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import {
  assemble,
  envelopeHash,
  kidOf,
  parseSign1,
  protectedHeader,
  toBeSigned,
} from '../../../protocol/crypto/cose.ts'
import { addressOf, sha256 } from '../../../protocol/crypto/hash.ts'
import { algOfKey } from '../../../protocol/identity/key.ts'
import { type BlockOutput, createApp, type LedgerApp, type TxOutcome } from '../../../protocol/ledger/app.ts'
import type { BlockInput, ValidatorUpdate } from '../../../protocol/ledger/block.ts'
import { type DealRecord, dealKey, decodeDealRecord } from '../../../protocol/ledger/deal-record.ts'
import { REFUSAL_CODES, type RefusalCode } from '../../../protocol/ledger/fault.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import type { Table } from '../../../protocol/ledger/table.ts'
import { ACCOUNTS, type Account } from '../../../protocol/ledger/tables.ts'
import { buildTx, type TxContent } from '../../../protocol/ledger/tx.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { CONTEXT_PURPOSE, encodeContext } from '../../../protocol/reading/context.ts'
import { encodeReading, READING_PURPOSE, type Reading } from '../../../protocol/reading/reading.ts'
import { decodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import {
  assembleSignedContract,
  type Contract,
  contractHash,
  contractToSign,
  encodeContract,
} from '../../../protocol/trade/contract.ts'

export const verifier = createVerifier()

export interface Party {
  readonly publicKey: Uint8Array
  readonly address: Uint8Array
  readonly id: string
  sign(message: Uint8Array): Uint8Array
}

/** Signs so many times itself; from then on somebody else does, in its name. */
export function forgedAfter(party: Party, genuine: number): Party {
  let signed = 0
  return { ...party, sign: message => (signed++ < genuine ? party : stranger).sign(message) }
}

export function partyOf(name: string): Party {
  const seed = sha256(utf8(`test party ${name}`))
  const der = Buffer.from(concat(hex('302e 0201 00 3005 0603 2b6570 0422 0420'), seed))
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const publicKey = ed25519.getPublicKey(seed)
  const address = addressOf(publicKey)
  return { publicKey, address, id: toHex(address), sign: message => new Uint8Array(sign(null, message, key)) }
}

/** A party with a P-256 key; its signatures are the same at every run (RFC 6979). */
export function es256PartyOf(name: string): Party {
  const secret = sha256(utf8(`test party ${name}`))
  const publicKey = p256.getPublicKey(secret)
  const address = addressOf(publicKey)
  return { publicKey, address, id: toHex(address), sign: message => p256.sign(message, secret, { lowS: true }) }
}

export const CHAIN_ID = 'tieline-test-1'
/** Wall time at which the tests' ledger begins. */
export const BEGIN = 1_800_000_000_000
export const operator = partyOf('operator')
export const seller = partyOf('seller')
export const buyer = partyOf('buyer')
export const stranger = partyOf('stranger')
/** The metering keys of the two line meters. */
const sellerMeter = partyOf('seller meter')
export const buyerMeter = partyOf('buyer meter')
export const FEE = micros(100n)
export const RICH = micros(10_000_000n)

export const genesis: Genesis = {
  chainId: CHAIN_ID,
  time: instant(BEGIN),
  fee: FEE,
  feeAccount: operator.address,
  operator: operator.address,
  accounts: [operator, seller, buyer, stranger].map(({ publicKey }) => ({ publicKey, balance: RICH })),
  meters: [
    { meterId: 'S-1', owner: seller.address, line: 'L1', publicKey: sellerMeter.publicKey },
    { meterId: 'B-1', owner: buyer.address, line: 'L1', publicKey: buyerMeter.publicKey },
  ],
}

export interface TxTerms {
  readonly chainId?: string
  readonly sequence?: bigint
  readonly fee?: bigint
  readonly expiry?: bigint
  /** Whose key signs, if not the sender's. */
  readonly signedBy?: Party
}

export function signTx(sender: Party, sequence: bigint, content: TxContent, terms: TxTerms = {}): Uint8Array {
  const { chainId = CHAIN_ID, fee = FEE, expiry = 1_000_000n, signedBy = sender } = terms
  const tx = { chainId, sender: sender.address, sequence, fee: micros(fee), expiry, ...content }
  const unsigned = buildTx(tx, signedBy.publicKey)
  return unsigned.withSignature(signedBy.sign(unsigned.toSign))
}

/** A ledger, its clock, and each account's next sequence. */
export class Bench {
  readonly app: LedgerApp
  time = BEGIN
  readonly executed: { readonly input: BlockInput; readonly output: BlockOutput }[] = []
  readonly genesis: Genesis
  constructor(from: Genesis = genesis) {
    this.genesis = from
    this.app = createApp(from)
  }

  /** Validators that changed in the last block. */
  get updates(): readonly ValidatorUpdate[] {
    return this.executed.at(-1)?.output.validatorUpdates ?? []
  }

  sequence(party: Party): bigint {
    return this.account(party).sequence
  }

  /** A record as the state tree holds it. */
  record<T>(table: Table<T>, id: string): T | undefined {
    const { value } = this.app.query(utf8(table.prefix + id), this.app.height)!
    return value === undefined ? undefined : must(decodeAs(table.codec, value, table.prefix, value.length))
  }

  account(party: Party): Account {
    return this.record(ACCOUNTS, party.id)!
  }

  deal(contract: Uint8Array): DealRecord | undefined {
    const { value } = this.app.query(utf8(dealKey(contractHash(contract))), this.app.height)!
    return value === undefined ? undefined : must(decodeDealRecord(value))
  }

  /** A block a given time after the last one. */
  block(txs: readonly Uint8Array[], afterMs = 1000, misbehaved: readonly Uint8Array[] = []): readonly TxOutcome[] {
    this.time += afterMs
    const height = this.app.height + 1n
    const hash = sha256(utf8(`header ${height}`))
    return this.execute({ height, time: instant(this.time), hash, txs, misbehaved, verifier })
  }

  /** Executes a block, makes it the state and remembers both: a history to record. */
  protected execute(input: BlockInput): readonly TxOutcome[] {
    const output = this.app.finalizeBlock(input)
    this.app.commit()
    this.executed.push({ input, output })
    return output.results
  }

  /** One transaction in a block of its own. */
  send(sender: Party, content: TxContent, terms: TxTerms = {}): TxOutcome {
    return this.block([signTx(sender, terms.sequence ?? this.sequence(sender), content, terms)])[0]!
  }
}

/** The name of a refusal, or `taken`. */
export function nameOf(outcome: TxOutcome): RefusalCode | 'taken' | 'unknown' {
  if (outcome.code === 0) return 'taken'
  return (Object.keys(REFUSAL_CODES) as RefusalCode[]).find(name => REFUSAL_CODES[name] === outcome.code) ?? 'unknown'
}

/** 2 kWh at 0.25 a kWh from 60 to 120 s after the beginning. */
export const terms: Contract = {
  chainId: CHAIN_ID,
  line: 'L1',
  seller: seller.address,
  buyer: buyer.address,
  sellerMeter: 'S-1',
  buyerMeter: 'B-1',
  start: instant(BEGIN + 60_000),
  end: instant(BEGIN + 120_000),
  energy: wattHours(2000n),
  price: microsPerKwh(250_001n),
  lossPermille: 20,
  receiptWindowMs: 60_000,
  disputeWindowMs: 120_000,
  nonce: new Uint8Array(16).fill(7),
}

const signContract = (contract: Uint8Array, by: Party): Uint8Array =>
  assembleSignedContract(contract, by.publicKey, by.sign(contractToSign(contract, by.publicKey)))

export function commitOf(
  contract: Contract,
  by: { seller?: Party; buyer?: Party } = {},
): TxContent & { kind: 'commit' } {
  const bytes = encodeContract(contract)
  const sellerSign1 = signContract(bytes, by.seller ?? seller)
  const buyerSign1 = signContract(bytes, by.buyer ?? buyer)
  return { kind: 'commit', body: { contract: bytes, sellerSign1, buyerSign1 } }
}

/** An envelope around any bytes. */
export function sign1(payload: Uint8Array, purpose: Uint8Array, by: Party): Uint8Array {
  const alg = algOfKey(by.publicKey)!
  const header = protectedHeader(alg, kidOf(alg, by.publicKey))
  return assemble(header, payload, by.sign(toBeSigned(header, payload, purpose)))
}

interface ReadingTerms {
  readonly meterId: string
  /** The metering key. */
  readonly by: Party
  readonly direction: 'import' | 'export'
  readonly contract: Uint8Array
  readonly line?: string
}

export const contextOf = ({ meterId, by }: ReadingTerms, boot = 1): Uint8Array =>
  sign1(
    encodeContext({
      device: Uint8Array.of(1, ...new Uint8Array(16)),
      meterId,
      page: 'test-page',
      software: new Uint8Array(32),
      key: by.publicKey,
      trust: 'software',
      timeSource: 'ntp',
      clockSets: 0,
      boot,
    }),
    CONTEXT_PURPOSE,
    by,
  )

export function readingOf(
  terms: ReadingTerms,
  context: Uint8Array,
  reading: Partial<Reading> & { readonly reason: Reading['reason']; readonly mWh: bigint; readonly at: number },
): Uint8Array {
  const { mWh, at, ...rest } = reading
  const obis = terms.direction === 'export' ? '1-0:2.8.0' : '1-0:1.8.0'
  const full: Reading = {
    context: envelopeHash(must(parseSign1(context)), CONTEXT_PURPOSE).subarray(0, 8),
    sequence: 5,
    operatingSeconds: 1000,
    time: instant(at) as Instant,
    quality: 'synchronised',
    registers: [{ obis, value: mWh, scaler: -3, unit: 'Wh' }],
    status: [],
    errors: [],
    previous: new Uint8Array(32),
    session: { contract: contractHash(terms.contract), line: terms.line ?? 'L1', direction: terms.direction },
    ...rest,
  }
  return sign1(encodeReading(full), READING_PURPOSE, terms.by)
}

/** What both sides' meters say about a contract. */
export const sideOf = (side: 'seller' | 'buyer', contract: Uint8Array): ReadingTerms =>
  side === 'seller'
    ? { meterId: 'S-1', by: sellerMeter, direction: 'export', contract }
    : { meterId: 'B-1', by: buyerMeter, direction: 'import', contract }

type ReadingChange = Partial<Reading> & { readonly mWh?: bigint; readonly at?: number }

/** One side's receipt over `mWh`, with changes to its readings. */
export function receiptOf(
  side: ReadingTerms,
  mWh: bigint,
  change: { readonly begin?: ReadingChange; readonly end?: ReadingChange } = {},
): TxContent & { kind: 'receipt' } {
  const context = contextOf(side)
  const from = 7_000_123n
  const begin = readingOf(side, context, { reason: 'begin', mWh: from, at: BEGIN + 61_000, ...change.begin })
  const end = readingOf(side, context, {
    reason: 'end',
    mWh: from + mWh,
    at: BEGIN + 119_000,
    sequence: 60,
    ...change.end,
  })
  return { kind: 'receipt', body: { deal: contractHash(side.contract), begin, end, contexts: [context] } }
}
