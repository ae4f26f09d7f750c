/** The page of one agent among five on simulated meters and wires, in virtual time: what a browser shows is held against the wires. */

import { createLogTail, joinViews, logInto, recordCurve, viewAgent } from '../../../agent/web/agent-view.ts'
import { createCurveRing } from '../../../agent/web/curve-ring.ts'
import { historyRoute } from '../../../agent/web/history-route.ts'
import { createWeb, type WebOptions } from '../../../agent/web/server.ts'
import { siteRoutes } from '../../../agent/web/site-routes.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import { buildPage } from '../../../hw/image/build.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { BRISK } from '../../../hw/sim/site-config.ts'
import { streetOf } from '../../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../../hw/sim/street-run.ts'
import { must } from '../../../protocol/result.ts'

interface Beside {
  /** Of the page's server; any that is free where it is left out. */
  readonly port?: number
  /** What it answers beside what every site does. */
  readonly routes?: WebOptions['relays']
}

export async function pageOfSite(name: string, { port = 0, routes }: Beside = {}) {
  const street = streetOf(5)
  const tail = createLogTail(200)
  const logOf = (site: string) =>
    logInto(
      tail,
      site,
      () => ports.time.clock.now(),
      () => {},
    )
  const ports: ReturnType<typeof createSimPorts> = createSimPorts({
    ...{ seed: 5, sites: street.sites, brokers: 1, realSigner: false, pace: BRISK },
    logOf: site => (level, room, text, fault) => site === name && logOf(site)(level, room, text, fault),
  })
  const producer = createStreetLedger(street, 5, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const running = must(await openStreet(street, 5, new Map(), producer, ports))
  for (const site of street.sites) must(await awaited(ports.time, running.start(site.name)))
  const agent = running.agents.get(name)!
  const { clock } = ports.time
  const ring = createCurveRing(1440, 60_000)
  recordCurve(agent, clock, ring)
  const bugs: unknown[] = []
  const options: WebOptions = {
    ...{ serve: serveHttp, host: '127.0.0.1', port, page: await buildPage(true), everyMs: 250 },
    timers: createSystemTime().timers,
    snapshot: () =>
      joinViews([viewAgent(agent, clock, ring)], {
        ...{ title: name, time: clock.now(), speed: 1, violations: [], log: tail.lines() },
      }),
    history: historyRoute(agent.history, new Set(Object.keys(agent.config.meters))),
    site: { ...siteRoutes(agent, clock, ports.time.timers), ...routes },
    onBug: error => bugs.push(error),
  }
  const web = must(await createWeb(options))
  return {
    url: `${web.url}/`,
    ...{ agent, bugs, wires: running.wires, clock, street, running },
    advance: (ms: number) => ports.time.advance(ms),
    closeWeb: web.close,
    async close() {
      await web.close()
      await awaited(ports.time, running.stop())
    },
  }
}
