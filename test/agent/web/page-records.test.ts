/** What a person takes from the page: the records of a deal as a file; and what the page does not let anybody change. */
import { readFileSync } from 'node:fs'
import { configRoutes } from '../../../agent/web/config-route.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { buildPage } from '../../../hw/image/build.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { readDealRecords } from '../../../protocol/trade/deal-records-json.ts'
import { assert, suite } from '../../harness.ts'
import { BROWSER_MS, browsing, goTo, noChromium, objections, open } from '../page-bench.ts'
import { guardedWeb, PASSWORD } from './guarded-web.ts'
import { configFile } from './page-config.ts'
import { pageOfSite } from './page-site.ts'

const test = suite('page: records and fixed settings')

/** Well beyond a slot of the bench's street and its settlement, in virtual seconds. */
const SETTLED_WITHIN = 600

test.skipIf(
  noChromium,
  'the signed records of a deal are downloaded by a link that says of which, as the agent has them',
  async () => {
    const site = await pageOfSite('birch')
    const settled = () => site.agent.trading.deals().find(({ runner }) => runner.deal().state === 'settled')
    try {
      for (let n = 0; n < SETTLED_WITHIN && settled() === undefined; n++) await site.advance(1000)
      const deal = settled()!.runner.deal()
      const id = toHex(deal.hash)
      await browsing(async browser => {
        const { page, complaints } = await open(browser, site.url)
        await goTo(page, `/deals/${id}`)
        const card = page.locator('.deal', { hasText: id })
        const link = card.getByRole('link', { name: /^Download the signed records of the deal on line / })
        await link.waitFor()
        assert.equal(await objections(page), [])
        const coming = page.waitForEvent('download')
        await link.click()
        // The agent asks its nodes for blocks, in virtual time.
        let download: Awaited<typeof coming> | undefined
        void coming.then(
          found => {
            download = found
          },
          () => {},
        )
        while (download === undefined && !page.isClosed()) {
          await site.advance(20)
          await new Promise(resolve => setTimeout(resolve, 20))
        }
        assert.is(download!.suggestedFilename(), `deal-${id.slice(0, 16)}.json`)
        const records = must(readDealRecords(readFileSync(await download!.path(), 'utf8')))
        assert.is(toHex(records.contract), toHex(deal.bytes))
        const own = deal.role === 'seller' ? records.seller : records.buyer
        assert.is(toHex(own.receipt!.end.envelope), toHex(deal.end!.envelope))
        assert.ok(records.ledger !== undefined)
        assert.equal(complaints, [])
      })
    } finally {
      await site.close()
    }
    assert.equal(site.bugs, [])
  },
  BROWSER_MS,
)

test.skipIf(
  noChromium,
  'a setting that only the file may change has no button, and says why; the others have theirs',
  async () => {
    const config = configFile()
    const web = await guardedWeb({
      page: await buildPage(true),
      site: configRoutes(config.file, true),
      ...{ timers: createSystemTime().timers, everyMs: 500 },
    })
    try {
      await browsing(async browser => {
        const page = await browser.newPage()
        await page.goto(`http://127.0.0.1:${web.port}/`)
        await page.getByLabel('Password or token').fill(PASSWORD)
        await page.keyboard.press('Enter')
        await page.getByText('Logged in to').waitFor()
        await goTo(page, '/settings')
        await page.getByRole('button', { name: 'Change trade.slot', exact: true }).waitFor()
        for (const id of ['site', 'keys-account', 'page-listen', 'data']) {
          const row = page.locator('.setting', { has: page.locator(`#set-${id}-name`) })
          await row.getByText('Set in the file alone').waitFor()
          assert.is(await row.getByRole('button').count(), 0, id)
        }
        const [rows, fixed] = [page.locator('.setting'), page.getByText('Set in the file alone')]
        const buttons = page.getByRole('button', { name: /^Change / })
        assert.is(await rows.count(), (await fixed.count()) + (await buttons.count()))
        assert.equal(await objections(page), [])
      })
    } finally {
      await web.close()
      config.remove()
    }
  },
  BROWSER_MS,
)

test.run()
