/**
 * Everything that a cheat may try, tried: on two real ledgers, and on the rules of the market. Each is refused by a name of its own,
 * or it is told that it was not. What it left its maker with is counted on the ledger.
 */
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { dealKey } from '../../protocol/ledger/deal-record.ts'
import { reservationKey } from '../../protocol/ledger/network-tables.ts'
import { assembleSignedBand, bandToSign, encodeBand, verifyBand } from '../../protocol/market/band.ts'
import { certify, verifyCertificate } from '../../protocol/market/certificate.ts'
import { clear } from '../../protocol/market/clear.ts'
import { commitmentOf, hearBid, hearSealed, openAuction } from '../../protocol/market/reverse-auction.ts'
import { micros, microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import { instant, later } from '../../protocol/time.ts'
import { type Contract, contractHash, encodeContract } from '../../protocol/trade/contract.ts'
import { type Lab, labCommit, labContract, labReceipt, openLab } from './lab.ts'

export interface Attack {
  readonly name: string
  /** The refusal by which it has to end. */
  readonly refused: string
  run(lab: Lab): Promise<string>
}

const hashOf = (contract: Contract): Uint8Array => contractHash(encodeContract(contract))
const FEE_MOST = micros(1_000_000n)

async function reserve(lab: Lab, contract: Contract): Promise<string> {
  const body = { contract: encodeContract(contract), feeMost: FEE_MOST }
  return lab.send(lab.grid, 'seller', { kind: 'reserve', body })
}

const reservationOf = (lab: Lab, contract: Contract) =>
  lab.prove(lab.grid, lab.energy, reservationKey(hashOf(contract)))

/** A deal that is reserved and paid for. */
export async function lockedDeal(lab: Lab, change: Partial<Contract> = {}): Promise<Contract> {
  const contract = labContract(lab, change)
  for (const [what, verdict] of [
    ['reservation', await reserve(lab, contract)],
    ['commitment', await lab.send(lab.energy, 'buyer', labCommit(lab, contract, await reservationOf(lab, contract)))],
  ] as const) {
    if (verdict !== 'taken') throw new Error(`the lab's own ${what} is refused: ${verdict}`)
  }
  return contract
}

/** A deal whose window is over, with nothing said yet of what was delivered. */
async function deliveredDeal(lab: Lab): Promise<Contract> {
  const contract = await lockedDeal(lab)
  await lab.until(contract.end + 1_000)
  return contract
}

const receipt = (lab: Lab, contract: Contract, change: Partial<Parameters<typeof labReceipt>[2]> = {}) =>
  lab.send(lab.energy, 'seller', labReceipt(lab, contract, { side: 'seller', wh: 1_500n, ...change }))

const code = (answer: { readonly ok: true } | { readonly ok: false; readonly fault: { readonly code: string } }) =>
  answer.ok ? 'taken' : answer.fault.code

const bidOf = (id: Uint8Array, price: bigint) => ({
  id,
  energy: wattHours(1_000n),
  price: microsPerKwh(price),
  fee: microsPerKwh(10_000n),
  source: 'solar' as const,
  line: 'elm',
  meter: 'S-1',
  salt: sha256(utf8('salt')).subarray(0, 16),
})

const bookOf = (...orders: readonly (readonly ['bid' | 'offer', bigint, bigint])[]) =>
  orders.map(([side, quantity, limit], sequence) => ({
    id: sha256(utf8(`order ${sequence}`)).subarray(0, 16),
    side,
    quantity: wattHours(quantity),
    limit: microsPerKwh(limit),
    sequence,
  }))

export const ATTACKS: readonly Attack[] = [
  {
    name: 'a transaction is sent again',
    refused: 'ledger.sequence',
    async run(lab) {
      const body = { to: lab.addressOf('stranger'), amount: micros(1_000n) }
      await lab.send(lab.energy, 'seller', { kind: 'transfer', body }, { sequence: 0n })
      return lab.send(lab.energy, 'seller', { kind: 'transfer', body }, { sequence: 0n })
    },
  },
  {
    name: 'a transaction for one ledger is sent to the other',
    refused: 'ledger.chain-id',
    run: lab =>
      lab.send(
        lab.energy,
        'seller',
        { kind: 'transfer', body: { to: lab.addressOf('stranger'), amount: micros(1n) } },
        { chainId: lab.grid.genesis.chainId },
      ),
  },
  {
    name: "another's account is signed for",
    refused: 'ledger.signature',
    run: lab =>
      lab.send(
        lab.energy,
        'seller',
        { kind: 'transfer', body: { to: lab.addressOf('stranger'), amount: micros(1_000n) } },
        { signedBy: lab.keyOf('stranger') },
      ),
  },
  {
    name: 'a receipt is handed in twice',
    refused: 'ledger.receipt-taken',
    async run(lab) {
      const contract = await deliveredDeal(lab)
      await receipt(lab, contract)
      return receipt(lab, contract)
    },
  },
  {
    name: 'the same hour is sold to two',
    refused: 'ledger.sold',
    async run(lab) {
      const first = await lockedDeal(lab)
      const second = { ...first, end: later(first.end, 30_000), nonce: new Uint8Array(16) }
      await reserve(lab, second)
      return lab.send(lab.energy, 'buyer', labCommit(lab, second, await reservationOf(lab, second)))
    },
  },
  {
    name: 'a receipt comes after everything is over',
    refused: 'ledger.deal-closed',
    async run(lab) {
      const contract = await deliveredDeal(lab)
      await lab.until(contract.end + contract.receiptWindowMs + contract.disputeWindowMs + 1_000)
      return receipt(lab, contract)
    },
  },
  {
    name: "a meter's reading is forged",
    refused: 'ledger.reading',
    async run(lab) {
      const contract = await deliveredDeal(lab)
      return receipt(lab, contract, { forgedBy: 'seller' })
    },
  },
  {
    name: 'readings of another meter are handed in',
    refused: 'ledger.reading',
    async run(lab) {
      const contract = await deliveredDeal(lab)
      return receipt(lab, contract, { signedBy: 'buyer meter' })
    },
  },
  {
    name: 'readings of another deal are handed in',
    refused: 'ledger.reading-session',
    async run(lab) {
      const contract = await deliveredDeal(lab)
      return receipt(lab, contract, { session: sha256(utf8('another deal')) })
    },
  },
  {
    name: 'readings of another hour are handed in',
    refused: 'ledger.reading-time',
    async run(lab) {
      const contract = await deliveredDeal(lab)
      return receipt(lab, contract, { beginAt: contract.start - 60_000 })
    },
  },
  {
    name: 'a watt-hour is counted in two windows',
    refused: 'ledger.reading-counted',
    async run(lab) {
      const first = await lockedDeal(lab)
      const next = { start: first.end, end: later(first.end, 60_000), nonce: new Uint8Array(16) }
      const second = await lockedDeal(lab, next)
      await lab.until(second.end + 1_000)
      await receipt(lab, first, { from: 7_000n, wh: 1_500n })
      return receipt(lab, second, { from: 8_000n, wh: 1_500n, sequence: 100 })
    },
  },
  {
    name: 'somebody who is no party hands a receipt in',
    refused: 'ledger.not-a-party',
    async run(lab) {
      const contract = await deliveredDeal(lab)
      return lab.send(lab.energy, 'stranger', labReceipt(lab, contract, { side: 'seller', wh: 1_500n }))
    },
  },
  {
    name: 'payment is committed without capacity on the lines',
    refused: 'ledger.no-reservation',
    run: lab => lab.send(lab.energy, 'buyer', labCommit(lab, labContract(lab))),
  },
  {
    name: "another deal's reservation is shown",
    refused: 'ledger.proof',
    async run(lab) {
      const reserved = labContract(lab)
      await reserve(lab, reserved)
      const proof = await reservationOf(lab, reserved)
      const other = labContract(lab, { nonce: new Uint8Array(16).fill(9) })
      return lab.send(lab.energy, 'buyer', labCommit(lab, other, proof))
    },
  },
  {
    name: 'more is reserved than a line carries',
    refused: 'ledger.capacity',
    run: lab => reserve(lab, labContract(lab, { energy: wattHours(5_001n) })),
  },
  {
    name: 'a contract is committed with the other half forged',
    refused: 'ledger.contract-signature',
    async run(lab) {
      const contract = labContract(lab)
      await reserve(lab, contract)
      const commit = labCommit(lab, contract, await reservationOf(lab, contract), { seller: 'stranger' })
      return lab.send(lab.energy, 'buyer', commit)
    },
  },
  {
    name: "somebody else's meter is sold",
    refused: 'ledger.meter-owner',
    async run(lab) {
      const contract = labContract(lab, { buyerMeter: 'X-1' })
      await reserve(lab, contract)
      return lab.send(lab.energy, 'buyer', labCommit(lab, contract, await reservationOf(lab, contract)))
    },
  },
  {
    name: 'a price outside the band is committed',
    refused: 'ledger.price-band',
    async run(lab) {
      const from = later(lab.now(), 5_000)
      const body = { from, floor: microsPerKwh(0n), ceiling: microsPerKwh(200_000n) }
      await lab.send(lab.energy, 'regulator', { kind: 'band', body })
      await lab.until(from + 1_000)
      const contract = labContract(lab)
      await reserve(lab, contract)
      return lab.send(lab.energy, 'buyer', labCommit(lab, contract, await reservationOf(lab, contract)))
    },
  },
  {
    name: 'a suspended meter sells on',
    refused: 'ledger.meter-suspended',
    async run(lab) {
      const contract = labContract(lab)
      const body = { meterId: 'S-1', from: later(lab.now(), 5_000) }
      await lab.send(lab.energy, 'regulator', { kind: 'suspend', body })
      await reserve(lab, contract)
      return lab.send(lab.energy, 'buyer', labCommit(lab, contract, await reservationOf(lab, contract)))
    },
  },
  {
    name: 'the distributor claims a fee before delivery',
    refused: 'ledger.proof',
    async run(lab) {
      const contract = await lockedDeal(lab)
      const proven = await lab.prove(lab.energy, lab.grid, dealKey(hashOf(contract)))
      return lab.send(lab.grid, 'distributor', { kind: 'claim', body: { deal: hashOf(contract), ...proven } })
    },
  },
  {
    name: 'an agreement is offered to who runs no store',
    refused: 'ledger.role-only',
    run: lab =>
      lab.send(lab.energy, 'seller', {
        kind: 'propose',
        body: {
          storage: lab.addressOf('stranger'),
          meterId: 'S-1',
          from: later(lab.now(), 60_000),
          storePrice: microsPerKwh(100_000n),
          returnPrice: microsPerKwh(200_000n),
          most: wattHours(1_000n),
          noticeMs: 0,
          answerBy: later(lab.now(), 50_000),
        },
      }),
  },
  {
    name: 'coins are minted by somebody',
    refused: 'ledger.operator-only',
    run: lab =>
      lab.send(lab.energy, 'stranger', {
        kind: 'mint',
        body: { to: lab.addressOf('stranger'), amount: micros(1_000_000n) },
      }),
  },
  {
    name: 'a bid is opened as another than was sealed',
    refused: 'auction.commitment',
    async run(lab) {
      const id = new Uint8Array(16).fill(1)
      const auction = openAuction(id, 'bidding', instant(1_000), instant(2_000))
      const bidder = lab.addressOf('seller')
      const commitment = commitmentOf(bidOf(id, 200_000n), bidder)
      const sealed = hearSealed(auction, bidder, { id, commitment }, instant(500))
      return hearBid(sealed.auction, bidder, bidOf(id, 150_000n), instant(1_500)).refused?.code ?? 'taken'
    },
  },
  {
    name: 'a bidder says two things in one auction',
    refused: 'auction.equivocation',
    async run(lab) {
      const id = new Uint8Array(16).fill(1)
      const bidder = lab.addressOf('seller')
      const auction = openAuction(id, 'matching', instant(1_000), instant(2_000))
      const first = hearBid(auction, bidder, bidOf(id, 200_000n), instant(100))
      return hearBid(first.auction, bidder, bidOf(id, 150_000n), instant(200)).refused?.code ?? 'taken'
    },
  },
  {
    name: 'a false clearing is published',
    refused: 'certificate.not-optimal',
    async run() {
      const book = bookOf(['bid', 10n, 300_000n], ['bid', 10n, 250_000n], ['offer', 20n, 100_000n])
      const rule = { rule: 'pay-as-clear', option: 'midpoint', k: 500, ties: 'first-come' } as const
      const beacon = sha256(utf8('beacon'))
      const honest = must(clear(book, rule, beacon))
      const without = must(clear([book[1]!, book[2]!], rule, beacon))
      // Cleared without the dearest bid, and published as the clearing of the whole book.
      const certificate = { ...certify(book, honest), trades: certify([book[1]!, book[2]!], without).trades }
      return code(verifyCertificate(book, rule, beacon, certificate))
    },
  },
  {
    name: 'a band of yesterday is shown',
    refused: 'band.expired',
    async run(lab) {
      const key = lab.keyOf('regulator')
      const band = { from: instant(0), until: instant(1_000), floor: microsPerKwh(0n), ceiling: microsPerKwh(1n) }
      const payload = encodeBand(band)
      const sign1 = assembleSignedBand(payload, key.publicKey, key.signNow(bandToSign(payload, key.publicKey, 'x')))
      return code(verifyBand(sign1, key.publicKey, 'x', instant(2_000), createVerifier()))
    },
  },
  {
    name: 'a band is signed by somebody else',
    refused: 'band.key',
    async run(lab) {
      const key = lab.keyOf('stranger')
      const band = { from: instant(0), until: instant(9_000), floor: microsPerKwh(0n), ceiling: microsPerKwh(1n) }
      const payload = encodeBand(band)
      const sign1 = assembleSignedBand(payload, key.publicKey, key.signNow(bandToSign(payload, key.publicKey, 'x')))
      return code(verifyBand(sign1, lab.keyOf('regulator').publicKey, 'x', instant(2_000), createVerifier()))
    },
  },
]

/** Each attack in a lab of its own: the name of what became of it. */
export async function tryAttacks(
  attacks: readonly Attack[] = ATTACKS,
): Promise<readonly { readonly name: string; readonly refused: string; readonly outcome: string }[]> {
  const tried = []
  for (const { name, refused, run } of attacks) tried.push({ name, refused, outcome: await run(await openLab()) })
  return tried
}
