/** `tieline run`: one site, with its page. */
import { resolve } from 'node:path'
import { createCalendar } from '../../drivers/calendar.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import type { Log } from '../../drivers/ports.ts'
import { compileRarely } from '../../drivers/process/compiler.ts'
import { openServiceManager } from '../../drivers/process/service-manager.ts'
import { createCache } from '../../drivers/store/cache.ts'
import { openSystemQuality } from '../../drivers/time-quality.ts'
import { systemZone } from '../../drivers/time-zone.ts'
import { type Fault, fail, faultLine, must, ok, type Result } from '../../protocol/result.ts'
import { openBeside } from '../beside.ts'
import { sessionsRoute } from '../charging/sessions-route.ts'
import { type Agent, startAgent } from '../compose.ts'
import type { SiteConfig } from '../config/site-config.ts'
import { createLog, underJournal } from '../log.ts'
import { createPublishCounts, type PublishCounts } from '../publish/counts.ts'
import { openPublisher } from '../publish/open.ts'
import { metricsRoute } from '../publish/open-metrics.ts'
import { startService } from '../service.ts'
import { startShedding } from '../shed-pages.ts'
import { openUpdates } from '../update/open.ts'
import type { Updates } from '../update/run.ts'
import { CURVE_STEP_MS, createLogTail, joinViews, logInto, recordCurve, viewAgent } from '../web/agent-view.ts'
import { billRoute } from '../web/bill-route.ts'
import { configRoutes } from '../web/config-route.ts'
import { acceptCurve, createCurveRing } from '../web/curve-ring.ts'
import { historyRoute } from '../web/history-route.ts'
import { openAuth } from '../web/open-auth.ts'
import { readBuiltPage } from '../web/page-files.ts'
import { relayRoutes } from '../web/relay-routes.ts'
import { createWeb } from '../web/server.ts'
import { siteRoutes } from '../web/site-routes.ts'
import { systemWorld, type World } from '../world.ts'
import { EXIT, type ExitCode, exitOf } from './exit-codes.ts'
import { readPassphrase } from './keys/passphrase.ts'
import { readSite } from './site-file.ts'
import type { Terminal } from './terminal.ts'

const CURVE_POINTS = (24 * 3_600_000) / CURVE_STEP_MS
/** A power cut may take ten minutes of the curve on the page; kept by the calendar, so a day ends whole. */
const CURVE_SAVE = '*/10 * * * *'
const PAGE_EVERY_MS = 1000
const LOG_LINES = 200
const notAsked = fail({ code: 'keys.no-passphrase', hint: 'its file has it, or it was given out already' })

/** With `json`, one line on stdout once the site is up: {ready, site, boot, page}; `page` is null where it is off or not open yet. */
export async function run(
  file: string,
  json: boolean,
  terminal: Terminal,
  interrupted: Promise<void>,
): Promise<ExitCode> {
  const config = await readSite(file, terminal)
  if (typeof config === 'number') return config
  compileRarely()
  const tail = createLogTail(LOG_LINES)
  const print = createLog({
    write: terminal.err,
    least: 'info',
    journal: underJournal(terminal.env),
    colour: terminal.colour,
  })
  const log: Log = logInto(tail, config.site, () => world.clock.now(), print)
  const time = await openSystemQuality()
  const refuse = (fault: Fault): ExitCode => {
    terminal.err(`${config.site} does not start: ${faultLine(fault)}\n`)
    return exitOf(fault)
  }
  const passphrase = await askFirst(config, terminal)
  if (!passphrase.ok) return refuse(passphrase.fault)
  const world = systemWorld(config, log, time.quality, passphrase.value)
  if (time.without !== undefined && config.clock === undefined) {
    log('warn', 'clock', 'the kernel cannot be asked whether its clock is synchronised', time.without)
  }

  const started = await startAgent(config, world)
  if (!started.ok) return refuse(started.fault)
  const agent = started.value
  const updates = openUpdates(agent, world, terminal.env)
  const beside = { timers: world.timers, health: agent.health }
  const counts = createPublishCounts()
  const page = config.page.off
    ? undefined
    : await openBeside('page', { ...beside, open: () => openPage(agent, world, file, updates, tail.lines, counts) })
  const publish = config.publish
  const publisher =
    publish && (await openBeside('publish', { ...beside, open: () => openPublisher(agent, publish, world, counts) }))
  const url = page?.value()?.url
  log('info', 'agent', `${config.site} runs${url === undefined ? '' : `, page at ${url}`}`)
  if (json) {
    const ready = { ready: true, site: config.site, boot: agent.bootCount, page: url ?? null }
    terminal.out(`${JSON.stringify(ready)}\n`)
  }
  const manager = await openServiceManager(terminal.env)
  if (!manager.ok) log('warn', 'service', 'the service manager cannot be told that the agent is up', manager.fault)
  const service =
    manager.ok && manager.value && startService({ manager: manager.value, loops: controlLoops(agent), ...world })
  updates.start()
  const stopShedding = startShedding(world)
  const ending = await Promise.race([interrupted, updates.over])
  stopShedding()
  updates.stop()
  if (service) service.stopping()
  await publisher?.stop()
  await page?.stop()
  await agent.stop()
  return ending === 'given-up' ? EXIT.temporary : EXIT.ok
}

