/** A store's customer an hour ahead: when it orders, and which calls on its order become a contract. */
import { type BalanceOfferOptions, createBalanceOffer } from '../../../agent/roles/balance-offer.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { fromHex } from '../../../protocol/bytes.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { microsPerKwh, type Price, wattHours } from '../../../protocol/quantity.ts'
import { type Fault, fail, ok } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import type { Body, BodyOf, Message } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('balance offer')
const QUARTER_MS = 900_000
const HOUR_MS = 3_600_000
const AGREEMENT = 'ab'.repeat(32)
const BEGIN = 1_800_000_000_000
/** The slot whose gate is next, five minutes after the beginning. */
const SLOT = (BEGIN + HOUR_MS) / QUARTER_MS + 1
const GATE = SLOT * QUARTER_MS - HOUR_MS

const SELL = microsPerKwh(150_000n)
const BUY = microsPerKwh(90_000n)

function openOffer(change: Partial<BalanceOfferOptions> = {}) {
  const time = createSimTime(GATE - 300_000, drainPromises)
  const { clock, timers } = time
  const orders: string[] = []
  const sent: Body[] = []
  const granted: [string, bigint, Price | undefined][] = []
  const state = {
    agreement: AGREEMENT as string | undefined,
    meter: 'B-1' as string | undefined,
    refuse: undefined as Fault | undefined,
    health: undefined as Fault | undefined,
  }
  const account = {
    async submit(content: TxContent) {
      if (content.kind === 'order') {
        const { meterId, slot, side, energy, limit } = content.body
        orders.push(`${meterId} ${slot - SLOT} ${side} ${energy} ${limit}`)
      }
      return state.refuse === undefined ? ok(new Uint8Array(32)) : fail(state.refuse)
    },
  }
  const options = {
    ...{ energy: { account }, clock, timers, log: () => {} },
    post: {
      async send(_: string, body: Body) {
        sent.push(body)
        return ok(undefined)
      },
    },
    health: (_: string, fault: Fault | undefined) => {
      state.health = fault
    },
    ...{ peer: 'store', balance: { sell: SELL, buy: BUY, most: wattHours(500n) } },
    ...{ meterId: () => state.meter, agreement: () => state.agreement },
    granted: (peer: string, award: BodyOf<'award'>, least?: Price) => void granted.push([peer, award.energy, least]),
    ...change,
  } as unknown as BalanceOfferOptions
  const open = () => {
    const part = createBalanceOffer(options)
    part.start()
    return part
  }
  let drawn = 0
  return {
    ...{ time, state, orders, sent, granted, open, part: open() },
    until: (ms: number) => time.advance(ms - clock.now()),
    award: (over: Partial<BodyOf<'award'>> = {}): Message =>
      ({
        body: {
          ...{ kind: 'award', id: new Uint8Array(16).fill(++drawn), as: 'buyer' },
          ...{ start: instant(SLOT * QUARTER_MS), end: instant((SLOT + 1) * QUARTER_MS), energy: wattHours(200n) },
          ...{ price: SELL, node: 'S', meter: 'X-1', agreement: fromHex(AGREEMENT)! },
          ...over,
        },
      }) as unknown as Message,
    reasons: () => sent.map(body => (body.kind === 'decline' ? body.reason : body.kind)),
  }
}

test('once a slot and side, three minutes before the gate, and with nothing but what is configured', async () => {
  const { orders, until } = openOffer()
  await until(GATE - 190_000)
  assert.equal(orders, [])
  await until(GATE - 31_000)
  assert.equal(orders, ['B-1 0 sell 500 150000', 'B-1 0 buy 500 90000'])
  await until(GATE + QUARTER_MS - 31_000)
  assert.equal(orders.slice(2), ['B-1 1 sell 500 150000', 'B-1 1 buy 500 90000'])
  const one = openOffer({ balance: { buy: BUY, most: wattHours(40n) } })
  await one.until(GATE)
  assert.equal(one.orders, ['B-1 0 buy 40 90000'])
})

