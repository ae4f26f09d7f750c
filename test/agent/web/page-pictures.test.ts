/**
 * The pictures of the page in README: of the simulated street, at a moment of virtual time when power is on its lines.
 *
 *     PICTURES=1 npx tsx test/run.ts page-pictures     takes them anew
 */
import { statSync } from 'node:fs'
import { createWeb } from '../../../agent/web/server.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import { createStreetView } from '../../../hw/bench/street-view.ts'
import { buildPage } from '../../../hw/image/build.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { browsing, noChromium } from '../page-bench.ts'
import { pageOfSite } from './page-site.ts'

const test = suite('page: pictures')

const FOLDER = new URL('../../../hw/bench/', import.meta.url).pathname

const DESK = { width: 1120, height: 860 }
const PHONE = { width: 390, height: 780 }

const PICTURES = [
  { file: 'street.png', of: 'street', place: 'now', viewport: DESK, colorScheme: 'light' },
  { file: 'site-dark.png', of: 'site', place: 'now', viewport: { width: 1120, height: 760 }, colorScheme: 'dark' },
  { file: 'deals.png', of: 'site', place: 'deals', viewport: { width: 1120, height: 900 }, colorScheme: 'light' },
  { file: 'phone.png', of: 'site', place: 'now', viewport: PHONE, colorScheme: 'light' },
  { file: 'phone-dark.png', of: 'site', place: 'money', viewport: PHONE, colorScheme: 'dark' },
] as const

/** While two of its lines carry power. */
const AT_MS = 112_000
const MOST_BYTES = 150_000

async function take(): Promise<void> {
  const site = await pageOfSite('birch')
  const view = createStreetView(site.street, 1, () => [])
  view.follow(site.running)
  const street = must(
    await createWeb({
      ...{ serve: serveHttp, host: '127.0.0.1', port: 0, page: await buildPage(true), everyMs: 500 },
      ...{
        snapshot: view.snapshot,
        timers: createSystemTime().timers,
        onBug: error => assert.unreachable(String(error)),
      },
    }),
  )
  try {
    await site.advance(AT_MS)
    await browsing(async browser => {
      for (const { file, of, place, ...look } of PICTURES) {
        const page = await browser.newPage({ ...look, reducedMotion: 'reduce' })
        await page.goto(`${of === 'site' ? site.url : `${street.url}/`}#/${place}`)
        await page.waitForTimeout(1500)
        await page.screenshot({ path: `${FOLDER}${file}` })
        await page.close()
      }
    })
  } finally {
    await street.close()
    await site.close()
  }
}

if (process.env['PICTURES'] !== undefined) test.skipIf(noChromium, 'taken anew', take, 120_000)

test('each is there, and loads on a slow line', () => {
  for (const { file } of PICTURES) {
    const { size } = statSync(FOLDER + file)
    assert.ok(size > 5000 && size <= MOST_BYTES, `${file} has ${size} bytes`)
  }
})

test.run()
