/** Sharing within a community group: by hand, by all orders of arrival, and against what each would pay alone. */
import {
  allot,
  type GroupSlot,
  type MemberSlot,
  SHARING_RULES,
  type Sharing,
  shareSlot,
} from '../../../protocol/market/sharing.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('sharing')

const address = (n: number) => new Uint8Array(20).fill(n)
const TARIFF = { retail: microsPerKwh(300_000n), feedIn: microsPerKwh(50_000n) }
const one = (n: number, imported: number, exported = 0, tariff = TARIFF): MemberSlot => ({
  member: address(n),
  imported: wattHours(BigInt(imported)),
  exported: wattHours(BigInt(exported)),
  ...tariff,
})
const slotOf = (members: readonly MemberSlot[], change: Partial<GroupSlot> = {}): GroupSlot => ({
  members,
  tariff: TARIFF,
  seed: new Uint8Array(32).fill(1),
  ...change,
})
const payments = ({ shares }: Sharing) => shares.map(({ payment }) => payment)
const sum = (all: readonly bigint[]) => all.reduce((a, b) => a + b, 0n)

test('the mid-market rate, by hand: 2 kWh of 3 kWh are netted at 0.175', () => {
  const sharing = must(shareSlot('mid-market', slotOf([one(1, 2000), one(2, 1000), one(3, 0, 2000)])))
  assert.is(sharing.name, 'mid-market rate')
  //  buyers pay 2 kWh at 0.175 and 1 kWh at 0.30 between them, two parts and one
  assert.equal(
    sharing.shares.map(({ nettedIn }) => nettedIn),
    [1333n, 667n, 0n],
  )
  assert.equal(payments(sharing), [1333n * 175n + 667n * 300n, 667n * 175n + 333n * 300n, -350_000n])
  assert.equal([sharing.external, sharing.residue, sharing.reserve], [300_000n, 0n, 0n])
})

test('the supply/demand ratio, by hand: scarce sellers are paid more, abundant ones the feed-in price', () => {
  //  SDR = 1/2: 0.05 x 0.30 / (0.25 x 0.5 + 0.05) = 0.0857142...; buyers 0.5 x that + 0.5 x 0.30
  const scarce = must(shareSlot('supply-demand', slotOf([one(1, 2000), one(2, 0, 1000)])))
  assert.equal(payments(scarce), [385_714n, -85_715n])
  assert.is(scarce.residue, 1n)
  const plenty = must(shareSlot('supply-demand', slotOf([one(1, 1000), one(2, 0, 3000)])))
  assert.equal(payments(plenty), [50_000n, -150_000n])
  const free = { retail: TARIFF.retail, feedIn: microsPerKwh(0n) }
  const nothing = must(shareSlot('supply-demand', slotOf([one(1, 1000, 0, free)], { tariff: free })))
  assert.equal(payments(nothing), [300_000n])
})

test('the Shapley value, by hand: one seller between two buyers', () => {
  //  v = 250 for {1,3}, {2,3} and the three: 3 adds 0, 250 or 250; 1 and 2 share what is left
  const sharing = must(shareSlot('shapley', slotOf([one(1, 1000), one(2, 1000), one(3, 0, 1000)])))
  //  gains: 41,666.67 each of the buyers, 166,666.67 of the seller
  assert.equal(payments(sharing), [258_333n, 258_333n, -216_667n])
  assert.is(sharing.external, 300_000n)
  assert.is(sharing.residue, 1n)
})

/** The Shapley value by every order of arrival, in floats. */
function byOrders(members: readonly MemberSlot[]): number[] {
  const orders = (rest: number[]): number[][] =>
    rest.length === 0 ? [[]] : rest.flatMap(i => orders(rest.filter(j => j !== i)).map(tail => [i, ...tail]))
  const worth = (some: readonly number[]) => {
    const net = some.reduce((total, i) => total + Number(members[i]!.imported - members[i]!.exported), 0)
    const apart = some.reduce(
      (total, i) =>
        total +
        Number(members[i]!.imported) * Number(members[i]!.retail) -
        Number(members[i]!.exported) * Number(members[i]!.feedIn),
      0,
    )
    return apart - (net > 0 ? net * Number(TARIFF.retail) : net * Number(TARIFF.feedIn))
  }
  const all = orders(members.map((_, i) => i))
  const gains = members.map(() => 0)
  for (const order of all) {
    for (const [at, i] of order.entries()) gains[i]! += worth(order.slice(0, at + 1)) - worth(order.slice(0, at))
  }
  return gains.map(gain => gain / all.length / 1000)
}

