/** The way of a contract over the grid: which lines it takes, in which direction, and what the distributor asks for it. */
import { toHex } from '../../../protocol/bytes.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import { LINES, type Line, RESERVATIONS, type Reservation, SLOTS } from '../../../protocol/ledger/network-tables.ts'
import { pathBetween, SLOT_MS } from '../../../protocol/ledger/rules/lines.ts'
import { createFirstDraft } from '../../../protocol/ledger/state.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { createFeeder, pathBetween as pathOnFeeder } from '../../../protocol/market/feeder.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { encodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash, encodeContract } from '../../../protocol/trade/contract.ts'
import { feeOfferToSign, verifyFeeOffer } from '../../../protocol/trade/fee-offer.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { ada, ben, cem, dora, gridCommit, gridTerms, type Home, windowOf } from './grid.ts'
import { GRID_TARIFF, GridLedgers, gridReserve, offerOf } from './grid-ledgers.ts'
import { BEGIN, es256PartyOf, nameOf, operator, type Party, stranger, verifier } from './parties.ts'
import { distributor, netKey } from './two-ledgers.ts'

const test = suite('lines of a contract over the grid')

const wh = (n: bigint) => wattHours(n)
const lone: Home = { ...dora, node: 'H-lone' }
const slotOf = (time: number) => Math.floor(time / SLOT_MS)

function refused(ledgers: GridLedgers, expected: string, sender: Party, contract: Uint8Array, offer?: Uint8Array) {
  const outcome = ledgers.net.send(sender, gridReserve(contract, offer))
  assert.is(nameOf(outcome), expected, outcome.log)
  ledgers.net.books()
}

test('the path goes up from the seller to the lowest node above both, and down to the buyer; its fee is their tariffs', () => {
  const ledgers = new GridLedgers()
  const { net } = ledgers
  for (const [from, to, path, up] of [
    [ada, ben, ['H-ada', 'H-ben'], 1],
    [ada, cem, ['H-ada', 'F1', 'F2', 'H-cem'], 2],
    [ada, { ...ben, node: 'F1' }, ['H-ada'], 1],
    [{ ...ada, node: 'T' }, cem, ['F2', 'H-cem'], 0],
    [ada, { ...ben, node: 'H-ada' }, [], 0],
  ] as const) {
    const { contract } = gridCommit(from, to).body
    net.take(ada.owner, gridReserve(contract))
    net.books()
    const found = ledgers.reservation(contract)!
    assert.equal([found.path, found.up, found.price], [path, up, GRID_TARIFF * BigInt(path.length)])
    assert.is(toHex(found.distributor), distributor.id)
  }
  refused(ledgers, 'ledger.feeder', ada.owner, gridCommit(ada, lone).body.contract)
  refused(ledgers, 'ledger.line-unknown', ada.owner, gridCommit(ada, { ...ben, node: 'H-none' }).body.contract)
})

test('any two nodes of any tree: the ledger takes the way that the market takes', () => {
  const tree = fc.array(fc.nat(30), { minLength: 1, maxLength: 30 })
  assertProperty(
    fc.property(tree, fc.nat(29), fc.nat(29), (parents, a, b) => {
      const state = createFirstDraft()
      const lines = []
      const depth: number[] = []
      for (const [i, above] of parents.entries()) {
        const parent = i > 0 && above % 5 !== 0 ? above % i : -1
        // The ledger's limit of depth; the market's is higher.
        const feeder = parent >= 0 && depth[parent]! < 7 ? parent : undefined
        depth.push(feeder === undefined ? 0 : depth[feeder]! + 1)
        const above2 = feeder === undefined ? {} : { feeder: `n${feeder}` }
        state.put(LINES, `n${i}`, { distributor: distributor.address, capacity: wh(1n), tariffs: [], ...above2 })
        lines.push({ id: `n${i}`, capacity: wh(1n), tariff: microsPerKwh(0n), ...above2 })
      }
      const [from, to] = [`n${a % parents.length}`, `n${b % parents.length}`]
      const feeder = must(createFeeder(lines, microsPerKwh(0n)))
      const market = pathOnFeeder(feeder, from, to)
      const ledger = pathBetween(state, from, to)
      assert.is(ledger.ok, market.ok)
      if (!ledger.ok || !market.ok) return
      const name = (place: number) => feeder.nodes[place]!.id
      const { up, down } = market.value
      assert.equal(ledger.value, { path: [...up, ...[...down].reverse()].map(name), up: up.length })
    }),
    400,
  )
})

