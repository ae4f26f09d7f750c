/** The page in a real Chromium, against a synthetic street. */
import { existsSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Browser, chromium, type Page } from 'playwright-core'
import { proofSentence, statusSentence } from '../../agent/web/page/sentences.ts'
import type { Snapshot } from '../../agent/web/snapshot.ts'
import { buildPage, gzippedSize } from '../../hw/image/build.ts'
import { assert, suite } from '../harness.ts'
import { exampleSnapshot } from './snapshot-example.ts'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const noChromium = CHROMIUM === undefined ? 'no-chromium' : undefined

/** Serves the built page and hands every listener the snapshots that the test sends. */
async function street() {
  const page = await buildPage(true)
  const listeners = new Set<ServerResponse>()
  let newest: Snapshot = exampleSnapshot
  const server = createServer((request, response) => {
    const file = page.find(({ path }) => path === request.url)
    if (file !== undefined) {
      response.setHeader('content-type', file.contentType)
      response.setHeader(
        'content-security-policy',
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:",
      )
      response.end(file.body)
    } else if (request.url === '/api/events') {
      response.setHeader('content-type', 'text/event-stream')
      response.write(`data: ${JSON.stringify(newest)}\n\n`)
      listeners.add(response)
      response.on('close', () => listeners.delete(response))
    } else {
      response.statusCode = 404
      response.end()
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    send(snapshot: Snapshot) {
      newest = snapshot
      for (const listener of listeners) listener.write(`data: ${JSON.stringify(snapshot)}\n\n`)
    },
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function open(browser: Browser, url: string, options: { width?: number; dark?: boolean; still?: boolean } = {}) {
  const page = await browser.newPage({
    viewport: { width: options.width ?? 1240, height: 900 },
    colorScheme: options.dark ? 'dark' : 'light',
    reducedMotion: options.still ? 'reduce' : 'no-preference',
  })
  const complaints: string[] = []
  page.on('console', message => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(error.message))
  page.on('request', request => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:'))
      complaints.push(`asked for ${request.url()}`)
  })
  await page.goto(url)
  await page.waitForSelector('.chart canvas')
  return { page, complaints }
}

/** Runs one test with a street and a browser of its own, and closes both. */
function inBrowser(body: (browser: Browser, at: Awaited<ReturnType<typeof street>>) => Promise<void>) {
  return async () => {
    const at = await street()
    const browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] })
    try {
      await body(browser, at)
    } finally {
      await browser.close()
      at.close()
    }
  }
}

