/** A charging point out of reach goes on by itself at its failsafe current: whoever charges there then pays for nobody else. */
import { assert, suite } from '../../harness.ts'
import { createSessionSite, SESSION_CONFIG } from './session-site.ts'

/** A look away that is too long (10 s), the end's reading, and 11.04 kW in all of it. */
const GRACE_MWH = 60_000

/** A busy machine may take ten times as long. */
const DEADLINE_MS = 120_000
const test = suite('session out of reach')

test(
  'the session of a wall box that is not heard any more ends, and holds nothing of the next car',
  async () => {
    const site = await createSessionSite(SESSION_CONFIG.replace('watchdog: 15s', 'watchdog: 15s, failsafe: 6A'))
    site.box.station.plug(true)
    for (let s = 0; s < 60; s++) await site.advance(1000)
    const sessions = () => site.agent().sessions!.list()
    const [open] = sessions()
    assert.ok(site.box.station.drawnMa() > 6000 && open?.state === 'open')
    site.box.cut(true)
    const lostAt = site.flowedMwh()
    for (let s = 0; s < 120; s++) await site.advance(1000)
    // Its own watchdog holds it there.
    assert.is(site.box.station.drawnMa(), 6000)
    const [ended] = sessions()
    assert.equal([ended?.id, ended?.state, ended?.why], [open.id, 'aborted', 'charger-fault'])
    site.box.station.plug(false)
    await site.advance(5000)
    site.box.station.plug(true)
    for (let s = 0; s < 120; s++) await site.advance(1000)
    site.box.cut(false)
    for (let s = 0; s < 60; s++) await site.advance(1000)
    assert.is(sessions().filter(one => one.id === open.id)[0]?.state, 'aborted')
    assert.ok(Number(ended!.energy) <= lostAt + GRACE_MWH, `${ended!.energy} of ${lostAt} mWh`)
    await site.stop()
  },
  DEADLINE_MS,
)

test.run()
