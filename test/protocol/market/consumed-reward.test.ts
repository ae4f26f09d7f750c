/** Whose energy a store gave: by hand, in sums that always add up, and beside the points of the real ledger. */

import { POOLS } from '../../../protocol/ledger/service-tables.ts'
import { createProvenance, type Provenance } from '../../../protocol/market/consumed-reward.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { BEGIN, buyer, commitOf, receiptOf, seller, sideOf, terms } from '../ledger/parties.ts'
import { bench, hex, issuer } from '../ledger/service-bench.ts'
import { wh } from './storage-days.ts'

const test = suite('consumed reward')

function storeOf(
  ...lots: readonly (readonly [deal: string, owner: string, metered: number, stored: number])[]
): Provenance {
  const store = createProvenance()
  for (const [deal, owner, metered, stored] of lots) {
    assert.ok(store.putIn({ deal, owner, metered: wh(metered), stored: wh(stored) }).ok)
  }
  return store
}
const draw = (store: Provenance, deal: string, taker: string, metered: number, drawn = metered) => {
  const result = store.drawOut({ deal, taker, metered: wh(metered), drawn: wh(drawn) })
  if (!result.ok) return result.fault.code
  const { rewarded, takenBack, unowned } = result.value
  return [rewarded.map(({ owner, lot, energy }) => [owner, lot, Number(energy)]), Number(takenBack), Number(unowned)]
}

test('nothing is earned by putting in; it is earned first in, first out, when another takes it', () => {
  const store = storeOf(['d1', 'ann', 1000, 1000], ['d2', 'ben', 500, 500], ['d3', 'ann', 700, 700])
  assert.is(store.totals().rewarded, 0n)
  assert.equal(draw(store, 'o1', 'eve', 1200), [
    [
      ['ann', 'd1', 1000],
      ['ben', 'd2', 200],
    ],
    0,
    0,
  ])
  assert.equal(draw(store, 'o2', 'eve', 1000), [
    [
      ['ben', 'd2', 300],
      ['ann', 'd3', 700],
    ],
    0,
    0,
  ])
  assert.is(draw(store, 'o3', 'eve', 1), 'provenance.short')
})

test('a taker gets its own first, and earns nothing by it', () => {
  const store = storeOf(['d1', 'ann', 1000, 1000], ['d2', 'ben', 500, 500])
  assert.equal(draw(store, 'o1', 'ben', 600), [[['ann', 'd1', 100]], 500, 0])
  assert.equal([Number(store.heldOf('ann')), Number(store.heldOf('ben'))], [900, 0])
  // Two that only pass the same energy round: without the taker's own first, each round would reward both.
  const ring = createProvenance()
  for (let round = 0; round < 5; round++) {
    for (const owner of ['ann', 'ben'])
      ring.putIn({ deal: `${owner}${round}`, owner, metered: wh(100), stored: wh(100) })
    for (const taker of ['ann', 'ben']) draw(ring, `${taker} takes ${round}`, taker, 100)
  }
  assert.equal([ring.totals().rewarded, ring.totals().takenBack], [0n, 1000n])
})

test("losses are nobody's reward: of 1,000 Wh put in, what comes out at the taker counts", () => {
  const store = storeOf(['d1', 'ann', 1000, 950])
  assert.equal(draw(store, 'o1', 'eve', 902, 950), [[['ann', 'd1', 902]], 0, 0])
  assert.equal(Object.fromEntries(Object.entries(store.totals()).map(([key, value]) => [key, Number(value)])), {
    ...{ putIn: 1000, found: 0, rewarded: 902, takenBack: 0, unowned: 0, lost: 98, held: 0 },
  })
})

test("what the store's meter finds missing is borne by what each holds; what it finds more is nobody's", () => {
  const store = storeOf(['d1', 'ann', 900, 900], ['d2', 'ben', 100, 100])
  assert.ok(store.measure(wh(500)).ok)
  assert.equal([store.heldOf('ann'), store.heldOf('ben')], [450n, 50n])
  assert.ok(store.measure(wh(520)).ok)
  assert.equal(draw(store, 'o1', 'eve', 520), [
    [
      ['ann', 'd1', 450],
      ['ben', 'd2', 50],
    ],
    0,
    20,
  ])
})

