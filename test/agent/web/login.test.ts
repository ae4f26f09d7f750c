/** Logging in with a real Chromium. */
import { buildPage } from '../../../hw/image/build.ts'
import { assert, suite } from '../../harness.ts'
import { BROWSER_MS, browsing, noChromium } from '../page-bench.ts'
import { guardedWeb, PASSWORD } from './guarded-web.ts'

const test = suite('login')

test.skipIf(
  noChromium,
  'a person types the password, sees the page, and is asked again once the session is over',
  async () => {
    const web = await guardedWeb({ page: await buildPage(true) })
    try {
      await browsing(async browser => {
        const page = await browser.newPage()
        const complaints: string[] = []
        page.on('pageerror', error => complaints.push(error.message))
        page.on('console', message => {
          if (/Content Security|Cross-Origin/.test(message.text())) complaints.push(message.text())
        })
        await page.goto(`http://127.0.0.1:${web.port}/`)
        assert.match(page.url(), /\/login$/)
        await page.getByLabel('Password or token').fill('wrong')
        await page.keyboard.press('Enter')
        await page.waitForSelector('[role=alert]')
        await page.getByLabel('Password or token').fill(PASSWORD)
        await page.getByRole('button', { name: 'Log in' }).click()
        await page.waitForSelector('#heading')
        assert.is(await page.evaluate<string>('document.cookie'), '', 'no script sees the session')
        web.pass(8 * 86_400_000)
        await page.reload()
        await page.waitForSelector('#password')
        assert.match(page.url(), /\/login$/)
        assert.equal(complaints, [])
      })
    } finally {
      await web.close()
    }
  },
  BROWSER_MS,
)

test.run()
