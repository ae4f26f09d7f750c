/** Lines and feeders: who says what they carry and cost, and that no slot is ever sold beyond that. */
import { SLOTS } from '../../../protocol/ledger/network-tables.ts'
import { SLOT_MS } from '../../../protocol/ledger/rules/lines.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { encodeContract } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, buyer, nameOf, operator, type Party, seller, stranger, terms } from './parties.ts'
import { distributor, reserveOf, Street } from './two-ledgers.ts'

const test = suite('lines')

const capacity = (line: string, wh: bigint, feeder?: string): TxContent => ({
  kind: 'capacity',
  body: { line, energy: wattHours(wh), ...(feeder === undefined ? {} : { feeder }) },
})
const tariff = (line: string, from: number, price: bigint): TxContent => ({
  kind: 'tariff',
  body: { line, from: instant(from), price: microsPerKwh(price) },
})
const role = (holder: Party, held: boolean): TxContent => ({
  kind: 'role',
  body: { role: 'distributor', holder: holder.address, held },
})

function bench() {
  const { net } = new Street()
  const refused = (expected: string, sender: Party, content: TxContent) => {
    const outcome = net.send(sender, content)
    assert.is(nameOf(outcome), expected, outcome.log)
    net.books()
  }
  let nonce = 0
  /** Reserves energy from one time to another, in seconds after the beginning. */
  const reserve = (wh: bigint, from: number, to: number, line = 'L1') => {
    nonce++
    const [start, end] = [instant(BEGIN + from * 1000), instant(BEGIN + to * 1000)]
    const one = { ...terms, start, end, line, energy: wattHours(wh), nonce: new Uint8Array(16).fill(nonce) }
    const outcome = nameOf(net.send(buyer, reserveOf(encodeContract(one), 10n ** 9n)))
    net.books()
    return outcome
  }
  return { net, refused, reserve }
}

const SLOT_S = SLOT_MS / 1000
const slotOf = (seconds: number) => Math.floor((BEGIN + seconds * 1000) / SLOT_MS)

test('only a distributor speaks for lines, and only for its own', () => {
  const { net, refused } = bench()
  refused('ledger.role-only', stranger, capacity('L9', 1n))
  refused('ledger.role-only', stranger, tariff('L1', BEGIN + 900_000, 1n))
  net.take(operator, role(seller, true))
  refused('ledger.other-distributor', seller, capacity('L1', 1n))
  refused('ledger.other-distributor', seller, tariff('L1', BEGIN + 900_000, 1n))
  net.take(seller, capacity('L9', 5n))
  refused('ledger.line-unknown', seller, tariff('L8', BEGIN + 900_000, 1n))
})

test('a line whose distributor is none any more is taken over; what is reserved is paid to whom it was promised', () => {
  const { net, reserve, refused } = bench()
  assert.is(reserve(100n, 60, 120), 'taken')
  net.take(operator, role(seller, true))
  net.take(operator, role(distributor, false))
  net.take(seller, capacity('L1', 5000n, 'F1'))
  // The feeder still belongs to the other: one reservation has one payee.
  assert.is(reserve(100n, 60, 120), 'ledger.other-distributor')
  net.take(seller, capacity('F1', 6000n))
  assert.is(reserve(100n, 60, 120), 'taken')
  refused('ledger.role-only', distributor, capacity('L1', 1n))
})

test('feeders are a tree: no unknown one, no loop, and no deeper than eight', () => {
  const { net, refused, reserve } = bench()
  refused('ledger.line-unknown', distributor, capacity('L2', 1n, 'F9'))
  refused('ledger.feeder', distributor, capacity('F1', 1n, 'L1'))
  refused('ledger.line-unknown', distributor, capacity('F2', 1n, 'F2'))
  refused('ledger.feeder', distributor, capacity('F1', 1n, 'F1'))
  net.take(distributor, capacity('D0', 10n))
  for (let i = 1; i < 8; i++) net.take(distributor, capacity(`D${i}`, 10n, `D${i - 1}`))
  refused('ledger.feeder', distributor, capacity('D8', 10n, 'D7'))
  // A tree that grew at its root is too deep for the lines at its ends.
  net.take(distributor, capacity('D', 10n))
  net.take(distributor, capacity('D0', 10n, 'D'))
  assert.is(reserve(1n, 60, 120, 'D7'), 'ledger.feeder')
})

