/** Every view as a screen reader and weak eyes meet it: axe-core finds nothing, light and dark, on a phone and a desk. */
import { configRoutes } from '../../../agent/web/config-route.ts'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'
import { BROWSER_MS, browsing, goTo, inBrowser, NOON, noChromium, objections, open } from '../page-bench.ts'
import { exampleSnapshot } from '../snapshot-example.ts'
import { configFile } from './page-config.ts'
import { pageOfSite } from './page-site.ts'

const test = suite('page: axe')

const LOOKS = [
  { width: 1280, dark: false },
  { width: 360, dark: false },
  { width: 1280, dark: true },
  { width: 360, dark: true },
]

const [maple, ...others] = exampleSnapshot.sites
const street = {
  ...exampleSnapshot,
  billed: true as const,
  violations: [{ at: NOON, text: 'two supplies in parallel' }],
  sites: [
    {
      ...maple!,
      chargers: [
        {
          ...{ name: 'left', state: null, toldMa: 7600, heldMa: 16_000, currentsMa: [], unsupervised: true },
          because: ['it does not answer'],
        },
      ],
      sessions: [
        { id: 'cd34', charger: 'left', state: 'ended' as const, began: NOON, energyMwh: '74', hasRecords: true },
      ],
    },
    ...others,
  ],
}

test.skipIf(
  noChromium,
  'of a street, with faults, violations, chargers and a lost connection',
  inBrowser(async (browser, at) => {
    at.send(street)
    for (const look of LOOKS) {
      const { page, complaints } = await open(browser, at.url, look)
      for (const place of [
        'now',
        'now/maple',
        'now/birch',
        'energy',
        'deals/d2',
        'charging',
        'money',
        'health',
        'log',
      ]) {
        await goTo(page, `/${place}`)
        await page.evaluate('for (const each of document.querySelectorAll("details")) each.open = true')
        assert.equal(await objections(page), [], `${place} ${JSON.stringify(look)}`)
        const wider = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
        assert.ok(wider <= 0, `${place} is ${wider} pixels wider than the screen`)
      }
      assert.equal(complaints, [])
      await page.close()
    }
    const { page } = await open(browser, at.url)
    await at.close()
    await page.locator('.banner', { hasText: 'Connection lost' }).waitFor()
    assert.equal(await objections(page), [])
  }),
  BROWSER_MS,
)

test.skipIf(
  noChromium,
  'of one site with its history, its wallet, its light client and its settings',
  async () => {
    const config = configFile()
    const at = await pageOfSite('birch', { routes: configRoutes(config.file, true) })
    try {
      await at.advance(60_000)
      await browsing(async browser => {
        for (const look of LOOKS) {
          const { page } = await open(browser, at.url, look)
          // There once the agent has said what it serves: from then on a view shows, or asks for, all that it has.
          await page.getByRole('link', { name: 'Settings' }).waitFor()
          for (const place of [
            'now',
            'energy',
            'energy/week',
            'energy/month',
            'deals',
            'money',
            'health',
            'log',
            'settings',
          ]) {
            await goTo(page, `/${place}`)
            await eventually(async () => assert.is(await page.getByText('Asking…').count(), 0))
            await page.evaluate('for (const each of document.querySelectorAll("details")) each.open = true')
            assert.equal(await objections(page), [], `${place} ${JSON.stringify(look)}`)
            const wider = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
            assert.ok(wider <= 0, `${place} is ${wider} pixels wider than the screen`)
          }
          await page.close()
        }
      })
    } finally {
      await at.close()
      config.remove()
    }
    assert.equal(at.bugs, [])
  },
  BROWSER_MS,
)

test.run()
