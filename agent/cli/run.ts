/** `tieline run`: one site, with its page. */
import { createCalendar } from '../../drivers/calendar.ts'
import { serveHttp } from '../../drivers/http/server.ts'
import type { Log } from '../../drivers/ports.ts'
import { createCache } from '../../drivers/store/cache.ts'
import { openSystemQuality } from '../../drivers/time-quality.ts'
import { type Fault, faultLine, must, ok } from '../../protocol/result.ts'
import { type Agent, startAgent } from '../compose.ts'
import { createLog, underJournal } from '../log.ts'
import { CURVE_STEP_MS, createLogTail, joinViews, logInto, recordCurve, viewAgent } from '../web/agent-view.ts'
import { acceptCurve, createCurveRing } from '../web/curve-ring.ts'
import { historyRoute } from '../web/history-route.ts'
import { readPageFiles } from '../web/page-files.ts'
import { createWeb } from '../web/server.ts'
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

/** With `json`, one line on stdout once the site is up: {ready, site, boot, page}; `page` is null where it is off. */
export async function run(
  file: string,
  json: boolean,
  terminal: Terminal,
  interrupted: Promise<void>,
): Promise<ExitCode> {
  const config = await readSite(file, terminal)
  if (typeof config === 'number') return config
  const tail = createLogTail(LOG_LINES)
  const print = createLog({
    write: terminal.err,
    least: 'info',
    journal: underJournal(terminal.env),
    colour: terminal.colour,
  })
  const log: Log = logInto(tail, config.site, () => world.clock.now(), print)
  const time = await openSystemQuality()
  const world = systemWorld(config, log, time.quality, () => readPassphrase(terminal))
  if (time.without !== undefined && config.clock === undefined) {
    log('warn', 'clock', 'the kernel cannot be asked whether its clock is synchronised', time.without)
  }
  const refuse = (fault: Fault): ExitCode => {
    terminal.err(`${config.site} does not start: ${faultLine(fault)}\n`)
    return exitOf(fault)
  }

  const started = await startAgent(config, world)
  if (!started.ok) return refuse(started.fault)
  const agent = started.value
  const page = config.page.off ? ok(undefined) : await openPage(agent, world, tail.lines)
  if (!page.ok) {
    await agent.stop()
    return refuse(page.fault)
  }
  log('info', 'agent', `${config.site} runs${page.value === undefined ? '' : `, page at ${page.value.url}`}`)
  if (json) {
    const ready = { ready: true, site: config.site, boot: agent.bootCount, page: page.value?.url ?? null }
    terminal.out(`${JSON.stringify(ready)}\n`)
  }
  await interrupted
  await page.value?.close()
  await agent.stop()
  return EXIT.ok
}

/** The page, and today's curve, which a restart finds again. */
async function openPage(agent: Agent, world: World, lines: ReturnType<typeof createLogTail>['lines']) {
  const { config } = agent
  const { clock, timers, log } = world
  const files = await readPageFiles(new URL('../web/page/', import.meta.url).pathname)
  if (!files.ok) return files
  const disk = await world.openDisk(`${config.data}/cache`)
  if (!disk.ok) return disk
  const cache = createCache(disk.value, 'curve.cbor', acceptCurve)
  const ring = createCurveRing(CURVE_POINTS, CURVE_STEP_MS)
  const kept = await cache.load()
  if (kept !== undefined) ring.restore(kept)
  recordCurve(agent, clock, ring)
  const save = async () => {
    const saved = await cache.save(ring.view())
    if (!saved.ok) log('warn', 'page', "today's curve is not kept", saved.fault)
  }
  const served = await createWeb({
    serve: serveHttp,
    ...config.page,
    page: files.value,
    snapshot: () =>
      joinViews([viewAgent(agent, clock, ring)], {
        title: config.site,
        time: clock.now(),
        speed: config.clock?.speed ?? 1,
        violations: [],
        log: lines(),
      }),
    history: historyRoute(agent.history, new Set(Object.keys(config.meters))),
    everyMs: PAGE_EVERY_MS,
    timers,
    onBug: error => log('error', 'page', String(error)),
  })
  if (!served.ok) {
    await disk.value.close?.()
    return served
  }
  const calendar = createCalendar({ clock, timers })
  must(calendar.at(CURVE_SAVE, save))
  return ok({
    url: served.value.url,
    async close() {
      calendar.close()
      await served.value.close()
      await save()
      await disk.value.close?.()
    },
  })
}
