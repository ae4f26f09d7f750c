/** Calls, the answers of sites, and what is paid for them: against a real ledger. */

import { PARTICIPANTS, participantId } from '../../../protocol/ledger/service-tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { baselineOf, bySlot, SLOT_MS } from '../../../protocol/market/baseline.ts'
import {
  assembleCall,
  type Call,
  callEvent,
  callToSign,
  decideCall,
  encodeCall,
  type FlexibleLoad,
  judgeOffer,
  performanceOf,
  readCall,
  verifyCall,
} from '../../../protocol/market/demand-response.ts'
import { costCeil, costFloor, microsPerKwh, milliwatts, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, assertProperty, fc } from '../../property.ts'
import {
  BEGIN,
  CHAIN_ID,
  contextOf,
  type Party,
  readingOf,
  seller,
  sideOf,
  stranger,
  verifier,
} from '../ledger/parties.ts'
import { aggregator, bench, hex } from '../ledger/service-bench.ts'

const test = suite('demand response')

const SLOTS = 4
const START = Math.ceil(BEGIN / SLOT_MS + 1) * SLOT_MS
const call: Call = {
  start: instant(START),
  end: instant(START + SLOTS * SLOT_MS),
  reportBy: instant(START + 90_000_000),
  price: microsPerKwh(300_001n),
  most: wattHours(2000n),
  announcer: aggregator.address,
  chainId: CHAIN_ID,
  level: 'high',
}
const signCall = (one: Call, by: Party = aggregator) => {
  const bytes = encodeCall(one)
  return assembleCall(bytes, by.publicKey, by.sign(callToSign(bytes, by.publicKey)))
}
const per = (...wh: number[]) => wh.map(one => wattHours(BigInt(one)))
const load = (name: string, change: Partial<FlexibleLoad> = {}): FlexibleLoad => ({
  name,
  planned: per(100, 100, 100, 100),
  comfort: microsPerKwh(100_000n),
  level: 'moderate',
  longest: SLOTS,
  ...change,
})
const outlook = (...loads: FlexibleLoad[]) => ({ expected: per(500, 500, 500, 500), baseline: wattHours(2000n), loads })

test('a call is its announcer’s, whoever passes it on', () => {
  const envelope = signCall({ ...call, limit: milliwatts(1_000_000), feeder: 'F1' })
  assert.equal(must(verifyCall(envelope, aggregator.publicKey, verifier)).limit, 1_000_000)
  const by = (key: Uint8Array, bytes = envelope) => {
    const read = verifyCall(bytes, key, verifier)
    return read.ok ? 'taken' : read.fault.code
  }
  assert.is(by(stranger.publicKey), 'cose.signature')
  assert.is(by(aggregator.publicKey, signCall(call, stranger)), 'cose.signature')
  assert.is(by(aggregator.publicKey, envelope.subarray(1)), 'cose.shape')
  for (const bad of [
    { end: call.start },
    { end: instant(call.start + 1000) },
    { reportBy: call.end },
    { end: instant(call.start + 97 * SLOT_MS), reportBy: instant(call.start + 98 * SLOT_MS) },
  ]) {
    const read = readCall(signCall({ ...call, ...bad }))
    assert.is(read.ok || read.fault.code, 'call.window')
  }
})

test('no byte string makes the reader throw', () => {
  assertProperty(
    fc.property(fc.uint8Array({ maxLength: 450 }), bytes => !readCall(bytes).ok),
    500,
  )
  const sound = signCall(call)
  assertProperty(
    fc.property(fc.nat(sound.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bad = sound.slice()
      bad[at]! ^= change
      return !verifyCall(bad, aggregator.publicKey, verifier).ok
    }),
    300,
  )
})

test('the cheapest loads stand still, those dearer than the call do not', () => {
  const decision = decideCall(
    call,
    outlook(
      load('car', { comfort: microsPerKwh(10_000n), planned: per(400, 400, 0, 0) }),
      load('boiler', { comfort: microsPerKwh(200_000n), planned: per(300, 50, 60, 70), longest: 2 }),
      load('oven', { comfort: call.price }),
      load('heat', { level: 'special' }),
    ),
  )
  assert.ok(decision.answer === 'in')
  // Of the boiler's 300 Wh in the first slot 100 would be a reduction: the two best are the first and the last.
  assert.equal(decision.plan, [['car', 'boiler'], ['car'], [], ['boiler']])
  assert.equal(decision.most, 400n + 400n + 100n + 70n)
  assert.equal(decision.costs, costCeil(wattHours(800n), microsPerKwh(10_000n)) + 60_000n + 14_000n)
  assert.ok(decision.pays >= decision.costs)
})

