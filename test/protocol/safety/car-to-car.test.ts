import { milliwattHours } from '../../../protocol/quantity.ts'
import {
  bookTransfer,
  decideTransfer,
  TRANSFER_LIMITS as LIMITS,
  NEW_TRANSFER,
  type PortFacts,
  type TransferFacts,
  type TransferState,
} from '../../../protocol/safety/car-to-car.ts'
import { instant, type Mono, mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, assertProperty, fc } from '../../property.ts'

const test = suite('car to car')

const TERMS = {
  ...{ start: instant(1_000), end: instant(900_000), energy: milliwattHours(5_000_000n) },
  ...{ powerMw: 7_000_000, lossPermille: 10 },
}
const port = (at: Mono, powerMw: number, energy = 0n, state: PortFacts['state'] = 'C'): PortFacts => ({
  ...{ state, heartbeat: at },
  reading: { powerMw, energy: milliwattHours(energy), takenMono: at },
})
const facts = (
  ms: number,
  giver: Partial<PortFacts> = {},
  taker: Partial<PortFacts> = {},
  more: Partial<TransferFacts> = {},
) => {
  const at = mono(ms)
  return {
    ...{ now: instant(1_000 + ms), mono: at, terms: TERMS, leaseUntil: mono(900_000) },
    ...{ giver: { ...port(at, 0), ...giver }, taker: { ...port(at, 0), ...taker } },
    ...more,
  } satisfies TransferFacts
}
const decide = (state: TransferState, given: TransferFacts) => decideTransfer(state, given, LIMITS)
const running = (): TransferState => decide(NEW_TRANSFER, facts(0)).state
const codes = ({ because }: ReturnType<typeof decide>) => because.map(({ code }) => code)

test('the giver leads, and the taker follows what its meter shows, less the loss that was agreed', () => {
  const first = decide(NEW_TRANSFER, facts(0, { state: 'B' }, { state: 'B' }))
  assert.equal([first.state.phase, first.order], ['running', { giverMw: 7_000_000, takerMw: 0 }])
  const at = mono(500)
  const next = decide(first.state, facts(500, port(at, 4_000_000, 100n), port(at, 0, 0n, 'B')))
  assert.equal([codes(next), next.order], [[], { giverMw: 7_000_000, takerMw: 3_960_000 }])
  // Less than a converter holds is nothing.
  const low = decide(first.state, facts(500, port(at, 1_000_000, 100n), port(at, 0, 0n, 'B')))
  assert.is(low.order.takerMw, 0)
})

test('either side stops both, once and for all', () => {
  const late = mono(10_000)
  const at = (ms: number) => mono(10_000 - ms)
  const cases: readonly (readonly [code: string, giver: PortFacts, more?: Partial<TransferFacts>])[] = [
    ['transfer.heartbeat', { ...port(late, 0), heartbeat: at(1_001) }],
    ['transfer.heartbeat', { ...port(late, 0), heartbeat: undefined }],
    ['transfer.heartbeat', { ...port(late, 0), heartbeat: mono(10_001) }],
    ['transfer.reading', { ...port(late, 0), reading: undefined }],
    ['transfer.reading', { ...port(late, 0), reading: { ...port(late, 0).reading!, takenMono: at(1_501) } }],
    ...(['A', 'E', 'F', undefined] as const).map(state => ['transfer.state', { ...port(late, 0), state }] as const),
    ['transfer.reversed', port(late, -100_001)],
    ['transfer.register-fell', port(late, 0, -1n)],
    ['transfer.no-contract', port(late, 0), { terms: undefined }],
    ['transfer.contract-over', port(late, 0), { now: TERMS.end }],
    // A wall clock that was set back prolongs nothing.
    ['transfer.contract-over', port(late, 0), { leaseUntil: late }],
    ['transfer.not-started', port(late, 0), { now: instant(999) }],
  ]
  for (const side of ['giver', 'taker'] as const) {
    for (const [code, bad, more] of cases) {
      const struck = decide(running(), { ...facts(10_000), [side]: bad, ...more })
      assert.equal([codes(struck), struck.order], [[code], { giverMw: 0, takerMw: 0 }], `${code} ${side}`)
      assert.is(struck.state.phase, 'over')
      // What is well again is over all the same.
      const after = decide(struck.state, facts(10_100))
      assert.equal([after.state.phase, after.order], ['over', { giverMw: 0, takerMw: 0 }])
    }
  }
})

test('what has not begun waits for the same conditions, and begins when they are met', () => {
  const before = decide(NEW_TRANSFER, { ...facts(0), now: instant(999) })
  assert.equal([before.state.phase, codes(before)], ['waiting', ['transfer.not-started']])
  assert.is(decide(before.state, facts(0)).state.phase, 'running')
})

