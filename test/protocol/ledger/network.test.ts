/** A deal across two ledgers: capacity and fee on one, energy and its price on the other. Both, or neither. */
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash, encodeContract } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import {
  BEGIN,
  buyer,
  commitOf,
  nameOf,
  operator,
  type Party,
  RICH,
  seller,
  signTx,
  stranger,
  terms,
} from './parties.ts'
import {
  AFTER_WINDOW,
  anchorOf,
  type Chain,
  distributor,
  energyKey,
  FEE,
  followOf,
  LINE_FEE,
  MARGIN_MS,
  netKey,
  reserveOf,
  Street,
} from './two-ledgers.ts'

const test = suite('two ledgers')

const commit = commitOf(terms)
const { contract } = commit.body
const deal = contractHash(contract)
const other = commitOf({ ...terms, nonce: new Uint8Array(16).fill(8) }).body.contract
const SETTLE_BY = terms.end + terms.receiptWindowMs + terms.disputeWindowMs

type Proven = { readonly height: bigint; readonly proof: Uint8Array }
const proved = (reservation: Proven): TxContent => ({ kind: 'commit', body: { ...commit.body, reservation } })
const claimOf = (by: Proven): TxContent => ({ kind: 'claim', body: { deal, ...by } })
const releaseOf = (by: Proven): TxContent => ({ kind: 'release', body: { deal, ...by } })

function refused(chain: Chain, expected: string, sender: Party, content: TxContent): void {
  const before = chain.account(sender).balance
  const outcome = chain.send(sender, content)
  assert.is(nameOf(outcome), expected, outcome.log)
  assert.is(chain.account(sender).balance, before)
  chain.books()
}

/** Reserved on one ledger and committed on the other. */
function locked(): Street {
  const street = new Street()
  street.net.take(buyer, reserveOf(contract))
  street.energy.take(buyer, proved(street.relay(street.net, netKey(contract))))
  return street
}

/** Nothing is held any more on either ledger, and every coin is somewhere. */
function nothingHeld(street: Street): void {
  for (const chain of [street.energy, street.net]) {
    const { money, deals } = chain.books()
    assert.is(money.escrowed, 0n)
    assert.is(money.reserved, 0n)
    assert.is(deals.locked, 0)
  }
}

test('reserve, prove, commit, settle, prove, claim: the fee is paid for what was delivered', () => {
  const street = locked()
  const { energy, net } = street
  assert.is(street.reservation(contract)!.state, 'held')
  refused(net, 'ledger.reserved', seller, reserveOf(contract))
  assert.is(net.books().money.reserved, LINE_FEE)
  street.until(BEGIN + 125_000)
  street.deliver(contract, 1500n)
  assert.is(energy.deal(contract)!.outcome!.delivered, 1500n)
  const before = net.account(distributor).balance
  net.take(distributor, claimOf(street.relay(energy, energyKey(contract))))
  // 1500 Wh at 25,001 micro a kWh, rounded down.
  assert.is(net.account(distributor).balance, before + 37_501n - FEE)
  assert.is(net.account(buyer).balance, RICH - FEE - 37_501n)
  const { state, outcome } = street.reservation(contract)!
  assert.is(state, 'claimed')
  assert.equal([outcome!.delivered, outcome!.paid, outcome!.refunded], [1500n, 37_501n, LINE_FEE - 37_501n])
  nothingHeld(street)
})

test('a commitment without a proof is refused where the rules ask for one, and taken where they do not', () => {
  const { energy } = new Street()
  refused(energy, 'ledger.no-reservation', buyer, commit)
  const free = new Street({ reserveOn: false })
  free.energy.take(buyer, commit)
})

test('only the proof of this very reservation, under a followed header, lets a commitment through', () => {
  const street = new Street()
  const { energy, net } = street
  net.take(buyer, reserveOf(other))
  const foreign = street.relay(net, netKey(other))
  const absent = street.relay(net, netKey(contract))
  refused(energy, 'ledger.proof', buyer, proved(foreign))
  refused(energy, 'ledger.proof', buyer, proved(absent))
  refused(energy, 'ledger.proof', buyer, proved({ ...foreign, proof: Uint8Array.of(1, 2, 3) }))
  net.take(seller, reserveOf(contract, LINE_FEE))
  const own = net.prove(netKey(contract))
  refused(energy, 'ledger.header-unknown', buyer, proved(own))
  // The state before the reservation is under an older header.
  refused(energy, 'ledger.proof', buyer, proved({ ...own, height: absent.height }))
  energy.take(stranger, followOf(net.blocks[Number(own.height) - 1]!))
  energy.take(buyer, proved(own))
})

