/**
 * Who cheats in a deal over the grid, and what becomes of it: each cheat is refused under a name, and each defence is tried
 * switched off, where the cheat runs into the next one or has its way.
 */
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { microsPerKwh } from '../../../protocol/quantity.ts'
import { later } from '../../../protocol/time.ts'
import {
  assembleSignedContract,
  type Contract,
  contractToSign,
  encodeContract,
  type Party as Role,
} from '../../../protocol/trade/contract.ts'
import type { Body, BodyOf, Kind } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { buyer, commitOf, type Party, seller, stranger } from '../ledger/parties.ts'
import { said } from './grid-deal.ts'
import { judgeEnd } from './grid-ends.ts'
import { GridStreet } from './grid-ledgers.ts'
import { ALL_OVER, type Cheats, GRID_CONTRACT, PRICE } from './grid-plan.ts'

const test = suite('cheating over the grid')

const refusals = (street: GridStreet, role: Role): string[] =>
  street.ends[role]!.outputs.flatMap(output => (output.kind === 'refused' ? [output.fault.code] : []))
const causeOf = (street: GridStreet, role: Role) => street.ends[role]!.deal.cause?.code
const on = (street: GridStreet, ledger: 'energy' | 'net'): string[] =>
  street.handedIn.filter(tx => tx.startsWith(ledger)).map(tx => tx.slice(ledger.length + 1))
const halfOf = (contract: Uint8Array, by: Party, key = by.publicKey): Uint8Array =>
  assembleSignedContract(contract, key, by.sign(contractToSign(contract, key)))
/** Each message of a kind arrives as something else, or not at all. */
const replaced = <K extends Kind>(kind: K, by: (body: BodyOf<K>) => Body | undefined): Cheats => ({
  message: body => (body.kind === kind ? by(body as BodyOf<K>) : body),
})
/** What the energy ledger says to a transaction. */
const refusedBy = (street: GridStreet, sender: Party, content: TxContent): string =>
  street.handIn(street.energy, sender, content) ?? 'taken'
const honest = new GridStreet().run(ALL_OVER)
/** How many outputs an honest party has behind it when it does something for the first time. */
function before(role: Role, what: string): number {
  const found = honest.ends[role]!.outputs.findIndex(output => said(output) === what)
  assert.ok(found > 0, what)
  return found
}
const bothArmed = (street: GridStreet): GridStreet =>
  street.runUntil(() => street.state('seller') === 'armed' && street.state('buyer') === 'armed')

const cheaper = encodeContract({ ...GRID_CONTRACT, price: microsPerKwh(1n) })

test('a countersign of other terms is refused, and nothing is reserved or locked', () => {
  const cheats = replaced('countersign', body => ({ ...body, half: halfOf(cheaper, buyer) }))
  const street = new GridStreet({ cheats })
  assert.is(judgeEnd(street, 'other terms'), 'none')
  assert.equal(refusals(street, 'seller'), ['contract.other-bytes'])
  assert.is(causeOf(street, 'seller'), 'deal.sign')
  assert.equal(street.handedIn, [])
})

test('  unseen by the seller, it is refused by the ledger', () => {
  const street = new GridStreet({ lax: true })
  const body = { ...commitOf(GRID_CONTRACT).body, buyerSign1: halfOf(cheaper, buyer) }
  assert.is(refusedBy(street, buyer, { kind: 'commit', body }), 'ledger.contract-signature')
  assert.is(refusedBy(street, buyer, commitOf(GRID_CONTRACT)), 'taken', 'the honest half in its place')
})

test('a countersign that the buyer did not sign is refused; by a seller that does not look, the fee is locked for nobody', () => {
  const cheats = replaced('countersign', body => ({
    ...body,
    half: halfOf(encodeContract(GRID_CONTRACT), stranger, buyer.publicKey),
  }))
  const street = new GridStreet({ cheats })
  judgeEnd(street, 'forged half')
  assert.equal(refusals(street, 'seller'), ['cose.signature'])
  assert.equal(street.handedIn, [])
  const trusting = new GridStreet({ cheats: { ...cheats, trusting: true } }).run(GRID_CONTRACT.start)
  assert.equal(on(trusting, 'net'), ['reserve'])
})