const anyMember = (most: number) =>
  fc.record({ imported: fc.nat(most), exported: fc.oneof(fc.constant(0), fc.nat(most)) })

test('the exact Shapley value is the mean over all orders of arrival', () => {
  assertProperty(
    fc.property(fc.array(anyMember(5000), { minLength: 1, maxLength: 6 }), some => {
      const members = some.map(({ imported, exported }, i) => one(i, imported, exported))
      const { shares, name } = must(shareSlot('shapley', slotOf(members)))
      assert.is(name, 'Shapley value')
      for (const [i, gain] of byOrders(members).entries()) {
        const { standalone, payment } = shares[i]!
        assert.ok(Math.abs(Number(standalone - payment) - gain) <= 2.01, `${standalone - payment} for ${gain}`)
      }
    }),
    60,
  )
})

test('a sampled Shapley value is the same for everybody with the seed, and near the exact one', () => {
  // Twelve who matter, and a thirteenth who adds nothing, so that the exact value is known.
  const members = Array.from({ length: 12 }, (_, i) => one(i, i % 3 === 0 ? 0 : 400 + 50 * i, i % 3 === 0 ? 900 : 0))
  const idle = one(99, 0)
  const exact = must(shareSlot('shapley', slotOf(members)))
  const sampled = must(shareSlot('shapley', slotOf([...members, idle])))
  assert.is(sampled.name, 'Shapley value, sampled')
  assert.equal(must(shareSlot('shapley', slotOf([idle, ...members]))), sampled)
  assert.not.equal(must(shareSlot('shapley', slotOf([...members, idle], { seed: new Uint8Array(32) }))), sampled)
  const gained = sum(exact.shares.map(({ standalone, payment }) => standalone - payment))
  for (const [i, share] of exact.shares.entries()) {
    const off = Number(sampled.shares[i]!.payment - share.payment) / Number(gained)
    assert.ok(Math.abs(off) < 0.02, `${off} of all that is gained`)
  }
  assert.is(sampled.shares[12]!.payment, 0n)
})

const anySlot = fc
  .record({
    members: fc.array(
      fc.record({
        imported: fc.bigInt(0n, 9000n).map(wattHours),
        exported: fc.oneof(fc.constant(0n), fc.bigInt(0n, 9000n)).map(wattHours),
        retail: fc.bigInt(0n, 400_003n).map(microsPerKwh),
        feedIn: fc.bigInt(0n, 200_003n).map(microsPerKwh),
      }),
      { minLength: 1, maxLength: 15 },
    ),
    own: fc.boolean(),
    prices: fc.tuple(fc.bigInt(0n, 400_003n), fc.bigInt(0n, 400_003n)),
    order: fc.option(
      fc.record({ energy: fc.bigInt(-20_000n, 20_000n), price: fc.bigInt(0n, 500_000n).map(microsPerKwh) }),
    ),
  })
  .map(({ members, own, prices: [a, b], order }): GroupSlot => {
    const tariff = { retail: microsPerKwh(a > b ? a : b), feedIn: microsPerKwh(a > b ? b : a) }
    return slotOf(
      members.map((member, i) => ({ ...member, member: address(i), ...(own ? {} : tariff) })),
      { tariff, ...(order === null ? {} : { order }) },
    )
  })

for (const rule of SHARING_RULES) {
  test(`${rule}: nobody pays more than alone, each Wh is netted once, and all sums to what the group pays`, () => {
    assertProperty(
      fc.property(anySlot, slot => {
        const { shares, external, residue, reserve } = must(shareSlot(rule, slot))
        const n = BigInt(shares.length)
        for (const [i, { payment, standalone }] of shares.entries()) {
          const { imported, exported, retail, feedIn } = slot.members[i]!
          // The bill of a retailer that rounds in the customer's favour, twice.
          const bill = (imported * retail) / 1000n - (exported * feedIn + 999n) / 1000n
          assert.is(standalone, bill)
          assert.ok(payment <= bill)
        }
        assert.is(sum(payments({ shares } as Sharing)) + residue + reserve, external)
        assert.ok(residue <= 2n * n + 1n && residue >= -n, `residue ${residue} of ${n}`)
        const [demand, supply] = [sum(slot.members.map(m => m.imported)), sum(slot.members.map(m => m.exported))]
        const netted = demand < supply ? demand : supply
        assert.equal([sum(shares.map(s => s.nettedIn)), sum(shares.map(s => s.nettedOut))], [netted, netted])
        const { energy = 0n, price = 0n } = slot.order ?? {}
        const rest = demand - supply - energy
        const cost = energy * price + rest * (rest > 0n ? slot.tariff.retail : slot.tariff.feedIn)
        assert.ok(external * 1000n >= cost && external * 1000n < cost + 1000n)
        // The reserve pays only where the group as a whole is worse off than its members apart.
        const apart = sum(slot.members.map(m => m.imported * m.retail - m.exported * m.feedIn))
        assert.is(reserve, cost > apart ? (cost - apart) / 1000n : 0n)
      }),
      rule === 'shapley' ? 60 : 500,
    )
  })
}

