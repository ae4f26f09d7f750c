/** What the page makes of numbers, by hand: flows and their sentences, and times in the site's own zone. */
import { flowsOf, usedMw, whyOpen } from '../../../agent/web/page/balance.ts'
import { clock, minute, month, showIn } from '../../../agent/web/page/format.ts'
import { assert, suite } from '../../harness.ts'
import { exampleSnapshot } from '../snapshot-example.ts'

const test = suite('page: words')

const [maple, cedar] = exampleSnapshot.sites
const [line] = exampleSnapshot.lines
const sentenceOf = (changed: Partial<typeof line>) =>
  flowsOf({ ...maple!, contacts: [] }, [{ ...line!, ...changed }]).find(({ id }) => id === 'L1')!

test('a house takes what comes in less what goes out, and nothing is said where one number is missing', () => {
  // 5,120 W from the roof, 2,314 W to the grid, 2,310 W to cedar.
  assert.is(usedMw(maple!, exampleSnapshot.lines), 5_120_000 - 2_314_000 - 2_310_000)
  assert.is(usedMw(cedar!, exampleSnapshot.lines), 411_000 + 2_310_000)
  assert.is(usedMw({ ...maple!, powerMw: null }, exampleSnapshot.lines), null)
  assert.is(usedMw({ ...maple!, solarMw: null }, exampleSnapshot.lines), null, 'more would go out than comes in')
  assert.is(usedMw(maple!, [{ ...line!, powerMw: null }]), null)
  const silent = { ...cedar!, meters: [{ ...cedar!.meters[0]!, name: 'solar' }] }
  assert.is(usedMw(silent, []), null, 'its solar meter does not answer')
})

test('a line is open only where somebody has seen it: voltage on it, or contacts that nobody sees, are told as such', () => {
  assert.is(sentenceOf({}).sentence, 'Line L1 from the house to cedar: 2.31 kW')
  const open = { energised: false, sellerContact: 'open', buyerContact: 'open' } as const
  assert.is(sentenceOf(open).sentence, 'Line L1 from the house to cedar is open: no deal runs on it')
  const unseen = { energised: false, sellerContact: 'unknown', buyerContact: 'unknown' } as const
  assert.is(sentenceOf(unseen).text, 'not seen')
  assert.is(sentenceOf({ sellerContact: 'unknown' }).text, 'live')
  assert.is(sentenceOf({ sellerContact: 'unknown' }).way, 'unknown')
  const [birch, second] = [exampleSnapshot.sites[2]!, exampleSnapshot.lines[1]!]
  assert.is(whyOpen(birch, second), 'the line meter has not answered for 42 s')
})

test('times are said in the zone of the site, through the night that has an hour twice', () => {
  try {
    showIn('Europe/Berlin')
    const before = Date.UTC(2026, 9, 25, 0, 45)
    assert.equal(
      [0, 1, 2, 5].map(n => minute(before + n * 900_000)),
      ['02:45', '02:00', '02:15', '03:00'],
    )
    assert.is(clock(Date.UTC(2026, 2, 29, 1, 0, 5)), '03:00:05', 'from 02:00 at once to 03:00')
    // A month begins at the site's midnight, which is another day in UTC.
    assert.is(month(Date.UTC(2026, 9, 31, 23)), 'November 2026')
  } finally {
    showIn()
  }
  assert.is(clock(Date.UTC(2026, 2, 29, 1, 0, 5)), '01:00:05')
})

test.run()
