/** A street in virtual time whose deals have been agreed, paid and settled, and one site of it behind the real server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Agent } from '../../../agent/compose.ts'
import { relayRoutes } from '../../../agent/web/relay-routes.ts'
import { createWeb } from '../../../agent/web/server.ts'
import { siteRoutes } from '../../../agent/web/site-routes.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { BRISK } from '../../../hw/sim/site-config.ts'
import { type Street, streetOf } from '../../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../../hw/sim/street-run.ts'
import { must } from '../../../protocol/result.ts'
import { assert } from '../../harness.ts'
import { smallSite } from '../small-site.ts'
import { exampleSnapshot } from '../snapshot-example.ts'
import { runTieline } from './cli-run.ts'

const SEED = 5

/** Two sites, and the line between them. */
function lineStreet(): Street {
  const { sites, lines } = streetOf(5)
  const [line] = lines as [Street['lines'][number]]
  return { sites: sites.filter(({ name }) => name === line.seller || name === line.buyer), lines: [line] }
}

/** In how many virtual minutes a deal is settled at the latest. */
const MINUTES = 8

/** The first line of the street, until a deal over it is settled; the site that is served is its seller. */
export async function servedStreet({ realSigner = false }: { readonly realSigner?: boolean } = {}) {
  const street = lineStreet()
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
  const [[site, agent]] = [...running.agents] as [[string, Agent]]
  const isSettled = () => agent.trading.deals().some(({ runner }) => runner.deal().state === 'settled')
  for (let i = 0; i < MINUTES * 6 && !isSettled(); i++) await ports.time.advance(10_000)
  const web = must(
    await createWeb({
      serve: serveHttp,
      host: '127.0.0.1',
      port: 0,
      page: [],
      snapshot: () => exampleSnapshot,
      site: siteRoutes(agent, ports.time.clock),
      relays: relayRoutes(
        agent.relays,
        site,
        agent.config.directLines.map(({ id }) => id),
      ),
      everyMs: 1000,
      timers: ports.time.timers,
      onBug: error => assert.unreachable(String(error)),
    }),
  )
  const folder = mkdtempSync(join(tmpdir(), 'tieline-served-'))
  const config = (name: string, port = web.port) => {
    const file = join(folder, `${name}.yaml`)
    const text = smallSite(`{seed: ${'01'.repeat(32)}}`).replace('site: maple', `site: ${name}`)
    writeFileSync(file, `${text}bench: true\npage: {listen: 127.0.0.1:${port}}\n`)
    return file
  }
  const file = config(site)
  return {
    ...{ ports, producer, running, agent, site, url: web.url, config },
    tieline: (...args: string[]) => runTieline([...args, '--config', file]),
    async close() {
      await web.close()
      await awaited(ports.time, running.stop())
      rmSync(folder, { recursive: true })
    },
  }
}
