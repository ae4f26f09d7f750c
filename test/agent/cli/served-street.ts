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
import { must } from '../../../protocol/result.ts'
import { assert } from '../../harness.ts'
import { openLineStreet } from '../line-street.ts'
import { smallSite } from '../small-site.ts'
import { exampleSnapshot } from '../snapshot-example.ts'
import { runTieline } from './cli-run.ts'

/** In how many virtual minutes a deal is settled at the latest. */
const MINUTES = 8

/** The first line of the street, until a deal over it is settled; the site that is served is its seller. */
export async function servedStreet(options: Parameters<typeof openLineStreet>[0] = {}) {
  const { ports, producer, running } = await openLineStreet(options)
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
      site: siteRoutes(agent, ports.time.clock, ports.time.timers),
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