test('a flipped bit of a proof proves nothing', () => {
  const street = new Street()
  street.net.take(buyer, reserveOf(contract))
  const own = street.relay(street.net, netKey(contract))
  const { energy } = street
  const bits = Array.from({ length: own.proof.length }, (_, byte) => byte * 8 + (byte % 8))
  const mutants = bits.map(bit => {
    const proof = own.proof.slice()
    proof[bit >> 3]! ^= 1 << (bit & 7)
    return signTx(buyer, energy.sequence(buyer), proved({ ...own, proof }))
  })
  for (const [i, outcome] of energy.block(mutants).entries())
    assert.is(nameOf(outcome), 'ledger.proof', `bit ${bits[i]}`)
  street.energy.take(buyer, proved(own))
})

test('a reservation that ends before the other ledger wants it to is none', () => {
  const street = new Street({ seen: { relayMarginMs: MARGIN_MS + 1 } })
  street.net.take(buyer, reserveOf(contract))
  refused(street.energy, 'ledger.reservation-short', buyer, proved(street.relay(street.net, netKey(contract))))
})

test('a reservation that has expired is none, even where the clocks of two ledgers have come far apart', () => {
  const street = new Street({ seen: { maxClockDriftMs: 3_600_000 } })
  const { energy, net } = street
  net.take(buyer, reserveOf(contract))
  net.block([], SETTLE_BY + MARGIN_MS - net.time)
  const { height, proof } = net.prove(netKey(contract))
  energy.take(stranger, followOf(net.blocks[Number(height) - 1]!))
  refused(energy, 'ledger.reservation-closed', buyer, proved({ height, proof }))
})

test('a reservation that is closed is none', () => {
  const street = new Street()
  const { energy, net } = street
  net.take(buyer, reserveOf(contract))
  street.until(AFTER_WINDOW)
  net.take(stranger, releaseOf(street.relay(energy, energyKey(contract))))
  const closed = street.relay(net, netKey(contract))
  // The energy ledger's clock is past the window as well: that is seen first.
  refused(energy, 'ledger.window-over', buyer, proved(closed))
})

test('without a deal the reservation ends with a proof of absence, but of no time before the window is over', () => {
  const street = new Street()
  const { energy, net } = street
  net.take(buyer, reserveOf(contract))
  const early = street.relay(energy, energyKey(contract))
  refused(net, 'ledger.proof-early', buyer, releaseOf(early))
  street.until(AFTER_WINDOW)
  refused(net, 'ledger.proof-early', buyer, releaseOf(early))
  net.take(buyer, releaseOf(street.relay(energy, energyKey(contract))))
  assert.is(street.reservation(contract)!.state, 'released')
  assert.is(net.account(buyer).balance, RICH - 4n * FEE + 2n * FEE)
  nothingHeld(street)
  refused(net, 'ledger.reservation-closed', buyer, releaseOf(early))
})

test('a locked deal is neither claimed nor released; a refunded one gives the fee back', () => {
  const street = locked()
  const { energy, net } = street
  const open = street.relay(energy, energyKey(contract))
  refused(net, 'ledger.proof', distributor, claimOf(open))
  refused(net, 'ledger.proof', buyer, releaseOf(open))
  street.until(SETTLE_BY)
  assert.is(energy.deal(contract)!.state, 'refunded')
  const over = street.relay(energy, energyKey(contract))
  refused(net, 'ledger.proof', buyer, releaseOf(over))
  net.take(buyer, claimOf(over))
  assert.equal(street.reservation(contract)!.outcome!.refunded, LINE_FEE)
  nothingHeld(street)
})

test('what nobody speaks of ends by itself on both ledgers, the reservation after the deal', () => {
  const street = locked()
  const { expires } = street.reservation(contract)!
  assert.is(expires, SETTLE_BY + MARGIN_MS)
  street.until(SETTLE_BY)
  assert.is(street.energy.deal(contract)!.state, 'refunded')
  street.until(expires - 1)
  assert.is(street.reservation(contract)!.state, 'held')
  street.until(expires)
  assert.is(street.reservation(contract)!.state, 'released')
  nothingHeld(street)
  refused(
    street.net,
    'ledger.reservation-closed',
    distributor,
    claimOf(street.relay(street.energy, energyKey(contract))),
  )
})

