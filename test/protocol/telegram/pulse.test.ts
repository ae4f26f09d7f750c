import {
  countEdge,
  NO_PULSES,
  type PulseEdge,
  type PulseRule,
  type PulseState,
  pulseEnergy,
  pulsePower,
  S0_LEAST_MS,
  settlePulses,
} from '../../../protocol/telegram/pulse.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('pulses')

const RULE: PulseRule = { obis: '1-0:1.8.0', perKwh: 1000, leastMs: S0_LEAST_MS, silentMs: 600_000 }

/** Edges from levels and how long each lasts, from the time 0 on: `[['closed', 30], ['open', 970]]`. */
function edgesOf(levels: readonly (readonly [level: 'closed' | 'open', ms: number])[]): PulseEdge[] {
  let at = 0
  return levels.map(([level, ms]) => {
    const edge = { closed: level === 'closed', at }
    at += ms
    return edge
  })
}

const count = (edges: readonly PulseEdge[], from: PulseState = NO_PULSES): PulseState =>
  edges.reduce((state, edge) => countEdge(RULE, state, edge), from)

/*
 *     ___________       ____
 *     closed 30  | 970 | 30 |  open        two pulses, the second once it has lasted
 */
test('a pulse counts when it has lasted, without waiting for its end', () => {
  const edges = edgesOf([
    ['closed', 30],
    ['open', 970],
    ['closed', 30],
  ])
  const state = count(edges)
  assert.is(state.pulses, 1n)
  assert.is(settlePulses(RULE, state, 1_024).pulses, 1n)
  assert.is(settlePulses(RULE, state, 1_025).pulses, 2n)
  const ended = countEdge(RULE, state, { closed: false, at: 1_030 })
  assert.equal([ended.pulses, ended.last, ended.before, ended.spikes], [2n, 1_000, 0, 0])
})

test('what does not last is no pulse and no pause: bounces and spikes are counted as such', () => {
  const bouncing = count(
    edgesOf([
      ['closed', 1],
      ['open', 1],
      ['closed', 15],
      ['open', 2],
      ['closed', 40],
      ['open', 3],
      ['closed', 1],
      ['open', 500],
      ['closed', 10],
      ['open', 100],
    ]),
  )
  assert.is(bouncing.pulses, 1n)
  assert.is(bouncing.spikes, 4)
  assert.is(bouncing.missed, 0)
})

test('two edges to the same level say that some were missed', () => {
  const state = count([
    { closed: true, at: 0 },
    { closed: true, at: 100 },
  ])
  assert.equal([state.pulses, state.missed], [1n, 1])
})

test('any train of legal pulses with short spikes between them is counted exactly', () => {
  const pulse = fc.record({
    closedMs: fc.integer({ min: 30, max: 200 }),
    openMs: fc.integer({ min: 30, max: 5_000 }),
    spikeMs: fc.integer({ min: 0, max: S0_LEAST_MS - 1 }),
  })
  assertProperty(
    fc.property(fc.array(pulse, { maxLength: 50 }), pulses => {
      const levels = pulses.flatMap(({ closedMs, openMs, spikeMs }): ['closed' | 'open', number][] =>
        spikeMs === 0
          ? [
              ['closed', closedMs],
              ['open', openMs],
            ]
          : [
              ['closed', closedMs],
              ['open', openMs],
              ['closed', spikeMs],
              ['open', 30],
            ],
      )
      const state = count(edgesOf(levels))
      assert.is(state.pulses, BigInt(pulses.length))
      assert.is(state.missed, 0)
    }),
  )
})

test('energy is worked out from the count, so that a constant that divides nothing loses nothing', () => {
  const at = (pulses: bigint, perKwh: number, start = 0n) =>
    pulseEnergy({ ...RULE, perKwh }, { ...NO_PULSES, pulses }, start).value
  // 1,000 pulses a kWh are 1 Wh each; 3 make 333.333 Wh, and three of them a whole kWh again.
  assert.is(at(1n, 1000), 1_000n)
  assert.is(at(1n, 3), 333_333n)
  assert.is(at(3n, 3), 1_000_000n)
  assert.is(at(1_000_000n, 6400, 5n), 156_250_005n)
  assert.equal(pulseEnergy(RULE, { ...NO_PULSES, pulses: 2n }, 12_345_678n), {
    obis: '1-0:1.8.0',
    value: 12_347_678n,
    scaler: -3,
    unit: 'Wh',
  })
})

test('power is the mean between two pulses, and absent before the second, when the next is overdue, and after silence', () => {
  const power = (state: PulseState, now: number) => pulsePower(RULE, state, '1-0:1.7.0', now)?.value
  const one = { ...NO_PULSES, last: 10_000 }
  assert.is(power(one, 10_000), undefined)
  // 1 Wh in 3.6 s is 1,000 W.
  const two = { ...one, before: 6_400 }
  assert.is(power(two, 10_000), 1_000n)
  assert.is(power(two, 17_200), 1_000n)
  assert.is(power(two, 17_201), undefined)
  assert.is(power(two, 9_999), undefined)
  const slow = { ...NO_PULSES, before: 0, last: 3_600_000 }
  assert.is(power(slow, 3_600_000), 1n)
  assert.is(power(slow, 4_200_000), 1n)
  assert.is(power(slow, 4_200_001), undefined)
})

test.run()
