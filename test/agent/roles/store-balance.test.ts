/** A store an hour ahead on a real ledger: what it buys or sells, of whom and at what price, worked out by hand slot by slot. */
import type { Agreed } from '../../../agent/grid/decide.ts'
import { createStoreBalance, type StoreBalanceOptions } from '../../../agent/roles/store-balance.ts'
import type { Customer, StoreSettings } from '../../../agent/roles/store-terms.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { ORDERS, SCHEDULES } from '../../../protocol/ledger/service-tables.ts'
import type { Network } from '../../../protocol/market/network-check.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { type Fault, fail, must, ok, type Result } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import type { BodyOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, buyer, seller } from '../../protocol/ledger/parties.ts'
import { DAY_MS, serviceGenesis, store } from '../../protocol/ledger/service-bench.ts'
import { makeVillage } from './village.ts'

const test = suite('store balance')
const QUARTER_MS = 900_000
const HOUR_MS = 3_600_000
const people = { ada: seller, bob: buyer } as const
const meters = { ada: 'S-1', bob: 'B-1' } as const
type Name = keyof typeof people
const storeMeter = 'X-1'
const genesis = {
  ...serviceGenesis,
  meters: [...serviceGenesis.meters, { ...serviceGenesis.meters[0]!, meterId: storeMeter, owner: store.address }],
}
/** 0.10 a kWh in and 0.20 out: what the main grid's prices are to its customers. */
const settings: StoreSettings = {
  ...{ node: 'S', capacity: wattHours(10_000n), reserve: wattHours(0n), charge: wattHours(2500n) },
  ...{ discharge: wattHours(2500n), chargePermille: 950, dischargePermille: 950 },
  ...{ storePrice: microsPerKwh(100_000n), returnPrice: microsPerKwh(200_000n), most: wattHours(2000n), noticeMs: 0 },
}
const agreementOf = (name: Name): string => toHex(sha256(people[name].address))
const customerOf = (name: Name): [string, Customer] => [
  agreementOf(name),
  {
    node: name,
    agreement: {
      ...{ storage: store.address, meterId: meters[name], from: instant(BEGIN), most: wattHours(2000n), noticeMs: 0 },
      ...{ storePrice: settings.storePrice, returnPrice: settings.returnPrice, answerBy: instant(BEGIN) },
      ...{ owner: people[name].address, state: 'accepted' },
    },
  },
]
/** The day that can still be planned when the ledger begins. */
const DAY = Math.floor(BEGIN / DAY_MS) + 1
const FIRST = (DAY * DAY_MS) / QUARTER_MS

interface Slot {
  /** What the store's schedule has for it: above zero customers bring. */
  readonly plan: bigint
  /** What its contracts of the quarter before the gate came to, the same way. */
  readonly lately: bigint
  /** What customers stand on the ledger with. */
  readonly orders?: readonly (readonly [Name, 'sell' | 'buy', energy: bigint, limit: bigint])[]
}

async function makeStore(slots: readonly Slot[], change: Partial<StoreBalanceOptions> = {}) {
  const village = await makeVillage(genesis, { ...people, store })
  const { clock, timers, time } = village
  const submit = (name: Name | 'store', content: Parameters<typeof who.energy.account.submit>[0]) =>
    awaited(time, village.of(name).energy.account.submit(content), 120_000)
  const who = village.of('store')
  const planned = Array.from({ length: 96 }, (_, at) => slots[at]?.plan ?? 0n)
  must(await submit('store', { kind: 'schedule', body: { meterId: storeMeter, day: DAY, plan: planned } }))
  await time.advance(120_000)
  assert.equal(village.record(SCHEDULES, `${DAY}/${storeMeter}`)!.plan, planned)
  for (const [at, { orders = [] }] of slots.entries())
    for (const [name, side, energy, limit] of orders) {
      const body = { meterId: meters[name], slot: FIRST + at, side, energy: wattHours(energy) }
      must(await submit(name, { kind: 'order', body: { ...body, limit: microsPerKwh(limit) } }))
      await time.advance(60_000)
      assert.is(village.record(ORDERS, `${FIRST + at}/${side}/${meters[name]}`)!.energy, energy as never)
    }
  const gateOf = (at: number) => (FIRST + at) * QUARTER_MS - HOUR_MS
  const customers = new Map([customerOf('ada'), customerOf('bob')])
  const lately: Agreed[] = slots.flatMap(({ lately: energy }, at) =>
    energy === 0n
      ? []
      : [
          {
            ...{ id: new Uint8Array(16), start: instant(gateOf(at) - QUARTER_MS), end: instant(gateOf(at)) },
            ...{ role: energy > 0n ? ('buyer' as const) : ('seller' as const) },
            energy: wattHours(energy > 0n ? energy : -energy),
          } as Agreed,
        ],
  )
  const health = new Map<string, Fault | undefined>()
  const awarded: [string, BodyOf<'award'>][] = []
  const heard: BodyOf<'award'>[] = []
  for (const name of ['ada', 'bob'] as const)
    village.of(name).post.onMessage((peer, { body }) => {
      if (peer === 'store' && body.kind === 'award') heard.push(body)
    })
  let drawn = 0
  let record: Uint8Array | undefined
  /** With what an earlier life has kept, as a restart has it. */
  const open = () => {
    const opened = createStoreBalance({
      record: async bytes => {
        record = bytes
        return ok(undefined)
      },
      ...{ energy: who.energy, post: who.post, clock, timers, log: who.say, settings },
      entropy: { bytes: n => new Uint8Array(n).fill(++drawn) },
      health: (what, fault) => void health.set(what, fault),
      meterId: () => storeMeter,
      customers: () => customers,
      contracted: () => lately,
      awarded: (peer, award) => void awarded.push([peer, award]),
      peerOf: account => (Object.keys(people) as Name[]).find(name => people[name].address === account),
      ...change,
    })
    opened.restore!(record === undefined ? [] : [record])
    return opened
  }
  return {
    ...{ village, customers, awarded, heard, health, open, gateOf },
    /** The time in between is of no use to anybody. */
    async skipTo(ms: number) {
      time.suspend(ms - clock.now())
      await time.advance(1)
    },
    /** Of one slot: to whom, which way, how much and at what price. */
    of: (at: number) =>
      awarded
        .filter(([, { start }]) => start === (FIRST + at) * QUARTER_MS)
        .map(([peer, { as, energy, price }]) => `${as} ${peer} ${energy} ${price}`),
  }
}

