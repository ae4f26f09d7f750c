import { isCounter, verifyChain } from '../../../protocol/reading/chain.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { chainOf, contextOf, energies, sampleContext } from './sample.ts'

const test = suite('reading chain')

const codesOf = (chain: Parameters<typeof verifyChain>[0]): string[] => verifyChain(chain).map(found => found.code)

/** Four readings of which only the third is changed. */
const withThird = async (change: Parameters<typeof chainOf>[0][number]) => codesOf(await chainOf([{}, {}, change, {}]))

test('an honest chain breaks no rule, from its beginning or from anywhere in it', async () => {
  const chain = await chainOf([
    {},
    {},
    { reason: 'gap', registers: [] },
    { registers: energies(123_456_790n, 98_765_432n) },
    {},
  ])
  assert.equal(codesOf(chain), [])
  assert.equal(codesOf(chain.slice(2)), [])
  assert.equal(codesOf([]), [])
})

test('a reading left out, put twice or swapped is seen', async () => {
  const [a, b, c, d] = await chainOf([{}, {}, {}, {}])
  assert.equal(codesOf([a!, b!, d!]), ['chain.sequence-gap', 'chain.previous-hash'])
  assert.equal(codesOf([a!, b!, b!, c!]), ['chain.sequence-back', 'chain.previous-hash'])
  assert.ok(codesOf([a!, c!, b!, d!]).includes('chain.sequence-back'))
})

test('each rule has its name and the values compared', async () => {
  assert.equal(await withThird({ sequence: 4 }), ['chain.sequence-gap'])
  assert.equal(await withThird({ sequence: 2 }), ['chain.sequence-back'])
  assert.equal(await withThird({ previous: new Uint8Array(32) }), ['chain.previous-hash'])
  assert.equal(await withThird({ operatingSeconds: 0 }), ['chain.operating-time-fell'])
  assert.equal(await withThird({ time: instant(0) }), ['chain.time-fell'])
  const fell = await chainOf([{}, { registers: energies(123_456_788n, 98_765_432n) }])
  assert.equal(verifyChain(fell), [
    {
      code: 'chain.counter-fell',
      sequence: 2,
      obis: OBIS.energyImport,
      from: 123_456_789_000_000_000n,
      to: 123_456_788_000_000_000n,
    },
  ])
})

test('a wall clock that goes back is allowed where the reading says that it was set', async () => {
  assert.equal(await withThird({ time: instant(0), status: ['clock-set'] }), [])
})

test('a counter that fell behind a gap, at another scaler or in another unit, is seen', async () => {
  const less = [{ obis: OBIS.energyImport, value: 123_456n, scaler: 3, unit: 'Wh' }] as const
  assert.equal(
    codesOf(await chainOf([{}, { reason: 'gap', registers: [] }, { reason: 'periodic', registers: less }])),
    ['chain.counter-fell'],
  )
  const other = [{ obis: OBIS.energyImport, value: 999_999_999n, scaler: 0, unit: 'varh' }] as const
  assert.equal(codesOf(await chainOf([{}, { registers: other }])), ['chain.unit-changed'])
})

test('a new boot must be marked, and boots do not go back', async () => {
  const second = await contextOf({ ...sampleContext, boot: 2 })
  assert.equal(codesOf(await chainOf([{}, { in: second, status: ['restarted'] }, { in: second }])), [])
  assert.equal(codesOf(await chainOf([{}, { in: second }, { in: second }])), ['chain.restart-unmarked'])
  assert.equal(codesOf(await chainOf([{ in: second }, {}])), ['chain.boot-fell'])
})

test('a reading of another meter or gateway does not belong', async () => {
  const meter = await contextOf({ ...sampleContext, meterId: '77' })
  const device = await contextOf({ ...sampleContext, device: new Uint8Array(17) })
  assert.equal(codesOf(await chainOf([{}, { in: meter }, {}])), ['chain.other-meter'])
  assert.equal(codesOf(await chainOf([{}, {}, { in: device }])), ['chain.other-device'])
})

test('whatever one reading is removed from a chain, its absence is seen unless it was the first or the last', async () => {
  const chain = await chainOf(Array.from({ length: 12 }, () => ({})))
  assertProperty(
    fc.property(fc.integer({ min: 0, max: 11 }), out => {
      const seen = verifyChain(chain.filter((_, i) => i !== out)).length > 0
      assert.is(seen, out !== 0 && out !== 11)
    }),
    50,
  )
})

test('only registers that cannot fall are counters', () => {
  for (const obis of ['1-0:1.8.0', '1-0:2.8.1', '1-0:3.8.0', '1-0:21.8.0', '1-1:1.8.0*255'])
    assert.ok(isCounter(obis), obis)
  for (const obis of ['1-0:16.8.0', '1-0:36.8.0', '1-0:16.7.0', '1-0:1.7.0', '1-0:32.7.0', '1-0:14.7.0']) {
    assert.not.ok(isCounter(obis), obis)
  }
})

test.run()
