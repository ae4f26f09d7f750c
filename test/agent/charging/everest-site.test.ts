/** A whole agent before an EVerest station, in virtual time: judged by what the station offers its car. */
import { assert, suite } from '../../harness.ts'
import { createSessionSite, EVEREST_CONFIG } from './session-site.ts'

type Site = Awaited<ReturnType<typeof createSessionSite>>

const STEP_MS = 20
const RATING_MA = 25_000
const offered = (site: Site) => site.box.station.offeredMa()
const raised = (site: Site) =>
  site
    .agent()
    .health.items()
    .map(({ name, fault }) => `${name} ${fault.code}`)

async function watch(site: Site, forMs: number, each: () => void = () => {}): Promise<void> {
  for (let ms = 0; ms < forMs; ms += STEP_MS) {
    await site.advance(STEP_MS)
    each()
  }
}

const OURS = /^(charger|session|fuse)\./
/** A busy machine may take ten times as long. */
const DEADLINE_MS = 120_000
const test = suite('a site with an EVerest station')

test(
  'its car has what the fuse leaves over, under a session, and less as soon as the house takes more',
  async () => {
    const site = await createSessionSite(EVEREST_CONFIG)
    await watch(site, 10_000, () => assert.is(offered(site), 0))
    site.box.station.plug(true)
    await watch(site, 60_000, () =>
      assert.ok(
        raised(site).every(one => !OURS.test(one)),
        raised(site).join(),
      ),
    )
    assert.equal([offered(site), site.agent().sessions!.list()[0]?.state], [16_000, 'open'])
    site.takeBeside(15_000)
    let overMs = 0
    await watch(site, 20_000, () => {
      if (15_000 + site.box.station.drawnMa() > RATING_MA) overMs += STEP_MS
    })
    // A meter's period, a limit under way, two cycles of the station's energy manager, and the car's own 200 ms.
    assert.ok(overMs <= 5000, `over for ${overMs} ms`)
    assert.equal([offered(site) >= 6000, offered(site) <= 10_000], [true, true])
    await site.stop()
    // Told 0.
    await site.advance(2000)
    assert.is(offered(site), 0)
  },
  DEADLINE_MS,
)

test(
  'a station that was restarted is told its limit again, and one out of reach falls to 0 by its own schedule, and is named',
  async () => {
    const site = await createSessionSite(EVEREST_CONFIG)
    site.box.station.plug(true)
    await watch(site, 60_000)
    assert.is(offered(site), 16_000)
    site.box.restart()
    assert.is(offered(site), 20_000)
    await watch(site, 5000)
    assert.ok(offered(site) <= 16_000, 'it knows its limit again')
    await watch(site, 400_000)
    assert.is(offered(site), 16_000)
    site.box.cut(true)
    await watch(site, 40_000)
    assert.ok(raised(site).includes('charger.garage charger.unreachable'), raised(site).join())
    assert.is(offered(site), 0)
    await site.stop()
  },
  DEADLINE_MS,
)

test(
  'an agent that is killed leaves it at 0 within the time that it declares',
  async () => {
    const site = await createSessionSite(EVEREST_CONFIG)
    site.box.station.plug(true)
    await watch(site, 60_000)
    assert.is(offered(site), 16_000)
    site.kill()
    await watch(site, 20_000)
    assert.is(site.box.station.drawnMa(), 0)
  },
  DEADLINE_MS,
)

test.run()