test('a deal counts once, and no more comes out than is taken from the store', () => {
  const store = storeOf(['d1', 'ann', 1000, 1000])
  const put = (deal: string, metered: number, stored: number) => {
    const result = store.putIn({ deal, owner: 'ann', metered: wh(metered), stored: wh(stored) })
    return result.ok ? 'ok' : result.fault.code
  }
  assert.is(put('d1', 1000, 1000), 'provenance.twice')
  assert.is(put('d2', 1000, 1001), 'provenance.range')
  assert.is(put('d2', 1000, -1), 'provenance.range')
  assert.is(put('d2', 2 ** 52, 0), 'provenance.range')
  assert.is(draw(store, 'o1', 'eve', 100, 99), 'provenance.range')
  assert.equal(draw(store, 'o1', 'eve', 100), [[['ann', 'd1', 100]], 0, 0])
  assert.is(draw(store, 'o1', 'eve', 100, 100), 'provenance.twice')
  assert.is(store.totals().held, 900n, 'a refusal changes nothing')
})

test('whatever happens, every watt-hour is somewhere, and nobody earns more than was metered in', () => {
  const step = fc.record({
    what: fc.constantFrom('in' as const, 'out' as const, 'measure' as const),
    who: fc.constantFrom('ann', 'ben', 'eve'),
    energy: fc.integer({ min: 0, max: 500 }),
    rate: fc.integer({ min: 0, max: 1000 }),
  })
  assertProperty(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const store = createProvenance()
      const metered: Record<string, number> = {}
      const earned: Record<string, number> = {}
      for (const [n, { what, who, energy, rate }] of steps.entries()) {
        const less = Math.floor((energy * rate) / 1000)
        if (what === 'measure') store.measure(wattHours(store.totals().held + BigInt(energy) - 250n))
        else if (what === 'in') {
          const taken = store.putIn({ deal: `${n}`, owner: who, metered: wh(energy), stored: wh(less) })
          if (taken.ok) metered[who] = (metered[who] ?? 0) + energy
        } else {
          const given = store.drawOut({ deal: `${n}`, taker: who, metered: wh(less), drawn: wh(energy) })
          if (!given.ok) continue
          for (const one of given.value.rewarded) {
            assert.is.not(one.owner, who)
            earned[one.owner] = (earned[one.owner] ?? 0) + Number(one.energy)
          }
          const { rewarded, takenBack, unowned } = given.value
          assert.is(Number(rewarded.reduce((sum, one) => sum + one.energy, takenBack + unowned)), less)
        }
        const { putIn, found, rewarded, takenBack, unowned, lost, held } = store.totals()
        assert.is(putIn + found, rewarded + takenBack + unowned + lost + held)
        const kept = ['ann', 'ben', 'eve'].reduce((sum, owner) => sum + store.heldOf(owner), 0n)
        assert.ok(kept <= held && lost >= 0n)
        for (const [owner, energies] of Object.entries(earned)) assert.ok(energies <= metered[owner]!)
      }
    }),
    300,
  )
})

test('points of the ledger for a deal by which a store gives are what the store owes those who put it in', () => {
  const { ledger, take, until } = bench()
  // The ledger's seller is the store here, its buyer the consumer.
  const commit = commitOf(terms)
  const { contract } = commit.body
  take(buyer, commit)
  until(BEGIN + 125_000)
  take(seller, receiptOf(sideOf('seller', contract), 1_400_000n))
  take(buyer, receiptOf(sideOf('buyer', contract), 1_400_000n))
  const { delivered } = ledger.deal(contract)!.outcome!
  const store = storeOf(['d1', 'ann', 1000, 950], ['d2', 'ben', 1000, 950])
  const given = store.drawOut({
    deal: hex(contractHash(contract)),
    taker: buyer.id,
    metered: delivered,
    drawn: wh(1500),
  })
  assert.ok(given.ok)
  take(issuer, { kind: 'issue', body: { deal: contractHash(contract) } })
  const owed = given.value.rewarded.reduce((sum, { energy }) => sum + energy, 0n)
  assert.is(ledger.record(POOLS, issuer.id)!.minted, owed)
  assert.equal([given.value.takenBack, given.value.unowned], [0n, 0n])
})

test.run()