test('the energy that was agreed ends it; more loss than agreed, or energy of the station, stops it', () => {
  const at = mono(5_000)
  const run = (given: bigint, taken: bigint) => decide(running(), facts(5_000, port(at, 0, given), port(at, 0, taken)))
  assert.equal(codes(run(5_020_000n, 4_999_999n)), [])
  assert.equal(codes(run(5_020_000n, 5_000_000n)), ['transfer.delivered'])
  // 10 permille of 2 kWh, and 20 Wh of slack.
  assert.equal(codes(run(2_000_000n, 1_960_000n)), [])
  assert.equal(codes(run(2_000_000n, 1_959_999n)), ['transfer.loss'])
  assert.equal(codes(run(1_000_000n, 1_020_000n)), [])
  assert.equal(codes(run(1_000_000n, 1_020_001n)), ['transfer.took-more'])
})

test('a car that goes on telling that it charges, and takes nothing, is found out by the other', () => {
  let state = running()
  let stopped: number | undefined
  for (let ms = 100; ms <= 10_000 && stopped === undefined; ms += 100) {
    const at = mono(ms)
    const next = decide(state, facts(ms, port(at, 7_000_000, BigInt(ms)), port(at, 0)))
    state = next.state
    if (codes(next).includes('transfer.apart')) stopped = ms
  }
  assert.is(stopped, 6_200)
})

const anyPort = fc.record({
  state: fc.constantFrom(...(['A', 'B', 'C', 'C', 'C', 'D', 'F', undefined] as const)),
  agoMs: fc.constantFrom(0, 100, 900, 1_400, 1_600, -5),
  powerMw: fc.integer({ min: -200_000, max: 7_200_000 }),
  step: fc.bigInt(-10n, 20_000n),
  blind: fc.nat(9),
})

test('whatever the ports say: no power without everything known, never more to the taker than the giver shows, each Wh once', () => {
  let ran = 0
  let ended = 0
  assertCovering(
    fc.property(fc.array(fc.tuple(anyPort, anyPort), { maxLength: 30 }), steps => {
      let state = NEW_TRANSFER
      const sums = { giver: 1_000n, taker: 7_000n }
      let before = bookTransfer(state)
      for (const [n, pair] of steps.entries()) {
        const now = mono(10_000 + 100 * n)
        const at = ({ state, agoMs, powerMw, step, blind }: (typeof pair)[0], side: 'giver' | 'taker'): PortFacts => {
          sums[side] += step
          const reading = { powerMw, energy: milliwattHours(sums[side]), takenMono: mono(now - agoMs) }
          return { state, heartbeat: mono(now - agoMs), reading: blind === 0 ? undefined : reading }
        }
        const given = { ...facts(now), giver: at(pair[0], 'giver'), taker: at(pair[1], 'taker') }
        const { state: next, order, because } = decide(state, given)
        const over = state.phase === 'over'
        if (because.length > 0 || over) assert.equal(order, { giverMw: 0, takerMw: 0 })
        else assert.ok(order.takerMw <= Math.max(0, given.giver.reading!.powerMw) && order.giverMw <= TERMS.powerMw)
        if (over) assert.is(next.phase, 'over')
        if (next.phase === 'running') ran++
        if (state.phase === 'running' && next.phase === 'over') ended++
        const booked = bookTransfer(next)
        assert.is(booked.given, booked.carried + booked.loss)
        assert.is(booked.taken, booked.carried + booked.fromStation)
        if (next.phase !== 'waiting') assert.ok(booked.given >= before.given && booked.taken >= before.taken)
        before = booked
        state = next
      }
    }),
    400,
  )
  assert.ok(ran > 100 && ended > 30, `${ran} steps ran, ${ended} transfers ended`)
})

test('what is booked is the difference of the registers, however the readings came', () => {
  assertProperty(
    fc.property(fc.array(fc.nat(50_000), { maxLength: 40 }), fc.nat(3), (steps, lost) => {
      let state = running()
      let sum = 0n
      let read = 0n
      for (const [n, step] of steps.entries()) {
        sum += BigInt(step)
        const at = mono(100 * (n + 1))
        const isLost = n % 4 < lost
        if (!isLost) read = sum
        const giver = port(at, 0, sum)
        state = decide(state, facts(100 * (n + 1), isLost ? { reading: undefined } : giver, port(at, 0, 0n))).state
      }
      assert.is(bookTransfer(state).given, read)
    }),
  )
})

test.run()
