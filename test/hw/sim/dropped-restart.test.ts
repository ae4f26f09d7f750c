/** A site that crashes in the middle of a deal, and of whose journal only what may not be dropped is left. */
import { keepForRestart } from '../../../agent/keeping.ts'
import { openJournal } from '../../../drivers/store/journal.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { ledgerDeals } from '../../../hw/bench/judge.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { BRISK } from '../../../hw/sim/site-config.ts'
import { streetOf } from '../../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../../hw/sim/street-run.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('a restart from what is kept')

const LINE = 'L1'
const SEGMENT = 256 * 1024

test('both parties of a deal lose all old segments while power flows: each knows the deal, its boots and its chains, and it ends as usual', async () => {
  const street = streetOf(5)
  const options = { seed: 5, sites: street.sites, brokers: 2, realSigner: false, pace: BRISK, logOf: () => () => {} }
  const ports = createSimPorts(options)
  const producer = createStreetLedger(street, 5, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const running = must(await openStreet(street, 5, new Map(), producer, ports))
  for (const { name } of street.sites) must(await awaited(ports.time, running.start(name)))
  for (let waited = 0; !running.flows(LINE) && waited < 300_000; waited += 100) await ports.time.advance(100)
  assert.ok(running.flows(LINE), 'power flows')

  const open = [...running.agents].flatMap(([name, { trading }]) =>
    trading.deals().some(({ runner }) => runner.deal().contract.line === LINE) ? [name] : [],
  )
  assert.is(open.length, 2)
  const hashes = new Set(ledgerDeals(running).flatMap(({ hash, deal }) => (deal.line === LINE ? [hash] : [])))
  for (const name of open) {
    ports.sites.get(name)!.crash('now', () => running.forget(name))
    running.forget(name)
  }
  await ports.time.advance(0)
  for (const name of open) {
    const disk = ports.sites.get(name)!.disks.get(`${name}/journal`)!.mount()
    const before = must(await awaited(ports.time, openJournalReader(disk)))
    const { clock, timers } = ports.time
    const parts = { clock, timers, entropy: { bytes: (count: number) => new Uint8Array(count) }, owner: before.owner }
    const journal = must(
      await awaited(
        ports.time,
        openJournal({
          ...parts,
          disk,
          segmentBytes: SEGMENT,
          keeping: keepForRestart,
          retention: { ms: 1e15, bytes: 1 },
        }),
      ),
    )
    const last = before.segments.at(-1)!.number
    for (let i = 0; i < 1000 && (await oldest()) <= last; i++) {
      must(await awaited(ports.time, journal.append('filler', utf8('x'.repeat(100_000)), { urgent: true })))
    }
    assert.ok((await oldest()) > last, 'nothing that the agent wrote stands where it wrote it')
    await awaited(ports.time, journal.close())

    async function oldest(): Promise<number> {
      return must(await awaited(ports.time, openJournalReader(disk))).segments[0]!.number
    }
  }
  for (const name of open) {
    const agent = must(await awaited(ports.time, running.start(name)))
    assert.is(agent.bootCount, 2, name)
    assert.ok(
      agent.trading.deals().some(({ runner }) => runner.deal().contract.line === LINE),
      `${name} knows its deal`,
    )
  }
  const isSettled = () => ledgerDeals(running).some(({ hash, deal }) => hashes.has(hash) && deal.state === 'settled')
  for (let waited = 0; !isSettled() && waited < 300_000; waited += 1000) await ports.time.advance(1000)
  assert.ok(isSettled(), 'the deal that was under way is settled')
  assert.equal(running.violations, [])
  await awaited(ports.time, running.stop())
}, 90_000)

test.run()
