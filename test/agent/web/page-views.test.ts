/** Every view of one site, used as a person does, and what it says held against the simulated wires and meters themselves. */
import { barsOf } from '../../../agent/web/page/energy-bars.ts'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'
import { BROWSER_MS, browsing, goTo, noChromium, open } from '../page-bench.ts'
import { pageOfSite } from './page-site.ts'

const test = suite('page: views')

type Site = Awaited<ReturnType<typeof pageOfSite>>
type Opened = Awaited<ReturnType<typeof open>>

/** One site for a test, with a browser at it; what the page complains of fails it. */
function atSite(name: string, body: (site: Site, opened: Opened) => Promise<void>, width = 1240) {
  return async () => {
    const site = await pageOfSite(name)
    try {
      await site.advance(20_000)
      await browsing(async browser => {
        const opened = await open(browser, site.url, { width })
        await body(site, opened)
        assert.equal(opened.complaints, [])
      })
    } finally {
      await site.close()
    }
    assert.equal(site.bugs, [])
  }
}

/** Virtual seconds until it holds, one at a time. */
async function until(site: Site, holds: () => boolean, seconds = 180): Promise<void> {
  for (let n = 0; n < seconds; n++) {
    if (holds()) return
    await site.advance(1000)
  }
  assert.unreachable(`not within ${seconds} s`)
}

/** As a person reads it: `5.88 kW` is 5,880 W. */
const wattsIn = (text: string): number => {
  const [, number = '', unit] = /([\d,.]+) (k?W)\b/.exec(text) ?? []
  return Number(number.replaceAll(',', '')) * (unit === 'kW' ? 1000 : 1)
}

const near = (shown: number, real: number, what: string) =>
  assert.ok(Math.abs(shown - real) <= 6 + Math.abs(real) * 0.02, `${what}: ${shown} is shown, ${real} flows`)

const flowing = ({ wires }: Site, line: string) => wires.lineMeter(line, 'seller').powerMw < -100_000

test.skipIf(
  noChromium,
  'the picture shows what the wires carry: a line lights up when its relays close and goes dark when they open',
  atSite('birch', async (site, { page }) => {
    await until(site, () => flowing(site, 'L2'))
    await site.advance(2000)
    const lit = page.locator('[data-flow=L2].out .current')
    const why = page.locator('.direct-lines [data-line=L2] .why')
    await lit.waitFor()
    // The wires stand still with the site's clock, and the page's newest snapshot is of now at some time.
    const grid = site.wires.gridMeter('birch').powerMw / 1000
    const line = -site.wires.lineMeter('L2', 'seller').powerMw / 1000
    await eventually(async () => {
      assert.match(await page.locator('#flows').innerText(), /Line L2 from the house to spark: [\d.]+ k?W/)
      const headline = await page.locator('.headline').innerText()
      near(wattsIn(headline), Math.abs(grid), 'the grid meter')
      assert.match(headline, grid < 0 ? /given to the grid/ : /taken from the grid/)
      near(wattsIn(await page.locator('.direct-lines [data-line=L2] p').first().innerText()), line, 'L2')
      assert.match(await why.innerText(), /^Payment locked, proven at height \d+, signed by [34] of 4 validators\.$/)
    })
    await until(site, () => !flowing(site, 'L2'))
    await site.advance(3000)
    await page.locator('[data-flow=L2].open').waitFor({ state: 'attached' })
    await lit.waitFor({ state: 'detached' })
    await eventually(async () => {
      assert.match(await why.innerText(), /^(?!Payment locked)[A-Z].*\.$/)
      assert.match(await page.locator('#flows').innerText(), /Line L2 from the house to spark is open: /)
    })
  }),
  BROWSER_MS,
)