test('`reserved` for another contract is refused, and the buyer commits to nothing', () => {
  const street = new GridStreet({ cheats: replaced('reserved', body => ({ ...body, hash: new Uint8Array(32) })) })
  assert.is(judgeEnd(street, 'another contract'), 'none')
  assert.equal(refusals(street, 'buyer'), ['deal.other-contract'])
  assert.is(causeOf(street, 'buyer'), 'deal.reserve-by')
  assert.equal(on(street, 'energy'), [])
})

test('  where it names ours and nothing is reserved, no proof comes, and the buyer commits to nothing', () => {
  const street = new GridStreet({ crash: { actor: 'seller', output: before('seller', 'submit reserve') } })
  street.runUntil(() => street.state('buyer') === 'signed')
  street.give('buyer', { kind: 'message', body: { kind: 'reserved', hash: street.hash, tx: new Uint8Array(32) } })
  assert.is(judgeEnd(street, 'nothing reserved'), 'none')
  assert.is(causeOf(street, 'buyer'), 'deal.reserve-by')
  assert.equal(street.handedIn, [])
})

test('energy without a reservation is refused by the ledger; by a ledger that does not ask, one half is committed alone', () => {
  const street = new GridStreet({ unreserved: true })
  assert.is(judgeEnd(street, 'unreserved'), 'none')
  assert.is(causeOf(street, 'buyer'), 'ledger.no-reservation')
  const lax = new GridStreet({ unreserved: true, lax: true })
  let verdict = 'fine'
  try {
    judgeEnd(lax, 'lax')
  } catch (error) {
    verdict = (error as Error).message
  }
  assert.is(verdict, 'lax: committed without a reservation')
  assert.is(lax.ledgers().deal!.state, 'settled')
})

test('a forged proof of the reservation is refused by the buyer, and by the ledger where the buyer believes it', () => {
  const proof = (real: Uint8Array) => {
    const forged = real.slice()
    forged[forged.length >> 1]! ^= 1
    return forged
  }
  const street = new GridStreet({ cheats: { proof } })
  assert.is(judgeEnd(street, 'forged proof'), 'none')
  assert.match(causeOf(street, 'buyer')!, /^ics23\./)
  assert.equal(on(street, 'energy'), [])
  const trusting = new GridStreet({ cheats: { proof, trusting: true } })
  assert.is(judgeEnd(trusting, 'believed proof'), 'none')
  assert.is(causeOf(trusting, 'buyer'), 'ledger.proof')
})

test('`committed` without a commitment gets a seller nothing but a wait, and it switches nothing on', () => {
  const street = new GridStreet({ crash: { actor: 'buyer', output: before('buyer', 'submit commit') } })
  street.runUntil(() => street.state('seller') === 'reserved')
  street.give('seller', { kind: 'message', body: { kind: 'committed', hash: street.hash, tx: new Uint8Array(32) } })
  assert.is(street.state('seller'), 'escrowed')
  while (street.time < ALL_OVER) assert.not.ok(street.run(street.time + 1).dispatched('seller'))
  assert.is(judgeEnd(street, 'only a word'), 'none')
  assert.is(causeOf(street, 'seller'), 'deal.start-by')
})

test('a begin reading of another deal, or of another time, is no begin of this one', () => {
  const street = new GridStreet({ crash: { actor: 'seller', output: before('seller', 'submit receipt') } })
  street.runUntil(() => street.time >= GRID_CONTRACT.end + 2000)
  const { begin, end } = street.ends.seller!.deal
  const receipt = (first: Uint8Array): TxContent => ({
    kind: 'receipt',
    body: { deal: street.hash, begin: first, end: end!.envelope, contexts: [begin!.context] },
  })
  const earlier = encodeContract({ ...GRID_CONTRACT, nonce: new Uint8Array(16).fill(6) })
  const foreign = street.readAt('seller', 'begin', GRID_CONTRACT.start, earlier)
  const stale = street.readAt('seller', 'begin', GRID_CONTRACT.start - 30_001)
  assert.is(refusedBy(street, seller, receipt(foreign.envelope)), 'ledger.reading-session')
  assert.is(refusedBy(street, seller, receipt(stale.envelope)), 'ledger.reading-time')
  assert.is(refusedBy(street, seller, receipt(end!.envelope)), 'ledger.reading-reason', 'nor is its end')
  assert.is(refusedBy(street, seller, receipt(begin!.envelope)), 'taken', 'its own is')
})

