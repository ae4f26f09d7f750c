/** Charging sessions of a whole agent, in virtual time: judged by what flows, and by another implementation of OCMF. */
import { createRequire } from 'node:module'
import { sessionsRoute } from '../../../agent/charging/sessions-route.ts'
import { viewAgent } from '../../../agent/web/agent-view.ts'
import { createCurveRing } from '../../../agent/web/curve-ring.ts'
import { fromUtf8 } from '../../../protocol/bytes.ts'
import { assert, suite } from '../../harness.ts'
import { spkiOf } from '../../protocol/ocmf/sample.ts'
import { createSessionSite, ocmfSigner, SESSION_CONFIG } from './session-site.ts'

const require = createRequire(import.meta.url)
const { Verifier } = require('@road-labs/ocmf') as typeof import('@road-labs/ocmf')
const { Crypto } = require('@road-labs/ocmf-crypto-noble') as typeof import('@road-labs/ocmf-crypto-noble')
const roadLabs = new Verifier(new Crypto())
const roadLabsKey = new Crypto().decodeEcPublicKey(spkiOf(ocmfSigner.publicKey), 'spki-der')

type Site = Awaited<ReturnType<typeof createSessionSite>>

const STEP_MS = 20
/** The meter's page gives whole watt-hours. */
const METER_STEP_MWH = 1000
const sessions = (site: Site) => site.agent().sessions!.list()
const because = (site: Site) =>
  site
    .agent()
    .charging!.views()[0]!
    .order.because.map(({ code }) => code)
const raised = (site: Site, name: string) =>
  site
    .agent()
    .health.items()
    .find(item => item.name === name)?.fault.code
const payloadOf = (text: string) => JSON.parse(text.split('|')[1]!)

async function until(site: Site, what: string, holds: () => boolean, ms = 60_000): Promise<void> {
  for (let t = 0; t < ms; t += STEP_MS) {
    if (holds()) return
    await site.advance(STEP_MS)
  }
  assert.unreachable(`${what}: not within ${ms} ms`)
}
const charges = (site: Site) => site.box.station.offeredMa() > 0
const rests = (site: Site) => site.box.station.offeredMa() === 0

/** Everything in it is signed, and another implementation says so. */
async function verified(texts: readonly string[]): Promise<void> {
  assert.ok(texts.length > 0)
  for (const text of texts) assert.ok((await roadLabs.parseAndVerify(text, await roadLabsKey)).verified)
}

/** A busy machine may take ten times as long. */
const DEADLINE_MS = 120_000
const test = suite('sessions of a whole agent')

test(
  'a car is plugged in, its begin is on record, it charges, it leaves, and its OCMF says how much',
  async () => {
    const site = await createSessionSite()
    await site.advance(20_000)
    assert.equal([charges(site), sessions(site), because(site)], [false, [], ['charger.no-car']])
    const before = site.flowedMwh()
    site.box.station.plug(true)
    await until(site, 'charging', () => charges(site))
    const [open] = sessions(site)
    assert.equal([open?.state, open?.port, open?.tariff], ['open', 'garage', '0.39 per kWh'])
    await site.advance(600_000)
    site.box.station.plug(false)
    await until(site, 'the end', () => sessions(site)[0]?.state === 'ended')
    const flowed = site.flowedMwh() - before
    const { energy, ocmf, id } = sessions(site)[0]!
    const [shown] = viewAgent(site.agent(), site.clock, createCurveRing(1, 60_000)).site.sessions!
    assert.equal([shown?.id, shown?.energyMwh, shown?.hasRecords], [id, String(energy), true])
    assert.ok(flowed > 1_000_000, 'more than a kWh')
    assert.ok(Math.abs(Number(energy) - flowed) < METER_STEP_MWH, `${energy} of ${flowed} mWh`)
    await verified(ocmf)
    const { RD } = payloadOf(ocmf[0]!)
    assert.equal([RD[0].TX, RD.at(-1).TX], ['B', 'E'])
    const answer = await sessionsRoute(site.agent().sessions!)({
      ...{ method: 'GET', path: '/api/sessions', body: new Uint8Array(0) },
      query: new URLSearchParams({ id: sessions(site)[0]!.id }),
    })
    assert.is(answer.kind === 'bytes' && fromUtf8(answer.bytes), `${ocmf.join('\n')}\n`)
    await site.stop()
  },
  DEADLINE_MS,
)

