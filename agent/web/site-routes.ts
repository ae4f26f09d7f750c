/** What the API answers of a running site beside its snapshot: one handler for each, by method and path. */
import type { Handler } from '../../drivers/http/server.ts'
import type { Clock, Timers } from '../../drivers/ports.ts'
import { readVersion } from '../../drivers/version.ts'
import type { Agent } from '../compose.ts'
import { CURVE_STEP_MS, viewAgent } from './agent-view.ts'
import { createCurveRing } from './curve-ring.ts'
import { dealRecordsRoute } from './deal-records-route.ts'
import { dealsRoute } from './deals-route.ts'
import { createLightView, lightRoute } from './light-route.ts'
import type { SiteView } from './snapshot.ts'
import { walletRoute } from './wallet-route.ts'

/** Which agent this is, its meters and what is wrong; the rest, the other questions answer. */
export interface StatusSaid extends Pick<SiteView, 'meters' | 'health' | 'wear'> {
  readonly site: string
  readonly version: string
  /** Boots so far, this one included. */
  readonly boot: number
  /** Unix milliseconds. */
  readonly since: number
  readonly time: number
}

/** To be made when the agent starts: alarms are heard from then on. */
export function siteRoutes(agent: Agent, clock: Clock, timers: Timers): Readonly<Record<string, Handler>> {
  const since = clock.now()
  const version = readVersion()
  const ring = createCurveRing(1, CURVE_STEP_MS)
  function status(): StatusSaid {
    const { meters, health, wear } = viewAgent(agent, clock, ring).site
    const about = { site: agent.config.site, version, boot: agent.bootCount, since, time: clock.now() }
    return { ...about, meters, health, ...(wear === undefined ? {} : { wear }) }
  }
  return {
    'GET /api/status': () => ({ kind: 'json', status: 200, value: status() }),
    'GET /api/deals': dealsRoute(agent),
    'GET /api/deals/records': dealRecordsRoute(agent, timers),
    'GET /api/wallet': walletRoute(agent),
    'GET /api/light': lightRoute(createLightView(agent, clock)),
  }
}