const START_MS = 10 * 60_000

test('slot by slot: what is missing of the plan is bought, what is too much is sold, within the imbalance prices', async () => {
  const slots: Slot[] = [
    // 400 Wh short: all of the cheapest, and of the next what is left; both are paid the dearer one's price.
    {
      plan: 1000n,
      lately: 600n,
      orders: [
        ['ada', 'sell', 300n, 120_000n],
        ['bob', 'sell', 300n, 150_000n],
      ],
    },
    // As planned, and more than planned: nothing to buy or sell.
    { plan: 1000n, lately: 1000n, orders: [['ada', 'sell', 300n, 120_000n]] },
    { plan: 1000n, lately: 1300n, orders: [['bob', 'buy', 300n, 150_000n]] },
    // 300 Wh too much is left in the store: the dearest bid first, both pay the lower one's price.
    {
      plan: -800n,
      lately: -500n,
      orders: [
        ['ada', 'buy', 200n, 180_000n],
        ['bob', 'buy', 500n, 110_000n],
      ],
    },
    // The other way round than planned is not to be had on one meter, either way.
    { plan: 1000n, lately: -200n, orders: [['ada', 'sell', 300n, 120_000n]] },
    { plan: -1000n, lately: 200n, orders: [['bob', 'buy', 300n, 150_000n]] },
    // Nothing planned.
    { plan: 0n, lately: 500n, orders: [['bob', 'buy', 300n, 150_000n]] },
    // Dearer than the main grid: all 400 Wh are left to it.
    { plan: 1000n, lately: 600n, orders: [['ada', 'sell', 400n, 200_001n]] },
    // Too little is offered: 100 Wh, at the main grid's price, which the other 300 cost.
    { plan: 1000n, lately: 600n, orders: [['ada', 'sell', 100n, 120_000n]] },
    // Nobody stands there, or only on the other side.
    { plan: 1000n, lately: 600n },
    { plan: 1000n, lately: 600n, orders: [['ada', 'buy', 400n, 120_000n]] },
    // Nobody brought anything: all that was planned is bought.
    { plan: 250n, lately: 0n, orders: [['bob', 'sell', 2000n, 100_000n]] },
  ]
  const { village, open, skipTo, gateOf, of, heard, awarded, health } = await makeStore(slots)
  await skipTo(gateOf(0) - START_MS)
  const part = open()
  village.run('store', part)
  await village.until(gateOf(slots.length - 1) + 5 * 60_000)
  const expected: readonly string[][] = [
    ['buyer ada 300 150000', 'buyer bob 100 150000'],
    [],
    [],
    ['seller ada 200 110000', 'seller bob 100 110000'],
    ...[[], [], [], []],
    ['buyer ada 100 200000'],
    ...[[], []],
    ['buyer bob 250 100000'],
  ]
  assert.equal(
    slots.map((_, at) => of(at)),
    expected,
  )
  assert.is(health.get('storage.hour-ahead'), undefined)
  // Slots 0, 3, 7, 8 and 11 were cleared; 400 and 300 Wh were left to the main grid.
  assert.equal(part.stats(), { cleared: 5, awardedWh: 300n + 100n + 200n + 100n + 100n + 250n, leftWh: 700n })
  // The customer hears what the store's own books have, under its agreement and at the store's meter.
  assert.equal(
    heard,
    awarded.map(([, award]) => award),
  )
  const [peer, { agreement, meter, node, end, start }] = awarded[0]!
  assert.equal([toHex(agreement!), meter, node, end - start], [agreementOf(peer as Name), storeMeter, 'S', QUARTER_MS])
  part.stop()
  await village.stop()
}, 120_000)