test.skipIf(
  noChromium,
  'energy taken and given comes to what the meter counted, and what was not read is a gap in words and figures',
  atSite('birch', async (site, { page }) => {
    await site.advance(40_000)
    await goTo(page, '/energy')
    await page.locator('.energy .figures').waitFor()
    const { imported, exported } = site.wires.gridMeter('birch')
    const given = Number(/([\d.]+) kWh/.exec(await page.locator('.figure.given').innerText())![1]) * 1e6
    // The counter's first reading is some seconds younger than the wires.
    const [least, most] = [Number(exported) * 0.7, Number(exported) + 1000]
    assert.ok(given >= least && given <= most, `${given} mWh is shown, ${exported} went out`)
    assert.match(await page.locator('.figure.taken').innerText(), /0\.000 kWh/)
    assert.ok(Number(imported) < 1000)
    assert.match(await page.locator('.energy').innerText(), /No number for 95 of 96: the meter was not read/)
    await page.getByText('As a table').click()
    // The rows of a day stand until those of the week are there.
    const rows = page.locator('.energy tbody tr')
    await eventually(async () => {
      const said = await rows.allInnerTexts()
      assert.is(said.length, 96)
      assert.is(said.filter(row => /–\s+–/.test(row)).length, 95)
    })
    await page.getByRole('link', { name: 'Week' }).click()
    await eventually(async () => assert.is(await rows.count(), 7))
    await page.getByRole('link', { name: 'Month' }).click()
    await eventually(async () => assert.is(await rows.count(), 30))
    await page.getByRole('link', { name: 'The month before' }).click()
    await page.getByText('May 2026').waitFor()
    await page.locator('.figure.given', { hasText: '–' }).waitFor()
    await page.goBack()
    await page.getByText('June 2026').waitFor()
  }),
  BROWSER_MS,
)

test.skipIf(
  noChromium,
  "deals tell their steps, proofs, receipts and what was paid; the wallet is the ledger's",
  atSite('birch', async (site, { page }) => {
    const settled = () => site.agent.trading.deals().find(({ runner }) => runner.deal().state === 'settled')
    await until(site, () => settled() !== undefined)
    const deal = settled()!.runner.deal()
    const id = Buffer.from(deal.hash).toString('hex')
    await goTo(page, `/deals/${id}`)
    const shown = page.locator('.deal.settled', { hasText: id })
    // The snapshot has the deal at once; what the agent keeps of it is asked for.
    await eventually(async () => {
      const text = await shown.innerText()
      assert.match(text, /Settlement, proven at height \d+, signed by [34] of 4 validators/)
      assert.match(text, new RegExp(`\\b${deal.ownWh} Wh delivered`))
      assert.match(text, new RegExp(`${(Number(deal.settlement!.paid) / 1e6).toFixed(3)} paid`))
      assert.match(text, /Payment locked at height\n\d+/)
      const counted = Number(/Own meter counted\n([\d.]+) kWh/.exec(text)?.[1]) * 1000
      assert.ok(Math.abs(counted - Number(deal.ownWh)) < 1, `${counted} Wh of ${deal.ownWh}`)
    })
    await site.advance(3000)
    await goTo(page, '/money')
    await eventually(async () => {
      const money = await page.locator('.wallet').innerText()
      assert.match(money, /Proven at height \d+, signed by [34] of 4 validators/)
      const [, balance] = /([\d.]+)\nto spend/.exec(money) ?? []
      assert.is(Number(balance).toFixed(3), (Number(site.agent.account.balance()) / 1e6).toFixed(3))
    })
  }),
  BROWSER_MS,
)

