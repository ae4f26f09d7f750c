/** A street at work: what its sites' histories say, and whose heads their journals keep. */
import { PEER_HEAD } from '../../../agent/metering/heads.ts'
import { readMeteringRecord } from '../../../agent/metering/journal-form.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { BRISK } from '../../../hw/sim/site-config.ts'
import { streetOf } from '../../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../../hw/sim/street-run.ts'
import { parseSign1 } from '../../../protocol/crypto/cose.ts'
import { parseReading, type Reading, registerEnergy } from '../../../protocol/reading/reading.ts'
import { must } from '../../../protocol/result.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('journals of a street')

const MINUTES = 4

test('each site knows what its meters counted, from its readings alone, and keeps the heads of its neighbours', async () => {
  const street = streetOf(5)
  const ports = createSimPorts({
    seed: 5,
    sites: street.sites,
    brokers: 2,
    realSigner: false,
    pace: BRISK,
    logOf: () => () => {},
  })
  const producer = createStreetLedger(street, 5, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const running = must(await openStreet(street, 5, new Map(), producer, ports))
  for (const { name } of street.sites) must(await awaited(ports.time, running.start(name)))
  const begun = ports.time.clock.now()
  for (let i = 0; i < MINUTES; i++) await ports.time.advance(60_000)
  const said = new Map<string, bigint>()
  for (const [name, agent] of running.agents) {
    for (const meter of Object.keys(agent.config.meters)) {
      const asked = { meter, obis: OBIS.energyImport, from: begun, to: instant(begun + 1), period: 'day' } as const
      const { buckets, untimed } = must(await awaited(ports.time, agent.history!.energy(asked)))
      assert.equal([buckets.length, untimed], [1, 0])
      if (buckets[0]!.energy !== undefined) said.set(`${name}/${meter}`, buckets[0]!.energy)
    }
  }
  const peers = new Map([...running.configs].map(([name, { config }]) => [name, Object.keys(config.peers).length]))
  const counted = [...running.agents.keys()]
  await awaited(ports.time, running.stop())

  let [energies, heads] = [0, 0]
  for (const name of counted) {
    const disk = ports.sites.get(name)!.disks.get(`${name}/journal`)!.mount()
    const reader = must(await awaited(ports.time, openJournalReader(disk)))
    const readings = new Map<string, Reading[]>()
    const senders = new Set<string>()
    const visited = reader.visit(({ kind, bytes }) => {
      // The address stands in the first field: a5 01 54 and 20 bytes.
      if (kind === PEER_HEAD) senders.add(Buffer.from(bytes.subarray(3, 23)).toString('hex'))
      const record = kind === 'reading' ? readMeteringRecord(bytes) : undefined
      if (record === undefined) return
      const { payload } = must(parseSign1(record.envelope))
      readings.set(record.name, [...(readings.get(record.name) ?? []), must(parseReading(payload))])
    })
    must(await awaited(ports.time, visited))
    assert.is(senders.size, peers.get(name))
    heads += senders.size
    for (const [meter, all] of readings) {
      const values = all.flatMap(reading => registerEnergy(reading, OBIS.energyImport) ?? [])
      const energy = said.get(`${name}/${meter}`)
      if (energy === undefined) continue
      // Readings that were signed while the street stopped come after the answer.
      assert.ok(
        values.some(value => value - values[0]! === energy),
        `${name} ${meter}`,
      )
      energies++
    }
  }
  assert.ok(energies >= street.sites.length, `${energies} energies`)
  assert.ok(heads > 0)
}, 90_000)

test.run()