test('each direction of a line is filled by itself, up to its capacity, and given back by itself', () => {
  const ledgers = new GridLedgers()
  const { net, energy } = ledgers
  const of = (from: Home, to: Home, n: bigint) => encodeContract(gridTerms(from, to, { energy: wh(n) }))
  const there = of(ada, ben, 3000n)
  net.take(ada.owner, gridReserve(there))
  net.take(ada.owner, gridReserve(of(ben, ada, 5000n)))
  refused(ledgers, 'ledger.capacity', ada.owner, of(ada, ben, 2001n))
  refused(ledgers, 'ledger.capacity', ada.owner, of(ben, ada, 1n))
  net.take(ada.owner, gridReserve(of(ada, ben, 2000n)))
  const slot = () => net.record(SLOTS, `H-ada/${slotOf(windowOf(0).start)}`)
  assert.equal([slot()!.energy, slot()!.down], [5000n, 5000n])
  ledgers.until(windowOf(0).end + 1000)
  const body = { deal: contractHash(there), ...ledgers.relay(energy, `deal/${toHex(contractHash(there))}`) }
  net.take(stranger, { kind: 'release', body })
  net.books()
  assert.equal([slot()!.energy, slot()!.down], [2000n, 5000n])
})

test('a reservation by the distributor’s own offer costs what it says, and no other offer counts', () => {
  const ledgers = new GridLedgers()
  const { net } = ledgers
  const { contract } = gridCommit(ada, cem).body
  const price = microsPerKwh(4321n)
  const good = { contract: contractHash(contract), price, until: instant(net.time + 60_000) }
  const other = gridCommit(ada, cem).body.contract
  refused(ledgers, 'ledger.fee-offer', ada.owner, other, offerOf(good))
  refused(ledgers, 'ledger.fee-offer', ada.owner, contract, offerOf({ ...good, until: instant(net.time) }))
  refused(ledgers, 'ledger.fee-offer-signature', ada.owner, contract, offerOf(good, stranger))
  refused(ledgers, 'ledger.fee-offer-signature', ada.owner, contract, offerOf(good, operator))
  refused(ledgers, 'ledger.fee-offer-signature', ada.owner, contract, Uint8Array.of(1, 2, 3))
  const bent = offerOf(good)
  bent[bent.length - 1]! ^= 1
  refused(ledgers, 'ledger.fee-offer-signature', ada.owner, contract, bent)
  const least = net.send(ada.owner, gridReserve(contract, offerOf(good), 4320n))
  assert.is(nameOf(least), 'ledger.fee-limit')
  net.take(ada.owner, gridReserve(contract, offerOf(good)))
  net.books()
  assert.equal([ledgers.reservation(contract)!.price, ledgers.reservation(contract)!.escrow], [4321n, 4321n])
})

/** Of H-cem's line, at the end of the way from ada. */
const declare = (offer: boolean): TxContent => ({
  kind: 'capacity',
  body: { line: 'H-cem', energy: wh(5000n), feeder: 'F2', ...(offer ? { offer: 'required' } : {}) },
})
const DAY_MS = 86_400_000

test('where one line of the way requires a signed offer nothing is reserved at the tariffs, by either party, until it no longer does', () => {
  const ledgers = new GridLedgers()
  const { net } = ledgers
  const { contract } = gridCommit(ada, cem).body
  const price = microsPerKwh(4321n)
  const offer = offerOf({ contract: contractHash(contract), price, until: windowOf(0).end })
  net.take(distributor, declare(true))
  const since = net.time
  assert.is(net.record(LINES, 'H-cem')!.offersSince, since as never)
  for (const { owner } of [ada, cem]) refused(ledgers, 'ledger.offer-required', owner, contract)
  refused(
    ledgers,
    'ledger.fee-offer-signature',
    ada.owner,
    contract,
    offerOf(must(verifyFeeOffer(offer, distributor.publicKey, verifier)), ada.owner),
  )
  // A way beside it, and one that uses no line, are as they were.
  net.take(ada.owner, gridReserve(gridCommit(ada, ben).body.contract))
  net.take(ada.owner, gridReserve(gridCommit(ada, { ...ben, node: 'H-ada' }).body.contract))
  // Said again, it has been so since it was said first.
  net.take(distributor, declare(true))
  assert.is(net.record(LINES, 'H-cem')!.offersSince, since as never)
  net.take(distributor, { kind: 'tariff', body: { line: 'H-cem', from: windowOf(9).end, price } })
  refused(ledgers, 'ledger.offer-required', ada.owner, contract)
  net.take(ada.owner, gridReserve(contract, offer))
  net.books()
  assert.equal([ledgers.reservation(contract)!.price, ledgers.reservation(contract)!.offered], [price, windowOf(0).end])

  net.take(distributor, declare(false))
  assert.is(net.record(LINES, 'H-cem')!.offersSince, undefined)
  const later = gridCommit(ada, cem).body.contract
  net.take(ada.owner, gridReserve(later))
  net.books()
  assert.equal([ledgers.reservation(later)!.price, ledgers.reservation(later)!.offered], [4n * GRID_TARIFF, undefined])
})