for (const role of ['seller', 'buyer'] as const) {
  test(`a ${role} that withholds its receipt gains nothing by it`, () => {
    const street = new GridStreet({ crash: { actor: role, output: before(role, 'submit receipt') } })
    assert.is(judgeEnd(street, 'withheld'), 'settled')
    const { outcome } = street.ledgers().deal!
    assert.is(outcome!.disputed, true)
    assert.is(outcome!.paid, PRICE, 'as with both')
  })
}

test('a buyer that says stop once the payment is locked does not talk the seller out of its receipt', () => {
  const street = bothArmed(new GridStreet())
  street.give('seller', { kind: 'message', body: { kind: 'stop', hash: street.hash, reason: 'operator' } })
  street.ends.buyer!.alive = false
  assert.is(judgeEnd(street, 'talked to'), 'settled')
  assert.is(street.ledgers().deal!.outcome!.paid, PRICE)
  // A seller that takes it for the end of the deal delivers for nothing.
  const silent = bothArmed(new GridStreet())
  for (const role of ['seller', 'buyer'] as const) silent.ends[role]!.alive = false
  assert.is(judgeEnd(silent, 'talked out of it'), 'refunded')
})

test('an award made twice: one reservation, one commitment, and no window that overlaps another', () => {
  const street = bothArmed(new GridStreet())
  assert.is(street.handIn(street.net, seller, street.reserveBody()), 'ledger.reserved')
  const again = commitOf(GRID_CONTRACT)
  assert.is(refusedBy(street, buyer, again), 'ledger.deal-taken')
  const other = (change: Partial<Contract>) =>
    commitOf({ ...GRID_CONTRACT, nonce: new Uint8Array(16).fill(8), ...change })
  const { start, end } = GRID_CONTRACT
  const lax = bothArmed(new GridStreet({ lax: true }))
  const shifted = { start: later(start, 10_000), end: later(end, 10_000) }
  assert.is(refusedBy(lax, buyer, other(shifted)), 'ledger.sold')
  const { seller: sells, buyer: buys, sellerMeter, buyerMeter, line, to } = GRID_CONTRACT
  const back = { seller: buys, buyer: sells, sellerMeter: buyerMeter, buyerMeter: sellerMeter, line: to!, to: line }
  const circle = commitOf({ ...GRID_CONTRACT, ...back }, { seller: buyer, buyer: seller })
  assert.is(refusedBy(lax, seller, circle), 'ledger.window-terms', 'nor does a meter buy what it sells')
})

test('  the same energy sold twice in one window is paid once', () => {
  const street = bothArmed(new GridStreet({ lax: true }))
  const twice = commitOf({ ...GRID_CONTRACT, nonce: new Uint8Array(16).fill(8) })
  assert.is(refusedBy(street, buyer, twice), 'taken')
  street.run(ALL_OVER)
  street.energy.books()
  const paid = [street.bytes, twice.body.contract].map(bytes => street.energy.deal(bytes)!.outcome!.paid)
  assert.equal(paid, [PRICE / 2n, PRICE / 2n])
})

test('energy that has begun to flow is not bought any more', () => {
  const street = new GridStreet({ lax: true, crash: { actor: 'buyer', output: 0 } })
  street.run(GRID_CONTRACT.start + 1)
  assert.is(refusedBy(street, buyer, commitOf(GRID_CONTRACT)), 'ledger.window-begun')
})

test.run()