test('with one tariff and no order the textbook rules need no correction; with two tariffs they do, and say so', () => {
  const members = [one(1, 2000), one(2, 0, 1000), one(3, 100, 900)]
  for (const rule of SHARING_RULES) {
    assert.not.match(must(shareSlot(rule, slotOf(members))).name, 'individually')
  }
  // A member whose own tariff is below the mid-market rate would lose by it: 0.10 against 0.175.
  const cheap = { retail: microsPerKwh(100_000n), feedIn: microsPerKwh(0n) }
  const mixed = [one(1, 1000, 0, cheap), one(2, 3000), one(3, 0, 4000)]
  const { name, shares, residue } = must(shareSlot('mid-market', slotOf(mixed)))
  assert.is(name, 'mid-market rate, kept individually rational')
  assert.is(shares[0]!.payment, 100_000n)
  //  the other two gain 300 and 425 of 725 less the 75 that the first would have lost
  assert.equal(
    [shares[1]!.payment, shares[2]!.payment],
    [900_000n - (375_000n * 800n) / 875n - 1n, -200_000n - (500_000n * 800n) / 875n - 1n],
  )
  assert.ok(residue >= 0n && residue <= 7n)
})

test('an order that loses more than netting gains is the reserve’s loss', () => {
  const order = { energy: 5000n, price: microsPerKwh(300_000n) }
  const { shares, reserve, name } = must(shareSlot('mid-market', slotOf([one(1, 1000), one(2, 0, 500)], { order })))
  assert.equal(payments({ shares } as Sharing), [300_000n, -25_000n])
  //  5 kWh at 0.30, of which 4.5 go for 0.05: 1,275,000, against 275,000 apart
  assert.is(reserve, 1_000_000n)
  assert.match(name, 'individually')
})

test('the order of the members changes nothing', () => {
  assertProperty(
    fc.property(anySlot, fc.constantFrom(...SHARING_RULES), (slot, rule) => {
      assert.equal(shareSlot(rule, { ...slot, members: [...slot.members].reverse() }), shareSlot(rule, slot))
    }),
    50,
  )
})

test('what makes no sense is refused', () => {
  const code = (slot: GroupSlot) => {
    const shared = shareSlot('mid-market', slot)
    return shared.ok ? 'shared' : shared.fault.code
  }
  assert.is(code(slotOf([])), 'sharing.members')
  assert.is(code(slotOf(Array.from({ length: 101 }, (_, i) => one(i, 1)))), 'sharing.members')
  assert.is(code(slotOf([one(1, 1), one(1, 2)])), 'sharing.member-twice')
  assert.is(code(slotOf([one(1, -1)])), 'sharing.bounds')
  assert.is(code(slotOf([one(1, 24_000_001)])), 'sharing.bounds')
  assert.is(code(slotOf([one(1, 1)], { tariff: { retail: TARIFF.feedIn, feedIn: TARIFF.retail } })), 'sharing.tariff')
  assert.is(code(slotOf([one(1, 1)], { order: { energy: 10n ** 20n, price: TARIFF.retail } })), 'sharing.bounds')
  assert.is(code(slotOf([one(1, 1)], { order: { energy: 1n, price: microsPerKwh(-1n) } })), 'sharing.bounds')
})

test('an allotment is whole, complete and within one of its share', () => {
  assertProperty(
    fc.property(
      fc.bigInt(0n, 10_000n),
      fc.array(fc.bigInt(0n, 500n), { minLength: 1, maxLength: 9 }),
      (total, weights) => {
        const parts = allot(total, weights)
        const all = sum(weights)
        assert.is(sum(parts), all === 0n ? 0n : total)
        for (const [i, part] of parts.entries()) {
          if (all > 0n)
            assert.ok(part * all <= total * weights[i]! + all - 1n && (part + 1n) * all > total * weights[i]!)
        }
      },
    ),
  )
})

test.run()