test('a claim in the very block of its expiry is the last that counts', () => {
  const street = locked()
  street.until(BEGIN + 125_000)
  street.deliver(contract, 2000n)
  const settled = street.relay(street.energy, energyKey(contract))
  street.until(SETTLE_BY + MARGIN_MS - 1000)
  street.net.take(distributor, claimOf(settled))
  assert.is(street.reservation(contract)!.state, 'claimed')
  assert.is(street.reservation(contract)!.outcome!.at, SETTLE_BY + MARGIN_MS)
  nothingHeld(street)
})

test('a chain that signs two histories is frozen on the other ledger, saved, and anchored anew by the operator alone', () => {
  const street = locked()
  const { energy, net } = street
  street.until(BEGIN + 125_000)
  street.deliver(contract, 2000n)
  const settled = street.relay(energy, energyKey(contract))
  net.take(stranger, followOf(energy.fork(settled.height)))
  assert.is(net.peer().frozen!.height, settled.height)
  const next = followOf(energy.blocks.at(-1)!)
  refused(net, 'ledger.peer-frozen', stranger, next)
  refused(net, 'ledger.peer-frozen', distributor, claimOf(settled))
  refused(net, 'ledger.operator-only', stranger, anchorOf(energy.blocks.at(-1)!))
  energy.block([])
  net.take(operator, anchorOf(energy.blocks.at(-1)!))
  // Nothing of the time before is believed any longer.
  refused(net, 'ledger.header-unknown', distributor, claimOf(settled))
  refused(net, 'ledger.light-block', stranger, next)
  net.take(stranger, followOf(energy.blocks.at(-1)!))
  net.take(distributor, claimOf(street.relay(energy, energyKey(contract))))
  assert.is(street.reservation(contract)!.state, 'claimed')
  nothingHeld(street)
})

test('a frozen distribution ledger stops new commitments; what is locked still ends', () => {
  const street = locked()
  const { energy, net } = street
  const next = commitOf({ ...terms, start: terms.end, end: instant(terms.end + 60_000) })
  net.take(buyer, reserveOf(next.body.contract))
  const reservation = street.relay(net, netKey(next.body.contract))
  energy.take(stranger, followOf(net.fork(reservation.height)))
  refused(energy, 'ledger.peer-frozen', buyer, { ...next, body: { ...next.body, reservation } })
  street.until(SETTLE_BY + MARGIN_MS + 60_000)
  nothingHeld(street)
})

test('two headers of one height do nothing where only one of them verifies', () => {
  const street = new Street()
  const { energy, net } = street
  const { height } = street.relay(energy, 'chain')
  const forged = energy.fork(height)
  const votes = forged.commit.signatures.map(vote => ({ ...vote, signature: new Uint8Array(64).fill(1) }))
  refused(net, 'ledger.light-block', stranger, followOf({ ...forged, commit: { ...forged.commit, signatures: votes } }))
  assert.is(net.peer().frozen, undefined)
})

test('a reservation needs a known line, a tariff, room, a party and a price that it agreed to', () => {
  const street = new Street()
  const { net } = street
  const of = (change: Partial<typeof terms>) => encodeContract({ ...terms, ...change })
  const asks = (expected: string, sender: Party, bytes: Uint8Array, most?: bigint) =>
    refused(net, expected, sender, reserveOf(bytes, most))
  asks('ledger.contract', buyer, Uint8Array.of(0xa0))
  asks('ledger.peer-unknown', buyer, of({ chainId: 'nowhere' }))
  asks('ledger.not-a-party', stranger, contract)
  asks('ledger.window-over', buyer, of({ start: instant(BEGIN), end: instant(BEGIN + 20_000) }))
  const far = BEGIN + 9 * 86_400_000
  asks('ledger.window-far', buyer, of({ start: instant(far), end: instant(far + 60_000) }))
  asks('ledger.line-unknown', buyer, of({ line: 'L2' }))
  asks('ledger.tariff', buyer, of({ start: instant(BEGIN + 10_000) }))
  asks('ledger.fee-limit', buyer, contract, LINE_FEE - 1n)
  asks('ledger.capacity', buyer, of({ energy: wattHours(5001n) }), 1_000_000n)
})

test.run()