/** Where no file has it, it is asked for before anything is opened, whose log would run over the question; it is given out once. */
async function askFirst({ keys }: SiteConfig, terminal: Terminal): Promise<Result<() => Promise<Result<string>>>> {
  let asked = keys.kind === 'kept' && keys.passphraseFile === undefined ? await readPassphrase(terminal) : notAsked
  if (!asked.ok && asked !== notAsked) return asked
  return ok(async () => {
    const answer = asked
    asked = notAsked
    return answer
  })
}

/** Whoever runs relays or chargers is watched in it. */
const controlLoops = ({ relays, charging }: Agent) => ({
  relays: relays.rounds,
  ...(charging === undefined ? {} : { chargers: charging.rounds }),
})

/** The page, and today's curve, which a restart finds again. */
async function openPage(
  agent: Agent,
  world: World,
  file: string,
  updates: Updates,
  lines: ReturnType<typeof createLogTail>['lines'],
  counts: PublishCounts,
) {
  const { config } = agent
  const { clock, timers, log } = world
  const files = await readBuiltPage()
  if (!files.ok) return files
  const auth = await openAuth(config, world)
  if (!auth.ok) return auth
  const disk = await world.openDisk(`${config.data}/cache`)
  if (!disk.ok) return disk
  const cache = createCache(disk.value, 'curve.cbor', acceptCurve)
  const ring = createCurveRing(CURVE_POINTS, CURVE_STEP_MS)
  const kept = await cache.load()
  if (kept !== undefined) ring.restore(kept)
  const save = async () => {
    const saved = await cache.save(ring.view())
    if (!saved.ok) log('warn', 'page', "today's curve is not kept", saved.fault)
  }
  const served = await createWeb({
    serve: serveHttp,
    host: config.page.host,
    port: config.page.port,
    ...(auth.value === undefined ? {} : { auth: auth.value }),
    page: files.value,
    snapshot: () => ({
      ...joinViews([viewAgent(agent, clock, ring)], {
        title: config.site,
        time: clock.now(),
        speed: config.clock?.speed ?? 1,
        zone: systemZone(),
        violations: [],
        log: lines(),
      }),
      ...(agent.parts.bills === undefined ? {} : { billed: true }),
    }),
    relays: relayRoutes(
      agent.relays,
      config.site,
      config.directLines.map(({ id }) => id),
    ),
    site: {
      ...siteRoutes(agent, clock, timers),
      ...updates.routes,
      ...configRoutes(resolve(file), auth.value !== undefined),
    },
    history: historyRoute(agent.history, new Set(Object.keys(config.meters))),
    metrics: metricsRoute(agent, counts),
    bill: billRoute(agent.parts.bills, clock.now),
    sessions: sessionsRoute(agent.sessions),
    everyMs: PAGE_EVERY_MS,
    timers,
    onBug: error => log('error', 'page', String(error)),
  })
  if (!served.ok) {
    await disk.value.close?.()
    return served
  }
  recordCurve(agent, clock, ring)
  const calendar = createCalendar({ clock, timers })
  must(calendar.at(CURVE_SAVE, save))
  return ok({
    url: served.value.url,
    async stop() {
      calendar.close()
      await served.value.close()
      await save()
      await disk.value.close?.()
    },
  })
}
