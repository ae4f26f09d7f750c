import type { SellConfig, TradeConfig } from '../../../agent/config/site-config.ts'
import { available, type BuyerLine, buyerAim, decideAsk, sellerAim } from '../../../agent/trading/decide.ts'
import { microsPerKwh, milliwatts, wattHours } from '../../../protocol/quantity.ts'
import { instant, mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const t = suite('trading decisions')

const trade = {
  buy: { limit: microsPerKwh(280_000n), opening: microsPerKwh(80_000n) },
  slotMs: 60_000,
  receiptWindowMs: 30_000,
  disputeWindowMs: 30_000,
  energy: wattHours(42n),
  lossPermille: 30,
  pauseMs: 0,
} as unknown as TradeConfig & { readonly buy: NonNullable<TradeConfig['buy']> }
const sell: SellConfig = { opening: microsPerKwh(240_000n), reserve: microsPerKwh(90_000n) }
const line = (id: string, change: Partial<BuyerLine> = {}): BuyerLine => ({
  id,
  latched: false,
  lastUsed: undefined,
  notBefore: mono(0),
  soldUntil: instant(0),
  ...change,
})
const NOW = instant(1_000_000)
const HERE = mono(50_000)

t('a buyer asks on the line that it used least recently, for a window of one slot', () => {
  const ask = decideAsk(
    [line('L2', { lastUsed: mono(40_000) }), line('L4', { lastUsed: mono(10) })],
    false,
    trade,
    NOW,
    HERE,
  )
  assert.is(ask?.line, 'L4')
  assert.is(ask!.end - ask!.start, 60_000)
  assert.ok(ask!.start >= NOW + 10_000, 'there is time to sign, pay and prove')
})

t('a latched line is never asked, nor one in its pause, nor any while the circuit is in a deal', () => {
  assert.is(decideAsk([line('L1', { latched: true })], false, trade, NOW, HERE), undefined)
  assert.is(decideAsk([line('L1', { notBefore: mono(50_001) })], false, trade, NOW, HERE), undefined)
  assert.is(decideAsk([line('L1')], true, trade, NOW, HERE), undefined)
  assert.ok(decideAsk([line('L1')], false, trade, NOW, HERE))
})

t('time of a line that the ledger has sold is not asked for again', () => {
  const ask = decideAsk([line('L1', { soldUntil: instant(1_015_000) })], false, trade, NOW, HERE)
  assert.is(ask?.start, 1_015_000)
  // Far ahead, the surplus that would be promised may be gone by then: it waits.
  assert.is(decideAsk([line('L1', { soldUntil: instant(1_060_000) })], false, trade, NOW, HERE), undefined)
})

t('each side bargains from its opening price to its own limit and no further', () => {
  const [buyer, seller] = [buyerAim(trade, HERE), sellerAim(sell, wattHours(100n), HERE)]
  assert.equal([buyer.opening, buyer.limit], [80_000n, 280_000n])
  assert.equal([seller.opening, seller.limit], [240_000n, 90_000n])
  assert.is(buyer.most, 42n)
  assert.is(buyer.least, 21n)
})

//  surplus   window   promised elsewhere          on hand
const CASES = [
  [-3_600_000, 60_000, [], 60n],
  // Energy that flows already is in the grid meter's figure; energy that is only promised is not.
  [-3_600_000, 60_000, [{ energy: 40n, flowing: false }], 20n],
  [-3_600_000, 60_000, [{ energy: 40n, flowing: true }], 60n],
  [-3_600_000, 60_000, [{ energy: 90n, flowing: false }], 0n],
  // Import is no surplus, and an absent reading is neither a zero nor plenty.
  [3_600_000, 60_000, [], 0n],
  [undefined, 60_000, [], 0n],
] as const

t('a seller has on hand what its grid meter shows as surplus, less what it has promised', () => {
  for (const [power, length, promised, expected] of CASES) {
    const [start, end] = [instant(0), instant(length)]
    const others = promised.map(one => ({ ...one, energy: wattHours(one.energy), start, end }))
    const onHand = available(sell, power === undefined ? undefined : milliwatts(power), others, start, end)
    assert.is(onHand, expected, `${power} mW with ${promised.length} promised`)
  }
})

t('a battery has its capacity on hand whatever the grid meter shows, less all that it has promised', () => {
  const battery = { ...sell, capacity: milliwatts(3_600_000) }
  const [start, end] = [instant(0), instant(60_000)]
  const flowing = [{ energy: wattHours(40n), start, end, flowing: true }]
  assert.is(available(battery, undefined, [], start, end), 60n)
  assert.is(available(battery, undefined, flowing, start, end), 20n)
})

t.run()
