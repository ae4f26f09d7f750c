/** What the page shows where a site has it, in a real Chromium: its bill, its chargers and their sessions. */
import { missingSentence } from '../../agent/web/page/sentences.ts'
import { assert, suite } from '../harness.ts'
import { BROWSER_MS, contrast, inBrowser, NOON, noChromium, open } from './page-bench.ts'
import { exampleSnapshot } from './snapshot-example.ts'

const test = suite('web-panels')

test('what is not in a bill is said with its reason', () => {
  const gap = (from: number, to: number, why: string) => ({ start: NOON + from, end: NOON + to, why })
  assert.is(missingSentence({ missing: [] }), undefined)
  assert.is(
    missingSentence({ missing: [gap(0, 900_000, 'no-reading'), gap(900_000, 3_600_000, 'contradiction')] }),
    'Not in it: 12:00 to 12:15, the meter was not read; 12:15 to 13:00, meter and contracts contradict each other',
  )
})

test.skipIf(
  noChromium,
  "today's bill is there where somebody keeps one: its cost, what was saved, what is expected, what is missing",
  inBrowser(async (browser, at) => {
    const { page, complaints } = await open(browser, at.url)
    assert.is(await page.locator('.bill').count(), 0)
    at.send({ ...exampleSnapshot, sites: exampleSnapshot.sites.slice(0, 1), billed: true })
    await page.waitForSelector('.bill dl')
    assert.equal((await page.locator('.bill dl').innerText()).split(/\n+/), [
      ...['Cost until 12:00', '1.234', 'Saved by trading', '0.266', 'Rest of the day, expected cost', '0.600'],
      ...['A kWh costs now', '0.240', 'A kWh brings now', '0.080'],
    ])
    assert.is(
      await page.locator('.bill .quiet').innerText(),
      'Not in it: 11:45 to 12:00, contracts are not settled yet',
    )
    assert.equal(complaints, [])
  }),
  BROWSER_MS,
)

test.skipIf(
  noChromium,
  'chargers show their state, limit and what holds them; of a session there is its energy and its OCMF to download',
  inBrowser(async (browser, at) => {
    const { page, complaints } = await open(browser, at.url, { width: 360, dark: true })
    assert.is(await page.locator('.chargers').count(), 0)
    const [maple, ...others] = exampleSnapshot.sites
    const idle = { currentsMa: [], unsupervised: false, because: [] }
    const chargers = [
      { ...idle, name: 'left', state: 'C', toldMa: 7600, heldMa: 16_000, currentsMa: [7500, 7400, 7500] },
      {
        ...idle,
        name: 'right',
        state: null,
        toldMa: 0,
        heldMa: 0,
        unsupervised: true,
        because: ['it does not answer'],
      },
    ]
    const sessions = [
      { id: 'ab12', charger: 'left', state: 'open', began: NOON, hasRecords: false },
      { id: 'cd34', charger: 'left', state: 'ended', began: NOON - 3_600_000, energyMwh: '7421000', hasRecords: true },
    ] as const
    at.send({ ...exampleSnapshot, sites: [{ ...maple!, chargers, sessions }, ...others] })
    await page.getByRole('link', { name: 'Charging' }).click()
    await page.waitForSelector('.chargers')
    assert.equal(
      (await page.locator('.charger').allInnerTexts()).map(text => text.split(/\n+/)),
      [
        ['Left', 'car may charge', 'Draws', '7.5 A', 'May draw', '7.6 A', 'May still hold', '16.0 A'],
        [
          ...['Right', 'not answering', 'Draws', '–', 'May draw', '0.0 A', 'it does not answer'],
          'Nothing stops it when this agent dies.',
        ],
      ],
    )
    assert.equal(
      (await page.locator('.sessions tbody tr').allInnerTexts()).map(row => row.split(/\s*[\t\n]\s*/)),
      [
        ['Mon 1 Jun 12:00:00', 'left', '–', 'running', '–'],
        ['Mon 1 Jun 11:00:00', 'left', '7.421 kWh', 'ended', 'OCMF'],
      ],
    )
    assert.equal(
      await page
        .locator('.sessions a')
        .evaluateAll(all => all.map(it => (it as { getAttribute(name: string): string }).getAttribute('href'))),
      ['/api/sessions?id=cd34'],
    )
    for (const selector of ['.why', '.why.warning', '.sessions a'])
      assert.ok((await contrast(page, selector)) >= 4.5, selector)
    const wider = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
    assert.ok(wider <= 0)
    assert.equal(complaints, [])
  }),
  BROWSER_MS,
)

test.run()
