/** The operator's check of moves: limits by hand, room against trying every quantity, and what is worse already. */
import {
  type Breach,
  createNetworkCheck,
  type Move,
  type Network,
  readNetwork,
} from '../../../protocol/market/network-check.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { networkOf, street, wh } from './storage-days.ts'

const test = suite('network check')
const open = (network: Network = street) => createNetworkCheck(must(readNetwork(network)))
const refusal = (network: Network) => {
  const read = readNetwork(network)
  return read.ok ? 'ok' : read.fault.code
}

test('a move is taken while its lines have room, curtailed to what is left, then rejected with line, slot and amount', () => {
  const check = open()
  const move = { slot: 7, from: 'C', to: 'B', energy: wh(3000) }
  assert.equal(check.take(move), { kind: 'accepted' })
  const why = (flow: bigint): Breach => ({
    code: 'network.line',
    line: 'B',
    slot: 7,
    flow,
    capacity: 5000n,
    by: flow - 5000n,
  })
  assert.equal(check.take(move), { kind: 'curtailed', energy: wh(2000), why: why(6000n) })
  assert.equal(check.take(move), { kind: 'rejected', why: why(8000n) })
  assert.equal(check.judge({ ...move, slot: 8 }), { kind: 'accepted' }, 'another slot')
  assert.equal(check.judge({ slot: 7, from: 'B', to: 'A', energy: wh(10_000) }), { kind: 'accepted' }, 'the other way')
  assert.equal(check.breaches(), [])
})

test('a feeder above both ends is not used, one between them is', () => {
  const network = networkOf({
    T: [undefined, 0, 10],
    A: ['T', 0, 50],
    B: ['A', 5000, 80],
    C: ['A', 5000, 60],
    D: ['T', 5000, 60],
  })
  const judge = (from: string, to: string) => open(network).judge({ slot: 0, from, to, energy: wh(10) }).kind
  assert.is(judge('B', 'C'), 'accepted')
  assert.is(judge('B', 'D'), 'rejected')
})

test('a voltage is judged by the quadratic and told in millivolts', () => {
  const network = networkOf(
    { T: [undefined, 90_000, 100], A: ['T', 90_000, 400] },
    { source: 400_000, lowest: 390_000, highest: 410_000 },
  )
  // 160,000 - 152,100 = 7,900 V^2 = 2 * 0.5 ohm * 4/h * E, so 1,975 Wh.
  const fits = open(network).judge({ slot: 0, to: 'A', energy: wh(1975) })
  assert.equal(fits, { kind: 'accepted' })
  const low = open(network).judge({ slot: 0, to: 'A', energy: wh(2500) })
  assert.equal(low, {
    kind: 'curtailed',
    energy: wh(1975),
    // sqrt(160,000 - 10,000) = 387.298 V
    why: { code: 'network.voltage', node: 'A', slot: 0, voltage: 387_298, limit: 390_000, by: 2702 },
  })
  const high = open(network).judge({ slot: 0, from: 'A', energy: wh(5000) })
  assert.is(high.kind === 'curtailed' && high.energy, 2025n)
})

test('what stands beyond a limit may not become worse, and may become better', () => {
  const check = open()
  assert.ok(check.place({ slot: 0, to: 'B', energy: wh(6000) }).ok)
  assert.equal(check.breaches(), [
    { code: 'network.line', line: 'B', slot: 0, flow: 6000n, capacity: 5000n, by: 1000n },
  ])
  assert.is(check.judge({ slot: 0, to: 'B', energy: wh(1) }).kind, 'rejected')
  assert.is(check.judge({ slot: 0, to: 'A', energy: wh(1) }).kind, 'accepted', 'elsewhere there is room')
  assert.is(
    check.judge({ slot: 0, from: 'B', energy: wh(11_000) }).kind,
    'accepted',
    'as far as the limit on the other side',
  )
  assert.equal(check.judge({ slot: 0, from: 'B', energy: wh(12_000) }).kind, 'curtailed')
})

test('the room is the largest quantity that breaks nothing, found by trying', () => {
  const node = fc.option(fc.constantFrom('T', 'A', 'B', 'C'), { nil: undefined })
  const move: fc.Arbitrary<Move> = fc
    .record({ from: node, to: node, energy: fc.integer({ min: 0, max: 60 }) })
    .map(({ from, to, energy }) => ({ slot: 0, energy: wh(energy), ...(from && { from }), ...(to && { to }) }))
  assertProperty(
    fc.property(fc.array(move, { maxLength: 8 }), move, fc.integer({ min: 1, max: 20 }), (before, asked, volts) => {
      const network = networkOf(
        { T: [undefined, 60, 900], A: ['T', 40, 2000], B: ['A', 20, 8000], C: ['T', 30, 6000] },
        { source: 400_000, lowest: 400_000 - volts * 100, highest: 400_000 + volts * 100 },
      )
      const check = open(network)
      for (const one of before) check.take(one)
      assert.equal(check.breaches(), [])
      const verdict = check.judge(asked)
      const room = verdict.kind === 'accepted' ? asked.energy : verdict.kind === 'curtailed' ? verdict.energy : 0n
      const breaks = (energy: bigint) => {
        const tried = open(network)
        for (const one of before) tried.take(one)
        tried.place({ ...asked, energy: wh(Number(energy)) })
        return tried.breaches().length > 0
      }
      assert.ok(!breaks(room))
      if (room < asked.energy) assert.ok(breaks(room + 1n), `${room} is not all there is room for`)
    }),
    400,
  )
})

test('a network that is none, and moves that cannot be, are refused', () => {
  assert.is(refusal({ ...street, slotMs: 7 * 60_000 }), 'network.slot-length')
  assert.is(refusal({ ...street, slotMs: Number.NaN }), 'network.slot-length')
  assert.is(refusal(networkOf({ A: ['Z', 1, 1] })), 'network.feeder')
  assert.is(refusal(networkOf({ A: ['B', 1, 1], B: ['A', 1, 1] })), 'network.feeder')
  assert.is(refusal(networkOf({ A: [undefined, -1, 1] })), 'network.line-range')
  assert.is(refusal(networkOf({ A: [undefined, 1, Number.NaN] })), 'network.line-range')
  assert.is(refusal(networkOf({ A: [undefined, 1, 1] }, { source: 1, lowest: 2, highest: 3 })), 'network.band')
  const deep = Array.from({ length: 9 }, (_, n) => [`L${n}`, [n === 0 ? undefined : `L${n - 1}`, 1, 1]] as const)
  assert.is(refusal(networkOf(Object.fromEntries(deep))), 'network.depth')
  const why = (move: Move) => {
    const verdict = open().take(move)
    return verdict.kind === 'rejected' ? verdict.why.code : verdict.kind
  }
  assert.is(why({ slot: 0, to: 'Z', energy: wh(1) }), 'network.unknown-node')
  assert.is(why({ slot: 0, to: 'A', energy: wh(-1) }), 'network.move-range')
  assert.is(why({ slot: Number.NaN, to: 'A', energy: wh(1) }), 'network.move-range')
  assert.is(why({ slot: 0, to: 'A', energy: wh(1e15) }), 'network.move-range')
  const full = open()
  assert.ok(full.place({ slot: 0, to: 'A', energy: wh(100_000_000) }).ok)
  assert.not.ok(full.place({ slot: 0, to: 'A', energy: wh(1) }).ok, 'sums stay whole')
})

test.run()