/** Contrast of an element's text with the nearest painted background (WCAG 2.2, 1.4.3). */
async function contrast(page: Page, selector: string): Promise<number> {
  const [text, ...behind] = await page.$eval(selector, element => {
    const colours = [getComputedStyle(element).color]
    for (let at: typeof element | null = element; at !== null; at = at.parentElement) {
      colours.push(getComputedStyle(at).backgroundColor)
    }
    return colours
  })
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

const test = suite('web')

test('the page weighs at most 60 kB gzipped and is bundled in well under a second', async () => {
  const started = performance.now()
  const page = await buildPage(true)
  assert.ok(performance.now() - started < 5000)
  assert.ok(gzippedSize(page) <= 60_000, `${gzippedSize(page)} bytes`)
})

test('the proof in words, and the worst news first', () => {
  const proof = { of: 'payment locked', height: '1234', signed: 4, validators: 4, appHash: '' } as const
  assert.is(proofSentence(proof), 'Payment locked, proven at height 1234, signed by 4 of 4 validators')
  assert.is(statusSentence(exampleSnapshot).text, 'alder not answering · 1 deal delivering')
  const violated = { ...exampleSnapshot, violations: [{ at: 0, text: 'two supplies in parallel' }] }
  assert.is(statusSentence(violated).text, '1 violation on the wires')
  const well = exampleSnapshot.sites.map(site => ({ ...site, up: true, health: [] }))
  assert.is(statusSentence({ ...exampleSnapshot, sites: well }).level, 'good')
})

test.skipIf(
  noChromium,
  'the street shows what flows, each deal its steps and its proof, without asking any other host',
  inBrowser(async (browser, at) => {
    const { page, complaints } = await open(browser, at.url)
    assert.is(await page.locator('.line.lit').count(), 1)
    assert.is(await page.locator('.line.lit').getAttribute('data-line'), 'L1')
    assert.is(await page.locator('.house').count(), 5)
    const deal = page.locator('.deal').first()
    assert.match(
      await deal.locator('.proof').innerText(),
      /^Payment locked, proven at height 1234, signed by 4 of 4 validators/,
    )
    assert.match(await deal.locator('[aria-current=step]').innerText(), /^delivering/)
    assert.match(await page.locator('#site-maple').innerText(), /giving 2\.31 kW/)
    // Unknown is a dash, never a zero.
    assert.is(await page.locator('#site-alder .wallet dd').innerText(), '–')
    assert.match(await page.locator('#site-birch .contacts').innerText(), /the line meter has not answered/)
    assert.match(await page.title(), /Street of five/)
    assert.equal(complaints, [])
  }),
  60_000,
)

test.skipIf(
  noChromium,
  'a line goes dark when a contact opens, and the change is announced',
  inBrowser(async (browser, at) => {
    const { page } = await open(browser, at.url)
    const [deal, ...others] = exampleSnapshot.deals
    at.send({
      ...exampleSnapshot,
      lines: exampleSnapshot.lines.map(line => (line.id === 'L1' ? { ...line, buyerContact: 'open' } : line)),
      deals: [{ ...deal!, state: 'delivered' }, ...others],
    })
    await page.waitForFunction(() => document.querySelectorAll('.line.lit').length === 0)
    await page.waitForFunction(() => document.querySelector('#announcer')!.textContent!.length > 0)
    assert.is(
      await page.locator('#announcer').innerText(),
      'Deal on line L1, maple to cedar: delivered, 740 Wh delivered',
    )
    assert.is(await page.locator('#announcer').getAttribute('aria-live'), 'polite')
    at.send({ ...exampleSnapshot, violations: [{ at: 0, text: 'two supplies in parallel' }] })
    await page.waitForSelector('.violations')
    assert.match(await page.locator('.status').innerText(), /1 violation/)
    at.close()
    await page.waitForFunction(() => /Connection lost/.test(document.querySelector('.status')!.textContent!))
  }),
  60_000,
)

for (const dark of [false, true]) {
  test.skipIf(
    noChromium,
    `text can be read in the ${dark ? 'dark' : 'light'}, on a phone as well, and nothing is cut off`,
    inBrowser(async (browser, at) => {
      for (const width of [1240, 360]) {
        const { page, complaints } = await open(browser, at.url, { width, dark })
        for (const selector of [
          'h1',
          '.status',
          '.quiet',
          'dt',
          '.deal time',
          '.terms',
          '.proof span',
          '.proof code',
          '.badge.delivering',
          '.badge.settled',
          '.badge.refunded',
          '.line-id',
          '.note',
          '.health .warning',
          '.log .fault .said',
        ]) {
          const ratio = await contrast(page, selector)
          assert.ok(ratio >= 4.5, `${selector} has a contrast of ${ratio.toFixed(2)}`)
        }
        const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        assert.ok(wider <= 0, `${wider} pixels wider than a screen of ${width}`)
        assert.equal(complaints, [])
        await page.close()
      }
    }),
    60_000,
  )
}

test.skipIf(
  noChromium,
  'everything has a name for a screen reader, and the keyboard reaches it',
  inBrowser(async (browser, at) => {
    const { page } = await open(browser, at.url)
    const unnamed = await page.evaluate(() =>
      [...document.querySelectorAll('section, article, [role=img], [role=progressbar], [role=group], a, button')]
        .filter(it => {
          const by = it.getAttribute('aria-labelledby')
          const name =
            it.getAttribute('aria-label') ?? (by === null ? it.textContent : document.getElementById(by)?.textContent)
          return !name?.trim()
        })
        .map(it => it.outerHTML.slice(0, 80)),
    )
    assert.equal(unnamed, [])
    await page.keyboard.press('Tab')
    assert.is(await page.evaluate(() => document.activeElement!.textContent), 'Skip to the street')
    await page.keyboard.press('Tab')
    assert.match(
      (await page.evaluate(() => document.activeElement!.getAttribute('aria-label'))) ?? '',
      /^maple, solar home: giving/,
    )
    await page.keyboard.press('Enter')
    assert.is(await page.evaluate(() => location.hash), '#site-maple')
    assert.match(await page.locator('.street ul').innerText(), /Line L1: 2\.31 kW from maple to cedar/)
  }),
  60_000,
)

test.skipIf(
  noChromium,
  'nothing moves for a person who asked for no motion',
  inBrowser(async (browser, at) => {
    const animations = async (still: boolean) => {
      const { page } = await open(browser, at.url, { still })
      return page.evaluate(() => document.getAnimations().length)
    }
    assert.ok((await animations(false)) > 0)
    assert.is(await animations(true), 0)
  }),
  60_000,
)

test.run()