test('a site stays out where nothing is to be had, the limit cannot be kept, or its baseline is too low', () => {
  const reason = (change: Partial<Call>, ...[site]: [Parameters<typeof decideCall>[1]]) => {
    const decision = decideCall({ ...call, ...change }, site)
    return decision.answer === 'in' ? 'in' : decision.reason
  }
  const one = outlook(load('car'))
  assert.is(reason({}, one), 'in')
  assert.is(reason({ price: microsPerKwh(99_999n) }, one), 'nothing')
  assert.is(reason({}, outlook(load('car', { longest: 0 }))), 'nothing')
  assert.is(reason({}, { ...one, expected: per(0, 0, 0, 0) }), 'nothing')
  //  400 Wh in a quarter of an hour are 1,600 W
  assert.is(reason({ limit: milliwatts(1_600_000) }, one), 'in')
  assert.is(reason({ limit: milliwatts(1_599_999) }, one), 'limit')
  assert.is(reason({}, { ...one, baseline: wattHours(1600n) }), 'baseline')
  assert.throws(() => decideCall(call, { ...one, expected: per(1) }))
})

test('who opts in is never paid less than the loads are worth to it, if it does as planned', () => {
  const energies = fc.array(fc.bigInt(0n, 900n).map(wattHours), { minLength: SLOTS, maxLength: SLOTS })
  const anyLoad = fc.record({
    planned: energies,
    comfort: fc.bigInt(0n, 400_000n).map(microsPerKwh),
    level: fc.constantFrom('moderate' as const, 'high' as const, 'special' as const),
    longest: fc.nat(SLOTS),
  })
  let taken = 0
  assertCovering(
    fc.property(
      energies,
      fc.bigInt(0n, 4000n).map(wattHours),
      fc.array(anyLoad, { maxLength: 4 }),
      (expected, baseline, some) => {
        const loads = some.map((one, i) => ({ ...one, name: `load ${i}` }))
        const decision = decideCall(call, { expected, baseline, loads })
        if (decision.answer === 'out') return
        taken++
        let [after, cost] = [0n, 0n]
        for (const [slot, names] of decision.plan.entries()) {
          const off = loads.filter(({ name }) => names.includes(name))
          const saved = off.reduce((sum, { planned }) => sum + planned[slot]!, 0n)
          after += expected[slot]! > saved ? expected[slot]! - saved : 0n
          for (const { planned, comfort } of off) cost += costCeil(planned[slot]!, comfort)
        }
        const { most, pays } = decision
        assert.ok(pays >= cost && most > 0n && most <= baseline && most <= call.most)
        assert.is(must(performanceOf({ baseline, most, price: call.price }, wattHours(after))).paid, pays)
        for (const { name, longest, comfort } of loads) {
          assert.ok(decision.plan.filter(names => names.includes(name)).length <= longest)
          assert.ok(comfort < call.price || !decision.plan.flat().includes(name))
        }
      },
    ),
    500,
  )
  assert.ok(taken > 20)
})

