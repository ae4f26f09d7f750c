/** The page in a real Chromium, against a synthetic street: what its tests share. */
import { existsSync, readFileSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import type { SiteBill } from '../../agent/bill/site-bill.ts'
import { billRoute } from '../../agent/web/bill-route.ts'
import { createWeb } from '../../agent/web/server.ts'
import type { Snapshot } from '../../agent/web/snapshot.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import type { Timers } from '../../drivers/ports.ts'
import { buildPage } from '../../hw/image/build.ts'
import { micros, microsPerKwh, wattHours } from '../../protocol/quantity.ts'
import { must, ok } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { assert } from '../harness.ts'
import { exampleSnapshot } from './snapshot-example.ts'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
export const noChromium = CHROMIUM === undefined ? 'no-chromium' : undefined

/** A browser that asks nobody anything by itself. */
const BROWSER = [
  ...['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update'],
  '--disable-sync',
]

/** Of a test with a browser, whose start and whose every view a busy machine makes ten times slower. */
export const BROWSER_MS = 300_000

/** A browser for as long as `body` runs, however that ends. */
export async function browsing(body: (browser: Browser) => Promise<void>): Promise<void> {
  const browser = await chromium.launch({ executablePath: CHROMIUM!, args: BROWSER, timeout: BROWSER_MS })
  try {
    await body(browser)
  } finally {
    await browser.close()
  }
}

export const NOON = Date.UTC(2026, 5, 1, 12)
const exampleBill: SiteBill = {
  ...{ period: 'day', start: instant(NOON - 43_200_000), end: instant(NOON + 43_200_000), until: instant(NOON) },
  ...{ complete: false, missing: [{ start: instant(NOON - 900_000), end: instant(NOON), why: 'not-settled' }] },
  ...{ money: -1_234_000n, withoutTrading: -1_500_000n, saved: 266_000n, fees: micros(0n) },
  energy: { bought: wattHours(4000n), sold: wattHours(0n), drawn: wattHours(1000n), 'fed-in': wattHours(0n) },
  now: { pays: microsPerKwh(240_000n), gets: microsPerKwh(80_000n) },
  ahead: { from: instant(NOON), money: micros(-600_000n) },
}

/** The real server with a snapshot that the test changes. */
export async function street() {
  let newest: Snapshot = exampleSnapshot
  const bugs: unknown[] = []
  const ticks = new Set<() => void>()
  const opened = await createWeb({
    serve: serveHttp,
    host: '127.0.0.1',
    port: 0,
    page: await buildPage(true),
    snapshot: () => newest,
    bill: billRoute({ bill: async () => ok(exampleBill) }, () => exampleBill.until),
    everyMs: 1000,
    timers: {
      ...neverTimers,
      every(_, run) {
        ticks.add(run)
        return () => ticks.delete(run)
      },
    },
    onBug: error => bugs.push(error),
  })
  const web = must(opened)
  const beat = setInterval(() => {
    for (const tick of ticks) tick()
  }, 1000)
  return {
    url: `${web.url}/`,
    ticks,
    bugs,
    close() {
      clearInterval(beat)
      return web.close()
    },
    send(snapshot: Snapshot) {
      newest = snapshot
      for (const tick of ticks) tick()
    },
  }
}

/** The page's server only repeats; nothing else may wait. */
export const neverTimers: Timers = {
  after: () => assert.unreachable('no single timer is expected') as never,
  sleep: () => assert.unreachable('no sleep is expected') as never,
  exactly: () => assert.unreachable('no sleep is expected') as never,
  every: () => () => {},
}

export async function open(
  browser: Browser,
  url: string,
  options: { width?: number; dark?: boolean; still?: boolean; place?: string } = {},
) {
  const page = await browser.newPage({
    viewport: { width: options.width ?? 1240, height: 900 },
    colorScheme: options.dark ? 'dark' : 'light',
    reducedMotion: options.still ? 'reduce' : 'no-preference',
  })
  page.setDefaultTimeout(BROWSER_MS / 3)
  const complaints: string[] = []
  page.on('console', message => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(error.message))
  page.context().on('request', request => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:'))
      complaints.push(`asked for ${request.url()}`)
  })
  await page.goto(`${url}${options.place ?? ''}`)
  await page.waitForSelector('#heading')
  return { page, complaints }
}

/** Runs one test with a street and a browser of its own, and closes both. */
export function inBrowser(body: (browser: Browser, at: Awaited<ReturnType<typeof street>>) => Promise<void>) {
  return async () => {
    const at = await street()
    try {
      await browsing(browser => body(browser, at))
    } finally {
      await at.close()
    }
    assert.equal(at.bugs, [])
  }
}

/** Contrast of an element's text with the nearest painted background (WCAG 2.2, 1.4.3). */
export async function contrast(page: Page, selector: string): Promise<number> {
  await page.locator(selector).first().waitFor({ state: 'attached' })
  const [text, ...behind] = await page.evaluate<string[]>(`{
    const start = document.querySelector(${JSON.stringify(selector)})
    const colours = [getComputedStyle(start).color]
    for (let at = start; at !== null; at = at.parentElement) colours.push(getComputedStyle(at).backgroundColor)
    colours
  }`)
  const numbers = (colour: string) => colour.match(/[\d.]+/g)!.map(Number)
  const painted = behind.find(colour => numbers(colour)[3] !== 0)!
  const luminance = (colour: string) => {
    const [r, g, b] = numbers(colour)
      .slice(0, 3)
      .map(c => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
  }
  const [light, dark] = [luminance(text!), luminance(painted)].sort((a, b) => b - a)
  return (light! + 0.05) / (dark! + 0.05)
}

const AXE = readFileSync(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')

/** What axe-core has against the page as it stands: each rule with the elements that break it. */
export async function objections(page: Page): Promise<readonly string[]> {
  // Evaluated by the browser's own debugger, which the page's policy does not bind.
  await page.evaluate(AXE)
  return page.evaluate<string[]>(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.map(({ id, nodes }) => id + ': ' + nodes.slice(0, 4).map(({ html }) => html.slice(0, 120)).join(' ')))`)
}

/**
 * Asks for one place after another, as a link does. The page gives a view's title the focus once it shows the view, so a
 * title that has lost the focus and has it again is that of the place asked for, and nothing of the one before is left.
 */
export async function goTo(page: Page, place: string): Promise<void> {
  const moves = await page.evaluate<boolean>(`{
    const moves = (location.hash || '#/now') !== ${JSON.stringify(`#${place}`)}
    if (moves) document.activeElement?.blur()
    location.hash = ${JSON.stringify(place)}
    moves
  }`)
  await page.locator(moves ? '#heading:focus' : '#heading').waitFor()
}