test(
  'killed in the moment in which the limit rises, the session is on the disk: the next start closes it and begins another',
  async () => {
    const site = await createSessionSite()
    site.box.station.plug(true)
    await until(site, 'charging', () => charges(site))
    const { id } = sessions(site)[0]!
    site.kill()
    await site.advance(5000)
    await site.restart()
    await until(site, 'the end', () => sessions(site).some(one => one.id === id && one.state === 'aborted'))
    const closed = sessions(site).find(one => one.id === id)!
    assert.is(closed.why, 'agent-restarted')
    assert.ok(Number(closed.energy) > 0)
    await verified(closed.ocmf)
    assert.equal(
      closed.ocmf.map(text => payloadOf(text).RD[0].TX),
      ['B', 'P'],
    )
    // The car is still there.
    await until(site, 'charging again', () => charges(site))
    const [next] = sessions(site)
    assert.equal([next?.state, next?.id === id], ['open', false])
    await site.stop()
  },
  DEADLINE_MS,
)

test(
  'without a begin no car charges, and that is why; as soon as its meter answers it does',
  async () => {
    const site = await createSessionSite()
    site.carMeter.faults.dead = true
    site.box.station.plug(true)
    for (let t = 0; t < 40_000; t += STEP_MS) {
      await site.advance(STEP_MS)
      assert.ok(t < 15_000 || !charges(site), 'charges without a session')
    }
    assert.equal([because(site), sessions(site)], [['charger.no-session'], []])
    const { chargers } = viewAgent(site.agent(), site.clock, createCurveRing(1, 60_000)).site
    assert.match(chargers![0]!.because.join(), /^no session could be begun: (modbus|metering)\./)
    assert.match(raised(site, 'session.garage') ?? '', /^modbus\.|^metering\./)
    site.carMeter.faults.dead = false
    await until(site, 'charging', () => charges(site))
    assert.equal([sessions(site)[0]?.state, raised(site, 'session.garage')], ['open', undefined])
    await site.stop()
  },
  DEADLINE_MS,
)

test(
  'the same site without a meter for its cars charges all the same, and has no sessions',
  async () => {
    const site = await createSessionSite(SESSION_CONFIG.replace(', meter: car, tariff: 0.39', ''))
    site.carMeter.faults.dead = true
    site.box.station.plug(true)
    await until(site, 'charging', () => charges(site))
    assert.is(site.agent().sessions, undefined)
    const answer = await sessionsRoute(undefined)({
      ...{ method: 'GET', path: '/api/sessions', body: new Uint8Array(0), query: new URLSearchParams() },
    })
    assert.equal(answer.kind === 'json' && [answer.status, (answer.value as { code: string }).code], [
      503,
      'session.not-configured',
    ])
    await site.stop()
  },
  DEADLINE_MS,
)

test(
  'a fault, and a wall box that was restarted, end the session at once, aborted; its end is read when nothing flows',
  async () => {
    for (const [why, strike] of [
      ['charger-fault', (site: Site) => site.box.station.show('F')],
      ['charger-restarted', (site: Site) => site.box.restart()],
    ] as const) {
      const site = await createSessionSite()
      site.box.station.plug(true)
      await until(site, 'charging', () => charges(site))
      await site.advance(60_000)
      strike(site)
      await until(site, why, () => sessions(site).some(({ state }) => state === 'aborted'))
      const ended = sessions(site).find(({ state }) => state === 'aborted')!
      assert.is(ended.why, why)
      await verified(ended.ocmf)
      const { RD } = payloadOf(ended.ocmf.at(-1)!)
      assert.is(RD.at(-1).TX, 'A')
      if (why === 'charger-restarted') {
        assert.ok(rests(site), 'an end is read at 0')
        assert.ok(Math.abs(Number(ended.energy) - site.flowedMwh()) < METER_STEP_MWH, 'all that flowed is counted')
      }
      await site.stop()
    }
  },
  DEADLINE_MS,
)

test(
  'a meter that falls silent stops the car, and closes the session without a number',
  async () => {
    const site = await createSessionSite()
    site.box.station.plug(true)
    await until(site, 'charging', () => charges(site))
    await site.advance(60_000)
    site.carMeter.faults.dead = true
    await until(site, 'stopped', () => rests(site), 90_000)
    await until(site, 'lost', () => sessions(site).some(({ state }) => state === 'lost'), 300_000)
    const lost = sessions(site).find(({ state }) => state === 'lost')!
    assert.equal([lost.energy, lost.why], [undefined, 'meter-stale'])
    await verified(lost.ocmf)
    assert.ok(rests(site))
    await site.stop()
  },
  DEADLINE_MS,
)

test.run()
