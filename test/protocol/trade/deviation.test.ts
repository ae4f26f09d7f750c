/** Who pays what when meters differ from contracts, by hand and by twenty thousand random slots. */
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { judgeLine, type Slot, type SlotContract, settleSlot, sharesOf } from '../../../protocol/trade/deviation.ts'
import { assert, suite } from '../../harness.ts'
import { chance, drawSlot, judgeSlots } from './random-slots.ts'

const test = suite('deviation')

const wh = (n: number) => wattHours(BigInt(n))
const price = (n: number) => microsPerKwh(BigInt(n))
const contract = (id: string, change: Partial<SlotContract> = {}): SlotContract => ({
  ...{ id, sellerMeter: 'S', buyerMeter: 'B', energy: wh(1000), price: price(200_000), tolerance: wh(0) },
  ...change,
})
const prices = { feedIn: price(50_000), drawn: price(300_000), shortfall: price(400_000) }
const slotOf = (
  contracts: readonly SlotContract[],
  exported: Readonly<Record<string, number>>,
  imported: Readonly<Record<string, number>>,
): Slot => ({
  contracts,
  exported: new Map(Object.entries(exported).map(([id, n]) => [id, wh(n)])),
  imported: new Map(Object.entries(imported).map(([id, n]) => [id, wh(n)])),
  prices,
})
const moneyOf = (slot: Slot): Readonly<Record<string, bigint>> => {
  const { meters, balancing, rounding } = must(settleSlot(slot))
  return { ...Object.fromEntries(meters.map(({ meterId, money }) => [meterId, money])), balancing, rounding }
}

test('a slot as agreed: the buyer pays the seller, and nobody else has part in it', () => {
  assert.equal(moneyOf(slotOf([contract('a')], { S: 1000 }, { B: 1000 })), {
    ...{ S: 200_000n, B: -200_000n },
    ...{ balancing: 0n, rounding: 0n },
  })
})

test('a seller that falls short pays for its own shortfall; the buyer draws the rest at the usual price and no more', () => {
  // 600 Wh delivered at 0.20, 400 Wh short at 0.40, 400 Wh drawn at 0.30.
  assert.equal(moneyOf(slotOf([contract('a')], { S: 600 }, { B: 1000 })), {
    ...{ S: 120_000n - 160_000n, B: -120_000n - 120_000n },
    ...{ balancing: 280_000n, rounding: 0n },
  })
})

test('a buyer that takes too little pays for that; the seller is paid the feed-in price for what the buyer left', () => {
  // 700 Wh delivered, 300 Wh fed in at 0.05, the buyer 300 Wh short at 0.40.
  assert.equal(moneyOf(slotOf([contract('a')], { S: 1000 }, { B: 700 })), {
    ...{ S: 140_000n + 15_000n, B: -140_000n - 120_000n },
    ...{ balancing: 105_000n, rounding: 0n },
  })
})

test('within the tolerance nothing is charged, and beyond it only what is beyond', () => {
  const within = contract('a', { tolerance: wh(100) })
  assert.equal(moneyOf(slotOf([within], { S: 900 }, { B: 900 })), {
    ...{ S: 180_000n, B: -180_000n },
    ...{ balancing: 0n, rounding: 0n },
  })
  const { contracts } = must(settleSlot(slotOf([within], { S: 899 }, { B: 1000 })))
  assert.equal([contracts[0]!.seller.shortfall, contracts[0]!.seller.charge], [1n, 400n])
  assert.equal([contracts[0]!.buyer.shortfall, contracts[0]!.buyer.charge], [0n, 0n])
})

test('what a meter has is parted by the contracts, and a watt-hour that cannot be parted goes to the largest remainder', () => {
  const shares = (metered: number, ...energies: number[]) => [
    ...sharesOf(
      wh(metered),
      energies.map((energy, i) => ({ id: `c${i}`, energy: wh(energy) })),
    ),
  ]
  const named = (metered: number, ...energies: number[]) =>
    Object.fromEntries(shares(metered, ...energies).map(([id, share]) => [id, Number(share)]))
  assert.equal(named(10, 30, 10), { c0: 8, c1: 2 }, '7.5 and 2.5: equal remainders, the lower name first')
  assert.equal(named(10, 10, 10, 10), { c0: 4, c1: 3, c2: 3 })
  assert.equal(named(1, 1, 1000), { c0: 0, c1: 1 })
  assert.equal(named(5000, 1, 1000), { c0: 1, c1: 1000 }, 'never more than contracted')
  assert.equal(named(0, 1, 1000), { c0: 0, c1: 0 })
  assert.equal(shares(7), [])
})

test('one seller, two buyers: each has its part, and neither pays for the other or for the seller', () => {
  const two = [contract('a'), contract('b', { buyerMeter: 'C', price: price(100_000) })]
  const { contracts, meters } = must(settleSlot(slotOf(two, { S: 1000 }, { B: 1000, C: 200 })))
  // Half of the seller's export each; C takes 200 of its 500.
  assert.equal(
    contracts.map(({ delivered, paid }) => [delivered, paid]),
    [
      [500n, 100_000n],
      [200n, 20_000n],
    ],
  )
  assert.equal(
    contracts.map(({ seller, buyer }) => [seller.shortfall, buyer.shortfall]),
    [
      [500n, 0n],
      [500n, 800n],
    ],
  )
  assert.equal(meters.find(({ meterId }) => meterId === 'S')!.fedIn, 300n)
})

