/**
 * Homes that each fund a one-time account and pay the escrow of a deal over the grid from it, on a real ledger, and what whoever
 * reads that ledger sees of the money: which accounts it left, into which it came, how much and when.
 *
 * The buyer's meter is enrolled for this deal alone, by somebody who knows whose it is: coins hide who pays, not what is metered.
 */
import { blindMessage, createBlindIssuer } from '../../drivers/crypto/blind-rsa.ts'
import { createSigner, type MemorySigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { toHex, utf8 } from '../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import { createApp } from '../../protocol/ledger/app.ts'
import { auditLedger } from '../../protocol/ledger/audit.ts'
import { withdrawalHash } from '../../protocol/ledger/coin-tables.ts'
import { accountId } from '../../protocol/ledger/state.ts'
import { buildTx, parseTx, type TxContent } from '../../protocol/ledger/tx.ts'
import { coinMessage, coinToSign, DENOMINATIONS, EPOCH_MS, epochAt } from '../../protocol/privacy/coins.ts'
import type { MadeOrder } from '../../protocol/privacy/linkage.ts'
import { micros, microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import { type Instant, instant, later } from '../../protocol/time.ts'
import { assembleSignedContract, contractToSign, encodeContract } from '../../protocol/trade/contract.ts'
import { seededRandom } from './random.ts'

const CHAIN_ID = 'coin-homes'
const FEE = micros(100n)
const DIME = DENOMINATIONS[1]!
/** What every home takes a week, whatever it needs. */
const STOCK = 2
const EPOCH = epochAt(instant(1_800_000_000_000))
const HASTE_MS = 600_000

/**
 * How one-time accounts get their money: by coins of a stock that all homes refill alike in the week before, at moments that are
 * drawn; by just as many coins as are needed, ten minutes before; or from the home's own account.
 */
export type Funding = 'stock' | 'as needed' | 'named'

interface Home {
  readonly maker: string
  readonly account: MemorySigner
  readonly oneTime: MemorySigner
  /** In coins. */
  readonly need: number
  readonly dealAt: Instant
}

interface Planned {
  readonly at: number
  readonly by: MemorySigner
  readonly content: TxContent
}

export interface Funded {
  /** What left each home's account, and what came into each one-time account, with the home that it was. */
  readonly left: readonly MadeOrder[]
  readonly came: readonly MadeOrder[]
  /** Deals whose escrow a one-time account paid. */
  readonly escrows: number
}

export async function fundedByHomes(homes: number, funding: Funding, seed: number): Promise<Funded> {
  const draw = seededRandom(seed)
  const keyOf = (name: string) => createSigner(sha256(utf8(`coin homes ${name}`)))
  const all = Array.from({ length: homes }, (_, i): Home => {
    const maker = `home ${i}`
    const dealAt = later(EPOCH, EPOCH_MS + Math.floor(EPOCH_MS * draw()))
    return {
      maker,
      account: keyOf(maker),
      oneTime: keyOf(`one-time ${i}`),
      need: 1 + Math.floor(STOCK * draw()),
      dealAt,
    }
  })
  const [mint, plant] = [keyOf('mint'), keyOf('plant')]
  const plan: Planned[] = []
  if (funding === 'named') {
    for (const { account, oneTime, need, dealAt } of all) {
      const body = { publicKey: oneTime.publicKey, amount: micros(BigInt(need) * DIME) }
      plan.push({ at: dealAt, by: account, content: { kind: 'open', body } })
    }
  } else {
    const epoch = funding === 'stock' ? EPOCH : later(EPOCH, EPOCH_MS)
    const issuer = await createBlindIssuer()
    const key = { epoch, denomination: DIME, modulus: issuer.modulus }
    plan.push({ at: EPOCH, by: mint, content: { kind: 'mintKey', body: key } })
    for (const { account, oneTime, need, dealAt } of all) {
      const coins = []
      const taken = funding === 'stock' ? STOCK : need
      for (let n = 0; n < taken; n++) {
        const coinKey = createSigner(sha256(utf8(`coin ${n} of ${toHex(account.publicKey)}`)))
        const name = { epoch, denomination: DIME, key: coinKey.publicKey }
        const blind = must(await blindMessage(issuer.modulus, coinMessage(CHAIN_ID, name)))
        const signed = must(await issuer.sign(blind.blinded))
        const at = funding === 'stock' ? EPOCH + (EPOCH_MS - HASTE_MS) * draw() : dealAt - HASTE_MS
        const withdrawal = withdrawalHash(addressOf(account.publicKey), blind.blinded)
        const of = { epoch, denomination: DIME }
        plan.push(
          { at, by: account, content: { kind: 'withdraw', body: { ...of, blinded: blind.blinded } } },
          { at: at + 1000, by: mint, content: { kind: 'signCoin', body: { ...of, withdrawal, signature: signed } } },
        )
        const proof = coinKey.signNow(coinToSign(CHAIN_ID, addressOf(oneTime.publicKey)))
        coins.push({ ...name, signature: must(await blind.unblind(signed)), proof })
      }
      const body = { coins: coins.slice(0, need), publicKey: oneTime.publicKey }
      plan.push({ at: dealAt, by: oneTime, content: { kind: 'deposit', body } })
    }
  }
  for (const [i, home] of all.entries()) {
    const { oneTime, dealAt } = home
    const owner = addressOf(oneTime.publicKey)
    const meter = { meterId: `B-${i}`, owner, line: `home-${i}`, publicKey: keyOf(`meter ${i}`).publicKey }
    plan.push(
      { at: dealAt + 1000, by: mint, content: { kind: 'enrol', body: meter } },
      { at: dealAt + 2000, by: oneTime, content: dealOf(i, home, plant) },
    )
  }
  const makers = new Map<string, string>()
  for (const { maker, account, oneTime } of all) {
    makers.set(toHex(addressOf(account.publicKey)), maker)
    makers.set(toHex(addressOf(oneTime.publicKey)), maker)
  }
  const blocks = execute(all, mint, plant, plan)
  const escrows = blocks.filter(({ tx }) => must(parseTx(tx)).tx.kind === 'commit').length
  return { ...seenOn(blocks, makers), escrows }
}

/** Nearly all that the coins are worth, at 0.25 a kWh. */
function dealOf(i: number, { oneTime, need, dealAt }: Home, plant: MemorySigner): TxContent {
  const contract = encodeContract({
    ...{ chainId: CHAIN_ID, line: `plant-${i}`, to: `home-${i}`, sellerMeter: `P-${i}`, buyerMeter: `B-${i}` },
    ...{ seller: addressOf(plant.publicKey), buyer: addressOf(oneTime.publicKey) },
    ...{ start: later(dealAt, 900_000), end: later(dealAt, 1_800_000) },
    ...{ energy: wattHours(390n * BigInt(need)), price: microsPerKwh(250_000n), lossPermille: 0 },
    ...{ receiptWindowMs: 60_000, disputeWindowMs: 60_000, nonce: sha256(utf8(`deal ${i}`)).subarray(0, 16) },
  })
  const half = ({ publicKey, signNow }: MemorySigner) =>
    assembleSignedContract(contract, publicKey, signNow(contractToSign(contract, publicKey)))
  return { kind: 'commit', body: { contract, sellerSign1: half(plant), buyerSign1: half(oneTime) } }
}

interface Block {
  readonly time: Instant
  readonly tx: Uint8Array
}

/** The plan on a real ledger, a transaction a block; throws where one is refused or the books do not add up. */
function execute(
  homes: readonly Home[],
  mint: MemorySigner,
  plant: MemorySigner,
  plan: readonly Planned[],
): readonly Block[] {
  const verifier = createVerifier()
  const mintAddress = addressOf(mint.publicKey)
  const app = createApp({
    chainId: CHAIN_ID,
    time: later(EPOCH, -1000),
    fee: FEE,
    feeAccount: mintAddress,
    operator: mintAddress,
    accounts: [mint, plant, ...homes.map(({ account }) => account)].map(({ publicKey }) => ({
      publicKey,
      balance: micros(10_000_000n),
    })),
    meters: homes.map((_, i) => ({
      ...{ meterId: `P-${i}`, owner: addressOf(plant.publicKey), line: `plant-${i}` },
      publicKey: createSigner(sha256(utf8(`plant meter ${i}`))).publicKey,
    })),
    roles: [{ role: 'mint', holder: mintAddress }],
  })
  const sequences = new Map<MemorySigner, bigint>()
  const blocks: Block[] = []
  let time = app.time
  for (const { at, by, content } of [...plan].sort((a, b) => a.at - b.at)) {
    time = instant(Math.max(time + 1, Math.floor(at)))
    const sequence = sequences.get(by) ?? 0n
    sequences.set(by, sequence + 1n)
    const frame = { chainId: CHAIN_ID, sender: addressOf(by.publicKey), sequence, fee: FEE, expiry: app.height + 9n }
    const unsigned = buildTx({ ...frame, ...content }, by.publicKey)
    const tx = unsigned.withSignature(by.signNow(unsigned.toSign))
    const height = app.height + 1n
    const hash = sha256(utf8(`header ${height}`))
    const { results } = app.finalizeBlock({ height, time, hash, txs: [tx], misbehaved: [], verifier })
    if (results[0]!.code !== 0) throw new Error(`${content.kind}: ${results[0]!.log}`)
    app.commit()
    blocks.push({ time, tx })
  }
  const { problems } = auditLedger(app.entries(app.height)!)
  if (problems.length > 0) throw new Error(`the books do not add up: ${problems[0]!.code}`)
  return blocks
}

/** All that the transactions show of money that leaves and comes. An account that another one opens is known by it. */
function seenOn(blocks: readonly Block[], makers: ReadonlyMap<string, string>): Omit<Funded, 'escrows'> {
  const left = new Map<string, MadeOrder>()
  const came: MadeOrder[] = []
  const madeOf = (id: string, of: string, amount: bigint, time: number, sequence: bigint): MadeOrder => ({
    maker: makers.get(of)!,
    seen: {
      ...{ pseudonym: id, side: 'bid', feeder: '', limit: microsPerKwh(0n), quantity: wattHours(amount) },
      ...{ sequence: Number(sequence), sentMs: time },
    },
  })
  for (const { time, tx: bytes } of blocks) {
    const { tx } = must(parseTx(bytes))
    const sender = accountId(tx.sender)
    if (tx.kind === 'withdraw') {
      const before = left.get(sender)?.seen.quantity ?? 0n
      left.set(sender, madeOf(sender, sender, before + tx.body.denomination, time, tx.sequence))
    } else if (tx.kind === 'open') {
      left.set(sender, madeOf(sender, sender, tx.body.amount, time, tx.sequence))
      came.push(madeOf(sender, accountId(addressOf(tx.body.publicKey)), tx.body.amount, time, 0n))
    } else if (tx.kind === 'deposit') {
      const worth = tx.body.coins.reduce((sum, { denomination }) => sum + denomination, 0n)
      came.push(madeOf(sender, sender, worth, time, tx.sequence))
    }
  }
  return { left: [...left.values()], came }
}
