/** What a store's customer declares for the next day: its deals with others of the last one, and when it says so. */
import { createStoreDeclare, type StoreDeclareOptions } from '../../../agent/roles/store-declare.ts'
import type { DealInfo } from '../../../agent/trading/trading.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { type Fault, fail, ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('store declare')
const DAY_MS = 86_400_000
const QUARTER_MS = 900_000
const MINUTE_MS = 60_000
const DAY = 20_834
/** Schedules of the day are taken until noon of the day before. */
const GATE = DAY * DAY_MS - DAY_MS / 2
const DECLARE = GATE - 75 * MINUTE_MS

interface Traded {
  /** Begins so many quarters before the gate, below zero after it. */
  readonly ago: number
  readonly energy: bigint
  readonly role?: 'buyer' | 'seller'
  readonly peer?: string
  readonly state?: string
  readonly ms?: number
}

const dealOf = ({
  ago,
  energy,
  role = 'buyer',
  peer = 'ash',
  state = 'settled',
  ms = QUARTER_MS,
}: Traded): DealInfo => {
  const start = GATE - ago * QUARTER_MS
  const contract = { start, end: start + ms, energy }
  return { peer, runner: { deal: () => ({ role, contract, state, isolated: false, engaged: false }) } } as never
}

function openDeclare(traded: readonly Traded[]) {
  const time = createSimTime(GATE - 120 * MINUTE_MS, drainPromises)
  const { clock, timers } = time
  const said: {
    readonly at: number
    readonly day: number
    readonly plan: readonly bigint[]
    readonly meterId: string
  }[] = []
  const state = {
    meter: 'B-1' as string | undefined,
    refuse: undefined as Fault | undefined,
    health: undefined as Fault | undefined,
    deals: traded.map(dealOf),
  }
  const open = () => {
    const part = createStoreDeclare({
      ...{ clock, timers, peer: 'store', meterId: () => state.meter, deals: () => state.deals },
      energy: {
        account: {
          async submit({ body }: TxContent & { kind: 'schedule' }) {
            said.push({ at: clock.now(), ...body })
            return state.refuse === undefined ? ok(new Uint8Array(32)) : fail(state.refuse)
          },
        },
      },
      health: (_: string, fault: Fault | undefined) => {
        state.health = fault
      },
    } as unknown as StoreDeclareOptions)
    part.start()
    return part
  }
  return {
    ...{ state, said, open, part: open(), until: (ms: number) => time.advance(ms - clock.now()) },
    /** Quarters of the day that are not nothing. */
    filled: (at = 0) => said[at]!.plan.flatMap((energy, quarter) => (energy === 0n ? [] : [`${quarter} ${energy}`])),
  }
}

test('deals with others of the last day, by their quarter, bought less sold; with the store, of no end and of days before, none', async () => {
  const { said, filled, until } = openDeclare([
    // 07:00, 28 quarters into the day.
    { ago: 20, energy: 400n },
    { ago: 20, energy: 150n, role: 'seller', peer: 'ivy' },
    // 08:00, of which the second is not over yet.
    { ago: 16, energy: 300n, role: 'seller' },
    { ago: 16, energy: 30n, role: 'seller', state: 'started' },
    // The evening before.
    { ago: 60, energy: 70n },
    { ago: 24, energy: 999n, peer: 'store' },
    { ago: 24, energy: 999n, state: 'aborted' },
    { ago: 24, energy: 999n, state: 'refunded' },
    { ago: 24, energy: 999n, ms: QUARTER_MS + 1 },
    { ago: 120, energy: 999n },
  ])
  await until(DECLARE - 1)
  assert.equal(said, [])
  await until(GATE + DAY_MS / 4)
  assert.is(said.length, 1)
  assert.equal([said[0]!.day, said[0]!.meterId, said[0]!.plan.length], [DAY, 'B-1', 96])
  assert.ok(said[0]!.at >= DECLARE && said[0]!.at <= DECLARE + MINUTE_MS)
  assert.equal(filled(), ['28 250', '32 -330', '84 70'])
})

test('a contract of a quarter to come is not counted beside the one of a day before it', async () => {
  // It declares at 10:45: the quarter of 11:00 has a deal of yesterday, and one of today that is yet to be.
  const { filled, until } = openDeclare([
    { ago: 4 + 96, energy: 200n },
    { ago: 4, energy: 200n, state: 'signed' },
  ])
  await until(GATE)
  assert.equal(filled(), ['44 200'])
})

test('nothing is said of nothing; what comes up before the gate is, and a meter that is read late is waited for', async () => {
  const { said, filled, until, state } = openDeclare([])
  state.meter = undefined
  await until(GATE - 30 * MINUTE_MS)
  state.meter = 'B-1'
  await until(GATE - 20 * MINUTE_MS)
  assert.equal(said, [])
  state.deals = [dealOf({ ago: 8, energy: 5n }), dealOf({ ago: 8, energy: 5n, role: 'seller' })]
  await until(GATE - 10 * MINUTE_MS)
  assert.equal(said, [], 'what is bought and sold alike is nothing')
  state.deals = [dealOf({ ago: 8, energy: 5n })]
  await until(GATE)
  assert.equal([said.length, said[0]!.day, filled()], [1, DAY, ['40 5']])
})

test('what is refused is named and said again each minute, until the gate; then it is for the next day', async () => {
  const { said, until, state } = openDeclare([{ ago: 8, energy: 5n }])
  state.refuse = { code: 'rpc.down' }
  await until(DECLARE + 5 * MINUTE_MS)
  assert.ok(said.length >= 4 && said.length <= 6)
  assert.is(state.health?.code, 'rpc.down')
  state.refuse = undefined
  await until(GATE + DAY_MS - 76 * MINUTE_MS)
  assert.is(state.health, undefined)
  assert.ok(said.every(({ day }) => day === DAY))
  const before = said.length
  state.deals = [dealOf({ ago: -8, energy: 7n })]
  await until(GATE + DAY_MS)
  assert.equal(
    said.slice(before).map(({ day }) => day),
    [DAY + 1],
  )
})

test('after a restart it says the same once more while the gate is open, which takes the place of the first', async () => {
  const { said, until, part, open } = openDeclare([{ ago: 8, energy: 5n }])
  await until(GATE - 40 * MINUTE_MS)
  part.stop()
  await until(GATE - 30 * MINUTE_MS)
  assert.is(said.length, 1)
  open()
  await until(GATE + DAY_MS / 4)
  assert.is(said.length, 2)
  assert.equal([said[1]!.day, said[1]!.plan], [said[0]!.day, said[0]!.plan])
})

test.run()