test.skipIf(
  noChromium,
  'health names the witnesses and the age of each reading; the log filters by level and stands still while it is read',
  atSite('maple', async (site, { page }) => {
    await goTo(page, '/health')
    await page.getByText('The ledger is followed, and a witness agrees').waitFor()
    assert.is(await page.locator('.light tbody tr').count(), 3)
    const meter = page.locator('details.meter').first()
    await meter.locator('summary').click()
    await eventually(async () => assert.match(await meter.innerText(), /Power\s+−?[\d.]+ W/))
    await goTo(page, '/log')
    await page.getByRole('button', { name: 'Pause' }).click()
    const lines = page.locator('.log li')
    const pause = page.locator('[role=status]', { hasText: /^Paused/ })
    await pause.waitFor()
    const before = await lines.count()
    await site.advance(60_000)
    await pause.filter({ hasText: /newer/ }).waitFor()
    assert.is(await lines.count(), before)
    await page.getByRole('button', { name: 'Go on' }).click()
    await eventually(async () => assert.ok((await lines.count()) > before))
    const infos = page.locator('.log li.info')
    await infos.first().waitFor()
    await page.getByLabel('Show').selectOption('Faults only')
    await eventually(async () => assert.is(await infos.count(), 0))
  }),
  BROWSER_MS,
)

test.skipIf(
  noChromium,
  'the keyboard goes through every view, sees where it is, and comes back by the way it went',
  atSite(
    'maple',
    async (_, { page }) => {
      await page.keyboard.press('Tab')
      await page.keyboard.press('Enter')
      await page.locator('#heading:focus').waitFor()
      for (const name of ['Energy', 'Deals', 'Money', 'Health', 'Log']) {
        const link = page.locator('nav').getByRole('link', { name })
        await page.evaluate('document.activeElement.blur()')
        for (let n = 0; n < 40 && !(await link.evaluate(it => it.matches(':focus-visible'))); n++)
          await page.keyboard.press('Tab')
        const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle')
        assert.is(outline, 'solid', `${name} shows that it has the focus`)
        await page.keyboard.press('Enter')
        await page.locator('h1', { hasText: name }).waitFor()
        await page.locator('#heading:focus').waitFor()
        assert.is(await link.getAttribute('aria-current'), 'page')
      }
      await page.goBack()
      await page.locator('h1', { hasText: 'Health' }).waitFor()
      await page.goBack()
      await page.locator('h1', { hasText: 'Money' }).waitFor()
    },
    360,
  ),
  BROWSER_MS,
)

test.skipIf(
  noChromium,
  'ten tabs are all alive at once, on one stream',
  async () => {
    const site = await pageOfSite('maple')
    try {
      await browsing(async browser => {
        const context = await browser.newContext()
        const tabs = await Promise.all(
          Array.from({ length: 10 }, async () => {
            const page = await context.newPage()
            await page.goto(site.url)
            await page.locator('#heading').waitFor()
            return page
          }),
        )
        await site.advance(5000)
        const time = new Date(site.clock.now()).toISOString().slice(11, 19)
        for (const tab of tabs) await tab.locator('.now-clock', { hasText: time }).waitFor()
        // And there is a connection left to ask by.
        await goTo(tabs[9]!, '/health')
        await tabs[9]!.getByText('Headers verified').waitFor()
      })
    } finally {
      await site.close()
    }
    assert.equal(site.bugs, [])
  },
  BROWSER_MS,
)

const bucket = (start: number, energyMwh?: string) => ({
  ...{ start, end: start + 900_000, complete: energyMwh !== undefined },
  ...(energyMwh === undefined ? { absent: ['no-reading'] } : { energyMwh }),
})

test('of generation, what was not given was used; a gap in either is a gap, and so is more given than made', () => {
  const bars = barsOf(
    { buckets: [bucket(0, '100'), bucket(1, '0'), bucket(2, '5'), bucket(3)] },
    { buckets: [bucket(0, '300'), bucket(1), bucket(2, '900'), bucket(3, '1')] },
    { buckets: [bucket(0, '1000'), bucket(1, '800'), bucket(2, '600'), bucket(3, '3')] },
  )
  assert.equal(
    bars.map(({ imported, exported, own }) => [imported, exported, own]),
    [
      [100, 300, 700],
      [0, null, null],
      [5, 900, null],
      [null, 1, 2],
    ],
  )
})

test.run()
