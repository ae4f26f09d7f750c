/** One site of the simulated street, with its meters read for ten seconds. */
import { awaited } from '../../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { BRISK } from '../../../hw/sim/site-config.ts'
import { streetOf } from '../../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../../hw/sim/street-run.ts'
import { must } from '../../../protocol/result.ts'

export async function runningMaple() {
  const street = streetOf(5)
  const options = { seed: 5, sites: street.sites, brokers: 1, realSigner: false, pace: BRISK, logOf: () => () => {} }
  const ports = createSimPorts(options)
  const producer = createStreetLedger(street, 5, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const running = must(await openStreet(street, 5, new Map(), producer, ports))
  must(await awaited(ports.time, running.start('maple')))
  await ports.time.advance(10_000)
  return {
    agent: running.agents.get('maple')!,
    clock: ports.time.clock,
    stop: () => awaited(ports.time, running.stop()),
  }
}
