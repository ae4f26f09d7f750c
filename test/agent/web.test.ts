/** The page in a real Chromium, against a synthetic street. */
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { proofSentence, statusSentence } from '../../agent/web/page/sentences.ts'
import { createWeb } from '../../agent/web/server.ts'
import type { Snapshot } from '../../agent/web/snapshot.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import type { Timers } from '../../drivers/ports.ts'
import { buildPage, gzippedSize } from '../../hw/image/build.ts'
import { must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'
import { exampleSnapshot } from './snapshot-example.ts'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const noChromium = CHROMIUM === undefined ? 'no-chromium' : undefined

/** The real server with a snapshot that the test changes. */
async function street() {
  let newest: Snapshot = exampleSnapshot
  const bugs: unknown[] = []
  const ticks = new Set<() => void>()
  const opened = await createWeb({
    serve: serveHttp,
    host: '127.0.0.1',
    port: 0,
    page: await buildPage(true),
    snapshot: () => newest,
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
  return {
    url: `${web.url}/`,
    ticks,
    bugs,
    close: web.close,
    send(snapshot: Snapshot) {
      newest = snapshot
      for (const tick of ticks) tick()
    },
  }
}

/** The page's server only repeats; nothing else may wait. */
const neverTimers: Timers = {
  after: () => assert.unreachable('no single timer is expected') as never,
  sleep: () => assert.unreachable('no sleep is expected') as never,
  exactly: () => assert.unreachable('no sleep is expected') as never,
  every: () => () => {},
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
      await at.close()
      assert.equal(at.bugs, [])
    }
  }
}

/** Contrast of an element's text with the nearest painted background (WCAG 2.2, 1.4.3). */
async function contrast(page: Page, selector: string): Promise<number> {
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

test('the server gives the page under a strict policy, the snapshot as JSON, and nothing to a foreign name', async () => {
  const at = await street()
  try {
    const page = await fetch(at.url)
    assert.is(page.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'; script-src 'self'/)
    const snapshot = await (await fetch(`${at.url}api/snapshot`)).json()
    assert.equal(snapshot, JSON.parse(JSON.stringify(exampleSnapshot)))
    assert.is((await fetch(`${at.url}api/nothing`)).status, 404)
  } finally {
    await at.close()
  }
})

test('the stream begins with a snapshot, and no timer runs while nobody looks', async () => {
  const at = await street()
  try {
    assert.is(at.ticks.size, 0)
    const leave = new AbortController()
    const events = await fetch(`${at.url}api/events`, { signal: leave.signal })
    const reader = events.body!.getReader()
    let text = ''
    while (!text.includes('\n\n')) text += new TextDecoder().decode((await reader.read()).value)
    assert.ok(text.startsWith('event: snapshot\ndata: {"title":"Street of five"'), text.slice(0, 60))
    assert.is(at.ticks.size, 1)
    leave.abort()
    for (let i = 0; i < 100 && at.ticks.size > 0; i++) await new Promise(resolve => setTimeout(resolve, 10))
    assert.is(at.ticks.size, 0)
  } finally {
    await at.close()
  }
})

test('a port that is taken is a fault with its number', async () => {
  const at = await street()
  try {
    const port = Number(new URL(at.url).port)
    const { serve, ...rest } = {
      serve: serveHttp,
      host: '127.0.0.1',
      port,
      page: [],
      snapshot: () => exampleSnapshot,
      everyMs: 1000,
    }
    const second = await createWeb({ ...rest, serve, timers: neverTimers, onBug: () => {} })
    assert.is(second.ok ? undefined : second.fault.code, 'http.port-busy')
  } finally {
    await at.close()
  }
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
      deals: [{ ...deal!, state: 'stopped' }, ...others],
    })
    await page.locator('.line.lit').waitFor({ state: 'detached' })
    await page.locator('#announcer', { hasText: /./ }).waitFor({ state: 'attached' })
    assert.is(
      await page.locator('#announcer').innerText(),
      'Deal on line L1, maple to cedar: delivered, 740 Wh delivered',
    )
    assert.is(await page.locator('#announcer').getAttribute('aria-live'), 'polite')
    at.send({ ...exampleSnapshot, violations: [{ at: 0, text: 'two supplies in parallel' }] })
    await page.waitForSelector('.violations')
    assert.match(await page.locator('.status').innerText(), /1 violation/)
    await at.close()
    await page.locator('.status', { hasText: 'Connection lost' }).waitFor()
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
          '.badge.started',
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
        const wider = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
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
    const unnamed = await page.evaluate<string[]>(`
      [...document.querySelectorAll('section, article, [role=img], [role=progressbar], [role=group], a, button')]
        .filter(it => {
          const by = it.getAttribute('aria-labelledby')
          const name = it.getAttribute('aria-label') ?? (by === null ? it.textContent : document.getElementById(by)?.textContent)
          return !name?.trim()
        })
        .map(it => it.outerHTML.slice(0, 80))`)
    assert.equal(unnamed, [])
    await page.keyboard.press('Tab')
    assert.is(await page.evaluate<string>('document.activeElement.textContent'), 'Skip to the street')
    await page.keyboard.press('Tab')
    assert.match(await page.evaluate<string>('document.activeElement.ariaLabel'), /^maple, solar home: giving/)
    await page.keyboard.press('Enter')
    assert.is(await page.evaluate<string>('location.hash'), '#site-maple')
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
      return page.evaluate<number>('document.getAnimations().length')
    }
    assert.ok((await animations(false)) > 0)
    assert.is(await animations(true), 0)
  }),
  60_000,
)

test.run()
