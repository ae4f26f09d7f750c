/** A person who logs in, changes the configuration, meets its mistakes and another's change, logs out, and is away too long. */
import { configRoutes } from '../../../agent/web/config-route.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { buildPage } from '../../../hw/image/build.ts'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'
import { BROWSER_MS, browsing, goTo, noChromium, objections } from '../page-bench.ts'
import { guardedWeb, PASSWORD } from './guarded-web.ts'
import { configFile } from './page-config.ts'

const test = suite('page: settings')

test.skipIf(
  noChromium,
  'a setting is changed with its comment kept; a mistake is shown at its field; another change in between is told',
  async () => {
    const config = configFile()
    const web = await guardedWeb({
      page: await buildPage(true),
      site: configRoutes(config.file, true),
      ...{ timers: createSystemTime().timers, everyMs: 500 },
    })
    try {
      await browsing(async browser => {
        for (const colorScheme of ['light', 'dark'] as const) {
          const form = await browser.newPage({ colorScheme, viewport: { width: 360, height: 700 } })
          await form.goto(`http://127.0.0.1:${web.port}/`)
          assert.equal(await objections(form), [], `the login page in the ${colorScheme}`)
          await form.close()
        }
        const page = await browser.newPage()
        await page.goto(`http://127.0.0.1:${web.port}/`)
        await page.getByLabel('Password or token').fill(PASSWORD)
        await page.keyboard.press('Enter')
        await page.getByText('Logged in to').waitFor()
        await goTo(page, '/settings')
        /** What the page shows of a setting. */
        const shown = (name: string, value: string) =>
          page
            .locator('.setting', { has: page.getByRole('button', { name: `Change ${name}`, exact: true }) })
            .locator('.value', { hasText: value })
            .waitFor()
        /** Types it over what stands in the field that was just opened, and is done. */
        const enter = async (value: string) => {
          await page.locator('.setting input:focus').waitFor()
          await page.keyboard.press('Control+a')
          await page.keyboard.type(value)
          await page.keyboard.press('Enter')
        }

        // By keyboard, from the button to the field and out of it.
        await page.getByRole('button', { name: 'Change meters.grid.every' }).press('Enter')
        await enter('3s')
        await page.locator('.saved', { hasText: 'meters.grid.every is written' }).waitFor()
        assert.match(await page.locator('.saved').innerText(), /sudo systemctl restart tieline/)
        assert.match(config.text(), /every: 3s # not faster/)
        await shown('meters.grid.every', '3s')

        // Two changes in a row, the second before the page was told what the file says after the first.
        let answer = () => {}
        const held = new Promise<void>(resolve => {
          answer = resolve
        })
        await page.route('**/api/config', async route => {
          if (route.request().method() === 'GET') await held
          await route.continue()
        })
        for (const [name, value] of [
          ['meters.grid.every', '5s'],
          ['trade.slot', '32s'],
        ] as const) {
          await page.getByRole('button', { name: `Change ${name}` }).click()
          await enter(value)
          await page.locator('.saved', { hasText: `${name} is written` }).waitFor()
        }
        assert.match(config.text(), /slot: 32s/)
        assert.match(config.text(), /every: 5s # not faster/)
        answer()
        await shown('trade.slot', '32s')
        await page.unroute('**/api/config')

        const good = config.text()
        await page.getByRole('button', { name: 'Change meters.grid.every' }).click()
        await enter('soon')
        const wrong = page.locator('.setting', { has: page.locator('input') }).locator('.wrong')
        await wrong.waitFor()
        assert.match(await wrong.innerText(), /config\.yaml:\d+:\d+: .*(time|second|duration)/i)
        await page.locator('.setting input[aria-invalid=true]').waitFor()
        assert.equal(await objections(page), [])
        assert.is(config.text(), good, 'nothing was written')
        await page.keyboard.press('Escape')

        await page.getByRole('button', { name: 'Change meters.grid.every' }).click()
        config.write(good.replace('# The house', '# Our house').replace('slot: 32s', 'slot: 31s'))
        await enter('4s')
        await page.locator('.wrong', { hasText: 'The file was changed meanwhile' }).waitFor()
        assert.match(config.text(), /every: 5s # not faster/)
        assert.is(await page.locator('.setting input').inputValue(), '4s', 'what was typed stays')
        await shown('trade.slot', '31s')
        await page.getByRole('button', { name: 'Save' }).click()
        await page.locator('.setting input').waitFor({ state: 'detached' })
        assert.match(config.text(), /# Our house[\s\S]*every: 4s # not faster/)
      })
    } finally {
      await web.close()
      config.remove()
    }
  },
  BROWSER_MS,
)

test.skipIf(
  noChromium,
  'logging out ends the session; one that ends in an open tab is told there with the way back, and what is shown is grey',
  async () => {
    let silent = false
    const { timers } = createSystemTime()
    const web = await guardedWeb({
      page: await buildPage(true),
      timers: { ...timers, every: (ms, run) => timers.every(ms, () => silent || run()) },
      everyMs: 500,
    })
    try {
      await browsing(async browser => {
        const page = await browser.newPage()
        const enter = async () => {
          await page.getByLabel('Password or token').fill(PASSWORD)
          await page.getByRole('button', { name: 'Log in' }).click()
          await page.locator('#heading').waitFor()
        }
        await page.goto(`http://127.0.0.1:${web.port}/`)
        await enter()
        await page.getByRole('button', { name: 'Log out' }).click()
        await page.getByLabel('Password or token').waitFor()
        await page.goto(`http://127.0.0.1:${web.port}/`)
        assert.match(page.url(), /\/login$/)

        await enter()
        web.pass(8 * 86_400_000)
        // The agent falls silent, the page asks anew, and is not known any more.
        silent = true
        const over = page.locator('.banner', { hasText: 'Your session is over.' })
        await over.waitFor()
        assert.match(await over.innerText(), /What is below is of \d\d:\d\d:\d\d, /)
        assert.match(
          await page.evaluate<string>('getComputedStyle(document.querySelector("main")).filter'),
          /grayscale/,
        )
        assert.equal(await objections(page), [])
        silent = false
        await over.getByRole('link', { name: 'Log in again' }).click()
        await enter()
        await page.locator('main:not(.old)').waitFor()
        await web.close()
        const banner = page.locator('.banner', { hasText: 'Connection lost at' })
        await banner.waitFor()
        assert.match(await banner.innerText(), /What is below is of \d\d:\d\d:\d\d, [\d.]+ s ago\./)
        const first = await banner.innerText()
        await eventually(async () => assert.is.not(await banner.innerText(), first, 'its age goes on'))
        assert.match(
          await page.evaluate<string>('getComputedStyle(document.querySelector("main")).filter'),
          /grayscale/,
        )
      })
    } finally {
      await web.close().catch(() => {})
    }
  },
  BROWSER_MS,
)

test.run()