test('who contracts more than it takes, to thin out a dear contract, pays more than by keeping it', () => {
  const dear = contract('a')
  const kept = moneyOf(slotOf([dear], { S: 1000 }, { B: 1000 }))
  const sham = contract('b', { sellerMeter: 'X', energy: wh(9000), price: price(0) })
  const thinned = moneyOf(slotOf([dear, sham], { S: 1000, X: 0 }, { B: 1000 }))
  assert.is(kept['B'], -200_000n)
  // 100 Wh bought, 900 drawn at 0.30, 900 and 8100 short at 0.40; its accomplice is 9000 short.
  assert.is(thinned['B'], -20_000n - 270_000n - 3_600_000n)
  assert.is(thinned['X'], -3_600_000n)
})

test('a meter without a reading is charged nothing: a buyer leaves the word to the seller, a seller is paid nothing', () => {
  const silent = must(settleSlot(slotOf([contract('a')], { S: 800 }, {}))).contracts[0]!
  assert.equal([silent.delivered, silent.disputed, silent.buyer.charge], [800n, true, 0n])
  assert.not('share' in silent.buyer)
  const unproven = must(settleSlot(slotOf([contract('a')], {}, { B: 800 }))).contracts[0]!
  assert.equal([unproven.delivered, unproven.paid, unproven.disputed, unproven.seller.charge], [0n, 0n, true, 0n])
  const none = must(settleSlot(slotOf([contract('a')], {}, {}))).contracts[0]!
  assert.equal([none.delivered, none.paid, none.disputed], [0n, 0n, false])
})

test('what rounding leaves stands on its own account, at most a micro-unit for each payment', () => {
  const odd: Slot = {
    ...slotOf([contract('a', { energy: wh(3) })], { S: 1, X: 7 }, { B: 4 }),
    prices: { feedIn: price(1), drawn: price(333), shortfall: price(777) },
  }
  // Short: seller 2 Wh = 1.554; drawn 3 Wh = 0.999; fed in 7 Wh = 0.007.
  const { balancing, rounding } = must(settleSlot(odd))
  assert.equal([balancing, rounding], [1n + 0n - 1n, 3n])
})

test('nonsense is refused: a contract twice, with itself, or a negative quantity', () => {
  const code = (slot: Slot) => {
    const settled = settleSlot(slot)
    return settled.ok ? 'settled' : settled.fault.code
  }
  assert.is(code(slotOf([contract('a'), contract('a')], {}, {})), 'deviation.contract-twice')
  assert.is(code(slotOf([contract('a', { buyerMeter: 'S' })], {}, {})), 'deviation.one-meter')
  assert.is(code(slotOf([contract('a', { energy: wh(-1) })], {}, {})), 'deviation.negative')
  assert.is(code(slotOf([contract('a', { tolerance: wh(-1) })], {}, {})), 'deviation.negative')
  assert.is(code(slotOf([], { S: -1 }, {})), 'deviation.negative')
  assert.is(code({ ...slotOf([], {}, {}), prices: { ...prices, feedIn: price(-1) } }), 'deviation.negative')
})

test('20,000 random slots: no residue, each watt-hour once, no charge to the wrong party, in any order', () => {
  const { wrongParty, residue, charges, disputed } = judgeSlots(20_000, 20_000)
  assert.equal({ wrongParty, residue }, { wrongParty: 0, residue: 0 })
  assert.ok(charges > 10_000 && disputed > 1000, `${charges} charges, ${disputed} disputed`)
})

test('a charge depends on nothing but the own meter and the own contracts', () => {
  const draw = chance(3)
  for (let i = 0; i < 500; i++) {
    const slot = drawSlot(draw)
    const charges = (one: Slot) => must(settleSlot(one)).contracts.map(({ seller }) => seller.charge)
    const imported = new Map([...slot.imported].map(([id]) => [id, wh(draw(5000))]))
    assert.equal(charges({ ...slot, imported }), charges(slot))
  }
})

const line = (sent: number | undefined, received: number | undefined, tolerance = 10) =>
  judgeLine({
    ...(sent === undefined ? {} : { sent: wh(sent) }),
    ...(received === undefined ? {} : { received: wh(received) }),
    ...{ lossPermille: 20, tolerance: wh(tolerance) },
  })

test('two line meters agree within loss and tolerance, and a dispute names its cause', () => {
  assert.is(line(1000, 1000), undefined)
  assert.is(line(1000, 970), undefined, '2 % lost, and the tolerance used up')
  assert.equal(line(1000, 969), { cause: 'lost-more-than-agreed', beyond: 1n })
  assert.equal(line(1001, 970), { cause: 'lost-more-than-agreed', beyond: 1n }, '0.98 Wh beyond, rounded up')
  assert.is(line(1000, 1010), undefined)
  assert.equal(line(1000, 1011), { cause: 'received-more-than-sent', beyond: 1n })
  assert.equal(line(1000, undefined), { cause: 'no-reading', of: 'buyer' })
  assert.equal(line(undefined, 5), { cause: 'no-reading', of: 'seller' })
  assert.equal(line(undefined, undefined), { cause: 'no-reading', of: 'both' })
})

test.run()