const SHORT: Slot = {
  ...{ plan: 1000n, lately: 600n },
  orders: [
    ['ada', 'sell', 300n, 120_000n],
    ['bob', 'sell', 300n, 150_000n],
  ],
}

test('only customers in force are called on, and whom no letter reaches takes nobody’s place', async () => {
  const reached = new Set<Name>(['bob'])
  const { village, open, skipTo, gateOf, of, customers } = await makeStore([SHORT, SHORT, SHORT], {
    peerOf: account => (Object.keys(people) as Name[]).find(one => people[one].address === account && reached.has(one)),
  })
  await skipTo(gateOf(0) - START_MS)
  const part = open()
  village.run('store', part)
  await village.until(gateOf(0) + 3 * 60_000)
  // Bob's 300 alone, at the main grid's price as 100 are missing.
  assert.equal(of(0), ['buyer bob 300 200000'])
  assert.equal(part.stats(), { cleared: 1, awardedWh: 300n, leftWh: 100n })
  reached.add('ada')
  const [id, { agreement, node }] = customerOf('bob')
  customers.set(id, { node, agreement: { ...agreement, state: 'ending' } })
  await village.until(gateOf(1) + 3 * 60_000)
  assert.equal(of(1), ['buyer ada 300 200000'])
  customers.clear()
  await village.until(gateOf(2) + 3 * 60_000)
  assert.equal(of(2), [])
  part.stop()
  await village.stop()
}, 60_000)

test('a line that is full is gone round, a network that is not known stops the slot, and is asked again while there is time', async () => {
  const line = (capacity: bigint, feeder?: string) => ({
    ...{ capacity: wattHours(capacity), resistance: 0 },
    ...(feeder === undefined ? {} : { feeder }),
  })
  let network: Result<Network> = fail({ code: 'light.stale' })
  const asked: (readonly string[])[] = []
  const { village, open, skipTo, gateOf, of, health } = await makeStore([SHORT, SHORT], {
    async networkOf(nodes) {
      asked.push(nodes)
      return network
    },
  })
  await skipTo(gateOf(0) - START_MS)
  const part = open()
  village.run('store', part)
  await village.until(gateOf(0) + 3 * 60_000)
  assert.is(health.get('storage.hour-ahead')?.code, 'light.stale')
  assert.ok(asked.length > 1)
  assert.equal(asked[0], ['S', 'ada', 'bob'])
  assert.equal(of(0), [])
  // Ada's line has room for 40 of her 300 Wh; bob gives his 300; 60 are left.
  const lines = new Map([
    ['T', line(5000n)],
    ['S', line(5000n, 'T')],
    ['ada', line(40n, 'T')],
    ['bob', line(5000n, 'T')],
  ])
  network = ok({ slotMs: QUARTER_MS, lines })
  await village.until(gateOf(0) + 4 * 60_000)
  assert.equal(of(0), ['buyer ada 40 200000', 'buyer bob 300 200000'])
  assert.is(health.get('storage.hour-ahead'), undefined)
  assert.equal(part.stats(), { cleared: 1, awardedWh: 340n, leftWh: 60n })
  // Ten minutes after its gate a slot is given up.
  network = fail({ code: 'light.stale' })
  await village.until(gateOf(1) + 11 * 60_000)
  network = ok({ slotMs: QUARTER_MS, lines })
  await village.until(gateOf(1) + 14 * 60_000)
  assert.equal(of(1), [])
  part.stop()
  await village.stop()
}, 60_000)

test('started again it does not clear a slot twice, clears the next, and once it closes none', async () => {
  const { village, open, skipTo, gateOf, of } = await makeStore([SHORT, SHORT, SHORT])
  const BOTH = ['buyer ada 300 150000', 'buyer bob 100 150000']
  await skipTo(gateOf(0) - START_MS)
  const first = open()
  village.run('store', first)
  await village.until(gateOf(0) + 3 * 60_000)
  assert.equal(of(0), BOTH)
  first.stop()
  const again = open()
  village.run('store', again)
  await village.until(gateOf(0) + 9 * 60_000)
  assert.equal(of(0), BOTH, 'of what was awarded it knows nothing any more, and its customers’ orders still stand')
  await village.until(gateOf(1) + 3 * 60_000)
  assert.equal(of(1), BOTH)
  again.windDown!()
  await village.until(gateOf(2) + 9 * 60_000)
  assert.equal(of(2), [])
  again.stop()
  await village.stop()
}, 60_000)

test('without a meter of its own, or a schedule on the ledger, it does nothing', async () => {
  let meterId: string | undefined
  const { village, open, skipTo, gateOf, awarded, health } = await makeStore([SHORT, SHORT], { meterId: () => meterId })
  await skipTo(gateOf(0) - START_MS)
  const part = open()
  village.run('store', part)
  await village.until(gateOf(0) + 3 * 60_000)
  meterId = 'S-1'
  await village.until(gateOf(1) + 3 * 60_000)
  assert.equal([awarded, part.stats().cleared, health.get('storage.hour-ahead')], [[], 0, undefined])
  part.stop()
  await village.stop()
}, 60_000)

test.run()
