/**
 * A board without a battery for its clock: it starts in 1970. It reads its meters and marks what it signs; it trades nothing
 * until its clock was set, and the setting is on record.
 */
import { EVENT_KIND } from '../../../agent/metering/events.ts'
import type { World } from '../../../agent/world.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { healthOf } from '../../../hw/bench/fault-tools.ts'
import { ledgerDeals } from '../../../hw/bench/judge.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { BRISK } from '../../../hw/sim/site-config.ts'
import { streetOf } from '../../../hw/sim/street.ts'
import { createStreetLedger, ORIGIN_MS, openStreet } from '../../../hw/sim/street-run.ts'
import { parseSign1 } from '../../../protocol/crypto/cose.ts'
import { verifyEventChain } from '../../../protocol/reading/chain.ts'
import { parseEvent } from '../../../protocol/reading/event.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { type VerifiedEvent, verifyEvent } from '../../../protocol/reading/verify.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('a board whose clock starts in 1970')

const SITE = 'cedar'
const LINE = 'L1'

test('it meters and says what is wrong, trades nothing, and trades once its clock is set', async () => {
  const street = streetOf(5)
  const ports = createSimPorts({
    seed: 7,
    sites: street.sites,
    brokers: 1,
    realSigner: true,
    pace: BRISK,
    logOf: () => () => {},
  })
  const producer = createStreetLedger(street, 7, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const running = must(await openStreet(street, 7, new Map(), producer, ports))
  let behind = ORIGIN_MS
  const in1970 = (world: World): World => ({
    ...world,
    clock: {
      ...world.clock,
      now: () => instant(world.clock.now() - behind),
      quality: () => (behind > 0 ? 'unknown' : 'synchronised'),
    },
  })
  for (const { name } of street.sites) {
    must(await awaited(ports.time, running.start(name, name === SITE ? { world: in1970 } : {})))
  }
  const agent = running.agents.get(SITE)!
  const signed: Reading[] = []
  agent.metering.onSigned((_, { reading }) => void signed.push(reading))
  const ofLine = () => ledgerDeals(running).filter(({ deal }) => deal.line === LINE)

  await ports.time.advance(120_000)
  assert.is(healthOf(agent, 'clock')?.code, 'clock.not-set')
  assert.match(String(healthOf(agent, 'clock')?.['now']), /^1970-01-01T00:0\d:/)
  assert.ok(signed.length > 3, `${signed.length} readings`)
  assert.ok(signed.every(({ errors, quality }) => errors.includes('time') && quality === 'unknown'))
  assert.equal(ofLine(), [])

  behind = 0
  const at = signed.length
  await ports.time.advance(240_000)
  assert.is(healthOf(agent, 'clock'), undefined)
  assert.ok(signed.length > at + 3, `${signed.length - at} readings`)
  // What was taken in 1970 and signed afterwards still says so.
  for (const { time, errors } of signed) assert.equal(errors, time < ORIGIN_MS ? ['time'] : [])
  assert.ok(
    ofLine().some(({ deal }) => deal.state === 'settled'),
    'it trades like the others',
  )
  await awaited(ports.time, running.stop())
  // Its disk takes virtual time to answer.
  const disk = ports.sites.get(SITE)!.disks.get(`${SITE}/journal`)!.mount()
  const journal = must(await awaited(ports.time, openJournalReader(disk)))
  const events: VerifiedEvent[] = []
  const visited = journal.visit(({ kind, bytes }, { carried }) => {
    if (kind !== EVENT_KIND || carried) return
    const { key } = must(parseEvent(must(parseSign1(bytes)).payload))
    events.push(must(verifyEvent(bytes, key, ports.verifier)))
  })
  must(await awaited(ports.time, visited))
  assert.equal(verifyEventChain(events), [])
  const kinds = events.map(({ event: { what } }) => what.kind).filter(kind => kind.startsWith('clock-'))
  assert.equal(kinds, ['clock-step', 'clock-quality'])
}, 120_000)

test.run()
