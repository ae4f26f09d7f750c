/** A whole agent whose generation leaves something over, and cars that follow what is left. */
import { createAmperfied } from '../../../hw/sim/chargers/amperfied.ts'
import { createPhoenix } from '../../../hw/sim/chargers/phoenix-evcc.ts'
import { assert, suite } from '../../harness.ts'
import { createSite } from './one-site.ts'

const box = (name: string, controller: string, unit: number, more: string) =>
  `  ${name}: {controller: ${controller}, unit: ${unit}, line: rs485, most: 16A, fuse: connection, mode: surplus, ${more}}\n`
const withBoxes = (boxes: string) => (config: string) =>
  config.replace('every: 500ms', 'every: 1s').replace(/chargers:[\s\S]*trade:/, `chargers:\n${boxes}trade:`)

type Site = Awaited<ReturnType<typeof createSite>>

const offered = ({ boxes }: Site) => [...boxes.values()].map(({ station }) => station.offeredMa())

/** What each is let to have, as often as that changed. */
async function watch(site: Site, forMs: number): Promise<string[]> {
  const seen: string[] = []
  for (let ms = 0; ms < forMs; ms += 500) {
    await site.time.advance(500)
    const now = offered(site).join(' ')
    if (now !== seen.at(-1)) seen.push(now)
  }
  return seen
}

/** A busy machine may take ten times as long. */
const DEADLINE_MS = 120_000
const test = suite('surplus at a site')

test(
  'a car that nobody measures is given what is left over, and keeps it',
  async () => {
    const site = await createSite(1, withBoxes(box('one', 'phoenix', 11, 'allow_unsupervised: true')), [createPhoenix])
    site.base.fill(-9300)
    await watch(site, 120_000)
    assert.equal(offered(site), [9000])
    assert.equal(await watch(site, 400_000), ['9000'])
    // Less is left: 8.3 A in the end, and nobody's car is taken for generation.
    site.base.fill(-8300)
    await watch(site, 60_000)
    assert.equal(offered(site), [8000])
    await site.stop()
  },
  DEADLINE_MS,
)

test(
  'what the first car begins with is not there for the second',
  async () => {
    const boxes =
      box('one', 'amperfied', 11, 'priority: 1, watchdog: 30s') + box('two', 'amperfied', 12, 'watchdog: 30s')
    const site = await createSite(1, withBoxes(boxes), [createAmperfied, createAmperfied])
    site.base.fill(-11_000)
    const seen = await watch(site, 150_000)
    assert.equal(offered(site)[1], 0)
    assert.equal(
      seen.filter(one => !one.endsWith(' 0')),
      [],
    )
    await site.stop()
  },
  DEADLINE_MS,
)

test.run()
