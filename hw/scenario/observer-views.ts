/** One household's trade on real ledgers, and the bytes that each observer of it has in hand. */
import { createBlindIssuer } from '../../drivers/crypto/blind-rsa.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { assemble, kidOf, protectedHeader, toBeSigned } from '../../protocol/crypto/cose.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { MESSAGE_CONTEXT, pairKeys, seal, sealingKey } from '../../protocol/crypto/seal.ts'
import { assembleSignedOrder, encodeOrder, orderToSign } from '../../protocol/market/order.ts'
import { coarsen, LOTS } from '../../protocol/privacy/anonymity.ts'
import type { Observer, Secrets } from '../../protocol/privacy/observers.ts'
import { microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { must } from '../../protocol/result.ts'
import { later } from '../../protocol/time.ts'
import { type Contract, contractHash, encodeContract } from '../../protocol/trade/contract.ts'
import { type Body, encodeMessage, topicOf } from '../../protocol/trade/message.ts'
import { assembleSealed, sealedToSign } from '../../protocol/trade/sealed.ts'
import { lockedDeal } from './attacks.ts'
import { certified } from './certified-key.ts'
import { LAB_ENERGY, LAB_GRID, type Lab, type LabParty, labCommit, labContract, labReceipt, openLab } from './lab.ts'

const LIMIT = microsPerKwh(287_654n)
const PRICE = microsPerKwh(251_113n)
const WANTED = wattHours(1_937n)
const REGISTER_WH = 7_123_456n

export interface Watched {
  readonly views: Readonly<Record<Observer, readonly Uint8Array[]>>
  readonly secrets: Readonly<Record<Observer, Secrets>>
  /** What a neighbour hears of the same order under the household's own name, and to the Wh. */
  readonly named: readonly Uint8Array[]
}

export async function watchTrade(): Promise<Watched> {
  const lab = await openLab()
  const from = lab.energy.status().height
  const contract = await lockedDeal(lab, { energy: WANTED, price: PRICE })
  await lab.until(contract.end + 1_000)
  const states: Uint8Array[] = []
  for (const side of ['seller', 'buyer'] as const) {
    const receipt = labReceipt(lab, contract, { side, wh: 1_500n, from: REGISTER_WH })
    const verdict = await lab.send(lab.energy, side, receipt)
    if (verdict !== 'taken') throw new Error(`the lab's own receipt is refused: ${verdict}`)
    states.push(...stateOf(lab))
  }
  const traded = txsOf(lab, from)
  const reserved = txsOf(lab, 0n, lab.grid)
  const [sealed, sealedTxs] = await tradeSealed(await openLab())

  const own = lab.keyOf('buyer')
  const issuer = await createBlindIssuer()
  const oneTime = createSigner(sha256(utf8('a one-time key')))
  const { certificate, blinded } = await certified(issuer, {
    slot: contract.start,
    side: 'bid',
    pseudonym: oneTime.publicKey,
  })
  const coarse = coarsen({ side: 'bid', quantity: WANTED, limit: LIMIT }, LOTS)!
  const orderBy = (
    signer: typeof own,
    terms: { quantity: typeof WANTED; limit: typeof LIMIT; node: string; certificate?: Uint8Array },
  ) => {
    const payload = encodeOrder({
      ...{ ...terms, side: 'bid', pseudonym: signer.publicKey, slot: contract.start, sequence: 0 },
      ...{ validFrom: later(contract.start, -120_000), expiry: contract.start },
    })
    return assembleSignedOrder(
      payload,
      signer.publicKey,
      signer.signNow(orderToSign(payload, signer.publicKey, LAB_ENERGY)),
    )
  }
  const { start, end } = contract
  const id = contract.nonce
  const wanted: Body = { kind: 'certificate-wanted', id, slot: start, side: 'bid', meter: 'B-1', blinded }
  const fee: Body = { kind: 'fee-wanted', id, line: 'elm', to: 'oak', start, end, energy: WANTED }
  const award: Body = {
    kind: 'award',
    id,
    as: 'buyer',
    start,
    end,
    energy: WANTED,
    price: PRICE,
    node: 'oak',
    meter: 'B-1',
  }
  const views = {
    neighbour: [orderBy(oneTime, { quantity: coarse.quantity, limit: coarse.limit, node: 'town', certificate })],
    distributor: [letter(lab, 'seller', 'distributor', fee).open, ...reserved],
    regulator: states,
    validator: traded,
    'validator, sealed receipts': sealedTxs,
    broker: [award, wanted].flatMap((body, i) => letter(lab, 'buyer', i === 0 ? 'seller' : 'issuer', body).carried),
    registrar: [letter(lab, 'buyer', 'issuer', wanted).open],
  }
  const open = secretsOf(lab, contract, 'seller')
  const secrets = Object.fromEntries(Object.keys(views).map(observer => [observer, open])) as Record<Observer, Secrets>
  return {
    views,
    secrets: { ...secrets, 'validator, sealed receipts': secretsOf(lab, sealed, 'stranger') },
    named: [orderBy(own, { quantity: WANTED, limit: LIMIT, node: 'oak' })],
  }
}

const secretsOf = (lab: Lab, contract: Contract, seller: LabParty): Secrets => ({
  identity: [lab.addressOf('buyer'), lab.keyOf('buyer').publicKey, 'B-1'],
  // Registers at begin and end, mWh and Wh.
  reading: [REGISTER_WH, REGISTER_WH + 1_500n].flatMap(wh => [wh, wh * 1_000n]),
  limit: [LIMIT],
  quantity: [contract.energy],
  price: [contract.price],
  partner: [lab.addressOf(seller), lab.keyOf(seller).publicKey, contract.sellerMeter],
  time: [contract.start],
})

/** A contract over a direct line whose receipt both sign without showing their readings. */
async function tradeSealed(lab: Lab): Promise<readonly [Contract, readonly Uint8Array[]]> {
  // The other ledger: this one asks for capacity on it for every contract.
  const on = lab.grid
  for (const [meterId, owner] of [
    ['X-1', 'stranger'],
    ['B-1', 'buyer'],
  ] as const) {
    const publicKey = lab.keyOf(`${owner} meter` as 'buyer meter').publicKey
    const body = { meterId, owner: lab.addressOf(owner), line: 'oak', publicKey }
    await lab.send(on, 'operator', { kind: 'enrol', body })
  }
  const from = on.status().height
  const { to: _, ...direct } = labContract(lab, {
    ...{
      chainId: LAB_GRID,
      line: 'oak',
      seller: lab.addressOf('stranger'),
      sellerMeter: 'X-1',
      energy: WANTED,
      price: PRICE,
    },
    receipts: 'sealed',
  })
  const locked = await lab.send(on, 'buyer', labCommit(lab, direct, undefined, { seller: 'stranger' }))
  await lab.until(direct.end + 1_000)
  const deal = contractHash(encodeContract(direct))
  const receipt = { deal, energy: wattHours(1_500n), evidence: sha256(deal) }
  const half = (party: LabParty) => {
    const key = lab.keyOf(party)
    return assembleSealed(receipt, key.publicKey, key.signNow(sealedToSign(receipt, key.publicKey)))
  }
  const body = { ...receipt, sellerSign1: half('stranger'), buyerSign1: half('buyer') }
  const settled = await lab.send(on, 'buyer', { kind: 'sealed', body })
  if (locked !== 'taken' || settled !== 'taken') throw new Error(`the lab's sealed deal: ${locked}, ${settled}`)
  return [direct, txsOf(lab, from, on)]
}

function txsOf(lab: Lab, after: bigint, on = lab.energy): readonly Uint8Array[] {
  const txs: Uint8Array[] = []
  for (let height = after + 1n; height <= on.status().height; height++) txs.push(...on.block(height)!.txs)
  return txs
}

const stateOf = ({ energy }: Lab): readonly Uint8Array[] => [...energy.entries(energy.status().height)!].flat()

/** A letter as its reader has it, and as a broker carries it. */
function letter(lab: Lab, from: LabParty, to: LabParty, body: Body) {
  const key = lab.keyOf(from)
  const [sender, recipient] = [lab.addressOf(from), lab.addressOf(to)]
  const open = encodeMessage({
    from: sender,
    to: recipient,
    epoch: 1,
    sequence: 1,
    sent: lab.now(),
    reliable: true,
    body,
  })
  const header = protectedHeader('EdDSA', kidOf('EdDSA', key.publicKey))
  const signed = assemble(header, open, key.signNow(toBeSigned(header, open, MESSAGE_CONTEXT)))
  const keys = must(pairKeys(sealingKey(sha256(utf8(from))), sealingKey(sha256(utf8(to))).publicKey))
  const topic = topicOf(recipient)
  const nonce = sha256(open).subarray(0, 24)
  return { open, carried: [utf8(topic), seal(keys.send.seal, sender, topic, nonce, signed)] }
}