test('nothing without a meter, without an agreement, in the last half minute before the gate, or once it closes', async () => {
  const { orders, until, state, part } = openOffer()
  state.meter = undefined
  await until(GATE - 120_000)
  state.meter = 'B-1'
  state.agreement = undefined
  await until(GATE - 30_000)
  state.agreement = AGREEMENT
  await until(GATE + QUARTER_MS - 180_001)
  assert.equal(orders, [])
  part.windDown!()
  await until(GATE + QUARTER_MS)
  assert.equal(orders, [])
})

test('an order that was not handed in is tried again, said once it is, and no award counts on it meanwhile', async () => {
  const { orders, until, state, part, award, granted, reasons } = openOffer({
    balance: { sell: SELL, most: wattHours(500n) },
  })
  state.refuse = { code: 'rpc.down' }
  await until(GATE - 165_000)
  assert.ok(orders.length >= 1)
  assert.is(state.health?.code, 'rpc.down')
  part.onMessage!('store', award())
  assert.equal([granted, reasons()], [[], ['store.no-order']])
  state.refuse = undefined
  await until(GATE - 100_000)
  assert.is(state.health, undefined)
  const before = orders.length
  await until(GATE)
  assert.is(orders.length, before, 'it stands')
  part.onMessage!('store', award())
  assert.equal(granted, [['store', 200n, SELL]])
})

test('calls are met up to the order, to the last watt-hour, at its limit or better, each side by itself', async () => {
  const { until, part, award, granted, reasons } = openOffer()
  await until(GATE)
  const hear = (over: Partial<BodyOf<'award'>> = {}) => part.onMessage!('store', award(over))
  hear({ energy: wattHours(300n) })
  hear({ energy: wattHours(201n) })
  hear({ price: microsPerKwh(149_999n), energy: wattHours(1n) })
  hear({ price: microsPerKwh(200_000n), energy: wattHours(200n) })
  hear({ energy: wattHours(1n) })
  // It buys at its limit or below, and no fee is its to pay.
  hear({ as: 'seller', price: microsPerKwh(90_001n) })
  hear({ as: 'seller', price: microsPerKwh(90_000n), energy: wattHours(500n) })
  hear({ as: 'seller', price: microsPerKwh(1n), energy: wattHours(1n) })
  assert.equal(granted, [
    ['store', 300n, SELL],
    ['store', 200n, SELL],
    ['store', 500n, undefined],
  ])
  assert.equal(reasons(), new Array(5).fill('store.beyond-order'))
})

test('an award of another slot, of half a slot, of a side not offered is declined by name; of another agreement or peer it is not its business', async () => {
  const { until, part, award, granted, reasons } = openOffer({ balance: { sell: SELL, most: wattHours(500n) } })
  await until(GATE)
  const start = instant((SLOT + 1) * QUARTER_MS)
  part.onMessage!('store', award({ start, end: instant(start + QUARTER_MS) }))
  part.onMessage!('store', award({ start: instant(SLOT * QUARTER_MS + 1), end: instant((SLOT + 1) * QUARTER_MS + 1) }))
  part.onMessage!('store', award({ as: 'seller' }))
  assert.equal(reasons(), ['store.no-order', 'store.no-order', 'store.no-order'])
  part.onMessage!('store', award({ end: instant(SLOT * QUARTER_MS + 450_000) }))
  assert.equal(reasons().slice(3), ['store.beyond-order'])
  part.onMessage!('store', award({ agreement: new Uint8Array(32) }))
  const { agreement: _, ...none } = award().body as BodyOf<'award'>
  part.onMessage!('store', { body: none } as unknown as Message)
  part.onMessage!('stranger', award())
  assert.is(reasons().length, 4)
  assert.equal(granted, [])
})

test('an award that comes twice is one, and after a restart none is taken on an order that it does not know of', async () => {
  const { until, part, award, granted, reasons, open } = openOffer()
  await until(GATE)
  const one = award()
  part.onMessage!('store', one)
  part.onMessage!('store', one)
  assert.equal([granted.length, reasons()], [1, []])
  part.stop()
  const again = open()
  again.onMessage!('store', award())
  again.onMessage!('store', one)
  assert.equal([granted.length, reasons()], [1, ['store.no-order', 'store.no-order']])
  again.windDown!()
  again.onMessage!('store', award())
  assert.is(reasons().length, 2, 'closing: nothing is said')
})

test.run()