test('a slot is sold to the last watt-hour, and not beyond, on the line and on its feeder', () => {
  const { net, reserve } = bench()
  assert.is(reserve(3000n, 60, 120), 'taken')
  assert.is(reserve(2001n, 60, 120), 'ledger.capacity')
  assert.is(reserve(2000n, 300, 400), 'taken')
  assert.is(reserve(1n, 500, 501), 'ledger.capacity')
  assert.is(net.record(SLOTS, `L1/${slotOf(60)}`)!.energy, 5000n)
  assert.is(net.record(SLOTS, `F1/${slotOf(60)}`)!.energy, 5000n)
  net.take(distributor, capacity('L2', 5000n, 'F1'))
  net.take(distributor, tariff('L2', net.time + 2000, 1n))
  assert.is(reserve(1001n, 600, 700, 'L2'), 'ledger.capacity', 'the feeder is full')
  assert.is(reserve(1000n, 600, 700, 'L2'), 'taken')
  assert.is(reserve(5000n, SLOT_S, SLOT_S + 10), 'taken', 'the next slot is another')
})

test('a window over several slots takes its part of each, rounded up', () => {
  const { net, reserve } = bench()
  // 100 Wh over 300 s: 99 s before the boundary, 201 s after it.
  assert.is(reserve(100n, SLOT_S - 99, SLOT_S + 201), 'taken')
  assert.is(net.record(SLOTS, `L1/${slotOf(0)}`)!.energy, 33n)
  assert.is(net.record(SLOTS, `L1/${slotOf(SLOT_S)}`)!.energy, 67n)
  assert.is(reserve(10n, SLOT_S - 1, 2 * SLOT_S + 2), 'taken')
  assert.is(net.record(SLOTS, `L1/${slotOf(0)}`)!.energy, 34n)
  assert.is(net.record(SLOTS, `L1/${slotOf(SLOT_S)}`)!.energy, 77n)
  assert.is(net.record(SLOTS, `L1/${slotOf(2 * SLOT_S)}`)!.energy, 1n)
})

test('a slot that is over is forgotten, and a window that has begun takes none of it', () => {
  const { net, reserve } = bench()
  assert.is(reserve(100n, 60, SLOT_S + 60), 'taken')
  net.block([], BEGIN + SLOT_MS - net.time)
  net.books()
  assert.is(net.record(SLOTS, `L1/${slotOf(60)}`), undefined)
  assert.is(reserve(100n, 60, SLOT_S + 60), 'taken')
  assert.is(net.record(SLOTS, `L1/${slotOf(60)}`), undefined)
  net.block([], 100_000_000)
  assert.is(net.books().money.reserved, 0n)
  assert.is(net.record(SLOTS, `L1/${slotOf(SLOT_S)}`), undefined)
})

test('less capacity binds from now on; what is reserved stays reserved', () => {
  const { net, reserve } = bench()
  assert.is(reserve(3000n, 60, 120), 'taken')
  net.take(distributor, capacity('L1', 1000n, 'F1'))
  assert.is(reserve(1n, 60, 120), 'ledger.capacity')
  assert.is(net.record(SLOTS, `L1/${slotOf(60)}`)!.energy, 3000n)
})

test('tariffs are announced, the one at the beginning of the window counts, and the last word for a time wins', () => {
  const { net, refused } = bench()
  const price = (at: number) => {
    const one = { ...terms, start: instant(at), end: instant(at + 60_000), energy: wattHours(1000n) }
    const bytes = encodeContract({ ...one, nonce: new Uint8Array(16).fill(at % 251) })
    const before = net.account(buyer).balance
    net.take(buyer, { kind: 'reserve', body: { contract: bytes, feeMost: micros(10n ** 9n) } })
    return before - net.account(buyer).balance - 100n
  }
  refused('ledger.tariff', distributor, tariff('L1', net.time + 1000, 1n))
  net.take(distributor, tariff('L1', BEGIN + 200_000, 30_000n))
  net.take(distributor, tariff('L1', BEGIN + 300_000, 40_000n))
  net.take(distributor, tariff('L1', BEGIN + 200_000, 31_000n))
  assert.is(price(BEGIN + 199_999), 25_001n)
  assert.is(price(BEGIN + 200_000), 36_001n)
  assert.is(price(BEGIN + 300_000), 45_001n)
  for (let i = 0; i < 13; i++) net.take(distributor, tariff('L1', BEGIN + 400_000 + i, 1n))
  refused('ledger.tariff', distributor, tariff('L1', BEGIN + 500_000, 1n))
})

test.run()
