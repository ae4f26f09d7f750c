/** The page in a real Chromium, against a synthetic street. */
import { proofSentence, statusSentence } from '../../agent/web/page/sentences.ts'
import { createWeb } from '../../agent/web/server.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import { buildPage, gzippedSize } from '../../hw/image/build.ts'
import { eventually } from '../eventually.ts'
import { assert, suite } from '../harness.ts'
import { BROWSER_MS, contrast, inBrowser, neverTimers, noChromium, open, street } from './page-bench.ts'
import { exampleSnapshot } from './snapshot-example.ts'

const test = suite('web')

test('the page weighs at most 60 kB gzipped', async () => {
  const page = await buildPage(true)
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
    await eventually(() => assert.is(at.ticks.size, 0))
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
    assert.match(await page.locator('#site-maple').innerText(), /giving 2\.31 kW/)
    // Unknown is a dash, never a zero.
    assert.is(await page.locator('#site-alder .wallet dd').innerText(), '–')
    assert.is(await page.locator('.line.lit').count(), 1)
    assert.is(await page.locator('.line.lit').getAttribute('data-line'), 'L1')
    assert.is(await page.locator('.house').count(), 5)
    assert.match(await page.title(), /^Now · Street of five/)
    await page.getByRole('link', { name: 'Deals' }).click()
    const deal = page.locator('.deal').first()
    assert.match(
      await deal.locator('.proof').innerText(),
      /^Payment locked, proven at height 1234, signed by 4 of 4 validators/,
    )
    assert.match(await deal.locator('[aria-current=step]').innerText(), /^delivering/)
    await page.goto(`${at.url}#/now/birch`)
    assert.match(await page.locator('.direct-lines').innerText(), /The line meter has not answered for 42 s\./)
    assert.equal(complaints, [])
  }),
  BROWSER_MS,
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
    const announcer = page.locator('#announcer', { hasText: /./ })
    await announcer.waitFor({ state: 'attached' })
    assert.is(await announcer.innerText(), 'Deal on line L1, maple to cedar: delivered, 740 Wh delivered')
    assert.is(await announcer.getAttribute('aria-live'), 'polite')
    at.send({ ...exampleSnapshot, violations: [{ at: 0, text: 'two supplies in parallel' }] })
    await page.waitForSelector('.violations')
    await page.locator('.status', { hasText: /1 violation/ }).waitFor()
    await at.close()
    await page.locator('.banner', { hasText: 'Connection lost' }).waitFor()
  }),
  BROWSER_MS,
)

for (const dark of [false, true]) {
  test.skipIf(
    noChromium,
    `text can be read in the ${dark ? 'dark' : 'light'}, on a phone as well, and nothing is cut off`,
    inBrowser(async (browser, at) => {
      for (const [place, selectors] of [
        ['#/now', ['h1', 'h2', '.status', '.quiet', 'dt', '.badge.warning']],
        [
          '#/deals',
          [
            ...['.deal time', '.terms', '.proof span', '.proof code', '.badge.started', '.badge.settled'],
            ...['.badge.refunded', '.line-id', '.note', 'summary'],
          ],
        ],
        ['#/health', ['.health .warning']],
        ['#/log', ['.log .fault .said', '.log .warning .said', 'time']],
      ] as const)
        for (const width of [1240, 360]) {
          const { page, complaints } = await open(browser, at.url, { width, dark, place })
          for (const selector of selectors) {
            const ratio = await contrast(page, selector)
            assert.ok(ratio >= 4.5, `${selector} has a contrast of ${ratio.toFixed(2)}`)
          }
          const wider = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
          assert.ok(wider <= 0, `${place} is ${wider} pixels wider than a screen of ${width}`)
          assert.equal(complaints, [])
          await page.close()
        }
    }),
    BROWSER_MS,
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
    assert.is(await page.evaluate<string>('document.activeElement.textContent'), 'Skip to the content')
    await page.keyboard.press('Enter')
    await page.locator('#heading:focus').waitFor()
    await page.keyboard.press('Tab')
    assert.match(await page.evaluate<string>('document.activeElement.ariaLabel'), /^maple giving 2\.31 kW, solar home/)
    await page.keyboard.press('Enter')
    await page.locator('h1', { hasText: 'maple' }).waitFor()
    assert.is(await page.evaluate<string>('location.hash'), '#/now/maple')
    await page.locator('#heading:focus').waitFor()
    await page.goBack()
    assert.match(await page.locator('.street ul').innerText(), /Line L1: 2\.31 kW from maple to cedar/)
  }),
  BROWSER_MS,
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
  BROWSER_MS,
)

test.run()
