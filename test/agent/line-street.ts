/** The first line of the simulated street and the two sites at its ends, whose agents run: one deal follows another. */
import { awaited } from '../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../hw/sim/sim-ports.ts'
import { BRISK } from '../../hw/sim/site-config.ts'
import { type Street, streetOf } from '../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../hw/sim/street-run.ts'
import { must } from '../../protocol/result.ts'

const SEED = 5

export async function openLineStreet({ realSigner = false }: { readonly realSigner?: boolean } = {}) {
  const { sites, lines } = streetOf(5)
  const [line] = lines as [Street['lines'][number]]
  const street: Street = {
    sites: sites.filter(({ name }) => name === line.seller || name === line.buyer),
    lines: [line],
  }
  const ports = createSimPorts({
    ...{ seed: SEED, sites: street.sites, brokers: 2, realSigner, pace: BRISK },
    logOf: () => () => {},
  })
  const producer = createStreetLedger(street, SEED, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const running = must(await openStreet(street, SEED, new Map(), producer, ports))
  for (const { name } of street.sites) must(await awaited(ports.time, running.start(name)))
  return { line, ports, producer, running }
}