test('an announcer admits what the shown readings give, and no day may be hidden', () => {
  const from = START / SLOT_MS
  const asked = {
    window: { from, to: from + SLOTS },
    announced: from,
    taken: bySlot(() => wattHours(500n)),
    like: () => true,
    called: () => false,
  }
  const judge = (baseline: bigint, change: Partial<typeof asked> = {}, most = 1n) => {
    const found = judgeOffer({ baseline: wattHours(baseline), most: wattHours(most) }, { ...asked, ...change })
    return found.ok ? found.value : found.fault.code
  }
  assert.is(judge(2000n), 2000n)
  assert.is(judge(1n), 2000n)
  assert.is(judge(2001n), 'demand-response.inflated')
  assert.is(judge(2000n, {}, 2001n), 'demand-response.most')
  // A week with one meagre day: who leaves it out has a higher baseline.
  const meagre = (slot: number) =>
    wattHours(slot >= from - 96 && slot < from - 96 + SLOTS ? 10n : slot < from - 384 ? 600n : 500n)
  const hiding = (slot: number) => (meagre(slot) === 10n ? undefined : meagre(slot))
  const energy = (taken: typeof hiding) => must(baselineOf({ ...asked, taken: bySlot(taken) })).average
  assert.ok(energy(hiding) >= energy(meagre))
  assert.is(judge(1n, { taken: bySlot(hiding) }), 'demand-response.hidden-days')
  assert.is(judge(1n, { taken: () => undefined }), 'baseline.days')
  // A site that is hardly at home today: who hides the hours before the window has a higher baseline.
  const away = (slot: number) => wattHours(slot >= from - 16 ? 300n : 500n)
  const silent = (slot: number) => (slot >= from - 16 && slot < from - 4 ? undefined : away(slot))
  assert.is(judge(1n, { taken: bySlot(away) }), 1600n)
  assert.is(judge(1601n, { taken: bySlot(away) }), 'demand-response.inflated')
  assert.is(judge(2000n, { taken: bySlot(silent) }), 'demand-response.hidden-hours')
  // Yesterday's hours before the window are as good a place to hide.
  const before = (slot: number) => (slot >= from - 112 && slot < from - 100 ? undefined : away(slot))
  assert.is(judge(2000n, { taken: bySlot(before) }), 'demand-response.hidden-hours')
  // Four days of which nothing was taken in those hours hide nothing.
  const asleep = (slot: number) => wattHours((from - slot - 1) % 96 < 16 && (from - slot - 1) % 96 >= 4 ? 0n : 500n)
  assert.is(judge(2000n, { taken: bySlot(asleep) }), 2000n)
})

test('a slot in which the site would send to the grid saves nothing', () => {
  const decision = decideCall(call, {
    ...{ expected: per(-300, 500, 500, 500), baseline: wattHours(2000n) },
    loads: [load('boiler', { planned: per(100, 100, 100, 100) })],
  })
  assert.ok(decision.answer === 'in')
  assert.equal(decision.answer === 'in' && decision.plan[0], [])
})

test('performance is what the ledger pays, reading by reading; without readings there is none', () => {
  for (const [taken, baseline, most] of [
    [0n, 3000n, 1200n],
    [1700n, 3000n, 1200n],
    [1801n, 3000n, 1200n],
    [2999n, 3000n, 1200n],
    [3000n, 3000n, 1200n],
    [9000n, 3000n, 1200n],
  ] as const) {
    const { ledger, take, until } = bench()
    const { start, end, reportBy, price } = call
    const terms = { start, end, reportBy, price, most: call.most }
    const event = callEvent(call)
    assert.equal(take(aggregator, { kind: 'event', body: terms }).data, event)
    const offer = { event, meterId: 'S-1', baseline: wattHours(baseline), most: wattHours(most) }
    take(seller, { kind: 'optIn', body: offer })
    take(aggregator, { kind: 'admit', body: offer })
    until(end + 1000)
    const by = { ...sideOf('seller', new Uint8Array(0)), direction: 'import' as const }
    const context = contextOf(by)
    const session = { contract: event, line: 'L1', direction: 'import' as const }
    const begin = readingOf(by, context, { reason: 'begin', mWh: 5_000_999n, at: start, session })
    const last = readingOf(by, context, {
      reason: 'end',
      mWh: 5_000_999n + taken * 1000n,
      at: end,
      sequence: 9,
      session,
    })
    const report: TxContent = { kind: 'report', body: { event, meterId: 'S-1', begin, end: last, contexts: [context] } }
    take(seller, report)
    const record = ledger.record(PARTICIPANTS, participantId(event, 'S-1'))!
    const own = must(performanceOf({ baseline: offer.baseline, most: offer.most, price }, record.report!.taken))
    assert.equal(own.paid, record.report!.paid, hex(event))
    assert.equal(record.report!.taken, taken)
    assert.equal(own.paid, costFloor(own.saved, price))
  }
  assert.is(performanceOf({ baseline: wattHours(1n), most: wattHours(1n), price: call.price }, undefined).ok, false)
})

test.run()
