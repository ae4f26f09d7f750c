/**
 * The running agent's part in an update: what works now, for the next release to be measured by; what a restart would
 * interrupt; and where it is itself the one that is tried, whether it is good.
 *
 *     GET  /api/update            {site, release, tried, meters, ledger, busy}
 *     POST /api/update/restart    {"now": true}; 409 while something runs that a restart would interrupt, unless `now`; then no deal
 *                                 over a line is begun for a minute, so that who asks again meets a pause
 */
import type { Handler, HttpReply } from '../../drivers/http/server.ts'
import type { Clock, Log, Timers } from '../../drivers/ports.ts'
import type { Tree } from '../../drivers/store/tree.ts'
import { fromUtf8 } from '../../protocol/bytes.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../protocol/result.ts'
import { decideConfirm, decideGiveUp } from '../../protocol/update/decide.ts'
import { releaseOf, verifyManifest } from '../../protocol/update/manifest.ts'
import type { Agent } from '../compose.ts'
import { judgeHealth } from './gate.ts'
import type { Started } from './place.ts'
import {
  changeState,
  checkRelease,
  folderOf,
  INSTALLS,
  RELEASES,
  raiseFloor,
  readFloor,
  readKeys,
  readState,
  removeStale,
} from './releases.ts'

export interface UpdatesOptions {
  readonly agent: Pick<Agent, 'config' | 'metering' | 'trading' | 'sessions' | 'charging'> & {
    readonly light?: Agent['light'] | undefined
  }
  /** Undefined where no launcher started this agent. */
  readonly started: Started | undefined
  readonly tree: Tree
  /** The text that names whose updates are taken. */
  readonly keys: () => Promise<Result<string>>
  readonly verifier: Verifier
  readonly clock: Pick<Clock, 'mono'>
  readonly timers: Timers
  readonly log: Log
}

export interface Updates {
  readonly routes: Readonly<Record<string, Handler>>
  /** Why the agent is to end: asked to, for another release to start; or not good. */
  readonly over: Promise<'restart' | 'given-up'>
  /** To be called once the agent is up. */
  start(): void
  stop(): void
}

export interface UpdateSaid {
  readonly site: string
  /** As in `1790000000-0a1b2c3d`; null for the package's own, or where no launcher started it. */
  readonly release: string | null
  readonly tried: boolean
  /** Meters that are read. */
  readonly meters: readonly string[]
  /** Whether the ledger is followed. */
  readonly ledger: boolean
  /** What a restart would interrupt. */
  readonly busy: readonly string[]
}

/** A journal is open by then; a light client finds its ground in seconds, a slow meter is waited for beside it. */
const DEADLINE_MS = 300_000
const LOOK_MS = 1_000
/** Twelve times as long as who waits lets pass between two questions; who has gone away costs no more trade than this. */
const PAUSE_MS = 60_000
/** Asked again later, the answer may be another. */
export const BUSY = 'update.busy'