test('the audit names what was reserved without an offer on a line that required one, and not what was reserved before', () => {
  const ledgers = new GridLedgers()
  const { net } = ledgers
  const before = gridCommit(ada, cem).body.contract
  net.take(ada.owner, gridReserve(before))
  net.take(distributor, declare(true))
  const since = net.time
  net.books()
  // What ends later than eight days after that was reserved after it.
  net.block([], 2 * DAY_MS)
  const [start, end] = [instant(net.time + 7 * DAY_MS), instant(net.time + 7 * DAY_MS + 60_000)]
  const contract = encodeContract(gridTerms(ada, cem, { start, end }))
  const offer = { contract: contractHash(contract), price: microsPerKwh(0n), until: end }
  net.take(ada.owner, gridReserve(contract, offerOf(offer)))
  net.books()
  const key = netKey(contract)
  const problemsWith = (change: (line: Line, reservation: Reservation) => readonly [Line, Reservation]) => {
    const [line, reservation] = change(net.record(LINES, 'H-cem')!, ledgers.reservation(contract)!)
    const entries = [...net.app.entries(net.app.height)!].map(([id, value]) => {
      const name = Buffer.from(id).toString()
      if (name === key) return [id, encodeAs(RESERVATIONS.codec, reservation)] as const
      return name === 'line/H-cem' ? ([id, encodeAs(LINES.codec, line)] as const) : ([id, value] as const)
    })
    return auditLedger(entries).problems
  }
  const unsigned = ({ offered: _, ...rest }: Reservation) => rest
  assert.equal(
    problemsWith((line, reservation) => [line, unsigned(reservation)]),
    [
      {
        code: 'audit.reservation',
        deal: toHex(contractHash(contract)),
        what: 'offer',
        expected: 'signed, for H-cem',
        received: 'none',
      },
    ],
  )
  assert.equal(
    problemsWith((line, reservation) => [line, reservation]),
    [],
  )
  // It may have been made in the moment before.
  const just = instant(end - 8 * DAY_MS)
  assert.equal(
    problemsWith((line, reservation) => [{ ...line, offersSince: just }, unsigned(reservation)]),
    [],
  )
  const codes = problemsWith((line, reservation) => [{ ...line, offersSince: instant(net.time + 1) }, reservation])
  assert.equal(
    codes.map(({ code }) => code),
    ['audit.line'],
  )
  assert.ok(since < just)
})

test('an offer is its distributor’s over exactly these terms, by whichever kind of key', () => {
  const offer = { contract: new Uint8Array(32).fill(5), price: microsPerKwh(7n), until: instant(BEGIN) }
  for (const by of [distributor, es256PartyOf('a distributor')]) {
    assert.equal(must(verifyFeeOffer(offerOf(offer, by), by.publicKey, verifier)), offer)
    assert.not(verifyFeeOffer(offerOf(offer, by), stranger.publicKey, verifier).ok)
  }
  assert.not.equal(
    feeOfferToSign(offer, distributor.publicKey),
    feeOfferToSign({ ...offer, price: microsPerKwh(8n) }, distributor.publicKey),
  )
})

test('lines of two distributors make no path', () => {
  const ledgers = new GridLedgers()
  const { net } = ledgers
  net.take(operator, { kind: 'role', body: { role: 'distributor', holder: stranger.address, held: true } })
  net.take(stranger, { kind: 'capacity', body: { line: 'H-far', energy: wh(9n), feeder: 'F2' } })
  refused(ledgers, 'ledger.other-distributor', ada.owner, gridCommit(ada, { ...cem, node: 'H-far' }).body.contract)
})

test('reserve, prove, commit over the grid: the fee follows what was delivered', () => {
  const ledgers = new GridLedgers()
  const { energy, net } = ledgers
  const commit = gridCommit(ada, cem)
  const { contract } = commit.body
  net.take(ada.owner, gridReserve(contract))
  assert.is(nameOf(energy.send(cem.owner, commit)), 'ledger.no-reservation')
  const reservation = ledgers.relay(net, netKey(contract))
  energy.take(cem.owner, { ...commit, body: { ...commit.body, reservation } })
  ledgers.until(windowOf(0).end + 10_000_000)
  assert.is(energy.books().deals.refunded, 1)
  assert.is(net.books().money.reserved, 0n)
})

test.run()