export function createUpdates(options: UpdatesOptions): Updates {
  const { agent, started, tree, verifier, clock, timers, log } = options
  const { config, metering, trading, sessions, charging } = agent
  const configured = Object.keys(config.meters)
  const slowestMs = Math.max(0, ...Object.values(config.meters).map(({ everyMs }) => everyMs))
  const signed = new Set<string>()
  let end: (how: 'restart' | 'given-up') => void = () => {}
  const over = new Promise<'restart' | 'given-up'>(resolve => {
    end = resolve
  })
  let cancel = () => {}
  let looking = false
  let tried = started?.tried === true

  metering.onSigned((name, { reading }) => {
    if (reading.reason !== 'gap' && reading.errors.length === 0) signed.add(name)
  })

  const busy = (): readonly string[] => {
    const deals = trading.deals().filter(({ runner }) => !runner.over())
    const ports = (sessions?.list() ?? [])
      .filter(({ state }) => state === 'open' || state === 'closing')
      .map(({ port }) => port)
    // A charger without a meter of its own has no sessions.
    const cars = (charging?.views() ?? []).filter(({ name, order }) => order.ma > 0 && !ports.includes(name))
    return [
      ...deals.map(({ peer, runner }) => `a deal with ${peer} (${runner.deal().state})`),
      ...ports.map(port => `a charging session at ${port}`),
      ...cars.map(({ name }) => `a car that charges at ${name}`),
    ]
  }
  let endPause = () => {}
  function pauseTrade(): void {
    endPause()
    trading.pause(true)
    endPause = timers.after(PAUSE_MS, () => trading.pause(false))
  }
  const view = (): UpdateSaid => ({
    site: config.site,
    release: started?.name ?? null,
    tried,
    meters: configured.filter(name => metering.latest(name) !== undefined),
    ledger: agent.light?.head() !== undefined,
    busy: busy(),
  })

  const refuse = (status: number, fault: Fault, text = faultLine(fault)): HttpReply => ({
    kind: 'json',
    status,
    value: { ...fault, text },
  })
  const restart: Handler = ({ body, local }) => {
    if (local !== true) return refuse(403, { code: 'update.not-local' })
    const now = readNow(body)
    if (now === undefined) return refuse(400, { code: 'update.misshapen', wanted: 'now' })
    const interrupted = busy()
    if (interrupted.length > 0 && !now) {
      pauseTrade()
      return refuse(409, { code: BUSY, interrupted }, `a restart would interrupt ${interrupted.join(', ')}`)
    }
    log('info', 'update', `restarts for another release${interrupted.length > 0 ? `: ${interrupted.join(', ')}` : ''}`)
    // The answer goes first.
    timers.after(0, () => end('restart'))
    return { kind: 'json', status: 200, value: view() }
  }

  async function look(name: string, since: number): Promise<void> {
    const state = await readState(tree)
    if (!state.ok) return log('warn', 'update', 'the state of the releases cannot be read', state.fault)
    if (state.value.candidate?.name !== name) return cancel()
    const judged = judgeHealth({
      expect: state.value.candidate.expect,
      configured,
      signed,
      ledgerFollowed: agent.light?.head() !== undefined,
      upMs: clock.mono() - since,
      deadlineMs: DEADLINE_MS + 2 * slowestMs,
    })
    if (judged.verdict === 'wait') return
    const fault = judged.verdict === 'bad' ? judged.fault : await confirm(name)
    if (fault === undefined) {
      cancel()
      tried = false
      return log('info', 'update', `release ${name} is found good and stays`)
    }
    // A disk that is full now may not be soon; the deadline holds for that, too.
    if (judged.verdict === 'good' && clock.mono() - since < DEADLINE_MS + 2 * slowestMs) {
      return log('warn', 'update', `release ${name} cannot be confirmed yet`, fault)
    }
    cancel()
    log('error', 'update', `release ${name} is given up`, fault)
    const given = await changeState(tree, timers, now => ok({ next: decideGiveUp(now, name, faultLine(fault)) }))
    // Its tries are counted all the same.
    if (!given.ok) log('error', 'update', 'that cannot be written', given.fault)
    end('given-up')
  }

  async function confirm(name: string): Promise<Fault | undefined> {
    const floor = await readFloor(tree)
    if (floor.ok && floor.value > releaseOf(name))
      return { code: 'update.not-newer', update: releaseOf(name), highest: floor.value }
    const text = await options.keys()
    if (!text.ok) return text.fault
    const confirmed = await changeState(tree, timers, async state => {
      const keys = readKeys(text.value, state, verifier)
      if (!keys.ok) return keys
      const release = await checkRelease(tree, folderOf(name), keys.value.chain, verifier)
      if (!release.ok) return release
      const { manifest, envelopes } = release.value
      // One that comes back, by keys that it replaced itself, replaces none.
      const isNewest = verifyManifest(envelopes, [keys.value.chain.at(-1)!], verifier).ok
      const rotation = isNewest && manifest.trust ? { root: keys.value.rootHash, envelopes } : undefined
      const next = decideConfirm(state, name, rotation)
      return next === undefined ? fail({ code: 'update.another-is-tried' }) : ok({ next })
    })
    if (!confirmed.ok) return confirmed.fault
    await settle(name)
    return undefined
  }

  /** What may be done later as well, and is done again at each start. */
  async function settle(name: string): Promise<void> {
    const raised = await raiseFloor(tree, name)
    if (!raised.ok) log('warn', 'update', 'the highest release is not written down', raised.fault)
    // Who installs removes them, too, and has one that no state names yet.
    const held = await tree.hold(RELEASES, INSTALLS)
    if (!held.ok) {
      if (held.fault.code !== 'disk.held') log('warn', 'update', 'older releases are not removed', held.fault)
      return
    }
    const state = await readState(tree)
    const stale = state.ok ? await removeStale(tree, state.value) : state.fault
    if (stale !== undefined) log('warn', 'update', 'older releases are not removed', stale)
    await held.value()
  }

  return {
    over,
    routes: {
      'GET /api/update': () => ({ kind: 'json', status: 200, value: view() }),
      'POST /api/update/restart': restart,
    },
    start() {
      const name = started?.name
      if (name === undefined) return
      if (!started!.tried) {
        void settle(name)
        return
      }
      log('info', 'update', `release ${name} is tried`)
      const since = clock.mono()
      cancel = timers.every(LOOK_MS, () => {
        if (looking) return
        looking = true
        void look(name, since).finally(() => {
          looking = false
        })
      })
    },
    stop() {
      cancel()
      endPause()
    },
  }
}

function readNow(body: Uint8Array): boolean | undefined {
  try {
    const value: unknown = JSON.parse(fromUtf8(body) ?? '')
    if (typeof value !== 'object' || value === null || Object.keys(value).join() !== 'now') return undefined
    return 'now' in value && typeof value.now === 'boolean' ? value.now : undefined
  } catch {
    // A stranger's text.
    return undefined
  }
}
